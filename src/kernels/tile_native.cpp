// SPDX-License-Identifier: Apache-2.0
// Device program: what is linked with every compiled program. It is made by clang for PTX, never
// for the host, where exec/tile.cpp stands in for it.
#include "abi/native.hpp"
#include "exec/native_helpers.hpp"
#include "exec/tile_machine.hpp"
#include "kernels/device_lanes.hpp"

namespace warphive {
namespace {

using Machine = kernels::LaneMachine;
using Helpers = exec::NativeHelpersOf<Machine>;
using exec::TileContext;

/// Compiled code takes the context's address in the space that it lies in.
using LocalContext = __attribute__((address_space(5))) void*;
using Thunk = int64_t (*)(LocalContext context, uint64_t frame, int64_t fuel, const void* code);
using ResumeCode = int64_t (*)(LocalContext context, uint64_t frame, int64_t fuel, uint32_t insn);

LocalContext local(TileContext& context) {
  return (LocalContext)(&context);  // NOLINT: only this kind of cast changes the address space
}

uint64_t stack_pointer() {
  uint64_t pointer = 0;
  __asm__ volatile("stacksave.u64 %0;" : "=l"(pointer));
  return pointer;
}

}  // namespace

namespace exec {

template <>
int64_t Machine::call_thunk(const abi::NativeTarget& target, TileContext& context, uint64_t frame,
                            int64_t fuel) {
  return reinterpret_cast<Thunk>(target.thunk)(local(context), frame, fuel, target.code);
}
template <>
int64_t Machine::call_resume(abi::NativeResumeCode code, TileContext& context, uint64_t frame,
                             int64_t fuel, uint32_t insn) {
  return reinterpret_cast<ResumeCode>(code)(local(context), frame, fuel, insn);
}

}  // namespace exec

extern "C" {

extern const abi::NativeCode warphive_native;  // of the program, which defines it

int64_t warphive_refill(TileContext* context, uint64_t frame, int64_t fuel, uint32_t need,
                        uint32_t insn) {
  return Helpers::refill(context, frame, fuel, need, insn);
}
int64_t warphive_step(TileContext* context, uint64_t frame, int64_t fuel, uint32_t insn) {
  return Helpers::step(context, frame, fuel, insn);
}
int64_t warphive_trap(TileContext* context, uint64_t frame, int64_t fuel, uint32_t insn,
                      uint32_t kind) {
  return Helpers::trap_at(context, frame, fuel, insn, kind);
}
int64_t warphive_behind_call(TileContext* context, uint64_t frame, int64_t left, uint32_t need,
                             uint32_t insn, uint64_t value, uint64_t index) {
  return Helpers::behind_call(context, frame, left, need, insn, value, index);
}

}  // extern "C"

namespace {

struct RunCompiled {
  static kernels::GoesOn run(const kernels::RunLanes& params, TileContext& context,
                             kernels::GoesOn before) {
    const uint64_t top = stack_pointer();
    context.native_floor = top > params.native_stack_bytes ? top - params.native_stack_bytes : 0;
    exec::run_native<Machine>(context, warphive_native);
    return kernels::behind_compiled_code(context, before);
  }
};

}  // namespace

extern "C" [[clang::nvptx_kernel]] void warphive_run(kernels::RunLanes params, uint32_t count) {
  const uint32_t lane =
      __nvvm_read_ptx_sreg_ctaid_x() * __nvvm_read_ptx_sreg_ntid_x() + __nvvm_read_ptx_sreg_tid_x();
  if (lane < count) kernels::run_tile_lane<RunCompiled>(params, lane);
}

}  // namespace warphive
