// SPDX-License-Identifier: Apache-2.0
#include "opt/passes.hpp"

namespace warphive::opt {
namespace {

using ir::Function;
using ir::Inst;
using ir::Op;

bool read_origins(const Copies& copies, Inst& inst) {
  const ir::Operands& use = ir::operands(inst.op);
  // A field that is both read and written must keep its slot; chunk ops have such fields.
  if ((use.reads & use.writes) != 0) return false;
  bool changed = false;
  const auto replace = [&](std::uint16_t& slot) {
    const auto origin = static_cast<std::uint16_t>(copies.origin(slot));
    changed |= origin != slot;
    slot = origin;
  };
  if (use.reads & ir::field::a) replace(inst.a);
  if (use.reads & ir::field::b) replace(inst.b);
  if (use.reads & ir::field::c) replace(inst.c);
  if (use.reads & ir::field::imm) {
    const std::uint32_t origin = copies.origin(ir::imm_low(inst));
    changed |= origin != inst.imm;
    inst.imm = origin;
  }
  return changed;
}

}  // namespace

bool propagate_copies(Copies& copies, Function& function) {
  copies.begin(function.frame_slots);
  bool changed = false;
  std::size_t end = 0;
  for (std::size_t block = 0; block < function.blocks.size(); ++block) {
    std::size_t i = end;
    end = block + 1 < function.blocks.size() ? function.blocks[block + 1] : function.code.size();
    copies.forget_all();
    // Up to the first copy there is nothing to know.
    while (i < end && function.code[i].op != Op::mov) ++i;
    for (; i < end; ++i) {
      Inst& inst = function.code[i];
      changed |= read_origins(copies, inst);
      for_each_write(inst, [&](std::uint32_t slot) { copies.wrote(slot); });
      if (is_call(inst.op)) {
        copies.clobbered(inst.a);
      } else if (inst.op == Op::host_call) {
        copies.forget_all();
      } else if (inst.op == Op::mov) {
        copies.copied(inst.a, inst.b);
      }
    }
  }
  return changed;
}

}  // namespace warphive::opt
