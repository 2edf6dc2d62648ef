// SPDX-License-Identifier: Apache-2.0
// What one lane of each kernel does on devices where instances lie in tiles. Freestanding.
#pragma once

#include <stdint.h>

#include "abi/tile.hpp"
#include "exec/bodies.hpp"
#include "exec/place_call.hpp"
#include "exec/tile_machine.hpp"
#include "kernels/lanes.hpp"
#include "kernels/params.hpp"

namespace warphive::kernels {

inline constexpr abi::TileShape tile_shape = {};
using LaneMachine = exec::TileMachine<tile_shape>;
using LaneStack = exec::TileStack<tile_shape>;

/// Ranges in tiles (abi/tile.hpp); headers and output are records by slot.
struct Tiled {
  struct Cells {
    uint8_t* first;
    uint32_t cell;
    [[nodiscard]] uint8_t* at(uint64_t offset) const {
      return first + abi::in_tile(offset, cell, tile_shape.lanes);
    }
  };
  static Cells cells(const abi::Pool& pool, uint32_t slot, Range range) {
    const bool is_memory = range == Range::memory;
    const bool is_state = range == Range::state;
    uint8_t* const slab = is_memory  ? pool.memory
                          : is_state ? pool.state
                                     : reinterpret_cast<uint8_t*>(pool.stack);
    const uint64_t stride = is_memory  ? pool.memory_stride
                            : is_state ? pool.state_stride
                                       : uint64_t{pool.stack_stride} * 8;
    const uint32_t cell = is_memory ? tile_shape.memory_cell : abi::value_cell;
    return {slab + abi::lane_start(slot, stride, cell, tile_shape.lanes), cell};
  }
  static void copy_in(const abi::Pool& pool, uint32_t slot, Range range, uint64_t offset,
                      const uint8_t* from, uint64_t n) {
    if (n == 0) return;  // there may be no such range
    if (!in_tiles(range)) {
      __builtin_memcpy(record(pool, slot, range) + offset, from, n);
      return;
    }
    const Cells to = cells(pool, slot, range);
    each_part(
        offset, n, [&](uint64_t i) { *to.at(offset + i) = from[i]; },
        [&](uint64_t i) { __builtin_memcpy(word(to.at(offset + i)), from + i, 4); });
  }
  static void copy_out(const abi::Pool& pool, uint32_t slot, Range range, uint64_t offset,
                       uint8_t* to, uint64_t n) {
    if (n == 0) return;
    if (!in_tiles(range)) {
      __builtin_memcpy(to, record(pool, slot, range) + offset, n);
      return;
    }
    const Cells from = cells(pool, slot, range);
    each_part(
        offset, n, [&](uint64_t i) { to[i] = *from.at(offset + i); },
        [&](uint64_t i) { __builtin_memcpy(to + i, word(from.at(offset + i)), 4); });
  }
  static void clear(const abi::Pool& pool, uint32_t slot, Range range, uint64_t offset,
                    uint64_t words) {
    const Cells to = cells(pool, slot, range);
    for (uint64_t i = 0; i < words; ++i) *word(to.at(offset + 4 * i)) = 0;
  }

