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
    case Shape::v_g:
    case Shape::g_v:
      return field_a;
    case Shape::v_v:
    case Shape::v_a:
    case Shape::d_v:
    case Shape::d_vk:
    case Shape::load_v:
    case Shape::store_v:
      return field_a | field_b;
    case Shape::v_vv:
    case Shape::v_va:
    case Shape::v_vak:
    case Shape::v_vvg:
      return field_a | field_b | field_c;
    case Shape::v_vvv:
    case Shape::v_vva:
      return field_a | field_b | field_c | field_imm;
    case Shape::g:
    case Shape::br:
    case Shape::enter:
    case Shape::ret:
      return 0;
  }
  return 0;
}

struct Facts {
  std::uint16_t slot_a, slot_b, slot_c;  // all ones where the field names a slot
  bool slot_imm;
  bool ends;      // a block
  bool branches;  // to the label in imm
};
constexpr std::array<Facts, ir::op_count> make_facts() {
  std::array<Facts, ir::op_count> facts{};
  for (std::uint16_t i = 0; i < ir::op_count; ++i) {
    const Op op = static_cast<Op>(i);
    const Shape shape = ir::info(op).shape;
    const std::uint8_t fields = slot_fields(shape);
    const auto mask = [fields](std::uint8_t bit) {
      return static_cast<std::uint16_t>((fields & bit) != 0 ? 0xffff : 0);
    };
    facts[i].slot_a = mask(field_a);
    facts[i].slot_b = mask(field_b);
    facts[i].slot_c = mask(field_c);
    facts[i].slot_imm = (fields & field_imm) != 0;
    facts[i].branches = shape == Shape::br || shape == Shape::br_ab || shape == Shape::br_ak;
    facts[i].ends = facts[i].branches || shape == Shape::br_table || ir::ends_block(op);
  }
  return facts;
}
constexpr std::array<Facts, ir::op_count> facts_of = make_facts();
const Facts& facts(Op op) { return facts_of[static_cast<std::uint16_t>(op)]; }

}  // namespace

void FunctionBuilder::begin(std::uint32_t first_temp) {
  lines_.clear();
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
  lines_.erase(lines_.begin() + index);
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
  const std::uint32_t constants_move = first_temp_ - first_constant_slot;  // down, so it wraps
  const auto temporaries_move = static_cast<std::uint32_t>(constants_.size());
  const auto move_of = [this, constants_move, temporaries_move](std::uint32_t slot) {
    const std::uint32_t by = slot >= first_constant_slot ? constants_move : temporaries_move;
    return slot < first_temp_ ? 0 : by;
  };
  moved_.resize(lines_.size() + insertions_.size());
  Line* to = moved_.data();
  // Without branches on what an instruction is, as in finish.
  const auto append = [&to, &move_of](Inst inst, std::uint32_t source) {
    const Facts& fact = facts(inst.op);
    inst.a = static_cast<std::uint16_t>(inst.a + (move_of(inst.a) & fact.slot_a));
    inst.b = static_cast<std::uint16_t>(inst.b + (move_of(inst.b) & fact.slot_b));
    inst.c = static_cast<std::uint16_t>(inst.c + (move_of(inst.c) & fact.slot_c));
    if (fact.slot_imm) {
      const auto slot = static_cast<std::uint32_t>(inst.imm);
      inst.imm = slot + move_of(slot);
    }
    *to++ = {inst, source};
  };

  // Labels are bound in the order of the code, so marks are ordered alike by either number. Those
  // at one place write distinct slots that none of them reads.
  const auto key = [](const Insertion& insertion) {
    return std::tuple(insertion.at.position, insertion.at.bound, insertion.inst.a);
  };
  std::sort(insertions_.begin(), insertions_.end(),
            [&key](const Insertion& x, const Insertion& y) { return key(x) < key(y); });
  auto next = insertions_.begin();
  for (std::uint32_t i = 0; i < size(); ++i) {
    for (; next != insertions_.end() && next->at.position == i; ++next) {
      append(next->inst, next->at.source);
    }
    append(lines_[i].inst, lines_[i].source);
  }
  WARPHIVE_CHECK(next == insertions_.end());
  lines_.swap(moved_);

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
  WARPHIVE_CHECK(count != 0 && ir::ends_flow(last().op));
  // Without branches on what an instruction is: processors cannot guess it.
  block_of_.resize(std::size_t{count} + 1);
  branches_.resize(std::size_t{count} + 1);
  block_of_[0] = 1;
  std::uint32_t branches = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    const Facts& fact = facts(lines_[i].inst.op);
    block_of_[i + 1] = fact.ends;
    branches_[branches] = i;
    branches += fact.branches;
  }
  branches_.resize(branches);
  for (const std::uint32_t i : branches_) {
    block_of_[target(static_cast<Label>(lines_[i].inst.imm))] = 1;
  }
  for (const std::vector<Label>& table : tables_) {
    for (const Label label : table) block_of_[target(label)] = 1;
  }

  blocks_.resize(count);
  std::uint32_t blocks = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    blocks_[blocks] = i;
    const std::uint32_t begins = block_of_[i];
    block_of_[i] = blocks;
    blocks += begins;
  }
  function.blocks.assign(blocks_.begin(), blocks_.begin() + blocks);
  for (const std::uint32_t i : branches_) {
    ir::Inst& inst = lines_[i].inst;
    inst.imm = block_of_[label_positions_[static_cast<Label>(inst.imm)]];
  }
  function.branch_tables.resize(tables_.size());
  for (std::size_t i = 0; i < tables_.size(); ++i) {
    function.branch_tables[i].resize(tables_[i].size());
    for (std::size_t j = 0; j < tables_[i].size(); ++j) {
      function.branch_tables[i][j] = block_of_[label_positions_[tables_[i][j]]];
    }
  }
  function.code.resize(count);
  function.source.resize(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    function.code[i] = lines_[i].inst;
    function.source[i] = lines_[i].source;
  }
  return moved_by;
}

}  // namespace warphive::wasm
