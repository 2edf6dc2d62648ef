// SPDX-License-Identifier: Apache-2.0
// What compiled code calls, and how it is entered, for any machine (exec/machine.hpp) that also has
//   Context            what compiled code gets, with insns, functions, code, header, refused_fuel,
//                      walks, depth and max_depth
//   at(context, frame, fuel, insn)   static: the interpreter's view of a compiled function's frame
//   call_thunk, call_resume          static: call compiled code
//   opcode(insn)                     static: an ir::Op, as a number
//   resume(context, fuel)            static: at the header's pc
// Freestanding: device programs include it.
#pragma once

#include <stdint.h>

#include "abi/native.hpp"
#include "exec/bodies.hpp"
#include "exec/native_lookup.hpp"

namespace warphive::exec {

constexpr uint64_t pack_frame(uint32_t slots_left, uint32_t calls_left) {
  return uint64_t{slots_left} | (uint64_t{calls_left} << 32);
}
constexpr uint32_t slots_left(uint64_t frame) { return static_cast<uint32_t>(frame); }
constexpr uint32_t calls_left(uint64_t frame) { return static_cast<uint32_t>(frame >> 32); }

template <class M>
struct NativeHelpersOf {
  using Context = typename M::Context;

  static int64_t refill(Context* context, uint64_t frame, int64_t fuel, uint32_t need,
                        uint32_t insn) {
    M m = M::at(*context, frame, fuel, insn);
    settle(m);
    if (m.stop_raised()) {
      stop(m, abi::Exit::cancelled, insn);
      return abi::native_stopped;
    }
    if (m.slice_ended()) {
      stop(m, abi::Exit::ready, insn);
      return abi::native_stopped;
    }
    const uint64_t left = m.pool().metered != 0 ? m.header().fuel_left : abi::unlimited_fuel;
    if (left < need) {
      context->walks = true;
      stop(m, abi::Exit::ready, insn);
      return abi::native_stopped;
    }
    uint64_t grant = m.quantum();
    if (grant < need) grant = need;
    if (grant > left) grant = left;
    context->granted = grant;
    return static_cast<int64_t>(grant);
  }

  static int64_t step(Context* context, uint64_t frame, int64_t fuel, uint32_t insn) {
    M m = M::at(*context, frame, fuel, insn);
    switch (M::opcode(m.insn())) {
#define WARPHIVE_OP(name, ...)              \
  case static_cast<uint16_t>(ir::Op::name): \
    return step_op<ir::Op::name>(m);
#define WARPHIVE_WITHOUT_VECTORS  // all of which compiled code has
#include "ir/ops.inc"
#undef WARPHIVE_WITHOUT_VECTORS
      default:
        stop(m, abi::Exit::internal, insn);
        return abi::native_stopped;
    }
  }

  static int64_t trap_at(Context* context, uint64_t frame, int64_t fuel, uint32_t insn,
                         uint32_t kind) {
    M m = M::at(*context, frame, fuel, insn);
    trap(m, static_cast<abi::TrapKind>(kind));
    return abi::native_stopped;
  }

  static int64_t behind_call(Context* context, uint64_t frame, int64_t left, uint32_t need,
                             uint32_t insn, uint64_t value, uint64_t index) {
    const abi::Insn& call = context->insns[insn];
    if (left >= 0) {
      const int64_t more = refill(context, frame, left, need, insn + 1);
      // More results than one are there already; where there is none the slot is nobody's.
      if (more < 0 && callee_of(*context, call).result_slots == 1) {
        M::at(*context, frame, 0, insn).set_slot(call.a, value);
      }
      return more;
    }
    M m = M::at(*context, frame, context->refused_fuel, insn);
    if (left == abi::native_refused) {
      // The interpreter makes the call again.
      if (is_indirect(call)) m.set_slot(call.b, index);
      stop(m, abi::Exit::ready, insn);
    } else {
      m.set_slot(call.a + callee_of(*context, call).header_slot,
                 abi::pack_header(insn + 1, call.a));
    }
    return abi::native_stopped;
  }

