// SPDX-License-Identifier: Apache-2.0
// Every row of exec/fused.inc against the reference executor, with operands that reach fast and
// slow paths of both halves.
#include "exec/fuse.hpp"

#include <gtest/gtest.h>

#include <bit>

#include "exec/testing.hpp"

namespace warphive::exec::testing {
namespace {

using ir::Op;
using ir::Shape;

/// Slots of the tested function: four parameters and results, the header, two temporaries, and six
/// slots for the arguments and the header of a callee.
constexpr std::uint32_t first_written = 5;
constexpr std::uint32_t second_written = 6;
constexpr std::uint32_t call_base = 7;

/// Where the operands of one instruction of the pair come from.
struct Operands {
  std::uint32_t written;
  std::uint32_t a;  // if `a` is a source
  std::uint32_t b;
  std::uint32_t c;
};

std::uint64_t constant_for(Op op) {
  switch (op) {
    case Op::mul32_k:
      return 2654435761;
    case Op::add32_k:
      return 24;
    case Op::and64_k:
      return 3;
    case Op::const_k:
      return 0x1122334455667788;
    default:
      return ir::info(op).src_bits == 32 ? 7 : 0xfedcba9876543211;
  }
}

void emit(FunctionBuilder& builder, Op op, const Operands& use, std::uint32_t block) {
  switch (ir::info(op).shape) {
    case Shape::d_k:
      builder.op(op, use.written, 0, 0, constant_for(op));
      return;
    case Shape::d_a:
      builder.op(op, use.written, use.b);
      return;
    case Shape::d_ab:
      builder.op(op, use.written, use.b, use.c);
      return;
    case Shape::d_ak:
      builder.op(op, use.written, use.b, 0, constant_for(op));
      return;
    case Shape::d_abc:
      builder.op(op, use.written, use.b, use.c, 3);
      return;
    case Shape::load:
      builder.op(op, use.written, use.b, 0, 5);
      return;
    case Shape::store:
      builder.op(op, use.a, use.b, 0, 5);
      return;
    case Shape::g:
      builder.op(op, 0, 0, 0, 11);
      return;
    case Shape::br:
      builder.op(op, 0, 0, 0, block);
      return;
    case Shape::br_ab:
      builder.op(op, use.a, use.b, 0, block);
      return;
    case Shape::br_ak:
      builder.branch_k(op, use.a, 100, block);
      return;
    case Shape::br_table:
      builder.branch_table(use.a, {block, block + 1, block});
      return;
    case Shape::call:
      builder.op(op, call_base, 0, 0, 0);
      return;
    case Shape::ret:
      builder.ret();
      return;
    default:
      FAIL() << "No way to build " << ir::info(op).name;
  }
}

/// Function 0: a callee. Function 1: charge, the pair, and then all slots into the results.
ir::Module module_of(const FusedPair& pair, bool same_slot) {
  ir::Module module;
  module.memories.push_back({.import = {}, .min_pages = 1, .max_pages = {}, .grows = false});
  FunctionBuilder callee(module, type(4, 4), 0, 0);
  callee.charge(3).op(Op::xor64, 0, 0, 1).ret();
  FunctionBuilder builder(module, type(4, 4), 0, 13);
  builder.charge(2)
      .op(Op::const_k, first_written, 0, 0, 77)
      .op(Op::const_k, second_written, 0, 0, 78);
  for (std::uint32_t i = 0; i < 4; ++i) builder.op(Op::mov, call_base + i, i);
  // So that the pair itself stands at the head of what is fused.
  builder.block().charge(1).op(Op::rem64_u, 12, 3, 2);
  const bool splits = ir::ends_block(pair.first);
  const bool returns = pair.second == Op::ret;
  emit(builder, pair.first, {.written = returns ? 0 : first_written, .a = 0, .b = 0, .c = 1},
       splits ? 3 : 0);
  if (splits) builder.block();
  const auto source = [&pair](std::uint8_t field, std::uint32_t other) {
    return (pair.flow & field) != 0 ? first_written : other;
  };
  emit(builder, pair.second,
       {.written = same_slot ? first_written : second_written,
        .a = source(flow::a, 2),
        .b = source(flow::b, 1),
        .c = source(flow::c, 2)},
       3);
  if (returns) return module;
  const auto collect = [&builder](std::uint64_t mark) {
    builder.op(Op::mov, 0, first_written).op(Op::mov, 1, second_written);
    builder.op(Op::mov, 2, call_base).op(Op::const_k, 3, 0, 0, mark).ret();
  };
  // Blocks 2 (or the rest of it), 3 and 4.
  if (ir::ends_block(pair.second)) builder.block();
  if (pair.second == Op::call) builder.charge(1);
  collect(1);
  while (module.functions[builder.index()].blocks.size() < 4) {
    builder.block();
    collect(2);
  }
  builder.block();
  collect(3);
  return module;
}

std::vector<std::uint64_t> values() {
  return {0,
          1,
          76,
          93,
          100,
          107,
          65523,
          0x80000000,
          0xffffffff,
          0x3f800000,
          0x7f800001,
          0xffc00000,
          0xdeadbeef00000010,
          0x7ff4000000000001,
          std::bit_cast<std::uint64_t>(1.5),
          std::bit_cast<std::uint64_t>(-2.0)};
}

class Fused : public ::testing::TestWithParam<std::uint16_t> {};

TEST_P(Fused, AgreesWithReference) {
  const FusedPair& pair = detail::fused_pairs[GetParam()];
  for (const bool same_slot : {false, true}) {
    const ir::Module module = module_of(pair, same_slot);
    TestPool pool(module, {}, true);
    bool found = false;
    for (const abi::Insn& insn : pool.program().insns) {
      found |= insn.op == ir::encoded_op_count + GetParam();
    }
    ASSERT_TRUE(found) << "The pair was not fused.";
    for (const std::uint64_t budget : {std::uint64_t{3}, std::uint64_t{14}, abi::unlimited_fuel}) {
      std::vector<std::unique_ptr<Subject>> subjects;
      std::vector<std::uint8_t> bytes(65536);
      for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i * 37);
      for (const Executor executor : {Executor::ref, Executor::fused, Executor::fused_loop}) {
        subjects.push_back(make_subject(executor, module));
        subjects.back()->write_memory(0, 0, bytes);
      }
      const auto run = [budget](Subject& subject, const std::vector<std::uint64_t>& args) {
        subject.set_fuel(budget);
        return subject.call(1, args);
      };
      for (const std::uint64_t x : values()) {
        for (const std::uint64_t y : values()) {
          SCOPED_TRACE(::testing::Message() << std::hex << x << " " << y);
          const std::vector<std::uint64_t> args = {x, y, 65520 - y, y % 3};
          const Outcome expected = run(*subjects[0], args);
          ASSERT_EQ(run(*subjects[1], args), expected);
          ASSERT_EQ(run(*subjects[2], args), expected);
        }
      }
      EXPECT_EQ(subjects[1]->memory(0), subjects[0]->memory(0));
      EXPECT_EQ(subjects[2]->memory(0), subjects[0]->memory(0));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Rows, Fused, ::testing::Range(std::uint16_t{0}, fused_op_count),
                         [](const auto& parameter) {
                           const FusedPair& pair = detail::fused_pairs[parameter.param];
                           std::string text = ir::info(pair.first).name;
                           text += std::string("_then_") + ir::info(pair.second).name;
                           if ((pair.flow & flow::a) != 0) text += "_a";
                           if ((pair.flow & flow::b) != 0) text += "_b";
                           if ((pair.flow & flow::c) != 0) text += "_c";
                           return text;
                         });

}  // namespace
}  // namespace warphive::exec::testing
