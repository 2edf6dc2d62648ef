// SPDX-License-Identifier: Apache-2.0
#include "ir/text.hpp"

#include <gtest/gtest.h>

#include <string>

#include "ir/testing/random_module.hpp"
#include "ir/verify.hpp"

namespace warphive::ir {
namespace {

void expect_round_trip(const Module& module) {
  const std::string text = print(module);
  const auto back = parse(text);
  ASSERT_TRUE(back) << back.error().describe() << "\n" << text;
  EXPECT_TRUE(*back == module) << text << "\nbecame\n" << print(*back);
}

TEST(Text, PrintsWhatOneWouldWrite) {
  constexpr std::string_view text = R"(module metered
type 0 (i32, i32) -> (i32)
member 0 "m"
export "run" fn 0
memory 0 min 1 max 2 grows
global 0 i64 mutable

fn 0 "run" (i32, i32) -> (i32) frame 5 header 2 guest 4 {
  jump0 = b1 b2
b0:
  enter header 2 zero 3 + 2 frame 5 @17
  charge 3
  const_k s3, -1
  const_k s4, 0x8000000000000000
  add32_k s3, s0, 4294967295 @20
  select s3, s0, s1, s4
  load32_u s3, [s0 + 16]
  store8 memory1 [s3], s4
  global_set s3, global0
  memory_copy_check s0, s1, s3, memory0, memory0
  br_table s0, jump0
b1:
  br_lt32_s_k s3, -7, b2 @5
b2:
  trap memory_out_of_bounds
}
)";
  const auto module = parse(text);
  ASSERT_TRUE(module) << module.error().describe();
  EXPECT_EQ(print(*module), text);
}

TEST(Text, KeepsEveryField) {
  Module module;
  module.metered = false;
  module.main_memory = 1;
  module.types = {
      {}, {{ValueType::v128, ValueType::funcref}, {ValueType::externref, ValueType::f64}}, {}};
  module.memories = {{Import{"a b", "quote\" back\\ line\n\x01"}, 7, 9, true}, {{}, 0, {}, false}};
  module.tables = {{Import{"", ""}, ValueType::externref, 1, {}, true},
                   {{}, ValueType::funcref, 0, 4, false}};
  module.globals = {{Import{"x", "y"}, ValueType::f32, true}, {{}, ValueType::v128, false}};
  module.data_segments.resize(3);
  for (int i = 0; i < 100; ++i) module.data_segments[1].push_back(static_cast<std::byte>(i * 37));
  module.element_segments.resize(2);
  for (std::uint32_t i = 0; i < 40; ++i) {
    module.element_segments[1].push_back({static_cast<Element::Kind>(i % 3), i % 3 == 0 ? 0 : i});
  }
  module.vectors = {{1, ~std::uint64_t{0}}, {}};
  module.host_imports = {{"m", "f", 2}, {"m", "g", 2, 1}};
  module.members.resize(2);
  module.members[0] = {"one", 3, 4, {{"e", EntityKind::table, 1}, {"", EntityKind::global, 0}}};
  module.members[1].name = "\xc3\xa4\x7f";
  module.functions.resize(3);
  module.functions[0].type = 1;
  module.functions[0].import = Import{"m", "f"};
  module.functions[1].type = 2;  // equal to type 0, so its signature would not name it
  module.functions[1].member = 1;
  module.functions[1].guest_index = 0;
  module.functions[1].name = "b0: fn {";
  module.functions[2].type = 77;  // out of range
  expect_round_trip(module);
  expect_round_trip({});
}

// Every op with its largest operands.
TEST(Text, KeepsEveryOp) {
  Module module;
  Function& function = module.functions.emplace_back();
  module.types.emplace_back();
  function.branch_tables.push_back(std::vector<std::uint32_t>(40, 1));
  function.blocks = {0, 3};
  testing::Choices choices(1);
  for (std::uint16_t i = 0; i < op_count; ++i) {
    const Op op = static_cast<Op>(i);
    for (const std::uint32_t value : {0U, 65'535U}) {
      const auto field = static_cast<std::uint16_t>(value);
      Inst inst{op, 0, 0, 0, 0};
      const Shape shape = info(op).shape;
      const bool has_a = shape != Shape::g && shape != Shape::br;
      if (has_a) inst.a = field;
      switch (shape) {
        case Shape::d_ab:
        case Shape::bulk:
        case Shape::d_abc:
        case Shape::br_ak:
        case Shape::enter:
        case Shape::v_vv:
        case Shape::v_vvv:
        case Shape::v_vva:
        case Shape::v_va:
        case Shape::v_vak:
        case Shape::v_vvg:
          inst.c = field;
          [[fallthrough]];
        case Shape::d_a:
        case Shape::d_ak:
        case Shape::d_ag:
        case Shape::ab_g:
        case Shape::load:
        case Shape::store:
        case Shape::br_ab:
        case Shape::call_indirect:
        case Shape::ret_mov:
        case Shape::v_v:
        case Shape::v_a:
        case Shape::d_v:
        case Shape::d_vk:
        case Shape::load_v:
        case Shape::store_v:
          inst.b = field;
          break;
        default:
          break;
      }
      const bool no_imm = shape == Shape::v_v || shape == Shape::v_vv || shape == Shape::v_va ||
                          shape == Shape::v_a || shape == Shape::d_v;
      if (shape != Shape::d_a && shape != Shape::d_ab && shape != Shape::ret &&
          shape != Shape::ret_mov && !no_imm) {
        inst.imm = value;
      }
      if (shape == Shape::d_k || shape == Shape::load || shape == Shape::store ||
          shape == Shape::call_indirect || shape == Shape::load_v || shape == Shape::store_v) {
        inst.imm = imm_pair(value, value);
      }
      function.code.push_back(inst);
      function.source.push_back(choices.below(3) == 0 ? i : 0);
    }
  }
  expect_round_trip(module);
}

TEST(Text, RandomModulesComeBack) {
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    testing::Choices choices(seed);
    testing::RandomOptions options;
    options.host_calls = seed % 2 == 0;
    expect_round_trip(testing::random_module(choices, options));
    if (::testing::Test::HasFailure()) return;
  }
}

TEST(Text, PrintsOneFunction) {
  testing::Choices choices(3);
  const Module module = testing::random_module(choices);
  const std::string text = print(module, 0);
  EXPECT_EQ(text.substr(0, 9), "fn 0 \"f0\"");
  EXPECT_NE(print(module).find(text), std::string::npos);
}

struct BadText {
  const char* text;
  const char* message;
};
class TextError : public ::testing::TestWithParam<BadText> {};

TEST_P(TextError, NamesLineAndCause) {
  const auto module = parse(GetParam().text);
  ASSERT_FALSE(module);
  EXPECT_EQ(module.error().code(), ErrorCode::invalid_input);
  EXPECT_EQ(module.error().phase(), ErrorPhase::parse);
  EXPECT_EQ(module.error().message(), GetParam().message);
}

const BadText bad_texts[] = {
    {"nonsense", "Line 1: A statement was expected, but found (nonsense)."},
    {"\n\n?", "Line 3: A statement was expected, but found (?)."},
    {"type 1 () -> ()", "Line 1: The next type has number 0, not 1."},
    {"type 0 (i33)", "Line 1: A value type was expected, but found (i33)."},
    {"type 0 (i32", "Line 1: ()) was expected, but found the end of the text."},
    {"type 0 () ()", "Line 1: (->) was expected, but found (()."},
    {"memory 0 min 4294967296", "Line 1: Number (4294967296) is too large (at most 4294967295)."},
    {"memory 0 min 99999999999999999999999999",
     "Line 1: Number (99999999999999999999999999) is too large (at most 4294967295)."},
    {"memory 0 min 0x", "Line 1: A number was expected, but found (0x)."},
    {"memory 0 min 1 import \"a", "Line 1: The string does not end."},
    {"memory 0 min 1 import \"a\n\"", "Line 1: The string does not end."},
    {"member 0 \"\\q\"", "Line 1: An escape in a string is \\ and two hex digits."},
    {"member 0 \"\\", "Line 1: An escape in a string is \\ and two hex digits."},
    {"export \"a\" fn 0", "Line 1: An export stands before any member."},
    {"data 0 { 0 }", "Line 1: Pairs of hex digits was expected, but found (0)."},
    {"data 0 { 0g }", "Line 1: Pairs of hex digits was expected, but found (0g)."},
    {"data 0 { 00", "Line 1: Pairs of hex digits was expected, but found the end of the text."},
    {"elem 0 { fn }", "Line 1: (fn) with a number was expected, but found (fn)."},
    {"fn 0 \"\" () -> () frame 1 header 0 {\n b1:", "Line 2: The next block has number 0, not 1."},
    {"fn 0 \"\" () -> () frame 1 header 0 {\n jump2 = b1",
     "Line 2: The next branch table has number 0, not 2."},
    {"fn 0 \"\" () -> () frame 1 header 0 {\n b0:\n frob s1",
     "Line 3: An instruction was expected, but found (frob)."},
    {"fn 0 \"\" () -> () frame 1 header 0 {\n mov s1, 2",
     "Line 2: (s) with a number was expected, but found (2)."},
    {"fn 0 \"\" () -> () frame 1 header 0 {\n mov s65536, s2",
     "Line 2: Number (65536) is too large (at most 65535)."},
    {"fn 0 \"\" () -> () frame 1 header 0 {\n br_eq32_k s1, 4294967295, b0",
     "Line 2: A branch's constant has 32 bits."},
    {"fn 0 \"\" () -> () frame 1 header 0 {\n ret s0",
     "Line 2: An instruction was expected, but found the end of the text."},
};
INSTANTIATE_TEST_SUITE_P(All, TextError, ::testing::ValuesIn(bad_texts));

// Text with some bytes changed, dropped or repeated: it parses or is refused, and what parses
// prints, verifies or not, without a crash.
TEST(Text, SurvivesMutation) {
  std::size_t refused = 0;
  constexpr std::uint64_t rounds = 4'000;
  std::string text;
  for (std::uint64_t seed = 0; seed < rounds; ++seed) {
    testing::Choices choices(seed);
    if (seed % 50 == 0) {
      testing::RandomOptions options;
      options.functions = 2;
      text = print(testing::random_module(choices, options));
    }
    std::string mutated = text;
    for (std::uint32_t i = 1 + choices.below(4); i-- > 0;) {
      const auto at = choices.below(static_cast<std::uint32_t>(mutated.size()));
      switch (choices.below(4)) {
        case 0:
          mutated[at] = static_cast<char>(choices.below(256));
          break;
        case 1:
          mutated.erase(at, 1 + choices.below(8));
          break;
        case 2:
          mutated.insert(at, mutated.substr(choices.below(at + 1), choices.below(40)));
          break;
        default:
          mutated[at] = static_cast<char>('0' + choices.below(10));
          break;
      }
    }
    const auto module = parse(mutated);
    if (!module) {
      ++refused;
      EXPECT_EQ(module.error().message().substr(0, 5), "Line ");
      continue;
    }
    (void)verify(*module);
    expect_round_trip(*module);
    if (::testing::Test::HasFailure()) return;
  }
  EXPECT_GT(refused, rounds / 10);
}

}  // namespace
}  // namespace warphive::ir
