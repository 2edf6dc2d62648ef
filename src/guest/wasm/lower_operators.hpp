// SPDX-License-Identifier: Apache-2.0
// Which IR op each WebAssembly operator becomes, as tables by opcode; the algebra of comparisons;
// folding of integer operators on constants.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "guest/wasm/opcodes.hpp"
#include "ir/op.hpp"

namespace warphive::wasm {

inline constexpr ir::Op no_op = static_cast<ir::Op>(ir::op_count);

/// A binary operator on x and y: with two slots (swapped if `swap`), with the constant y, and with
/// the constant x where that is written as an op on y.
struct BinaryRule {
  ir::Op slots = no_op;
  ir::Op constant_y = no_op;
  ir::Op constant_x = no_op;
  bool swap = false;
};
/// A memory access or an operator with one operand. `operand_bits` 32: only the low half is read.
struct UnaryRule {
  ir::Op op = no_op;
  std::uint8_t operand_bits = 64;
};

/// The most frequent operators are classes of their own. `free` is what costs no fuel.
enum class OperatorClass : std::uint8_t {
  other,
  free,
  local_get,
  local_set,
  local_tee,
  i32_const,
  binary,
  unary,
  load,
  store
};

/// All by one-byte opcode. In `unary_rules` are also loads and stores: `operand_bits` is then that
/// of the value stored.
extern const std::array<OperatorClass, 256> operator_classes;
extern const std::array<BinaryRule, 256> binary_rules;
extern const std::array<UnaryRule, 256> unary_rules;
/// By the code behind 0xfc.
extern const std::array<ir::Op, 8> saturating_ops;

/// What a comparison (or and32) can be turned into.
struct Condition {
  ir::Op inverse = no_op;  // as a value
  ir::Op branch = no_op;
  ir::Op branch_inverse = no_op;
  bool swap = false;  // both inverses take their operands swapped
};
/// By op; `branch` is no_op where there is no branch that decides the same.
const Condition& condition_of(ir::Op op);

/// The value of an integer operator that cannot trap on constants; nothing for all others.
std::optional<std::uint64_t> fold_binary(Opcode opcode, std::uint64_t x, std::uint64_t y);
std::optional<std::uint64_t> fold_unary(Opcode opcode, std::uint64_t x);

}  // namespace warphive::wasm
