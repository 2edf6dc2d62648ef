// SPDX-License-Identifier: Apache-2.0
// Validation of function bodies.
#include <gtest/gtest.h>

#include <string>

#include "guest/wasm/opcodes.hpp"
#include "guest/wasm/reader.hpp"
#include "guest/wasm/simd_opcodes.hpp"
#include "guest/wasm/testing/module_builder.hpp"

namespace warphive::wasm {
namespace {

using namespace testing;  // NOLINT: the builder's small words and operator+

// Operators by their bytes.
constexpr std::uint8_t unreachable = 0x00, nop = 0x01, block = 0x02, loop = 0x03, if_ = 0x04,
                       else_ = 0x05, end = 0x0b, br = 0x0c, br_if = 0x0d, br_table = 0x0e,
                       return_ = 0x0f, call = 0x10, call_indirect = 0x11, return_call = 0x12,
                       return_call_indirect = 0x13, drop = 0x1a, select = 0x1b, select_t = 0x1c,
                       local_get = 0x20, local_set = 0x21, local_tee = 0x22, global_get = 0x23,
                       global_set = 0x24, table_get = 0x25, table_set = 0x26, add32 = 0x6a,
                       add64 = 0x7c, ref_null = 0xd0, ref_is_null = 0xd1, ref_func = 0xd2,
                       misc = 0xfc, simd = 0xfd;
const Bytes one32 = {0x41, 1}, one64 = {0x42, 1}, one_f32 = {0x43, 0, 0, 0x80, 0x3f},
            one_f64 = {0x44, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f};
const Bytes one_vector = Bytes{simd, 0x0c} + Bytes(16, 1);

/// A function of type `params -> results` amid one entity of each kind. Types: 0 its own, 1 () ->
/// (), 2 (i32, i64) -> (f32), 3 () -> (i32, i64), 4 (i32, i64) -> (i32, i64).
Bytes module_with(const Bytes& params, const Bytes& results, const Bytes& code,
                  const std::vector<std::pair<std::uint32_t, std::uint8_t>>& locals = {}) {
  ModuleBuilder m;
  const auto own = m.type(params, results);
  const auto plain = m.type({}, {});
  const auto mixed = m.type({i32, i64}, {f32});
  m.type({}, {i32, i64});
  m.type({i32, i64}, {i32, i64});
  m.import_function("m", "plain", plain);
  m.import_function("m", "mixed", mixed);
  m.table(funcref, limits(1));
  m.table(externref, limits(1));
  m.memory(limits(1));
  m.global(i64, true, one64);
  m.global(f32, false, one_f32);
  m.declare({1});
  m.raw_elements({5, externref, 0});
  m.function(own, code, locals);
  m.passive_data("data");
  return m.build();
}

Result<Module> read(const Bytes& bytes) { return read_module(ModuleBuilder::as_module(bytes)); }

void expect_valid(const Bytes& params, const Bytes& results, const Bytes& code,
                  const std::vector<std::pair<std::uint32_t, std::uint8_t>>& locals = {}) {
  const Result<Module> module = read(module_with(params, results, code, locals));
  EXPECT_TRUE(module) << module.error().describe();
}
void expect_refused(const Bytes& params, const Bytes& results, const Bytes& code,
                    std::string_view message, ErrorPhase phase = ErrorPhase::validate) {
  const Result<Module> module = read(module_with(params, results, code));
  ASSERT_FALSE(module) << "accepted, expected: " << message;
  EXPECT_EQ(module.error().code(), ErrorCode::invalid_input);
  EXPECT_EQ(module.error().phase(), phase) << module.error().describe();
  EXPECT_NE(module.error().message().find(message), std::string::npos)
      << module.error().describe() << "\nexpected: " << message;
}

Bytes constant(ValueType type) {
  switch (type) {
    case ValueType::i32:
      return one32;
    case ValueType::i64:
      return one64;
    case ValueType::f32:
      return one_f32;
    case ValueType::v128:
      return one_vector;
    default:
      return one_f64;
  }
}
std::uint8_t code_of(ValueType type) {
  switch (type) {
    case ValueType::i32:
      return i32;
    case ValueType::i64:
      return i64;
    case ValueType::f32:
      return f32;
    case ValueType::v128:
      return v128;
    default:
      return f64;
  }
}

TEST(ReaderOperatorsTest, ValueOperatorsTakeExactlyTheirTypes) {
  int tested = 0;
  const auto check = [&](const OpcodeInfo& op, const Bytes& encoding) {
    if (!op.is_value || op.immediate == Immediate::data_and_memory ||
        op.immediate == Immediate::element_and_table || op.immediate == Immediate::data ||
        op.immediate == Immediate::element || op.immediate == Immediate::table ||
        op.immediate == Immediate::table_and_table) {
      return;
    }
    ++tested;
    Bytes operands, result;
    for (std::size_t i = 0; i < op.param_count; ++i) operands = operands + constant(op.params[i]);
    if (op.result_count == 1) result = {code_of(op.result)};
    expect_valid({}, result, operands + encoding);
    if (op.param_count == 0) return;
    // One operand too few, and each operand of another type.
    expect_refused(
        {}, result,
        Bytes(operands.begin() + static_cast<std::ptrdiff_t>(constant(op.params[0]).size()),
              operands.end()) +
            encoding,
        std::string("Operand of ") + op.text + " is missing");
    for (std::size_t wrong = 0; wrong < op.param_count; ++wrong) {
      const ValueType other = op.params[wrong] == ValueType::f32 ? ValueType::f64 : ValueType::f32;
      Bytes mixed;
      for (std::size_t i = 0; i < op.param_count; ++i) {
        mixed = mixed + constant(i == wrong ? other : op.params[i]);
      }
      expect_refused({}, result, mixed + encoding,
                     std::string("Operand of ") + op.text + " has type (" +
                         std::string(ir::to_string(other)) + "), expected (" +
                         std::string(ir::to_string(op.params[wrong])) + ").");
    }
  };
  for (unsigned byte = 0; byte < 256; ++byte) {
    const OpcodeInfo& op = opcode_table[byte];
    const auto code = static_cast<std::uint8_t>(byte);
    check(op, op.immediate == Immediate::memory_argument ? Bytes{code, 0, 0} : Bytes{code});
  }
  for (std::uint32_t number = 0; number < misc_opcode_count; ++number) {
    const OpcodeInfo& op = misc_opcode_table[number];
    Bytes encoding = Bytes{misc} + leb(number);
    if (op.immediate == Immediate::memory) encoding.push_back(0);
    if (op.immediate == Immediate::memory_and_memory) encoding = encoding + Bytes{0, 0};
    check(op, encoding);
  }
  EXPECT_EQ(tested,
            128 + 23 + 8 + 2);  // values, memory accesses, saturating truncation, copy, fill
  for (std::uint32_t number = 0; number < 256; ++number) {
    if (!is_simd_opcode(number)) continue;
    const OpcodeInfo& op = simd_opcode_table[number].info;
    Bytes encoding = Bytes{simd} + leb(number);
    if (op.immediate == Immediate::memory_argument) encoding = encoding + Bytes{0, 0};
    if (op.immediate == Immediate::memory_lane) encoding = encoding + Bytes{0, 0, 1};
    if (op.immediate == Immediate::lane) encoding.push_back(1);
    if (op.immediate == Immediate::lanes) encoding = encoding + Bytes(16, 31);
    if (op.immediate == Immediate::vector) encoding = one_vector;
    check(op, encoding);
  }
  EXPECT_EQ(tested, 128 + 23 + 8 + 2 + 236);
}

TEST(ReaderOperatorsTest, Vectors) {
  const Bytes two = one_vector + one_vector;
  expect_valid({v128}, {v128}, {local_get, 0});
  expect_valid({}, {v128}, two + one32 + Bytes{select});
  expect_valid({}, {v128}, two + one32 + Bytes{select_t, 1, v128});
  expect_valid({}, {v128}, Bytes{block, v128} + one_vector + Bytes{end});
  expect_refused({}, {v128}, one_vector + one64 + one32 + Bytes{select}, "expected equal types");
  // Lanes below 2, 4, 8, 16 and, of two vectors, 32.
  const auto extract = [](std::uint8_t code, std::uint8_t lane) {
    return one_vector + Bytes{simd, code, lane};
  };
  expect_refused({}, {i64}, extract(0x1d, 2), "Lane of i64x2.extract_lane is (2)");
  expect_refused({}, {f32}, extract(0x1f, 4), "expected one below (4)");
  expect_refused({}, {i32}, extract(0x18, 8), "expected one below (8)");
  expect_refused({}, {i32}, extract(0x15, 16), "expected one below (16)");
  expect_refused({}, {v128}, two + Bytes{simd, 0x0d} + Bytes(15, 0) + Bytes{32},
                 "Lane of i8x16.shuffle is (32)");
  expect_refused({}, {v128}, one32 + one_vector + Bytes{simd, 0x57, 0, 0, 2},
                 "Lane of v128.load64_lane is (2)");
  expect_refused({}, {v128}, one32 + one_vector + Bytes{simd, 0x54, 1, 0, 0},
                 "Alignment of v128.load8_lane is (2^1)");
  expect_refused({}, {v128}, one32 + Bytes{simd, 0, 5, 0}, "Alignment of v128.load is (2^5)");
  expect_refused({}, {}, Bytes{simd, 0x9a, 0x01}, "Operator (0xfd 154) is unknown",
                 ErrorPhase::parse);
  expect_refused({}, {}, Bytes{simd, 0x0c, 1}, "Constant of v128.const", ErrorPhase::parse);
}

TEST(ReaderOperatorsTest, MemoryAccesses) {
  for (unsigned byte = 0x28; byte <= 0x3e; ++byte) {
    const OpcodeInfo& op = opcode_table[byte];
    Bytes operands, result;
    for (std::size_t i = 0; i < op.param_count; ++i) operands = operands + constant(op.params[i]);
    if (op.result_count == 1) result = {code_of(op.result)};
    const auto code = static_cast<std::uint8_t>(byte);
    expect_valid({}, result, operands + Bytes{code, op.alignment, 0xff, 0xff, 0xff, 0xff, 0x0f});
    const auto above = static_cast<std::uint8_t>(op.alignment + 1);
    expect_refused(
        {}, result, operands + Bytes{code, above, 0},
        std::string("Alignment of ") + op.text + " is (2^" + std::to_string(above) + ")");
    expect_refused({}, result, operands + Bytes{code, 0xff, 0xff, 0xff, 0xff, 0x0f, 0},
                   "Alignment");
  }
  ModuleBuilder none;
  none.function(none.type({}, {i32}), one32 + Bytes{0x28, 2, 0});
  const Result<Module> module = read(none.build());
  ASSERT_FALSE(module);
  EXPECT_EQ(module.error().message(),
            "Operator (i32.load) needs a memory, but the module has (0) memories.");
}

TEST(ReaderOperatorsTest, Constants) {
  expect_valid({}, {i32, i64, f32, f64}, one32 + one64 + one_f32 + one_f64);
  expect_valid({}, {i32}, {0x41, 0x80, 0x80, 0x80, 0x80, 0x78});
  expect_refused({}, {i32}, {0x41, 0x80, 0x80, 0x80, 0x80, 0x70},
                 "Constant of i32.const is an integer too large", ErrorPhase::parse);
  expect_refused({}, {i64}, {0x42, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0},
                 "Constant of i64.const is an integer of more than (10) bytes", ErrorPhase::parse);
  expect_refused({}, {f32}, {0x43, 0, 0}, "Constant of f32.const is cut short", ErrorPhase::parse);
  expect_refused({}, {f64}, {0x44, 0, 0}, "Constant of f64.const is cut short", ErrorPhase::parse);
}

TEST(ReaderOperatorsTest, Blocks) {
  expect_valid({}, {}, {block, empty, loop, empty, nop, end, end});
  expect_valid({}, {i32}, Bytes{block, i32} + one32 + Bytes{end});
  expect_valid({}, {i32, i64}, one32 + one64 + Bytes{block, 4, end});
  expect_valid({}, {i32, i64}, one32 + one64 + Bytes{loop, 4, end});
  expect_valid({}, {i32, i64}, one32 + one64 + one32 + Bytes{if_, 4, end});
  expect_valid({}, {i32}, one32 + Bytes{if_, i32} + one32 + Bytes{else_} + one32 + Bytes{end});
  expect_valid({}, {i32}, one32 + Bytes{if_, i32} + one32 + Bytes{else_, unreachable, end});
  expect_refused({}, {}, Bytes{block, empty} + one32 + Bytes{end},
                 "Block ends with (1) operands more than its (0) results.");
  expect_refused({}, {i32}, {block, i32, end}, "Operand of end is missing");
  expect_refused({}, {i32}, Bytes{block, i32} + one64 + Bytes{end},
                 "Operand of end has type (i64), expected (i32).");
  expect_refused({}, {i32}, one32 + Bytes{block, empty, drop, end} + one32,
                 "Operand of drop is missing");  // a block does not see operands below it
  expect_refused({}, {}, one32 + one64 + Bytes{block, 4, end}, "Block ends with (2) operands more");
  expect_refused({}, {i32, i64}, one64 + one32 + Bytes{block, 4, end},
                 "Operand of block has type (i32), expected (i64).");
  expect_refused({}, {}, {if_, empty, end}, "Operand of if is missing");
  expect_refused({}, {i32}, one32 + Bytes{if_, i32} + one32 + Bytes{end},
                 "Block (if) without (else)");
  expect_refused({}, {}, {else_, end}, "innermost block is (function)", ErrorPhase::parse);
  expect_refused({}, {}, {block, empty, else_, end}, "is (block)", ErrorPhase::parse);
  expect_refused({}, {}, one32 + Bytes{if_, empty, else_, else_, end}, "is (else)",
                 ErrorPhase::parse);
  expect_refused({}, {}, {block, 9, end}, "Type (9) of block is unknown: there are (5).");
  expect_refused({}, {}, {block, 0x41, end}, "Value type is (0x41)", ErrorPhase::parse);
  expect_refused({}, {}, {block, 0xc0, 0x7f, end}, "Block type is (-64)", ErrorPhase::parse);
  expect_refused({}, {}, {block, empty}, "ends with (1) open blocks", ErrorPhase::parse);
}

TEST(ReaderOperatorsTest, Branches) {
  expect_valid({}, {i32}, one32 + Bytes{br, 0});
  expect_valid({}, {i32}, Bytes{block, i32} + one32 + one32 + Bytes{br_if, 0, end});
  expect_valid({}, {}, {loop, empty, br, 0, end});
  expect_valid({}, {}, one32 + one64 + Bytes{loop, 4, br, 0, end, drop, drop});
  expect_valid({}, {}, Bytes{loop, i32} + one32 + Bytes{br_if, 0} + one32 + Bytes{end, drop});
  expect_valid({}, {i32}, one32 + one32 + Bytes{br_table, 1, 0, 0});
  expect_refused({}, {}, {br, 1}, "Label (1) of br is unknown: there are (1).");
  expect_refused({}, {i32}, {br, 0}, "Operand of br is missing");
  expect_refused({}, {i32}, one64 + Bytes{br, 0}, "Operand of br has type (i64), expected (i32).");
  expect_refused({}, {}, one64 + Bytes{br_if, 0},
                 "Operand of br_if has type (i64), expected (i32).");
  // A loop's label takes its parameters, not its results.
  expect_refused({}, {}, one32 + one64 + Bytes{loop, 4, drop, br, 0, end, drop, drop},
                 "Operand of br has type (i32), expected (i64).");
  expect_refused({}, {i32},
                 Bytes{block, empty} + one32 + one32 + Bytes{br_table, 1, 0, 1, end} + one32,
                 "Target (1) of br_table takes (1) values, expected (0)");
  expect_refused({}, {i32},
                 Bytes{block, f32} + one32 + one32 + Bytes{br_table, 1, 1, 0, end, drop} + one32,
                 "Operand of br_table has type (i32), expected (f32).");
  expect_refused({}, {}, one32 + Bytes{br_table, 9, 0}, "does not fit", ErrorPhase::parse);
}

TEST(ReaderOperatorsTest, UnreachableCode) {
  expect_valid({}, {i32}, {unreachable});
  expect_valid({}, {i32}, {unreachable, add32});
  expect_valid({}, {i32}, Bytes{unreachable} + one32 + Bytes{add32});
  expect_valid({}, {i64}, {unreachable, select});
  expect_valid({}, {i64}, Bytes{unreachable} + one64 + one32 + Bytes{select});
  expect_valid({}, {i32}, {unreachable, ref_is_null});
  expect_valid({}, {}, {unreachable, drop, drop, local_set, 0}, {{1, i32}});
  expect_valid({}, {i64}, one64 + Bytes{return_, block, i64, unreachable, end});
  expect_valid({}, {i32}, Bytes{block, empty, unreachable, br_table, 1, 0, 0, end} + one32);
  // Labels of different types, equal arity: fine on an empty unreachable stack only.
  expect_valid({}, {i32}, Bytes{block, f32, unreachable, br_table, 1, 0, 1, end, drop} + one32);
  expect_refused(
      {}, {i32},
      Bytes{block, f32, unreachable} + one32 + one32 + Bytes{br_table, 1, 1, 0, end, drop} + one32,
      "Operand of br_table has type (i32), expected (f32).");
  // Arity must agree even there.
  expect_refused({}, {i32}, Bytes{block, empty, unreachable, br_table, 1, 0, 1, end} + one32,
                 "takes (1) values, expected (0)");
  // What is pushed after it is typed again.
  expect_refused({}, {i32}, Bytes{unreachable} + one64 + Bytes{add32},
                 "Operand of i32.add has type (i64), expected (i32).");
  expect_refused({}, {i32}, Bytes{unreachable} + one32 + one32,
                 "Block ends with (1) operands more");
  expect_refused({}, {}, Bytes{unreachable, add32}, "Block ends with (1) operands more");
  // br_if pushes its label's types, also where the operands were unknown.
  expect_refused({}, {i64}, {block, i32, unreachable, br_if, 0, end},
                 "Operand of end has type (i32), expected (i64).");
  expect_refused({}, {}, {block, i32, unreachable, br_if, 0, add64, drop, unreachable, end, drop},
                 "Operand of i64.add has type (i32), expected (i64).");
  // A nested block is reachable anew, an arm of `if` likewise.
  expect_refused({}, {}, {unreachable, block, empty, drop, end}, "Operand of drop is missing");
  expect_refused({}, {}, one32 + Bytes{if_, empty, unreachable, else_, drop, end},
                 "Operand of drop is missing");
  // select of an unknown and a reference.
  expect_refused({}, {}, {unreachable, ref_null, funcref, 0x41, 1, select, drop},
                 "Operand of select has type (funcref), expected a number");
  // Indices and bytes are checked there all the same.
  expect_refused({}, {}, {unreachable, call, 99}, "Function (99) of call is unknown");
  expect_refused({}, {}, {unreachable, 0xff}, "Operator (0xff) is unknown", ErrorPhase::parse);
}

TEST(ReaderOperatorsTest, Select) {
  expect_valid({}, {f64}, one_f64 + one_f64 + one32 + Bytes{select});
  expect_valid({}, {funcref},
               Bytes{ref_null, funcref, ref_null, funcref} + one32 + Bytes{select_t, 1, funcref});
  expect_refused({}, {f64}, one_f64 + one_f32 + one32 + Bytes{select},
                 "Operands of select have types (f64) and (f32)");
  expect_refused({}, {externref},
                 Bytes{ref_null, externref, ref_null, externref} + one32 + Bytes{select},
                 "references need the form that states its type");
  expect_refused({}, {i32}, one32 + one32 + one32 + Bytes{select_t, 0}, "is (0), expected (1)");
  expect_refused({}, {i32}, one32 + one32 + one32 + Bytes{select_t, 2, i32, i32},
                 "is (2), expected (1)");
  expect_refused({}, {i32}, one32 + one32 + one32 + Bytes{select_t, 1, i64},
                 "Operand of select has type (i32), expected (i64).");
}

TEST(ReaderOperatorsTest, Calls) {
  expect_valid({}, {f32}, Bytes{call, 0} + one32 + one64 + Bytes{call, 1});
  expect_valid({}, {f32}, one32 + one64 + one32 + Bytes{call_indirect, 2, 0});
  expect_refused({}, {f32}, one64 + one32 + Bytes{call, 1},
                 "Operand of call has type (i32), expected (i64).");
  expect_refused({}, {f32}, one64 + Bytes{call, 1},
                 "Operand of call is missing: the block's operand "
                 "stack is empty, expected (i32).");
  expect_refused({}, {}, {call, 3}, "Function (3) of call is unknown: there are (3).");
  expect_refused({}, {}, one32 + Bytes{call_indirect, 9, 0},
                 "Type (9) of call_indirect is unknown");
  expect_refused({}, {}, one32 + Bytes{call_indirect, 1, 2},
                 "Table (2) of call_indirect is unknown");
  expect_refused(
      {}, {}, one32 + Bytes{call_indirect, 1, 1},
      "Table (1) of call_indirect has elements of type (externref), expected (funcref).");
}

TEST(ReaderOperatorsTest, TailCalls) {
  expect_valid({}, {f32}, one32 + one64 + Bytes{return_call, 1});
  expect_valid({}, {f32}, one32 + one64 + one32 + Bytes{return_call_indirect, 2, 0});
  // What follows cannot be reached.
  expect_valid({}, {f32}, one32 + one64 + Bytes{return_call, 1, drop} + one_f32);
  expect_refused({}, {f32}, one64 + one32 + Bytes{return_call, 1},
                 "Operand of return_call has type (i32), expected (i64).");
  expect_refused({}, {i32}, one32 + one64 + Bytes{return_call, 1},
                 "A function of type (i32, i64) -> (f32) is called by return_call, expected the "
                 "results of () -> (i32).");
  expect_refused({}, {}, one32 + one64 + one32 + Bytes{return_call_indirect, 2, 0},
                 "is called by return_call_indirect, expected the results of () -> ().");
  expect_refused({}, {}, {return_call, 3}, "Function (3) of return_call is unknown");
  expect_refused({}, {}, one32 + Bytes{return_call_indirect, 1, 1},
                 "Table (1) of return_call_indirect has elements of type (externref)");
}

TEST(ReaderOperatorsTest, LocalsAndGlobals) {
  expect_valid({i32}, {i64}, {local_get, 0, local_tee, 0, drop, local_get, 2},
               {{1, f32}, {1, i64}});
  expect_valid({}, {f64}, {local_get, 0xe8, 0x07}, {{600, i32}, {400, f32}, {1, f64}});  // 1000
  expect_valid({}, {i32, f32, f32}, {local_get, 0xd7, 4, local_get, 0xd8, 4, local_get, 0xe7, 7},
               {{600, i32}, {400, f32}, {1, f64}});  // 599, 600, 999
  expect_refused({i32}, {}, {local_get, 1, drop},
                 "Local (1) of local.get is unknown: there are (1).");
  expect_refused({i32}, {}, one64 + Bytes{local_set, 0},
                 "Operand of local.set has type (i64), expected (i32).");
  expect_refused({i32}, {}, one64 + Bytes{local_tee, 0, drop},
                 "Operand of local.tee has type (i64)");
  expect_valid({}, {f32}, one64 + Bytes{global_set, 0, global_get, 1});
  expect_refused({}, {}, one_f32 + Bytes{global_set, 1}, "Global (1) is immutable");
  expect_refused({}, {}, {global_get, 2, drop},
                 "Global (2) of global.get is unknown: there are (2).");
  expect_refused({}, {}, one32 + Bytes{global_set, 0}, "has type (i32), expected (i64)");
  const Result<Module> many =
      read(module_with({}, {}, {local_get, 0xe9, 0x07, drop}, {{1001, i32}}));
  ASSERT_FALSE(many);
  EXPECT_NE(many.error().message().find("Local (1001) of local.get is unknown: there are (1001)."),
            std::string::npos);
}

TEST(ReaderOperatorsTest, ReferencesAndTables) {
  expect_valid({}, {i32}, {ref_func, 1, ref_is_null});
  expect_valid({}, {funcref}, one32 + Bytes{table_get, 0});
  expect_valid({}, {}, one32 + Bytes{ref_null, externref, table_set, 1});
  expect_valid({}, {i32}, Bytes{ref_null, externref} + one32 + Bytes{misc, 15, 1});
  expect_valid({}, {i32}, {misc, 16, 1});
  expect_valid({}, {}, one32 + Bytes{ref_func, 1} + one32 + Bytes{misc, 17, 0});
  expect_valid({}, {}, one32 + one32 + one32 + Bytes{misc, 12, 1, 1, misc, 13, 0});
  expect_valid({}, {}, one32 + one32 + one32 + Bytes{misc, 14, 0, 0});
  expect_refused({}, {}, {ref_func, 0, drop}, "Function (0) of ref.func is not declared");
  expect_refused({}, {}, {ref_func, 9, drop}, "Function (9) of ref.func is unknown");
  expect_refused({}, {}, {ref_null, i32, drop}, "Reference type is (0x7f)", ErrorPhase::parse);
  expect_refused({}, {i32}, one32 + Bytes{ref_is_null}, "has type (i32), expected a reference");
  expect_refused({}, {}, one32 + Bytes{ref_null, externref, table_set, 0},
                 "Operand of table.set has type (externref), expected (funcref).");
  expect_refused({}, {}, one32 + Bytes{table_get, 2, drop}, "Table (2) of table.get is unknown");
  expect_refused({}, {}, one32 + one32 + one32 + Bytes{misc, 12, 1, 0},
                 "Element segment (1) of table.init has type (externref), expected (funcref)");
  expect_refused({}, {}, one32 + one32 + one32 + Bytes{misc, 14, 0, 1},
                 "Source (1) of table.copy has elements of type (externref)");
  expect_refused({}, {}, {misc, 13, 2}, "Element segment (2) of elem.drop is unknown");
}

TEST(ReaderOperatorsTest, BulkMemory) {
  expect_valid({}, {}, one32 + one32 + one32 + Bytes{misc, 8, 0, 0, misc, 9, 0});
  expect_valid({}, {}, one32 + one32 + one32 + Bytes{misc, 0x8b, 0, 0});  // a longer LEB128
  expect_refused({}, {}, one32 + one32 + one32 + Bytes{misc, 8, 1, 0},
                 "Data segment (1) of memory.init is unknown: there are (1).");
  expect_refused({}, {}, {misc, 9, 1}, "Data segment (1) of data.drop is unknown");
  expect_refused({}, {}, {misc, 18}, "Operator (0xfc 18) is unknown", ErrorPhase::parse);
  expect_refused({}, {}, one32 + Bytes{0x40, 0x80, 0, drop}, "expected one zero byte",
                 ErrorPhase::parse);
  ModuleBuilder m;
  m.memory(limits(1));
  m.function(m.type({}, {}), {misc, 9, 0});
  m.passive_data("");
  m.data_count(std::nullopt);
  const Result<Module> module = read(m.build());
  ASSERT_FALSE(module);
  EXPECT_EQ(module.error().message(),
            "Operator (data.drop) needs a data count section, which is missing.");
}

TEST(ReaderOperatorsTest, CountsWhatCostsFuel) {
  const auto count = [](const Bytes& code) {
    const Result<Module> module = read(module_with({}, {}, code));
    EXPECT_TRUE(module) << module.error().describe();
    return module ? module->operator_count : 0;
  };
  EXPECT_EQ(count({}), 0u);
  EXPECT_EQ(count({nop, block, empty, loop, empty, end, end, return_}), 0u);
  EXPECT_EQ(count(one32 + one32 + Bytes{add32, drop}), 3u);
  EXPECT_EQ(count(one32 + Bytes{if_, empty, call, 0, else_, call, 0, end}), 4u);
  EXPECT_EQ(count({br, 0, call, 0, block, empty, call, 0, end, call, 0}), 1u);
  EXPECT_EQ(count({block, empty, br, 0, call, 0, end, call, 0}), 2u);
}

TEST(ReaderOperatorsTest, ManyOperandsAndResults) {
  // 1,000 results at a time: the height is limited, not the memory that a few bytes ask for.
  ModuleBuilder m;
  const auto wide = m.type({}, Bytes(1000, i64));
  m.import_function("m", "wide", wide);
  Bytes code;
  for (int i = 0; i < 1001; ++i) code.insert(code.end(), {call, 0});
  m.function(m.type({}, {}), code + Bytes{unreachable});
  const Result<Module> module = read(m.build());
  ASSERT_FALSE(module);
  EXPECT_EQ(module.error().code(), ErrorCode::limit_exceeded);
  EXPECT_EQ(module.error().message(),
            "Height of the operand stack (1001000) exceeds the limit (1000000).");
}

}  // namespace
}  // namespace warphive::wasm
