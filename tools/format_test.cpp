// SPDX-License-Identifier: Apache-2.0
#include "tools/format.hpp"

#include <gtest/gtest.h>

namespace warphive::tools {
namespace {

std::string json(std::string_view text) {
  std::string to;
  append_json_string(to, text);
  return to;
}
std::string csv(std::string_view text) {
  std::string to;
  append_csv_field(to, text);
  return to;
}
std::string base64_of(std::string_view text) { return base64(std::as_bytes(std::span(text))); }

TEST(Format, Numbers) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(1000), "1,000");
  EXPECT_EQ(grouped(18'446'744'073'709'551'615u), "18,446,744,073,709,551,615");
  EXPECT_EQ(scaled(0), "0");
  EXPECT_EQ(scaled(999), "999");
  EXPECT_EQ(scaled(999.9), "1 k");
  EXPECT_EQ(scaled(1.234e9), "1.23 G");
  EXPECT_EQ(counted(1, "instance"), "1 instance");
  EXPECT_EQ(counted(1024, "instance"), "1,024 instances");
}

TEST(Format, Durations) {
  EXPECT_EQ(duration(0), "0 ns");
  EXPECT_EQ(duration(1.5e-6), "1.5 us");
  EXPECT_EQ(duration(0.0123), "12.3 ms");
  EXPECT_EQ(duration(12.34), "12.3 s");
  EXPECT_EQ(duration(123'456), "123456 s");
}

TEST(Format, Base64) {
  EXPECT_EQ(base64_of(""), "");
  EXPECT_EQ(base64_of("f"), "Zg==");
  EXPECT_EQ(base64_of("fo"), "Zm8=");
  EXPECT_EQ(base64_of("foo"), "Zm9v");
  EXPECT_EQ(base64_of("foobar"), "Zm9vYmFy");
  EXPECT_EQ(base64_of(std::string_view("\0\xff\xfe", 3)), "AP/+");
}

TEST(Format, Utf8) {
  EXPECT_TRUE(is_utf8(""));
  EXPECT_TRUE(is_utf8("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"));
  EXPECT_TRUE(is_utf8(std::string_view("\0", 1)));
  for (const std::string_view bad :
       {"\x80", "\xc0\x80", "\xc3", "\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80",
        "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xe2\x82", "\xff"}) {
    EXPECT_FALSE(is_utf8(bad)) << base64_of(bad);
  }
}

TEST(Format, TextThatIsNotUtf8IsBase64) {
  EXPECT_EQ(printable("abc", false), "abc");
  EXPECT_EQ(printable("\xff", false), "/w==");
  EXPECT_EQ(printable("a\xe2\x82", false), base64_of("a\xe2\x82"));
  EXPECT_EQ(printable("a\xe2\x82", true), "a");  // cut off inside a character
  EXPECT_EQ(printable("a\xe2\x82\xac", true), "a\xe2\x82\xac");
  EXPECT_EQ(printable("\xff\xe2\x82", true), base64_of("\xff\xe2\x82"));
  EXPECT_EQ(printable("\x82", true), base64_of("\x82"));
  EXPECT_EQ(printable("", true), "");
}

TEST(Format, JsonStrings) {
  EXPECT_EQ(json(R"(a"b\c)"), R"("a\"b\\c")");
  EXPECT_EQ(json("\n\t\r\x01\x7f"), R"("\n\t\r\u0001\u007f")");
  EXPECT_EQ(json(std::string_view("\0", 1)), R"("\u0000")");
  EXPECT_EQ(json("\xc3\xa4"), "\"\xc3\xa4\"");
  EXPECT_EQ(json("a\xff z"), R"("a\ufffd z")");
}

TEST(Format, CsvFields) {
  EXPECT_EQ(csv("plain"), "plain");
  EXPECT_EQ(csv("a,b"), "\"a,b\"");
  EXPECT_EQ(csv("say \"x\"\n"), "\"say \"\"x\"\"\n\"");
}

TEST(Format, ControlCharactersDoNotReachTerminals) {
  EXPECT_EQ(clean("a\x1b[2Jb\n"), "a\\x1b[2Jb\\x0a");
  EXPECT_EQ(clean("\xc3\xa4"), "\xc3\xa4");
  EXPECT_EQ(clean(std::string_view("a\0\xff", 3)), "a\\x00\\xff");
}

TEST(Format, IdsAreReplacedEverywhere) {
  EXPECT_EQ(with_id("in/{id}/{id}.txt", 42), "in/42/42.txt");
  EXPECT_EQ(with_id("{i}d}{id", 1), "{i}d}{id");
  EXPECT_TRUE(has_id("x{id}"));
  EXPECT_FALSE(has_id("x{ID}"));
}

TEST(Format, NearestName) {
  const std::vector<std::string> names = {"--args", "--args-from", "--args-file", "--fuel"};
  EXPECT_EQ(nearest("--arg", names), "--args");
  EXPECT_EQ(nearest("--args-fro", names), "--args-from");
  EXPECT_EQ(nearest("--feul", names), "--fuel");
  EXPECT_EQ(nearest("--zzzzzzzzz", names), "");
  EXPECT_EQ(nearest("", {}), "");
}

}  // namespace
}  // namespace warphive::tools
