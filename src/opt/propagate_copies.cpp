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
  // The slot to read instead: for a vector, only where both of its halves were copied together.
  const auto origin = [&](std::uint32_t slot, std::uint8_t field) {
    const std::uint32_t from = copies.origin(slot);
    const bool moved =
        from != slot && ((use.wide & field) == 0 || copies.origin(slot + 1) == from + 1);
    changed |= moved;
    return moved ? from : slot;
  };
  const auto replace = [&](std::uint16_t& slot, std::uint8_t field) {
    if (use.reads & field) slot = static_cast<std::uint16_t>(origin(slot, field));
  };
  replace(inst.a, ir::field::a);
  replace(inst.b, ir::field::b);
  replace(inst.c, ir::field::c);
  if (use.reads & ir::field::imm) inst.imm = origin(ir::imm_low(inst), ir::field::imm);
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
    while (i < end && !is_copy(function.code[i].op)) ++i;
    for (; i < end; ++i) {
      Inst& inst = function.code[i];
      changed |= read_origins(copies, inst);
      for_each_write(inst, [&](std::uint32_t slot) { copies.wrote(slot); });
      if (is_call(inst.op)) {
        copies.clobbered(inst.a);
      } else if (inst.op == Op::host_call) {
        copies.forget_all();
      } else if (is_copy(inst.op)) {
        // Not where a vector's copy overlaps its source, which is then no more what was copied.
        const std::uint32_t count = field_slots(inst.op, ir::field::a);
        const std::uint32_t distance = inst.a > inst.b ? inst.a - inst.b : inst.b - inst.a;
        for (std::uint32_t k = 0; k < count && distance >= count; ++k) {
          copies.copied(inst.a + k, inst.b + k);
        }
      }
    }
  }
  return changed;
}

}  // namespace warphive::opt
