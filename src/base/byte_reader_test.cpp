// SPDX-License-Identifier: Apache-2.0
#include "base/byte_reader.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace warphive::base {
namespace {

std::vector<std::byte> bytes(std::initializer_list<int> values) {
  std::vector<std::byte> result;
  for (int value : values) result.push_back(static_cast<std::byte>(value));
  return result;
}

std::span<const std::byte> text(std::string_view value) { return std::as_bytes(std::span(value)); }

TEST(ByteReaderTest, ReadsUnsigned) {
  const auto input = bytes({0x00, 0x7f, 0x80, 0x01, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x80, 0x00});
  ByteReader in(input);
  std::uint32_t value = 99;
  for (std::uint32_t expected : {0u, 127u, 128u, 0xffff'ffffu, 0u}) {
    ASSERT_TRUE(in.read_leb_u32(value));
    EXPECT_EQ(value, expected);
  }
  EXPECT_TRUE(in.at_end());
  EXPECT_FALSE(in.read_leb_u32(value));
}

TEST(ByteReaderTest, ReadsSigned) {
  const auto input = bytes(
      {0x3f, 0x40, 0x7f, 0xff, 0x00, 0x80, 0x80, 0x80, 0x80, 0x78, 0xff, 0xff, 0xff, 0xff, 0x07});
  ByteReader in(input);
  std::int32_t value = 99;
  for (std::int32_t expected : {63, -64, -1, 127, std::numeric_limits<std::int32_t>::min(),
                                std::numeric_limits<std::int32_t>::max()}) {
    ASSERT_TRUE(in.read_leb_s32(value));
    EXPECT_EQ(value, expected);
  }
  EXPECT_TRUE(in.at_end());
}

TEST(ByteReaderTest, ReadsSigned64AndSigned33) {
  const auto low = bytes({0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7f});
  const auto high = bytes({0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00});
  const auto index = bytes({0xff, 0xff, 0xff, 0xff, 0x0f});
  std::int64_t value = 0;
  ByteReader in(low);
  ASSERT_TRUE(in.read_leb_s64(value));
  EXPECT_EQ(value, std::numeric_limits<std::int64_t>::min());
  in = ByteReader(high);
  ASSERT_TRUE(in.read_leb_s64(value));
  EXPECT_EQ(value, std::numeric_limits<std::int64_t>::max());
  in = ByteReader(index);
  ASSERT_TRUE(in.read_leb_s33(value));
  EXPECT_EQ(value, 0xffff'ffff);
}

TEST(ByteReaderTest, RefusesIntegersTooLongOrTooLarge) {
  struct Case {
    std::vector<std::byte> input;
    char kind;  // u: u32, s: s32, i: s33, l: s64
    std::string_view message;
  };
  const Case cases[] = {
      {bytes({0x80, 0x80, 0x80, 0x80, 0x80, 0x00}), 'u', "more than (5) bytes"},
      {bytes({0x80, 0x80, 0x80, 0x80, 0x10}), 'u', "too large for (32) bits"},
      {bytes({0x80, 0x80, 0x80, 0x80, 0x80, 0x00}), 's', "more than (5) bytes"},
      {bytes({0x80, 0x80, 0x80, 0x80, 0x70}), 's', "too large for (32) bits"},
      {bytes({0xff, 0xff, 0xff, 0xff, 0x0f}), 's', "too large for (32) bits"},
      {bytes({0x80, 0x80, 0x80, 0x80, 0x20}), 'i', "too large for (33) bits"},
      {bytes({0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7e}), 'l',
       "too large for (64) bits: its last byte is (0x7e)"},
      {bytes({0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00}), 'l',
       "more than (10) bytes"},
  };
  for (const Case& c : cases) {
    ByteReader in(c.input, 100);
    std::uint32_t u32;
    std::int32_t s32;
    std::int64_t s64;
    const bool read = c.kind == 'u'   ? in.read_leb_u32(u32)
                      : c.kind == 's' ? in.read_leb_s32(s32)
                      : c.kind == 'i' ? in.read_leb_s33(s64)
                                      : in.read_leb_s64(s64);
    ASSERT_FALSE(read) << c.message;
    const Error error = in.failure("Count");
    EXPECT_NE(error.message().find(c.message), std::string::npos) << error.message();
    EXPECT_EQ(error.message().substr(0, 5), "Count");
    EXPECT_EQ(error.offset(), 100u);  // the cursor stays at the item
    EXPECT_EQ(error.phase(), ErrorPhase::parse);
    EXPECT_EQ(in.remaining(), c.input.size());
  }
}

TEST(ByteReaderTest, StopsAtTheEnd) {
  const auto input = bytes({1, 2, 3, 0x80});
  ByteReader in(input, 10);
  std::uint32_t word;
  std::uint64_t wide;
  std::span<const std::byte> run;
  EXPECT_FALSE(in.read_u64(wide));
  EXPECT_FALSE(in.read_bytes(5, run));
  EXPECT_FALSE(in.read_bytes(~std::uint64_t{0}, run));
  ASSERT_TRUE(in.read_u32(word));
  EXPECT_EQ(word, 0x80030201u);
  EXPECT_FALSE(in.read_u32(word));
  EXPECT_EQ(in.failure("Word").message(),
            "Word is cut short: (0) bytes are left, at least (4) expected.");
  in = ByteReader(input, 10);
  ASSERT_TRUE(in.skip(3));
  EXPECT_EQ(in.offset(), 13u);
  EXPECT_FALSE(in.read_leb_u32(word));
  EXPECT_EQ(in.failure("Word").message(),
            "Word is cut short: (1) bytes are left, at least (2) expected.");
  ByteReader none;
  std::uint8_t byte;
  EXPECT_TRUE(none.at_end());
  EXPECT_FALSE(none.read_u8(byte));
  EXPECT_TRUE(none.skip(0));
}

TEST(ByteReaderTest, KnowsUtf8) {
  using std::string_view_literals::operator""sv;
  for (std::string_view good :
       {""sv, "plain"sv, "\0"sv, "\xc2\x80"sv, "\xdf\xbf"sv, "\xe0\xa0\x80"sv, "\xed\x9f\xbf"sv,
        "\xee\x80\x80"sv, "\xf0\x90\x80\x80"sv, "\xf4\x8f\xbf\xbf"sv, "a\xe2\x82\xac!"sv}) {
    EXPECT_TRUE(is_utf8(text(good))) << good;
  }
  for (std::string_view bad :
       {"\x80"sv, "\xc0\x80"sv, "\xc1\xbf"sv, "\xc2"sv, "\xc2\x20"sv, "\xe0\x9f\xbf"sv,
        "\xe2\x82"sv, "\xe2\x82\x20"sv, "\xed\xa0\x80"sv, "\xf0\x8f\xbf\xbf"sv,
        "\xf4\x90\x80\x80"sv, "\xf5\x80\x80\x80"sv, "\xff"sv, "ok\xf0\x90\x80"sv}) {
    EXPECT_FALSE(is_utf8(text(bad)));
  }
}

}  // namespace
}  // namespace warphive::base
