// SPDX-License-Identifier: Apache-2.0
// The machine of host dispatchers: one lane whose slots, state and memory are contiguous.
#pragma once

#include <stdint.h>

#include "abi/state.hpp"
#include "exec/fuse.hpp"
#include "exec/machine.hpp"
#include "exec/stop_word.hpp"

namespace warphive::exec {

struct NativeHelpers;

/// What of a lane does not fit in registers, valid for one run.
struct HostContext {
  const abi::Insn* insns;
  uint64_t* stack;
  const uint64_t* stack_end;
  const abi::FunctionEntry* functions;
  const uint64_t* branches;
  uint64_t* globals;
  uint8_t* state;
  uint32_t depth;
  uint32_t max_depth;
  uint64_t granted;
  const abi::Code* code;
  const abi::ProgramLayout* layout;
  const abi::Pool* pool;
  abi::InstanceHeader* header;
  const abi::RunParams* params;
  abi::LaneRef lane;
  uint8_t* memory;  // the whole memory range

  // For compiled code, which finds these by their offsets.
  uint8_t* memory0;        // of memory 0
  uint64_t limit0;         // its current bytes
  const uint64_t* table0;  // elements of table 0
  const uint32_t* table_sizes;
  const abi::NativeTarget* targets;
  const NativeHelpers* helpers;
  uintptr_t native_floor;  // what lies below it of the native stack is kept free
  int64_t refused_fuel;    // with abi::native_refused: what was left
  // For whoever decides between interpreter and compiled code.
  const abi::NativeCode* native;  // in use; nullptr: none
  const abi::NativeSlot* slot;    // nullptr: what happens there does not matter to this run
  uint32_t hunt;                  // polls at every charge that are still to come
  bool walks;                     // the budget ends before the next check of compiled code
};

/// See HostMachine::switch_wanted; defined in exec/native.cpp.
bool native_switch(HostContext& context, uint32_t at);

class HostMachine {
 public:
  using Context = HostContext;

  HostMachine(const abi::Insn* pc, uint64_t* fp, uint8_t* memory, uint64_t limit, int64_t fuel,
              HostContext* context)
      : pc_(pc), fp_(fp), memory_(memory), limit_(limit), fuel_(fuel), context_(context) {}

  // For compiled code: see exec/native_helpers.hpp.
  static HostMachine at(HostContext& context, uint64_t frame, int64_t fuel, uint32_t insn) {
    context.depth = context.max_depth - static_cast<uint32_t>(frame >> 32);
    auto* fp = const_cast<uint64_t*>(context.stack_end) - static_cast<uint32_t>(frame);
    return {context.insns + insn, fp, context.memory0, context.limit0, fuel, &context};
  }
  static int64_t call_thunk(const abi::NativeTarget& target, HostContext& context, uint64_t frame,
                            int64_t fuel);
  static int64_t call_resume(abi::NativeResumeCode code, HostContext& context, uint64_t frame,
                             int64_t fuel, uint32_t insn);
  static uint16_t opcode(const abi::Insn& insn) { return unfused(insn.op); }

  const abi::Insn* pc() const { return pc_; }
  uint64_t* fp() const { return fp_; }
  uint8_t* memory() const { return memory_; }
  HostContext* context() const { return context_; }

  const abi::Insn& insn() const { return *pc_; }
  uint32_t index() const { return static_cast<uint32_t>(pc_ - context_->insns); }
  const abi::Insn& insn_at(uint32_t index) const { return context_->insns[index]; }
  void advance() { ++pc_; }
  void jump(uint32_t index) { pc_ = context_->insns + index; }

  uint64_t slot(uint32_t index) const { return fp_[index]; }
  void set_slot(uint32_t index, uint64_t value) { fp_[index] = value; }
  void clear_slots(uint32_t first, uint32_t count) {
    uint64_t* slot = fp_ + first;
    for (uint64_t* end = slot + count; slot != end; ++slot) {
      *slot = 0;
      __asm__("" : "+r"(slot));  // counts are small: a call to memset would cost more, and spill
    }
  }
  void push_frame(uint32_t distance) {
    fp_ += distance;
    ++context_->depth;
  }
  void pop_frame(uint32_t distance) {
    fp_ -= distance;
    --context_->depth;
  }
  bool frame_fits(uint32_t distance, uint32_t frame_slots) const {
    return fp_ + distance + frame_slots <= context_->stack_end &&
           context_->depth < context_->max_depth;
  }

