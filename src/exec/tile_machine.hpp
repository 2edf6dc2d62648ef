// SPDX-License-Identifier: Apache-2.0
// The machine of devices: one lane of a tile (abi/tile.hpp). Freestanding: kernels include it, and
// hosts run it to show what they compute.
#pragma once

#include <stdint.h>

#include "abi/state.hpp"
#include "abi/tile.hpp"
#include "exec/machine.hpp"
#include "exec/native_lookup.hpp"
#include "exec/stop_word.hpp"

namespace warphive::exec {

struct NativeHelpers;

/// What of a lane does not fit in registers, valid for one run. Pointers into the lane's ranges are
/// to the first cell of where they start; what lies further is found by abi::in_tile.
struct TileContext {
  const abi::Insn* insns;
  const abi::FunctionEntry* functions;
  const uint64_t* branches;
  const abi::Code* code;
  const abi::ProgramLayout* layout;
  const abi::Pool* pool;
  abi::InstanceHeader* header;
  const abi::RunParams* params;
  abi::LaneRef lane;
  uint32_t depth;
  uint32_t max_depth;
  uint64_t granted;
  uint8_t* stack;
  uint8_t* memory;  // the whole memory range
  uint8_t* state;

  // For compiled code, which finds these by their offsets.
  uint8_t* stack_end;
  uint8_t* memory0;  // of memory 0
  uint64_t limit0;   // its current bytes
  uint8_t* globals;
  uint8_t* table0;       // elements of table 0
  uint8_t* table_sizes;  // uint32_t each
  const abi::NativeTarget* targets;
  const NativeHelpers* helpers;  // hosts only; on devices helpers are linked
  uint64_t native_floor;         // what lies below it of the native stack is kept free
  int64_t refused_fuel;          // with abi::native_refused: what was left

  // For whoever decides between interpreter and compiled code.
  const abi::NativeCode* native;  // to go over to from the interpreter; nullptr: none
  uint32_t polls;                 // while there is some: see TileMachine::switch_wanted
  uint32_t first_pc;              // where compiled code left the lane, until the first poll
  bool walks;                     // the budget ends before the next check of compiled code
  bool sliced;                    // this run ended at slice_end
  uint64_t slice_end;             // of InstanceHeader::fuel_used, where this run shall end as ready

  // For TileMachine::quantum.
  uint64_t quantum;    // what it last said
  uint64_t polled_at;  // by the clock of the processor that runs this
};

/// `pools` of params are in tiles of `shape`.
template <abi::TileShape shape>
TileContext tile_context(const abi::RunParams& params, abi::LaneRef lane) {
  const abi::Pool& pool = params.pools[lane.pool];
  const abi::ProgramLayout& layout = *pool.layout;
  constexpr uint32_t lanes = shape.lanes;
  const auto lane_of = [&](auto* slab, uint64_t stride, uint32_t cell) {
    auto* const bytes = reinterpret_cast<uint8_t*>(slab);
    // A program may have no state.
    return bytes == nullptr ? bytes : bytes + abi::lane_start(lane.slot, stride, cell, lanes);
  };
  uint8_t* const state = lane_of(pool.state, pool.state_stride, abi::value_cell);
  uint8_t* const stack = lane_of(pool.stack, uint64_t{pool.stack_stride} * 8, abi::value_cell);
  TileContext context = {};
  context.insns = pool.code->insns;
  context.functions = pool.code->functions;
  context.branches = pool.code->branches;
  context.code = pool.code;
  context.layout = &layout;
  context.pool = &pool;
  context.header = &pool.headers[lane.slot];
  context.params = &params;
  context.quantum = params.quantum;
  context.slice_end = ~uint64_t{0};
  context.first_pc = context.header->pc;
  context.lane = lane;
  context.depth = context.header->depth;
  context.max_depth = layout.max_depth;
  context.stack = stack;
  context.memory = lane_of(pool.memory, pool.memory_stride, shape.memory_cell);
  context.state = state;
  context.stack_end = stack + uint64_t{layout.stack_slots} * 8 * lanes;
  context.globals = state + uint64_t{layout.globals_at} * lanes;
  context.table0 =
      layout.table_count == 0 ? nullptr : state + uint64_t{layout.tables[0].at} * lanes;
  context.table_sizes = state + uint64_t{layout.table_sizes_at} * lanes;
  return context;
}

/// The slots of an instance's stack, from its bottom.
template <abi::TileShape shape>
class TileStack {
 public:
  TileStack(const abi::Pool& pool, uint32_t slot)
      : first_(pool.stack + abi::lane_start(slot, uint64_t{pool.stack_stride} * 8, abi::value_cell,
                                            shape.lanes) /
                                8) {}
  uint64_t& operator[](uint64_t i) const { return first_[i * shape.lanes]; }

