// SPDX-License-Identifier: Apache-2.0
// What the lowering emits, instruction by instruction: operands, modules and limits.
// lower_control_test.cpp has control; lower_run_test.cpp runs the code.
#include "guest/wasm/lower.hpp"

#include <gtest/gtest.h>

#include "guest/wasm/lower_testing.hpp"

namespace warphive::wasm {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace)
using O = Opcode;

// Operands and results.

TEST(Lower, AnAdditionOfLocalsIsOneInstruction) {
  EXPECT_EQ(lowered_body({i32, i32, i32}, {}, get(0) + get(1) + op(O::i32_add) + set(2)), R"(
  charge 5
  add32 s2 s0 s1
  ret s3
)");
}

TEST(Lower, ConstantsAreOperands) {
  EXPECT_EQ(lowered_body({i32, i32}, {},
                         c32(7) + get(0) + op(O::i32_mul) + set(1) +       // commuted
                             get(0) + c32(-1) + op(O::i32_sub) + set(1) +  //
                             c32(1) + get(0) + op(O::i32_shl) + set(1) +   // no such form
                             c32(5) + get(0) + op(O::i32_lt_s) + set(1) +  // mirrored
                             get(0) + get(1) + op(O::i32_ge_u) + set(1)),  // swapped
            R"(
  charge 21
  mul32_k s1 s0 7
  sub32_k s1 s0 4294967295
  const_k s3 1
  shl32 s1 s3 s0
  gt32_s_k s1 s0 5
  le32_u s1 s1 s0
  ret s2
)");
}

TEST(Lower, IntegerOperatorsOnConstantsAreFolded) {
  EXPECT_EQ(lowered_body({}, {i32},
                         c32(6) + c32(7) + op(O::i32_mul) + c32(42) + op(O::i32_eq) +
                             op(O::i64_extend_i32_u) + op(O::i64_eqz)),
            R"(
  charge 8
  const_k s0 0
  ret s1
)");
}

TEST(Lower, WhatMayTrapOrRoundIsNotFolded) {
  EXPECT_EQ(lowered_body({}, {i32}, c32(1) + c32(0) + op(O::i32_div_u)), R"(
  charge 4
  const_k s2 1
  div32_u_k s0 s2 0
  ret s1
)");
  EXPECT_EQ(lowered_body({}, {f64}, cf64(0.1) + cf64(0.2) + op(O::f64_add)), R"(
  charge 4
  const_k s2 2576980378 1069128089
  const_k s3 2576980378 1070176665
  addf64 s0 s2 s3
  ret s1
)");
}

TEST(Lower, AWrittenLocalIsSavedForOperandsThatAreIt) {
  // x, x = x + 1: the post-increment of C.
  EXPECT_EQ(lowered_body({i32}, {i32}, get(0) + get(0) + c32(1) + op(O::i32_add) + set(0)), R"(
  charge 6
  mov s2 s0
  add32_k s0 s0 1
  ret_mov s1 s2
)");
  EXPECT_EQ(lowered_body({i32, i32}, {}, get(0) + get(1) + set(0) + set(1)), R"(
  charge 5
  mov s3 s0
  mov s0 s1
  mov s1 s3
  ret s2
)");
}

TEST(Lower, ATeeIsTheLocal) {
  EXPECT_EQ(lowered_body({i32}, {i32},
                         get(0) + c32(3) + op(O::i32_and) + tee(0) + get(0) + op(O::i32_mul)),
            R"(
  charge 7
  and32_k s0 s0 3
  mul32 s0 s0 s0
  ret s1
)");
}

TEST(Lower, ADroppedPureResultIsNotComputed) {
  EXPECT_EQ(lowered_body({i32}, {}, get(0) + get(0) + op(O::i32_add) + op(O::drop)), R"(
  charge 4
  ret s1
)");
  EXPECT_EQ(lowered_body({i32}, {}, get(0) + op(O::i32_load, 2, 8) + op(O::drop)), R"(
  charge 3
  load32_u s2 s0 8
  ret s1
)");
}

