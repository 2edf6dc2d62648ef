// SPDX-License-Identifier: Apache-2.0
// Runs lanes in compiled host code and the interpreter, each taking over from the other.
#pragma once

#include <stdint.h>

#include "abi/native.hpp"
#include "abi/state.hpp"
#include "exec/host_machine.hpp"

namespace warphive::exec {

// Compiled code has no word about its type in front of it for the sanitizer to read.
#if defined(__clang__)
#define WARPHIVE_CALLS_NATIVE __attribute__((no_sanitize("function")))
#else
#define WARPHIVE_CALLS_NATIVE
#endif

/// What compiled code calls, by address in HostContext. All take the frame as compiled code keeps
/// it and return the fuel left, or abi::native_stopped.
struct NativeHelpers {
  /// Gets fuel for at least `need` units; the lane stops at `insn` where that cannot be.
  int64_t (*refill)(HostContext* context, uint64_t frame, int64_t fuel, uint32_t need,
                    uint32_t insn);
  /// Does what the instruction at `insn` does, on the frame's slots.
  int64_t (*step)(HostContext* context, uint64_t frame, int64_t fuel, uint32_t insn);
  int64_t (*trap)(HostContext* context, uint64_t frame, int64_t fuel, uint32_t insn, uint32_t kind);
  /// The call at `insn` returned `left`, which is negative or less than `need`: leaves as the
  /// callee did, or gets fuel as refill does. `value` is the only result, if it returned with one,
  /// `index` what a call_indirect went by.
  int64_t (*behind_call)(HostContext* context, uint64_t frame, int64_t left, uint32_t need,
                         uint32_t insn, uint64_t value, uint64_t index);
};
const NativeHelpers& native_helpers();
/// Of this thread: what lies below is kept free by compiled code.
uintptr_t native_stack_floor();

/// As run_lane, in compiled code as far as the pool's slot has some.
void run_lane_native(const abi::RunParams& params, abi::LaneRef lane);

}  // namespace warphive::exec
