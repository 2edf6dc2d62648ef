// SPDX-License-Identifier: Apache-2.0
#include "sys/random.hpp"

#include <gtest/gtest.h>

#include <set>

namespace warphive::sys {
namespace {

// Known answers of Random123, the authors' library.
TEST(Philox, KnownAnswers) {
  const PhiloxBlock zero = philox2x64(0, 0, 0);
  EXPECT_EQ(zero.low, 0xca00a0459843d731u);
  EXPECT_EQ(zero.high, 0x66c24222c9a845b5u);
  const std::uint64_t ones = ~std::uint64_t{0};
  const PhiloxBlock full = philox2x64(ones, ones, ones);
  EXPECT_EQ(full.low, 0x65b021d60cd8310fu);
  EXPECT_EQ(full.high, 0x4d02f3222f86df20u);
  const PhiloxBlock pi = philox2x64(0x243f6a8885a308d3, 0x13198a2e03707344, 0xa4093822299f31d0);
  EXPECT_EQ(pi.low, 0x0a5e742c2997341cu);
  EXPECT_EQ(pi.high, 0xb0f883d38000de5du);
}

TEST(RandomWord, DiffersBySeedOrdinalAndCounter) {
  std::set<std::uint64_t> seen;
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    for (std::uint64_t ordinal = 0; ordinal < 16; ++ordinal) {
      for (std::uint64_t counter = 0; counter < 16; ++counter) {
        seen.insert(random_word(seed, ordinal, counter));
      }
    }
  }
  EXPECT_EQ(seen.size(), 4u * 16 * 16);
}

}  // namespace
}  // namespace warphive::sys