 private:
  uint64_t* first_;
};

template <abi::TileShape shape>
class TileMachine {
 public:
  using Context = TileContext;
  static constexpr uint32_t lanes = shape.lanes;
  static constexpr uint32_t cell = shape.memory_cell;
  /// TileContext::polls when a whole grant comes next: first, where a run begins with it.
  static constexpr uint32_t polls_before_grant = 1023;

  TileMachine(const abi::Insn* pc, uint8_t* fp, int64_t fuel, TileContext* context)
      : pc_(pc),
        fp_(fp),
        memory_(context->memory0),
        limit_(context->limit0),
        fuel_(fuel),
        context_(context) {}
  /// At the header's pc. With an empty grant, the first charge polls the stop word.
  static TileMachine resume(TileContext& context, int64_t fuel) {
    const abi::InstanceHeader& header = *context.header;
    context.depth = header.depth;
    TileMachine m(context.insns + header.pc, context.stack + slot_bytes(header.base), fuel,
                  &context);
    m.reload();
    return m;
  }

  // For compiled code: see exec/native_helpers.hpp.
  static TileMachine at(TileContext& context, uint64_t frame, int64_t fuel, uint32_t insn) {
    context.depth = context.max_depth - static_cast<uint32_t>(frame >> 32);
    TileMachine m(context.insns + insn,
                  context.stack_end - slot_bytes(static_cast<uint32_t>(frame)), fuel, &context);
    m.fetch();
    return m;
  }
  static int64_t call_thunk(const abi::NativeTarget& target, TileContext& context, uint64_t frame,
                            int64_t fuel);
  static int64_t call_resume(abi::NativeResumeCode code, TileContext& context, uint64_t frame,
                             int64_t fuel, uint32_t insn);
  static uint16_t opcode(const abi::Insn& insn) { return insn.op; }

  uint32_t index() const { return static_cast<uint32_t>(pc_ - context_->insns); }
#if defined(__NVPTX__)
  /// Reads the instruction that runs next, in one access: dispatchers begin with it.
  void fetch() { current_ = fetched(pc_); }
  const abi::Insn& insn() const { return current_; }
  abi::Insn insn_at(uint32_t index) const { return fetched(context_->insns + index); }
#else
  void fetch() {}
  const abi::Insn& insn() const { return *pc_; }
  const abi::Insn& insn_at(uint32_t index) const { return context_->insns[index]; }
#endif
  void advance() { ++pc_; }
  void jump(uint32_t index) { pc_ = context_->insns + index; }

  uint64_t slot(uint32_t index) const { return read<uint64_t>(fp_ + slot_bytes(index)); }
  void set_slot(uint32_t index, uint64_t value) { write(fp_ + slot_bytes(index), value); }
  void clear_slots(uint32_t first, uint32_t count) {
    for (uint32_t i = 0; i < count; ++i) set_slot(first + i, 0);
  }
  void push_frame(uint32_t distance) {
    fp_ += slot_bytes(distance);
    ++context_->depth;
  }
  void pop_frame(uint32_t distance) {
    fp_ -= slot_bytes(distance);
    --context_->depth;
  }
  bool frame_fits(uint32_t distance, uint32_t frame_slots) const {
    return fp_ + slot_bytes(distance) + slot_bytes(frame_slots) <= context_->stack_end &&
           context_->depth < context_->max_depth;
  }

