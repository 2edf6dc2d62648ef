// SPDX-License-Identifier: Apache-2.0
// What kernels get and leave: plain data at device addresses, one struct per kernel. Freestanding.
#pragma once

#include <stdint.h>

#include "abi/native.hpp"
#include "abi/state.hpp"

namespace warphive::kernels {

inline constexpr uint32_t no_function = ~uint32_t{0};

/// InstanceHeader::phase: how many start functions have returned, and whether `_initialize` has.
inline constexpr uint8_t phase_starts = 0x7f;
inline constexpr uint8_t phase_initialized = 0x80;

/// How one run of a lane ended. The host checks every field before it believes it.
struct Outcome {
  uint64_t fuel_used;   // since spawn or reset
  uint64_t fuel_spent;  // in this dispatch
  int32_t exit_code;
  uint32_t pc;
  uint32_t function;  // that ran last
  uint32_t out_size;
  uint32_t err_size;
  uint32_t grow_refused;
  uint32_t memory_pages;  // of the main memory, 0 where there is none
  uint32_t depth;         // frames left on the stack: 0 where the next call has not begun
  uint32_t host_import;   // parked: which one waits; ready: a GoesOn
  abi::Exit exit;
  abi::TrapKind trap;
  uint8_t truncated;
  uint8_t final_call;  // 1: `function` is the entry of the batch, not a call that went before it
};
static_assert(sizeof(Outcome) == 56);

/// Who runs a lane that was left as Exit::ready.
enum class GoesOn : uint32_t {
  hunter,       // the interpreter, behind this kernel, to the next place that has compiled code
  interpreter,  // likewise, but for a while at least: such a lane goes back and forth
  walker,       // likewise, but to the end of the budget, which comes before the next check
  next_round,   // whichever kernel begins the next round: a slice ended
  compiled,     // likewise: compiled code begins here
};

/// LaneCall::flags
inline constexpr uint32_t lane_initialize = 1;   // run `_initialize` first where not yet run
inline constexpr uint32_t lane_drop_frames = 2;  // forget what was stopped halfway
inline constexpr uint32_t lane_only_report = 4;  // run nothing: instantiation trapped

/// What lane i of a run does: goes on where frames are on its stack; then start functions that have
/// not run, `_initialize` where wanted, and the entry.
struct LaneCall {
  uint32_t function;     // entry still to begin, or no_function
  uint32_t first_arg;    // into args
  uint64_t first_value;  // into values
  uint32_t call;         // index of the outcome
  uint32_t flags;
  friend bool operator==(const LaneCall&, const LaneCall&) = default;
};
static_assert(sizeof(LaneCall) == 24);

/// Lanes and calls of a batch whose instances lie one behind the other and do the same.
struct EvenCalls {
  uint32_t pool;
  uint32_t first_slot;
  uint32_t function;
  uint32_t arg_stride;
  uint32_t value_stride;
  uint32_t flags;

