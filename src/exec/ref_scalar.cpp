// SPDX-License-Identifier: Apache-2.0
#include "exec/ref_scalar.hpp"

#include <bit>
#include <cmath>
#include <limits>
#include <type_traits>

#include "base/check.hpp"

namespace warphive::exec {
namespace {

using abi::TrapKind;
using ir::Op;
using std::int32_t;
using std::int64_t;
using std::uint32_t;
using std::uint64_t;

constexpr uint32_t canonical_f32 = 0x7fc00000;
constexpr uint64_t canonical_f64 = 0x7ff8000000000000;

uint32_t u32(uint64_t slot) { return static_cast<uint32_t>(slot); }
int32_t s32(uint64_t slot) { return static_cast<int32_t>(u32(slot)); }
int64_t s64(uint64_t slot) { return static_cast<int64_t>(slot); }
float f32(uint64_t slot) { return std::bit_cast<float>(u32(slot)); }
double f64(uint64_t slot) { return std::bit_cast<double>(slot); }

ScalarResult give(uint32_t value) { return {.value = value}; }
ScalarResult give(int32_t value) { return {.value = static_cast<uint32_t>(value)}; }
ScalarResult give(uint64_t value) { return {.value = value}; }
ScalarResult give(int64_t value) { return {.value = static_cast<uint64_t>(value)}; }
ScalarResult give(bool value) { return {.value = value ? 1u : 0u}; }
ScalarResult give(float value) {
  return {.value = std::isnan(value) ? canonical_f32 : std::bit_cast<uint32_t>(value)};
}
ScalarResult give(double value) {
  return {.value = std::isnan(value) ? canonical_f64 : std::bit_cast<uint64_t>(value)};
}
ScalarResult fails(TrapKind trap) { return {.trap = trap}; }

// Integers, by width. Quotients are taken in a type that holds every one of them.

template <class Signed, class Wide>
ScalarResult divide(Wide x, Wide y, bool remainder) {
  if (y == 0) return fails(TrapKind::integer_divide_by_zero);
  if (remainder) return give(static_cast<Signed>(x % y));
  const Wide quotient = x / y;
  if (quotient > Wide{std::numeric_limits<Signed>::max()}) {
    return fails(TrapKind::integer_overflow);
  }
  return give(static_cast<Signed>(quotient));
}

__extension__ using Int128 = __int128;

template <class T>
ScalarResult divide_unsigned(T x, T y, bool remainder) {
  if (y == 0) return fails(TrapKind::integer_divide_by_zero);
  return give(static_cast<T>(remainder ? x % y : x / y));
}

// Floats

template <class F>
F smaller(F x, F y) {
  if (std::isnan(x) || std::isnan(y)) return std::numeric_limits<F>::quiet_NaN();
  if (x == 0 && y == 0) return std::signbit(x) ? x : y;
  return x < y ? x : y;
}
template <class F>
F larger(F x, F y) {
  if (std::isnan(x) || std::isnan(y)) return std::numeric_limits<F>::quiet_NaN();
  if (x == 0 && y == 0) return std::signbit(x) ? y : x;
  return x < y ? y : x;
}

/// IEEE division, spelled out where C++ leaves it undefined.
template <class F>
F divided(F x, F y) {
  if (y != 0) return x / y;
  if (std::isnan(x) || x == 0) return std::numeric_limits<F>::quiet_NaN();
  const bool negative = std::signbit(x) != std::signbit(y);
  return negative ? -std::numeric_limits<F>::infinity() : std::numeric_limits<F>::infinity();
}

/// Rounds to an integer, ties to the even one, by looking at the fraction.
template <class F>
F nearest(F x) {
  if (std::isnan(x) || std::isinf(x)) return x;
  const F below = std::floor(x);
  const F fraction = x - below;  // exact
  F rounded = below;
  if (fraction > F(0.5) || (fraction == F(0.5) && std::fmod(below, F(2)) != 0)) rounded = below + 1;
  return std::copysign(rounded, x);
}

/// Truncation to an integer type, or the trap, or the nearest value with `saturate`.
template <class Int, class F>
ScalarResult truncated(F x, bool saturate) {
  using Limits = std::numeric_limits<Int>;
  if (std::isnan(x)) return saturate ? give(Int{0}) : fails(TrapKind::invalid_conversion);
  const F whole = std::trunc(x);
  // One above the largest value is a power of two, so a float; the smallest value is a float too.
  const F beyond = std::ldexp(F(1), Limits::digits);
  if (whole >= beyond) return saturate ? give(Limits::max()) : fails(TrapKind::integer_overflow);
  if (whole < static_cast<F>(Limits::min())) {
    return saturate ? give(Limits::min()) : fails(TrapKind::integer_overflow);
  }
  return give(static_cast<Int>(whole));
}

/// Arithmetic and comparisons of 32-bit integers; the op's constant form is the same.
ScalarResult integer32(Op op, uint64_t x, uint64_t y) {
  const int64_t wide_x = s32(x);
  const int64_t wide_y = s32(y);
  const uint32_t a = u32(x);
  const uint32_t b = u32(y);
  switch (op) {
    case Op::add32:
      return give(a + b);
    case Op::sub32:
      return give(a - b);
    case Op::mul32:
      return give(static_cast<uint32_t>(uint64_t{a} * b));
    case Op::div32_s:
      return divide<int32_t>(wide_x, wide_y, false);
    case Op::rem32_s:
      return divide<int32_t>(wide_x, wide_y, true);
    case Op::div32_u:
      return divide_unsigned(a, b, false);
    case Op::rem32_u:
      return divide_unsigned(a, b, true);
    case Op::and32:
      return give(a & b);
    case Op::or32:
      return give(a | b);
    case Op::xor32:
      return give(a ^ b);
    case Op::shl32:
      return give(static_cast<uint32_t>(uint64_t{a} << (b % 32)));
    case Op::shr32_s:
      return give(static_cast<int32_t>(wide_x >> (b % 32)));
    case Op::shr32_u:
      return give(a >> (b % 32));
    case Op::rotl32:
      return give(std::rotl(a, static_cast<int>(b % 32)));
    case Op::rotr32:
      return give(std::rotr(a, static_cast<int>(b % 32)));
    case Op::eq32:
      return give(a == b);
    case Op::ne32:
      return give(a != b);
    case Op::lt32_s:
      return give(wide_x < wide_y);
    case Op::lt32_u:
      return give(a < b);
    case Op::le32_s:
      return give(wide_x <= wide_y);
    case Op::le32_u:
      return give(a <= b);
    case Op::gt32_s_k:
      return give(wide_x > wide_y);
    case Op::gt32_u_k:
      return give(a > b);
    case Op::ge32_s_k:
      return give(wide_x >= wide_y);
    case Op::ge32_u_k:
      return give(a >= b);
    default:
      WARPHIVE_UNREACHABLE();
  }
}

ScalarResult integer64(Op op, uint64_t x, uint64_t y) {
  const Int128 wide_x = s64(x);
  const Int128 wide_y = s64(y);
  switch (op) {
    case Op::add64:
      return give(x + y);
    case Op::sub64:
      return give(x - y);
    case Op::mul64:
      return give(x * y);
    case Op::div64_s:
      return divide<int64_t>(wide_x, wide_y, false);
    case Op::rem64_s:
      return divide<int64_t>(wide_x, wide_y, true);
    case Op::div64_u:
      return divide_unsigned(x, y, false);
    case Op::rem64_u:
      return divide_unsigned(x, y, true);
    case Op::and64:
      return give(x & y);
    case Op::or64:
      return give(x | y);
    case Op::xor64:
      return give(x ^ y);
    case Op::shl64:
      return give(x << (y % 64));
    case Op::shr64_s:
      return give(static_cast<int64_t>(wide_x >> (y % 64)));
    case Op::shr64_u:
      return give(x >> (y % 64));
    case Op::rotl64:
      return give(std::rotl(x, static_cast<int>(y % 64)));
    case Op::rotr64:
      return give(std::rotr(x, static_cast<int>(y % 64)));
    case Op::eq64:
      return give(x == y);
    case Op::ne64:
      return give(x != y);
    case Op::lt64_s:
      return give(wide_x < wide_y);
    case Op::lt64_u:
      return give(x < y);
    case Op::le64_s:
      return give(wide_x <= wide_y);
    case Op::le64_u:
      return give(x <= y);
    case Op::gt64_s_k:
      return give(wide_x > wide_y);
    case Op::gt64_u_k:
      return give(x > y);
    case Op::ge64_s_k:
      return give(wide_x >= wide_y);
    case Op::ge64_u_k:
      return give(x >= y);
    default:
      WARPHIVE_UNREACHABLE();
  }
}

/// The constant form of an op computes what its slot form does. Comparisons that exist only with a
/// constant stand for themselves.
Op slot_form(Op op) {
  switch (op) {
    // clang-format off: it takes `or` and `and` in pasted names for operators.
#define FORM(name) \
  case Op::name##_k: return Op::name;
#define FORMS(width)                                                                       \
  FORM(add##width) FORM(sub##width) FORM(mul##width) FORM(div##width##_s)                  \
  FORM(div##width##_u) FORM(rem##width##_s) FORM(rem##width##_u) FORM(and##width)          \
  FORM(or##width) FORM(xor##width) FORM(shl##width) FORM(shr##width##_s)                   \
  FORM(shr##width##_u) FORM(rotl##width) FORM(rotr##width) FORM(eq##width) FORM(ne##width) \
  FORM(lt##width##_s) FORM(lt##width##_u) FORM(le##width##_s) FORM(le##width##_u)
    FORMS(32)
    FORMS(64)
// clang-format on
#undef FORMS
#undef FORM
    default:
      return op;
  }
}

}  // namespace

ScalarResult ref_scalar(Op op, uint64_t x, uint64_t y) {
  op = slot_form(op);
  switch (op) {
    case Op::mov:
      return give(x);
    case Op::clz32:
      return give(static_cast<uint32_t>(std::countl_zero(u32(x))));
    case Op::ctz32:
      return give(static_cast<uint32_t>(std::countr_zero(u32(x))));
    case Op::popcnt32:
      return give(static_cast<uint32_t>(std::popcount(u32(x))));
    case Op::extend8_s32:
      return give(static_cast<int32_t>(static_cast<std::int8_t>(x)));
    case Op::extend16_s32:
      return give(static_cast<int32_t>(static_cast<std::int16_t>(x)));
    case Op::clz64:
      return give(static_cast<uint64_t>(std::countl_zero(x)));
    case Op::ctz64:
      return give(static_cast<uint64_t>(std::countr_zero(x)));
    case Op::popcnt64:
      return give(static_cast<uint64_t>(std::popcount(x)));
    case Op::extend8_s64:
      return give(static_cast<int64_t>(static_cast<std::int8_t>(x)));
    case Op::extend16_s64:
      return give(static_cast<int64_t>(static_cast<std::int16_t>(x)));
    case Op::extend32_s64:
      return give(static_cast<int64_t>(s32(x)));
    case Op::wrap64:
      return give(u32(x));

    case Op::eqf32:
      return give(f32(x) == f32(y));
    case Op::nef32:
      return give(f32(x) != f32(y));
    case Op::ltf32:
      return give(f32(x) < f32(y));
    case Op::lef32:
      return give(f32(x) <= f32(y));
    case Op::eqf64:
      return give(f64(x) == f64(y));
    case Op::nef64:
      return give(f64(x) != f64(y));
    case Op::ltf64:
      return give(f64(x) < f64(y));
    case Op::lef64:
      return give(f64(x) <= f64(y));

    case Op::addf32:
      return give(f32(x) + f32(y));
    case Op::subf32:
      return give(f32(x) - f32(y));
    case Op::mulf32:
      return give(f32(x) * f32(y));
    case Op::divf32:
      return give(divided(f32(x), f32(y)));
    case Op::minf32:
      return give(smaller(f32(x), f32(y)));
    case Op::maxf32:
      return give(larger(f32(x), f32(y)));
    // Sign operations keep the bits of a NaN, so they are integer operations here too.
    case Op::copysignf32:
      return give((u32(x) % 0x80000000u) + (u32(y) / 0x80000000u) * 0x80000000u);
    case Op::absf32:
      return give(u32(x) % 0x80000000u);
    case Op::negf32:
      return give(u32(x) + 0x80000000u);
    case Op::ceilf32:
      return give(std::ceil(f32(x)));
    case Op::floorf32:
      return give(std::floor(f32(x)));
    case Op::truncf32:
      return give(std::trunc(f32(x)));
    case Op::nearestf32:
      return give(nearest(f32(x)));
    case Op::sqrtf32:
      return give(std::sqrt(f32(x)));
    case Op::addf64:
      return give(f64(x) + f64(y));
    case Op::subf64:
      return give(f64(x) - f64(y));
    case Op::mulf64:
      return give(f64(x) * f64(y));
    case Op::divf64:
      return give(divided(f64(x), f64(y)));
    case Op::minf64:
      return give(smaller(f64(x), f64(y)));
    case Op::maxf64:
      return give(larger(f64(x), f64(y)));
    case Op::copysignf64:
      return give((x % 0x8000000000000000u) + (y / 0x8000000000000000u) * 0x8000000000000000u);
    case Op::absf64:
      return give(x % 0x8000000000000000u);
    case Op::negf64:
      return give(x + 0x8000000000000000u);
    case Op::ceilf64:
      return give(std::ceil(f64(x)));
    case Op::floorf64:
      return give(std::floor(f64(x)));
    case Op::truncf64:
      return give(std::trunc(f64(x)));
    case Op::nearestf64:
      return give(nearest(f64(x)));
    case Op::sqrtf64:
      return give(std::sqrt(f64(x)));

    case Op::cvt_i32_f32_s:
      return truncated<int32_t>(f32(x), false);
    case Op::cvt_i32_f32_u:
      return truncated<uint32_t>(f32(x), false);
    case Op::cvt_i32_f64_s:
      return truncated<int32_t>(f64(x), false);
    case Op::cvt_i32_f64_u:
      return truncated<uint32_t>(f64(x), false);
    case Op::cvt_i64_f32_s:
      return truncated<int64_t>(f32(x), false);
    case Op::cvt_i64_f32_u:
      return truncated<uint64_t>(f32(x), false);
    case Op::cvt_i64_f64_s:
      return truncated<int64_t>(f64(x), false);
    case Op::cvt_i64_f64_u:
      return truncated<uint64_t>(f64(x), false);
    case Op::cvt_sat_i32_f32_s:
      return truncated<int32_t>(f32(x), true);
    case Op::cvt_sat_i32_f32_u:
      return truncated<uint32_t>(f32(x), true);
    case Op::cvt_sat_i32_f64_s:
      return truncated<int32_t>(f64(x), true);
    case Op::cvt_sat_i32_f64_u:
      return truncated<uint32_t>(f64(x), true);
    case Op::cvt_sat_i64_f32_s:
      return truncated<int64_t>(f32(x), true);
    case Op::cvt_sat_i64_f32_u:
      return truncated<uint64_t>(f32(x), true);
    case Op::cvt_sat_i64_f64_s:
      return truncated<int64_t>(f64(x), true);
    case Op::cvt_sat_i64_f64_u:
      return truncated<uint64_t>(f64(x), true);
    case Op::cvt_f32_i32_s:
      return give(static_cast<float>(s32(x)));
    case Op::cvt_f32_i32_u:
      return give(static_cast<float>(u32(x)));
    case Op::cvt_f32_i64_s:
      return give(static_cast<float>(s64(x)));
    case Op::cvt_f32_i64_u:
      return give(static_cast<float>(x));
    case Op::cvt_f64_i32_s:
      return give(static_cast<double>(s32(x)));
    case Op::cvt_f64_i32_u:
      return give(static_cast<double>(u32(x)));
    case Op::cvt_f64_i64_s:
      return give(static_cast<double>(s64(x)));
    case Op::cvt_f64_i64_u:
      return give(static_cast<double>(x));
    case Op::demote:
      return give(static_cast<float>(f64(x)));
    case Op::promote:
      return give(static_cast<double>(f32(x)));
    default:
      break;
  }
  return ir::info(op).src_bits == 32 ? integer32(op, x, y) : integer64(op, x, y);
}

bool ref_condition(Op op, uint64_t x, uint64_t y) {
  switch (op) {
#define INTEGER(name, compared, function) \
  case Op::br_##name:                     \
  case Op::br_##name##_k:                 \
    return function(Op::compared, x, y).value != 0;
#define CONSTANT(name, function) \
  case Op::br_##name:            \
    return function(Op::name, x, y).value != 0;
    INTEGER(eq32, eq32, integer32)
    INTEGER(ne32, ne32, integer32)
    INTEGER(lt32_s, lt32_s, integer32)
    INTEGER(lt32_u, lt32_u, integer32)
    INTEGER(le32_s, le32_s, integer32)
    INTEGER(le32_u, le32_u, integer32)
    INTEGER(and32, and32, integer32)
    INTEGER(eq64, eq64, integer64)
    INTEGER(ne64, ne64, integer64)
    INTEGER(lt64_s, lt64_s, integer64)
    INTEGER(lt64_u, lt64_u, integer64)
    INTEGER(le64_s, le64_s, integer64)
    INTEGER(le64_u, le64_u, integer64)
    CONSTANT(gt32_s_k, integer32)
    CONSTANT(gt32_u_k, integer32)
    CONSTANT(ge32_s_k, integer32)
    CONSTANT(ge32_u_k, integer32)
    CONSTANT(gt64_s_k, integer64)
    CONSTANT(gt64_u_k, integer64)
    CONSTANT(ge64_s_k, integer64)
    CONSTANT(ge64_u_k, integer64)
#undef CONSTANT
#undef INTEGER
    case Op::br_nand32:
    case Op::br_nand32_k:
      return (x & y & 0xffffffff) == 0;
    case Op::br_eqf32:
      return f32(x) == f32(y);
    case Op::br_not_eqf32:
      return f32(x) != f32(y);
    case Op::br_ltf32:
      return std::isless(f32(x), f32(y));
    case Op::br_not_ltf32:
      return !std::isless(f32(x), f32(y));
    case Op::br_lef32:
      return std::islessequal(f32(x), f32(y));
    case Op::br_not_lef32:
      return !std::islessequal(f32(x), f32(y));
    case Op::br_eqf64:
      return f64(x) == f64(y);
    case Op::br_not_eqf64:
      return f64(x) != f64(y);
    case Op::br_ltf64:
      return std::isless(f64(x), f64(y));
    case Op::br_not_ltf64:
      return !std::isless(f64(x), f64(y));
    case Op::br_lef64:
      return std::islessequal(f64(x), f64(y));
    case Op::br_not_lef64:
      return !std::islessequal(f64(x), f64(y));
    default:
      WARPHIVE_UNREACHABLE();
  }
}

}  // namespace warphive::exec
