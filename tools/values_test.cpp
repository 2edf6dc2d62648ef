// SPDX-License-Identifier: Apache-2.0
#include "tools/values.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include "tools/failure.hpp"

namespace warphive::tools {
namespace {

std::string shown(const Value& value) {
  std::string text;
  append_value(text, value);
  return text;
}
std::string json(const Value& value) {
  std::string text;
  append_json_value(text, value);
  return text;
}
std::uint64_t bits(std::string_view text, ValueType type) {
  return parse_value(text, type, "Argument 1").bits;
}
/// The sentence with which the text is refused, or "" if it is not.
std::string refusal(std::string_view text, ValueType type) {
  try {
    parse_value(text, type, "Argument 1");
    return "";
  } catch (const Failure& failure) {
    EXPECT_EQ(failure.status(), Status::usage);
    return failure.what();
  }
}
Value f32_bits(std::uint32_t pattern) { return {ValueType::f32, pattern}; }
Value f64_bits(std::uint64_t pattern) { return {ValueType::f64, pattern}; }

TEST(ParseValue, I32TakesBothSignedAndUnsignedRange) {
  EXPECT_EQ(bits("0", ValueType::i32), 0u);
  EXPECT_EQ(bits("-1", ValueType::i32), 0xffff'ffffu);
  EXPECT_EQ(bits("+7", ValueType::i32), 7u);
  EXPECT_EQ(bits("-2147483648", ValueType::i32), 0x8000'0000u);
  EXPECT_EQ(bits("4294967295", ValueType::i32), 0xffff'ffffu);
  EXPECT_EQ(bits("0xfFfFfFfF", ValueType::i32), 0xffff'ffffu);
  EXPECT_EQ(bits("-0x80000000", ValueType::i32), 0x8000'0000u);
}

TEST(ParseValue, I32RefusesWhatDoesNotFit) {
  EXPECT_EQ(refusal("4294967296", ValueType::i32),
            "Argument 1 (4294967296) is not of type i32: an integer from -2147483648 to 4294967295 "
            "was expected.");
  for (const char* text : {"-2147483649", "", " 1", "1 ", "1.0", "1e3", "0x", "--1", "+-1", "abc",
                           "99999999999999999999", "0b1", "-", "1_000"}) {
    EXPECT_NE(refusal(text, ValueType::i32), "") << text;
  }
}

TEST(ParseValue, I64TakesBothSignedAndUnsignedRange) {
  EXPECT_EQ(bits("-9223372036854775808", ValueType::i64), std::uint64_t{1} << 63);
  EXPECT_EQ(bits("18446744073709551615", ValueType::i64), ~std::uint64_t{0});
  EXPECT_EQ(bits("+18446744073709551615", ValueType::i64), ~std::uint64_t{0});
  EXPECT_EQ(bits("-1", ValueType::i64), ~std::uint64_t{0});
  EXPECT_NE(refusal("-9223372036854775809", ValueType::i64), "");
  EXPECT_NE(refusal("18446744073709551616", ValueType::i64), "");
}

TEST(ParseValue, FloatsTakeDecimalHexadecimalAndSpecialNumbers) {
  EXPECT_EQ(bits("1.5", ValueType::f64), std::bit_cast<std::uint64_t>(1.5));
  EXPECT_EQ(bits("0x1.8p1", ValueType::f64), std::bit_cast<std::uint64_t>(3.0));
  EXPECT_EQ(bits(".5", ValueType::f32), std::bit_cast<std::uint32_t>(0.5f));
  EXPECT_EQ(bits("-0", ValueType::f32), 0x8000'0000u);
  EXPECT_EQ(bits("inf", ValueType::f32), 0x7f80'0000u);
  EXPECT_EQ(bits("-inf", ValueType::f64), 0xfff0'0000'0000'0000u);
  EXPECT_EQ(bits("nan", ValueType::f32), 0x7fc0'0000u);
  EXPECT_EQ(bits("-nan", ValueType::f32), 0xffc0'0000u);
  EXPECT_EQ(bits("nan:0x200000", ValueType::f32), 0x7fa0'0000u);
  EXPECT_EQ(bits("-nan:0x1", ValueType::f64), 0xfff0'0000'0000'0001u);
  EXPECT_EQ(bits("5e-324", ValueType::f64), 1u);
  EXPECT_EQ(bits("1e-400", ValueType::f64), 0u);
}

TEST(ParseValue, FloatsRefuseTheRest) {
  for (const char* text : {"", "1e400", "infinity", "nan()", "nan:0x0", "nan:1", "nan:0x800000",
                           "1,5", " 1", "1 ", "1f", "0x", "e5", "--1", "1e", "NaN", "."}) {
    EXPECT_NE(refusal(text, ValueType::f32), "") << text;
  }
  EXPECT_NE(refusal("nan:0x10000000000000", ValueType::f64), "");
  EXPECT_EQ(refusal("nan:0xfffffffffffff", ValueType::f64), "");
  EXPECT_NE(refusal("1e39", ValueType::f32), "");
}

TEST(ParseValue, ReferencesAreNullOrAnIndex) {
  EXPECT_EQ(bits("null", ValueType::externref), 0u);
  EXPECT_EQ(bits("0", ValueType::externref), 1u);
  EXPECT_EQ(bits("41", ValueType::funcref), 42u);
  EXPECT_NE(refusal("-1", ValueType::externref), "");
  EXPECT_NE(refusal("4294967295", ValueType::externref), "");
}

TEST(ParseValue, VectorsAreBytesOrLanes) {
  const auto vector = [](std::string_view text) {
    return parse_value(text, ValueType::v128, "Argument 1");
  };
  const Value counted = Value::v128(0x0706050403020100, 0x0f0e0d0c0b0a0908);
  EXPECT_EQ(vector("000102030405060708090a0b0c0d0e0f"), counted);
  EXPECT_EQ(vector("i8x16 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 0xf"), counted);
  EXPECT_EQ(vector("i32x4 1 -1 0x80000000  7"),
            Value::v128(0xffffffff00000001, 0x0000000780000000));
  EXPECT_EQ(vector("i64x2 -1 18446744073709551615"), Value::v128(~0ull, ~0ull));
  EXPECT_EQ(vector("f32x4 1.5 -0 inf nan:0x200000"),
            Value::v128(0x800000003fc00000, 0x7fa000007f800000));
  EXPECT_EQ(vector("f64x2 1 2"), Value::v128(0x3ff0000000000000, 0x4000000000000000));
  for (const char* text :
       {"0", "i32x4", "i32x4 1 2 3", "i32x4 1 2 3 4 5", "i8x16 256", "i31x4 1 2 3 4",
        "i16x8 1 2 3 4 5 6 7 -32769", "f64x2 1 x", "", "0001020304050607 08090a0b0c0d0e0"}) {
    EXPECT_NE(refusal(text, ValueType::v128), "") << text;
  }
  std::string text;
  append_value(text, counted);
  EXPECT_EQ(text, "000102030405060708090a0b0c0d0e0f");
  append_json_value(text, counted);
  EXPECT_EQ(text.substr(32), "\"000102030405060708090a0b0c0d0e0f\"");
}

TEST(IntegerValue, FitsOrIsRefused) {
  EXPECT_EQ(integer_value(-1, ValueType::i32, "X"), Value::i32(-1));
  EXPECT_EQ(integer_value(0xffff'ffff, ValueType::i32, "X"), Value::i32(-1));
  EXPECT_EQ(integer_value(-5, ValueType::i64, "X"), Value::i64(-5));
  EXPECT_EQ(integer_value(16'777'216, ValueType::f32, "X"), Value::f32(16'777'216.0f));
  EXPECT_EQ(integer_value(-3, ValueType::f64, "X"), Value::f64(-3.0));
  EXPECT_THROW(integer_value(std::int64_t{1} << 32, ValueType::i32, "X"), Failure);
  EXPECT_THROW(integer_value(16'777'217, ValueType::f32, "X"), Failure);
  EXPECT_THROW(integer_value((std::int64_t{1} << 53) + 1, ValueType::f64, "X"), Failure);
  EXPECT_THROW(integer_value(std::numeric_limits<std::int64_t>::min(), ValueType::f64, "X"),
               Failure);
  EXPECT_THROW(integer_value(-1, ValueType::externref, "X"), Failure);
}

TEST(AppendValue, IntegersAreSigned) {
  EXPECT_EQ(shown({ValueType::i32, 0xffff'ffff}), "-1");
  EXPECT_EQ(json({ValueType::i32, 0x8000'0000}), "-2147483648");
  EXPECT_EQ(shown({ValueType::i64, ~std::uint64_t{0}}), "-1");
  EXPECT_EQ(json({ValueType::i64, std::uint64_t{1} << 63}), "\"-9223372036854775808\"");
}

TEST(AppendValue, FloatsAreTheShortestThatReadBackEqual) {
  EXPECT_EQ(shown(Value::f32(0.1f)), "0.1");
  EXPECT_EQ(shown(Value::f64(0.1)), "0.1");
  EXPECT_EQ(shown(Value::f64(1.0)), "1");
  EXPECT_EQ(shown(Value::f64(5e-324)), "5e-324");
  EXPECT_EQ(shown(Value::f64(-0.0)), "-0.0");
  EXPECT_EQ(json(Value::f32(16'777'216.0f)), "16777216");
  EXPECT_EQ(json(Value::f64(std::numeric_limits<double>::infinity())), "\"inf\"");
  EXPECT_EQ(json(Value::f32(-std::numeric_limits<float>::infinity())), "\"-inf\"");
  EXPECT_EQ(shown(f32_bits(0x7fc0'0000)), "nan");
  EXPECT_EQ(json(f32_bits(0x7fc0'0000)), "\"nan\"");
  EXPECT_EQ(json(f32_bits(0xffc0'0000)), "\"-nan\"");
  EXPECT_EQ(json(f32_bits(0x7fa0'0000)), "\"nan:0x200000\"");
  EXPECT_EQ(json(f64_bits(0x7ff8'0000'0000'0001)), "\"nan:0x8000000000001\"");
}

TEST(AppendValue, ReferencesAreNullOrAnIndex) {
  EXPECT_EQ(json({ValueType::externref, 0}), "null");
  EXPECT_EQ(json({ValueType::funcref, 8}), "7");
}

TEST(Values, EveryFloatReadsBackWithTheSameBits) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 20'000; ++i) {
    const Value narrow = f32_bits(static_cast<std::uint32_t>(random()));
    EXPECT_EQ(parse_value(shown(narrow), ValueType::f32, "X"), narrow) << shown(narrow);
    const Value wide = f64_bits(random());
    EXPECT_EQ(parse_value(shown(wide), ValueType::f64, "X"), wide) << shown(wide);
    const Value special = f64_bits(random() | 0x7ff0'0000'0000'0000);
    EXPECT_EQ(parse_value(shown(special), ValueType::f64, "X"), special) << shown(special);
  }
}

TEST(ParseNumber, WholeTextOrNothing) {
  EXPECT_EQ(parse_unsigned("0x10"), 16u);
  EXPECT_EQ(parse_unsigned("010"), 10u);
  EXPECT_EQ(parse_unsigned("-1"), std::nullopt);
  EXPECT_EQ(parse_unsigned("+1"), std::nullopt);
  EXPECT_EQ(parse_unsigned(""), std::nullopt);
  EXPECT_EQ(parse_unsigned("18446744073709551616"), std::nullopt);
  EXPECT_EQ(parse_signed("-9223372036854775808"), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(parse_signed("9223372036854775808"), std::nullopt);
}

}  // namespace
}  // namespace warphive::tools
