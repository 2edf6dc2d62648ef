// SPDX-License-Identifier: Apache-2.0
// FunctionLowering's decoding, operand stack and charges.
#include <algorithm>

#include "guest/wasm/lower_function.hpp"
#include "guest/wasm/simd_opcodes.hpp"

namespace warphive::wasm {

using ir::Op;

namespace {

// An operand stack is searched for references to a local this deep; then it is cleared of all
// locals, so that a long stack is walked once and not at every write.
constexpr std::uint32_t search_depth = 32;

}  // namespace

// Decoding.

std::uint32_t FunctionLowering::read_long_u32(std::uint32_t byte) {
  std::uint32_t value = byte & 0x7f;
  for (std::uint32_t shift = 7; (byte & 0x80) != 0; shift += 7) {
    byte = read_byte();
    value |= (byte & 0x7f) << shift;
  }
  return value;
}

std::uint64_t FunctionLowering::read_long_signed(std::uint64_t byte) {
  std::uint64_t value = byte & 0x7f;
  std::uint32_t shift = 7;
  while ((byte & 0x80) != 0) {
    byte = read_byte();
    value |= (byte & 0x7f) << shift;
    shift += 7;
  }
  if (shift < 64 && (byte & 0x40) != 0) value |= ~std::uint64_t{0} << shift;
  return value;
}

std::uint64_t FunctionLowering::read_fixed(std::uint32_t bytes) {
  std::uint64_t value = 0;
  for (std::uint32_t i = 0; i < bytes; ++i) value |= std::uint64_t{read_byte()} << (8 * i);
  return value;
}

void FunctionLowering::skip_leb() {
  while ((read_byte() & 0x80) != 0) {
  }
}

void FunctionLowering::skip_immediates(Opcode code) {
  Immediate immediate = info(code).immediate;
  if (code == Opcode::misc_prefix) immediate = info(static_cast<MiscOpcode>(read_u32())).immediate;
  if (code == Opcode::simd_prefix) immediate = simd_opcode_table[read_u32()].info.immediate;
  switch (immediate) {
    case Immediate::none:
      break;
    case Immediate::block_type:
    case Immediate::label:
    case Immediate::function:
    case Immediate::local:
    case Immediate::global:
    case Immediate::table:
    case Immediate::memory:
    case Immediate::i32:
    case Immediate::i64:
    case Immediate::reference_type:
    case Immediate::data:
    case Immediate::element:
      skip_leb();
      break;
    case Immediate::type_and_table:
    case Immediate::memory_argument:
    case Immediate::data_and_memory:
    case Immediate::memory_and_memory:
    case Immediate::element_and_table:
    case Immediate::table_and_table:
      skip_leb();
      skip_leb();
      break;
    case Immediate::label_table:
      for (std::uint64_t count = std::uint64_t{read_u32()} + 1; count != 0; --count) skip_leb();
      break;
    case Immediate::value_types:
      for (std::uint32_t count = read_u32(); count != 0; --count) skip_leb();
      break;
    case Immediate::f32:
      position_ += 4;
      break;
    case Immediate::f64:
      position_ += 8;
      break;
    case Immediate::vector:
    case Immediate::lanes:
      position_ += 16;
      break;
    case Immediate::lane:
      ++position_;
      break;
    case Immediate::memory_lane:
      skip_leb();
      skip_leb();
      ++position_;
      break;
  }
}

// The operand stack.

// The slot where operand `at` can be read, of which `bits` are looked at.
std::uint32_t FunctionLowering::operand(std::uint32_t at, std::uint32_t bits) {
  const Entry& entry = stack_[at];
  if (entry.kind == Entry::Kind::constant) {
    const std::uint32_t slot = builder_.constant_slot(entry.bits);
    if (slot != ir::none) return slot;
  } else if (!entry.wrapped || bits <= 32) {
    if (entry.kind == Entry::Kind::local) return static_cast<std::uint32_t>(entry.bits);
    return temporary(at);
  }
  materialise(at);
  return temporary(at);
}

// A vector is moved with its low half.
void FunctionLowering::move_to(std::uint32_t slot, const Entry& entry, std::uint32_t at) {
  if (entry.half != Entry::Half::none) [[unlikely]] {
    if (entry.half == Entry::Half::low) move_vector(slot, entry, at);
    return;
  }
  if (entry.kind == Entry::Kind::constant) {
    builder_.emit(Op::const_k, slot, 0, 0, entry.bits);
    return;
  }
  const std::uint32_t from =
      entry.kind == Entry::Kind::local ? static_cast<std::uint32_t>(entry.bits) : temporary(at);
  if (entry.wrapped) {
    builder_.emit(Op::wrap64, slot, from, 0, 0);
  } else if (from != slot) {
    builder_.emit(Op::mov, slot, from, 0, 0);
  }
}

// Brings operand `at` into its temporary.
void FunctionLowering::materialise(std::uint32_t at) {
  const Entry entry = stack_[at];
  if (entry.kind == Entry::Kind::temporary && !entry.wrapped) return;
  if (entry.half != Entry::Half::none) return materialise_vector(at);
  move_to(temporary(at), entry, at);
  forget(entry);
  stack_[at] = {};
}

void FunctionLowering::materialise_top(std::uint32_t count, bool wrapped_only) {
  for (std::uint32_t at = height() - count; at < height(); ++at) {
    if (!wrapped_only || stack_[at].wrapped) materialise(at);
  }
}

bool FunctionLowering::top_in_temporaries(std::uint32_t count) const {
  return std::all_of(stack_.end() - count, stack_.end(), [](const Entry& entry) {
    return entry.kind == Entry::Kind::temporary && !entry.wrapped;
  });
}

// Copies operand `at`, a local that is about to be written, to its temporary.
void FunctionLowering::save_local(std::uint32_t at) {
  const auto frame = std::partition_point(frames_.begin(), frames_.end(),
                                          [at](const Frame& open) { return open.base <= at; });
  if (frame == frames_.end()) {
    materialise(at);
    return;
  }
  if (stack_[at].half == Entry::Half::high) --at;
  const Entry entry = stack_[at];
  if (entry.half != Entry::Half::none) {
    builder_.insert(frame->mark, {Op::mov128, static_cast<std::uint16_t>(vector_temporary(at)),
                                  static_cast<std::uint16_t>(entry.bits), 0, 0});
    forget_vector(at);
    return;
  }
  builder_.insert(frame->mark,
                  {entry.wrapped ? Op::wrap64 : Op::mov, static_cast<std::uint16_t>(temporary(at)),
                   static_cast<std::uint16_t>(entry.bits), 0, 0});
  forget(entry);
  stack_[at] = {};
}

void FunctionLowering::save_all_locals() {
  for (std::uint32_t at = height(); local_operands_ != 0;) {
    if (stack_[--at].kind == Entry::Kind::local) save_local(at);
  }
}

// Before local `slot` is written: saves its value for the operands that are that local.
void FunctionLowering::preserve_local(std::uint32_t slot) {
  const std::uint32_t lowest = height() > search_depth ? height() - search_depth : 0;
  for (std::uint32_t at = height(); at > lowest && references_[slot] != 0;) {
    const Entry& entry = stack_[--at];
    if (entry.kind == Entry::Kind::local && entry.bits == slot) save_local(at);
  }
  if (references_[slot] != 0) save_all_locals();
}

// Charges.

void FunctionLowering::begin_guest_block(bool loop_header) {
  end_guest_block();
  too_long_ |= builder_.size() > budget_;
  if (!options_.metered) {
    if (loop_header) builder_.emit(Op::charge, 0, 0, 0, 1);
    return;
  }
  charge_ = builder_.size();
  charge_required_ = loop_header;
  builder_.emit(Op::charge, 0, 0, 0, 0);
}

void FunctionLowering::end_guest_block() {
  if (charge_ != ir::none) {
    if (units_ != 0 || charge_required_) {
      builder_[charge_].imm = units_;
    } else {
      builder_.erase(charge_);
      for (auto frame = frames_.rbegin(); frame != frames_.rend() && frame->mark.position > charge_;
           ++frame) {
        --frame->mark.position;
      }
    }
  }
  charge_ = ir::none;
  units_ = 0;
}

}  // namespace warphive::wasm
