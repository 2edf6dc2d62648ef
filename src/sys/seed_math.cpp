// SPDX-License-Identifier: Apache-2.0
#include "sys/seed_math.hpp"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace warphive::sys {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
const float not_a_number = std::bit_cast<float>(0x7fc00000u);

constexpr double ln2_high =
    0x1.62e42fefa3800p-1;  // ends in zeros: products with small integers are exact
constexpr double ln2_low = 0x1.ef35793c76730p-45;
constexpr double inverse_ln2 = 0x1.71547652b82fep+0;
constexpr double half_pi_high = 0x1.921fb54400000p+0;
constexpr double half_pi_low = 0x1.0b4611a626331p-34;
constexpr double inverse_half_pi = 0x1.45f306dc9c883p-1;

bool is_nan(float x) { return (std::bit_cast<std::uint32_t>(x) & 0x7fffffff) > 0x7f800000; }
bool is_infinite(float x) { return (std::bit_cast<std::uint32_t>(x) & 0x7fffffff) == 0x7f800000; }
double magnitude(double x) { return x < 0 ? -x : x; }

// 2^n for n in the range of normal doubles.
double power_of_two(int n) {
  return std::bit_cast<double>(static_cast<std::uint64_t>(n + 1023) << 52);
}

// To the nearest integer; |x| is below 2^31.
int nearest(double x) { return static_cast<int>(x < 0 ? x - 0.5 : x + 0.5); }

struct Reduced {
  double rest;   // in [-pi/4, pi/4], nearly
  int quadrant;  // modulo 4
};

// |x| in [2^16, 2^128): the mantissa times a window of the bits of 2/pi, of which only the two bits
// before the point and 62 after it matter.
Reduced reduce_large(float x) {
  constexpr std::uint32_t two_over_pi[] = {0xa2f9836e, 0x4e441529, 0xfc2757d1, 0xf534ddc0,
                                           0xdb629599, 0x3c439041, 0xfe5163ab, 0xdebbc561};
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const std::uint64_t mantissa = (bits & 0x7fffff) | 0x800000;
  const int exponent = static_cast<int>((bits >> 23) & 0xff) - 150;  // x = mantissa * 2^exponent
  // Bit k of the window's start is the bit of 2/pi with weight 2^-(k+1). Bits with weight above
  // 2^-(exponent-2) give multiples of 4 quadrants.
  const int first = exponent - 2;
  const auto word = [&](int at) -> std::uint64_t {  // 32 bits from bit `at`; zeros before the point
    std::uint64_t result = 0;
    for (int i = 0; i < 32; ++i) {
      const int k = at + i;
      const std::uint32_t bit = k < 0 ? 0 : (two_over_pi[k / 32] >> (31 - k % 32)) & 1;
      result = (result << 1) | bit;
    }
    return result;
  };
  // window / 2^94 * 2^-exponent approximates 2/pi modulo what does not matter.
  const std::uint64_t high = mantissa * word(first);
  const std::uint64_t middle = mantissa * word(first + 32);
  const std::uint64_t low = mantissa * word(first + 64);
  // In units of 2^-62 quadrants, modulo 4 quadrants = 2^64.
  std::uint64_t turns = (high << 32) + middle + (low >> 32);
  const std::uint64_t quadrant = (turns + (std::uint64_t{1} << 61)) >> 62;
  turns -= quadrant << 62;
  constexpr double unit = 0x1.921fb54442d18p-62;  // pi/2 * 2^-62
  double rest = static_cast<double>(static_cast<std::int64_t>(turns)) * unit;
  int turn = static_cast<int>(quadrant & 3);
  if ((bits >> 31) != 0) {
    rest = -rest;
    turn = -turn & 3;
  }
  return {rest, turn};
}

Reduced reduce(float x) {
  const double wide = x;
  if (magnitude(wide) >= 65536) return reduce_large(x);
  const int n = nearest(wide * inverse_half_pi);
  const double rest = (wide - n * half_pi_high) - n * half_pi_low;
  return {rest, n & 3};
}

// Taylor series: on [-pi/4, pi/4] what is left out is below 2^-45 of the value.
double sin_near_zero(double x) {
  const double z = x * x;
  double sum = 1.0 / 6227020800.0;
  sum = sum * z - 1.0 / 39916800.0;
  sum = sum * z + 1.0 / 362880.0;
  sum = sum * z - 1.0 / 5040.0;
  sum = sum * z + 1.0 / 120.0;
  sum = sum * z - 1.0 / 6.0;
  return x + x * z * sum;
}

