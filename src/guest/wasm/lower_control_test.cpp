// SPDX-License-Identifier: Apache-2.0
// What the lowering emits for branches, blocks, calls and returns, instruction by instruction.
#include <gtest/gtest.h>

#include "guest/wasm/lower_testing.hpp"

namespace warphive::wasm {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace)
using O = Opcode;

// Branches.

TEST(LowerControl, AComparisonIsFusedIntoItsBranch) {
  EXPECT_EQ(lowered_body(
                {i32, i32}, {},
                block(empty,
                      get(0) + get(1) + op(O::i32_lt_s) + op(O::br_if, 0) +                       //
                          get(0) + c32(5) + op(O::i32_gt_u) + op(O::i32_eqz) + op(O::br_if, 0) +  //
                          get(0) + get(1) + op(O::i32_and) + op(O::i32_eqz) + op(O::br_if, 0) +   //
                          get(0) + op(O::br_if, 0) + c32(1) + set(0))),
            R"(
  charge 5
  br_lt32_s s0 s1 -> 5
1:
  charge 5
  br_le32_u_k s0 5 -> 5
2:
  charge 5
  br_nand32 s0 s1 -> 5
3:
  charge 2
  br_ne32_k s0 0 -> 5
4:
  charge 2
  const_k s0 1
5:
  ret s2
)");
}

TEST(LowerControl, ANegatedFloatComparisonIsTrueForNaN) {
  EXPECT_EQ(lowered_body({f64, f64}, {i32},
                         block(empty, get(0) + get(1) + op(O::f64_gt) + op(O::i32_eqz) +
                                          op(O::br_if, 0) + c32(1) + op(O::return_)) +
                             c32(2)),
            R"(
  charge 6
  br_not_ltf64 s1 s0 -> 2
1:
  charge 1
  const_k s0 1
  ret s2
2:
  charge 1
  const_k s0 2
  ret s2
)");
  EXPECT_EQ(lowered_body({f64, f64}, {i32}, get(0) + get(1) + op(O::f64_ne) + op(O::i32_eqz)), R"(
  charge 5
  eqf64 s0 s0 s1
  ret s2
)");
  EXPECT_EQ(lowered_body({f64, f64}, {i32}, get(0) + get(1) + op(O::f64_lt) + op(O::i32_eqz)), R"(
  charge 5
  ltf64 s3 s0 s1
  eq32_k s0 s3 0
  ret s2
)");
}

TEST(LowerControl, AWideConstantThatDoesNotFitABranchIsComparedFirst) {
  EXPECT_EQ(lowered_body({i64}, {},
                         block(empty, get(0) + c64(std::int64_t{1} << 31) + op(O::i64_lt_u) +
                                          op(O::br_if, 0) + get(0) + c64(-(std::int64_t{1} << 31)) +
                                          op(O::i64_lt_u) + op(O::br_if, 0))),
            R"(
  charge 5
  lt64_u_k s2 s0 2147483648
  br_ne32_k s2 0 -> 2
1:
  charge 4
  br_lt64_u_k s0 -2147483648 -> 2
2:
  ret s1
)");
}

TEST(LowerControl, ALoopIsItsBodyAndOneBranch) {
  EXPECT_EQ(lowered_body({i32}, {i32},
                         loop(empty, get(1) + get(0) + op(O::i32_add) + set(1) +      //
                                         get(0) + c32(1) + op(O::i32_sub) + tee(0) +  //
                                         op(O::br_if, 0)) +
                             get(1),
                         {{1, i32}}),
            R"(
  charge 1
1:
  charge 9
  add32 s2 s2 s0
  sub32_k s0 s0 1
  br_ne32_k s0 0 -> 1
2:
  charge 1
  ret_mov s1 s2
)");
}

TEST(LowerControl, ConstantsInLoopsLiveInSlots) {
  // Set before the outermost loop, shared by both uses; temporaries move up behind them.
  EXPECT_EQ(lowered_body({i32}, {},
                         loop(empty, loop(empty, get(0) + c32(0) + op(O::i32_store8, 0, 0) +  //
                                                     get(0) + c32(0) + op(O::i32_store8, 0, 1) +
                                                     get(0) + c32(1) + op(O::i32_add) + tee(0) +
                                                     c32(99) + op(O::i32_ne) + op(O::br_if, 0)) +
                                         op(O::br, 0))),
            R"(
  charge 1
  const_k s2 0
1:
  charge 0
2:
  charge 13
  store8 s0 s2 0
  store8 s0 s2 1
  add32_k s0 s0 1
  br_ne32_k s0 99 -> 2
3:
  charge 1
  br -> 1
)");
}

