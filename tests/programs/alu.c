// SPDX-License-Identifier: Apache-2.0
// n rounds of xorshift and multiply-add: nothing but integer arithmetic.
#include "guest.h"

int32_t run(int32_t seed, int32_t n) {
  uint32_t x = seeded(seed) | 1u;
  uint32_t sum = 0;
  for (int32_t i = 0; i < n; ++i) {
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    sum = sum * 31u + x;
  }
  return (int32_t)sum;
}

GUEST_MAIN
