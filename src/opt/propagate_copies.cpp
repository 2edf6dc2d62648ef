// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "opt/passes.hpp"

namespace warphive::opt {
namespace {

using ir::Function;
using ir::Inst;
using ir::Op;

constexpr std::size_t max_known = 64;  // copies known at a time; older ones are forgotten

// Which slots hold copies, at one place of a block.
class Copies {
 public:
  explicit Copies(std::uint32_t frame_slots) : version_(frame_slots, 0), origin_(frame_slots) {}

  // The slot to read instead of `slot`.
  [[nodiscard]] std::uint32_t origin(std::uint32_t slot) const {
    const Origin& origin = origin_[slot];
    if (origin.made_in != block_ || origin.own_version != version_[slot] ||
        version_[origin.slot] != origin.version) {
      return slot;
    }
    return origin.slot;
  }

  void forget_all() {
    ++block_;
    known_.clear();
  }
  void wrote(std::uint32_t slot) { ++version_[slot]; }
  // `to` was just written with the value of `from`.
  void copied(std::uint32_t to, std::uint32_t from) {
    if (to == from) return;
    if (known_.size() == max_known) forget_all();
    origin_[to] = {from, version_[from], version_[to], block_};
    known_.push_back(to);
  }
  // A call leaves nothing from `base` up.
  void clobbered(std::uint32_t base) {
    for (const std::uint32_t slot : known_) {
      if (slot >= base || origin_[slot].slot >= base) origin_[slot].made_in = 0;
    }
    std::erase_if(known_, [this](std::uint32_t slot) { return origin(slot) == slot; });
  }

 private:
  struct Origin {
    std::uint32_t slot = 0;
    std::uint32_t version = 0;      // of that slot when it was copied
    std::uint32_t own_version = 0;  // of the copy
    std::uint32_t made_in = 0;      // block; 0: never
  };
  std::uint32_t block_ = 1;
  std::vector<std::uint32_t> version_;
  std::vector<Origin> origin_;
  std::vector<std::uint32_t> known_;
};

bool is_chunk(Op op) {
  const ir::Operands& use = ir::operands(op);
  return (use.reads & use.writes) != 0;
}

}  // namespace

bool propagate_copies(Function& function) {
  Copies copies(function.frame_slots);
  bool changed = false;
  std::size_t next_block = 0;
  for (std::size_t i = 0; i < function.code.size(); ++i) {
    if (next_block < function.blocks.size() && function.blocks[next_block] == i) {
      copies.forget_all();
      ++next_block;
    }
    Inst& inst = function.code[i];
    // Fields that are both read and written must keep their slot.
    if (!is_chunk(inst.op)) {
      const std::uint8_t reads = ir::operands(inst.op).reads;
      const auto replace = [&](std::uint16_t& slot) {
        const auto origin = static_cast<std::uint16_t>(copies.origin(slot));
        changed |= origin != slot;
        slot = origin;
      };
      if (reads & ir::field::a) replace(inst.a);
      if (reads & ir::field::b) replace(inst.b);
      if (reads & ir::field::c) replace(inst.c);
      if (reads & ir::field::imm) {
        const std::uint32_t origin = copies.origin(ir::imm_low(inst));
        changed |= origin != inst.imm;
        inst.imm = origin;
      }
    }
    for_each_write(inst, [&](std::uint32_t slot) { copies.wrote(slot); });
    if (is_call(inst.op)) {
      copies.clobbered(inst.a);
    } else if (inst.op == Op::host_call) {
      copies.forget_all();
    } else if (inst.op == Op::mov) {
      copies.copied(inst.a, inst.b);
    }
  }
  return changed;
}

}  // namespace warphive::opt
