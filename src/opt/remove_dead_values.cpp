// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <bit>
#include <span>

#include "opt/passes.hpp"

namespace warphive::opt {
namespace {

using ir::Function;
using ir::Inst;
using ir::Op;

constexpr std::uint64_t max_set_words = std::uint64_t{1} << 18;   // of all blocks, for one kind of set
constexpr std::uint64_t max_edge_words = std::uint64_t{1} << 20;  // joined in one round
constexpr int max_rounds = 10;
constexpr std::size_t max_distance = 32;  // instructions between a value and the copy of it

using Words = std::span<std::uint64_t>;

bool has(Words set, std::uint32_t slot) { return (set[slot / 64] >> (slot % 64) & 1) != 0; }
void add(Words set, std::uint32_t slot) { set[slot / 64] |= std::uint64_t{1} << (slot % 64); }
void remove(Words set, std::uint32_t slot) { set[slot / 64] &= ~(std::uint64_t{1} << (slot % 64)); }
void add_first(Words set, std::uint32_t count) {
  for (std::uint32_t slot = 0; slot < count; ++slot) add(set, slot);
}
void remove_from(Words set, std::uint32_t first) {
  if (first / 64 >= set.size()) return;
  set[first / 64] &= (std::uint64_t{1} << (first % 64)) - 1;
  for (std::size_t i = first / 64 + 1; i < set.size(); ++i) set[i] = 0;
}

class Liveness {
 public:
  Liveness(const ModuleFacts& facts, const Function& function)
      : facts_(facts), function_(function), own_(facts.types[function.type]) {}

  // False where it would take too long.
  bool solve() {
    const std::size_t blocks = function_.blocks.size();
    words_ = (std::size_t{function_.frame_slots} + 63) / 64;
    if (blocks * words_ > max_set_words) return false;
    std::uint64_t edges = 2 * blocks;
    for (const auto& table : function_.branch_tables) edges += table.size();
    if (edges * words_ > max_edge_words) return false;
    live_in_.assign(blocks * words_, 0);
    scratch_.assign(words_, 0);
    // What a block reads first, and what it passes through, by a first walk with either nothing or
    // everything live at its end.
    reads_.assign(blocks * words_, 0);
    passes_.assign(blocks * words_, ~std::uint64_t{0});
    for (std::uint32_t block = 0; block < blocks; ++block) {
      const Words reads = part(reads_, block);
      const Words passes = part(passes_, block);
      for (std::size_t i = end_of(block); i-- > function_.blocks[block];) {
        step_back(function_.code[i], reads);
        step_back(function_.code[i], passes);
      }
    }
    for (int round = 0; round < max_rounds; ++round) {
      bool changed = false;
      for (auto block = static_cast<std::uint32_t>(blocks); block-- > 0;) {
        live_out(block, scratch_);
        const Words in = part(live_in_, block);
        const Words reads = part(reads_, block);
        const Words passes = part(passes_, block);
        for (std::size_t i = 0; i < words_; ++i) {
          const std::uint64_t live = reads[i] | (scratch_[i] & passes[i]);
          changed |= live != in[i];
          in[i] = live;
        }
      }
      if (!changed) return true;
    }
    return false;
  }

  // What is live behind a block's last instruction.
  void live_out(std::uint32_t block, Words live) {
    std::fill(live.begin(), live.end(), 0);
    for_each_successor(function_, block, [&](std::uint32_t next) {
      const Words in = part(live_in_, next);
      for (std::size_t i = 0; i < words_; ++i) live[i] |= in[i];
    });
  }

  // From what is live behind an instruction to what is live before it.
  void step_back(const Inst& inst, Words live) const {
    switch (inst.op) {
      case Op::call:
      case Op::call_indirect: {
        // The callee's frame lies over all slots from its base up.
        remove_from(live, inst.a);
        const std::uint32_t params = facts_.callee(inst).params;
        for (std::uint32_t i = 0; i < params; ++i) add(live, inst.a + i);
        break;
      }
      case Op::host_call:
        for (std::uint32_t i = 0; i < own_.results; ++i) remove(live, i);
        add_first(live, own_.params);
        break;
      case Op::ret:
        add_first(live, own_.results);
        break;
      case Op::enter:
        for (std::uint32_t i = 0; i < inst.c; ++i) remove(live, std::uint32_t{inst.b} + i);
        break;
      default:
        for_each_write(inst, [&](std::uint32_t slot) { remove(live, slot); });
        break;
    }
    for_each_read(inst, [&](std::uint32_t slot) { add(live, slot); });
  }