TEST(Lower, ReinterpretationsAndZeroExtensionsAreFree) {
  EXPECT_EQ(lowered_body({i32}, {f64},
                         get(0) + op(O::f32_reinterpret_i32) + op(O::i32_reinterpret_f32) +
                             op(O::i64_extend_i32_u) + op(O::f64_reinterpret_i64)),
            R"(
  charge 6
  ret s1
)");
}

TEST(Lower, AWrapIsFreeWhereOnlyTheLowHalfIsRead) {
  EXPECT_EQ(
      lowered_body({i64, i32}, {}, get(0) + op(O::i32_wrap_i64) + get(1) + op(O::i32_add) + set(1)),
      R"(
  charge 6
  add32 s1 s0 s1
  ret s2
)");
  EXPECT_EQ(lowered_body({i64}, {i64}, get(0) + op(O::i32_wrap_i64) + op(O::i64_extend_i32_u)),
            R"(
  charge 4
  wrap64 s0 s0
  ret s1
)");
  EXPECT_EQ(lowered_body({i64}, {}, get(0) + op(O::i32_wrap_i64) + get(0) + op(O::i64_store, 3, 0)),
            R"(
  charge 5
  wrap64 s2 s0
  store64 s2 s0 0
  ret s1
)");
}

TEST(Lower, AddressesAreNotFoldedIntoOffsets) {
  // i32.add wraps, an effective address does not.
  EXPECT_EQ(
      lowered_body({i32}, {i32}, get(0) + c32(16) + op(O::i32_add) + op(O::i32_load8_u, 0, 4)),
      R"(
  charge 5
  add32_k s2 s0 16
  load8_u s0 s2 4
  ret s1
)");
}

TEST(Lower, SelectTakesSlots) {
  EXPECT_EQ(lowered_body({i32, i32, i32}, {i32},
                         get(0) + c32(9) + get(1) + get(2) + op(O::i32_lt_s) + op(O::select)),
            R"(
  charge 7
  lt32_s s6 s1 s2
  const_k s5 9
  select s0 s0 s5 s6
  ret s3
)");
  EXPECT_EQ(lowered_body({i32, i32}, {i32}, get(0) + get(1) + c32(0) + op(O::select)), R"(
  charge 5
  ret_mov s2 s1
)");
}

// Bulk operations and tables.

TEST(Lower, BulkOperationsAreStoppableLoops) {
  EXPECT_EQ(
      lowered_body({i32, i32}, {}, get(0) + get(1) + c32(64) + op(MiscOpcode::memory_copy, 0, 0)),
      R"(
  charge 5
  mov s3 s0
  mov s4 s1
  const_k s5 64
  memory_copy_check s3 s4 s5 0
1:
  br_eq32_k s5 0 -> 3
2:
  bulk_charge s5 1
  memory_copy_chunk s3 s4 s5 0
  br -> 1
3:
  ret s2
)");
}

TEST(Lower, AGrownTableIsFilledUnlessWithNull) {
  ModuleBuilder builder;
  builder.table(externref, limits(1));
  builder.function(builder.type({externref, i32}, {i32}),
                   get(0) + get(1) + op(MiscOpcode::table_grow, 0));
  builder.function(builder.type({i32}, {i32}),
                   op(O::ref_null) + Bytes{externref} + get(0) + op(MiscOpcode::table_grow, 0));
  const ir::Module module = lower_valid(builder);
  EXPECT_TRUE(module.tables[0].changes);
  EXPECT_EQ(listing(module.functions[0]), R"(0:
  enter s2 s3 s0 7
  charge 4
  mov s4 s1
  table_grow s5 s4 0
  br_eq32_k s5 -1 -> 4
1:
  mov s6 s5
2:
  br_eq32_k s4 0 -> 4
3:
  bulk_charge s4 8
  table_fill_chunk s6 s0 s4 0
  br -> 2
4:
  mov s0 s5
  ret s2
)");
  EXPECT_EQ(listing(module.functions[1]), R"(0:
  enter s1 s2 s0 3
  charge 4
  table_grow s0 s0 0
  ret s1
)");
}

