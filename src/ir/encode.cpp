// SPDX-License-Identifier: Apache-2.0
#include "ir/encode.hpp"

#include <algorithm>
#include <limits>

#include "base/check.hpp"
#include "base/result.hpp"
#include "ir/operands.hpp"

namespace warphive::ir {
namespace {

constexpr std::uint64_t max_insns = std::uint64_t{1} << 31;
constexpr std::uint64_t max_index = std::numeric_limits<std::uint32_t>::max();

// The units that a jump to `inst` can pay at once. 0: there are none, or they must be paid, or
// polled for, at the instruction itself.
std::uint32_t fusible_charge(const Inst& inst) {
  return inst.op == Op::charge && inst.imm <= max_index ? imm_low(inst) : 0;
}

class Encoder {
 public:
  Encoder(const Module& module, EncodedProgram& program)
      : module_(module), program_(program), global_slots_(global_slots(module)) {}

  Status run() {
    WARPHIVE_TRY(reserve());
    program_.insns.push_back({op_stop, 0, 0, 0, 0});
    program_.origin.push_back(0);
    for (const Function& function : module_.functions) encode_function(function);
    encode_data();
    encode_elements();
    program_.vectors = module_.vectors;
    return {};
  }

 private:
  Status reserve() {
    std::uint64_t insns = 1;
    std::uint64_t branches = 0;
    for (const Function& function : module_.functions) {
      WARPHIVE_CHECK(!function.import);
      insns += function.code.size();
      for (const auto& table : function.branch_tables) branches += table.size();
    }
    std::uint64_t data = 0;
    for (const auto& segment : module_.data_segments) data += segment.size();
    std::uint64_t elements = 0;
    for (const auto& segment : module_.element_segments) elements += segment.size();
    WARPHIVE_TRY(within("instructions", insns, max_insns));
    WARPHIVE_TRY(within("branch table entries", branches, max_index));
    WARPHIVE_TRY(within("bytes in data segments", data, max_index));
    WARPHIVE_TRY(within("elements in element segments", elements, max_index));
    program_.insns.reserve(insns);
    program_.origin.reserve(insns);
    program_.branches.reserve(branches);
    program_.data.reserve(data);
    program_.elements.reserve(elements);
    program_.functions.reserve(module_.functions.size());
    program_.function_of_block.reserve(module_.functions.size());
    program_.data_segments.reserve(module_.data_segments.size());
    program_.element_segments.reserve(module_.element_segments.size());
    return {};
  }

  static Status within(const char* what, std::uint64_t count, std::uint64_t limit) {
    if (count <= limit) return {};
    return base::error(ErrorCode::limit_exceeded, ErrorPhase::encode,
                       "The program has too many {} ({}, at most {}).", what, count, limit);
  }

  // A jump to a block, with the charge that it pays.
  [[nodiscard]] std::uint64_t target(const Function& function, std::uint32_t block) const {
    const std::uint32_t first = function.blocks[block];
    const std::uint32_t units = fusible_charge(function.code[first]);
    return imm_pair(base_ + first + (units != 0 ? 1 : 0), units);
  }

  void encode_function(const Function& function) {
    base_ = static_cast<std::uint32_t>(program_.insns.size());
    table_starts_.clear();
    for (const auto& table : function.branch_tables) {
      table_starts_.push_back(static_cast<std::uint32_t>(program_.branches.size()));
      for (const std::uint32_t block : table) {
        program_.branches.push_back(target(function, block));
      }
    }
    const FunctionType& type = module_.types[function.type];
    program_.functions.push_back({.entry = base_,
                                  .type = function.type,
                                  .param_slots = static_cast<std::uint16_t>(param_slots(type)),
                                  .result_slots = static_cast<std::uint16_t>(result_slots(type)),
                                  .header_slot = static_cast<std::uint16_t>(function.header_slot),
                                  .reserved = 0});
    program_.function_of_block.push_back(base_);
    const auto count = static_cast<std::uint32_t>(function.code.size());
    for (std::uint32_t i = 0; i < count; ++i) {
      program_.insns.push_back(encode_inst(function, i));
      program_.origin.push_back(i);
    }
  }

