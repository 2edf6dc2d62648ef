// SPDX-License-Identifier: Apache-2.0
#include "exec/tile.hpp"

#include <cstring>

#include "base/check.hpp"
#include "exec/loop.hpp"
#include "exec/native.hpp"
#include "exec/native_helpers.hpp"
#include "exec/place_call.hpp"
#include "exec/tile_machine.hpp"

namespace warphive::exec {

template <abi::TileShape shape>
WARPHIVE_CALLS_NATIVE int64_t TileMachine<shape>::call_thunk(const abi::NativeTarget& target,
                                                             TileContext& context, uint64_t frame,
                                                             int64_t fuel) {
  return target.thunk(&context, frame, fuel, target.code);
}
template <abi::TileShape shape>
WARPHIVE_CALLS_NATIVE int64_t TileMachine<shape>::call_resume(abi::NativeResumeCode code,
                                                              TileContext& context, uint64_t frame,
                                                              int64_t fuel, uint32_t insn) {
  return code(&context, frame, fuel, insn);
}

namespace {

/// With the types that the host's table has, so that compiled code finds helpers in one way.
template <class M>
struct Helpers {
  using Own = NativeHelpersOf<M>;
  static TileContext* own(HostContext* context) { return reinterpret_cast<TileContext*>(context); }
  static int64_t refill(HostContext* context, uint64_t frame, int64_t fuel, uint32_t need,
                        uint32_t insn) {
    return Own::refill(own(context), frame, fuel, need, insn);
  }
  static int64_t step(HostContext* context, uint64_t frame, int64_t fuel, uint32_t insn) {
    return Own::step(own(context), frame, fuel, insn);
  }
  static int64_t trap(HostContext* context, uint64_t frame, int64_t fuel, uint32_t insn,
                      uint32_t kind) {
    return Own::trap_at(own(context), frame, fuel, insn, kind);
  }
  static int64_t behind_call(HostContext* context, uint64_t frame, int64_t left, uint32_t need,
                             uint32_t insn, uint64_t value, uint64_t index) {
    return Own::behind_call(own(context), frame, left, need, insn, value, index);
  }
  static constexpr NativeHelpers table = {refill, step, trap, behind_call};
};

template <abi::TileShape shape>
void run_slices(const abi::RunParams& params, abi::LaneRef lane, const abi::NativeCode* native,
                TileRun& run) {
  using M = TileMachine<shape>;
  TileContext context = tile_context<shape>(params, lane);
  abi::InstanceHeader& header = *context.header;
  context.helpers = &Helpers<M>::table;
  context.native_floor = native_stack_floor();
  const auto left = [&] {
    context.granted = 0;
    run.slices += context.sliced ? 1 : 0;
    return header.exit == abi::Exit::ready;
  };
  for (;;) {
    const std::uint64_t used = header.fuel_used;
    context.slice_end = run.slice < ~used ? used + run.slice : ~std::uint64_t{0};
    context.sliced = false;
    // As rounds of a device would: one tier, then the other where it left off.
    if (native != nullptr && !context.walks) {
      run_native<M>(context, *native);
      if (!left()) return;
      if (context.sliced) continue;
    }
    ++run.interpreted;
    context.native = context.walks ? nullptr : native;
    context.polls = 0;
    context.first_pc = header.pc;
    const std::uint64_t before = header.fuel_used;
    run_loop(M::resume(context, 0));
    run.interpreted_units += header.fuel_used - before;
    if (!left()) return;
  }
}

bool is(const abi::TileShape& a, const abi::TileShape& b) {
  return a.lanes == b.lanes && a.memory_cell == b.memory_cell;
}

}  // namespace

bool begin_tile_call(const abi::TileShape& shape, const abi::Pool& pool, uint32_t slot,
                     uint32_t function, const uint64_t* args) {
  const auto place = [&](const auto& stack) {
    return place_call(pool, slot, function, args, stack);
  };
  if (is(shape, tile_shapes[0])) return place(TileStack<tile_shapes[0]>(pool, slot));
  WARPHIVE_CHECK(is(shape, tile_shapes[1]));
  return place(TileStack<tile_shapes[1]>(pool, slot));
}

void run_tile_lane(const abi::TileShape& shape, const abi::RunParams& params, abi::LaneRef lane,
                   const abi::NativeCode* native) {
  TileRun run;
  run_tile_lane(shape, params, lane, native, run);
}
void run_tile_lane(const abi::TileShape& shape, const abi::RunParams& params, abi::LaneRef lane,
                   const abi::NativeCode* native, TileRun& run) {
  if (is(shape, tile_shapes[0])) {
    run_slices<tile_shapes[0]>(params, lane, native, run);
  } else {
    WARPHIVE_CHECK(is(shape, tile_shapes[1]));
    run_slices<tile_shapes[1]>(params, lane, native, run);
  }
}

TilePool::TilePool(const abi::TileShape& shape, const abi::Code& code,
                   const abi::ProgramLayout& layout, std::uint32_t tiles, bool metered,
                   std::uint8_t fill)
    : shape_(shape), tiles_(tiles) {
  const std::uint64_t count = slots();
  headers_.reset(reinterpret_cast<abi::InstanceHeader*>(
      allocate(count * sizeof(abi::InstanceHeader), fill).release()));
  pool_.code = &code;
  pool_.layout = &layout;
  pool_.headers = headers_.get();
  pool_.memory_stride = layout.memory_bytes;
  pool_.state_stride = layout.state_bytes;
  pool_.stack_stride = layout.stack_slots;
  pool_.metered = metered ? 1 : 0;
  state_ = allocate(count * bytes(Slab::state), fill);
  stack_ = allocate(count * bytes(Slab::stack), fill);
  memory_ = allocate(count * bytes(Slab::memory), fill);
  pool_.state = state_.get();
  pool_.stack = reinterpret_cast<std::uint64_t*>(stack_.get());
  pool_.memory = memory_.get();
}

TilePool::Owned<std::uint8_t> TilePool::allocate(std::uint64_t bytes, std::uint8_t fill) const {
  auto* memory = static_cast<std::uint8_t*>(std::calloc(bytes + 1, 1));
  WARPHIVE_CHECK(memory != nullptr);
  if (fill != 0) std::memset(memory, fill, bytes);
  return Owned<std::uint8_t>(memory);
}

std::uint64_t TilePool::bytes(Slab slab) const {
  switch (slab) {
    case Slab::state:
      return pool_.state_stride;
    case Slab::stack:
      return std::uint64_t{pool_.stack_stride} * 8;
    case Slab::memory:
      return pool_.memory_stride;
  }
  WARPHIVE_UNREACHABLE();
}

std::uint8_t* TilePool::byte(Slab slab, std::uint32_t slot, std::uint64_t at) const {
  const std::uint32_t cell = cell_of(slab);
  std::uint8_t* const base = slab == Slab::memory  ? memory_.get()
                             : slab == Slab::state ? state_.get()
                                                   : stack_.get();
  return base + abi::lane_start(slot, bytes(slab), cell, shape_.lanes) +
         abi::in_tile(at, cell, shape_.lanes);
}

void TilePool::read(Slab slab, std::uint32_t slot, std::uint64_t at,
                    std::span<std::uint8_t> to) const {
  for (std::size_t i = 0; i < to.size(); ++i) to[i] = *byte(slab, slot, at + i);
}
void TilePool::write(Slab slab, std::uint32_t slot, std::uint64_t at,
                     std::span<const std::uint8_t> from) {
  for (std::size_t i = 0; i < from.size(); ++i) *byte(slab, slot, at + i) = from[i];
}
void TilePool::fill(Slab slab, std::uint32_t slot, std::uint8_t value) {
  for (std::uint64_t at = 0; at < bytes(slab); ++at) *byte(slab, slot, at) = value;
}
bool TilePool::holds_only(std::uint32_t slot, std::uint8_t value) const {
  for (const Slab slab : {Slab::state, Slab::stack, Slab::memory}) {
    const std::uint32_t cell = cell_of(slab);
    const std::uint64_t size = bytes(slab);
    for (std::uint64_t at = 0; at < size; at += cell) {
      const std::uint8_t* const first = byte(slab, slot, at);
      for (std::uint32_t i = 0; i < cell; ++i) {
        if (first[i] != value) return false;
      }
    }
  }
  const auto* header = reinterpret_cast<const std::uint8_t*>(headers_.get() + slot);
  for (std::size_t i = 0; i < sizeof(abi::InstanceHeader); ++i) {
    if (header[i] != value) return false;
  }
  return true;
}

}  // namespace warphive::exec
