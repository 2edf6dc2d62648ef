// SPDX-License-Identifier: Apache-2.0
#include "opt/passes.hpp"

namespace warphive::opt {
namespace {

using ir::Function;
using ir::Inst;
using ir::Op;

constexpr std::size_t max_distance = 32;  // instructions between a value and the copy of it

// Slots `first` and up of a value.
struct Range {
  std::uint32_t first;
  std::uint32_t count;
  [[nodiscard]] bool has(std::uint32_t slot) const { return slot >= first && slot < first + count; }
};

// Whether every field of `inst` that reads of `from` can name the same part of another range.
bool reads_whole(const Inst& inst, const Range& from) {
  const std::uint8_t wide = ir::operands(inst.op).wide & ir::operands(inst.op).reads;
  const auto fits = [&](std::uint32_t slot, std::uint8_t field) {
    return (wide & field) == 0 || from.has(slot) == from.has(slot + 1);
  };
  return fits(inst.a, ir::field::a) && fits(inst.b, ir::field::b) && fits(inst.c, ir::field::c) &&
         fits(ir::imm_low(inst), ir::field::imm);
}

void rename_reads(Inst& inst, const Range& from, std::uint32_t to) {
  const std::uint8_t reads = ir::operands(inst.op).reads;
  const auto rename = [&](std::uint16_t& slot, std::uint8_t field) {
    if ((reads & field) && from.has(slot)) {
      slot = static_cast<std::uint16_t>(to + (slot - from.first));
    }
  };
  rename(inst.a, ir::field::a);
  rename(inst.b, ir::field::b);
  rename(inst.c, ir::field::c);
  if ((reads & ir::field::imm) && from.has(ir::imm_low(inst))) {
    inst.imm = to + (ir::imm_low(inst) - from.first);
  }
}

// Zeroes only what is read before it is written.
bool trim_zeroing(Inst& enter, const SlotSet& live) {
  std::uint32_t end = std::uint32_t{enter.b} + enter.c;
  const std::uint32_t first = live.first_of(enter.b, end);
  end = live.last_of(first, end);
  if (end - first == enter.c) return false;
  enter.b = static_cast<std::uint16_t>(first == end ? 0 : first);
  enter.c = static_cast<std::uint16_t>(end - first);
  return true;
}

// Tries to let the instruction that computes the source of the copy at `at` write its target: the
// source is not live behind the copy.
bool write_directly(Function& function, std::size_t begin, std::size_t at) {
  const std::uint32_t count = field_slots(function.code[at].op, ir::field::a);
  const Range target{function.code[at].a, count};
  const Range source{function.code[at].b, count};
  const std::size_t stop = at - begin > max_distance ? at - max_distance : begin;
  for (std::size_t i = at; i-- > stop;) {
    const Inst& inst = function.code[i];
    if (is_call(inst.op) || inst.op == Op::host_call || inst.op == Op::enter) return false;
    bool touches_target = false;
    bool writes_source = false;
    for_each_write(inst, [&](std::uint32_t slot) {
      touches_target |= target.has(slot);
      writes_source |= source.has(slot);
    });
    if (writes_source) {
      if (ir::operands(inst.op).writes != ir::field::a ||
          (ir::operands(inst.op).reads & ir::field::a) != 0 || inst.a != source.first ||
          field_slots(inst.op, ir::field::a) != count) {
        return false;
      }
      for (std::size_t j = i + 1; j < at; ++j) {
        if (!reads_whole(function.code[j], source)) return false;
      }
      function.code[i].a = static_cast<std::uint16_t>(target.first);
      for (std::size_t j = i + 1; j < at; ++j) {
        rename_reads(function.code[j], source, target.first);
      }
      return true;
    }
    for_each_read(inst, [&](std::uint32_t slot) { touches_target |= target.has(slot); });
    if (touches_target) return false;
  }
  return false;
}

}  // namespace

bool remove_dead_values(Liveness& liveness, Scratch& scratch, Function& function) {
  if (!liveness.solve(function)) return false;
  std::vector<std::uint8_t>& dead = scratch.dead;
  dead.assign(function.code.size(), 0);
  bool found = false;
  bool trimmed = false;
  std::size_t end = function.code.size();
  for (auto block = static_cast<std::uint32_t>(function.blocks.size()); block-- > 0;) {
    SlotSet live = liveness.live_out(block);
    const std::size_t begin = function.blocks[block];
    for (std::size_t i = end; i-- > begin;) {
      Inst& inst = function.code[i];
      if (is_removable(inst.op)) {
        const bool wide = field_slots(inst.op, ir::field::a) == 2;
        const auto is_live = [&](std::uint32_t slot) {
          return live.has(slot) || (wide && live.has(slot + 1));
        };
        const bool copies = is_copy(inst.op);
        if (!is_live(inst.a) || (copies && inst.a == inst.b) ||
            (copies && !is_live(inst.b) && write_directly(function, begin, i))) {
          dead[i] = 1;
          found = true;
          continue;
        }
      } else if (inst.op == Op::enter) {
        trimmed = trim_zeroing(inst, live);
      }
      liveness.step_back(inst, live);
    }
    end = begin;
  }
  if (found) remove_marked(function, dead, scratch);
  return found || trimmed;
}

}  // namespace warphive::opt