  int64_t fuel() const { return fuel_; }
  int64_t& fuel() { return fuel_; }
  uint64_t& granted() { return context_->granted; }

  uint64_t limit() const { return limit_; }
  template <class T>
  T load(uint64_t address) const {
    return load_from<T>(memory_, address);
  }
  template <class T>
  void store(uint64_t address, T value) {
    store_to(memory_, address, value);
  }
  template <class T>
  T memory_load(uint32_t memory, uint64_t address) const {
    return load_from<T>(memory_at(memory), address);
  }
  template <class T>
  void memory_store(uint32_t memory, uint64_t address, T value) {
    store_to(memory_at(memory), address, value);
  }
  void memory_fill(uint32_t memory, uint32_t at, uint8_t value, uint32_t n) {
    uint8_t* const base = memory_at(memory);
    for (uint32_t i = 0; i < n; ++i) set_byte(base, uint64_t{at} + i, value);
  }
  void memory_move(uint32_t to, uint32_t to_at, uint32_t from, uint32_t from_at, uint32_t n) {
    uint8_t* const target = memory_at(to);
    uint8_t* const source = memory_at(from);
    const bool backwards = to == from && to_at > from_at;
    for (uint32_t k = 0; k < n; ++k) {
      const uint64_t i = backwards ? n - 1 - k : k;
      set_byte(target, to_at + i, byte_at(source, from_at + i));
    }
  }
  void memory_init(uint32_t memory, uint32_t at, uint32_t first, uint32_t n) {
    uint8_t* const base = memory_at(memory);
    for (uint32_t i = 0; i < n; ++i) {
      set_byte(base, uint64_t{at} + i, context_->code->data[uint64_t{first} + i]);
    }
  }

  uint32_t state32(uint32_t at) const { return read<uint32_t>(state_at(at)); }
  void set_state32(uint32_t at, uint32_t value) { write(state_at(at), value); }
  uint64_t state64(uint32_t at) const { return read<uint64_t>(state_at(at)); }
  void set_state64(uint32_t at, uint64_t value) { write(state_at(at), value); }
  uint64_t global(uint32_t index) const {
    return state64(context_->layout->globals_at + 8 * index);
  }
  void set_global(uint32_t index, uint64_t value) {
    set_state64(context_->layout->globals_at + 8 * index, value);
  }

  const abi::FunctionEntry& function(uint32_t index) const { return context_->functions[index]; }
  uint64_t branch_target(uint32_t index) const { return context_->branches[index]; }
  const abi::Code& code() const { return *context_->code; }
  const abi::ProgramLayout& layout() const { return *context_->layout; }
  const abi::Pool& pool() const { return *context_->pool; }
  abi::InstanceHeader& header() { return *context_->header; }
  const abi::RunParams& params() const { return *context_->params; }