 private:
  /// Scalar ops and control are code of their own in compiled functions.
  static constexpr bool is_stepped(ir::Op op) {
    constexpr uint8_t wanted = ir::trait::state | ir::trait::loads | ir::trait::stores;
    return (ir::info(op).traits & wanted) != 0 || op == ir::Op::host_call;
  }
  template <ir::Op op>
  static int64_t step_op(M& m) {
    if constexpr (is_stepped(op)) {
      using B = bodies::Body<op>;
      Step result = B::run(m);
      if (result == Step::slow) result = B::slow(m);
      return result == Step::stop ? abi::native_stopped : m.fuel();
    } else {
      stop(m, abi::Exit::internal, m.index());
      return abi::native_stopped;
    }
  }
  static bool is_indirect(const abi::Insn& call) {
    return M::opcode(call) == static_cast<uint16_t>(ir::Op::call_indirect);
  }
  /// A function that a call runs, or one of the same type.
  static const abi::FunctionEntry& callee_of(const Context& context, const abi::Insn& call) {
    const auto low = static_cast<uint32_t>(call.imm);
    if (!is_indirect(call)) return context.functions[low];
    const auto type = static_cast<uint32_t>(call.imm >> 32);
    for (uint32_t i = 0;; ++i) {  // one was called, so there is one
      if (context.functions[i].type == type) return context.functions[i];
    }
  }
};

/// Instead of what compiled code returns: there is none for the place.
inline constexpr int64_t native_absent = -3;

/// Goes on in compiled code where the header says. Not negative: the frame there returned, the
/// header is at what its caller does next, the result is the fuel left of the grant.
/// native_stopped: the header says why. Else nothing ran, the header is as before and `fuel` what
/// is left.
template <class M>
int64_t enter_native(typename M::Context& context, const abi::NativeCode& code, int64_t& fuel) {
  abi::InstanceHeader& header = *context.header;
  context.targets = code.targets;
  context.depth = header.depth;
  // Host calls write the header of the frame that makes them.
  const uint32_t pc = header.pc;
  const uint32_t base = header.base;
  const uint32_t depth = header.depth;
  const uint64_t frame =
      pack_frame(context.layout->stack_slots - header.base, context.max_depth - header.depth);
  M::at(context, frame, 0, header.pc).reload();
  int64_t result = native_absent;
  const uint32_t function = function_starting_at(*context.code, header.pc);
  if (function < context.code->function_count &&
      compiled_as(code.targets[function]) == abi::native_anywhere) {
    result = M::call_thunk(code.targets[function], context, frame, fuel);
  } else if (const abi::NativeResumeCode resume = find_resume(code, header.pc)) {
    result = M::call_resume(resume, context, frame, fuel, header.pc);
  }
  if (result >= 0) {  // as the interpreter's `ret`
    const uint32_t slot = context.code->functions[function_holding(*context.code, pc)].header_slot;
    const uint64_t word = M::at(context, frame, 0, pc).slot(slot);
    header.pc = static_cast<uint32_t>(word);
    header.base = base - static_cast<uint32_t>(word >> 32);
    header.depth = depth - 1;
  } else if (result != abi::native_stopped) {
    if (result == abi::native_refused) fuel = context.refused_fuel;
    header.pc = pc;
    header.base = base;
    header.depth = depth;
  }
  return result;
}

/// Runs a lane in compiled code as far as that goes, without an interpreter. Exit::ready then means
/// that one shall go on at the header's pc.
template <class M>
void run_native(typename M::Context& context, const abi::NativeCode& code) {
  const abi::InstanceHeader& header = *context.header;
  int64_t fuel = 0;  // the first check polls
  for (;;) {
    const int64_t result = enter_native<M>(context, code, fuel);
    if (result == abi::native_stopped) return;
    if (result >= 0) {
      fuel = result;
      if (header.pc != 0) continue;
    }
    M m = M::resume(context, fuel);
    stop(m, result >= 0 ? abi::Exit::returned : abi::Exit::ready, header.pc);
    return;
  }
}

}  // namespace warphive::exec
