// SPDX-License-Identifier: Apache-2.0
#include "sys/random.hpp"

namespace warphive::sys {
namespace {

// 64 x 64 -> 128 bits, in steps that need no wider type.
PhiloxBlock multiply(std::uint64_t a, std::uint64_t b) {
  constexpr std::uint64_t mask = 0xffffffff;
  const std::uint64_t low_low = (a & mask) * (b & mask);
  const std::uint64_t high_low = (a >> 32) * (b & mask);
  const std::uint64_t low_high = (a & mask) * (b >> 32);
  const std::uint64_t middle = (low_low >> 32) + (high_low & mask) + low_high;
  const std::uint64_t high = (a >> 32) * (b >> 32) + (high_low >> 32) + (middle >> 32);
  return {a * b, high};
}

}  // namespace

PhiloxBlock philox2x64(std::uint64_t counter_low, std::uint64_t counter_high, std::uint64_t key) {
  constexpr std::uint64_t multiplier = 0xd2b74407b1ce6e93;
  constexpr std::uint64_t weyl = 0x9e3779b97f4a7c15;
  PhiloxBlock block{counter_low, counter_high};
  for (int round = 0; round < 10; ++round) {
    const PhiloxBlock product = multiply(multiplier, block.low);
    block = {product.high ^ key ^ block.high, product.low};
    key += weyl;
  }
  return block;
}

}  // namespace warphive::sys