// Modules.

TEST(Lower, AModuleKeepsItsIndexSpacesAndNames) {
  ModuleBuilder builder;
  const std::uint32_t type = builder.type({}, {});
  builder.import_function("env", "log", builder.type({i32}, {}));
  builder.import_memory("env", "memory", limits(2, 5));
  builder.import_table("env", "table", funcref, limits(3));
  const std::uint32_t imported = builder.import_global("env", "base", i32);
  const std::uint32_t own = builder.global(i64, true, c64(-2));
  const std::uint32_t copy = builder.global(i32, false, op(O::global_get, imported));
  const std::uint32_t fixed = builder.global(i32, false, c32(77));
  const std::uint32_t run =
      builder.function(type, op(O::global_get, fixed) + op(O::call, 0) + op(O::global_get, copy) +
                                 op(O::memory_grow, 0) + op(O::drop));
  builder.export_function("run", run);
  builder.export_global("own", own);
  builder.start(run);
  builder.elements(op(O::global_get, imported), {run, 0});
  builder.data(c32(8), "abc");
  const ir::Module module = lower_valid(builder);

  ASSERT_EQ(module.functions.size(), 3u);
  const auto& log = module.functions[0].import;
  if (!log) FAIL() << "not an import";
  EXPECT_EQ(log->module, "env");
  EXPECT_EQ(log->field, "log");
  EXPECT_TRUE(module.functions[0].code.empty());
  EXPECT_EQ(module.functions[run].name, "run");
  EXPECT_EQ(module.functions[run].guest_index, run);
  ASSERT_TRUE(module.memories.at(0).import);
  EXPECT_EQ(module.memories[0].min_pages, 2u);
  EXPECT_EQ(module.memories[0].max_pages, 5u);
  EXPECT_TRUE(module.memories[0].grows);
  ASSERT_TRUE(module.tables.at(0).import);
  EXPECT_FALSE(module.tables[0].changes);
  ASSERT_EQ(module.globals.size(), 4u);
  EXPECT_TRUE(module.globals[imported].import);
  EXPECT_TRUE(module.globals[own].is_mutable);
  ASSERT_EQ(module.members.size(), 1u);
  EXPECT_EQ(module.members[0].start, run);
  ASSERT_EQ(module.members[0].exports.size(), 2u);
  EXPECT_EQ(module.members[0].exports[1].index, own);
  ASSERT_EQ(module.data_segments.size(), 1u);
  EXPECT_EQ(module.data_segments[0].size(), 3u);
  ASSERT_EQ(module.element_segments.size(), 1u);
  EXPECT_EQ(module.element_segments[0][1].index, 0u);

  // A global that never changes is its value.
  EXPECT_EQ(listing(module.functions[run]), R"(0:
  enter s0 s1 s0 2
  charge 3
  const_k s1 77
  call s1 0
  charge 2
  global_get s1 2
  memory_grow s1 s1 0
  ret s0
)");
  EXPECT_EQ(module.members[0].init, 2u);
  EXPECT_EQ(listing(module.functions[2]), R"(0:
  enter s0 s1 s0 4
  memory_size s1 0
  br_ge32_u_k s1 2 -> 2
1:
  trap 11
2:
  table_size s1 0
  br_ge32_u_k s1 3 -> 4
3:
  trap 11
4:
  const_k s1 4294967294 4294967295
  global_set s1 1
  global_get s1 0
  global_set s1 2
  const_k s1 77
  global_set s1 3
  global_get s1 0
  const_k s2 0
  const_k s3 2
  table_init_check s1 s2 s3 0
5:
  charge 0
  br_eq32_k s3 0 -> 7
6:
  table_init_chunk s1 s2 s3 0
  br -> 5
7:
  elem_drop 0
  const_k s1 8
  const_k s2 0
  const_k s3 3
  memory_init_check s1 s2 s3 0
8:
  charge 0
  br_eq32_k s3 0 -> 10
9:
  memory_init_chunk s1 s2 s3 0
  br -> 8
10:
  data_drop 0
  ret s0
)");
}

