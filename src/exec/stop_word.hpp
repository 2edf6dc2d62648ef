// SPDX-License-Identifier: Apache-2.0
// Whether who runs lanes wants them to stop. Freestanding.
#pragma once

#include <stdint.h>

#include "abi/state.hpp"

namespace warphive::exec {

/// 0 where a dispatch has none. Sees a write by another thread, or by the host into the memory of
/// its device, soon after it. Thread-safe.
inline uint32_t stop_word(const abi::RunParams& run) {
  const uint32_t* const word = run.stop;
  if (word == nullptr) return 0;
#if defined(__NVPTX__)
  // From the L2 cache, where the host's write arrives: the L1 cache never holds the word, since
  // nothing loads it otherwise. A weak load, since to ptxas a volatile, relaxed or cached-at-L2 one
  // marks a function that waits for other threads. Such a function begins with YIELD, and that
  // releases the lanes that wait for this one at the end of a branch: a warp of which one lane
  // looks here fell apart until the end of the outermost loop (2.3 of 32 lanes active).
  uint32_t value;
  __asm__ volatile("ld.global.L1::no_allocate.u32 %0, [%1];" : "=r"(value) : "l"(word));
  return value;
#else
  return __atomic_load_n(word, __ATOMIC_RELAXED);
#endif
}
inline bool stop_raised(const abi::RunParams& run) { return stop_word(run) == abi::stop_now; }

}  // namespace warphive::exec