TEST(LowerControl, ValuesAtTheRightHeightNeedNoCopies) {
  EXPECT_EQ(lowered_body({i32, i32}, {i32},
                         block(i32, get(0) + get(1) + op(O::i32_mul) + get(1) + op(O::br_if, 0) +
                                        op(O::drop) + get(0))),
            R"(
  charge 6
  mul32 s3 s0 s1
  br_ne32_k s1 0 -> 2
1:
  charge 1
  mov s3 s0
2:
  ret_mov s2 s3
)");
}

TEST(LowerControl, ValuesElsewhereAreCopiedOnTheWay) {
  EXPECT_EQ(lowered_body({i32, i32}, {i32},
                         block(i32, c32(8) + get(0) + get(1) + op(O::br_if, 0) + op(O::drop))),
            R"(
  charge 5
  br_eq32_k s1 0 -> 2
1:
  mov s3 s0
  br -> 3
2:
  const_k s3 8
3:
  ret_mov s2 s3
)");
}

TEST(LowerControl, BothArmsOfAnIfLeaveTheirResultsInOnePlace) {
  EXPECT_EQ(lowered_body({i32, i32}, {i32},
                         get(0) + if_else(i32, get(0) + c32(1) + op(O::i32_add), get(1))),
            R"(
  charge 3
  br_eq32_k s0 0 -> 2
1:
  charge 3
  add32_k s3 s0 1
  br -> 3
2:
  charge 1
  mov s3 s1
3:
  ret_mov s2 s3
)");
}

TEST(LowerControl, OperandsBelowABlockAreSavedInFrontOfItWhereItWritesTheirLocal) {
  EXPECT_EQ(lowered_body({i32, i32}, {i32},
                         get(0) + block(empty, get(1) + op(O::br_if, 0) + c32(3) + set(0)) +
                             get(0) + op(O::i32_add)),
            R"(
  charge 4
  mov s3 s0
  br_ne32_k s1 0 -> 2
1:
  charge 2
  const_k s0 3
2:
  charge 2
  add32 s0 s3 s0
  ret s2
)");
  // In front of the outermost block above the operand, and behind the label that ends there.
  EXPECT_EQ(lowered_body({i32, i32}, {i32},
                         block(empty, get(1) + op(O::br_if, 0) + c32(1) + set(1)) + get(0) +
                             loop(empty, loop(empty, c32(3) + set(0) + get(1) + op(O::br_if, 0))) +
                             get(0) + op(O::i32_add)),
            R"(
  charge 3
  br_ne32_k s1 0 -> 2
1:
  charge 2
  const_k s1 1
2:
  charge 1
  mov s3 s0
  charge 0
3:
  charge 4
  const_k s0 3
  br_ne32_k s1 0 -> 3
4:
  charge 2
  add32 s0 s3 s0
  ret s2
)");
  // No copy where no block writes it.
  EXPECT_EQ(lowered_body({i32, i32}, {i32},
                         get(0) + get(1) + if_(empty, c32(3) + set(1)) + get(1) + op(O::i32_add)),
            R"(
  charge 4
  br_eq32_k s1 0 -> 2
1:
  charge 2
  const_k s1 3
2:
  charge 2
  add32 s0 s0 s1
  ret s2
)");
}

TEST(LowerControl, ABlockThatNothingBranchesToCostsNothing) {
  EXPECT_EQ(lowered_body({i32}, {i32},
                         block(empty, block(empty, get(0) + c32(1) + op(O::i32_add) + set(0))) +
                             block(i32, get(0)) + c32(2) + op(O::i32_shl)),
            R"(
  charge 8
  add32_k s0 s0 1
  shl32_k s0 s0 2
  ret s1
)");
}