 private:
  static bool in_tiles(Range range) {
    return range == Range::memory || range == Range::state || range == Range::stack;
  }
  static uint8_t* record(const abi::Pool& pool, uint32_t slot, Range range) {
    const uint64_t at = slot;
    if (range == Range::header) return reinterpret_cast<uint8_t*>(pool.headers + slot);
    return (range == Range::out ? pool.out : pool.err) + at * pool.out_capacity;
  }
  static uint32_t* word(uint8_t* bytes) {
    return reinterpret_cast<uint32_t*>(__builtin_assume_aligned(bytes, 4));
  }
  /// Bytes up to the first word of the range, its words, and the bytes behind the last one.
  template <class Byte, class Word>
  static void each_part(uint64_t offset, uint64_t n, Byte byte, Word whole) {
    uint64_t i = 0;
    for (; i < n && (offset + i) % 4 != 0; ++i) byte(i);
    for (; n - i >= 4; i += 4) whole(i);
    for (; i < n; ++i) byte(i);
  }
};

/// Ops on vectors, apart from the loop below: their lanes would take its registers.
__attribute__((noinline)) inline exec::Step vector_step(LaneMachine& m) {
  switch (m.insn().op) {
#define WARPHIVE_OP(name, ...)                              \
  case static_cast<uint16_t>(ir::Op::name): {               \
    using Body = exec::bodies::Body<ir::Op::name>;          \
    const exec::Step step = Body::run(m);                   \
    return step == exec::Step::slow ? Body::slow(m) : step; \
  }
#include "ir/ops_simd.inc"
#undef WARPHIVE_OP
    default:
      __builtin_unreachable();
  }
}

/// All out-of-line bodies in one function, so that the loop below has one place that calls it.
__attribute__((noinline)) inline exec::Step slow_step(LaneMachine& m) {
  switch (m.insn().op) {
#define WARPHIVE_OP(name, ...)              \
  case static_cast<uint16_t>(ir::Op::name): \
    return exec::bodies::Body<ir::Op::name>::slow(m);
#define WARPHIVE_WITHOUT_VECTORS
#include "ir/ops.inc"
#define WARPHIVE_OP(name, ...) case static_cast<uint16_t>(ir::Op::name):
#include "ir/ops_simd.inc"
#undef WARPHIVE_OP
    return vector_step(m);
    default:  // the encoder makes nothing else but the stop at instruction 0
      return exec::bodies::StopBody::slow(m);
  }
}

/// The loop dispatcher (exec/loop.hpp) for lanes that share an instruction stream.
__attribute__((always_inline)) inline void run_loop(LaneMachine m) {
  for (;;) {
    m.fetch();
    exec::Step step = exec::Step::slow;
    switch (m.insn().op) {
#define WARPHIVE_OP(name, ...)                       \
  case static_cast<uint16_t>(ir::Op::name):          \
    step = exec::bodies::Body<ir::Op::name>::run(m); \
    break;
#include "ir/ops.inc"
#undef WARPHIVE_WITHOUT_VECTORS
      default:
        break;
    }
    if (step != exec::Step::slow) continue;
    LaneMachine copy = m;  // taking the address of the loop's own would keep it in memory
    if (slow_step(copy) == exec::Step::stop) return;
    m = copy;
  }
}

/// As exec::begin_call, in a tile; `Run` is as exec::run_lane.
template <class Run>
struct TileRunner {
  const RunLanes& params;
  abi::LaneRef lane;
  GoesOn& goes_on;  // says who, if the lane is left as ready

