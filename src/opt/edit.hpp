// SPDX-License-Identifier: Apache-2.0
// What passes share: the effects of an instruction on slots, and the removal of instructions.
#pragma once

#include <cstdint>
#include <vector>

#include "ir/module.hpp"
#include "ir/operands.hpp"

namespace warphive::opt {

/// Facts of the module that passes look up per instruction.
struct ModuleFacts {
  struct TypeSlots {
    std::uint32_t params = 0;
    std::uint32_t results = 0;
  };
  std::vector<TypeSlots> types;
  std::vector<std::uint32_t> type_of_function;

  explicit ModuleFacts(const ir::Module& module);
  /// Of what a call or call_indirect runs.
  [[nodiscard]] TypeSlots callee(const ir::Inst& inst) const {
    return types[inst.op == ir::Op::call ? type_of_function[ir::imm_low(inst)]
                                         : ir::imm_high(inst)];
  }
};

inline bool is_call(ir::Op op) { return op == ir::Op::call || op == ir::Op::call_indirect; }

/// Nothing but the slot that it writes depends on whether it runs.
inline bool is_removable(ir::Op op) {
  return ir::operands(op).writes == ir::field::a &&
         (ir::info(op).traits == ir::trait::pure || op == ir::Op::global_get ||
          op == ir::Op::global_get128 || op == ir::Op::memory_size || op == ir::Op::table_size);
}

inline bool is_copy(ir::Op op) { return op == ir::Op::mov || op == ir::Op::mov128; }

/// Slots that a field of the op names: two for a vector.
inline std::uint32_t field_slots(ir::Op op, std::uint8_t field) {
  return (ir::operands(op).wide & field) != 0 ? 2 : 1;
}

/// Calls `visit(slot)` for each slot that the given fields of `inst` name.
template <class Visit>
void for_each_slot(const ir::Inst& inst, std::uint8_t fields, Visit&& visit) {
  if (fields & ir::field::a) visit(std::uint32_t{inst.a});
  if (fields & ir::field::b) visit(std::uint32_t{inst.b});
  if (fields & ir::field::c) visit(std::uint32_t{inst.c});
  if (fields & ir::field::imm) visit(ir::imm_low(inst));
  const std::uint8_t wide = fields & ir::operands(inst.op).wide;
  if (wide == 0) [[likely]]
    return;
  if (wide & ir::field::a) visit(std::uint32_t{inst.a} + 1);
  if (wide & ir::field::b) visit(std::uint32_t{inst.b} + 1);
  if (wide & ir::field::c) visit(std::uint32_t{inst.c} + 1);
  if (wide & ir::field::imm) visit(ir::imm_low(inst) + 1);
}
/// Calls `visit(slot)` for each slot that the fields of `inst` name and that it reads; what calls,
/// returns and host calls read besides is the caller's to know.
template <class Visit>
void for_each_read(const ir::Inst& inst, Visit&& visit) {
  for_each_slot(inst, ir::operands(inst.op).reads, visit);
}
template <class Visit>
void for_each_write(const ir::Inst& inst, Visit&& visit) {
  for_each_slot(inst, ir::operands(inst.op).writes, visit);
}

/// Calls `visit(block)` for each block that may follow.
template <class Visit>
void for_each_successor(const ir::Function& function, std::uint32_t block, Visit&& visit) {
  const bool is_last = block + 1 == function.blocks.size();
  const std::size_t end = is_last ? function.code.size() : function.blocks[block + 1];
  const ir::Inst& last = function.code[end - 1];
  if (ir::operands(last.op).low == ir::Space::block) {
    visit(ir::imm_low(last));
  } else if (last.op == ir::Op::br_table) {
    for (const std::uint32_t target : function.branch_tables[ir::imm_low(last)]) visit(target);
  }
  if (!ir::ends_flow(last.op)) visit(block + 1);
}

/// Buffers that passes reuse from one function to the next.
struct Scratch {
  std::vector<std::uint8_t> dead;         // by instruction
  std::vector<std::uint32_t> renumbered;  // by block
};

/// Removes the instructions marked in `dead` (parallel to the code). Blocks left empty become the
/// block behind them. What ends a block must stay, and the first instruction.
void remove_marked(ir::Function& function, const std::vector<std::uint8_t>& dead, Scratch& scratch);

}  // namespace warphive::opt