double cos_near_zero(double x) {
  const double z = x * x;
  double sum = -1.0 / 87178291200.0;
  sum = sum * z + 1.0 / 479001600.0;
  sum = sum * z - 1.0 / 3628800.0;
  sum = sum * z + 1.0 / 40320.0;
  sum = sum * z - 1.0 / 720.0;
  sum = sum * z + 1.0 / 24.0;
  sum = sum * z - 0.5;
  return 1.0 + z * sum;
}

double sin_of(const Reduced& reduced, int shift) {
  const int quadrant = (reduced.quadrant + shift) & 3;
  const double value =
      (quadrant & 1) != 0 ? cos_near_zero(reduced.rest) : sin_near_zero(reduced.rest);
  return (quadrant & 2) != 0 ? -value : value;
}

// x in (-750, 750), so that 2^n is always normal.
double exp_wide(double x) {
  const int n = nearest(x * inverse_ln2);
  const double rest = (x - n * ln2_high) - n * ln2_low;
  double sum = 1.0;
  for (int k = 13; k >= 1; --k) sum = 1.0 + sum * rest / k;
  return sum * power_of_two(n);
}

// x positive and finite.
double log_wide(double x) {
  auto bits = std::bit_cast<std::uint64_t>(x);
  int exponent = static_cast<int>(bits >> 52) - 1023;
  bits = (bits & 0xfffffffffffff) | 0x3ff0000000000000;
  double mantissa = std::bit_cast<double>(bits);
  if (mantissa > 1.4142135623730951) {
    mantissa *= 0.5;
    ++exponent;
  }
  const double s = (mantissa - 1.0) / (mantissa + 1.0);
  const double z = s * s;
  double sum = 0.0;
  for (int k = 19; k >= 3; k -= 2) sum = (sum + 1.0 / k) * z;
  return exponent * ln2_high + (exponent * ln2_low + 2.0 * (s + s * sum));
}

// Rounds once, with overflow and gradual underflow.
float narrow(double x) { return static_cast<float>(x); }

bool is_integer(float y) {
  const double wide = magnitude(static_cast<double>(y));
  return wide >= 16777216.0 || wide == static_cast<double>(static_cast<std::int32_t>(wide));
}
bool is_odd(float y) {
  const double wide = magnitude(static_cast<double>(y));
  return wide < 16777216.0 && is_integer(y) && (static_cast<std::int32_t>(wide) & 1) != 0;
}

}  // namespace

float seed_sqrt(float x) {
  if (is_nan(x) || x < 0) return not_a_number;
  return std::sqrt(x);  // correctly rounded on every IEEE device
}

float seed_sin(float x) {
  if (is_nan(x) || is_infinite(x)) return not_a_number;
  if (x == 0) return x;
  return narrow(sin_of(reduce(x), 0));
}

float seed_cos(float x) {
  if (is_nan(x) || is_infinite(x)) return not_a_number;
  return narrow(sin_of(reduce(x), 1));
}

float seed_tan(float x) {
  if (is_nan(x) || is_infinite(x)) return not_a_number;
  if (x == 0) return x;
  const Reduced reduced = reduce(x);
  return narrow(sin_of(reduced, 0) / sin_of(reduced, 1));
}

float seed_exp(float x) {
  if (is_nan(x)) return not_a_number;
  if (x > 89.0f) return infinity;
  if (x < -104.0f) return 0.0f;
  return narrow(exp_wide(x));
}

float seed_log(float x) {
  if (is_nan(x) || x < 0) return not_a_number;
  if (x == 0) return -infinity;
  if (is_infinite(x)) return infinity;
  return narrow(log_wide(x));
}

float seed_pow(float x, float y) {
  if (y == 0 || x == 1) return 1.0f;
  if (is_nan(x) || is_nan(y)) return not_a_number;
  const bool negative = (std::bit_cast<std::uint32_t>(x) >> 31) != 0;
  const float size = negative ? -x : x;
  if (is_infinite(y)) {
    if (size == 1) return 1.0f;
    return (size > 1) == (y > 0) ? infinity : 0.0f;
  }
  const float sign = negative && is_odd(y) ? -1.0f : 1.0f;
  if (size == 0) return sign * (y > 0 ? 0.0f : infinity);
  if (is_infinite(size)) return sign * (y > 0 ? infinity : 0.0f);
  if (negative && !is_integer(y)) return not_a_number;
  const double power = static_cast<double>(y) * log_wide(size);
  if (power > 100) return sign * infinity;
  if (power < -120) return sign * 0.0f;
  return sign * narrow(exp_wide(power));
}

}  // namespace warphive::sys