  bool begin(uint32_t function, const uint64_t* args) const {
    const abi::Pool& pool = params.run.pools[lane.pool];
    return exec::place_call(pool, lane.slot, function, args, LaneStack(pool, lane.slot));
  }
  void run() const {
    exec::TileContext context = exec::tile_context<tile_shape>(params.run, lane);
    const uint64_t used = context.header->fuel_used;
    context.slice_end = params.slice < ~used ? used + params.slice : ~uint64_t{0};
    goes_on = Run::run(params, context, goes_on);
  }
};

/// `before`: why an interpreter runs the lane, if compiled code left it.
inline GoesOn interpret(const RunLanes& params, exec::TileContext& context, GoesOn before) {
  context.native = before == GoesOn::walker ? nullptr : params.native;
  if (before == GoesOn::interpreter) context.polls = LaneMachine::polls_before_grant;
  run_loop(LaneMachine::resume(context, 0));
  return context.sliced ? GoesOn::next_round : GoesOn::compiled;
}
struct Interpret {
  static GoesOn run(const RunLanes& params, exec::TileContext& context, GoesOn before) {
    // What the kernel keeps around the loop would take registers from it: ptxas inlines what it
    // sees to be called at one place.
    GoesOn (*loop)(const RunLanes&, exec::TileContext&, GoesOn) = interpret;
#if defined(__NVPTX__)
    asm volatile("" : "+l"(loop));
#endif
    return loop(params, context, before);
  }
};
inline GoesOn behind_compiled_code(const exec::TileContext& context, GoesOn before) {
  if (context.sliced) return GoesOn::next_round;
  if (context.walks) return GoesOn::walker;
  return before == GoesOn::compiled ? GoesOn::interpreter : GoesOn::hunter;
}

/// What a lane adds to ProgressWords.
struct LaneProgress {
  bool is_done;
  uint64_t instructions;
};

/// One lane does it for its warp, since additions to one word come one after the other. All lanes
/// of the warp must come here.
inline void add_progress(ProgressWords& progress, LaneProgress lane) {
#if defined(__NVPTX__)
  constexpr uint32_t all = ~uint32_t{0};
  const uint32_t done = __nvvm_vote_ballot_sync(all, lane.is_done);
  uint64_t sum = lane.instructions;
  for (int distance = tile_shape.lanes / 2; distance != 0; distance /= 2) {
    const auto low = static_cast<uint32_t>(
        __nvvm_shfl_sync_bfly_i32(all, static_cast<int>(sum), distance, tile_shape.lanes - 1));
    const auto high = static_cast<uint32_t>(__nvvm_shfl_sync_bfly_i32(
        all, static_cast<int>(sum >> 32), distance, tile_shape.lanes - 1));
    sum += uint64_t{high} << 32 | low;
  }
  if (__nvvm_read_ptx_sreg_laneid() != 0) return;
  lane = {done != 0, sum};
  const uint64_t count = __builtin_popcount(done);
#else
  const uint64_t count = 1;
#endif
  if (lane.is_done) __atomic_fetch_add(&progress.instances_done, count, __ATOMIC_RELAXED);
  if (lane.instructions != 0) {
    __atomic_fetch_add(&progress.instructions, lane.instructions, __ATOMIC_RELAXED);
  }
}

template <class Run>
LaneProgress run_lane_of_tile(const RunLanes& params, uint32_t thread) {
  const uint32_t in_warp = thread % tile_shape.lanes;
  const uint32_t lane = thread / tile_shape.lanes * params.warp_lanes + in_warp;
  if (in_warp >= params.warp_lanes || lane >= params.lane_count) return {};
  const bool is_even = params.calls == nullptr;
  const abi::LaneRef ref =
      is_even ? params.even.lane(params.first_lane + lane) : params.run.lanes[lane];
  LaneCall call = is_even ? params.even.call(params.first_lane + lane) : params.calls[lane];
  Outcome& outcome = params.outcomes[call.call];
  auto goes_on = GoesOn::hunter;
  if (params.round != Round::first) {
    const bool is_rest = params.round == Round::rest;
    if (is_rest && outcome.exit != abi::Exit::ready) return {};
    goes_on = static_cast<GoesOn>(outcome.host_import);
    if (is_rest && goes_on >= GoesOn::next_round) return {};
    go_on(outcome, call);
  }
  const abi::Pool& pool = params.run.pools[ref.pool];
  abi::InstanceHeader& header = pool.headers[ref.slot];
  const uint64_t fuel_before = header.fuel_used;
  if (params.round == Round::first) header.fuel_left = params.fuel;
  const bool final_call = run_calls(params, header, params.pool_calls[ref.pool], call,
                                    TileRunner<Run>{params, ref, goes_on});
  report<Tiled>(params, pool, ref.slot, call, LaneStack(pool, ref.slot), fuel_before, final_call);
  if (header.exit == abi::Exit::ready) {
    outcome.host_import = static_cast<uint32_t>(goes_on);
    if (goes_on >= GoesOn::next_round) {
      const uint64_t at = __atomic_fetch_add(&params.progress->left, 1, __ATOMIC_RELAXED);
      params.left[at] = params.first_lane + lane;
    }
  }
  const bool is_done = header.exit != abi::Exit::parked && header.exit != abi::Exit::ready;
  return {is_done, header.fuel_used - fuel_before};
}

template <class Run>
void run_tile_lane(const RunLanes& params, uint32_t thread) {
  add_progress(*params.progress, run_lane_of_tile<Run>(params, thread));
}

/// Zeroes what an instance may have written: memories up to their sizes, and its stack if asked.
inline void wipe_lane(const WipeLanes& params, uint32_t lane) {
  const abi::Pool& pool = params.pool;
  const uint32_t slot = params.slots[lane];
  const abi::ProgramLayout& layout = *pool.layout;
  for (uint32_t m = 0; m < layout.memory_count; ++m) {
    uint32_t pages = 0;
    Tiled::copy_out(pool, slot, Range::state, layout.memory_pages_at + 4 * m,
                    reinterpret_cast<uint8_t*>(&pages), 4);
    Tiled::clear(pool, slot, Range::memory, layout.memories[m].at,
                 uint64_t{pages} * (abi::page_bytes / 4));
  }
  if (params.stacks != 0) {
    Tiled::clear(pool, slot, Range::stack, 0, uint64_t{layout.stack_slots} * 2);
  }
}

}  // namespace warphive::kernels
