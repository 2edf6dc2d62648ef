// SPDX-License-Identifier: Apache-2.0
// Primes below n (n at most 60,000) plus the seed: a sieve of bytes.
#include "guest.h"

int32_t run(int32_t seed, int32_t n) {
  static uint8_t composite[60001];
  for (int32_t i = 0; i < n; ++i) composite[i] = 0;
  int32_t count = 0;
  for (int32_t i = 2; i < n; ++i) {
    if (composite[i]) continue;
    ++count;
    for (int32_t j = i + i; j < n; j += i) composite[j] = 1;
  }
  return count + seed;
}

GUEST_MAIN
