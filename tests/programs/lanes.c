// SPDX-License-Identifier: Apache-2.0
// n rounds over vectors of 16 bytes: floats, bytes, and a loop that the compiler vectorises itself.
// Built with -msimd128; to the host the same vectors are its own.
#include "guest.h"

typedef float Floats __attribute__((vector_size(16)));
typedef uint8_t Bytes __attribute__((vector_size(16)));
typedef int8_t ByteMask __attribute__((vector_size(16)));
typedef union {
  Floats floats;
  Bytes bytes;
  uint32_t words[4];
} Vector;

enum { count = 256 };
static Vector points[count];
static Vector texels[count];
static int16_t samples[4 * count];

static Floats move_points(float scale) {
  Floats sum = {0, 0, 0, 0};
  for (int32_t i = 0; i < count; ++i) {
    const Floats moved = points[i].floats * scale + sum * 0.125f;
    points[i].floats = moved;
    sum = sum * 0.5f + moved;
  }
  return sum;
}

static Bytes blend(int32_t shift) {
  Bytes all = {0};
  for (int32_t i = 0; i < count; ++i) {
    const Bytes x = texels[i].bytes;
    const Bytes y = texels[(i + shift) % count].bytes;
    const Bytes larger = (Bytes)(ByteMask)(x > y);
    const Bytes mixed = (x & larger) | ((y + 3) & ~larger);
    texels[i].bytes = mixed ^ (all >> 1);
    all += mixed;
  }
  return all;
}

static uint32_t filter(int32_t shift) {
  uint32_t sum = 0;
  for (int32_t i = 0; i < 4 * count; ++i) {
    const int32_t value = samples[i];
    samples[i] = (int16_t)(value * 3 + (value >> shift));
    sum += (uint32_t)(value * value);
  }
  return sum;
}

int32_t run(int32_t seed, int32_t n) {
  uint32_t state = seeded(seed) | 1u;
  for (int32_t i = 0; i < count; ++i) {
    for (int32_t k = 0; k < 4; ++k) {
      points[i].floats[k] = (float)(int32_t)next_random(&state) * 0x1p-20f;
      texels[i].words[k] = next_random(&state);
      samples[4 * i + k] = (int16_t)next_random(&state);
    }
  }
  uint32_t hash = 0;
  for (int32_t round = 0; round < n; ++round) {
    Vector moved, blended;
    moved.floats = move_points(0.25f + (float)(round % 8) * 0.0625f);
    blended.bytes = blend(1 + round % 7);
    for (int32_t k = 0; k < 4; ++k) hash = hash * 31u + (moved.words[k] ^ blended.words[k]);
    hash = hash * 31u + filter(1 + round % 5);
  }
  return (int32_t)hash;
}

GUEST_MAIN