TEST(LowerControl, BranchTablesReachDistinctTargetsOnce) {
  const Bytes table = op(O::br_table) + leb(4) + leb(0) + leb(1) + leb(0) + leb(2) + leb(1);
  EXPECT_EQ(
      lowered_body({i32}, {},
                   block(empty, block(empty, get(0) + table) + c32(1) + set(0)) + c32(2) + set(0)),
      R"(
  charge 3
  br_table s0 -> 1 -> 2 -> 1 -> 3 -> 2
1:
  charge 2
  const_k s0 1
2:
  charge 2
  const_k s0 2
3:
  ret s1
)");
}

TEST(LowerControl, BranchTablesWithValuesCopyThemWhereTheyLieElsewhere) {
  const Bytes table = op(O::br_table) + leb(2) + leb(0) + leb(1) + leb(0);
  EXPECT_EQ(lowered_body({i32}, {i32},
                         block(i32, c32(5) + block(i32, get(0) + get(0) + table) + op(O::i32_add))),
            R"(
  charge 5
  mov s3 s0
  br_table s0 -> 2 -> 1 -> 2
1:
  mov s2 s3
  br -> 3
2:
  charge 1
  add32_k s2 s3 5
3:
  ret_mov s1 s2
)");
}

TEST(LowerControl, UnreachableCodeIsSkipped) {
  EXPECT_EQ(
      lowered_body({i32}, {i32},
                   op(O::unreachable) + block(empty, loop(empty, op(O::br, 0))) + op(O::i32_add) +
                       if_else(i32, c32(1), c32(2)) + op(O::br_table) + leb(1) + leb(0) + leb(0)),
      R"(
  charge 1
  trap 1
)");
  EXPECT_EQ(
      lowered_body({i32}, {i32},
                   block(empty, get(0) + if_else(empty, c32(1) + op(O::return_), op(O::br, 1)) +
                                    op(O::unreachable)) +
                       c32(2)),
      R"(
  charge 3
  br_eq32_k s0 0 -> 2
1:
  charge 1
  const_k s0 1
  ret s1
2:
  charge 1
  br -> 3
3:
  charge 1
  const_k s0 2
  ret s1
)");
}

// Calls and returns.

TEST(LowerControl, ArgumentsAreComputedInTheirPlaces) {
  ModuleBuilder builder;
  const std::uint32_t type = builder.type({i32, i32}, {i32});
  builder.function(type, get(0) + get(0) + c32(1) + op(O::i32_sub) +  // stays below the call
                             get(1) + op(O::call, 0) + op(O::i32_add));
  const ir::Module module = lower_valid(builder);
  EXPECT_EQ(listing(module.functions[0]), R"(0:
  enter s2 s3 s0 6
  charge 7
  sub32_k s4 s0 1
  mov s5 s1
  call s4 0
  charge 1
  add32 s0 s0 s4
  ret s2
)");
}

TEST(LowerControl, IndirectCallsNameTableAndDistinctType) {
  ModuleBuilder builder;
  builder.type({}, {});
  builder.type({}, {});  // the same type again
  const std::uint32_t type = builder.type({i64}, {});
  builder.table(funcref, limits(1));
  builder.function(type, get(0) + c32(0) + op(O::call_indirect, type, 0));
  const ir::Module module = lower_valid(builder);
  ASSERT_EQ(module.types.size(), 2u);
  EXPECT_EQ(listing(module.functions[0]), R"(0:
  enter s1 s2 s0 4
  charge 4
  const_k s3 0
  mov s2 s0
  call_indirect s2 s3 0 1
  ret s1
)");
}

TEST(LowerControl, SeveralResultsAreMovedInParallel) {
  EXPECT_EQ(lowered_body({i32, i32}, {i32, i32}, get(1) + get(0)), R"(
  charge 3
  mov s5 s0
  mov s0 s1
  mov s1 s5
  ret s2
)");
  EXPECT_EQ(lowered_body({i32, i32}, {i32, i32, i32}, get(0) + get(0) + c32(7)), R"(
  charge 4
  mov s1 s0
  const_k s2 7
  ret s3
)");
}

// Fuel.

TEST(LowerControl, WithoutMeteringOnlyEntriesAndLoopsHaveCharges) {
  EXPECT_EQ(lowered_body({i32}, {}, loop(empty, get(0) + if_(empty, op(O::br, 1))), {},
                         LowerOptions{.metered = false}),
            R"(
  charge 1
1:
  charge 1
  br_eq32_k s0 0 -> 3
2:
  br -> 1
3:
  ret s1
)");
}

}  // namespace
}  // namespace warphive::wasm