  [[nodiscard]] abi::Insn encode_inst(const Function& function, std::uint32_t at) const {
    const Inst& inst = function.code[at];
    abi::Insn insn{static_cast<std::uint16_t>(inst.op), inst.a, inst.b, inst.c, inst.imm};
    switch (info(inst.op).shape) {
      case Shape::br:
      case Shape::br_ab:
      case Shape::br_ak:
        insn.imm = target(function, imm_low(inst));
        break;
      case Shape::br_table: {
        const std::uint32_t table = imm_low(inst);
        insn.imm = imm_pair(table_starts_[table],
                            static_cast<std::uint32_t>(function.branch_tables[table].size()));
        break;
      }
      case Shape::enter:
        // Every function goes on after `enter`, since that does not end flow.
        insn.imm = imm_pair(function.frame_slots, fusible_charge(function.code[at + 1]));
        break;
      case Shape::d_g:
        if (inst.op == Op::ref_func) {
          insn.op = static_cast<std::uint16_t>(Op::const_k);
          insn.imm = inst.imm + 1;
        }
        [[fallthrough]];
      case Shape::g_a:
      case Shape::v_g:
      case Shape::g_v:
        if (operands(inst.op).low == Space::global) insn.imm = global_slots_[imm_low(inst)];
        break;
      default:
        break;
    }
    return insn;
  }

  void encode_data() {
    for (const auto& segment : module_.data_segments) {
      program_.data_segments.push_back({static_cast<std::uint32_t>(program_.data.size()),
                                        static_cast<std::uint32_t>(segment.size())});
      for (const std::byte byte : segment) {
        program_.data.push_back(std::to_integer<std::uint8_t>(byte));
      }
    }
  }

  void encode_elements() {
    for (const auto& segment : module_.element_segments) {
      program_.element_segments.push_back({static_cast<std::uint32_t>(program_.elements.size()),
                                           static_cast<std::uint32_t>(segment.size())});
      for (const Element& element : segment) {
        switch (element.kind) {
          case Element::Kind::null:
            program_.elements.push_back(0);
            break;
          case Element::Kind::function:
            program_.elements.push_back(std::uint64_t{element.index} + 1);
            break;
          case Element::Kind::global:
            program_.elements.push_back(abi::element_is_global | global_slots_[element.index]);
            break;
        }
      }
    }
  }

  const Module& module_;     // borrowed
  EncodedProgram& program_;  // borrowed
  const std::vector<std::uint32_t> global_slots_;
  std::uint32_t base_ = 0;  // first instruction of the current function
  std::vector<std::uint32_t> table_starts_;
};

}  // namespace

abi::Code EncodedProgram::view() const {
  return {.insns = insns.data(),
          .functions = functions.data(),
          .branches = branches.data(),
          .data = data.data(),
          .elements = elements.data(),
          .vectors = vectors.data(),
          .data_segments = data_segments.data(),
          .element_segments = element_segments.data(),
          .insn_count = static_cast<std::uint32_t>(insns.size()),
          .function_count = static_cast<std::uint32_t>(functions.size())};
}

Location locate(const EncodedProgram& program, std::uint32_t insn) {
  const auto& starts = program.function_of_block;
  if (insn >= program.origin.size()) return {};
  const auto after = std::upper_bound(starts.begin(), starts.end(), insn);
  if (after == starts.begin()) return {};
  return {static_cast<std::uint32_t>(after - starts.begin() - 1), program.origin[insn]};
}

Result<EncodedProgram> encode(const Module& module) {
  EncodedProgram program;
  WARPHIVE_TRY(Encoder(module, program).run());
  return program;
}

}  // namespace warphive::ir
