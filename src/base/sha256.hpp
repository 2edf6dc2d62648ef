// SPDX-License-Identifier: Apache-2.0
// SHA-256 (FIPS 180-4), by the processor's instructions where it has them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace warphive::base {

/// Hashes what update() is given, one run of bytes after the other.
class Sha256 {
 public:
  using Digest = std::array<std::uint8_t, 32>;
  enum class Means : std::uint8_t { portable, instructions };

  /// The fastest that this processor has.
  static Means best();

  /// `means` is portable or best(): instructions that the processor lacks end the process.
  explicit Sha256(Means means = best()) : means_(means) {}

  void update(const void* data, std::size_t bytes);
  /// Of all so far. The object is used up.
  [[nodiscard]] Digest finish();

 private:
  static constexpr std::size_t block_bytes = 64;

  void hash_blocks(const std::uint8_t* blocks, std::size_t count);

  std::array<std::uint32_t, 8> state_ = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                         0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<std::uint8_t, block_bytes> waiting_ = {};  // less than a block
  std::size_t filled_ = 0;
  std::uint64_t bytes_ = 0;
  Means means_;
};

}  // namespace warphive::base
