// SPDX-License-Identifier: Apache-2.0
// What every compute program shares: `run(seed, n)` is exported to Warphive, and the same source built
// for the host with -DHOST=1 prints run(seed, n) for the pairs on its command line: the oracle.
#pragma once

#include <stdint.h>

#if defined(HOST)
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#define EXPORT_RUN
#define GUEST_MAIN                                                            \
  int main(int argc, char** argv) {                                           \
    for (int i = 1; i + 1 < argc; i += 2) {                                   \
      printf("%" PRId32 "\n", run(atoi(argv[i]), atoi(argv[i + 1])));         \
    }                                                                         \
    return 0;                                                                 \
  }
#else
#define EXPORT_RUN __attribute__((export_name("run")))
#define GUEST_MAIN
#endif

#ifdef __cplusplus
extern "C"
#endif
EXPORT_RUN int32_t run(int32_t seed, int32_t n);

static inline uint32_t next_random(uint32_t* state) {
  uint32_t x = *state;
  x ^= x << 13;
  x ^= x >> 17;
  x ^= x << 5;
  return *state = x;
}
static inline uint32_t seeded(int32_t seed) { return (uint32_t)seed * 2654435761u + 0x9e3779b9u; }
