// SPDX-License-Identifier: Apache-2.0
// Host calls that waited: served as one array per import, between two rounds of a dispatch.
#include <algorithm>
#include <cstring>

#include "base/result.hpp"
#include "runtime/parked_calls.hpp"
#include "runtime/swarm_state.hpp"

namespace warphive::runtime {
namespace {

// Of one array, so that a stop is seen soon. Outputs are address space: real only where something
// is written; a single call may have more.
constexpr std::size_t max_calls = 8192;
constexpr std::uint64_t text_bytes = std::uint64_t{64} << 20;
// Of what one call is said to read that is fetched ahead.
constexpr std::uint64_t least_ahead = 4096;
constexpr std::uint64_t most_ahead = 65536;

}  // namespace

void describe_header(const abi::InstanceHeader& header, kernels::Outcome& outcome) {
  outcome.exit = header.exit;
  outcome.trap = header.exit == abi::Exit::trapped ? header.trap : abi::TrapKind::none;
  outcome.exit_code = header.exit_code;
  outcome.pc = header.pc;
  outcome.depth = header.depth;
  outcome.fuel_used = header.fuel_used;
  outcome.out_size = header.out_size;
  outcome.err_size = header.err_size;
  outcome.grow_refused = header.grow_refused;
  outcome.truncated = header.truncated;
  if (header.exit == abi::Exit::ready) {
    outcome.host_import = static_cast<std::uint32_t>(kernels::GoesOn::hunter);
  }
}

ParkedCalls& Swarm::State::parked_calls() {
  if (parked_scratch == nullptr) {
    parked_scratch = std::make_unique<ParkedCalls>(
        [this](hal::KernelId kernel, std::span<const kernels::Move> list, std::byte* flat,
               std::uint64_t bytes) -> Status {
          WARPHIVE_TRY(moves.resize(*device, list.size()));
          std::copy(list.begin(), list.end(), moves.host());
          return move_bytes(kernel, list.size(), flat, bytes);
        });
  }
  return *parked_scratch;
}

Status Swarm::State::load_parked(const InputBuffers& inputs, ResultBuffers& buffers,
                                 std::span<const std::uint32_t> lanes) {
  ParkedCalls& array = parked_calls();
  const Template& shape = *pools[inputs.lanes[lanes[0]].pool]->shape;
  const std::uint32_t import = buffers.outcomes[inputs.calls[lanes[0]].call].host_import;
  const bool known = import < shape.hosts.size();
  const HostBinding* const host = known ? &shape.hosts[import] : nullptr;
  const std::size_t slots = known ? host->value_slots : 0;
  const bool has_memory = known && shape.has_memory(host->memory);
  const std::size_t count = lanes.size();
  array.lanes.assign(lanes.begin(), lanes.end());
  array.headers.resize(count);
  array.values.resize(count * slots);
  array.pages.assign(count, 0);

  const std::uint64_t values_at = count * sizeof(abi::InstanceHeader);
  const std::uint64_t pages_at = values_at + count * slots * 8;
  std::vector<kernels::Move>& list = array.moves;
  list.clear();
  for (std::size_t i = 0; i < count; ++i) {
    list.push_back({inputs.lanes[lanes[i]], 0, sizeof(abi::InstanceHeader),
                    i * sizeof(abi::InstanceHeader), kernels::Range::header, 0});
  }
  for (std::size_t i = 0; i < count && slots != 0; ++i) {
    list.push_back({inputs.lanes[lanes[i]], 0, slots * 8, values_at + i * slots * 8,
                    kernels::Range::frame, 0});
  }
  for (std::size_t i = 0; i < count && has_memory; ++i) {
    list.push_back({inputs.lanes[lanes[i]],
                    shape.layout.view.memory_pages_at + 4 * std::uint64_t{host->memory}, 4,
                    pages_at + 4 * i, kernels::Range::state, 0});
  }
  staging.resize(pages_at + (has_memory ? count * 4 : 0));
  WARPHIVE_TRY(array.mover(hal::KernelId::gather, list, staging.data(), staging.size()));
  std::memcpy(array.headers.data(), staging.data(), values_at);
  if (slots != 0) {
    std::memcpy(array.values.data(), staging.data() + values_at, pages_at - values_at);
  }
  if (has_memory) std::memcpy(array.pages.data(), staging.data() + pages_at, count * 4);

  // Not to be believed: calls that make no sense are taken out.
  std::size_t kept = 0;
  for (std::size_t i = 0; i < count; ++i) {
    abi::InstanceHeader& header = array.headers[i];
    if (!known || header.base + slots > shape.layout.view.stack_slots) {
      buffers.outcomes[inputs.calls[lanes[i]].call].exit = abi::Exit::internal;
      continue;
    }
    header.out_size = std::min(header.out_size, shape.layout.out_capacity);
    header.err_size = std::min(header.err_size, shape.layout.out_capacity);
    if (kept != i) {
      array.lanes[kept] = array.lanes[i];
      array.headers[kept] = header;
      array.pages[kept] = array.pages[i];
      std::copy_n(array.values.begin() + static_cast<std::ptrdiff_t>(i * slots), slots,
                  array.values.begin() + static_cast<std::ptrdiff_t>(kept * slots));
    }
    ++kept;
  }
  array.lanes.resize(kept);
  return {};
}

Status Swarm::State::serve_array(const InputBuffers& inputs, ResultBuffers& buffers,
                                 std::span<const std::uint32_t> lanes,
                                 std::vector<std::uint32_t>& still_waiting,
                                 std::vector<std::uint32_t>& ready_lanes) {
  WARPHIVE_TRY(load_parked(inputs, buffers, lanes));
  ParkedCalls& array = parked_calls();
  const std::size_t count = array.lanes.size();
  if (count == 0) return {};
  const Template& shape = *pools[inputs.lanes[lanes[0]].pool]->shape;
  const HostBinding& host =
      shape.hosts[buffers.outcomes[inputs.calls[array.lanes[0]].call].host_import];
  const Layout& layout = shape.layout;
  const std::uint64_t capacity = layout.out_capacity;
  const bool in_place = device->info().reads_host_memory;
  const bool has_memory = shape.has_memory(host.memory);
  const std::uint64_t memory_at = has_memory ? layout.memories[host.memory].at : 0;
  const std::uint32_t memory_pages = has_memory ? layout.memories[host.memory].capacity : 0;

  array.reserve_text(count * 2 * capacity);
  array.calls.clear();
  array.before.clear();
  array.nearby.clear();
  array.nearby.reserve(count);
  array.memories.begin(count, host.entry->reads, std::clamp(capacity, least_ahead, most_ahead));
  for (std::size_t i = 0; i < count; ++i) {
    const abi::LaneRef lane = inputs.lanes[array.lanes[i]];
    const InstancePool& pool = *pools[lane.pool];
    abi::InstanceHeader& header = array.headers[i];
    const auto values = std::span(array.values).subspan(i * host.value_slots, host.value_slots);
    const std::uint64_t bytes =
        std::uint64_t{std::min(array.pages[i], memory_pages)} * abi::page_bytes;
    sys::GuestMemory* memory = nullptr;
    if (in_place) {
      std::byte* const base = pool.memory.device_pointer<std::byte>();
      memory =
          &array.nearby.emplace_back(base + lane.slot * layout.memory_stride + memory_at, bytes);
    } else {
      array.memories.add(lane, memory_at, bytes, values);
      memory = &array.memories.of(i);
    }
    std::byte* const text = array.text.get() + i * 2 * capacity;
    array.before.push_back({header.out_size, header.err_size});
    array.calls.push_back({.header = &header,
                           .memory = memory,
                           .values = values,
                           .out = {text, layout.out_capacity},
                           .err = {text + capacity, layout.out_capacity},
                           .index = pool.owners[lane.slot],
                           .stop = &stop});
  }
  call_guarded(shape, host, array.calls);
  WARPHIVE_TRY(array.memories.finish());

  Scatter& scatter = array.scatter;
  for (std::size_t i = 0; i < count; ++i) {
    const sys::HostCall& call = array.calls[i];
    const std::uint32_t index = array.lanes[i];
    const abi::LaneRef lane = inputs.lanes[index];
    abi::InstanceHeader& header = array.headers[i];
    const auto append = [&](kernels::Range range, std::uint32_t before, std::uint32_t& after,
                            const std::byte* bytes) -> Status {
      after = std::min(after, layout.out_capacity);
      if (after <= before) return {};
      return scatter.add(lane, range, before, {bytes + before, after - before});
    };
    WARPHIVE_TRY(append(kernels::Range::out, array.before[i].out, header.out_size, call.out.base));
    WARPHIVE_TRY(append(kernels::Range::err, array.before[i].err, header.err_size, call.err.base));
    header.exit = call.verdict;
    switch (call.verdict) {
      case abi::Exit::ready:
        WARPHIVE_TRY(scatter.add(lane, kernels::Range::stack, header.base * std::uint64_t{8},
                                 std::as_bytes(call.values)));
        ready_lanes.push_back(index);
        break;
      case abi::Exit::parked:
        still_waiting.push_back(index);
        break;
      case abi::Exit::trapped:
        --header.pc;  // it already stands behind the call
        if (header.trap == abi::TrapKind::none) header.trap = abi::TrapKind::host;
        break;
      default:
        break;
    }
    WARPHIVE_TRY(
        scatter.add(lane, kernels::Range::header, 0, std::as_bytes(std::span(&header, 1))));
    describe_header(header, buffers.outcomes[inputs.calls[index].call]);
    const bool goes_on = header.exit == abi::Exit::ready || header.exit == abi::Exit::parked;
    if (!goes_on) done_by_host.fetch_add(1, std::memory_order_relaxed);
  }
  return scatter.flush();
}

Result<std::span<const std::uint32_t>> Swarm::State::serve_on_device(
    const InputBuffers& inputs, ResultBuffers& buffers, std::span<const std::uint32_t> lanes,
    std::vector<std::uint32_t>& ready_lanes) {
  const Template& shape = *pools[inputs.lanes[lanes[0]].pool]->shape;
  const std::uint32_t import = buffers.outcomes[inputs.calls[lanes[0]].call].host_import;
  if (device->info().reads_host_memory || import >= shape.hosts.size()) return lanes;
  const HostBinding& host = shape.hosts[import];
  const sys::DeviceService& service = host.entry->device;
  if (service.service == kernels::Service::none || !shape.has_memory(host.memory)) return lanes;
  ParkedCalls& array = parked_calls();
  array.for_host.clear();
  array.asked.clear();
  for (const std::uint32_t i : lanes) {
    const abi::LaneRef lane = inputs.lanes[i];
    if (service.allows && !service.allows(pools[lane.pool]->owners[lane.slot])) {
      array.for_host.push_back(i);
    } else {
      array.asked.push_back(i);
    }
  }
  if (array.asked.empty()) return lanes;
  WARPHIVE_TRY(serve_lanes.resize(*device, array.asked.size()));
  std::transform(array.asked.begin(), array.asked.end(), serve_lanes.host(),
                 [&](std::uint32_t i) { return inputs.lanes[i]; });
  WARPHIVE_TRY(served.resize(*device, array.asked.size()));
  WARPHIVE_TRY(serve_lanes.to_device(*queue));
  const kernels::ServeLanes params{.pools = pool_views.device(),
                                   .lanes = serve_lanes.device(),
                                   .served = served.device(),
                                   .world = service.world,
                                   .memory_at = shape.layout.memories[host.memory].at,
                                   .memory = host.memory,
                                   .service = service.service};
  WARPHIVE_TRY(queue->dispatch(*executable, hal::KernelId::serve, hal::params_of(params),
                               static_cast<std::uint32_t>(array.asked.size())));
  WARPHIVE_TRY(served.to_host(*queue));
  WARPHIVE_TRY(queue->synchronise());
  for (std::size_t k = 0; k < array.asked.size(); ++k) {
    const std::uint32_t i = array.asked[k];
    if (served[k] == 1) {
      // What else it changed is reported by the next round.
      buffers.outcomes[inputs.calls[i].call].exit = abi::Exit::ready;
      ready_lanes.push_back(i);
    } else {
      array.for_host.push_back(i);
    }
  }
  return std::span<const std::uint32_t>(array.for_host);
}

Status Swarm::State::serve_parked(const InputBuffers& inputs, ResultBuffers& buffers,
                                  std::vector<std::uint32_t>& lanes,
                                  std::vector<std::uint32_t>& ready_lanes) {
  const auto group_of = [&](std::uint32_t lane) {
    return std::pair(pools[inputs.lanes[lane].pool]->shape->index,
                     buffers.outcomes[inputs.calls[lane].call].host_import);
  };
  const auto comes_before = [&](std::uint32_t a, std::uint32_t b) {
    return std::pair(group_of(a), a) < std::pair(group_of(b), b);
  };
  // Mostly all wait for the same, in order.
  if (!std::is_sorted(lanes.begin(), lanes.end(), comes_before)) {
    std::sort(lanes.begin(), lanes.end(), comes_before);
  }
  std::vector<std::uint32_t> still_waiting;
  for (std::size_t i = 0; i < lanes.size();) {
    const auto rest = std::span<const std::uint32_t>(lanes).subspan(i);
    if (stop_raised()) {
      still_waiting.insert(still_waiting.end(), rest.begin(), rest.end());
      break;
    }
    const auto group = group_of(rest[0]);
    const auto same = static_cast<std::size_t>(
        std::find_if(rest.begin(), rest.end(),
                     [&](std::uint32_t lane) { return group_of(lane) != group; }) -
        rest.begin());
    WARPHIVE_TRY_ASSIGN(const auto for_host,
                        serve_on_device(inputs, buffers, rest.first(same), ready_lanes));
    const Layout& layout = pools[inputs.lanes[rest[0]].pool]->shape->layout;
    const std::uint64_t bytes_each = 2 * std::uint64_t{layout.out_capacity};
    const std::size_t most = bytes_each == 0
                                 ? max_calls
                                 : std::clamp<std::size_t>(text_bytes / bytes_each, 1, max_calls);
    for (auto unserved = std::span(for_host); !unserved.empty();) {
      const auto array = unserved.first(std::min(unserved.size(), most));
      if (stop_raised()) {
        still_waiting.insert(still_waiting.end(), unserved.begin(), unserved.end());
        break;
      }
      WARPHIVE_TRY(serve_array(inputs, buffers, array, still_waiting, ready_lanes));
      unserved = unserved.subspan(array.size());
    }
    i += same;
  }
  lanes = std::move(still_waiting);
  return {};
}

}  // namespace warphive::runtime
