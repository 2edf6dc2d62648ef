// SPDX-License-Identifier: Apache-2.0
// Comparing results in tests.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>

#include "runtime/results.hpp"

namespace warphive::runtime::testing {

/// The same exits, counts, places and values, whichever way they came about.
inline void expect_equal(const Results& a, const Results& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    const kernels::Outcome& x = a.outcome(i);
    const kernels::Outcome& y = b.outcome(i);
    ASSERT_EQ(x.exit, y.exit) << i;
    ASSERT_EQ(x.fuel_used, y.fuel_used) << i;
    ASSERT_EQ(x.fuel_spent, y.fuel_spent) << i;
    ASSERT_EQ(x.pc, y.pc) << i;
    ASSERT_EQ(x.depth, y.depth) << i;
    ASSERT_TRUE(std::ranges::equal(a.values(i), b.values(i))) << i;
  }
}

}  // namespace warphive::runtime::testing