  void save(uint32_t index) {
    abi::InstanceHeader& header = *context_->header;
    header.pc = index;
    header.base =
        static_cast<uint32_t>(static_cast<uint64_t>(fp_ - context_->stack) / (uint64_t{8} * lanes));
    header.depth = context_->depth;
  }
  /// Ends the slice where the lane shall be left for the next round.
  bool stop_raised() {
    const uint32_t word = exec::stop_word(*context_->params);
    if (word == abi::stop_round) context_->slice_end = 0;
    return word == abi::stop_now;
  }
#if defined(__NVPTX__)
  abi::Exit serve(uint32_t) { return abi::Exit::parked; }
#else
  /// Host functions see contiguous values.
  abi::Exit serve(uint32_t import) {
    const abi::RunParams& params = *context_->params;
    if (params.host_call == nullptr) return abi::Exit::parked;
    const uint32_t function = function_holding(*context_->code, index());
    const uint32_t count = context_->functions[function].header_slot;
    uint64_t values[most_host_values];
    if (count > most_host_values) return abi::Exit::internal;
    for (uint32_t i = 0; i < count; ++i) values[i] = slot(i);
    const abi::Exit exit =
        params.host_call(&params, context_->pool, context_->lane, import, values);
    for (uint32_t i = 0; i < count; ++i) set_slot(i, values[i]);
    return exit;
  }
#endif
  void reload() {
    const abi::ProgramLayout& layout = *context_->layout;
    if (layout.memory_count == 0) return;
    memory_ = context_->memory0 = memory_at(0);
    limit_ = context_->limit0 = memory_bytes(*this, 0);
  }
  /// Whether this run shall end at `at`, for compiled code to go on. That is not looked for where
  /// compiled code left the lane, so that each run gets on, then at each charge; a whole grant now
  /// and then keeps the cost of looking low.
  bool switch_wanted(uint32_t at) {
    if (slice_ended()) return true;
    if (context_->native == nullptr) return false;
    const bool grants = context_->polls == polls_before_grant;
    const bool looks = !grants && at != context_->first_pc;
    context_->first_pc = ~uint32_t{0};
    context_->polls = grants ? 0 : context_->polls + 1;
    return looks && can_enter(*context_->code, *context_->native, at);
  }
  /// Whether this run has had its share: another one goes on.
  bool slice_ended() {
    context_->sliced = header().fuel_used >= context_->slice_end;
    return context_->sliced;
  }
  /// Charge units until the next poll, none behind the end of the slice.
  uint64_t quantum() {
    const uint64_t most = context_->slice_end - header().fuel_used;
    const uint64_t units = grant();
    return units < most ? units : most;
  }
  bool hunts() const { return context_->native != nullptr && context_->polls != 0; }

 private:
  /// On a device the lanes of a warp come to their polls one after another while the others wait,
  /// so a poll must be rare in time, not only in instructions: what a lane runs in a second goes
  /// from a million to a billion. At least what the dispatch says.
  uint64_t grant() {
#if defined(__NVPTX__)
    constexpr uint64_t cycles = 1'000'000;  // half a millisecond
    constexpr uint64_t most = 65'536;       // a program may become slower all at once
    const uint64_t now = __nvvm_read_ptx_sreg_clock64();
    const uint64_t passed = now - context_->polled_at;
    context_->polled_at = now;
    uint64_t units = context_->quantum;
    if (passed > cycles) {
      units /= 4;
    } else if (passed < cycles / 2 && units < most) {
      units *= 2;
    }
    if (units < context_->params->quantum) units = context_->params->quantum;
    context_->quantum = units;
    return units;
#else
    return context_->quantum;
#endif
  }
  static constexpr uint32_t most_host_values = 1024;
  template <class T>
  static constexpr bool is_vector = sizeof(T) == sizeof(abi::Vector);

