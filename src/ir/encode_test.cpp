// SPDX-License-Identifier: Apache-2.0
#include "ir/encode.hpp"

#include <gtest/gtest.h>

#include "ir/testing/encoded_checks.hpp"
#include "ir/testing/random_module.hpp"
#include "ir/text.hpp"
#include "ir/verify.hpp"

namespace warphive::ir {
namespace {

Module read(std::string_view text) {
  auto module = parse(text);
  EXPECT_TRUE(module) << module.error().describe();
  const auto status = verify(*module);
  EXPECT_TRUE(status) << status.error().describe();
  return std::move(*module);
}

EncodedProgram encoded(const Module& module) {
  auto program = encode(module);
  EXPECT_TRUE(program);
  EXPECT_EQ(testing::encoding_fault(module, *program), "");
  return std::move(*program);
}

constexpr std::string_view text = R"(
type 0 (i32, i32) -> (i32)
type 1 () -> ()
member 0 "m"
table 0 funcref min 1
global 0 funcref
data 0 { }
data 1 { 0102ff }
data 2 { 07 }
elem 0 { fn1 null global0 }
elem 1 { }
fn 0 "main" (i32, i32) -> (i32) frame 9 header 2 {
  jump0 = b1 b2 b3 b4
  jump1 = b5
b0:
  enter header 2 zero 3 + 6 frame 9
  charge 7
  br_table s0, jump0
b1:
  charge 4294967295
  br_eq32_k s0, -2, b1
b2:
  charge 4294967296
  br b2
b3:
  charge 0
  br_ne64 s0, s1, b3
b4:
  ref_func s3, fn1
  call s4, fn0
  call_indirect s4, s3, table0, type1
  br_table s0, jump1
b5:
  ret s2
}
fn 1 "other" () -> () frame 1 header 0 {
b0:
  enter header 0 zero 0 + 0 frame 1
  charge 0
  ret s0
}
fn 2 "third" () -> () frame 1 header 0 {
b0:
  enter header 0 zero 0 + 0 frame 1
  ret s0
}
)";

std::uint64_t pair(std::uint64_t low, std::uint64_t high) { return low | high << 32; }

TEST(Encode, ResolvesTargetsAndFusesCharges) {
  const Module module = read(text);
  const EncodedProgram program = encoded(module);
  const auto& insns = program.insns;
  ASSERT_EQ(insns.size(), 1 + 14 + 3 + 2U);
  EXPECT_EQ(insns[0].op, op_stop);
  // Function 0 begins at 1; blocks at 1, 4, 6, 8, 10, 14.
  EXPECT_EQ(insns[1].op, static_cast<std::uint16_t>(Op::enter));
  EXPECT_EQ(insns[1].imm, pair(9, 7));
  EXPECT_EQ(insns[2].op, static_cast<std::uint16_t>(Op::charge));
  EXPECT_EQ(insns[3].imm, pair(0, 4));
  EXPECT_EQ(insns[5].imm, pair(5, 4294967295)) << "the largest charge is fused";
  EXPECT_EQ(insns[5].b, 0xfffe);
  EXPECT_EQ(insns[5].c, 0xffff);
  EXPECT_EQ(insns[7].imm, pair(6, 0)) << "a larger charge is not";
  EXPECT_EQ(insns[9].imm, pair(8, 0)) << "a poll without a charge is not";
  EXPECT_EQ(insns[10].op, static_cast<std::uint16_t>(Op::const_k));
  EXPECT_EQ(insns[10].imm, 2U);
  EXPECT_EQ(insns[11].imm, 0U) << "calls keep the function's index";
  EXPECT_EQ(insns[12].imm, pair(0, 1));
  EXPECT_EQ(insns[13].imm, pair(4, 1));
  EXPECT_EQ(program.branches, (std::vector<std::uint64_t>{pair(5, 4294967295), pair(6, 0),
                                                          pair(8, 0), pair(10, 0), pair(14, 0)}));
  // An unfused charge stays due behind `enter`.
  EXPECT_EQ(insns[15].imm, pair(1, 0));
  EXPECT_EQ(insns[18].imm, pair(1, 0));
}

TEST(Encode, ListsFunctionsAndSegments) {
  const Module module = read(text);
  const EncodedProgram program = encoded(module);
  ASSERT_EQ(program.functions.size(), 3U);
  EXPECT_EQ(program.functions[0].entry, 1U);
  EXPECT_EQ(program.functions[0].param_slots, 2U);
  EXPECT_EQ(program.functions[0].result_slots, 1U);
  EXPECT_EQ(program.functions[0].header_slot, 2U);
  EXPECT_EQ(program.functions[1].entry, 15U);
  EXPECT_EQ(program.functions[1].type, 1U);
  EXPECT_EQ(program.data, (std::vector<std::uint8_t>{1, 2, 0xff, 7}));
  ASSERT_EQ(program.data_segments.size(), 3U);
  EXPECT_EQ(program.data_segments[0].length, 0U);
  EXPECT_EQ(program.data_segments[1].length, 3U);
  EXPECT_EQ(program.data_segments[2].first, 3U);
  EXPECT_EQ(program.elements, (std::vector<std::uint64_t>{2, 0, abi::element_is_global | 0}));
  EXPECT_EQ(program.element_segments[1].first, 3U);
  const abi::Code code = program.view();
  EXPECT_EQ(code.insn_count, program.insns.size());
  EXPECT_EQ(code.function_count, 3U);
  EXPECT_EQ(code.insns, program.insns.data());
  EXPECT_EQ(code.element_segments, program.element_segments.data());
}

TEST(Encode, LocatesInstructions) {
  const EncodedProgram program = encoded(read(text));
  EXPECT_EQ(locate(program, 0).function, none);
  EXPECT_EQ(locate(program, 1).function, 0U);
  EXPECT_EQ(locate(program, 1).inst, 0U);
  EXPECT_EQ(locate(program, 14).function, 0U);
  EXPECT_EQ(locate(program, 14).inst, 13U);
  EXPECT_EQ(locate(program, 15).function, 1U);
  EXPECT_EQ(locate(program, 19).function, 2U);
  EXPECT_EQ(locate(program, 19).inst, 1U);
  EXPECT_EQ(locate(program, 20).function, none);
  EXPECT_EQ(locate(program, ~0U).function, none);
}

TEST(Encode, EncodesNothing) {
  const EncodedProgram program = encoded({});
  EXPECT_EQ(program.insns.size(), 1U);
  EXPECT_EQ(locate(program, 0).function, none);
}

TEST(Encode, KeepsRandomModules) {
  for (std::uint64_t seed = 0; seed < 1'000; ++seed) {
    testing::Choices choices(seed);
    testing::RandomOptions options;
    options.host_calls = seed % 2 == 0;
    options.metered = seed % 3 != 0;
    const Module module = testing::random_module(choices, options);
    const auto program = encode(module);
    ASSERT_TRUE(program);
    ASSERT_EQ(testing::encoding_fault(module, *program), "") << print(module);
  }
}

// The checks themselves notice a wrong program.
TEST(Encode, ChecksFindFaults) {
  const Module module = read(text);
  const auto changed = [&module](auto change) {
    EncodedProgram program = *encode(module);
    change(program);
    return testing::encoding_fault(module, program);
  };
  EXPECT_NE(changed([](EncodedProgram& p) { p.insns[0].op = 0; }), "");
  EXPECT_NE(changed([](EncodedProgram& p) { p.insns[5].imm += 1; }), "");
  EXPECT_NE(changed([](EncodedProgram& p) { p.insns[5].imm = pair(4, 4294967295); }), "");
  EXPECT_NE(changed([](EncodedProgram& p) { p.branches[4] += 1; }), "");
  EXPECT_NE(changed([](EncodedProgram& p) { p.functions[1].entry += 1; }), "");
  EXPECT_NE(changed([](EncodedProgram& p) { p.origin.pop_back(); }), "");
  EXPECT_NE(changed([](EncodedProgram& p) { p.insns[1].imm = 9; }), "");
  EXPECT_NE(changed([](EncodedProgram& p) { p.elements[0] = 1; }), "");
  EXPECT_NE(changed([](EncodedProgram& p) { p.data[1] = 1; }), "");
}

}  // namespace
}  // namespace warphive::ir
