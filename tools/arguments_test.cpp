// SPDX-License-Identifier: Apache-2.0
#include "tools/arguments.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

#include "tools/failure.hpp"

namespace warphive::tools {
namespace {

const FunctionType no_params = {{}, {}};
const FunctionType one_i32 = {{ValueType::i32}, {}};
const FunctionType i32_f64 = {{ValueType::i32, ValueType::f64}, {}};

class ArgumentsTest : public testing::Test {
 protected:
  /// A file of this test with that text.
  std::string file(std::string_view text) {
    const std::string path = testing::TempDir() + "warphive_arguments_" +
                             testing::UnitTest::GetInstance()->current_test_info()->name() + ".csv";
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }
  std::string refusal(const ArgumentOptions& options, const FunctionType& type,
                      Status status = Status::usage) {
    try {
      (void)Arguments::parse(options, type, "f");
      return "";
    } catch (const Failure& failure) {
      EXPECT_EQ(failure.status(), status);
      return failure.what();
    }
  }
  static ArgumentOptions list(std::string text) { return {std::move(text), {}, {}}; }
  static ArgumentOptions range(std::string text) { return {{}, std::move(text), {}}; }
  static ArgumentOptions csv(std::string path) { return {{}, {}, std::move(path)}; }
};

TEST_F(ArgumentsTest, NoArgumentsForNoParameters) {
  const Arguments arguments = Arguments::parse({}, no_params, "f");
  EXPECT_TRUE(arguments.shared());
  EXPECT_TRUE(arguments.rows(1000).empty());
}

TEST_F(ArgumentsTest, AListIsOneRowForAll) {
  const Arguments arguments = Arguments::parse(list(" 1 , -2.5"), i32_f64, "f");
  EXPECT_EQ(arguments.count(), std::nullopt);
  EXPECT_EQ(arguments.rows(5), (std::vector<Value>{Value::i32(1), Value::f64(-2.5)}));
}

TEST_F(ArgumentsTest, AnEmptyListIsNoArgument) {
  EXPECT_EQ(refusal(list(""), no_params), "");
  EXPECT_NE(refusal(list(""), one_i32), "");
  EXPECT_NE(refusal(list(","), one_i32), "");
}

TEST_F(ArgumentsTest, TheCountMustBeTheFunctions) {
  EXPECT_EQ(refusal(list("1"), i32_f64),
            "The function f has the signature (i32, f64) -> () and takes 2 arguments, but 1 was "
            "given.");
  EXPECT_NE(refusal({}, one_i32), "");
  EXPECT_NE(refusal(list("1,2"), one_i32), "");
  EXPECT_NE(refusal(range("1..2"), no_params), "");
  EXPECT_NE(refusal(range("1..2"), i32_f64), "");
}

TEST_F(ArgumentsTest, ARangeComesFirstAndGivesTheCount) {
  ArgumentOptions options = range("-1..1");
  options.list = "0.5";
  const Arguments arguments = Arguments::parse(options, i32_f64, "f");
  EXPECT_EQ(arguments.count(), 3u);
  EXPECT_EQ(arguments.rows(3),
            (std::vector<Value>{Value::i32(-1), Value::f64(0.5), Value::i32(0), Value::f64(0.5),
                                Value::i32(1), Value::f64(0.5)}));
}

TEST_F(ArgumentsTest, ARangeMustFitItsType) {
  EXPECT_EQ(refusal(range("4294967295..4294967295"), one_i32), "");
  EXPECT_NE(refusal(range("4294967295..4294967296"), one_i32), "");
  EXPECT_NE(refusal(range("-2147483649..0"), one_i32), "");
}

TEST_F(ArgumentsTest, RangesAreParsedStrictly) {
  EXPECT_EQ(parse_range("5..5").count(), 1u);
  EXPECT_EQ(parse_range("-3..-1").count(), 3u);
  EXPECT_EQ(parse_range("0x10..0x1f").count(), 16u);
  EXPECT_EQ(parse_range("-9223372036854775808..-9223372036854775807").count(), 2u);
  for (const char* text :
       {"", "..", "1..", "..1", "1", "1...3", "1..2..3", "a..b", "2..1", "1.5..2", "0..4294967295",
        "-9223372036854775808..9223372036854775807"}) {
    EXPECT_THROW(parse_range(text), Failure) << text;
  }
}

TEST_F(ArgumentsTest, AFileHasARowPerInstance) {
  const Arguments arguments =
      Arguments::parse(csv(file("1,2\r\n\"3\", 4.5 \n-5,nan\n\n\n")), i32_f64, "f");
  EXPECT_EQ(arguments.count(), 3u);
  EXPECT_FALSE(arguments.shared());
  const std::vector<Value> rows = arguments.rows(3);
  ASSERT_EQ(rows.size(), 6u);
  EXPECT_EQ(rows[2], Value::i32(3));
  EXPECT_EQ(rows[3], Value::f64(4.5));
  EXPECT_EQ(rows[4], Value::i32(-5));
}

TEST_F(ArgumentsTest, AFileWithoutParametersHasEmptyRows) {
  EXPECT_EQ(Arguments::parse(csv(file("\n\n\n")), no_params, "f").count(), 3u);
}

TEST_F(ArgumentsTest, BadRowsAreNamed) {
  const std::string path = file("1,2\n3\n");
  EXPECT_EQ(refusal(csv(path), i32_f64),
            "Line 2 of " + path +
                " has 1 field, but the function f has the signature (i32, f64) -> "
                "().");
  const std::string word = file("1,2\n3,x\n");
  EXPECT_NE(refusal(csv(word), i32_f64).find("Line 2 of " + word + ", field 2 (x)"),
            std::string::npos);
  EXPECT_NE(refusal(csv(file("1,2\n\n3,4\n")), i32_f64).find("Line 2"), std::string::npos);
  EXPECT_NE(refusal(csv(file("")), i32_f64), "");
  EXPECT_NE(refusal(csv(file("\n\n")), i32_f64), "");
  EXPECT_NE(refusal(csv(file("\"1,2\n")), i32_f64), "");
}

TEST_F(ArgumentsTest, AFileExcludesTheOthers) {
  ArgumentOptions options = csv(file("1\n"));
  options.list = "1";
  EXPECT_NE(refusal(options, one_i32), "");
}

TEST_F(ArgumentsTest, FilesThatCannotBeReadAreHostErrors) {
  EXPECT_NE(refusal(csv("/nonexistent/x.csv"), one_i32, Status::host), "");
  EXPECT_NE(refusal(csv("/"), one_i32, Status::host), "");
  EXPECT_THROW(read_file(file("12345"), 4), Failure);
  EXPECT_EQ(read_file(file("12345"), 5), "12345");
}

TEST_F(ArgumentsTest, CsvLines) {
  using Fields = std::vector<std::string>;
  EXPECT_EQ(split_csv_line("a, b ,c", "X"), (Fields{"a", "b", "c"}));
  EXPECT_EQ(split_csv_line("", "X"), (Fields{""}));
  EXPECT_EQ(split_csv_line("a,", "X"), (Fields{"a", ""}));
  EXPECT_EQ(split_csv_line(" \"a,\"\"b\" ,c", "X"), (Fields{"a,\"b", "c"}));
  EXPECT_EQ(split_csv_line("\"\"", "X"), (Fields{""}));
  EXPECT_THROW(split_csv_line("\"a", "X"), Failure);
  EXPECT_THROW(split_csv_line("\"a\"b,c", "X"), Failure);
}

}  // namespace
}  // namespace warphive::tools