  [[nodiscard]] abi::LaneRef lane(uint32_t i) const { return {pool, first_slot + i}; }
  [[nodiscard]] LaneCall call(uint32_t i) const {
    return {function, i * arg_stride, uint64_t{i} * value_stride, i, flags};
  }
};

/// An Outcome in one word, if it is the usual one: the call returned, nothing is left on the stack,
/// nothing was written, and no memory refused to grow. Of others: no_brief.
inline constexpr uint64_t no_brief = ~uint64_t{0};
inline constexpr uint32_t brief_fuel_bits = 47;
inline uint64_t brief_of(const Outcome& outcome) {
  const bool is_usual =
      outcome.exit == abi::Exit::returned && outcome.trap == abi::TrapKind::none &&
      outcome.final_call != 0 && outcome.truncated == 0 && outcome.depth == 0 &&
      (uint32_t(outcome.exit_code) | outcome.out_size | outcome.err_size | outcome.grow_refused) ==
          0 &&
      outcome.fuel_spent >> brief_fuel_bits == 0 &&
      outcome.memory_pages >> (63 - brief_fuel_bits) == 0;
  return is_usual ? uint64_t{outcome.memory_pages} << brief_fuel_bits | outcome.fuel_spent
                  : no_brief;
}
/// `fuel_before`: Outcome::fuel_used when the dispatch began.
inline Outcome outcome_of(uint64_t brief, uint32_t function, uint64_t fuel_before) {
  Outcome outcome = {};
  outcome.fuel_spent = brief & ((uint64_t{1} << brief_fuel_bits) - 1);
  outcome.fuel_used = fuel_before + outcome.fuel_spent;
  outcome.memory_pages = static_cast<uint32_t>(brief >> brief_fuel_bits);
  outcome.function = function;
  outcome.exit = abi::Exit::returned;
  outcome.final_call = 1;
  return outcome;
}

/// Functions that run before the first entry, per pool.
struct PoolCalls {
  const uint32_t* starts;
  uint32_t start_count;
  uint32_t initialize;  // or no_function
};

/// All are added to atomically.
struct ProgressWords {
  uint64_t instances_done;
  uint64_t instructions;
  uint64_t left;  // entries of RunLanes::left
};

/// Which lanes of a dispatch a run is of.
enum class Round : uint32_t {
  first,  // their budgets begin
  later,  // they go on
  rest,   // they go on, but only those that the run before this one left as Exit::ready
};

/// KernelId::run. Interpreters leave a lane as Exit::ready where compiled code shall go on, and
/// compiled code where the interpreter shall.
struct RunLanes {
  abi::RunParams run;
  const LaneCall* calls;  // nullptr: they and run.lanes are as `even` says
  EvenCalls even;
  const PoolCalls* pool_calls;
  const uint64_t* args;
  uint64_t* values;
  Outcome* outcomes;
  uint64_t* briefs;  // of the same calls; nullptr: nobody wants them
  ProgressWords* progress;
  uint64_t fuel;        // budget of each lane
  uint64_t slice;       // units after which a lane is left for the next round
  uint32_t* left;       // lanes of the round that the next one goes on with, in any order
  uint32_t first_lane;  // of the round, that lane 0 of this run is
  uint32_t lane_count;  // of this run, and
  uint32_t warp_lanes;  // so many of them in each warp, a power of two: devices with tiles
  const abi::NativeCode* native;  // of the lanes' program, on the device; nullptr: all interpreted
  Round round;
  uint32_t native_stack_bytes;  // that compiled code may use of a thread's stack before it leaves
};

/// What RunParams::host_context points at while a lane runs.
struct LaneContext {
  void* service;  // RunLanes::run.host_context
  uint32_t pool;  // index in RunLanes::run.pools
};

/// A run of bytes of an image's memory that are not zero.
struct Extent {
  uint64_t at;  // byte in the memory range
  uint64_t bytes;
  uint64_t from;  // byte in Image::memory
};

/// State of an instance before its first call.
struct Image {
  const uint8_t* state;  // state_bytes
  const uint8_t* memory;
  const Extent* extents;
  uint32_t extent_count;
  uint32_t pc;     // where a member's init trapped
  uint32_t entry;  // that init
  abi::Exit exit;
  abi::TrapKind trap;
  uint8_t phase;
};

struct SpawnLane {
  uint64_t ordinal;
  uint32_t slot;
  uint32_t generation;
};

/// KernelId::spawn: writes image and header; the memory ranges are zero before.
struct SpawnLanes {
  abi::Pool pool;
  Image image;
  const SpawnLane* lanes;
};

/// KernelId::wipe, on devices with tiles.
struct WipeLanes {
  abi::Pool pool;
  const uint32_t* slots;
  uint32_t stacks;  // 1: and the stacks
};

/// `frame` is the stack from the header's base on. It is for gather alone, which leaves the bytes
/// as they are where the base makes no sense: whoever asks looks at the header too.
enum class Range : uint32_t { header, state, stack, memory, out, err, frame };

/// KernelId::gather and scatter: moves bytes between an instance's range and a flat buffer.
struct Move {
  abi::LaneRef lane;
  uint64_t offset;  // in the range
  uint64_t bytes;
  uint64_t at;  // in the flat buffer
  Range range;
  uint32_t reserved;
};
struct MoveLanes {
  const abi::Pool* pools;
  const Move* moves;
  uint8_t* flat;
};

/// Host calls that a device can serve by itself: those of WASI, in the virtual world.
enum class Service : uint32_t { none, clock_time_get, random_get, fd_write };
struct ServiceWorld {
  uint64_t seed;
  uint64_t clock_start_ns;
  uint32_t metered;  // 0: the clock does not follow fuel
};

/// KernelId::serve, of lanes that wait for one import.
struct ServeLanes {
  const abi::Pool* pools;
  const abi::LaneRef* lanes;
  uint8_t* served;  // of each lane: 1 where it can go on, 0 where it still waits
  ServiceWorld world;
  uint64_t memory_at;  // byte in the memory range, of the memory that the import sees
  uint32_t memory;     // which that is
  Service service;
};

}  // namespace warphive::kernels
