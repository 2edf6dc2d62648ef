// SPDX-License-Identifier: Apache-2.0
// Private to random_module.cpp: a collector of instructions with labels, and lists of ops.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "ir/module.hpp"
#include "ir/operands.hpp"

namespace warphive::ir::testing {

using Label = std::uint32_t;

// Instructions with labels; a branch's imm holds its label until `finish`.
class Writer {
 public:
  Label label() {
    blocks_of_.push_back(0);
    return static_cast<Label>(blocks_of_.size() - 1);
  }
  void bind(Label label) {
    begin_block();
    blocks_of_[label] = static_cast<std::uint32_t>(function_.blocks.size() - 1);
  }
  void emit(Op op, std::uint32_t a = 0, std::uint32_t b = 0, std::uint32_t c = 0,
            std::uint64_t imm = 0) {
    if (block_ended_) begin_block();
    block_ended_ = ends_block(op);
    function_.code.push_back({op, static_cast<std::uint16_t>(a), static_cast<std::uint16_t>(b),
                              static_cast<std::uint16_t>(c), imm});
    function_.source.push_back(offset_ += 2);
  }
  void branch_k(Op op, std::uint32_t slot, std::int32_t value, Label to) {
    const auto bits = static_cast<std::uint32_t>(value);
    emit(op, slot, bits & 0xffff, bits >> 16, to);
  }
  void branch_table(std::uint32_t slot, std::vector<Label> labels) {
    emit(Op::br_table, slot, 0, 0, function_.branch_tables.size());
    function_.branch_tables.push_back(std::move(labels));
  }
  Function finish() {
    for (Inst& inst : function_.code) {
      if (operands(inst.op).low == Space::block) inst.imm = blocks_of_[inst.imm];
    }
    for (auto& table : function_.branch_tables) {
      for (std::uint32_t& target : table) target = blocks_of_[target];
    }
    return std::move(function_);
  }

 private:
  void begin_block() {
    block_ended_ = false;
    const auto next = static_cast<std::uint32_t>(function_.code.size());
    if (function_.blocks.empty() || function_.blocks.back() != next) {
      function_.blocks.push_back(next);
    }
  }

  Function function_;
  std::vector<std::uint32_t> blocks_of_;  // by label
  std::uint32_t offset_ = 0;
  bool block_ended_ = true;
};
struct OpLists {
  std::vector<Op> safe, trapping, branches_ab, branches_ak, loads, stores, vectors;
};

inline bool is_float(Op op) {
  const std::string_view name = info(op).name;
  return name.find("f32") != std::string_view::npos || name.find("f64") != std::string_view::npos ||
         op == Op::demote || op == Op::promote || op == Op::demote64x2 || op == Op::promote32x4;
}

/// What statements choose from.
inline OpLists list_ops(bool floats) {
  OpLists lists;
  for (std::uint16_t i = 0; i < op_count; ++i) {
    const Op op = static_cast<Op>(i);
    const OpInfo& facts = info(op);
    if (!floats && is_float(op)) continue;
    switch (facts.shape) {
      case Shape::d_a:
      case Shape::d_ab:
      case Shape::d_ak:
      case Shape::d_abc:
        (facts.traits == trait::pure ? lists.safe : lists.trapping).push_back(op);
        break;
      case Shape::load:
        lists.loads.push_back(op);
        break;
      case Shape::store:
        lists.stores.push_back(op);
        break;
      case Shape::br_ab:
        lists.branches_ab.push_back(op);
        break;
      case Shape::br_ak:
        lists.branches_ak.push_back(op);
        break;
      default:
        if (operands(op).wide != 0) lists.vectors.push_back(op);
        break;
    }
  }
  return lists;
}

}  // namespace warphive::ir::testing
