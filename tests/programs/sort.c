// SPDX-License-Identifier: Apache-2.0
// Heap sort of n random words (n at most 8,000); returns a checksum of the order.
#include "guest.h"

static uint32_t data[8192];

static void sift(int32_t root, int32_t count) {
  const uint32_t value = data[root];
  for (;;) {
    int32_t child = 2 * root + 1;
    if (child >= count) break;
    if (child + 1 < count && data[child + 1] > data[child]) ++child;
    if (data[child] <= value) break;
    data[root] = data[child];
    root = child;
  }
  data[root] = value;
}

int32_t run(int32_t seed, int32_t n) {
  uint32_t state = seeded(seed) | 1u;
  for (int32_t i = 0; i < n; ++i) data[i] = next_random(&state);
  for (int32_t i = n / 2 - 1; i >= 0; --i) sift(i, n);
  for (int32_t i = n - 1; i > 0; --i) {
    const uint32_t top = data[0];
    data[0] = data[i];
    data[i] = top;
    sift(0, i);
  }
  uint32_t sum = 0;
  for (int32_t i = 0; i < n; ++i) sum = sum * 31u + data[i];
  for (int32_t i = 1; i < n; ++i) {
    if (data[i - 1] > data[i]) return -1;
  }
  return (int32_t)sum;
}

GUEST_MAIN
