// SPDX-License-Identifier: Apache-2.0
#include "opt/liveness.hpp"

#include <algorithm>

namespace warphive::opt {
namespace {

using ir::Inst;
using ir::Op;

constexpr std::uint64_t max_set_words = std::uint64_t{1} << 18;   // of all blocks, per kind of set
constexpr std::uint64_t max_edge_words = std::uint64_t{1} << 20;  // joined in one round
constexpr int max_rounds = 10;

// Writes first, then reads, since an instruction reads before it writes.
template <class Remove, class RemoveRange, class RemoveFrom, class Add>
void effects_backward(const Inst& inst, const ModuleFacts& facts, ModuleFacts::TypeSlots own,
                      Remove&& remove, RemoveRange&& remove_range, RemoveFrom&& remove_from,
                      Add&& add) {
  switch (inst.op) {
    case Op::call:
    case Op::call_indirect: {
      // The callee's frame lies over all slots from its base up.
      remove_from(inst.a);
      const std::uint32_t params = facts.callee(inst).params;
      for (std::uint32_t i = 0; i < params; ++i) add(inst.a + i);
      break;
    }
    case Op::host_call:
      for (std::uint32_t i = 0; i < own.results; ++i) remove(i);
      for (std::uint32_t i = 0; i < own.params; ++i) add(i);
      break;
    case Op::ret:
      for (std::uint32_t i = 0; i < own.results; ++i) add(i);
      break;
    case Op::enter:
      remove_range(inst.b, inst.c);
      break;
    default:
      for_each_write(inst, remove);
      break;
  }
  for_each_read(inst, add);
}

}  // namespace

void Liveness::step_back(const Inst& inst, SlotSet& live) const {
  effects_backward(
      inst, facts_, own_, [&](std::uint32_t slot) { live.remove(slot); },
      [&](std::uint32_t first, std::uint32_t count) { live.remove_range(first, count); },
      [&](std::uint32_t first) { live.remove_from(first); },
      [&](std::uint32_t slot) { live.add(slot); });
}

void Liveness::summarise(std::uint32_t block) {
  SlotSet reads(part(reads_, block));
  SlotSet keeps(part(keeps_, block));
  for (std::size_t i = end_of(block); i-- > function_->blocks[block];) {
    effects_backward(
        function_->code[i], facts_, own_,
        [&](std::uint32_t slot) {
          reads.remove(slot);
          keeps.remove(slot);
        },
        [&](std::uint32_t first, std::uint32_t count) {
          reads.remove_range(first, count);
          keeps.remove_range(first, count);
        },
        [&](std::uint32_t first) {
          reads.remove_from(first);
          keeps.remove_from(first);
        },
        [&](std::uint32_t slot) { reads.add(slot); });
  }
}

SlotSet Liveness::live_out(std::uint32_t block) {
  std::fill(live_out_.begin(), live_out_.end(), 0);
  for_each_successor(*function_, block, [&](std::uint32_t next) {
    const std::uint64_t* in = live_in_.data() + next * words_;
    for (std::size_t i = 0; i < words_; ++i) live_out_[i] |= in[i];
  });
  return SlotSet(live_out_);
}

bool Liveness::solve(const ir::Function& function) {
  function_ = &function;
  own_ = facts_.types[function.type];
  words_ = (std::size_t{function.frame_slots} + 63) / 64;
  const std::size_t blocks = function.blocks.size();
  if (blocks * words_ > max_set_words) return false;
  std::uint64_t edges = 2 * blocks;
  for (const auto& table : function.branch_tables) edges += table.size();
  if (edges * words_ > max_edge_words) return false;
  live_out_.assign(words_, 0);
  live_in_.assign(blocks * words_, 0);
  reads_.assign(blocks * words_, 0);
  keeps_.assign(blocks * words_, ~std::uint64_t{0});
  for (std::uint32_t block = 0; block < blocks; ++block) summarise(block);
  for (int round = 0; round < max_rounds; ++round) {
    bool changed = false;
    for (auto block = static_cast<std::uint32_t>(blocks); block-- > 0;) {
      live_out(block);
      const std::size_t at = block * words_;
      for (std::size_t i = 0; i < words_; ++i) {
        const std::uint64_t live = reads_[at + i] | (live_out_[i] & keeps_[at + i]);
        changed |= live != live_in_[at + i];
        live_in_[at + i] = live;
      }
    }
    if (!changed) return true;
  }
  return false;
}

}  // namespace warphive::opt
