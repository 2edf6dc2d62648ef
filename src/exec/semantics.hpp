// SPDX-License-Identifier: Apache-2.0
// The helpers named in the result and trap columns of ir/ops.inc. Floats come and go as bit
// patterns, results that are NaN are canonical. Freestanding, for host and device compilers alike:
// nothing here may become a call into a C library.
#pragma once

#include <stdint.h>

#include "abi/exit.hpp"

namespace warphive::exec::semantics {

using abi::TrapKind;

inline constexpr uint32_t f32_nan = 0x7fc00000u;
inline constexpr uint64_t f64_nan = 0x7ff8000000000000u;

constexpr float to_f32(uint32_t bits) { return __builtin_bit_cast(float, bits); }
constexpr double to_f64(uint64_t bits) { return __builtin_bit_cast(double, bits); }
/// A branch on the host, where it is predicted; a selection would lengthen every chain of
/// operations.
constexpr uint32_t canonical(float value) {
  if (value != value) [[unlikely]]
    return f32_nan;
  return __builtin_bit_cast(uint32_t, value);
}
constexpr uint64_t canonical(double value) {
  if (value != value) [[unlikely]]
    return f64_nan;
  return __builtin_bit_cast(uint64_t, value);
}

// Integers. A result is asked for only where its trap expression says none.

constexpr TrapKind div_u_trap(uint64_t y) {
  return y == 0 ? TrapKind::integer_divide_by_zero : TrapKind::none;
}
constexpr TrapKind div32_s_trap(uint32_t x, uint32_t y) {
  if (y == 0) return TrapKind::integer_divide_by_zero;
  return x == 0x80000000u && y == 0xffffffffu ? TrapKind::integer_overflow : TrapKind::none;
}
constexpr TrapKind div64_s_trap(uint64_t x, uint64_t y) {
  if (y == 0) return TrapKind::integer_divide_by_zero;
  return x == uint64_t{1} << 63 && y == ~uint64_t{0} ? TrapKind::integer_overflow : TrapKind::none;
}
constexpr uint32_t div32_s(uint32_t x, uint32_t y) {
  return static_cast<uint32_t>(static_cast<int32_t>(x) / static_cast<int32_t>(y));
}
constexpr uint64_t div64_s(uint64_t x, uint64_t y) {
  return static_cast<uint64_t>(static_cast<int64_t>(x) / static_cast<int64_t>(y));
}
constexpr uint32_t rem32_s(uint32_t x, uint32_t y) {
  if (y == 0xffffffffu) return 0;  // the quotient of the smallest value would overflow
  return static_cast<uint32_t>(static_cast<int32_t>(x) % static_cast<int32_t>(y));
}
constexpr uint64_t rem64_s(uint64_t x, uint64_t y) {
  if (y == ~uint64_t{0}) return 0;
  return static_cast<uint64_t>(static_cast<int64_t>(x) % static_cast<int64_t>(y));
}
constexpr uint32_t shr32_s(uint32_t x, uint32_t y) {
  return static_cast<uint32_t>(static_cast<int32_t>(x) >> (y & 31));
}
constexpr uint64_t shr64_s(uint64_t x, uint64_t y) {
  return static_cast<uint64_t>(static_cast<int64_t>(x) >> (y & 63));
}
constexpr uint32_t rotl32(uint32_t x, uint32_t n) {
  return (x << (n & 31)) | (x >> ((0 - n) & 31));
}
constexpr uint64_t rotl64(uint64_t x, uint64_t n) {
  return (x << (n & 63)) | (x >> ((0 - n) & 63));
}
constexpr uint32_t clz32(uint32_t x) {
  return x == 0 ? 32 : static_cast<uint32_t>(__builtin_clz(x));
}
constexpr uint32_t ctz32(uint32_t x) {
  return x == 0 ? 32 : static_cast<uint32_t>(__builtin_ctz(x));
}
constexpr uint32_t popcnt32(uint32_t x) { return static_cast<uint32_t>(__builtin_popcount(x)); }
constexpr uint64_t clz64(uint64_t x) {
  return x == 0 ? 64 : static_cast<uint64_t>(__builtin_clzll(x));
}
constexpr uint64_t ctz64(uint64_t x) {
  return x == 0 ? 64 : static_cast<uint64_t>(__builtin_ctzll(x));
}
constexpr uint64_t popcnt64(uint64_t x) { return static_cast<uint64_t>(__builtin_popcountll(x)); }
constexpr uint32_t wrap64(uint64_t x) { return static_cast<uint32_t>(x); }
constexpr uint32_t extend8_s32(uint32_t x) {
  return static_cast<uint32_t>(int32_t{static_cast<int8_t>(x)});
}
constexpr uint32_t extend16_s32(uint32_t x) {
  return static_cast<uint32_t>(int32_t{static_cast<int16_t>(x)});
}
constexpr uint64_t extend8_s64(uint64_t x) {
  return static_cast<uint64_t>(int64_t{static_cast<int8_t>(x)});
}
constexpr uint64_t extend16_s64(uint64_t x) {
  return static_cast<uint64_t>(int64_t{static_cast<int16_t>(x)});
}
constexpr uint64_t extend32_s64(uint64_t x) {
  return static_cast<uint64_t>(int64_t{static_cast<int32_t>(x)});
}
constexpr bool lt32_s(uint32_t x, uint32_t y) {
  return static_cast<int32_t>(x) < static_cast<int32_t>(y);
}
constexpr bool lt64_s(uint64_t x, uint64_t y) {
  return static_cast<int64_t>(x) < static_cast<int64_t>(y);
}

// Float comparisons and arithmetic

constexpr bool f32_eq(uint32_t x, uint32_t y) { return to_f32(x) == to_f32(y); }
constexpr bool f32_lt(uint32_t x, uint32_t y) { return to_f32(x) < to_f32(y); }
constexpr bool f32_le(uint32_t x, uint32_t y) { return to_f32(x) <= to_f32(y); }
constexpr bool f64_eq(uint64_t x, uint64_t y) { return to_f64(x) == to_f64(y); }
constexpr bool f64_lt(uint64_t x, uint64_t y) { return to_f64(x) < to_f64(y); }
constexpr bool f64_le(uint64_t x, uint64_t y) { return to_f64(x) <= to_f64(y); }

constexpr uint32_t f32_add(uint32_t x, uint32_t y) { return canonical(to_f32(x) + to_f32(y)); }
constexpr uint32_t f32_sub(uint32_t x, uint32_t y) { return canonical(to_f32(x) - to_f32(y)); }
constexpr uint32_t f32_mul(uint32_t x, uint32_t y) { return canonical(to_f32(x) * to_f32(y)); }
constexpr uint64_t f64_add(uint64_t x, uint64_t y) { return canonical(to_f64(x) + to_f64(y)); }
constexpr uint64_t f64_sub(uint64_t x, uint64_t y) { return canonical(to_f64(x) - to_f64(y)); }
constexpr uint64_t f64_mul(uint64_t x, uint64_t y) { return canonical(to_f64(x) * to_f64(y)); }

// Division by zero is undefined to C++ and its sanitizer, and IEEE's infinity or NaN to all
// compilers used here.
#if defined(__clang__)
#define WARPHIVE_IEEE_DIVISION __attribute__((no_sanitize("float-divide-by-zero")))
#else
#define WARPHIVE_IEEE_DIVISION
#endif
WARPHIVE_IEEE_DIVISION constexpr uint32_t f32_div(uint32_t x, uint32_t y) {
  return canonical(to_f32(x) / to_f32(y));
}
WARPHIVE_IEEE_DIVISION constexpr uint64_t f64_div(uint64_t x, uint64_t y) {
  return canonical(to_f64(x) / to_f64(y));
}
#undef WARPHIVE_IEEE_DIVISION

// Equal operands differ at most in the sign of zero: min keeps a sign bit, max clears it.
constexpr uint32_t f32_min(uint32_t x, uint32_t y) {
  const float a = to_f32(x);
  const float b = to_f32(y);
  if (a != a || b != b) return f32_nan;
  if (a == b) return x | y;
  return a < b ? x : y;
}
constexpr uint32_t f32_max(uint32_t x, uint32_t y) {
  const float a = to_f32(x);
  const float b = to_f32(y);
  if (a != a || b != b) return f32_nan;
  if (a == b) return x & y;
  return a > b ? x : y;
}
constexpr uint64_t f64_min(uint64_t x, uint64_t y) {
  const double a = to_f64(x);
  const double b = to_f64(y);
  if (a != a || b != b) return f64_nan;
  if (a == b) return x | y;
  return a < b ? x : y;
}
constexpr uint64_t f64_max(uint64_t x, uint64_t y) {
  const double a = to_f64(x);
  const double b = to_f64(y);
  if (a != a || b != b) return f64_nan;
  if (a == b) return x & y;
  return a > b ? x : y;
}

// Built without -fmath-errno these are single instructions everywhere.
inline uint32_t f32_sqrt(uint32_t x) { return canonical(__builtin_sqrtf(to_f32(x))); }
inline uint64_t f64_sqrt(uint64_t x) { return canonical(__builtin_sqrt(to_f64(x))); }

// Rounding to integers. Where the target has instructions for it the builtins select them; baseline
// x86-64 has none, and would call libm.
#if defined(__NVPTX__) || defined(__SSE4_1__) || defined(__aarch64__)
inline uint32_t f32_ceil(uint32_t x) { return canonical(__builtin_ceilf(to_f32(x))); }
inline uint32_t f32_floor(uint32_t x) { return canonical(__builtin_floorf(to_f32(x))); }
inline uint32_t f32_trunc(uint32_t x) { return canonical(__builtin_truncf(to_f32(x))); }
inline uint32_t f32_nearest(uint32_t x) { return canonical(__builtin_rintf(to_f32(x))); }
inline uint64_t f64_ceil(uint64_t x) { return canonical(__builtin_ceil(to_f64(x))); }
inline uint64_t f64_floor(uint64_t x) { return canonical(__builtin_floor(to_f64(x))); }
inline uint64_t f64_trunc(uint64_t x) { return canonical(__builtin_trunc(to_f64(x))); }
inline uint64_t f64_nearest(uint64_t x) { return canonical(__builtin_rint(to_f64(x))); }
#else
/// True for a magnitude with fraction bits; all other values are integers, infinities or NaNs.
constexpr bool f32_has_fraction(uint32_t x) { return (x & 0x7fffffffu) < 0x4b000000u; }  // < 2^23
constexpr bool f64_has_fraction(uint64_t x) {
  return (x & 0x7fffffffffffffffu) < 0x4330000000000000u;  // < 2^52
}
/// `value`, a rounding of x, with x's sign: roundings to zero keep the sign of what was rounded.
constexpr uint32_t f32_with_sign(float value, uint32_t x) {
  return (__builtin_bit_cast(uint32_t, value) & 0x7fffffffu) | (x & 0x80000000u);
}
constexpr uint64_t f64_with_sign(double value, uint64_t x) {
  return (__builtin_bit_cast(uint64_t, value) & 0x7fffffffffffffffu) | (x & (uint64_t{1} << 63));
}
constexpr uint32_t f32_trunc(uint32_t x) {
  const float value = to_f32(x);
  if (!f32_has_fraction(x)) return canonical(value);
  return f32_with_sign(static_cast<float>(static_cast<int32_t>(value)), x);
}
constexpr uint32_t f32_floor(uint32_t x) {
  const float value = to_f32(x);
  if (!f32_has_fraction(x)) return canonical(value);
  const float whole = static_cast<float>(static_cast<int32_t>(value));
  return f32_with_sign(whole > value ? whole - 1.0f : whole, x);
}
constexpr uint32_t f32_ceil(uint32_t x) {
  const float value = to_f32(x);
  if (!f32_has_fraction(x)) return canonical(value);
  const float whole = static_cast<float>(static_cast<int32_t>(value));
  return f32_with_sign(whole < value ? whole + 1.0f : whole, x);
}
constexpr uint32_t f32_nearest(uint32_t x) {
  if (!f32_has_fraction(x)) return canonical(to_f32(x));
  // The sum has no fraction bits, so it is rounded as IEEE addition rounds: ties to even.
  const float sum = to_f32(x & 0x7fffffffu) + 8388608.0f;
  return f32_with_sign(sum - 8388608.0f, x);
}
constexpr uint64_t f64_trunc(uint64_t x) {
  const double value = to_f64(x);
  if (!f64_has_fraction(x)) return canonical(value);
  return f64_with_sign(static_cast<double>(static_cast<int64_t>(value)), x);
}
constexpr uint64_t f64_floor(uint64_t x) {
  const double value = to_f64(x);
  if (!f64_has_fraction(x)) return canonical(value);
  const double whole = static_cast<double>(static_cast<int64_t>(value));
  return f64_with_sign(whole > value ? whole - 1.0 : whole, x);
}
constexpr uint64_t f64_ceil(uint64_t x) {
  const double value = to_f64(x);
  if (!f64_has_fraction(x)) return canonical(value);
  const double whole = static_cast<double>(static_cast<int64_t>(value));
  return f64_with_sign(whole < value ? whole + 1.0 : whole, x);
}
constexpr uint64_t f64_nearest(uint64_t x) {
  if (!f64_has_fraction(x)) return canonical(to_f64(x));
  const double sum = to_f64(x & 0x7fffffffffffffffu) + 4503599627370496.0;
  return f64_with_sign(sum - 4503599627370496.0, x);
}
#endif

// Conversions from floats: the truncated value must be representable, so a bound is either the
// nearest float outside (excluded) or exact. 2^31, 2^32, 2^63 and 2^64 are floats of both widths.

constexpr TrapKind conversion_trap(bool in_range, bool is_nan) {
  if (in_range) return TrapKind::none;
  return is_nan ? TrapKind::invalid_conversion : TrapKind::integer_overflow;
}
constexpr bool fits_i32_s(float v) { return v >= -2147483648.0f && v < 2147483648.0f; }
constexpr bool fits_i32_s(double v) { return v > -2147483649.0 && v < 2147483648.0; }
template <class F>
constexpr bool fits_i32_u(F v) {
  return v > F{-1} && v < F{4294967296};
}
template <class F>
constexpr bool fits_i64_s(F v) {
  return v >= F{-9223372036854775808.0} && v < F{9223372036854775808.0};
}
template <class F>
constexpr bool fits_i64_u(F v) {
  return v > F{-1} && v < F{18446744073709551616.0};
}

#define WARPHIVE_CONVERSION(to, from, sign, bits, type)                                   \
  constexpr TrapKind trap_##to##_from_##from##_##sign(uint##bits##_t x) {                 \
    const auto v = to_##from(x);                                                          \
    return conversion_trap(fits_##to##_##sign(v), v != v);                                \
  }                                                                                       \
  constexpr u##type to##_from_##from##_##sign(uint##bits##_t x) {                         \
    return static_cast<u##type>(static_cast<WARPHIVE_SIGNED_##sign(type)>(to_##from(x))); \
  }                                                                                       \
  constexpr u##type to##_sat_##from##_##sign(uint##bits##_t x) {                          \
    using Target = WARPHIVE_SIGNED_##sign(type);                                          \
    const auto v = to_##from(x);                                                          \
    if (fits_##to##_##sign(v)) return static_cast<u##type>(static_cast<Target>(v));       \
    if (v != v) return 0;                                                                 \
    constexpr u##type ones = static_cast<u##type>(~u##type{0});                           \
    constexpr u##type largest = Target(-1) < Target(0) ? ones >> 1 : ones;                \
    return v < 0 ? static_cast<u##type>(~largest) : largest;                              \
  }
