// SPDX-License-Identifier: Apache-2.0
// Host calls that waited: served as one array per import, between two rounds of a dispatch.
#include <algorithm>

#include "base/result.hpp"
#include "runtime/swarm_state.hpp"

namespace warphive::runtime {
namespace {

/// A memory of an instance that is not running, wherever it lies.
class DistantMemory final : public sys::GuestMemory {
 public:
  using Transfer = std::function<bool(bool write, std::uint64_t address, std::span<std::byte>)>;
  DistantMemory(std::uint64_t bytes, Transfer transfer)
      : bytes_(bytes), transfer_(std::move(transfer)) {}
  [[nodiscard]] std::uint64_t size() const override { return bytes_; }
  [[nodiscard]] bool read(std::uint64_t address, std::span<std::byte> to) const override {
    return fits(address, to.size()) && (to.empty() || transfer_(false, address, to));
  }
  [[nodiscard]] bool write(std::uint64_t address, std::span<const std::byte> from) override {
    // Nothing is written to the span.
    return fits(address, from.size()) &&
           (from.empty() ||
            transfer_(true, address, {const_cast<std::byte*>(from.data()), from.size()}));
  }

 private:
  [[nodiscard]] bool fits(std::uint64_t address, std::uint64_t count) const {
    return address <= bytes_ && count <= bytes_ - address;
  }
  std::uint64_t bytes_;
  Transfer transfer_;
};

/// What one waiting call needs on the host while it is served.
struct Visit {
  std::uint32_t lane = 0;
  Instance* instance = nullptr;
  abi::InstanceHeader header = {};
  std::uint32_t out_before = 0;
  std::uint32_t err_before = 0;
  std::vector<std::uint64_t> values;
  std::unique_ptr<DistantMemory> memory;
};

// Of one array, so that a stop is seen soon. Outputs are address space: real only where something
// is written; a single call may have more.
constexpr std::size_t max_calls = 2048;
constexpr std::uint64_t text_bytes = std::uint64_t{64} << 20;

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
}

Status Swarm::State::serve_parked(const InputBuffers& inputs, ResultBuffers& buffers,
                                  std::vector<std::uint32_t>& lanes,
                                  std::vector<std::uint32_t>& ready_lanes) {
  const auto outcome_of = [&](std::uint32_t lane) -> kernels::Outcome& {
    return buffers.outcomes[inputs.calls[lane].call];
  };
  const auto group_of = [&](std::uint32_t lane) {
    return std::pair(pools[inputs.lanes[lane].pool]->shape->index, outcome_of(lane).host_import);
  };
  std::sort(lanes.begin(), lanes.end(), [&](std::uint32_t a, std::uint32_t b) {
    return std::pair(group_of(a), a) < std::pair(group_of(b), b);
  });
  std::vector<std::uint32_t> still_waiting;
  std::vector<Visit> visits;
  std::vector<sys::HostCall> calls;
  for (std::size_t i = 0; i < lanes.size();) {
    if (stop_raised()) {
      still_waiting.insert(still_waiting.end(), lanes.begin() + static_cast<std::ptrdiff_t>(i),
                           lanes.end());
      break;
    }
    const auto group = group_of(lanes[i]);
    const Template& shape = *pools[inputs.lanes[lanes[i]].pool]->shape;
    const Layout& layout = shape.layout;
    const std::uint64_t bytes_each = 2 * std::uint64_t{layout.out_capacity};
    visits.clear();
    for (; i < lanes.size() && group_of(lanes[i]) == group; ++i) {
      if (visits.size() == max_calls) break;
      if (!visits.empty() && (visits.size() + 1) * bytes_each > text_bytes) break;
      Visit visit;
      visit.lane = lanes[i];
      visit.instance = &instances[buffers.entries[inputs.calls[lanes[i]].call].id.index];
      Instance& instance = *visit.instance;
      WARPHIVE_TRY_ASSIGN(visit.header, read_header(instance));
      visit.header.out_size = std::min(visit.header.out_size, layout.out_capacity);
      visit.header.err_size = std::min(visit.header.err_size, layout.out_capacity);
      visit.out_before = visit.header.out_size;
      visit.err_before = visit.header.err_size;
      const bool known = group.second < shape.hosts.size();
      visit.values.resize(known ? shape.hosts[group.second].value_slots : 0);
      if (!known || visit.header.base + visit.values.size() > layout.view.stack_slots) {
        kernels::Outcome& outcome = outcome_of(visit.lane);
        outcome.exit = abi::Exit::internal;
        continue;
      }
      WARPHIVE_TRY(read_range(instance, kernels::Range::stack, visit.header.base * std::uint64_t{8},
                              std::as_writable_bytes(std::span(visit.values))));
      const std::uint32_t memory = shape.hosts[group.second].memory;
      WARPHIVE_TRY_ASSIGN(const std::uint64_t bytes, size_of_memory(instance, memory));
      const std::uint64_t start = shape.has_memory(memory) ? layout.memories[memory].at : 0;
      visit.memory = std::make_unique<DistantMemory>(
          bytes, [this, &instance, start](bool write, std::uint64_t at, std::span<std::byte> span) {
            constexpr auto range = kernels::Range::memory;
            return write ? write_range(instance, range, start + at, span).has_value()
                         : read_range(instance, range, start + at, span).has_value();
          });
      visits.push_back(std::move(visit));
    }
    if (visits.empty()) continue;
    calls.clear();
    const auto texts = std::make_unique_for_overwrite<std::byte[]>(visits.size() * bytes_each);
    std::byte* text = texts.get();
    for (Visit& visit : visits) {
      calls.push_back({.header = &visit.header,
                       .memory = visit.memory.get(),
                       .values = visit.values,
                       .out = {text, layout.out_capacity},
                       .err = {text + layout.out_capacity, layout.out_capacity},
                       .index = static_cast<std::uint32_t>(visit.instance - instances.data()),
                       .stop = &stop});
      text += bytes_each;
    }
    call_guarded(shape, shape.hosts[group.second], calls);

    for (std::size_t v = 0; v < visits.size(); ++v) {
      Visit& visit = visits[v];
      Instance& instance = *visit.instance;
      abi::InstanceHeader& header = visit.header;
      kernels::Outcome& outcome = outcome_of(visit.lane);
      const auto append = [&](kernels::Range range, std::uint32_t before, std::uint32_t& after,
                              const std::byte* bytes) -> Status {
        after = std::min(after, layout.out_capacity);
        if (after <= before) return {};
        return write_range(instance, range, before, {bytes + before, after - before});
      };
      WARPHIVE_TRY(
          append(kernels::Range::out, visit.out_before, header.out_size, calls[v].out.base));
      WARPHIVE_TRY(
          append(kernels::Range::err, visit.err_before, header.err_size, calls[v].err.base));
      header.exit = calls[v].verdict;
      switch (calls[v].verdict) {
        case abi::Exit::ready:
          WARPHIVE_TRY(write_range(instance, kernels::Range::stack, header.base * std::uint64_t{8},
                                   std::as_bytes(std::span(visit.values))));
          ready_lanes.push_back(visit.lane);
          break;
        case abi::Exit::parked:
          still_waiting.push_back(visit.lane);
          break;
        case abi::Exit::trapped:
          --header.pc;  // it already stands behind the call
          if (header.trap == abi::TrapKind::none) header.trap = abi::TrapKind::host;
          break;
        default:
          break;
      }
      WARPHIVE_TRY(write_header(instance, header));
      describe_header(header, outcome);
      const bool goes_on = header.exit == abi::Exit::ready || header.exit == abi::Exit::parked;
      if (!goes_on) done_by_host.fetch_add(1, std::memory_order_relaxed);
    }
  }
  lanes = std::move(still_waiting);
  return {};
}

}  // namespace warphive::runtime