TEST(Lower, InstructionsSayWhereTheyComeFrom) {
  ModuleBuilder builder;
  builder.memory(limits(1));
  builder.function(builder.type({i32}, {}),
                   get(0) + get(0) + op(O::i32_load, 2, 0) + set(0) + op(O::drop));
  const Result<Module> module = read_module(builder.module());
  ASSERT_TRUE(module);
  const Result<ir::Module> lowered = lower(*module);
  ASSERT_TRUE(lowered);
  const ir::Function& function = lowered->functions[0];
  // The load is moved behind the saving of the local and keeps its place in the module.
  ASSERT_EQ(function.code[3].op, ir::Op::load32_u);
  const std::uint32_t body = module->bodies[0].offset;
  EXPECT_EQ(function.source[3], body + 4);
  EXPECT_EQ(module->bytes[function.source[3]], std::byte{0x28});
}

// Limits.

TEST(Lower, AFunctionWithTooManySlotsIsRefused) {
  ModuleBuilder builder;
  const std::uint32_t index = builder.function(builder.type({}, {}), {}, {{66'000, i32}});
  builder.export_function("wide", index);
  Limits raised;
  raised.locals = 70'000;
  const Result<Module> module = read_module(builder.module(), raised);
  ASSERT_TRUE(module);
  const Result<ir::Module> lowered = lower(*module);
  ASSERT_FALSE(lowered);
  EXPECT_EQ(lowered.error().code(), ErrorCode::limit_exceeded);
  EXPECT_NE(lowered.error().message().find("wide"), std::string::npos)
      << lowered.error().describe();
  EXPECT_NE(lowered.error().message().find("66001"), std::string::npos)
      << lowered.error().describe();
}

// 70,000 operands: as references to a local they need no slots, as results of calls they do.
TEST(Lower, OnlyOperandsInTemporariesTakeSlots) {
  Limits raised;
  raised.operands = 100'000;
  for (const bool computed : {false, true}) {
    ModuleBuilder builder;
    Bytes code;
    for (int i = 0; i < 70'000; ++i) {
      const Bytes push = computed ? op(O::memory_size, 0) : get(0);
      code.insert(code.end(), push.begin(), push.end());
    }
    for (int i = 0; i < 70'000; ++i) code.push_back(static_cast<std::uint8_t>(O::drop));
    builder.memory(limits(1));
    builder.function(builder.type({i32}, {}), code);
    const Result<Module> module = read_module(builder.module(), raised);
    ASSERT_TRUE(module) << module.error().describe();
    const Result<ir::Module> lowered = lower(*module);
    EXPECT_EQ(lowered.has_value(), !computed);
    if (lowered) {
      EXPECT_EQ(lowered->functions[0].frame_slots, 2u);
    }
  }
}

TEST(Lower, AModuleThatWouldBecomeHugeIsRefused) {
  // Each of these four bytes copies a thousand values.
  ModuleBuilder builder;
  const Bytes thousand(1'000, i32);
  const std::uint32_t type = builder.type(thousand, thousand);
  Bytes values;
  for (std::uint32_t i = 0; i < 1'000; ++i) values = std::move(values) + get(999 - i);
  Bytes branches;
  for (int i = 0; i < 2'000; ++i) {
    const Bytes branch = c32(0) + op(O::br_if, 0);
    branches.insert(branches.end(), branch.begin(), branch.end());
  }
  builder.function(type, c32(1) + values + branches + op(O::return_));
  const Result<Module> module = read_module(builder.module());
  ASSERT_TRUE(module) << module.error().describe();
  const Result<ir::Module> lowered = lower(*module);
  ASSERT_FALSE(lowered);
  EXPECT_EQ(lowered.error().code(), ErrorCode::limit_exceeded);
}

}  // namespace
}  // namespace warphive::wasm
