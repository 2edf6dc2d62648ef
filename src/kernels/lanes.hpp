// SPDX-License-Identifier: Apache-2.0
// What one lane of each kernel does. Freestanding: device programs include it.
#pragma once

#include <stdint.h>

#include "abi/state.hpp"
#include "exec/stop_word.hpp"
#include "kernels/params.hpp"

namespace warphive::kernels {

// What depends on where instances lie comes as template parameters:
//   Ranges   copy_in(pool, slot, range, offset, from, n), copy_out(pool, slot, range, offset, to,
//   n) Runner   begin(function, args) and run(), as exec::begin_call and exec::run_lane Stack its
//   bottom slots by index

template <class Ranges>
void spawn_lane(const SpawnLanes& params, uint32_t lane) {
  const abi::Pool& pool = params.pool;
  const Image& image = params.image;
  const SpawnLane& spawn = params.lanes[lane];
  abi::InstanceHeader header = {};
  header.ordinal = spawn.ordinal;
  header.generation = spawn.generation;
  header.pc = image.pc;
  header.entry = image.entry;
  header.exit = image.exit;
  header.trap = image.trap;
  header.phase = image.phase;
  pool.headers[spawn.slot] = header;
  Ranges::copy_in(pool, spawn.slot, Range::state, 0, image.state, pool.layout->state_bytes);
  for (uint32_t i = 0; i < image.extent_count; ++i) {
    const Extent& extent = image.extents[i];
    Ranges::copy_in(pool, spawn.slot, Range::memory, extent.at, image.memory + extent.from,
                    extent.bytes);
  }
}

template <class Ranges>
void gather_lane(const MoveLanes& params, uint32_t lane) {
  const Move& move = params.moves[lane];
  const abi::Pool& pool = params.pools[move.lane.pool];
  Range range = move.range;
  uint64_t offset = move.offset;
  if (range == Range::frame) {
    const uint64_t stack_bytes = uint64_t{pool.layout->stack_slots} * 8;
    range = Range::stack;
    offset += uint64_t{pool.headers[move.lane.slot].base} * 8;
    if (offset > stack_bytes || move.bytes > stack_bytes - offset) return;
  }
  Ranges::copy_out(pool, move.lane.slot, range, offset, params.flat + move.at, move.bytes);
}
template <class Ranges>
void scatter_lane(const MoveLanes& params, uint32_t lane) {
  const Move& move = params.moves[lane];
  Ranges::copy_in(params.pools[move.lane.pool], move.lane.slot, move.range, move.offset,
                  params.flat + move.at, move.bytes);
}

struct NextCall {
  uint32_t function;
  bool is_entry;
};

/// What a lane without frames calls next.
inline NextCall next_call(const PoolCalls& pool, const abi::InstanceHeader& header,
                          const LaneCall& call) {
  const uint32_t started = header.phase & phase_starts;
  if (started < pool.start_count) return {pool.starts[started], false};
  if ((call.flags & lane_initialize) != 0 && (header.phase & phase_initialized) == 0 &&
      pool.initialize != no_function && pool.initialize != call.function) {
    return {pool.initialize, false};
  }
  return {call.function, true};
}

/// The call of header.entry has returned: start functions come before anything else.
inline void note_return(const PoolCalls& pool, abi::InstanceHeader& header) {
  if ((header.phase & phase_starts) < pool.start_count) {
    ++header.phase;
  } else if (header.entry == pool.initialize) {
    header.phase |= phase_initialized;
  }
  header.depth = 0;
}

/// Makes `call` what is left of it after a run that ended as parked or ready. Once more changes
/// nothing.
inline void go_on(const Outcome& before, LaneCall& call) {
  // Inside of the entry there is nothing left to begin.
  if (before.final_call != 0) call.function = no_function;
  call.flags &= lane_initialize;
}

/// Runs one lane until it stops; true where the entry of the batch was what ran last.
template <class Runner>
bool run_calls(const RunLanes& params, abi::InstanceHeader& header, const PoolCalls& pool_calls,
               const LaneCall& call, Runner&& runner) {
  if ((call.flags & lane_only_report) != 0) return false;
  if ((call.flags & lane_drop_frames) != 0) header.depth = 0;
  // With frames and an entry still to begin, the frames are of a call that goes before it.
  bool is_entry = header.depth != 0 && call.function == no_function;
  bool has_frames = header.depth != 0;
  for (;;) {
    if (!has_frames) {
      const NextCall next = next_call(pool_calls, header, call);
      is_entry = next.is_entry;
      if (next.function == no_function) {  // nothing left to do, and nothing was asked
        header.exit = abi::Exit::returned;
        return false;
      }
      if (exec::stop_raised(params.run)) {
        header.exit = abi::Exit::cancelled;
        return is_entry;
      }
      header.trap = abi::TrapKind::none;
      if (!runner.begin(next.function, next.is_entry ? params.args + call.first_arg : nullptr)) {
        return is_entry;
      }
    }
    runner.run();
    if (header.exit != abi::Exit::returned) return is_entry;
    note_return(pool_calls, header);
    if (is_entry) return true;
    has_frames = false;
  }
}

/// The outcome, and where the entry returned its results from the bottom of `stack`.
template <class Ranges, class Stack>
void report(const RunLanes& params, const abi::Pool& pool, uint32_t slot, const LaneCall& call,
            const Stack& stack, uint64_t fuel_before, bool final_call) {
  const abi::InstanceHeader& header = pool.headers[slot];
  Outcome& outcome = params.outcomes[call.call];
  const uint64_t spent = header.fuel_used - fuel_before;
  outcome.fuel_used = header.fuel_used;
  outcome.fuel_spent = params.round == Round::first ? spent : outcome.fuel_spent + spent;
  outcome.exit_code = header.exit_code;
  outcome.pc = header.pc;
  outcome.function = header.entry;
  outcome.out_size = header.out_size;
  outcome.err_size = header.err_size;
  outcome.grow_refused = header.grow_refused;
  outcome.memory_pages = 0;
  if (const abi::ProgramLayout& layout = *pool.layout; layout.main_memory < layout.memory_count) {
    Ranges::copy_out(pool, slot, Range::state, layout.memory_pages_at + 4 * layout.main_memory,
                     reinterpret_cast<uint8_t*>(&outcome.memory_pages), 4);
  }
  outcome.depth = header.depth;
  outcome.host_import = header.host_import;
  outcome.exit = header.exit;
  outcome.trap = header.trap;
  outcome.truncated = header.truncated;
  outcome.final_call = final_call ? 1 : 0;
  if (params.briefs != nullptr) params.briefs[call.call] = brief_of(outcome);
  if (header.exit == abi::Exit::returned && final_call) {
    const uint32_t count = pool.code->functions[header.entry].result_slots;
    for (uint32_t i = 0; i < count; ++i) params.values[call.first_value + i] = stack[i];
  }
}

/// Slots in use by the frames of a stopped lane; pc is in the innermost one's function.
inline uint32_t used_slots(const abi::Pool& pool, const abi::InstanceHeader& header) {
  const abi::Code& code = *pool.code;
  uint32_t first = 0;  // functions lie in the order of their indices
  uint32_t last = code.function_count;
  while (last - first > 1) {
    const uint32_t middle = first + (last - first) / 2;
    if (code.functions[middle].entry <= header.pc) {
      first = middle;
    } else {
      last = middle;
    }
  }
  const uint64_t end =
      uint64_t{header.base} + static_cast<uint32_t>(code.insns[code.functions[first].entry].imm);
  return end < pool.layout->stack_slots ? static_cast<uint32_t>(end) : pool.layout->stack_slots;
}

}  // namespace warphive::kernels
