// SPDX-License-Identifier: Apache-2.0
// Scalar ops and conditional branches: the reference executor's arithmetic against a table of
// expected values, then both interpreters against the reference over all pairs of edge values.
#include <gtest/gtest.h>

#include <bit>
#include <limits>

#include "exec/ref_scalar.hpp"
#include "exec/testing.hpp"

namespace warphive::exec::testing {
namespace {

using abi::TrapKind;
using ir::Op;
using ir::Shape;

constexpr std::uint64_t nan32 = 0x7fc00000;
constexpr std::uint64_t nan64 = 0x7ff8000000000000;

std::uint64_t f32(float value) { return std::bit_cast<std::uint32_t>(value); }
std::uint64_t f64(double value) { return std::bit_cast<std::uint64_t>(value); }
std::uint64_t i32(std::int64_t value) { return static_cast<std::uint32_t>(value); }
std::uint64_t i64(std::int64_t value) { return static_cast<std::uint64_t>(value); }

struct Expected {
  Op op;
  std::uint64_t x;
  std::uint64_t y;
  std::uint64_t value;
  TrapKind trap = TrapKind::none;
};

std::vector<Expected> expected_values() {
  constexpr auto none = TrapKind::none;
  constexpr auto zero = TrapKind::integer_divide_by_zero;
  constexpr auto overflow = TrapKind::integer_overflow;
  constexpr auto invalid = TrapKind::invalid_conversion;
  constexpr float inf32 = std::numeric_limits<float>::infinity();
  constexpr double inf64 = std::numeric_limits<double>::infinity();
  constexpr std::uint64_t signalling32 = 0x7fa00001;
  constexpr std::uint64_t signalling64 = 0xfff4000000000001;
  return {
      {Op::mov, 0xdeadbeefcafef00d, 0, 0xdeadbeefcafef00d, none},
      {Op::add32, i32(-1), 1, 0, none},
      {Op::add32_k, i32(-1), 2, 1, none},
      {Op::sub32, 0, 1, 0xffffffff, none},
      {Op::mul32, 0x10001, 0x10001, 0x20001, none},
      {Op::div32_s, i32(-7), 2, i32(-3), none},
      {Op::div32_s, i32(-7), 0, 0, zero},
      {Op::div32_s, 0x80000000, i32(-1), 0, overflow},
      {Op::div32_u, 0x80000000, i32(-1), 0, none},
      {Op::div32_u, i32(-7), 2, 0x7ffffffc, none},
      {Op::div32_u, 1, 0, 0, zero},
      {Op::rem32_s, i32(-7), 2, i32(-1), none},
      {Op::rem32_s, 7, i32(-2), 1, none},
      {Op::rem32_s, 0x80000000, i32(-1), 0, none},
      {Op::rem32_s, 1, 0, 0, zero},
      {Op::rem32_u, i32(-7), 10, 9, none},
      {Op::and32, 0xff00ff00, 0x0ff00ff0, 0x0f000f00, none},
      {Op::or32, 0xf0, 0x0f, 0xff, none},
      {Op::xor32, 0xff, 0x0f, 0xf0, none},
      {Op::shl32, 1, 31, 0x80000000, none},
      {Op::shl32, 1, 32, 1, none},
      {Op::shl32, 3, 33, 6, none},
      {Op::shr32_s, 0x80000000, 31, 0xffffffff, none},
      {Op::shr32_s, 0x80000000, 32, 0x80000000, none},
      {Op::shr32_u, 0x80000000, 31, 1, none},
      {Op::rotl32, 0x80000001, 1, 3, none},
      {Op::rotl32, 0x12345678, 0, 0x12345678, none},
      {Op::rotr32, 0x80000001, 1, 0xc0000000, none},
      {Op::rotr32, 0x12345678, 32, 0x12345678, none},
      {Op::clz32, 0, 0, 32, none},
      {Op::clz32, 1, 0, 31, none},
      {Op::ctz32, 0, 0, 32, none},
      {Op::ctz32, 0x80000000, 0, 31, none},
      {Op::popcnt32, 0xffffffff, 0, 32, none},
      {Op::extend8_s32, 0x180, 0, 0xffffff80, none},
      {Op::extend8_s32, 0xff7f, 0, 0x7f, none},
      {Op::extend16_s32, 0x18000, 0, 0xffff8000, none},
      {Op::add64, i64(-1), 1, 0, none},
      {Op::mul64, 0x100000001, 0x100000001, 0x200000001, none},
      {Op::div64_s, i64(-7), 2, i64(-3), none},
      {Op::div64_s, std::uint64_t{1} << 63, i64(-1), 0, overflow},
      {Op::div64_s, 1, 0, 0, zero},
      {Op::div64_u, i64(-1), 2, 0x7fffffffffffffff, none},
      {Op::rem64_s, std::uint64_t{1} << 63, i64(-1), 0, none},
      {Op::rem64_s, i64(-7), 2, i64(-1), none},
      {Op::rem64_u, 7, 0, 0, zero},
      {Op::shl64, 1, 64, 1, none},
      {Op::shr64_s, std::uint64_t{1} << 63, 63, i64(-1), none},
      {Op::rotl64, (std::uint64_t{1} << 63) | 1, 1, 3, none},
      {Op::rotr64, 1, 1, std::uint64_t{1} << 63, none},
      {Op::clz64, 0, 0, 64, none},
      {Op::ctz64, 0, 0, 64, none},
      {Op::popcnt64, i64(-1), 0, 64, none},
      {Op::extend8_s64, 0x80, 0, 0xffffffffffffff80, none},
      {Op::extend16_s64, 0x8000, 0, 0xffffffffffff8000, none},
      {Op::extend32_s64, 0x80000000, 0, 0xffffffff80000000, none},
      {Op::wrap64, 0x1234567890, 0, 0x34567890, none},
      {Op::eq32, 5, 5, 1, none},
      {Op::lt32_s, i32(-1), 0, 1, none},
      {Op::lt32_u, i32(-1), 0, 0, none},
      {Op::le32_s, i32(-1), i32(-1), 1, none},
      {Op::gt32_s_k, 1, i32(-1), 1, none},
      {Op::gt32_u_k, 1, i32(-1), 0, none},
      {Op::ge64_s_k, i64(-1), 0, 0, none},
      {Op::ge64_u_k, i64(-1), 0, 1, none},
      {Op::eq64, std::uint64_t{1} << 32, 0, 0, none},
      {Op::eqf32, f32(0.0f), f32(-0.0f), 1, none},
      {Op::eqf32, nan32, nan32, 0, none},
      {Op::nef32, nan32, nan32, 1, none},
      {Op::ltf64, f64(-inf64), f64(0), 1, none},
      {Op::lef64, nan64, f64(0), 0, none},

      {Op::addf32, f32(1.5f), f32(2.25f), f32(3.75f), none},
      {Op::addf32, f32(inf32), f32(-inf32), nan32, none},
      {Op::addf32, signalling32, f32(0), nan32, none},
      {Op::mulf32, signalling32, f32(1), nan32, none},
      {Op::subf64, signalling64, f64(0), nan64, none},
      {Op::mulf64, f64(0), f64(inf64), nan64, none},
      {Op::divf64, f64(1), f64(0), f64(inf64), none},
      {Op::divf64, f64(1), f64(-0.0), f64(-inf64), none},
      {Op::divf64, f64(0), f64(0), nan64, none},
      {Op::divf32, f32(-1), f32(0), f32(-inf32), none},
      {Op::mulf32, 1, f32(1), 1, none},  // the smallest denormal stays
      {Op::mulf32, 0x00800000, f32(0.5f), 0x00400000, none},
      {Op::minf32, f32(0), f32(-0.0f), f32(-0.0f), none},
      {Op::maxf32, f32(-0.0f), f32(0), f32(0), none},
      {Op::minf64, f64(1), 0xfff0000000000001, nan64, none},
      {Op::maxf64, signalling64, f64(1), nan64, none},
      {Op::minf64, f64(-inf64), f64(5), f64(-inf64), none},
      {Op::copysignf32, signalling32, f32(-1), signalling32 | 0x80000000, none},
      {Op::absf64, signalling64, 0, 0x7ff4000000000001, none},
      {Op::negf32, signalling32, 0, signalling32 | 0x80000000, none},
      {Op::negf64, nan64, 0, 0xfff8000000000000, none},
      {Op::ceilf32, f32(-0.5f), 0, f32(-0.0f), none},
      {Op::ceilf64, f64(0.25), 0, f64(1), none},
      {Op::floorf32, f32(0.5f), 0, f32(0), none},
      {Op::floorf64, f64(-0.25), 0, f64(-1), none},
      {Op::floorf64, f64(-0.0), 0, f64(-0.0), none},
      {Op::truncf32, f32(-1.75f), 0, f32(-1), none},
      {Op::truncf64, f64(-0.75), 0, f64(-0.0), none},
      {Op::nearestf32, f32(0.5f), 0, f32(0), none},
      {Op::nearestf32, f32(1.5f), 0, f32(2), none},
      {Op::nearestf32, f32(-2.5f), 0, f32(-2), none},
      {Op::nearestf64, f64(0.49999999999999994), 0, f64(0), none},
      {Op::nearestf64, f64(-0.49999999999999994), 0, f64(-0.0), none},
      {Op::nearestf64, f64(4503599627370495.5), 0, f64(4503599627370496.0), none},
      {Op::nearestf64, signalling64, 0, nan64, none},
      {Op::sqrtf64, f64(2), 0, 0x3ff6a09e667f3bcd, none},
      {Op::sqrtf32, f32(-1), 0, nan32, none},
      {Op::sqrtf32, f32(-0.0f), 0, f32(-0.0f), none},

      {Op::cvt_i32_f32_s, f32(-1.9f), 0, i32(-1), none},
      {Op::cvt_i32_f32_s, f32(2147483648.0f), 0, 0, overflow},
      {Op::cvt_i32_f32_s, f32(-2147483648.0f), 0, 0x80000000, none},
      {Op::cvt_i32_f32_s, f32(-2147483904.0f), 0, 0, overflow},
      {Op::cvt_i32_f32_s, nan32, 0, 0, invalid},
      {Op::cvt_i32_f32_u, f32(-0.9f), 0, 0, none},
      {Op::cvt_i32_f32_u, f32(-1), 0, 0, overflow},
      {Op::cvt_i32_f32_u, f32(4294967040.0f), 0, 0xffffff00, none},
      {Op::cvt_i32_f32_u, f32(4294967296.0f), 0, 0, overflow},
      {Op::cvt_i32_f64_s, f64(-2147483648.9), 0, 0x80000000, none},
      {Op::cvt_i32_f64_s, f64(-2147483649.0), 0, 0, overflow},
      {Op::cvt_i32_f64_s, f64(2147483647.9), 0, 0x7fffffff, none},
      {Op::cvt_i32_f64_u, f64(4294967295.9), 0, 0xffffffff, none},
      {Op::cvt_i32_f64_u, f64(-0.99999), 0, 0, none},
      {Op::cvt_i64_f32_s, f32(9223372036854775808.0f), 0, 0, overflow},
      {Op::cvt_i64_f32_s, f32(-9223372036854775808.0f), 0, std::uint64_t{1} << 63, none},
      {Op::cvt_i64_f64_s, f64(-9223372036854777856.0), 0, 0, overflow},
      {Op::cvt_i64_f64_u, f64(18446744073709549568.0), 0, 0xfffffffffffff800, none},
      {Op::cvt_i64_f64_u, f64(18446744073709551616.0), 0, 0, overflow},
      {Op::cvt_i64_f64_u, f64(inf64), 0, 0, overflow},
      {Op::cvt_i64_f32_u, nan32, 0, 0, invalid},
      {Op::cvt_sat_i32_f32_s, nan32, 0, 0, none},
      {Op::cvt_sat_i32_f32_s, f32(inf32), 0, 0x7fffffff, none},
      {Op::cvt_sat_i32_f32_s, f32(-inf32), 0, 0x80000000, none},
      {Op::cvt_sat_i32_f32_u, f32(-inf32), 0, 0, none},
      {Op::cvt_sat_i32_f64_u, f64(1e30), 0, 0xffffffff, none},
      {Op::cvt_sat_i64_f64_s, f64(-1e30), 0, std::uint64_t{1} << 63, none},
      {Op::cvt_sat_i64_f64_u, f64(1e30), 0, ~std::uint64_t{0}, none},
      {Op::cvt_sat_i64_f64_u, f64(-5), 0, 0, none},
      {Op::cvt_sat_i64_f32_s, f32(1e30f), 0, 0x7fffffffffffffff, none},
      {Op::cvt_f32_i32_s, 16777217, 0, f32(16777216.0f), none},
      {Op::cvt_f32_i32_u, i32(-1), 0, f32(4294967296.0f), none},
      {Op::cvt_f32_i64_s, 0x7fffff4000000001, 0, 0x5effffff, none},
      {Op::cvt_f32_i64_u, 0xffffff7fffffffff, 0, 0x5f7fffff, none},
      {Op::cvt_f64_i64_u, i64(-1), 0, f64(18446744073709551616.0), none},
      {Op::cvt_f64_i64_s, i64(-1), 0, f64(-1), none},
      {Op::demote, f64(1e300), 0, f32(inf32), none},
      {Op::demote, signalling64, 0, nan32, none},
      {Op::demote, f64(0x1p-149), 0, 1, none},
      {Op::promote, signalling32, 0, nan64, none},
      {Op::promote, 1, 0, f64(0x1p-149), none},
  };
}

/// One module with, for each op and constant, a function that applies it to its two parameters.
class ScalarModule {
 public:
  [[nodiscard]] const ir::Module& module() const { return module_; }

