// SPDX-License-Identifier: Apache-2.0
// Solutions of the n-queens problem by backtracking over bit sets, kept on an explicit stack.
#include "guest.h"

int32_t run(int32_t seed, int32_t n) {
  static uint32_t columns[32], left[32], right[32], open[32];
  const uint32_t all = (1u << n) - 1u;
  int32_t solutions = 0;
  int32_t row = 0;
  columns[0] = left[0] = right[0] = 0;
  open[0] = all;
  while (row >= 0) {
    if (open[row] == 0) {
      --row;
      continue;
    }
    const uint32_t bit = open[row] & (0u - open[row]);
    open[row] ^= bit;
    const uint32_t c = columns[row] | bit;
    if (c == all) {
      ++solutions;
      continue;
    }
    const uint32_t l = (left[row] | bit) << 1;
    const uint32_t r = (right[row] | bit) >> 1;
    ++row;
    columns[row] = c;
    left[row] = l;
    right[row] = r;
    open[row] = all & ~(c | l | r);
  }
  return solutions + seed;
}

GUEST_MAIN
