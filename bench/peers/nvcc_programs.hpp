// SPDX-License-Identifier: Apache-2.0
// The nine programs of tests/programs, statement by statement, for one lane of a CUDA device or, as
// plain C++, for a simulated one. Static arrays, and sha's array w, lie in the instance's memory as
// abi/tile.hpp says; all else is where the compiler puts it. Nothing is checked or counted.
// Some have a second form: with what clang does to the C and nvcc does not (one of fib's calls as a
// loop, a fill by words), or with what nvcc may do and Warphive may not.
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __CUDACC__
#define ON_LANE __device__
#define CONSTANT __constant__
#define NOT_INLINE __noinline__
#define PRAGMA(text) _Pragma(#text)
// 0 leaves it to nvcc, which would warn.
#define UNROLL_ALL_IF(condition) PRAGMA(unroll((condition) ? 64 : 0))
#pragma nv_diag_suppress 20168
#else
#define ON_LANE
#define CONSTANT
#define NOT_INLINE __attribute__((noinline))
#define UNROLL_ALL_IF(condition)
#endif

namespace nvcc_peer {

// Memory: lanes take turns of one cell.
using Byte = unsigned char;
constexpr int lanes = 32;
constexpr int cell = 4;
constexpr int memory_bytes = 65536;

/// From the first cell of an array of slot 0 to the slot's.
ON_LANE size_t lane_offset(int slot) {
  const auto tile = static_cast<size_t>(slot / lanes);
  return tile * lanes * memory_bytes + static_cast<size_t>(slot % lanes) * cell;
}
/// A program's arrays in a lane's memory: of each the first cell.
struct Arrays {
  Byte* first[4];
  template <class T>
  ON_LANE T* of(int array) const {
    return reinterpret_cast<T*>(first[array]);
  }
};
/// Element i of such an array.
template <class T>
ON_LANE T& at(T* first, int i) {
  static_assert(sizeof(T) <= cell, "No program keeps larger values in memory.");
  constexpr int in_cell = cell / sizeof(T);
  return first[(i & -in_cell) * lanes + (i & (in_cell - 1))];
}

/// What programs have unless they say otherwise.
struct Program {
  static constexpr int addresses[4] = {1024, 1024, 1024, 1024};  // of arrays, as they are linked
  static ON_LANE void install(const Arrays&) {}                  // what a data segment does
};

ON_LANE uint32_t next_random(uint32_t& state) {
  uint32_t x = state;
  x ^= x << 13;
  x ^= x >> 17;
  x ^= x << 5;
  return state = x;
}
ON_LANE uint32_t seeded(int32_t seed) {
  return static_cast<uint32_t>(seed) * 2654435761u + 0x9e3779b9u;
}

struct Alu : Program {
  static constexpr const char* name = "alu";
  static constexpr int32_t size = 200'000;
  static ON_LANE int32_t run(const Arrays&, int32_t seed, int32_t n) {
    uint32_t x = seeded(seed) | 1u;
    uint32_t sum = 0;
    for (int32_t i = 0; i < n; ++i) {
      x ^= x << 13;
      x ^= x >> 17;
      x ^= x << 5;
      sum = sum * 31u + x;
    }
    return static_cast<int32_t>(sum);
  }
};

struct Collatz : Program {
  static constexpr const char* name = "collatz";
  static constexpr int32_t size = 2'000;
  static ON_LANE int32_t run(const Arrays&, int32_t seed, int32_t n) {
    int32_t longest = 0;
    for (int32_t i = 0; i < n; ++i) {
      uint64_t x = uint64_t{static_cast<uint32_t>(seed + i)} + 1u;
      int32_t steps = 0;
      while (x != 1) {
        x = (x & 1) != 0 ? 3 * x + 1 : x >> 1;
        ++steps;
      }
      if (steps > longest) longest = steps;
    }
    return longest;
  }
};

template <bool looped>
NOT_INLINE ON_LANE uint32_t fib(uint32_t n) {
  if constexpr (looped) {
    uint32_t sum = 0;
    for (; n >= 2; n -= 2) sum += fib<looped>(n - 1);
    return sum + n;
  } else {
    return n < 2 ? n : fib<looped>(n - 1) + fib<looped>(n - 2);
  }
}
template <bool looped>
struct Fibr : Program {
  static constexpr const char* name = looped ? "fibr_loop" : "fibr";
  static constexpr int32_t size = 20;
  static ON_LANE int32_t run(const Arrays&, int32_t seed, int32_t n) {
    return static_cast<int32_t>(fib<looped>(static_cast<uint32_t>(n)) +
                                static_cast<uint32_t>(seed));
  }
};

template <bool fused>
ON_LANE double product(double x, double y) {
#ifdef __CUDA_ARCH__
  if (!fused) return __dmul_rn(x, y);
#endif
  return x * y;
}
template <bool fused>
struct Mandel : Program {
  static constexpr const char* name = fused ? "mandel_fma" : "mandel";
  static constexpr int32_t size = 24;
  static ON_LANE int32_t run(const Arrays&, int32_t seed, int32_t n) {
    const double shift = static_cast<double>(seed & 1023) / 4096.0;
    int32_t total = 0;
    for (int32_t row = 0; row < n; ++row) {
      for (int32_t column = 0; column < n; ++column) {
        const double cx = 3.0 * column / n - 2.0 + shift;
        const double cy = 2.0 * row / n - 1.0;
        double x = 0.0;
        double y = 0.0;
        int32_t i = 0;
        while (i < 256) {
          const double xx = product<fused>(x, x);
          const double yy = product<fused>(y, y);
          if (xx + yy > 4.0) break;
          y = product<fused>(2.0 * x, y) + cy;
          x = xx - yy + cx;
          ++i;
        }
        total += i;
      }
    }
    return total;
  }
};

struct Queens : Program {
  static constexpr const char* name = "queens";
  static constexpr int32_t size = 6;
  static constexpr int addresses[4] = {1024, 1280, 1152, 1408};
  static ON_LANE int32_t run(const Arrays& memory, int32_t seed, int32_t n) {
    auto* columns = memory.of<uint32_t>(0);
    auto* left = memory.of<uint32_t>(1);
    auto* right = memory.of<uint32_t>(2);
    auto* open = memory.of<uint32_t>(3);
    const uint32_t all = (1u << n) - 1u;
    int32_t solutions = 0;
    int32_t row = 0;
    at(columns, 0) = at(left, 0) = at(right, 0) = 0;
    at(open, 0) = all;
    while (row >= 0) {
      if (at(open, row) == 0) {
        --row;
        continue;
      }
      const uint32_t bit = at(open, row) & (0u - at(open, row));
      at(open, row) ^= bit;
      const uint32_t c = at(columns, row) | bit;
      if (c == all) {
        ++solutions;
        continue;
      }
      const uint32_t l = (at(left, row) | bit) << 1;
      const uint32_t r = (at(right, row) | bit) >> 1;
      ++row;
      at(columns, row) = c;
      at(left, row) = l;
      at(right, row) = r;
      at(open, row) = all & ~(c | l | r);
    }
    return solutions + seed;
  }
};

ON_LANE uint8_t letter(uint32_t& state) {
  return static_cast<uint8_t>('a' + next_random(state) % 4);
}
struct Lev : Program {
  static constexpr const char* name = "lev";
  static constexpr int32_t size = 60;
  static constexpr int addresses[4] = {1024, 5120, 9216};
  static ON_LANE int32_t run(const Arrays& memory, int32_t seed, int32_t n) {
    auto* a = memory.of<uint8_t>(0);
    auto* b = memory.of<uint8_t>(1);
    auto* row = memory.of<uint16_t>(2);
    uint32_t state = seeded(seed) | 1u;
    for (int32_t i = 0; i < n; ++i) at(a, i) = letter(state);
    for (int32_t i = 0; i < n; ++i) at(b, i) = letter(state);
    for (int32_t j = 0; j <= n; ++j) at(row, j) = static_cast<uint16_t>(j);
    for (int32_t i = 0; i < n; ++i) {
      uint32_t diagonal = at(row, 0);
      at(row, 0) = static_cast<uint16_t>(i + 1);
      for (int32_t j = 0; j < n; ++j) {
        const uint32_t above = at(row, j + 1);
        uint32_t best = diagonal + (at(a, i) != at(b, j));
        if (above + 1 < best) best = above + 1;
        if (uint32_t{at(row, j)} + 1 < best) best = uint32_t{at(row, j)} + 1;
        at(row, j + 1) = static_cast<uint16_t>(best);
        diagonal = above;
      }
    }
    return at(row, n);
  }
};

ON_LANE void sift(uint32_t* data, int32_t root, int32_t count) {
  const uint32_t value = at(data, root);
  for (;;) {
    int32_t child = 2 * root + 1;
    if (child >= count) break;
    if (child + 1 < count && at(data, child + 1) > at(data, child)) ++child;
    if (at(data, child) <= value) break;
    at(data, root) = at(data, child);
    root = child;
  }
  at(data, root) = value;
}
struct Sort : Program {
  static constexpr const char* name = "sort";
  static constexpr int32_t size = 1'000;
  static ON_LANE int32_t run(const Arrays& memory, int32_t seed, int32_t n) {
    auto* data = memory.of<uint32_t>(0);
    uint32_t state = seeded(seed) | 1u;
    for (int32_t i = 0; i < n; ++i) at(data, i) = next_random(state);
    for (int32_t i = n / 2 - 1; i >= 0; --i) sift(data, i, n);
    for (int32_t i = n - 1; i > 0; --i) {
      const uint32_t top = at(data, 0);
      at(data, 0) = at(data, i);
      at(data, i) = top;
      sift(data, 0, i);
    }
    uint32_t sum = 0;
    for (int32_t i = 0; i < n; ++i) sum = sum * 31u + at(data, i);
    for (int32_t i = 1; i < n; ++i) {
      if (at(data, i - 1) > at(data, i)) return -1;
    }
    return static_cast<int32_t>(sum);
  }
};

template <bool by_words>
struct Sieve : Program {
  static constexpr const char* name = by_words ? "sieve_words" : "sieve";
  static constexpr int32_t size = 10'000;
  static ON_LANE int32_t run(const Arrays& memory, int32_t seed, int32_t n) {
    auto* composite = memory.of<uint8_t>(0);
    int32_t cleared = 0;
    if constexpr (by_words) {
      for (; cleared + 4 <= n; cleared += 4) at(memory.of<uint32_t>(0), cleared / 4) = 0;
    }
    for (int32_t i = cleared; i < n; ++i) at(composite, i) = 0;
    int32_t count = 0;
    for (int32_t i = 2; i < n; ++i) {
      if (at(composite, i)) continue;
      ++count;
      for (int32_t j = i + i; j < n; j += i) at(composite, j) = 1;
    }
    return count + seed;
  }
};

CONSTANT const uint32_t table[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};
/// What sha keeps in the instance's memory.
enum class Kept { all, array, nothing };

ON_LANE uint32_t rotate(uint32_t x, int n) { return x >> n | x << (32 - n); }
template <bool in_memory, class T>
ON_LANE T& word(T* first, int i) {
  return in_memory ? at(first, i) : first[i];
}
template <Kept kept>
ON_LANE void compress(uint32_t* state, const uint32_t* block, uint32_t* array,
                      const uint32_t* constants) {
  constexpr bool array_in_memory = kept != Kept::nothing;
  constexpr bool constants_in_memory = kept == Kept::all;
  const auto w = [&](int i) -> uint32_t& { return word<array_in_memory>(array, i); };
  UNROLL_ALL_IF(!array_in_memory)
  for (int i = 0; i < 16; ++i) w(i) = block[i];
  UNROLL_ALL_IF(!array_in_memory)
  for (int i = 16; i < 64; ++i) {
    const uint32_t s0 = rotate(w(i - 15), 7) ^ rotate(w(i - 15), 18) ^ (w(i - 15) >> 3);
    const uint32_t s1 = rotate(w(i - 2), 17) ^ rotate(w(i - 2), 19) ^ (w(i - 2) >> 10);
    w(i) = w(i - 16) + s0 + w(i - 7) + s1;
  }
  uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
  uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
  UNROLL_ALL_IF(!array_in_memory)  // or w would not be in registers
  for (int i = 0; i < 64; ++i) {
    const uint32_t s1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
    const uint32_t k = word<constants_in_memory>(constants, i);
    const uint32_t t1 = h + s1 + ((e & f) ^ (~e & g)) + k + w(i);
    const uint32_t s0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
    const uint32_t t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
    h = g;
    g = f;
    f = e;
    e = d + t1;
    d = c;
    c = b;
    b = a;
    a = t1 + t2;
  }
  const uint32_t more[8] = {a, b, c, d, e, f, g, h};
  for (int i = 0; i < 8; ++i) state[i] += more[i];
}
template <Kept kept>
struct Sha : Program {
  static constexpr const char* name = kept == Kept::all     ? "sha"
                                      : kept == Kept::array ? "sha_constants"
                                                            : "sha_locals";
  static constexpr int32_t size = 32;
  static constexpr int addresses[4] = {1024, 5120};
  static ON_LANE void install(const Arrays& memory) {
    for (int i = 0; i < 64; ++i) at(memory.of<uint32_t>(0), i) = table[i];
  }
  static ON_LANE int32_t run(const Arrays& memory, int32_t seed, int32_t n) {
    uint32_t state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                         0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    uint32_t block[16];
    uint32_t local[kept == Kept::nothing ? 64 : 1];
    uint32_t* array = kept == Kept::nothing ? local : memory.of<uint32_t>(1);
    uint32_t random = seeded(seed) | 1u;
    for (int32_t i = 0; i < n; ++i) {
      for (int j = 0; j < 16; ++j) block[j] = next_random(random);
      compress<kept>(state, block, array, kept == Kept::all ? memory.of<const uint32_t>(0) : table);
    }
    return static_cast<int32_t>(state[0]);
  }
};

}  // namespace nvcc_peer