  /// The function that computes `op` of its parameters; `y` matters only for constant forms.
  std::uint32_t add(Op op, std::uint64_t y) {
    FunctionBuilder builder(module_, type(2, 1), 0, 1);
    const std::uint16_t result = builder.local(0);
    const Shape shape = ir::info(op).shape;
    if (shape == Shape::br_ab || shape == Shape::br_ak) {
      if (shape == Shape::br_ab) {
        builder.op(op, 0, 1, 0, 2);
      } else {
        builder.branch_k(op, 0, static_cast<std::int32_t>(y), 2);
      }
      builder.block().op(Op::const_k, result, 0, 0, 0).ret_mov(result);
      builder.block().op(Op::const_k, result, 0, 0, 1).ret_mov(result);
    } else if (shape == Shape::d_ak) {
      builder.op(op, result, 0, 0, ir::info(op).src_bits == 32 ? static_cast<std::uint32_t>(y) : y);
      builder.ret_mov(result);
    } else {
      builder.op(op, result, 0, shape == Shape::d_ab ? 1 : 0).ret_mov(result);
    }
    return builder.index();
  }

 private:
  ir::Module module_;
};

bool is_scalar(Shape shape) {
  return shape == Shape::d_a || shape == Shape::d_ab || shape == Shape::d_ak;
}
bool is_branch(Shape shape) { return shape == Shape::br_ab || shape == Shape::br_ak; }

std::vector<std::uint64_t> edge_values(unsigned bits) {
  std::vector<std::uint64_t> values;
  if (bits == 32) {
    for (const std::int64_t value :
         {0LL,     1LL,          2LL,          3LL,          7LL,   31LL,  32LL,    33LL,
          63LL,    64LL,         127LL,        128LL,        255LL, 256LL, 32767LL, 32768LL,
          65535LL, 0x7fffffffLL, 0x80000000LL, 0x80000001LL, -1LL,  -2LL,  -3LL,    -31LL}) {
      values.push_back(i32(value));
    }
    for (const float value :
         {-0.0f,          0.5f,           -0.5f,          1.0f,           -1.0f,
          1.5f,           2.5f,           -2.5f,          0.1f,           3.4028235e38f,
          -3.4028235e38f, 8388607.5f,     8388609.0f,     16777216.0f,    2147483520.0f,
          2147483648.0f,  -2147483648.0f, -2147483904.0f, 4294967040.0f,  4294967296.0f,
          9.2233715e18f,  9.2233720e18f,  -9.2233720e18f, -9.2233731e18f, 1.8446743e19f,
          1.8446744e19f,  0.99999994f,    -0.99999994f}) {
      values.push_back(f32(value));
    }
    for (const std::uint64_t pattern :
         std::initializer_list<std::uint64_t>{0x00000001, 0x007fffff, 0x00800000, 0x7f800000,
                                              0x7f800001, 0x7fa00000, 0x7fc00000, 0x7fffffff}) {
      values.push_back(pattern);
      values.push_back(pattern | 0x80000000u);
    }
    return values;
  }
  for (const std::int64_t value : {0LL,
                                   1LL,
                                   2LL,
                                   3LL,
                                   7LL,
                                   31LL,
                                   32LL,
                                   63LL,
                                   64LL,
                                   65LL,
                                   128LL,
                                   255LL,
                                   32768LL,
                                   65535LL,
                                   0x7fffffffLL,
                                   0x80000000LL,
                                   0xffffffffLL,
                                   0x100000000LL,
                                   0x7fffffffffffffffLL,
                                   -1LL,
                                   -2LL,
                                   -63LL,
                                   -0x7fffffffffffffffLL - 1}) {
    values.push_back(i64(value));
  }
  for (const double value : {-0.0,
                             0.5,
                             -0.5,
                             1.0,
                             -1.0,
                             1.5,
                             2.5,
                             -2.5,
                             0.1,
                             0.49999999999999994,
                             -0.49999999999999994,
                             1.7976931348623157e308,
                             4503599627370495.5,
                             -4503599627370497.5,
                             9007199254740993.0,
                             2147483647.0,
                             2147483647.5,
                             2147483648.0,
                             -2147483648.0,
                             -2147483648.9,
                             -2147483649.0,
                             4294967295.0,
                             4294967295.9,
                             4294967296.0,
                             -0.99999999999999989,
                             9223372036854774784.0,
                             9223372036854775808.0,
                             -9223372036854775808.0,
                             -9223372036854777856.0,
                             18446744073709549568.0,
                             18446744073709551616.0,
                             1e-45,
                             7e-46,
                             3.4028235677973366e38,
                             3.4028235677973362e38}) {
    values.push_back(f64(value));
  }
  for (const std::uint64_t pattern : std::initializer_list<std::uint64_t>{
           0x0000000000000001, 0x000fffffffffffff, 0x0010000000000000, 0x7ff0000000000000,
           0x7ff0000000000001, 0x7ff4000000000000, 0x7ff8000000000000, 0x7fffffffffffffff}) {
    values.push_back(pattern);
    values.push_back(pattern | (std::uint64_t{1} << 63));
  }
  return values;
}

TEST(RefScalar, GivesExpectedValues) {
  for (const Expected& row : expected_values()) {
    SCOPED_TRACE(::testing::Message()
                 << ir::info(row.op).name << " 0x" << std::hex << row.x << " 0x" << row.y);
    const ScalarResult result = ref_scalar(row.op, row.x, row.y);
    EXPECT_EQ(result.trap, row.trap);
    if (row.trap == TrapKind::none) {
      EXPECT_EQ(result.value, row.value);
    }
  }
}

class Scalar : public ::testing::TestWithParam<Executor> {};

TEST_P(Scalar, GivesExpectedValues) {
  ScalarModule scalars;
  for (const Expected& row : expected_values()) scalars.add(row.op, row.y);
  const auto subject = make_subject(GetParam(), scalars.module());
  std::uint32_t function = 0;
  for (const Expected& row : expected_values()) {
    SCOPED_TRACE(::testing::Message()
                 << ir::info(row.op).name << " 0x" << std::hex << row.x << " 0x" << row.y);
    const Outcome outcome = subject->call(function, {row.x, row.y});
    EXPECT_EQ(outcome.trap, row.trap);
    if (row.trap == TrapKind::none) {
      ASSERT_EQ(outcome.exit, abi::Exit::returned);
      EXPECT_EQ(outcome.results.at(0), row.value);
    } else {
      EXPECT_EQ(outcome.exit, abi::Exit::trapped);
      EXPECT_EQ(outcome.function, function);
      EXPECT_EQ(outcome.inst, 1u);
    }
    ++function;
  }
}

TEST_P(Scalar, AgreesWithReferenceOnEdgeValues) {
  struct Case {
    Op op;
    std::uint32_t function;
    bool constant;
    std::uint64_t y;
  };
  ScalarModule scalars;
  std::vector<Case> cases;
  for (std::uint16_t i = 0; i < ir::op_count; ++i) {
    const auto op = static_cast<Op>(i);
    const ir::OpInfo& info = ir::info(op);
    if (!is_scalar(info.shape) && !is_branch(info.shape)) continue;
    if (info.shape == Shape::d_ak || info.shape == Shape::br_ak) {
      for (const std::uint64_t y : edge_values(info.shape == Shape::br_ak ? 32 : info.src_bits)) {
        cases.push_back({op, scalars.add(op, y), true, y});
      }
    } else {
      cases.push_back({op, scalars.add(op, 0), false, 0});
    }
  }
  ASSERT_GT(cases.size(), 200u);
  const auto subject = make_subject(GetParam(), scalars.module());
  // The upper half of a slot that is read as 32 bits must not matter.
  constexpr std::uint64_t garbage = 0xdeadbeef00000000;
  for (const Case& test : cases) {
    const ir::OpInfo& info = ir::info(test.op);
    const std::uint64_t high = info.src_bits == 32 ? garbage : 0;
    const std::vector<std::uint64_t> xs = edge_values(info.src_bits);
    const bool unary = info.shape == Shape::d_a;
    const std::vector<std::uint64_t> ys =
        test.constant || unary ? std::vector<std::uint64_t>{test.y} : xs;
    for (const std::uint64_t x : xs) {
      for (const std::uint64_t y : ys) {
        ScalarResult expected;
        if (is_branch(info.shape)) {
          const std::uint64_t operand =
              test.constant ? i64(static_cast<std::int32_t>(y)) : y | high;
          expected.value = ref_condition(test.op, x | high, operand) ? 1 : 0;
        } else {
          expected = ref_scalar(test.op, x | high, y | high);
        }
        const Outcome outcome = subject->call(test.function, {x | high, y | high});
        ASSERT_EQ(outcome.trap, expected.trap) << info.name << " 0x" << std::hex << x << " 0x" << y;
        if (expected.trap != TrapKind::none) continue;
        ASSERT_EQ(outcome.results.at(0), expected.value)
            << info.name << " 0x" << std::hex << x << " 0x" << y;
        if (info.dst_bits == 32) {
          ASSERT_EQ(outcome.results.at(0) >> 32, 0u) << info.name;
        }
      }
    }
  }
}

TEST_P(Scalar, SelectAndConstants) {
  ir::Module module;
  FunctionBuilder builder(module, type(3, 1), 0, 2);
  builder.op(Op::const_k, builder.local(1), 0, 0, 0x8877665544332211);
  builder.op(Op::xor64, 1, 1, builder.local(1));
  builder.op(Op::select, builder.local(0), 0, 1, 2).ret_mov(builder.local(0));
  FunctionBuilder reference(module, type(0, 1), 0, 1);
  reference.op(Op::ref_func, reference.local(0), 0, 0, 0).ret_mov(reference.local(0));
  const auto subject = make_subject(GetParam(), module);
  EXPECT_EQ(subject->call(0, {10, 0, 1}).results.at(0), 10u);
  EXPECT_EQ(subject->call(0, {10, 0, 0}).results.at(0), 0x8877665544332211);
  // Only the low 32 bits of the condition count.
  EXPECT_EQ(subject->call(0, {10, 0, std::uint64_t{1} << 32}).results.at(0), 0x8877665544332211);
  EXPECT_EQ(subject->call(1, {}).results.at(0), 1u);
}

INSTANTIATE_TEST_SUITE_P(Executors, Scalar, ::testing::ValuesIn(all_executors()),
                         [](const auto& parameter) { return name(parameter.param); });

}  // namespace
}  // namespace warphive::exec::testing
