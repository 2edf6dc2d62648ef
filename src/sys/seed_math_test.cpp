// SPDX-License-Identifier: Apache-2.0
#include "sys/seed_math.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>

namespace warphive::sys {
namespace {

constexpr float inf = std::numeric_limits<float>::infinity();
const float nan = std::bit_cast<float>(0xffc12345u);

std::uint32_t bits(float x) { return std::bit_cast<std::uint32_t>(x); }
void expect_nan(float x) { EXPECT_EQ(bits(x), 0x7fc00000u); }

// Distance in representable values; both must be of one kind.
std::int64_t distance(float a, float b) {
  const auto ordered = [](float x) {
    const auto raw = static_cast<std::int32_t>(bits(x));
    return raw < 0 ? std::int64_t{std::numeric_limits<std::int32_t>::min()} - raw
                   : std::int64_t{raw};
  };
  return std::abs(ordered(a) - ordered(b));
}

// Against the library's double function, rounded once: the nearest f32 but for rare ties.
template <class Ours, class Theirs>
void compare(Ours ours, Theirs theirs, float x) {
  const float expected = static_cast<float>(theirs(static_cast<double>(x)));
  const float got = ours(x);
  if (std::isnan(expected)) {
    expect_nan(got);
  } else {
    EXPECT_LE(distance(got, expected), 1) << "x = " << x << ", " << got << " for " << expected;
  }
}

template <class Ours, class Theirs>
void compare_all(Ours ours, Theirs theirs) {
  // Every 16,411th of all f32: each exponent some 500 times, all signs, subnormals, NaNs.
  for (std::uint64_t i = 0; i <= 0xffffffff; i += 16411) {
    compare(ours, theirs, std::bit_cast<float>(static_cast<std::uint32_t>(i)));
    if (testing::Test::HasFailure()) return;
  }
  for (const float x : {0.0f, -0.0f, 1.0f, -1.0f, inf, -inf, 88.72284f, 88.72283f, -103.97208f,
                        -87.33655f, 1.57079637f, 3.14159274f, 65535.99f, 65536.0f, 65536.01f,
                        3.4028235e38f, 1.0000001f, 0.99999994f}) {
    compare(ours, theirs, x);
  }
}

TEST(SeedMath, MatchesTheLibrary) {
  compare_all(seed_sqrt, [](double x) { return std::sqrt(x); });
  compare_all(seed_sin, [](double x) { return std::sin(x); });
  compare_all(seed_cos, [](double x) { return std::cos(x); });
  compare_all(seed_tan, [](double x) { return std::tan(x); });
  compare_all(seed_exp, [](double x) { return std::exp(x); });
  compare_all(seed_log, [](double x) { return std::log(x); });
}

TEST(SeedMath, PowMatchesTheLibrary) {
  std::mt19937 random(1);
  for (int i = 0; i < 200'000; ++i) {
    const float y = std::ldexp(static_cast<float>(static_cast<int>(random())) * 0x1p-31f,
                               static_cast<int>(random() % 16) - 4);
    const float x = std::bit_cast<float>(static_cast<std::uint32_t>(random()));
    compare([y](float v) { return seed_pow(v, y); },
            [y](double v) { return std::pow(v, static_cast<double>(y)); }, x);
    const float near_one = 1.0f + static_cast<float>(static_cast<int>(random())) * 0x1p-38f;
    const float large = static_cast<float>(static_cast<int>(random() % 20000) - 10000);
    compare([large](float v) { return seed_pow(v, large); },
            [large](double v) { return std::pow(v, static_cast<double>(large)); }, near_one);
  }
}

TEST(SeedMath, PowSpecialCases) {
  const float values[] = {0.0f,  -0.0f, 0.5f, -0.5f, 1.0f,  -1.0f,  2.0f,        -2.0f,       3.0f,
                          -3.0f, inf,   -inf, nan,   1e30f, -1e30f, 16777217.0f, -16777215.0f};
  for (const float x : values) {
    for (const float y : values) {
      const float expected =
          static_cast<float>(std::pow(static_cast<double>(x), static_cast<double>(y)));
      if (std::isnan(expected)) {
        expect_nan(seed_pow(x, y));
      } else {
        EXPECT_LE(distance(seed_pow(x, y), expected), 1) << x << " ^ " << y;
        EXPECT_EQ(std::signbit(seed_pow(x, y)), std::signbit(expected)) << x << " ^ " << y;
      }
    }
  }
}

TEST(SeedMath, NansAreCanonical) {
  for (const auto function : {seed_sqrt, seed_sin, seed_cos, seed_tan, seed_exp, seed_log}) {
    expect_nan(function(nan));
  }
  expect_nan(seed_sqrt(-1));
  expect_nan(seed_log(-1));
  expect_nan(seed_sin(inf));
  expect_nan(seed_pow(-2, 0.5f));
}

TEST(SeedMath, KeepsZeros) {
  EXPECT_EQ(bits(seed_sin(-0.0f)), 0x80000000u);
  EXPECT_EQ(bits(seed_tan(-0.0f)), 0x80000000u);
  EXPECT_EQ(bits(seed_sqrt(-0.0f)), 0x80000000u);
  EXPECT_EQ(seed_log(0.0f), -inf);
  EXPECT_EQ(seed_log(1.0f), 0.0f);
  EXPECT_EQ(seed_exp(0.0f), 1.0f);
}

// Other devices must give the very same bits; these pin them.
TEST(SeedMath, PinnedBits) {
  EXPECT_EQ(bits(seed_sin(1.0f)), 0x3f576aa4u);
  EXPECT_EQ(bits(seed_cos(1.0f)), 0x3f0a5140u);
  EXPECT_EQ(bits(seed_tan(1.0f)), 0x3fc75923u);
  EXPECT_EQ(bits(seed_exp(1.0f)), 0x402df854u);
  EXPECT_EQ(bits(seed_log(2.0f)), 0x3f317218u);
  EXPECT_EQ(bits(seed_pow(2.0f, 0.5f)), 0x3fb504f3u);
}

}  // namespace
}  // namespace warphive::sys
