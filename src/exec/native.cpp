// SPDX-License-Identifier: Apache-2.0
#include "exec/native.hpp"

#include <pthread.h>

#include <cstddef>

#include "exec/bodies.hpp"
#include "exec/fuse.hpp"
#include "exec/interp.hpp"
#include "exec/interp_context.hpp"
#include "exec/loop.hpp"

namespace warphive::exec {
namespace {

// Charges that are looked at one by one after compiled code has appeared: about a millisecond.
constexpr uint32_t hunt_charges = 20'000;
// What compiled code may leave of the native stack to helpers, host functions and signal handlers.
constexpr std::size_t native_reserve = std::size_t{256} << 10;

uintptr_t find_native_floor() {
  pthread_attr_t attributes;
  if (pthread_getattr_np(pthread_self(), &attributes) != 0) return ~uintptr_t{0};
  void* lowest = nullptr;
  std::size_t bytes = 0;
  const bool known = pthread_attr_getstack(&attributes, &lowest, &bytes) == 0;
  pthread_attr_destroy(&attributes);
  if (!known) return ~uintptr_t{0};
  return reinterpret_cast<uintptr_t>(lowest) + native_reserve;
}

uintptr_t native_floor() {
  static thread_local const uintptr_t floor = find_native_floor();
  return floor;
}

uint32_t slots_left(uint64_t frame) { return static_cast<uint32_t>(frame); }
uint32_t calls_left(uint64_t frame) { return static_cast<uint32_t>(frame >> 32); }

/// The interpreter's view of a compiled function's frame.
HostMachine machine_at(HostContext& context, uint64_t frame, int64_t fuel, uint32_t insn) {
  context.depth = context.max_depth - calls_left(frame);
  auto* fp = const_cast<uint64_t*>(context.stack_end) - slots_left(frame);
  return {context.insns + insn, fp, context.memory0, context.limit0, fuel, &context};
}

int64_t refill(HostContext* context, uint64_t frame, int64_t fuel, uint32_t need, uint32_t insn) {
  HostMachine m = machine_at(*context, frame, fuel, insn);
  settle(m);
  if (m.stop_raised()) {
    stop(m, abi::Exit::cancelled, insn);
    return abi::native_stopped;
  }
  const uint64_t left = m.pool().metered != 0 ? m.header().fuel_left : abi::unlimited_fuel;
  if (left < need) {
    context->walks = true;
    stop(m, abi::Exit::ready, insn);
    return abi::native_stopped;
  }
  uint64_t grant = m.params().quantum < need ? need : m.params().quantum;
  if (grant > left) grant = left;
  context->granted = grant;
  return static_cast<int64_t>(grant);
}

template <class B>
int64_t step_with(HostMachine& m) {
  Step step = B::run(m);
  if (step == Step::slow) step = B::slow(m);
  return step == Step::stop ? abi::native_stopped : m.fuel();
}

/// Scalar ops and control are code of their own in compiled functions.
constexpr bool is_stepped(ir::Op op) {
  constexpr uint8_t wanted = ir::trait::state | ir::trait::loads | ir::trait::stores;
  return (ir::info(op).traits & wanted) != 0 || op == ir::Op::host_call;
}

template <ir::Op op>
int64_t step_op(HostMachine& m) {
  if constexpr (is_stepped(op)) {
    return step_with<bodies::Body<op>>(m);
  } else {
    stop(m, abi::Exit::internal, m.index());
    return abi::native_stopped;
  }
}

int64_t step(HostContext* context, uint64_t frame, int64_t fuel, uint32_t insn) {
  HostMachine m = machine_at(*context, frame, fuel, insn);
  switch (unfused(m.insn().op)) {
#define WARPHIVE_OP(name, ...)              \
  case static_cast<uint16_t>(ir::Op::name): \
    return step_op<ir::Op::name>(m);
#include "ir/ops.inc"
    default:
      stop(m, abi::Exit::internal, insn);
      return abi::native_stopped;
  }
}

int64_t trap_at(HostContext* context, uint64_t frame, int64_t fuel, uint32_t insn, uint32_t kind) {
  HostMachine m = machine_at(*context, frame, fuel, insn);
  trap(m, static_cast<abi::TrapKind>(kind));
  return abi::native_stopped;
}

bool is_indirect(const abi::Insn& call) {
  return unfused(call.op) == static_cast<uint16_t>(ir::Op::call_indirect);
}
/// A function that a call runs, or one of the same type.
const abi::FunctionEntry& callee_of(const HostContext& context, const abi::Insn& call) {
  const auto low = static_cast<uint32_t>(call.imm);
  if (!is_indirect(call)) return context.functions[low];
  const auto type = static_cast<uint32_t>(call.imm >> 32);
  for (uint32_t i = 0;; ++i) {  // one was called, so there is one
    if (context.functions[i].type == type) return context.functions[i];
  }
}

int64_t behind_call(HostContext* context, uint64_t frame, int64_t left, uint32_t need,
                    uint32_t insn, uint64_t value, uint64_t index) {
  const abi::Insn& call = context->insns[insn];
  uint64_t* const fp = const_cast<uint64_t*>(context->stack_end) - slots_left(frame);
  if (left >= 0) {
    const int64_t more = refill(context, frame, left, need, insn + 1);
    // More results than one are there already; where there is none the slot is nobody's.
    if (more < 0 && callee_of(*context, call).result_slots == 1) fp[call.a] = value;
    return more;
  }
  if (left == abi::native_refused) {
    // The interpreter makes the call again.
    if (is_indirect(call)) fp[call.b] = index;
    HostMachine m = machine_at(*context, frame, context->refused_fuel, insn);
    stop(m, abi::Exit::ready, insn);
  } else {
    fp[call.a + callee_of(*context, call).header_slot] = abi::pack_header(insn + 1, call.a);
  }
  return abi::native_stopped;
}

constexpr NativeHelpers helpers{refill, step, trap_at, behind_call};

const abi::NativeCode* current_code(const abi::NativeSlot& slot) {
  return __atomic_load_n(&slot.code, __ATOMIC_ACQUIRE);
}

abi::NativeResumeCode find_resume(const abi::NativeCode& code, uint32_t insn) {
  uint32_t first = 0;
  uint32_t last = code.resume_count;
  while (first < last) {
    const uint32_t middle = first + (last - first) / 2;
    if (code.resumes[middle].insn < insn) {
      first = middle + 1;
    } else {
      last = middle;
    }
  }
  if (first == code.resume_count || code.resumes[first].insn != insn) return nullptr;
  return code.resumes[first].code;
}

/// The function whose first instruction behind `enter` is `insn`; code.function_count if none.
uint32_t function_starting_at(const abi::Code& code, uint32_t insn) {
  uint32_t first = 0;
  uint32_t last = code.function_count;
  while (first < last) {
    const uint32_t middle = first + (last - first) / 2;
    if (code.functions[middle].entry + 1 < insn) {
      first = middle + 1;
    } else {
      last = middle;
    }
  }
  if (first == code.function_count || code.functions[first].entry + 1 != insn) {
    return code.function_count;
  }
  return first;
}

/// The header slot of the function that holds `insn`.
uint32_t header_slot_of(const abi::Code& code, uint32_t insn) {
  uint32_t first = 0;
  uint32_t last = code.function_count;
  while (last - first > 1) {
    const uint32_t middle = first + (last - first) / 2;
    if (code.functions[middle].entry <= insn) {
      first = middle;
    } else {
      last = middle;
    }
  }
  return code.functions[first].header_slot;
}

}  // namespace

const NativeHelpers& native_helpers() { return helpers; }

bool native_switch(HostContext& context, uint32_t at) {
  const abi::NativeCode* code = current_code(*context.slot);
  if (code != context.native) return true;
  if (code == nullptr) {
    context.slot->want(context.slot, at);
    return false;
  }
  if (find_resume(*code, at) != nullptr) return true;
  if (context.hunt != 0 && --context.hunt == 0) context.slot->want(context.slot, at);
  return false;
}

WARPHIVE_CALLS_NATIVE void run_lane_native(const abi::RunParams& params, abi::LaneRef lane) {
  HostContext context = context_of(params, lane);
  abi::InstanceHeader& header = *context.header;
  const abi::NativeSlot* const slot = params.pools[lane.pool].native;
  context.slot = slot;
  context.helpers = &helpers;
  context.native_floor = native_floor();
  int64_t fuel = 0;  // the first check polls
  for (;;) {
    context.native = context.walks ? nullptr : current_code(*slot);
    if (context.native != nullptr) {
      const abi::NativeCode& code = *context.native;
      context.targets = code.targets;
      context.depth = header.depth;
      // Host calls write the header of the frame that makes them.
      const uint32_t pc = header.pc;
      const uint32_t base = header.base;
      const uint32_t depth = header.depth;
      const uint64_t frame =
          pack_frame(context.layout->stack_slots - header.base, context.max_depth - header.depth);
      machine_at(context, frame, 0, header.pc).reload();
      int64_t result = abi::native_refused;
      const uint32_t function = function_starting_at(*context.code, header.pc);
      if (function < context.code->function_count && code.targets[function].compiled != 0) {
        const abi::NativeTarget& target = code.targets[function];
        result = target.thunk(&context, frame, fuel, target.code);
        if (result == abi::native_refused) fuel = context.refused_fuel;
      } else if (const abi::NativeResumeCode resume = find_resume(code, header.pc)) {
        result = resume(&context, frame, fuel);
        if (result == abi::native_refused) fuel = context.refused_fuel;
      } else {
        slot->want(slot, header.pc);
      }
      if (result >= 0) {  // as the interpreter's `ret`
        const uint64_t word = context.stack[base + header_slot_of(*context.code, pc)];
        header.pc = static_cast<uint32_t>(word);
        header.base = base - static_cast<uint32_t>(word >> 32);
        header.depth = depth - 1;
        fuel = result;
        if (header.pc != 0) continue;
      } else if (result == abi::native_stopped) {
        if (header.exit != abi::Exit::ready) return;
        context.granted = 0;
        fuel = 0;
        continue;
      } else {
        // Interpret from here, looking for a way back at each charge.
        header.pc = pc;
        header.base = base;
        header.depth = depth;
        context.hunt = hunt_charges;
      }
    }
    if (context.walks) context.slot = nullptr;
    run_interp(context, fuel);
    if (header.exit != abi::Exit::ready) return;
    context.granted = 0;
    fuel = 0;
  }
}

}  // namespace warphive::exec