  int64_t fuel() const { return fuel_; }
  int64_t& fuel() { return fuel_; }
  uint64_t& granted() { return context_->granted; }

  uint64_t limit() const { return limit_; }
  template <class T>
  T load(uint64_t address) const {
    T value;
    __builtin_memcpy(&value, memory_ + address, sizeof(T));
    return value;
  }
  template <class T>
  void store(uint64_t address, T value) {
    __builtin_memcpy(memory_ + address, &value, sizeof(T));
  }
  template <class T>
  T memory_load(uint32_t memory, uint64_t address) const {
    T value;
    __builtin_memcpy(&value, memory_at(memory) + address, sizeof(T));
    return value;
  }
  template <class T>
  void memory_store(uint32_t memory, uint64_t address, T value) {
    __builtin_memcpy(memory_at(memory) + address, &value, sizeof(T));
  }
  void memory_fill(uint32_t memory, uint32_t at, uint8_t value, uint32_t n) {
    __builtin_memset(memory_at(memory) + at, value, n);
  }
  void memory_move(uint32_t to, uint32_t to_at, uint32_t from, uint32_t from_at, uint32_t n) {
    __builtin_memmove(memory_at(to) + to_at, memory_at(from) + from_at, n);
  }
  void memory_init(uint32_t memory, uint32_t at, uint32_t first, uint32_t n) {
    __builtin_memcpy(memory_at(memory) + at, context_->code->data + first, n);
  }

  uint32_t state32(uint32_t at) const {
    uint32_t value;
    __builtin_memcpy(&value, context_->state + at, sizeof value);
    return value;
  }
  void set_state32(uint32_t at, uint32_t value) {
    __builtin_memcpy(context_->state + at, &value, sizeof value);
  }
  uint64_t state64(uint32_t at) const {
    uint64_t value;
    __builtin_memcpy(&value, context_->state + at, sizeof value);
    return value;
  }
  void set_state64(uint32_t at, uint64_t value) {
    __builtin_memcpy(context_->state + at, &value, sizeof value);
  }
  uint64_t global(uint32_t index) const { return context_->globals[index]; }
  void set_global(uint32_t index, uint64_t value) { context_->globals[index] = value; }

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
    header.base = static_cast<uint32_t>(fp_ - context_->stack);
    header.depth = context_->depth;
  }
  uint64_t quantum() const { return context_->params->quantum; }
  bool stop_raised() const { return exec::stop_raised(*context_->params); }
  static constexpr bool slice_ended() { return false; }  // every run ends by itself
  abi::Exit serve(uint32_t import) {
    const abi::RunParams& params = *context_->params;
    if (params.host_call == nullptr) return abi::Exit::parked;
    return params.host_call(&params, context_->pool, context_->lane, import, fp_);
  }
  void reload() {
    const abi::ProgramLayout& layout = *context_->layout;
    if (layout.memory_count == 0) return;
    memory_ = context_->memory0 = memory_at(0);
    limit_ = context_->limit0 = memory_bytes(*this, 0);
  }
  /// Whether this run shall end at `at`, for compiled code to go on.
  bool switch_wanted(uint32_t at) {
    return context_->slot != nullptr && native_switch(*context_, at);
  }
  /// Compiled code exists, and a place to enter it is looked for: poll at every charge.
  bool hunts() const { return context_->hunt != 0; }

 private:
  uint8_t* memory_at(uint32_t memory) const {
    return context_->memory + context_->layout->memories[memory].at;
  }

  const abi::Insn* pc_;
  uint64_t* fp_;
  uint8_t* memory_;  // memory 0
  uint64_t limit_;   // of memory 0, in bytes
  int64_t fuel_;     // of the grant
  HostContext* context_;
};

}  // namespace warphive::exec
