// SPDX-License-Identifier: Apache-2.0
// The longest Collatz chain among n starting values from `seed` on: branches that do not predict.
#include "guest.h"

int32_t run(int32_t seed, int32_t n) {
  int32_t longest = 0;
  for (int32_t i = 0; i < n; ++i) {
    uint64_t x = (uint64_t)(uint32_t)(seed + i) + 1u;
    int32_t steps = 0;
    while (x != 1) {
      x = (x & 1) != 0 ? 3 * x + 1 : x >> 1;
      ++steps;
    }
    if (steps > longest) longest = steps;
  }
  return longest;
}

GUEST_MAIN
