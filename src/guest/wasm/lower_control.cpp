// SPDX-License-Identifier: Apache-2.0
// Control operators of FunctionLowering: blocks, branches, calls and returns.
#include <algorithm>
#include <utility>

#include "guest/wasm/lower_function.hpp"

namespace warphive::wasm {

using ir::Inst;
using ir::Op;
using ir::Shape;

namespace {

const FunctionType one_vector{{}, {ValueType::v128}};

}  // namespace

// Blocks.

void FunctionLowering::read_block_type(Frame& frame) {
  const auto type = static_cast<std::int64_t>(read_signed());
  frame.params = 0;
  frame.results = 0;
  if (type >= 0) {
    const auto index = static_cast<std::size_t>(type);
    frame.params = type_slots_[index].params;
    frame.results = type_slots_[index].results;
    if (type_slots_[index].has_vectors) frame.vectors = &module_.types[index];
  } else if (type == -5) {
    frame.results = 2;
    frame.vectors = &one_vector;
  } else if (type != -64) {  // -64 is the empty type, all others are value types
    frame.results = 1;
  }
  frame.base = height() - frame.params;
}

void FunctionLowering::begin_block(Frame::Kind kind) {
  Frame frame;
  frame.kind = kind;
  read_block_type(frame);
  frame.label = builder_.new_label();
  if (kind == Frame::Kind::loop) {
    materialise_top(frame.params);
    end_guest_block();
  }
  frame.mark = builder_.mark();
  if (kind == Frame::Kind::loop) {
    if (loops_++ == 0) {
      frame.outer_loop = true;
      builder_.begin_outer_loop(frame.mark);
    }
    builder_.bind(frame.label);
    begin_guest_block(true);
  }
  frames_.push_back(frame);
}

void FunctionLowering::begin_if() {
  const Branch condition = take_condition();
  Frame frame;
  frame.kind = Frame::Kind::if_then;
  read_block_type(frame);
  frame.label = builder_.new_label();
  frame.else_label = builder_.new_label();
  materialise_top(frame.params);  // both arms begin with the same stack
  frame.mark = builder_.mark();
  emit_branch(condition, true, frame.else_label);
  frames_.push_back(frame);
  begin_guest_block(false);
}

void FunctionLowering::begin_else() {
  Frame& frame = frames_.back();
  if (reachable_) {
    materialise_top(frame.results);
    builder_.emit(Op::br, 0, 0, 0, frame.label);
    frame.label_used = true;
  }
  end_guest_block();
  builder_.bind(frame.else_label);
  frame.kind = Frame::Kind::if_else;
  truncate(frame.base);
  push_params(frame);
  reachable_ = true;
  begin_guest_block(false);
}

void FunctionLowering::end_block() {
  const Frame frame = frames_.back();
  if (frame.kind == Frame::Kind::function) {
    end_function();
    return;
  }
  frames_.pop_back();
  if (frame.kind == Frame::Kind::loop) {
    if (frame.outer_loop) builder_.end_outer_loop();
    --loops_;
    return;
  }
  const bool without_else = frame.kind == Frame::Kind::if_then;
  if (!frame.label_used && !without_else) return;
  if (reachable_) materialise_top(frame.results);
  end_guest_block();
  if (without_else) builder_.bind(frame.else_label);
  if (frame.label_used) builder_.bind(frame.label);
  truncate(frame.base);
  push_results(frame);
  reachable_ = true;
  begin_guest_block(false);
}

void FunctionLowering::end_function() {
  const Frame frame = frames_.back();
  frames_.pop_back();
  // Where the results are as the label's block expects them, control falls into it.
  const bool falls_through = frame.label_used && top_in_temporaries(reachable_ ? results_ : 0);
  if (reachable_ && !falls_through) return_values();
  end_guest_block();
  if (frame.label_used) {
    builder_.bind(frame.label);
    truncate(0);
    push_results(frame);
    return_values();
  }
  reachable_ = false;
}

// Branches.

FunctionLowering::Branch FunctionLowering::take_condition() {
  const auto branch_on = [](const Inst& inst) {
    Branch branch;
    const Condition& condition = condition_of(inst.op);
    if (condition.branch == no_op) return branch;
    if (ir::info(inst.op).shape == Shape::d_ab) {
      branch = {condition.branch, condition.branch_inverse, inst.b, inst.c, 0, condition.swap};
    } else {
      const auto low = static_cast<std::uint32_t>(inst.imm);
      const bool wide = ir::info(inst.op).src_bits == 64;
      if (wide && static_cast<std::int64_t>(inst.imm) != static_cast<std::int32_t>(low)) {
        return branch;
      }
      branch = {condition.branch,
                condition.branch_inverse,
                inst.b,
                static_cast<std::uint16_t>(low),
                static_cast<std::uint16_t>(low >> 16),
                false};
    }
    return branch;
  };

  const std::uint32_t at = height() - 1;
  const Entry entry = stack_[at];
  const std::uint32_t slot = first_temporary_ + at;
  if (entry.kind == Entry::Kind::temporary && !entry.wrapped && builder_.last_writes(slot)) {
    const Inst last = builder_.last();
    // `x == 0` of a condition x that has no inverse as a value.
    if ((last.op == Op::eq32_k || last.op == Op::ne32_k) && last.imm == 0 && last.b == slot &&
        builder_.can_edit(2)) {
      const Inst before = builder_.before_last();
      Branch branch =
          before.a == slot && ir::info(before.op).dst_bits != 0 ? branch_on(before) : Branch{};
      if (branch.op != no_op && !branch.swap) {
        if (last.op == Op::eq32_k) std::swap(branch.op, branch.inverse);
        builder_.drop_last();
        builder_.drop_last();
        pop();
        return branch;
      }
    }
    const Branch branch = branch_on(last);
    if (branch.op != no_op) {
      builder_.drop_last();
      pop();
      return branch;
    }
  }
  const auto read = static_cast<std::uint16_t>(operand(at, 32));
  pop();
  return {Op::br_ne32_k, Op::br_eq32_k, read, 0, 0, false};
}

void FunctionLowering::emit_branch(const Branch& branch, bool inverse, Label target) {
  std::uint16_t a = branch.a;
  std::uint16_t b = branch.b;
  if (inverse && branch.swap) std::swap(a, b);
  builder_.emit(Inst{inverse ? branch.inverse : branch.op, a, b, branch.c, target});
}

// Copies the top `count` operands to the temporaries from `to` on, which lie at or below them: in
// ascending order none is overwritten before it is read. The stack itself stays as it is.
void FunctionLowering::move_top(std::uint32_t to, std::uint32_t count) {
  const std::uint32_t from = height() - count;
  for (std::uint32_t i = 0; i < count; ++i) {
    move_to(temporary(to + i), stack_[from + i], from + i);
  }
}

void FunctionLowering::branch(std::uint32_t depth) {
  Frame& frame = frame_at(depth);
  if (frame.kind == Frame::Kind::function) {
    return_values();
    leave();
    return;
  }
  const std::uint32_t count = frame.arity();
  const std::uint32_t at = height() - 1;
  if (count == 1 && at != frame.base && stack_[at].kind == Entry::Kind::temporary &&
      !stack_[at].wrapped && builder_.last_writes(temporary(at))) {
    builder_.last().a = static_cast<std::uint16_t>(temporary(frame.base));
  } else if (count != 2 || !retarget_vector(frame.base)) {
    move_top(frame.base, count);
  }
  builder_.emit(Op::br, 0, 0, 0, frame.label);
  frame.label_used = true;
  leave();
}

void FunctionLowering::branch_if(std::uint32_t depth) {
  const Branch condition = take_condition();
  Frame& frame = frame_at(depth);
  const bool returns = frame.kind == Frame::Kind::function;
  const std::uint32_t count = frame.arity();
  // Values that are at the right height need no copies on the way: it costs the same to have them
  // in their temporaries before the branch.
  const bool right_height = height() - count == frame.base;
  if (right_height && !returns) materialise_top(count);
  if (count == 0 || (right_height && top_in_temporaries(count))) {
    emit_branch(condition, false, frame.label);
    frame.label_used = true;
  } else {
    materialise_top(count, true);
    const Label skip = builder_.new_label();
    emit_branch(condition, true, skip);
    if (returns) {
      return_values();
    } else {
      move_top(frame.base, count);
      builder_.emit(Op::br, 0, 0, 0, frame.label);
      frame.label_used = true;
    }
    end_guest_block();
    builder_.bind(skip);
  }
  begin_guest_block(false);
}

void FunctionLowering::branch_table() {
  const std::uint32_t index = operand(height() - 1);
  pop();
  if (target_of_depth_.size() < frames_.size()) target_of_depth_.resize(frames_.size(), ir::none);
  const std::uint64_t entries = std::uint64_t{read_u32()} + 1;
  targets_.clear();
  depths_.clear();
  std::uint32_t count = 0;
  for (std::uint64_t i = 0; i < entries; ++i) {
    const std::uint32_t depth = read_u32();
    Label& target = target_of_depth_[depth];
    if (target == ir::none) {
      Frame& frame = frame_at(depth);
      if (i == 0) {
        count = frame.arity();
        materialise_top(count);
      }
      if (count == 0 || frame.base == height() - count) {
        target = frame.label;
        frame.label_used = true;
      } else {
        target = builder_.new_label();
      }
      depths_.push_back(depth);
    }
    targets_.push_back(target);
  }
  builder_.emit(Op::br_table, index, 0, 0, builder_.add_table(targets_));
  end_guest_block();
  // Distinct targets whose values lie elsewhere are reached through copies.
  for (const std::uint32_t depth : depths_) {
    Frame& frame = frame_at(depth);
    const Label target = std::exchange(target_of_depth_[depth], ir::none);
    if (target == frame.label) continue;
    builder_.bind(target);
    if (frame.kind == Frame::Kind::function) {
      return_values();
    } else {
      move_top(frame.base, count);
      builder_.emit(Op::br, 0, 0, 0, frame.label);
      frame.label_used = true;
    }
  }
  leave();
}

// Returns and calls.

// Returns the top operands. On paths that go on elsewhere the stack must stay valid: nothing on it
// changes unless an operand is `wrapped`.
void FunctionLowering::return_values() {
  if (results_ > 1) {
    move_to_front(results_);
  } else if (results_ == 1) {
    const std::uint32_t at = height() - 1;
    const Entry entry = stack_[at];
    if (entry.kind == Entry::Kind::constant || entry.wrapped) {
      move_to(0, entry, at);
    } else if (entry.kind == Entry::Kind::temporary &&
               builder_.last_writes(first_temporary_ + at)) {
      builder_.last().a = 0;
    } else {
      const std::uint32_t from = operand(at);
      if (from != 0) {
        builder_.emit(Op::ret_mov, header_slot_, from, 0, 0);
        return;
      }
    }
  }
  builder_.emit(Op::ret, header_slot_, 0, 0, 0);
}

// The top operands go to slots from 0 on, where parameters are too: a parallel move.
void FunctionLowering::move_to_front(std::uint32_t count) {
  if (count == 2 && stack_[height() - 2].half == Entry::Half::low) {
    const std::uint32_t at = height() - 2;
    const Entry entry = stack_[at];
    if (entry.kind == Entry::Kind::temporary && builder_.last_writes(first_temporary_ + at)) {
      builder_.last().a = 0;
    } else {
      move_vector(0, entry, at);
    }
    return;
  }
  materialise_top(count, true);
  const std::uint32_t base = height() - count;
  moves_.assign(count, {0, ir::none});
  readers_.assign(count, 0);
  ready_.clear();
  for (std::uint32_t i = 0; i < count; ++i) {
    const Entry& entry = stack_[base + i];
    if (entry.kind == Entry::Kind::constant) continue;
    const std::uint32_t from = entry.kind == Entry::Kind::local
                                   ? static_cast<std::uint32_t>(entry.bits)
                                   : temporary(base + i);
    if (from == i) continue;
    moves_[i] = {i, from};
    if (from < count) ++readers_[from];
  }
  for (std::uint32_t i = 0; i < count; ++i) {
    if (moves_[i].from != ir::none && readers_[i] == 0) ready_.push_back(i);
  }
  while (!ready_.empty()) {
    const std::uint32_t to = ready_.back();
    ready_.pop_back();
    const std::uint32_t from = std::exchange(moves_[to].from, ir::none);
    builder_.emit(Op::mov, to, from, 0, 0);
    if (from < count && --readers_[from] == 0 && moves_[from].from != ir::none) {
      ready_.push_back(from);
    }
  }
  // What is left are cycles.
  for (std::uint32_t i = 0; i < count; ++i) {
    if (moves_[i].from == ir::none) continue;
    const std::uint32_t saved = temporary(height());
    builder_.emit(Op::mov, saved, i, 0, 0);
    std::uint32_t to = i;
    for (;;) {
      const std::uint32_t from = std::exchange(moves_[to].from, ir::none);
      builder_.emit(Op::mov, to, from == i ? saved : from, 0, 0);
      if (from == i) break;
      to = from;
    }
  }
  for (std::uint32_t i = 0; i < count; ++i) {
    const Entry& entry = stack_[base + i];
    if (entry.kind == Entry::Kind::constant) move_to(i, entry, base + i);
  }
}

void FunctionLowering::call(std::uint32_t function) {
  finish_call(module_.functions[function], Op::call, 0, function);
}

void FunctionLowering::call_indirect(std::uint32_t type, std::uint32_t table) {
  const std::uint32_t index = operand(height() - 1);
  pop();
  finish_call(type, Op::call_indirect, index, ir::imm_pair(table, types_[type]));
}

// A call of this function in place of a return: a jump to its start, with its locals zero again.
void FunctionLowering::start_again() {
  if (params_ != 0) move_to_front(params_);
  for (std::uint32_t slot = header_slot_ + 1; slot < first_temporary_; ++slot) {
    builder_.emit(Op::const_k, slot, 0, 0, 0);
  }
  builder_.emit(Op::br, 0, 0, 0, start_);
  leave();
}

void FunctionLowering::finish_call(std::uint32_t type, Op op, std::uint32_t index_slot,
                                   std::uint64_t imm) {
  const auto [params, results, has_vectors] = type_slots_[type];
  materialise_top(params);
  const std::uint32_t at = height() - params;
  const std::uint32_t base = first_temporary_ + at;
  use_slots_to(base + std::max(params, results));
  truncate(at);
  builder_.emit(op, base, index_slot, 0, imm);
  if (has_vectors) [[unlikely]] {
    push_typed_temporaries(module_.types[type].results);
  } else {
    push_temporaries(results);
  }
  begin_guest_block(false);
}

}  // namespace warphive::wasm
