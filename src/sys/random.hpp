// SPDX-License-Identifier: Apache-2.0
// Random words as a pure function of (seed, ordinal, counter): any device can make any word of any
// instance, in any order.
#pragma once

#include <cstdint>

namespace warphive::sys {

struct PhiloxBlock {
  std::uint64_t low;
  std::uint64_t high;
};

/// Philox2x64 with ten rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3").
/// A bijection of the 128-bit counter for each key: streams of different instances never overlap.
PhiloxBlock philox2x64(std::uint64_t counter_low, std::uint64_t counter_high, std::uint64_t key);

/// Word number `counter` of instance `ordinal`: a half of block counter / 2.
inline std::uint64_t random_word(std::uint64_t seed, std::uint64_t ordinal, std::uint64_t counter) {
  const PhiloxBlock block = philox2x64(counter / 2, ordinal, seed);
  return counter % 2 == 0 ? block.low : block.high;
}

}  // namespace warphive::sys
