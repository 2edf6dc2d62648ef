// SPDX-License-Identifier: Apache-2.0
// Rounds of a dispatch: launches, what they leave for the next one, and the code that it runs.
#include <algorithm>
#include <atomic>
#include <optional>

#include "base/result.hpp"
#include "runtime/host_pass.hpp"
#include "runtime/swarm_state.hpp"

namespace warphive::runtime {
namespace {

// Units between polls of the stop word: some tens of microseconds.
constexpr std::uint64_t quantum = 4096;
// Of a device: as many run at the same time, and more one after another.
constexpr std::uint64_t lanes_at_once = 65'536;
// Of a round, to see where lanes are and what they call.
constexpr std::uint64_t most_samples = 256;
constexpr std::uint64_t most_calls = 4;

bool waits_for_interpreter(const InputBuffers& round, const ResultBuffers& buffers) {
  const kernels::LaneCall* const calls = round.calls.host();
  return std::any_of(calls, calls + round.calls.size(), [&](const kernels::LaneCall& call) {
    const kernels::Outcome& outcome = buffers.outcomes[call.call];
    return outcome.exit == abi::Exit::ready &&
           outcome.host_import < static_cast<std::uint32_t>(kernels::GoesOn::next_round);
  });
}

bool all_ended(const ResultBuffers& buffers) {
  const kernels::Outcome* const first = buffers.outcomes.host();
  return std::all_of(first, first + buffers.outcomes.size(), [](const kernels::Outcome& outcome) {
    return outcome.exit != abi::Exit::ready && outcome.exit != abi::Exit::parked;
  });
}

}  // namespace

Status Swarm::State::launch(InputBuffers& round, InputBuffers& inputs, ResultBuffers& buffers,
                            std::uint64_t fuel, kernels::Round which, std::uint64_t units,
                            bool rest_waits) {
  if (!round.even) {
    WARPHIVE_TRY(round.lanes.to_device(*queue));
    WARPHIVE_TRY(round.calls.to_device(*queue));
  }
  const bool serves_at_once = device->info().reads_host_memory;
  kernels::RunLanes params{.run = {.pools = pool_views.device(),
                                   .lanes = round.even ? nullptr : round.lanes.device(),
                                   .stop = &control_at()->stop,
                                   .host_call = serves_at_once ? serve_now : nullptr,
                                   .host_context = &pools,
                                   .quantum = quantum},
                           .calls = round.even ? nullptr : round.calls.device(),
                           .even = round.even.value_or(kernels::EvenCalls{}),
                           .pool_calls = pool_calls.device(),
                           .args = inputs.args.device(),
                           .values = buffers.values.device(),
                           .outcomes = buffers.outcomes.device(),
                           .briefs = buffers.briefs.size() == 0 ? nullptr : buffers.briefs.device(),
                           .progress = &control_at()->progress,
                           .fuel = std::min(fuel, abi::unlimited_fuel),
                           .slice = units,
                           .left = left.device(),
                           .first_lane = 0,
                           .lane_count = 0,
                           .warp_lanes = 1,
                           .native = nullptr,
                           .round = which,
                           .native_stack_bytes = device->info().lane_stack_bytes};
  // The lanes are grouped by pool. One launch is for all that follow each other and have no
  // compiled code; where there is some, it runs, and then the interpreter what it left.
  const std::uint64_t count = round.lanes.size();
  const bool all_same = std::all_of(pools.begin(), pools.end(), [&](const auto& pool) {
    return pool->device_code == pools.front()->device_code;
  });
  const std::uint32_t tile_lanes = device->info().tile_lanes;
  const auto submit = [&](const hal::Executable& code, std::uint64_t begin, std::uint64_t end) {
    kernels::RunLanes part = params;
    if (part.calls != nullptr) {
      part.run.lanes += begin;
      part.calls += begin;
    }
    part.first_lane = static_cast<std::uint32_t>(begin);
    part.lane_count = static_cast<std::uint32_t>(end - begin);
    part.warp_lanes = lanes_per_warp(end - begin, device->info());
    const std::uint32_t warps = (part.lane_count - 1) / part.warp_lanes + 1;
    return queue->dispatch(code, hal::KernelId::run, hal::params_of(part), warps * tile_lanes);
  };
  for (std::uint64_t begin = 0, end = all_same ? count : 0; begin < count; begin = end) {
    const DeviceCode* const code = pools[round.lanes[begin].pool]->device_code;
    while (end < count && pools[round.lanes[end].pool]->device_code == code) ++end;
    const hal::Executable& first = code == nullptr ? *executable : *code->executable;
    for (std::uint64_t at = begin; which != kernels::Round::rest && at < end;
         at += std::min(launch_lanes, end - at)) {
      WARPHIVE_TRY(submit(first, at, at + std::min(launch_lanes, end - at)));
    }
    if (code == nullptr || rest_waits) continue;
    params.native = code->native;
    params.round = kernels::Round::rest;
    WARPHIVE_TRY(submit(*executable, begin, end));
    params.native = nullptr;
    params.round = which;
  }
  return {};
}

bool Swarm::State::take_briefs(const InputBuffers& inputs, ResultBuffers& buffers) {
  std::atomic<bool> takes_all = true;
  in_parts(*device, inputs.lanes.size(), [&](std::uint64_t first, std::uint64_t last) {
    for (std::uint64_t i = first; i < last; ++i) {
      const kernels::LaneCall& call = inputs.calls[i];
      const std::uint64_t brief = buffers.briefs[call.call];
      if (brief == kernels::no_brief) {
        takes_all.store(false, std::memory_order_relaxed);
        return;
      }
      const Instance& instance = instances[buffers.entries[call.call].id.index];
      const std::uint32_t function =
          call.function == kernels::no_function ? instance.function : call.function;
      buffers.outcomes[call.call] = kernels::outcome_of(brief, function, instance.fuel_used);
    }
  });
  return takes_all;
}

Result<std::unique_ptr<InputBuffers>> Swarm::State::lanes_left(const InputBuffers& round) {
  constexpr std::size_t progress_at = offsetof(Control, progress);
  const std::uint64_t done_before = lanes_done;
  WARPHIVE_TRY_ASSIGN(
      lanes_done,
      device->read_now(control, progress_at + offsetof(kernels::ProgressWords, instances_done)));
  const std::uint64_t not_done = round.lanes.size() - (lanes_done - done_before);
  std::unique_ptr<InputBuffers> next;
  if (not_done == 0 || device->info().reads_host_memory) return next;
  WARPHIVE_TRY_ASSIGN(
      const std::uint64_t count,
      device->read_now(control, progress_at + offsetof(kernels::ProgressWords, left)));
  if (count != not_done) return next;
  WARPHIVE_TRY(left.to_host(*queue, count));
  WARPHIVE_TRY(queue->synchronise());
  std::uint32_t* const first = left.host();
  std::sort(first, first + count);
  const bool is_sound = first[count - 1] < round.lanes.size() &&
                        std::adjacent_find(first, first + count) == first + count;
  if (!is_sound) return next;
  WARPHIVE_TRY_ASSIGN(next, take_inputs(count, 0));
  for (std::uint64_t i = 0; i < count; ++i) {
    next->lanes[i] = round.lanes[first[i]];
    next->calls[i] = round.calls[first[i]];
  }
  return next;
}

Status Swarm::State::run_round(InputBuffers& round, InputBuffers& inputs, ResultBuffers& buffers,
                               std::uint64_t fuel, bool first) {
  WARPHIVE_TRY(inputs.args.to_device(*queue));
  // In later rounds the host has written some outcomes that stay.
  if (&round != &inputs) WARPHIVE_TRY(buffers.outcomes.to_device(*queue));
  const bool has_rounds = !device->info().reads_host_memory;
  if (has_rounds) WARPHIVE_TRY(left.resize(*device, round.lanes.size()));
  // Few outcomes are the host's own memory: what is left is seen there.
  const bool is_small = has_rounds && buffers.outcomes.is_direct();
  std::unique_ptr<InputBuffers> next;
  InputBuffers* now = &round;
  auto which = first ? kernels::Round::first : kernels::Round::later;
  for (;;) {
    if (has_rounds && which != kernels::Round::first) {
      constexpr std::size_t left_at =
          offsetof(Control, progress) + offsetof(kernels::ProgressWords, left);
      WARPHIVE_TRY(queue->fill(control, left_at, sizeof(kernels::ProgressWords::left), 0));
    }
    if (has_rounds) WARPHIVE_TRY(take_code());
    // A call that runs long must say so before its end.
    const bool is_cold = has_cold_lanes(*now);
    const std::uint64_t units = is_cold ? std::min(slice, DeviceTier::hot_units) : slice;
    std::optional<LoadGate::Round> loads_nothing;
    if (has_rounds) loads_nothing.emplace(*gate, [this] { leave_for_code(); });
    // Where all lanes will most likely end there is one wait for everything.
    const bool fetches_at_once = units == no_slice && now == &round;
    const bool has_briefs =
        fetches_at_once && first && has_rounds && !is_small && &round == &inputs;
    WARPHIVE_TRY(buffers.briefs.resize(*device, has_briefs ? round.lanes.size() : 0));
    WARPHIVE_TRY(launch(*now, inputs, buffers, fuel, which, units, is_small));
    if (has_briefs) WARPHIVE_TRY(buffers.briefs.to_host(*queue));
    if (fetches_at_once) {
      if (!has_briefs) WARPHIVE_TRY(buffers.outcomes.to_host(*queue));
      WARPHIVE_TRY(buffers.values.to_host(*queue));
    }
    WARPHIVE_TRY(queue->synchronise());
    if (is_small && waits_for_interpreter(*now, buffers)) {
      WARPHIVE_TRY(launch(*now, inputs, buffers, fuel, kernels::Round::rest, units, false));
      WARPHIVE_TRY(buffers.values.to_host(*queue));
      WARPHIVE_TRY(queue->synchronise());
    }
    loads_nothing.reset();
    const bool is_whole = first && now == &inputs && !is_cold;
    if (is_whole && (has_briefs ? take_briefs(inputs, buffers) : is_small && all_ended(buffers))) {
      lanes_done += round.lanes.size();
      ended_at_once = true;
      return {};
    }
    if (has_briefs) {
      WARPHIVE_TRY(buffers.outcomes.to_host(*queue));
      WARPHIVE_TRY(queue->synchronise());
    }
    if (units == slice) slice = longer_slice(slice);
    WARPHIVE_TRY_ASSIGN(auto after, lanes_left(*now));
    if (is_cold) WARPHIVE_TRY(note_round(*now, after.get(), buffers));
    if (next != nullptr) free_inputs.push_back(std::move(next));
    if (after == nullptr) {
      if (fetches_at_once) return {};
      WARPHIVE_TRY(buffers.outcomes.to_host(*queue));
      WARPHIVE_TRY(buffers.values.to_host(*queue));
      return queue->synchronise();
    }
    next = std::move(after);
    now = next.get();
    which = kernels::Round::later;
  }
}

Status Swarm::State::take_code() {
  {
    const std::lock_guard lock(running_mutex);
    if (leaves && !stop_raised()) {
      WARPHIVE_TRY(queue->interrupt(control, offsetof(Control, stop), 0));
    }
    leaves = false;
  }
  for (const auto& pool : pools) {
    if (pool->device_tier != nullptr) pool->device_code = pool->device_tier->code(*gate);
  }
  return {};
}

void Swarm::State::leave_for_code() {
  const std::lock_guard lock(running_mutex);
  if (!running || stop_raised()) return;
  leaves = true;
  // A device that does not take the word is lost, which the dispatch reports.
  (void)queue->interrupt(control, offsetof(Control, stop), abi::stop_round);
}

std::vector<std::unique_ptr<DeviceTier::Watch>> Swarm::State::watch_tiers() {
  std::vector<std::unique_ptr<DeviceTier::Watch>> watches;
  for (const auto& shape : templates) {
    if (shape->program->device_tiers == nullptr) continue;
    const std::shared_ptr<DeviceTier> tier = shape->program->device_tiers->on(device);
    if (tier == nullptr || tier->is_settled()) continue;
    watches.push_back(std::make_unique<DeviceTier::Watch>(tier, [this] { leave_for_code(); }));
  }
  return watches;
}

bool Swarm::State::has_cold_lanes(const InputBuffers& round) const {
  const bool some = std::any_of(pools.begin(), pools.end(), [](const auto& pool) {
    return pool->device_tier != nullptr && pool->device_tier->is_cold();
  });
  const abi::LaneRef* const lanes = round.lanes.host();
  return some && std::any_of(lanes, lanes + round.lanes.size(), [&](const abi::LaneRef& lane) {
           const auto& tier = pools[lane.pool]->device_tier;
           return tier != nullptr && tier->is_cold();
         });
}

Status Swarm::State::note_round(const InputBuffers& round, const InputBuffers* after,
                                ResultBuffers& buffers) {
  const std::uint64_t before = units_done;
  constexpr std::size_t at =
      offsetof(Control, progress) + offsetof(kernels::ProgressWords, instructions);
  WARPHIVE_TRY_ASSIGN(units_done, device->read_now(control, at));
  const std::uint64_t count = round.lanes.size();
  const std::uint64_t still = after == nullptr ? 0 : after->lanes.size();
  const std::uint64_t fetched = still == 0 ? 0 : std::min(buffers.outcomes.size(), most_samples);
  if (fetched != 0) {
    WARPHIVE_TRY(buffers.outcomes.to_host(*queue, fetched));
    WARPHIVE_TRY(queue->synchronise());
  }
  // As long as one lane takes for its share: they run at the same time, as far as there is room.
  const std::uint64_t each = (units_done - before) / std::min(count, lanes_at_once);
  std::vector<std::uint32_t> insns;
  std::uint64_t next = 0;  // in after
  for (std::uint64_t begin = 0, end = 0; begin < count; begin = end) {
    const std::uint32_t pool = round.lanes[begin].pool;
    while (end < count && round.lanes[end].pool == pool) ++end;
    const std::uint64_t first_left = next;
    while (next < still && after->lanes[next].pool == pool) ++next;
    const auto& tier = pools[pool]->device_tier;
    if (tier == nullptr || !tier->is_cold()) continue;
    const auto& functions = pools[pool]->shape->program->encoded.functions;
    insns.clear();
    for (std::uint64_t i = first_left; i < next && insns.size() < most_samples; ++i) {
      const std::uint32_t call = after->calls[i].call;
      if (call < fetched) insns.push_back(buffers.outcomes[call].pc);
    }
    for (std::uint64_t i = begin; i < std::min(end, begin + most_calls); ++i) {
      const std::uint32_t function = round.calls[i].function;
      if (function < functions.size()) insns.push_back(functions[function].entry);
    }
    const bool slice_ended = next != first_left;
    tier->note(slice_ended ? DeviceTier::hot_units : each * (end - begin) / count, insns);
  }
  return {};
}

}  // namespace warphive::runtime
