// SPDX-License-Identifier: Apache-2.0
#include "ir/verify.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "ir/testing/random_module.hpp"
#include "ir/text.hpp"

namespace warphive::ir {
namespace {

constexpr std::string_view program = R"(
module metered
type 0 (i32, i32) -> (i32)
type 1 () -> ()
type 2 () -> (i32, i32)
member 0 "m" init 1
export "run" fn 0
memory 0 min 1 max 4 grows
table 0 funcref min 2
table 1 externref min 2
global 0 i32 mutable
global 1 externref
host 0 "env" "f" type 1
data 0 { 010203 }
elem 0 { fn0 null }
elem 1 { global1 }

fn 0 "run" (i32, i32) -> (i32) frame 10 header 2 {
  jump0 = b1 b2 b3
b0:
  enter header 2 zero 3 + 4 frame 10
  charge 3
  br_table s0, jump0
b1:
  charge 1
  select s3, s0, s1, s4
  load32_u s3, [s0 + 4]
  call s7, fn0
  charge 2
  call_indirect s8, s3, table0, type0
  table_init_check s3, s4, s5, table0, elem0
  table_copy_check s3, s4, s5, table1, table1
  br_ne32_k s3, 0, b1
b2:
  bulk_charge s3, 1
  add32 s0, s0, s1
  ret s2
b3:
  charge 1
  ret_mov s2, s4
}
fn 1 "init" () -> () frame 2 header 0 {
b0:
  enter header 0 zero 1 + 1 frame 2
  global_get s1, global0
  host_call host0
  trap unreachable
}
fn 2 "pair" () -> (i32, i32) frame 3 header 2 {
b0:
  enter header 2 zero 0 + 0 frame 3
  const_k s0, 1
  const_k s1, 2
  ret s2
}
)";

Module valid() {
  auto module = parse(program);
  EXPECT_TRUE(module) << module.error().describe();
  return std::move(*module);
}

TEST(Verify, TakesAValidProgram) {
  const auto status = verify(valid());
  EXPECT_TRUE(status) << status.error().describe();
}

TEST(Verify, TakesAnEmptyModule) { EXPECT_TRUE(verify({})); }

TEST(Verify, TakesImports) {
  const auto module = parse(R"(
type 0 () -> ()
member 0 "" start 0
memory 0 min 0 import "a" "m"
fn 0 "" () -> () frame 0 header 0 import "a" "f"
fn 1 "" () -> () frame 1 header 0 {
b0:
  enter header 0 zero 0 + 0 frame 1
  call s1, fn0
  ret s0
}
)");
  ASSERT_TRUE(module) << module.error().describe();
  const auto status = verify(*module);
  // Slot 1 is the frame's end: a call without arguments and results needs no slot of the caller's.
  EXPECT_TRUE(status) << status.error().describe();
}

struct Mutation {
  const char* name;
  const char* rule;  // part of the message
  std::function<void(Module&)> break_it;
};

class VerifyRule : public ::testing::TestWithParam<Mutation> {};

TEST_P(VerifyRule, IsChecked) {
  Module module = valid();
  GetParam().break_it(module);
  const auto status = verify(module);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code(), ErrorCode::internal);
  EXPECT_NE(status.error().message().find(GetParam().rule), std::string::npos)
      << status.error().message();
  EXPECT_EQ(status.error().message().back(), '.');
}

Function& run(Module& module) { return module.functions[0]; }
// Instructions of `run`.
enum At : std::size_t {
  at_enter,
  at_charge,
  at_br_table,
  at_charge_1,
  at_select,
  at_load,
  at_call,
  at_charge_2,
  at_call_indirect,
  at_table_init,
  at_table_copy,
  at_br,
  at_bulk_charge,
  at_add,
  at_ret,
  at_charge_3,
  at_ret_mov,
};
Inst& inst(Module& module, At at) { return run(module).code[at]; }