  static constexpr uint64_t slot_bytes(uint32_t slots) { return uint64_t{slots} * 8 * lanes; }
#if defined(__NVPTX__)
  static abi::Insn fetched(const abi::Insn* at) {
    using Words = uint32_t __attribute__((ext_vector_type(4)));
    const Words words = __nvvm_ldg_ui4(reinterpret_cast<const Words*>(at));
    return {.op = static_cast<uint16_t>(words.x),
            .a = static_cast<uint16_t>(words.x >> 16),
            .b = static_cast<uint16_t>(words.y),
            .c = static_cast<uint16_t>(words.y >> 16),
            .imm = words.z | uint64_t{words.w} << 32};
  }
  // Ranges lie in the device's own memory, which is an address space of its own.
  template <class T>
  static T read(const uint8_t* from) {
    return *(const __attribute__((address_space(1))) T*)from;
  }
  template <class T>
  static void write(uint8_t* to, T value) {
    *(__attribute__((address_space(1))) T*)to = value;
  }
#else
  template <class T>
  static T read(const uint8_t* from) {
    using Any [[gnu::may_alias]] = const T;
    return *reinterpret_cast<Any*>(from);
  }
  template <class T>
  static void write(uint8_t* to, T value) {
    using Any [[gnu::may_alias]] = T;
    *reinterpret_cast<Any*>(to) = value;
  }
#endif
  uint8_t* state_at(uint32_t at) const {
    return context_->state + abi::in_tile(at, abi::value_cell, lanes);
  }
  static uint8_t byte_at(const uint8_t* base, uint64_t address) {
    return read<uint8_t>(base + abi::in_tile(address, cell, lanes));
  }
  static void set_byte(uint8_t* base, uint64_t address, uint8_t value) {
    write(base + abi::in_tile(address, cell, lanes), value);
  }
  /// Never misaligned: byte by byte where the address is. Vectors are two halves.
  template <class T>
  static T load_from(uint8_t* base, uint64_t address) {
    if constexpr (is_vector<T>) {
      return {load_from<uint64_t>(base, address), load_from<uint64_t>(base, address + 8)};
    } else {
      return load_number<T>(base, address);
    }
  }
  template <class T>
  static void store_to(uint8_t* base, uint64_t address, T value) {
    if constexpr (is_vector<T>) {
      store_to(base, address, value.low);
      store_to(base, address + 8, value.high);
    } else {
      store_number(base, address, value);
    }
  }
  template <class T>
  static T load_number(uint8_t* base, uint64_t address) {
    using Bits = decltype(bits_like<T>());
    constexpr uint32_t part = sizeof(T) < cell ? sizeof(T) : cell;
    const uint8_t* const first = base + abi::in_tile(address, cell, lanes);
    Bits bits = 0;
    if (address % part != 0) {
      for (uint32_t i = 0; i < sizeof(T); ++i) {
        bits = static_cast<Bits>(bits | Bits{byte_at(base, address + i)} << (8 * i));
      }
    } else if constexpr (part == sizeof(T)) {
      return read<T>(first);
    } else {
      using Part = decltype(bits_of<part>());
      for (uint32_t i = 0; i < sizeof(T) / part; ++i) {
        bits |= Bits{read<Part>(first + uint64_t{i} * cell * lanes)} << (8 * part * i);
      }
    }
    return static_cast<T>(bits);
  }
  template <class T>
  static void store_number(uint8_t* base, uint64_t address, T value) {
    using Bits = decltype(bits_like<T>());
    constexpr uint32_t part = sizeof(T) < cell ? sizeof(T) : cell;
    uint8_t* const first = base + abi::in_tile(address, cell, lanes);
    const auto bits = static_cast<Bits>(value);
    if (address % part != 0) {
      for (uint32_t i = 0; i < sizeof(T); ++i) {
        set_byte(base, address + i, static_cast<uint8_t>(bits >> (8 * i)));
      }
    } else if constexpr (part == sizeof(T)) {
      write(first, value);
    } else {
      using Part = decltype(bits_of<part>());
      for (uint32_t i = 0; i < sizeof(T) / part; ++i) {
        write(first + uint64_t{i} * cell * lanes, static_cast<Part>(bits >> (8 * part * i)));
      }
    }
  }
  template <uint32_t bytes>
  static auto bits_of() {
    if constexpr (bytes == 1) {
      return uint8_t{0};
    } else if constexpr (bytes == 2) {
      return uint16_t{0};
    } else if constexpr (bytes == 4) {
      return uint32_t{0};
    } else {
      return uint64_t{0};
    }
  }
  template <class T>
  static auto bits_like() {
    return bits_of<sizeof(T)>();
  }
  uint8_t* memory_at(uint32_t memory) const {
    return context_->memory + context_->layout->memories[memory].at * lanes;
  }

  const abi::Insn* pc_;
#if defined(__NVPTX__)
  abi::Insn current_ = {};
#endif
  uint8_t* fp_;      // slot 0 of the frame
  uint8_t* memory_;  // memory 0
  uint64_t limit_;   // of memory 0, in bytes
  int64_t fuel_;     // of the grant
  TileContext* context_;
};

}  // namespace warphive::exec
