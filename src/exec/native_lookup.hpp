// SPDX-License-Identifier: Apache-2.0
// Finding the code for a place in a program. Freestanding.
#pragma once

#include <stdint.h>

#include "abi/code.hpp"
#include "abi/native.hpp"

namespace warphive::exec {

inline abi::NativeResumeCode find_resume(const abi::NativeCode& code, uint32_t insn) {
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
inline uint32_t function_starting_at(const abi::Code& code, uint32_t insn) {
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

/// The function that holds `insn`.
inline uint32_t function_holding(const abi::Code& code, uint32_t insn) {
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
  return first;
}

/// NativeTarget::compiled. On hosts code may appear at any time.
inline uint32_t compiled_as(const abi::NativeTarget& target) {
#if defined(__NVPTX__)
  return target.compiled;
#else
  return __atomic_load_n(&target.compiled, __ATOMIC_ACQUIRE);
#endif
}

/// Whether compiled code can go on at `insn`.
inline bool can_enter(const abi::Code& code, const abi::NativeCode& native, uint32_t insn) {
  if (find_resume(native, insn) != nullptr) return true;
  const uint32_t function = function_starting_at(code, insn);
  return function < code.function_count &&
         compiled_as(native.targets[function]) == abi::native_anywhere;
}

}  // namespace warphive::exec
