// SPDX-License-Identifier: Apache-2.0
#include "ir/testing/encoded_checks.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "ir/operands.hpp"

namespace warphive::ir::testing {
namespace {

class Checker {
 public:
  Checker(const Module& module, const EncodedProgram& program)
      : module_(module), program_(program) {}

  std::string run() {
    const auto& insns = program_.insns;
    if (insns.empty() || insns[0].op != op_stop) return "Instruction 0 is no stop.";
    if (program_.origin.size() != insns.size()) return "Origins are missing.";
    if (program_.functions.size() != module_.functions.size()) return "Functions are missing.";
    std::uint32_t next = 1;
    for (std::uint32_t i = 0; i < module_.functions.size(); ++i) {
      const Function& function = module_.functions[i];
      const abi::FunctionEntry& entry = program_.functions[i];
      const FunctionType& type = module_.types[function.type];
      if (entry.entry != next || program_.function_of_block[i] != next) {
        return fmt::format("Function {} begins at {}, not {}.", i, entry.entry, next);
      }
      if (entry.type != function.type || entry.header_slot != function.header_slot ||
          entry.param_slots != param_slots(type) || entry.result_slots != result_slots(type)) {
        return fmt::format("The entry of function {} is wrong.", i);
      }
      if (next + function.code.size() > insns.size()) return "Instructions are missing.";
      for (std::uint32_t j = 0; j < function.code.size(); ++j) {
        const Location at = locate(program_, next + j);
        if (at.function != i || at.inst != j) {
          return fmt::format("Instruction {} is located wrongly.", next + j);
        }
        const std::string fault = inst_fault(function, next, j);
        if (!fault.empty()) return fmt::format("Instruction {}: {}", next + j, fault);
      }
      next += static_cast<std::uint32_t>(function.code.size());
    }
    if (next != insns.size()) return "There are instructions of no function.";
    return segment_fault();
  }

 private:
  // A target is a block's first instruction, or the one after, when the charge there is paid.
  [[nodiscard]] bool leads_to(const Function& function, std::uint32_t base, std::uint64_t target,
                              std::uint32_t block) const {
    const auto index = static_cast<std::uint32_t>(target);
    const auto units = static_cast<std::uint32_t>(target >> 32);
    const Inst& first = function.code[function.blocks[block]];
    const bool pays = first.op == Op::charge && first.imm != 0 && first.imm >> 32 == 0;
    if (pays) return index == base + function.blocks[block] + 1 && units == first.imm;
    return index == base + function.blocks[block] && units == 0;
  }

  [[nodiscard]] std::string inst_fault(const Function& function, std::uint32_t base,
                                       std::uint32_t at) const {
    const Inst& inst = function.code[at];
    const abi::Insn& insn = program_.insns[base + at];
    const bool is_reference = inst.op == Op::ref_func;
    const Op op = is_reference ? Op::const_k : inst.op;
    if (insn.op != static_cast<std::uint16_t>(op) || insn.a != inst.a || insn.b != inst.b ||
        insn.c != inst.c) {
      return "The op or a slot differs.";
    }
    const auto low = static_cast<std::uint32_t>(insn.imm);
    const auto high = static_cast<std::uint32_t>(insn.imm >> 32);
    switch (info(inst.op).shape) {
      case Shape::br:
      case Shape::br_ab:
      case Shape::br_ak:
        return leads_to(function, base, insn.imm, imm_low(inst)) ? "" : "The target is wrong.";
      case Shape::br_table: {
        const auto& table = function.branch_tables[imm_low(inst)];
        if (high != table.size() || low > program_.branches.size() ||
            high > program_.branches.size() - low) {
          return "The branch table is wrong.";
        }
        for (std::uint32_t i = 0; i < table.size(); ++i) {
          if (!leads_to(function, base, program_.branches[low + i], table[i])) {
            return "A target of the branch table is wrong.";
          }
        }
        return "";
      }
      case Shape::enter: {
        const Inst& next = function.code[at + 1];
        const bool pays = next.op == Op::charge && next.imm >> 32 == 0;
        const bool right = low == function.frame_slots && high == (pays ? next.imm : 0);
        return right ? "" : "The frame or the charge is wrong.";
      }
      default:
        if (operands(inst.op).low == Space::global) {
          return insn.imm == first_slot_of_global(imm_low(inst)) ? ""
                                                                 : "The global's slot differs.";
        }
        return insn.imm == inst.imm + (is_reference ? 1 : 0) ? "" : "The imm differs.";
    }
  }

  [[nodiscard]] std::uint32_t first_slot_of_global(std::uint32_t index) const {
    std::uint32_t slot = 0;
    for (std::uint32_t i = 0; i < index; ++i) slot += slots(module_.globals[i].type);
    return slot;
  }

  [[nodiscard]] std::string segment_fault() const {
    if (program_.data_segments.size() != module_.data_segments.size() ||
        program_.element_segments.size() != module_.element_segments.size()) {
      return "Segments are missing.";
    }
    for (std::size_t i = 0; i < module_.data_segments.size(); ++i) {
      const auto& bytes = module_.data_segments[i];
      const abi::Segment& segment = program_.data_segments[i];
      if (segment.length != bytes.size() || segment.first + bytes.size() > program_.data.size() ||
          !std::equal(bytes.begin(), bytes.end(), program_.data.begin() + segment.first,
                      [](std::byte x, std::uint8_t y) { return x == std::byte{y}; })) {
        return fmt::format("Data segment {} differs.", i);
      }
    }
    for (std::size_t i = 0; i < module_.element_segments.size(); ++i) {
      const auto& list = module_.element_segments[i];
      const abi::Segment& segment = program_.element_segments[i];
      if (segment.length != list.size() || segment.first + list.size() > program_.elements.size()) {
        return fmt::format("Element segment {} has another size.", i);
      }
      for (std::size_t j = 0; j < list.size(); ++j) {
        std::uint64_t wanted = 0;
        if (list[j].kind == Element::Kind::function) wanted = list[j].index + std::uint64_t{1};
        if (list[j].kind == Element::Kind::global) {
          wanted = abi::element_is_global | first_slot_of_global(list[j].index);
        }
        if (program_.elements[segment.first + j] != wanted) {
          return fmt::format("Element {} of segment {} differs.", j, i);
        }
      }
    }
    return "";
  }

  const Module& module_;           // borrowed
  const EncodedProgram& program_;  // borrowed
};

}  // namespace

std::string encoding_fault(const Module& module, const EncodedProgram& program) {
  return Checker(module, program).run();
}

}  // namespace warphive::ir::testing
