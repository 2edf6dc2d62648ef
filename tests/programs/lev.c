// SPDX-License-Identifier: Apache-2.0
// Levenshtein distance of two random strings of n letters (n at most 4,000), by one row of the table.
#include "guest.h"

int32_t run(int32_t seed, int32_t n) {
  static uint8_t a[4096], b[4096];
  static uint16_t row[4097];
  uint32_t state = seeded(seed) | 1u;
  for (int32_t i = 0; i < n; ++i) a[i] = (uint8_t)('a' + next_random(&state) % 4);
  for (int32_t i = 0; i < n; ++i) b[i] = (uint8_t)('a' + next_random(&state) % 4);
  for (int32_t j = 0; j <= n; ++j) row[j] = (uint16_t)j;
  for (int32_t i = 0; i < n; ++i) {
    uint32_t diagonal = row[0];
    row[0] = (uint16_t)(i + 1);
    for (int32_t j = 0; j < n; ++j) {
      const uint32_t above = row[j + 1];
      uint32_t best = diagonal + (a[i] != b[j]);
      if (above + 1 < best) best = above + 1;
      if ((uint32_t)row[j] + 1 < best) best = (uint32_t)row[j] + 1;
      row[j + 1] = (uint16_t)best;
      diagonal = above;
    }
  }
  return row[n];
}

GUEST_MAIN