#define WARPHIVE_SIGNED_s(type) type
#define WARPHIVE_SIGNED_u(type) u##type
WARPHIVE_CONVERSION(i32, f32, s, 32, int32_t)
WARPHIVE_CONVERSION(i32, f32, u, 32, int32_t)
WARPHIVE_CONVERSION(i32, f64, s, 64, int32_t)
WARPHIVE_CONVERSION(i32, f64, u, 64, int32_t)
WARPHIVE_CONVERSION(i64, f32, s, 32, int64_t)
WARPHIVE_CONVERSION(i64, f32, u, 32, int64_t)
WARPHIVE_CONVERSION(i64, f64, s, 64, int64_t)
WARPHIVE_CONVERSION(i64, f64, u, 64, int64_t)
#undef WARPHIVE_SIGNED_s
#undef WARPHIVE_SIGNED_u
#undef WARPHIVE_CONVERSION

// Conversions to floats, rounded once
constexpr uint32_t f32_from_i32_s(uint32_t x) {
  return canonical(static_cast<float>(static_cast<int32_t>(x)));
}
constexpr uint32_t f32_from_i32_u(uint32_t x) { return canonical(static_cast<float>(x)); }
constexpr uint32_t f32_from_i64_s(uint64_t x) {
  return canonical(static_cast<float>(static_cast<int64_t>(x)));
}
constexpr uint32_t f32_from_i64_u(uint64_t x) { return canonical(static_cast<float>(x)); }
constexpr uint64_t f64_from_i32_s(uint32_t x) {
  return canonical(static_cast<double>(static_cast<int32_t>(x)));
}
constexpr uint64_t f64_from_i32_u(uint32_t x) { return canonical(static_cast<double>(x)); }
constexpr uint64_t f64_from_i64_s(uint64_t x) {
  return canonical(static_cast<double>(static_cast<int64_t>(x)));
}
constexpr uint64_t f64_from_i64_u(uint64_t x) { return canonical(static_cast<double>(x)); }
constexpr uint32_t f32_from_f64(uint64_t x) { return canonical(static_cast<float>(to_f64(x))); }
constexpr uint64_t f64_from_f32(uint32_t x) { return canonical(static_cast<double>(to_f32(x))); }

}  // namespace warphive::exec::semantics
