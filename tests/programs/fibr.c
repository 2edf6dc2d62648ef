// SPDX-License-Identifier: Apache-2.0
// Fibonacci by plain recursion: calls.
#include "guest.h"

static __attribute__((noinline)) uint32_t fib(uint32_t n) {
  return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

int32_t run(int32_t seed, int32_t n) { return (int32_t)(fib((uint32_t)n) + (uint32_t)seed); }

GUEST_MAIN
