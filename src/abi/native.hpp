// SPDX-License-Identifier: Apache-2.0
// Compiled host code as the interpreter and kernels see it: entry points and how they are called.
//
// A compiled function gets a context (exec::HostContext), its frame, the fuel left of the current
// grant, and its parameters; it returns the fuel then left, or one of the negative values below.
// `frame` packs what is left of the stack: bits 0..31 slots from the frame's first one to the end
// of the stack, bits 32..63 calls that may still nest. Code that stops leaves the same frames and
// header as the interpreter would, so either can go on with what the other left.
#pragma once

#include <stdint.h>

namespace warphive::abi {

/// To be bumped by hand when code that was compiled before cannot be called, or call, any more: a
/// change of this header's rules, of exec::HostContext, or of what a helper does.
inline constexpr uint32_t native_abi_version = 2;

/// Instead of fuel: the lane stopped, its header says why. Exit::ready means that the interpreter
/// shall go on at the header's pc.
inline constexpr int64_t native_stopped = -1;
/// Instead of fuel: nothing ran, since the frame does not fit or there is no code. The parameters
/// are in the frame's first slots.
inline constexpr int64_t native_refused = -2;

/// Calls `code` with parameters from the frame's slots 0.., and leaves results there.
using NativeThunk = int64_t (*)(void* context, uint64_t frame, int64_t fuel, const void* code);
/// Goes on inside of a function, at `insn`, with its values from the frame's slots, and leaves
/// results in slots 0...
using NativeResumeCode = int64_t (*)(void* context, uint64_t frame, int64_t fuel, uint32_t insn);

inline constexpr uint32_t native_anywhere = 1;
/// `code` and then `compiled` change, atomically, once the function is compiled.
struct NativeTarget {
  const void* code;  // never null: a function that is not compiled refuses
  NativeThunk thunk;
  uint32_t type;      // as in FunctionEntry
  uint32_t compiled;  // 0: `code` refuses; native_anywhere; else it is entered by calls only,
                      // since going on behind `enter` may mean the header of a loop there
};
static_assert(sizeof(NativeTarget) == 24);

struct NativeResume {
  uint32_t insn;
  uint32_t reserved;
  NativeResumeCode code;
};

/// Immutable once published, but for the targets.
struct NativeCode {
  const NativeTarget* targets;  // by function
  const NativeResume* resumes;  // ascending by insn
  uint32_t resume_count;
  uint32_t version;
};

/// Where a program's compiled code appears. `code` is replaced atomically, and what it pointed to
/// lives as long as the program.
struct NativeSlot {
  const NativeCode* code;  // nullptr: not yet
  /// A lane was stopped, or is interpreted for long, at `insn`: code that goes on from there would
  /// help. While there is no code, lanes say so at each poll. Any thread; returns at once.
  void (*want)(const NativeSlot* self, uint32_t insn);
};

}  // namespace warphive::abi