const Mutation mutations[] = {
    {"repeated_type", "type 3 repeats type 1", [](Module& m) { m.types.push_back(m.types[1]); }},
    {"huge_type", "needs 65536 slots",
     [](Module& m) { m.types.push_back({std::vector<ValueType>(65'536, ValueType::i32), {}}); }},
    {"memory_min_above_max", "memory 0 has", [](Module& m) { m.memories[0].min_pages = 5; }},
    {"main_memory", "sees memory 1 of 1", [](Module& m) { m.main_memory = 1; }},
    {"memory_too_large", "memory 0 has", [](Module& m) { m.memories[0].max_pages = 65'537; }},
    {"table_of_numbers", "not references", [](Module& m) { m.tables[0].element = ValueType::i32; }},
    {"table_min_above_max", "table 0 has", [](Module& m) { m.tables[0].max = 1; }},
    {"vector_global", "its global is a vector",
     [](Module& m) { m.globals[0].type = ValueType::v128; }},
    {"scalar_global", "its global is no vector",
     [](Module& m) { inst(m, at_add) = {Op::global_get128, 3, 0, 0, 0}; }},
    {"vector_over_header", "second slot of a vector",
     [](Module& m) { inst(m, at_add) = {Op::mov128, 1, 3, 0, 0}; }},
    {"vector_beyond_frame", "second slot of a vector",
     [](Module& m) {
       inst(m, at_add) = {Op::mov128, 3, static_cast<std::uint16_t>(run(m).frame_slots - 1), 0, 0};
     }},
    {"vector_condition", "its slot in imm",
     [](Module& m) { inst(m, at_add) = {Op::select128, 3, 3, 5, 2}; }},
    {"lane", "a lane that its vector does not have",
     [](Module& m) { inst(m, at_add) = {Op::extract32x4, 3, 3, 0, 4}; }},
    {"shuffle", "a lane beyond 31",
     [](Module& m) {
       m.vectors.push_back({0, 0x2000});
       inst(m, at_add) = {Op::shuffle8x16, 3, 3, 3, 0};
     }},
    {"vector_index", "vector 0 (below 0)",
     [](Module& m) { inst(m, at_add) = {Op::const128, 3, 0, 0, 0}; }},
    {"element_function", "names function 3 of 3",
     [](Module& m) { m.element_segments[0][0].index = 3; }},
    {"element_global", "names global 2 of 2",
     [](Module& m) { m.element_segments[1][0].index = 2; }},
    {"element_number", "is no reference", [](Module& m) { m.element_segments[1][0].index = 0; }},
    {"mixed_segment", "both kinds",
     [](Module& m) { m.element_segments[1].push_back({Element::Kind::function, 0}); }},
    {"host_type", "host import 0 has type", [](Module& m) { m.host_imports[0].type = 3; }},
    {"init_index", "init function 3 of 3", [](Module& m) { m.members[0].init = 3; }},
    {"init_type", "takes or returns", [](Module& m) { m.members[0].init = 0; }},
    {"start_type", "takes or returns", [](Module& m) { m.members[0].start = 2; }},
    {"export_index", "exports index 1 of 1",
     [](Module& m) { m.members[0].exports.push_back({"x", EntityKind::memory, 1}); }},
    {"function_type", "has type 3 of 3", [](Module& m) { run(m).type = 3; }},
    {"function_member", "belongs to member 1 of 1", [](Module& m) { run(m).member = 1; }},
    {"import_with_code", "is imported and has code",
     [](Module& m) { run(m).import = Import{"a", "b"}; }},
    {"header_slot", "has header slot 1, not 2", [](Module& m) { run(m).header_slot = 1; }},
    {"frame_too_small", "frame slots", [](Module& m) { run(m).frame_slots = 2; }},
    {"frame_too_large", "frame slots", [](Module& m) { run(m).frame_slots = 65'537; }},
    {"sources", "source offsets", [](Module& m) { run(m).source.pop_back(); }},
    {"no_code", "does not begin with enter",
     [](Module& m) {
       run(m).code.clear();
       run(m).source.clear();
     }},
    {"no_enter", "does not begin with enter",
     [](Module& m) { inst(m, at_enter) = {Op::charge, 0, 0, 0, 1}; }},
    {"second_enter", "not the first instruction",
     [](Module& m) { inst(m, at_charge) = inst(m, at_enter); }},
    {"enter_header", "another header slot", [](Module& m) { inst(m, at_enter).a = 1; }},
    {"enter_frame", "another number of frame slots", [](Module& m) { inst(m, at_enter).imm = 11; }},
    {"enter_zero_end", "beyond its frame", [](Module& m) { inst(m, at_enter).c = 8; }},
    {"enter_zero_header", "beyond its frame", [](Module& m) { inst(m, at_enter).b = 2; }},
    {"no_blocks", "no block at instruction 0", [](Module& m) { run(m).blocks.clear(); }},
    {"first_block", "no block at instruction 0", [](Module& m) { run(m).blocks[0] = 1; }},
    {"equal_blocks", "from instruction", [](Module& m) { run(m).blocks[2] = run(m).blocks[1]; }},
    {"falling_blocks", "from instruction", [](Module& m) { run(m).blocks[2] = 1; }},
    {"block_past_end", "from instruction", [](Module& m) { run(m).blocks[3] = 100; }},
    {"block_missing", "ends a block in its middle",
     [](Module& m) {
       run(m).blocks.erase(run(m).blocks.begin() + 2);
       run(m).branch_tables[0] = {1};
     }},
    {"runs_off", "runs off the end",
     [](Module& m) { inst(m, at_ret_mov) = {Op::charge, 0, 0, 0, 1}; }},
    {"conditional_last", "runs off the end",
     [](Module& m) { inst(m, at_ret_mov) = {Op::br_eq32, 0, 1, 0, 2}; }},
    // NOLINTNEXTLINE(clang-analyzer-optin.core.EnumCastOutOfRange): unknown on purpose
    {"unknown_op", "unknown op", [](Module& m) { inst(m, at_add).op = static_cast<Op>(op_count); }},
    {"slot_a", "a is slot 10 of 10", [](Module& m) { inst(m, at_add).a = 10; }},
    {"slot_b", "b is slot 11 of 10", [](Module& m) { inst(m, at_add).b = 11; }},
    {"slot_c", "c is slot 65535 of 10", [](Module& m) { inst(m, at_add).c = 65'535; }},
    {"write_header", "a is the header slot", [](Module& m) { inst(m, at_add).a = 2; }},
    {"read_header", "c is the header slot", [](Module& m) { inst(m, at_add).c = 2; }},
    {"condition_slot", "beyond the frame", [](Module& m) { inst(m, at_select).imm = 10; }},
    {"condition_header", "is the header slot", [](Module& m) { inst(m, at_select).imm = 2; }},
    {"wide_condition", "high half of imm",
     [](Module& m) { inst(m, at_select).imm = imm_pair(4, 1); }},
    {"unused_field", "unused field c is 7", [](Module& m) { inst(m, at_load).c = 7; }},
    {"unused_imm", "low half of imm is zero 1", [](Module& m) { inst(m, at_add).imm = 1; }},
    {"wide_constant", "high half of imm",
     [](Module& m) { inst(m, at_add) = {Op::add32_k, 0, 0, 0, imm_pair(0, 1)}; }},
    {"memory_index", "is memory 1 (below 1)",
     [](Module& m) { inst(m, at_load).imm = imm_pair(4, 1); }},
    {"global_index", "is global 2 (below 2)", [](Module& m) { m.functions[1].code[1].imm = 2; }},
    {"host_index", "is host import 1 (below 1)", [](Module& m) { m.functions[1].code[2].imm = 1; }},
    {"host_call_type", "another type than the function",
     [](Module& m) { inst(m, at_load) = {Op::host_call, 0, 0, 0, 0}; }},
    {"call_index", "is function 3 (below 3)", [](Module& m) { inst(m, at_call).imm = 3; }},
    {"call_arguments", "beyond the frame", [](Module& m) { inst(m, at_call).a = 9; }},
    {"call_results", "beyond the frame",
     [](Module& m) { inst(m, at_call) = {Op::call, 9, 0, 0, 2}; }},
    {"call_over_header", "at or below the header slot", [](Module& m) { inst(m, at_call).a = 2; }},
    {"call_indirect_type", "is type 3 (below 3)",
     [](Module& m) { inst(m, at_call_indirect).imm = imm_pair(0, 3); }},
    {"call_indirect_table", "is table 2 (below 2)",
     [](Module& m) { inst(m, at_call_indirect).imm = imm_pair(2, 0); }},
    {"call_externref", "holds no functions",
     [](Module& m) { inst(m, at_call_indirect).imm = imm_pair(1, 0); }},
    {"call_indirect_arguments", "beyond the frame",
     [](Module& m) { inst(m, at_call_indirect).a = 9; }},
    {"table_init_kind", "different references",
     [](Module& m) { inst(m, at_table_init).imm = imm_pair(0, 1); }},
    {"table_init_segment", "is element segment 2 (below 2)",
     [](Module& m) { inst(m, at_table_init).imm = imm_pair(0, 2); }},
    {"table_copy_kind", "different references",
     [](Module& m) { inst(m, at_table_copy).imm = imm_pair(0, 1); }},
    {"data_index", "is data segment 1 (below 1)",
     [](Module& m) { inst(m, at_add) = {Op::data_drop, 0, 0, 0, 1}; }},
    {"branch_target", "is block 4 (below 4)", [](Module& m) { inst(m, at_br).imm = 4; }},
    {"branch_to_entry", "first block", [](Module& m) { inst(m, at_br).imm = 0; }},
    {"empty_table", "empty branch table", [](Module& m) { run(m).branch_tables[0].clear(); }},
    {"table_target", "block 4 of 4 in branch table 0",
     [](Module& m) { run(m).branch_tables[0][1] = 4; }},
    {"table_to_entry", "block 0 of 4 in branch table 0",
     [](Module& m) { run(m).branch_tables[0][1] = 0; }},
    {"table_index", "is branch table 1 (below 1)", [](Module& m) { inst(m, at_br_table).imm = 1; }},
    {"shared_table", "another user",
     [](Module& m) { inst(m, at_ret) = {Op::br_table, 0, 0, 0, 0}; }},
    {"free_loop", "a loop without a charge",
     [](Module& m) {
       inst(m, at_charge_1) = {Op::mov, 3, 4, 0, 0};
       inst(m, at_charge_2) = {Op::mov, 3, 4, 0, 0};
     }},
    {"free_table_loop", "a loop without a charge",
     [](Module& m) {
       inst(m, at_bulk_charge) = {Op::mov, 3, 4, 0, 0};
       inst(m, at_charge_3) = {Op::mov, 3, 4, 0, 0};
       inst(m, at_br_table) = {Op::br, 0, 0, 0, 1};
       inst(m, at_ret_mov) = {Op::br_table, 0, 0, 0, 0};
     }},
    {"ret_header", "another header slot", [](Module& m) { inst(m, at_ret).a = 3; }},
    {"ret_mov_header", "another header slot", [](Module& m) { inst(m, at_ret_mov).a = 3; }},
    {"ret_mov_results", "not one result",
     [](Module& m) { m.functions[2].code[3] = {Op::ret_mov, 2, 0, 0, 0}; }},
    {"large_charge", "charges too much",
     [](Module& m) { inst(m, at_charge).imm = std::uint64_t{1} << 62; }},
    {"free_bulk", "item size", [](Module& m) { inst(m, at_bulk_charge).imm = 0; }},
    {"large_item", "item size", [](Module& m) { inst(m, at_bulk_charge).imm = 1025; }},
    {"no_trap", "no such trap", [](Module& m) { m.functions[1].code[3].imm = 0; }},
    {"unknown_trap", "no such trap", [](Module& m) { m.functions[1].code[3].imm = 13; }},
};

INSTANTIATE_TEST_SUITE_P(Rules, VerifyRule, ::testing::ValuesIn(mutations),
                         [](const auto& parameter) { return parameter.param.name; });

TEST(Verify, NamesFunctionInstructionAndOp) {
  Module module = valid();
  inst(module, at_add).a = 99;
  const auto status = verify(module);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().message(),
            "The IR is invalid: function 0, instruction 13 (add32): a is slot 99 of 10.");
}

TEST(Verify, TakesRandomModules) {
  for (std::uint64_t seed = 0; seed < 2'000; ++seed) {
    testing::Choices choices(seed);
    testing::RandomOptions options;
    options.host_calls = seed % 3 == 0;
    options.metered = seed % 4 != 0;
    options.tables = seed % 5 != 0;
    options.memory = seed % 7 != 0;
    const Module module = testing::random_module(choices, options);
    const auto status = verify(module);
    ASSERT_TRUE(status) << seed << ": " << status.error().describe() << print(module);
  }
}

// Whatever one field of one instruction becomes, the verifier answers, and does not crash.
TEST(Verify, AnswersForAnyInstruction) {
  std::size_t refused = 0;
  constexpr std::uint64_t rounds = 3'000;
  for (std::uint64_t seed = 0; seed < rounds; ++seed) {
    testing::Choices choices(seed);
    Module module = testing::random_module(choices);
    Function& function =
        module.functions[choices.below(static_cast<std::uint32_t>(module.functions.size()))];
    Inst& victim = function.code[choices.below(static_cast<std::uint32_t>(function.code.size()))];
    const auto wild = static_cast<std::uint16_t>(choices.bits());
    switch (choices.below(5)) {
      case 0:
        victim.op = static_cast<Op>(choices.below(op_count + 3));
        break;
      case 1:
        victim.a = wild;
        break;
      case 2:
        victim.b = wild;
        break;
      case 3:
        victim.c = wild;
        break;
      default:
        victim.imm = choices.bits();
        break;
    }
    refused += !verify(module);
  }
  EXPECT_GT(refused, rounds / 2);
}

}  // namespace
}  // namespace warphive::ir
