// SPDX-License-Identifier: Apache-2.0
// Functions and their straight-line operators; control is in lower_control.cpp.
#include "guest/wasm/lower_function.hpp"

#include <algorithm>
#include <utility>

#include "abi/exit.hpp"
#include "base/result.hpp"

namespace warphive::wasm {

using ir::Inst;
using ir::Op;

namespace {

// A module may become this many instructions, plus some for each of its bytes. Real code needs one
// for every two bytes; only branches that carry hundreds of values come near.
constexpr std::uint64_t instruction_floor = std::uint64_t{1} << 20;
constexpr std::uint64_t instructions_per_byte = 4;

}  // namespace

FunctionLowering::FunctionLowering(const Module& module, const LowerOptions& options,
                                   std::span<const std::uint32_t> types, ir::Module& output)
    : module_(module),
      options_(options),
      types_(types),
      output_(output),
      budget_(instruction_floor + instructions_per_byte * module.bytes.size()) {
  type_slots_.reserve(module.types.size());
  for (const FunctionType& type : module.types) type_slots_.push_back(slots_of(type));
}

Status FunctionLowering::lower(std::uint32_t index, ir::Function& function) {
  const FunctionBody& body = module_.bodies[index];
  const std::uint32_t guest_index = module_.imported_functions + index;
  const FunctionType& type = module_.types[module_.functions[guest_index]];
  const TypeSlots& own = type_slots_[module_.functions[guest_index]];
  params_ = own.params;
  results_ = own.results;
  header_slot_ = std::max(params_, results_);
  local_shift_ = header_slot_ + 1 - params_;
  std::uint64_t locals = 0;
  for (const LocalRun& run : body.locals) locals += std::uint64_t{run.count} * ir::slots(run.type);
  const auto too_many_slots = [&](std::uint64_t slots) {
    return fail(
        Error(ErrorCode::limit_exceeded, ErrorPhase::lower,
              fmt::format("Function {}{} needs more slots ({}) than an instruction can name "
                          "({}).",
                          guest_index,
                          function.name.empty() ? "" : fmt::format(" (\"{}\")", function.name),
                          slots, FunctionBuilder::first_constant_slot))
            .at_offset(body.offset));
  };
  const std::uint64_t first_temporary = header_slot_ + 1 + locals;
  if (first_temporary > FunctionBuilder::first_constant_slot)
    return too_many_slots(first_temporary);
  first_temporary_ = static_cast<std::uint32_t>(first_temporary);
  frame_slots_ = first_temporary_;
  if (references_.size() < first_temporary_) references_.resize(first_temporary_);
  find_local_runs(type, body);

  position_ = body.code.data();
  const std::byte* const begin = position_;
  const std::byte* const end = begin + body.code.size();
  builder_.begin(first_temporary_);
  builder_.set_source(body.offset);
  builder_.emit(Op::enter, header_slot_, header_slot_ + 1, static_cast<std::uint32_t>(locals), 0);
  reachable_ = true;
  skipped_ = 0;
  loops_ = 0;
  charge_ = ir::none;
  too_long_ = false;
  function_ = guest_index;
  jumps_to_start_ = body.tail_calls_itself && !has_vector_locals_;
  if (jumps_to_start_) {
    start_ = builder_.new_label();
    builder_.bind(start_);
  }
  begin_guest_block(true);
  units_ = 1;
  Frame outermost;
  outermost.kind = Frame::Kind::function;
  outermost.label = builder_.new_label();
  outermost.results = results_;
  if (own.has_vectors) outermost.vectors = &type;
  frames_.push_back(outermost);

  while (!frames_.empty() && !too_long_) {
    WARPHIVE_CHECK(position_ < end);
    builder_.set_source(body.offset + static_cast<std::uint32_t>(position_ - begin));
    const auto code = static_cast<Opcode>(*position_++);
    if (reachable_) {
      lower_operator(code);
    } else {
      lower_unreachable(code);
    }
  }
  truncate(0);
  if (too_long_) {
    frames_.clear();
    return fail(Error(ErrorCode::limit_exceeded, ErrorPhase::lower,
                      fmt::format("Function {} makes the module longer than it may become ({} "
                                  "instructions for {} bytes).",
                                  guest_index,
                                  instruction_floor + instructions_per_byte * module_.bytes.size(),
                                  module_.bytes.size()))
                    .at_offset(body.offset));
  }
  if (frame_slots_ > FunctionBuilder::first_constant_slot) return too_many_slots(frame_slots_);
  budget_ -= std::min<std::uint64_t>(budget_, builder_.size());
  const std::uint32_t moved_by = builder_.finish(function);
  function.header_slot = header_slot_;
  function.frame_slots = frame_slots_ + moved_by;
  if (function.frame_slots > 65'536) return too_many_slots(function.frame_slots);
  function.code[0].imm = function.frame_slots;
  return {};
}

// Operators.

// What real code is made of comes first, and inline.
inline void FunctionLowering::lower_operator(Opcode code) {
  const auto byte = static_cast<std::uint8_t>(code);
  ++units_;
  switch (operator_classes[byte]) {
    case OperatorClass::local_get:
      if (has_vector_locals_) [[unlikely]]
        return get_local_of_runs(read_u32());
      push_local(local_slot(read_u32()));
      return;
    case OperatorClass::local_set:
      if (has_vector_locals_) [[unlikely]]
        return set_local_of_runs(read_u32(), false);
      set_local(local_slot(read_u32()), false);
      return;
    case OperatorClass::local_tee:
      if (has_vector_locals_) [[unlikely]]
        return set_local_of_runs(read_u32(), true);
      set_local(local_slot(read_u32()), true);
      return;
    case OperatorClass::i32_const:
      push_constant(static_cast<std::uint32_t>(read_signed()));
      return;
    case OperatorClass::binary:
      binary(code);
      return;
    case OperatorClass::unary:
      unary(code, unary_rules[byte].op, unary_rules[byte].operand_bits);
      return;
    case OperatorClass::load:
      load(unary_rules[byte].op);
      return;
    case OperatorClass::store:
      store(unary_rules[byte].op, unary_rules[byte].operand_bits);
      return;
    case OperatorClass::free:
      --units_;
      lower_other(code);
      return;
    case OperatorClass::other:
      lower_other(code);
      return;
  }
}

void FunctionLowering::lower_other(Opcode code) {
  switch (code) {
    case Opcode::i64_const:
      push_constant(read_signed());
      return;
    case Opcode::f32_const:
      push_constant(read_fixed(4));
      return;
    case Opcode::f64_const:
      push_constant(read_fixed(8));
      return;
    case Opcode::i32_eqz:
      equal_zero(false);
      return;
    case Opcode::i64_eqz:
      equal_zero(true);
      return;
    case Opcode::i32_wrap_i64:
      if (stack_.back().kind == Entry::Kind::constant) {
        stack_.back().bits &= 0xffff'ffff;
      } else {
        stack_.back().wrapped = true;
      }
      return;
    // The slot holds the result already.
    case Opcode::i64_extend_i32_u:
    case Opcode::i32_reinterpret_f32:
    case Opcode::i64_reinterpret_f64:
    case Opcode::f32_reinterpret_i32:
    case Opcode::f64_reinterpret_i64:
    case Opcode::nop:
      return;
    case Opcode::drop:
      drop();
      return;
    case Opcode::select_t:
      for (std::uint32_t count = read_u32(); count != 0; --count) skip_leb();
      select();
      return;
    case Opcode::select:
      select();
      return;
    case Opcode::global_get:
      get_global(read_u32());
      return;
    case Opcode::global_set: {
      const std::uint32_t global = read_u32();
      if (module_.globals[global].type == ValueType::v128) return set_vector_global(global);
      const std::uint32_t value = operand(height() - 1);
      pop();
      builder_.emit(Op::global_set, value, 0, 0, global);
      return;
    }
    case Opcode::table_get:
      unary_with_index(Op::table_get, read_u32());
      return;
    case Opcode::table_set: {
      const std::uint32_t table = read_u32();
      const std::uint32_t index = operand(height() - 2);
      const std::uint32_t value = operand(height() - 1);
      truncate(height() - 2);
      builder_.emit(Op::table_set, index, value, 0, table);
      output_.tables[table].changes = true;
      return;
    }
    case Opcode::memory_size:
      builder_.emit(Op::memory_size, temporary(height()), 0, 0, read_u32());
      push_temporary();
      return;
    case Opcode::memory_grow: {
      const std::uint32_t memory = read_u32();
      output_.memories[memory].grows = true;
      unary_with_index(Op::memory_grow, memory);
      return;
    }
    case Opcode::ref_null:
      skip_leb();
      push_constant(0);
      return;
    case Opcode::ref_is_null:
      equal_zero(true);
      return;
    case Opcode::ref_func:
      builder_.emit(Op::ref_func, temporary(height()), 0, 0, read_u32());
      push_temporary();
      return;
    case Opcode::misc_prefix:
      lower_misc();
      return;
    case Opcode::simd_prefix:
      lower_simd();
      return;

    case Opcode::block:
      begin_block(Frame::Kind::block);
      return;
    case Opcode::loop:
      begin_block(Frame::Kind::loop);
      return;
    case Opcode::if_:
      begin_if();
      return;
    case Opcode::else_:
      begin_else();
      return;
    case Opcode::end:
      end_block();
      return;
    case Opcode::br:
      branch(read_u32());
      return;
    case Opcode::br_if:
      branch_if(read_u32());
      return;
    case Opcode::br_table:
      branch_table();
      return;
    case Opcode::return_:
      return_values();
      leave();
      return;
    case Opcode::unreachable:
      builder_.emit(Op::trap, 0, 0, 0, static_cast<std::uint64_t>(abi::TrapKind::unreachable));
      leave();
      return;
    case Opcode::call:
      call(read_u32());
      return;
    case Opcode::call_indirect: {
      const std::uint32_t type = read_u32();
      call_indirect(type, read_u32());
      return;
    }
    case Opcode::return_call: {
      const std::uint32_t function = read_u32();
      if (jumps_to_start_ && function == function_) return start_again();
      call(function);
      return_values();
      leave();
      return;
    }
    case Opcode::return_call_indirect: {
      const std::uint32_t type = read_u32();
      call_indirect(type, read_u32());
      return_values();
      leave();
      return;
    }
    default:
      WARPHIVE_UNREACHABLE();
  }
}

void FunctionLowering::lower_misc() {
  const std::uint32_t code = read_u32();
  if (code < saturating_ops.size()) {
    const Op op = saturating_ops[code];
    unary(Opcode::misc_prefix, op, ir::info(op).src_bits);
    return;
  }
  switch (static_cast<MiscOpcode>(code)) {
    case MiscOpcode::memory_init: {
      const std::uint32_t segment = read_u32();
      bulk(Op::memory_init_check, Op::memory_init_chunk, ir::imm_pair(read_u32(), segment), 1);
      return;
    }
    case MiscOpcode::data_drop:
      builder_.emit(Op::data_drop, 0, 0, 0, read_u32());
      return;
    case MiscOpcode::memory_copy: {
      const std::uint32_t to = read_u32();
      bulk(Op::memory_copy_check, Op::memory_copy_chunk, ir::imm_pair(to, read_u32()), 1);
      return;
    }
    case MiscOpcode::memory_fill:
      bulk(Op::memory_fill_check, Op::memory_fill_chunk, read_u32(), 1);
      return;
    case MiscOpcode::table_init: {
      const std::uint32_t segment = read_u32();
      const std::uint32_t table = read_u32();
      output_.tables[table].changes = true;
      bulk(Op::table_init_check, Op::table_init_chunk, ir::imm_pair(table, segment), 8);
      return;
    }
    case MiscOpcode::elem_drop:
      builder_.emit(Op::elem_drop, 0, 0, 0, read_u32());
      return;
    case MiscOpcode::table_copy: {
      const std::uint32_t to = read_u32();
      output_.tables[to].changes = true;
      bulk(Op::table_copy_check, Op::table_copy_chunk, ir::imm_pair(to, read_u32()), 8);
      return;
    }
    case MiscOpcode::table_grow:
      grow_table(read_u32());
      return;
    case MiscOpcode::table_size:
      builder_.emit(Op::table_size, temporary(height()), 0, 0, read_u32());
      push_temporary();
      return;
    case MiscOpcode::table_fill: {
      const std::uint32_t table = read_u32();
      output_.tables[table].changes = true;
      bulk(Op::table_fill_check, Op::table_fill_chunk, table, 8);
      return;
    }
    default:
      WARPHIVE_UNREACHABLE();
  }
}

void FunctionLowering::lower_unreachable(Opcode code) {
  switch (code) {
    case Opcode::block:
    case Opcode::loop:
    case Opcode::if_:
      ++skipped_;
      skip_leb();
      return;
    case Opcode::else_:
      if (skipped_ == 0) begin_else();
      return;
    case Opcode::end:
      if (skipped_ == 0) {
        end_block();
      } else {
        --skipped_;
      }
      return;
    default:
      skip_immediates(code);
      return;
  }
}

void FunctionLowering::binary(Opcode code) {
  const BinaryRule& rule = binary_rules[static_cast<std::uint8_t>(code)];
  const std::uint32_t at = height() - 2;
  const Entry x = stack_[at];
  const Entry y = stack_[at + 1];
  const std::uint32_t bits = ir::info(rule.slots).src_bits;
  const bool constant_x = x.kind == Entry::Kind::constant;
  const bool constant_y = y.kind == Entry::Kind::constant;
  if (constant_x && constant_y) {
    if (const auto value = fold_binary(code, x.bits, y.bits)) {
      stack_.resize(at);
      push_constant(*value);
      return;
    }
  }
  if (constant_y && rule.constant_y != no_op) {
    const std::uint32_t slot = operand(at, bits);
    truncate(at);
    builder_.emit(rule.constant_y, temporary(at), slot, 0, y.bits);
  } else if (constant_x && rule.constant_x != no_op) {
    const std::uint32_t slot = operand(at + 1, bits);
    truncate(at);
    builder_.emit(rule.constant_x, temporary(at), slot, 0, x.bits);
  } else {
    std::uint32_t first = operand(at, bits);
    std::uint32_t second = operand(at + 1, bits);
    truncate(at);
    if (rule.swap) std::swap(first, second);
    builder_.emit(rule.slots, temporary(at), first, second, 0);
  }
  push_temporary();
}

void FunctionLowering::unary(Opcode code, Op op, std::uint32_t bits) {
  const std::uint32_t at = height() - 1;
  if (stack_[at].kind == Entry::Kind::constant) {
    if (const auto value = fold_unary(code, stack_[at].bits)) {
      stack_[at].bits = *value;
      return;
    }
  }
  const std::uint32_t slot = operand(at, bits);
  pop();
  builder_.emit(op, temporary(at), slot, 0, 0);
  push_temporary();
}

void FunctionLowering::unary_with_index(Op op, std::uint32_t index) {
  const std::uint32_t at = height() - 1;
  const std::uint32_t slot = operand(at);
  pop();
  builder_.emit(op, temporary(at), slot, 0, index);
  push_temporary();
}

void FunctionLowering::load(Op op) {
  skip_leb();
  unary_with_index(op, read_u32());
}

void FunctionLowering::store(Op op, std::uint32_t bits) {
  skip_leb();
  const std::uint32_t at = height() - 2;
  const std::uint32_t address = operand(at);
  const std::uint32_t value = operand(at + 1, bits);
  truncate(at);
  builder_.emit(op, address, value, 0, read_u32());
}

void FunctionLowering::equal_zero(bool wide) {
  const std::uint32_t at = height() - 1;
  Entry& entry = stack_[at];
  if (entry.kind == Entry::Kind::constant) {
    entry.bits = entry.bits == 0;
    return;
  }
  if (!wide && entry.kind == Entry::Kind::temporary && !entry.wrapped &&
      builder_.last_writes(temporary(at))) {
    Inst& last = builder_.last();
    const Condition& condition = condition_of(last.op);
    if (condition.inverse != no_op) {
      last.op = condition.inverse;
      if (condition.swap) std::swap(last.b, last.c);
      return;
    }
  }
  const std::uint32_t slot = operand(at, wide ? 64 : 32);
  pop();
  builder_.emit(wide ? Op::eq64_k : Op::eq32_k, temporary(at), slot, 0, 0);
  push_temporary();
}

void FunctionLowering::select() {
  if (stack_[height() - 2].half != Entry::Half::none) return select_vector();
  const std::uint32_t at = height() - 3;
  const Entry condition = stack_[at + 2];
  if (condition.kind == Entry::Kind::constant) {
    pop();
    if (condition.bits != 0) {
      pop();
      return;
    }
    // The second operand moves down by one place.
    const Entry second = stack_[at + 1];
    if (second.kind != Entry::Kind::temporary) {
      forget(stack_[at]);
      stack_[at] = second;
      stack_.pop_back();
      return;
    }
    truncate(at + 1);
    pop();
    move_to(temporary(at), second, at + 1);
    push_temporary();
    return;
  }
  const std::uint32_t first = operand(at);
  const std::uint32_t second = operand(at + 1);
  const std::uint32_t chooser = operand(at + 2, 32);
  truncate(at);
  builder_.emit(Op::select, temporary(at), first, second, chooser);
  push_temporary();
}

void FunctionLowering::drop() {
  const std::uint32_t at = height() - 1;
  const Entry entry = stack_[at];
  if (entry.half != Entry::Half::none) return drop_vector();
  pop();
  if (entry.kind == Entry::Kind::temporary && builder_.last_writes(first_temporary_ + at) &&
      ir::info(builder_.last().op).traits == ir::trait::pure) {
    builder_.drop_last();
  }
}

void FunctionLowering::set_local(std::uint32_t slot, bool keep) {
  const std::uint32_t at = height() - 1;
  const Entry entry = stack_[at];
  if (entry.kind == Entry::Kind::local && entry.bits == slot && !entry.wrapped) {
    if (!keep) pop();
    return;
  }
  pop();
  // What was computed for this purpose is written to the local at once.
  if (entry.kind == Entry::Kind::temporary && !entry.wrapped &&
      builder_.last_writes(first_temporary_ + at)) {
    if (references_[slot] != 0) {
      const FunctionBuilder::Line taken = builder_.take_last();
      preserve_local(slot);
      builder_.put_back(taken);
    }
    builder_.last().a = static_cast<std::uint16_t>(slot);
    if (keep) push_local(slot);
    return;
  }
  if (references_[slot] != 0) preserve_local(slot);
  move_to(slot, entry, at);
  if (!keep) return;
  if (entry.wrapped) {
    push_local(slot);
  } else if (entry.kind == Entry::Kind::local) {
    push_local(static_cast<std::uint32_t>(entry.bits));
  } else {
    stack_.push_back(entry);
  }
}

void FunctionLowering::get_global(std::uint32_t index) {
  if (module_.globals[index].type == ValueType::v128) return get_vector_global(index);
  if (index >= module_.imported_globals && !module_.globals[index].is_mutable) {
    const ConstExpr& init = module_.global_entries[index - module_.imported_globals].init;
    if (init.size() == 1 && init[0].kind == ConstOp::Kind::constant) {
      push_constant(init[0].bits);
      return;
    }
  }
  builder_.emit(Op::global_get, temporary(height()), 0, 0, index);
  push_temporary();
}

// The three operands are the loop's own copies: temporaries that nothing else names.
void FunctionLowering::bulk(Op check, Op chunk, std::uint64_t imm, std::uint32_t charge_bytes) {
  const std::uint32_t at = height() - 3;
  materialise_top(3);
  const std::uint32_t a = temporary(at);
  const std::uint32_t b = temporary(at + 1);
  const std::uint32_t count = temporary(at + 2);
  truncate(at);
  builder_.emit(check, a, b, count, imm);
  emit_chunk_loop(builder_, chunk, a, b, count, imm, charge_bytes);
}

void FunctionLowering::grow_table(std::uint32_t table) {
  output_.tables[table].changes = true;
  const std::uint32_t at = height() - 2;
  if (stack_[at].kind == Entry::Kind::constant) {  // null, as new elements are
    const std::uint32_t delta = operand(at + 1);
    truncate(at);
    builder_.emit(Op::table_grow, temporary(at), delta, 0, table);
    push_temporary();
    return;
  }
  const std::uint32_t value = operand(at);
  materialise(at + 1);
  const std::uint32_t count = temporary(at + 1);
  const std::uint32_t old_size = temporary(at + 2);
  const std::uint32_t index = temporary(at + 3);
  truncate(at);
  builder_.emit(Op::table_grow, old_size, count, 0, table);
  const Label done = builder_.new_label();
  builder_.emit(Op::br_eq32_k, old_size, 0xffff, 0xffff, done);
  builder_.emit(Op::mov, index, old_size, 0, 0);
  emit_chunk_loop(builder_, Op::table_fill_chunk, index, value, count, table, 8);
  builder_.bind(done);
  builder_.emit(Op::mov, temporary(at), old_size, 0, 0);
  push_temporary();
}

void emit_chunk_loop(FunctionBuilder& builder, Op chunk, std::uint32_t a, std::uint32_t b,
                     std::uint32_t count, std::uint64_t imm, std::uint32_t charge_bytes) {
  const Label header = builder.new_label();
  const Label done = builder.new_label();
  builder.bind(header);
  if (charge_bytes == 0) builder.emit(Op::charge, 0, 0, 0, 0);
  builder.emit(Op::br_eq32_k, count, 0, 0, done);
  if (charge_bytes != 0) builder.emit(Op::bulk_charge, count, 0, 0, charge_bytes);
  builder.emit(chunk, a, b, count, imm);
  builder.emit(Op::br, 0, 0, 0, header);
  builder.bind(done);
}

}  // namespace warphive::wasm