  [[nodiscard]] std::size_t end_of(std::uint32_t block) const {
    return block + 1 < function_.blocks.size() ? function_.blocks[block + 1]
                                               : function_.code.size();
  }
  [[nodiscard]] std::size_t words() const { return words_; }

 private:
  [[nodiscard]] Words part(std::vector<std::uint64_t>& sets, std::uint32_t block) const {
    return {sets.data() + block * words_, words_};
  }

  const ModuleFacts& facts_;
  const Function& function_;
  ModuleFacts::TypeSlots own_;
  std::size_t words_ = 0;
  std::vector<std::uint64_t> live_in_, reads_, passes_, scratch_;
};

void rename_reads(Inst& inst, std::uint32_t from, std::uint32_t to) {
  const std::uint8_t reads = ir::operands(inst.op).reads;
  const auto slot = static_cast<std::uint16_t>(to);
  if ((reads & ir::field::a) && inst.a == from) inst.a = slot;
  if ((reads & ir::field::b) && inst.b == from) inst.b = slot;
  if ((reads & ir::field::c) && inst.c == from) inst.c = slot;
  if ((reads & ir::field::imm) && inst.imm == from) inst.imm = to;
}

// Zeroes only what is read before it is written.
bool trim_zeroing(Inst& enter, Words live) {
  std::uint32_t first = enter.b;
  std::uint32_t end = first + enter.c;
  while (first < end && !has(live, first)) ++first;
  while (end > first && !has(live, end - 1)) --end;
  if (end - first == enter.c) return false;
  enter.b = static_cast<std::uint16_t>(first == end ? 0 : first);
  enter.c = static_cast<std::uint16_t>(end - first);
  return true;
}

// Tries to let the instruction that computes the source of the copy at `at` write its target: the
// source is not live behind the copy.
bool write_directly(Function& function, std::size_t begin, std::size_t at) {
  const std::uint32_t target = function.code[at].a;
  const std::uint32_t source = function.code[at].b;
  const std::size_t stop = at - begin > max_distance ? at - max_distance : begin;
  for (std::size_t i = at; i-- > stop;) {
    const Inst& inst = function.code[i];
    if (is_call(inst.op) || inst.op == Op::host_call || inst.op == Op::enter) return false;
    bool touches_target = false;
    bool writes_source = false;
    for_each_write(inst, [&](std::uint32_t slot) {
      touches_target |= slot == target;
      writes_source |= slot == source;
    });
    if (writes_source) {
      if (ir::operands(inst.op).writes != ir::field::a ||
          (ir::operands(inst.op).reads & ir::field::a) != 0) {
        return false;
      }
      function.code[i].a = static_cast<std::uint16_t>(target);
      for (std::size_t j = i + 1; j < at; ++j) rename_reads(function.code[j], source, target);
      return true;
    }
    for_each_read(inst, [&](std::uint32_t slot) { touches_target |= slot == target; });
    if (touches_target) return false;
  }
  return false;
}

}  // namespace

bool remove_dead_values(const ModuleFacts& facts, Function& function) {
  Liveness liveness(facts, function);
  if (!liveness.solve()) return false;
  std::vector<std::uint64_t> live(liveness.words());
  std::vector<std::uint8_t> dead(function.code.size(), 0);
  bool found = false;
  bool trimmed = false;
  for (auto block = static_cast<std::uint32_t>(function.blocks.size()); block-- > 0;) {
    liveness.live_out(block, live);
    for (std::size_t i = liveness.end_of(block); i-- > function.blocks[block];) {
      Inst& inst = function.code[i];
      const bool is_dead = is_removable(inst.op) &&
                           (!has(live, inst.a) || (inst.op == Op::mov && inst.a == inst.b));
      if (is_dead) {
        dead[i] = 1;
        found = true;
        continue;
      }
      if (inst.op == Op::mov && !has(live, inst.b) &&
          write_directly(function, function.blocks[block], i)) {
        dead[i] = 1;
        found = true;
        continue;
      }
      if (inst.op == Op::enter) trimmed = trim_zeroing(inst, live);
      liveness.step_back(inst, live);
    }
  }
  if (found) remove_marked(function, dead);
  return found || trimmed;
}

}  // namespace warphive::opt
