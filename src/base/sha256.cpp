// SPDX-License-Identifier: Apache-2.0
#include "base/sha256.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

#include <algorithm>
#include <bit>
#include <cstring>

namespace warphive::base {
namespace {

alignas(16) constexpr std::array<std::uint32_t, 64> round_constants = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

std::uint32_t big_endian(const std::uint8_t* bytes) {
  return std::uint32_t{bytes[0]} << 24 | std::uint32_t{bytes[1]} << 16 |
         std::uint32_t{bytes[2]} << 8 | bytes[3];
}

void hash_block(std::array<std::uint32_t, 8>& state, const std::uint8_t* block) {
  std::array<std::uint32_t, 64> words;
  for (std::size_t i = 0; i < 16; ++i) words[i] = big_endian(block + 4 * i);
  for (std::size_t i = 16; i < 64; ++i) {
    const std::uint32_t x = words[i - 15];
    const std::uint32_t y = words[i - 2];
    words[i] = words[i - 16] + (std::rotr(x, 7) ^ std::rotr(x, 18) ^ (x >> 3)) + words[i - 7] +
               (std::rotr(y, 17) ^ std::rotr(y, 19) ^ (y >> 10));
  }
  auto [a, b, c, d, e, f, g, h] = state;
  for (std::size_t i = 0; i < 64; ++i) {
    const std::uint32_t first = h + (std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25)) +
                                ((e & f) ^ (~e & g)) + round_constants[i] + words[i];
    const std::uint32_t second =
        (std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
    h = g;
    g = f;
    f = e;
    e = d + first;
    d = c;
    c = b;
    b = a;
    a = first + second;
  }
  const std::array<std::uint32_t, 8> added = {a, b, c, d, e, f, g, h};
  for (std::size_t i = 0; i < state.size(); ++i) state[i] += added[i];
}

#if defined(__x86_64__)

bool has_instructions() {
  std::uint32_t a = 0, b = 0, c = 0, d = 0;
  constexpr std::uint32_t sse41 = 1u << 19;  // which implies SSSE3
  constexpr std::uint32_t sha = 1u << 29;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & sse41) == 0) return false;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & sha) != 0;
}

[[gnu::target("sha,sse4.1")]] void hash_by_instructions(std::array<std::uint32_t, 8>& state,
                                                        const std::uint8_t* blocks,
                                                        std::size_t count) {
  const __m128i swap_bytes = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
  // The instructions take the state as (a, b, e, f) and (c, d, g, h), a and c in the highest lanes.
  const auto* const halves = reinterpret_cast<const __m128i*>(state.data());
  const __m128i cdab = _mm_shuffle_epi32(_mm_loadu_si128(halves), 0xb1);
  const __m128i efgh = _mm_shuffle_epi32(_mm_loadu_si128(halves + 1), 0x1b);
  __m128i abef = _mm_alignr_epi8(cdab, efgh, 8);
  __m128i cdgh = _mm_blend_epi16(efgh, cdab, 0xf0);
  for (; count != 0; --count, blocks += 64) {
    const __m128i abef_before = abef;
    const __m128i cdgh_before = cdgh;
    __m128i words[4];
#pragma GCC unroll 16
    for (std::size_t i = 0; i < 16; ++i) {
      __m128i& word = words[i % 4];  // of rounds 4i to 4i + 3
      if (i < 4) {
        const auto* const at = reinterpret_cast<const __m128i*>(blocks + 16 * i);
        word = _mm_shuffle_epi8(_mm_loadu_si128(at), swap_bytes);
      } else {
        const __m128i last = words[(i + 3) % 4];
        const __m128i before_last = words[(i + 2) % 4];
        word = _mm_sha256msg1_epu32(word, words[(i + 1) % 4]);
        word = _mm_add_epi32(word, _mm_alignr_epi8(last, before_last, 4));
        word = _mm_sha256msg2_epu32(word, last);
      }
      const auto* const constants = reinterpret_cast<const __m128i*>(round_constants.data());
      const __m128i input = _mm_add_epi32(word, _mm_load_si128(constants + i));
      cdgh = _mm_sha256rnds2_epu32(cdgh, abef, input);
      abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(input, 0x0e));
    }
    abef = _mm_add_epi32(abef, abef_before);
    cdgh = _mm_add_epi32(cdgh, cdgh_before);
  }
  const __m128i feba = _mm_shuffle_epi32(abef, 0x1b);
  const __m128i dchg = _mm_shuffle_epi32(cdgh, 0xb1);
  auto* const to = reinterpret_cast<__m128i*>(state.data());
  _mm_storeu_si128(to, _mm_blend_epi16(feba, dchg, 0xf0));
  _mm_storeu_si128(to + 1, _mm_alignr_epi8(dchg, feba, 8));
}

#else

bool has_instructions() { return false; }
void hash_by_instructions(std::array<std::uint32_t, 8>& state, const std::uint8_t* blocks,
                          std::size_t count) {
  for (; count != 0; --count, blocks += 64) hash_block(state, blocks);
}

#endif

}  // namespace

Sha256::Means Sha256::best() {
  static const Means means = has_instructions() ? Means::instructions : Means::portable;
  return means;
}

void Sha256::hash_blocks(const std::uint8_t* blocks, std::size_t count) {
  if (means_ == Means::instructions) {
    hash_by_instructions(state_, blocks, count);
  } else {
    for (std::size_t i = 0; i < count; ++i) hash_block(state_, blocks + i * block_bytes);
  }
}

void Sha256::update(const void* data, std::size_t bytes) {
  if (bytes == 0) return;
  const auto* next = static_cast<const std::uint8_t*>(data);
  bytes_ += bytes;
  if (filled_ != 0) {
    const std::size_t taken = std::min(bytes, block_bytes - filled_);
    std::memcpy(waiting_.data() + filled_, next, taken);
    filled_ += taken;
    next += taken;
    bytes -= taken;
    if (filled_ < block_bytes) return;
    hash_blocks(waiting_.data(), 1);
  }
  hash_blocks(next, bytes / block_bytes);
  filled_ = bytes % block_bytes;
  if (filled_ != 0) std::memcpy(waiting_.data(), next + (bytes - filled_), filled_);
}

Sha256::Digest Sha256::finish() {
  const std::uint64_t bits = 8 * bytes_;
  std::array<std::uint8_t, 2 * block_bytes> end = {0x80};
  const std::size_t zeros_to = filled_ < 56 ? 56 - filled_ : 120 - filled_;
  for (std::size_t i = 0; i < 8; ++i) {
    end[zeros_to + i] = static_cast<std::uint8_t>(bits >> (56 - 8 * i));
  }
  update(end.data(), zeros_to + 8);
  Digest digest;
  for (std::size_t i = 0; i < digest.size(); ++i) {
    digest[i] = static_cast<std::uint8_t>(state_[i / 4] >> (24 - 8 * (i % 4)));
  }
  return digest;
}

}  // namespace warphive::base
