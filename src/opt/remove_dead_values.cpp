// SPDX-License-Identifier: Apache-2.0
#include "opt/passes.hpp"

namespace warphive::opt {
namespace {

using ir::Function;
using ir::Inst;
using ir::Op;

constexpr std::size_t max_distance = 32;  // instructions between a value and the copy of it

void rename_reads(Inst& inst, std::uint32_t from, std::uint32_t to) {
  const std::uint8_t reads = ir::operands(inst.op).reads;
  const auto slot = static_cast<std::uint16_t>(to);
  if ((reads & ir::field::a) && inst.a == from) inst.a = slot;
  if ((reads & ir::field::b) && inst.b == from) inst.b = slot;
  if ((reads & ir::field::c) && inst.c == from) inst.c = slot;
  if ((reads & ir::field::imm) && inst.imm == from) inst.imm = to;
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
        const bool is_copy = inst.op == Op::mov;
        if (!live.has(inst.a) || (is_copy && inst.a == inst.b) ||
            (is_copy && !live.has(inst.b) && write_directly(function, begin, i))) {
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
