// SPDX-License-Identifier: Apache-2.0
#include "guest/wasm/lower_builder.hpp"

#include <algorithm>
#include <array>
#include <tuple>

namespace warphive::wasm {
namespace {

using ir::Inst;
using ir::Op;
using ir::Shape;

// Which fields of an Inst name a slot. `enter` and `ret` name only slots below the temporaries.
enum Fields : std::uint8_t { field_a = 1, field_b = 2, field_c = 4, field_imm = 8 };

constexpr std::uint8_t slot_fields(Shape shape) {
  switch (shape) {
    case Shape::d_k:
    case Shape::d_g:
    case Shape::g_a:
    case Shape::a_g:
    case Shape::br_ak:
    case Shape::br_table:
    case Shape::call:
      return field_a;
    case Shape::d_a:
    case Shape::d_ak:
    case Shape::d_ag:
    case Shape::ab_g:
    case Shape::load:
    case Shape::store:
    case Shape::br_ab:
    case Shape::call_indirect:
    case Shape::ret_mov:
      return field_a | field_b;
    case Shape::d_ab:
    case Shape::bulk:
      return field_a | field_b | field_c;
    case Shape::d_abc:
      return field_a | field_b | field_c | field_imm;
    case Shape::g:
    case Shape::br:
    case Shape::enter:
    case Shape::ret:
      return 0;
  }
  return 0;
}

enum class Flow : std::uint8_t { none, ends, branch, table };

struct Facts {
  std::uint8_t fields;
  Flow flow;
};
constexpr std::array<Facts, ir::op_count> make_facts() {
  std::array<Facts, ir::op_count> facts{};
  for (std::uint16_t i = 0; i < ir::op_count; ++i) {
    const Op op = static_cast<Op>(i);
    const Shape shape = ir::info(op).shape;
    facts[i].fields = slot_fields(shape);
    if (shape == Shape::br || shape == Shape::br_ab || shape == Shape::br_ak) {
      facts[i].flow = Flow::branch;
    } else if (shape == Shape::br_table) {
      facts[i].flow = Flow::table;
    } else if (ir::ends_block(op)) {
      facts[i].flow = Flow::ends;
    } else {
      facts[i].flow = Flow::none;
    }
  }
  return facts;
}
constexpr std::array<Facts, ir::op_count> facts_of = make_facts();
const Facts& facts(Op op) { return facts_of[static_cast<std::uint16_t>(op)]; }

}  // namespace

void FunctionBuilder::begin(std::uint32_t first_temp) {
  code_.clear();
  source_.clear();
  label_positions_.clear();
  bound_.clear();
  tables_.clear();
  constants_.clear();
  insertions_.clear();
  barrier_ = 0;
  first_temp_ = first_temp;
  outer_loop_ = false;
}

std::uint32_t FunctionBuilder::add_table(std::span<const Label> labels) {
  tables_.emplace_back(labels.begin(), labels.end());
  return static_cast<std::uint32_t>(tables_.size() - 1);
}

void FunctionBuilder::erase(std::uint32_t index) {
  WARPHIVE_DCHECK(bound_.empty() || label_positions_[bound_.back()] <= index);
  code_.erase(code_.begin() + index);
  source_.erase(source_.begin() + index);
}

std::uint32_t FunctionBuilder::constant_slot(std::uint64_t bits) {
  if (!outer_loop_) return ir::none;
  std::uint32_t index = 0;
  while (index < constants_.size() && constants_[index] != bits) ++index;
  if (index == constant_slots) return ir::none;
  if (index == constants_.size()) constants_.push_back(bits);
  const std::uint32_t slot = first_constant_slot + index;
  if ((loop_constants_ >> index & 1) == 0) {
    loop_constants_ |= std::uint32_t{1} << index;
    insert(loop_mark_, {Op::const_k, static_cast<std::uint16_t>(slot), 0, 0, bits});
  }
  return slot;
}

// Inserts what was put off, and gives constants and temporaries their final slots.
void FunctionBuilder::apply_insertions() {
  const auto count = static_cast<std::uint32_t>(constants_.size());
  const auto move_slot = [this, count](std::uint32_t slot) {
    if (slot < first_temp_) return slot;
    if (slot >= first_constant_slot) return first_temp_ + (slot - first_constant_slot);
    return slot + count;
  };
  const auto append = [&](Inst inst, std::uint32_t source) {
    if (count != 0) {
      const std::uint8_t fields = facts(inst.op).fields;
      if (fields & field_a) inst.a = static_cast<std::uint16_t>(move_slot(inst.a));
      if (fields & field_b) inst.b = static_cast<std::uint16_t>(move_slot(inst.b));
      if (fields & field_c) inst.c = static_cast<std::uint16_t>(move_slot(inst.c));
      if (fields & field_imm) inst.imm = move_slot(static_cast<std::uint32_t>(inst.imm));
    }
    moved_code_.push_back(inst);
    moved_source_.push_back(source);
  };

  // Labels are bound in the order of the code, so marks are ordered alike by either number. Those
  // at one place write distinct slots that none of them reads.
  const auto key = [](const Insertion& insertion) {
    return std::tuple(insertion.at.position, insertion.at.bound, insertion.inst.a);
  };
  std::sort(insertions_.begin(), insertions_.end(),
            [&key](const Insertion& x, const Insertion& y) { return key(x) < key(y); });
  moved_code_.clear();
  moved_source_.clear();
  auto next = insertions_.begin();
  for (std::uint32_t i = 0; i < size(); ++i) {
    for (; next != insertions_.end() && next->at.position == i; ++next) {
      append(next->inst, next->at.source);
    }
    append(code_[i], source_[i]);
  }
  WARPHIVE_CHECK(next == insertions_.end());
  code_.swap(moved_code_);
  source_.swap(moved_source_);

  std::uint32_t before = 0;
  for (std::uint32_t i = 0; i < bound_.size(); ++i) {
    while (before < insertions_.size() && insertions_[before].at.bound <= i) ++before;
    label_positions_[bound_[i]] += before;
  }
}

std::uint32_t FunctionBuilder::finish(ir::Function& function) {
  const auto moved_by = static_cast<std::uint32_t>(constants_.size());
  if (!insertions_.empty()) apply_insertions();

  const std::uint32_t count = size();
  WARPHIVE_CHECK(count != 0 && ir::ends_flow(code_.back().op));
  block_of_.assign(count, 0);
  block_of_[0] = 1;
  const auto target = [this, count](Label label) {
    const std::uint32_t position = label_positions_[label];
    WARPHIVE_CHECK(position < count);
    return position;
  };
  for (std::uint32_t i = 0; i < count; ++i) {
    const Inst& inst = code_[i];
    const Flow flow = facts(inst.op).flow;
    if (flow == Flow::none) continue;
    if (i + 1 < count) block_of_[i + 1] = 1;
    if (flow == Flow::branch) block_of_[target(static_cast<Label>(inst.imm))] = 1;
  }
  for (const std::vector<Label>& table : tables_) {
    for (const Label label : table) block_of_[target(label)] = 1;
  }

  std::uint32_t blocks = 0;
  for (std::uint32_t& block : block_of_) {
    blocks += block;
    block = blocks - 1;
  }
  function.blocks.resize(blocks);
  for (std::uint32_t i = count; i-- > 0;) function.blocks[block_of_[i]] = i;
  for (Inst& inst : code_) {
    if (facts(inst.op).flow == Flow::branch) {
      inst.imm = block_of_[label_positions_[static_cast<Label>(inst.imm)]];
    }
  }
  function.branch_tables.resize(tables_.size());
  for (std::size_t i = 0; i < tables_.size(); ++i) {
    function.branch_tables[i].resize(tables_[i].size());
    for (std::size_t j = 0; j < tables_[i].size(); ++j) {
      function.branch_tables[i][j] = block_of_[label_positions_[tables_[i][j]]];
    }
  }
  function.code.assign(code_.begin(), code_.end());
  function.source.assign(source_.begin(), source_.end());
  return moved_by;
}

}  // namespace warphive::wasm
