// SPDX-License-Identifier: Apache-2.0
#include "opt/edit.hpp"

namespace warphive::opt {

ModuleFacts::ModuleFacts(const ir::Module& module) {
  types.reserve(module.types.size());
  for (const ir::FunctionType& type : module.types) {
    types.push_back({ir::param_slots(type), ir::result_slots(type)});
  }
  type_of_function.reserve(module.functions.size());
  for (const ir::Function& function : module.functions) type_of_function.push_back(function.type);
}

void remove_marked(ir::Function& function, const std::vector<std::uint8_t>& dead,
                   Scratch& scratch) {
  const auto block_count = static_cast<std::uint32_t>(function.blocks.size());
  std::vector<std::uint32_t>& renumbered = scratch.renumbered;
  renumbered.resize(block_count);
  std::uint32_t kept = 0;    // instructions
  std::uint32_t blocks = 0;  // that have an instruction
  for (std::uint32_t block = 0; block < block_count; ++block) {
    const std::size_t end =
        block + 1 < block_count ? function.blocks[block + 1] : function.code.size();
    const std::uint32_t first = kept;
    renumbered[block] = blocks;
    for (std::size_t i = function.blocks[block]; i < end; ++i) {
      if (dead[i]) continue;
      function.code[kept] = function.code[i];
      function.source[kept] = function.source[i];
      ++kept;
    }
    if (kept != first) function.blocks[blocks++] = first;
  }
  function.code.resize(kept);
  function.source.resize(kept);
  if (blocks == block_count) return;
  function.blocks.resize(blocks);
  for (ir::Inst& inst : function.code) {
    if (ir::operands(inst.op).low == ir::Space::block) inst.imm = renumbered[ir::imm_low(inst)];
  }
  for (auto& table : function.branch_tables) {
    for (std::uint32_t& target : table) target = renumbered[target];
  }
}

}  // namespace warphive::opt
