// SPDX-License-Identifier: Apache-2.0
// FunctionLowering's vectors. A vector is two operands on the stack, its low half below its high
// half, which are always of the same kind: two temporaries, the slots of one local, or one
// constant, whose `bits` are then an index in the module's list of vectors.
#include <algorithm>

#include "guest/wasm/lower_function.hpp"
#include "guest/wasm/simd_opcodes.hpp"

namespace warphive::wasm {

using ir::Op;
using ir::Shape;

namespace {

/// The scalar access that a lane's goes through.
Op access_of(SimdOpcode code) {
  switch (code) {
    case SimdOpcode::v128_load8_lane:
      return Op::load8_u;
    case SimdOpcode::v128_load16_lane:
      return Op::load16_u;
    case SimdOpcode::v128_load32_lane:
      return Op::load32_u;
    case SimdOpcode::v128_load64_lane:
      return Op::load64;
    case SimdOpcode::v128_store8_lane:
      return Op::store8;
    case SimdOpcode::v128_store16_lane:
      return Op::store16;
    case SimdOpcode::v128_store32_lane:
      return Op::store32;
    default:
      return Op::store64;
  }
}

}  // namespace

ir::Vector read_vector(const std::byte* from) {
  const auto half = [](const std::byte* bytes) {
    std::uint64_t value = 0;
    for (int i = 0; i < 8; ++i) value |= std::to_integer<std::uint64_t>(bytes[i]) << (8 * i);
    return value;
  };
  return {half(from), half(from + 8)};
}

FunctionLowering::TypeSlots FunctionLowering::slots_of(const FunctionType& type) {
  const auto is_vector = [](ValueType value) { return value == ValueType::v128; };
  return {
      ir::param_slots(type), ir::result_slots(type),
      std::ranges::any_of(type.params, is_vector) || std::ranges::any_of(type.results, is_vector)};
}

// Locals.

void FunctionLowering::find_local_runs(const FunctionType& type, const FunctionBody& body) {
  local_runs_.clear();
  has_vector_locals_ =
      std::ranges::find(type.params, ValueType::v128) != type.params.end() ||
      std::ranges::find(body.locals, ValueType::v128, &LocalRun::type) != body.locals.end();
  if (!has_vector_locals_) return;
  std::uint32_t local = 0;
  std::uint32_t slot = 0;
  const auto add = [&](std::uint32_t count, ValueType value) {
    local += count;
    local_runs_.push_back({local, local - count, slot, value == ValueType::v128});
    slot += count * ir::slots(value);
  };
  for (const ValueType param : type.params) add(1, param);
  slot = header_slot_ + 1;
  for (const LocalRun& run : body.locals) add(run.count, run.type);
}

FunctionLowering::LocalPlace FunctionLowering::place_of_local(std::uint32_t local) const {
  const auto run = std::ranges::upper_bound(local_runs_, local, {}, &SlotRun::end);
  const std::uint32_t index = local - run->first;
  return {run->slot + (run->is_vector ? 2 * index : index), run->is_vector};
}

void FunctionLowering::push_vector_local(std::uint32_t slot) {
  push_local(slot);
  stack_.back().half = Entry::Half::low;
  push_local(slot + 1);
  stack_.back().half = Entry::Half::high;
}

void FunctionLowering::get_local_of_runs(std::uint32_t local) {
  const LocalPlace place = place_of_local(local);
  if (place.is_vector) {
    push_vector_local(place.slot);
  } else {
    push_local(place.slot);
  }
}

void FunctionLowering::set_local_of_runs(std::uint32_t local, bool keep) {
  const LocalPlace place = place_of_local(local);
  if (!place.is_vector) {
    set_local(place.slot, keep);
    return;
  }
  const std::uint32_t slot = place.slot;
  const std::uint32_t at = height() - 2;
  const Entry entry = stack_[at];
  if (entry.kind == Entry::Kind::local && entry.bits == slot) {
    if (!keep) truncate(at);
    return;
  }
  truncate(at);
  if (entry.kind == Entry::Kind::temporary && builder_.last_writes(first_temporary_ + at)) {
    if (references_[slot] != 0) {
      const FunctionBuilder::Line taken = builder_.take_last();
      preserve_local(slot);
      builder_.put_back(taken);
    }
    builder_.last().a = static_cast<std::uint16_t>(slot);
  } else {
    if (references_[slot] != 0) preserve_local(slot);
    move_vector(slot, entry, at);
  }
  if (keep) push_vector_local(slot);
}

// The operand stack.

std::uint32_t FunctionLowering::vector_temporary(std::uint32_t at) {
  temporary(at + 1);
  return temporary(at);
}

void FunctionLowering::push_vector_temporary() {
  stack_.push_back({.half = Entry::Half::low});
  stack_.push_back({.half = Entry::Half::high});
}

void FunctionLowering::push_vector_constant(const ir::Vector& vector) {
  const auto index = vector_index(vector);
  stack_.push_back({index, Entry::Kind::constant, false, Entry::Half::low});
  stack_.push_back({index, Entry::Kind::constant, false, Entry::Half::high});
}

std::uint32_t FunctionLowering::vector_index(const ir::Vector& vector) {
  const auto [at, added] = vector_indices_.try_emplace(
      {vector.low, vector.high}, static_cast<std::uint32_t>(output_.vectors.size()));
  if (added) output_.vectors.push_back(vector);
  return at->second;
}

void FunctionLowering::push_typed_temporaries(std::span<const ValueType> types) {
  for (const ValueType type : types) {
    if (type == ValueType::v128) {
      push_vector_temporary();
    } else {
      push_temporary();
    }
  }
}

void FunctionLowering::move_vector(std::uint32_t slot, const Entry& low, std::uint32_t at) {
  use_slots_to(slot + 2);
  if (low.kind == Entry::Kind::constant) {
    builder_.emit(Op::const128, slot, 0, 0, low.bits);
    return;
  }
  const std::uint32_t from =
      low.kind == Entry::Kind::local ? static_cast<std::uint32_t>(low.bits) : vector_temporary(at);
  if (from != slot) builder_.emit(Op::mov128, slot, from, 0, 0);
}

// Brings both halves of the vector of which operand `at` is one into their temporaries.
void FunctionLowering::materialise_vector(std::uint32_t at) {
  if (stack_[at].half == Entry::Half::high) --at;
  const Entry low = stack_[at];
  if (low.kind == Entry::Kind::temporary) return;
  move_vector(vector_temporary(at), low, at);
  forget_vector(at);
}

void FunctionLowering::forget_vector(std::uint32_t at) {
  forget(stack_[at]);
  forget(stack_[at + 1]);
  stack_[at] = {.half = Entry::Half::low};
  stack_[at + 1] = {.half = Entry::Half::high};
}

// Lets the instruction that computed the vector on top write it to another height at once.
bool FunctionLowering::retarget_vector(std::uint32_t to_height) {
  const std::uint32_t at = height() - 2;
  if (stack_[at].half != Entry::Half::low || stack_[at].kind != Entry::Kind::temporary ||
      at == to_height || !builder_.last_writes(temporary(at))) {
    return false;
  }
  builder_.last().a = static_cast<std::uint16_t>(vector_temporary(to_height));
  return true;
}

// The first slot where the vector whose low half is operand `at` can be read.
std::uint32_t FunctionLowering::vector_operand(std::uint32_t at) {
  if (stack_[at].kind == Entry::Kind::local) return static_cast<std::uint32_t>(stack_[at].bits);
  materialise_vector(at);
  return vector_temporary(at);
}

// Operators.

void FunctionLowering::drop_vector() {
  const std::uint32_t at = height() - 2;
  const Entry entry = stack_[at];
  truncate(at);
  if (entry.kind == Entry::Kind::temporary && builder_.last_writes(first_temporary_ + at) &&
      ir::info(builder_.last().op).traits == ir::trait::pure) {
    builder_.drop_last();
  }
}

void FunctionLowering::select_vector() {
  const std::uint32_t at = height() - 5;
  const std::uint32_t first = vector_operand(at);
  const std::uint32_t second = vector_operand(at + 2);
  const std::uint32_t chooser = operand(at + 4, 32);
  truncate(at);
  builder_.emit(Op::select128, vector_temporary(at), first, second, chooser);
  push_vector_temporary();
}

void FunctionLowering::get_vector_global(std::uint32_t index) {
  if (index >= module_.imported_globals && !module_.globals[index].is_mutable) {
    const ConstExpr& init = module_.global_entries[index - module_.imported_globals].init;
    if (init.size() == 1 && init[0].kind == ConstOp::Kind::vector) {
      push_vector_constant(read_vector(module_.bytes.data() + init[0].bits));
      return;
    }
  }
  builder_.emit(Op::global_get128, vector_temporary(height()), 0, 0, index);
  push_vector_temporary();
}

void FunctionLowering::set_vector_global(std::uint32_t index) {
  const std::uint32_t at = height() - 2;
  const std::uint32_t value = vector_operand(at);
  truncate(at);
  builder_.emit(Op::global_set128, value, 0, 0, index);
}

void FunctionLowering::lower_simd() {
  const std::uint32_t number = read_u32();
  const auto code = static_cast<SimdOpcode>(number);
  const SimdOpcodeInfo& entry = simd_opcode_table[number];
  const Op op = entry.op;
  switch (entry.info.immediate) {
    case Immediate::vector:
      push_vector_constant(read_vector(position_));
      position_ += 16;
      return;
    case Immediate::memory_lane:
      access_lane(code, op);
      return;
    case Immediate::lanes: {
      const std::uint32_t lanes = vector_index(read_vector(position_));
      position_ += 16;
      binary_vector(op, false, lanes);
      return;
    }
    default:
      break;
  }
  switch (ir::info(op).shape) {
    case Shape::load_v: {
      skip_leb();
      const std::uint32_t at = height() - 1;
      const std::uint32_t address = operand(at);
      pop();
      builder_.emit(op, vector_temporary(at), address, 0, read_u32());
      push_vector_temporary();
      return;
    }
    case Shape::store_v: {
      skip_leb();
      const std::uint32_t at = height() - 3;
      const std::uint32_t address = operand(at);
      const std::uint32_t value = vector_operand(at + 1);
      truncate(at);
      builder_.emit(op, address, value, 0, read_u32());
      return;
    }
    case Shape::v_vv:
      binary_vector(op, entry.swap, 0);
      return;
    case Shape::v_v: {
      const std::uint32_t at = height() - 2;
      const std::uint32_t x = vector_operand(at);
      truncate(at);
      builder_.emit(op, vector_temporary(at), x, 0, 0);
      push_vector_temporary();
      return;
    }
    case Shape::v_vvv: {
      const std::uint32_t at = height() - 6;
      const std::uint32_t x = vector_operand(at);
      const std::uint32_t y = vector_operand(at + 2);
      const std::uint32_t z = vector_operand(at + 4);
      truncate(at);
      builder_.emit(op, vector_temporary(at), x, y, z);
      push_vector_temporary();
      return;
    }
    case Shape::v_va: {
      const std::uint32_t at = height() - 3;
      const std::uint32_t x = vector_operand(at);
      const std::uint32_t y = operand(at + 2, 32);
      truncate(at);
      builder_.emit(op, vector_temporary(at), x, y, 0);
      push_vector_temporary();
      return;
    }
    case Shape::v_a: {
      const std::uint32_t at = height() - 1;
      const std::uint32_t x = operand(at, ir::info(op).src_bits);
      truncate(at);
      builder_.emit(op, vector_temporary(at), x, 0, 0);
      push_vector_temporary();
      return;
    }
    case Shape::v_vak: {
      const std::uint32_t lane = read_byte();
      const std::uint32_t at = height() - 3;
      const std::uint32_t x = vector_operand(at);
      const std::uint32_t y = operand(at + 2, op == Op::replace64x2 ? 64 : 32);
      truncate(at);
      builder_.emit(op, vector_temporary(at), x, y, lane);
      push_vector_temporary();
      return;
    }
    case Shape::d_v:
    case Shape::d_vk: {
      const std::uint32_t lane = ir::info(op).shape == Shape::d_vk ? read_byte() : 0;
      const std::uint32_t at = height() - 2;
      const std::uint32_t x = vector_operand(at);
      truncate(at);
      builder_.emit(op, temporary(at), x, 0, lane);
      push_temporary();
      return;
    }
    default:
      WARPHIVE_UNREACHABLE();
  }
}

void FunctionLowering::binary_vector(Op op, bool swap, std::uint64_t imm) {
  const std::uint32_t at = height() - 4;
  const std::uint32_t x = vector_operand(at);
  const std::uint32_t y = vector_operand(at + 2);
  truncate(at);
  builder_.emit(op, vector_temporary(at), swap ? y : x, swap ? x : y, imm);
  push_vector_temporary();
}

// A lane is loaded or stored by way of a temporary above the operands.
void FunctionLowering::access_lane(SimdOpcode code, Op op) {
  skip_leb();
  const std::uint32_t offset = read_u32();
  const std::uint32_t lane = read_byte();
  const std::uint32_t at = height() - 3;
  const std::uint32_t address = operand(at);
  const std::uint32_t vector = vector_operand(at + 1);
  const std::uint32_t value = temporary(at + 3);
  truncate(at);
  if (ir::info(op).shape == Shape::v_vak) {
    builder_.emit(access_of(code), value, address, 0, offset);
    builder_.emit(op, vector_temporary(at), vector, value, lane);
    push_vector_temporary();
  } else {
    builder_.emit(op, value, vector, 0, lane);
    builder_.emit(access_of(code), address, value, 0, offset);
  }
}

}  // namespace warphive::wasm
