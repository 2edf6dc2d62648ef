// SPDX-License-Identifier: Apache-2.0
#include "guest/wasm/validate.hpp"

#include <algorithm>
#include <cstring>

#include "base/check.hpp"
#include "guest/wasm/simd_opcodes.hpp"

namespace warphive::wasm {
namespace {

constexpr std::array<ValueType, 7> single_types = {
    ValueType::i32,  ValueType::i64,     ValueType::f32,      ValueType::f64,
    ValueType::v128, ValueType::funcref, ValueType::externref};

std::span<const ValueType> single(ValueType type) {
  return {&single_types[static_cast<std::size_t>(type)], 1};
}

// Locals up to here are looked up in an array, further ones among the runs that declare them: a few
// bytes can declare 50,000, in each of a million functions.
constexpr std::size_t max_flat_locals = 512;

// Operands that all blocks, branches and calls of a module may pass on, plus some for each of its
// bytes. Real code passes on fewer than its bytes; a signature of a thousand values makes two bytes
// cost as much as two thousand.
constexpr std::uint64_t passed_floor = std::uint64_t{1} << 24;
constexpr std::uint64_t passed_per_byte = 16;

}  // namespace

FunctionValidator::FunctionValidator(const Module& module, const Limits& limits,
                                     const std::vector<bool>& declared,
                                     std::optional<std::uint32_t> data_count)
    : module_(module),
      limits_(limits),
      declared_(declared),
      data_count_(data_count),
      passed_limit_(passed_floor + passed_per_byte * module.bytes.size()) {}

Status FunctionValidator::validate(std::uint32_t function, FunctionBody& body) {
  const FunctionType& type = type_of_function(function);
  function_ = function;
  tail_calls_itself_ = false;
  code_ = base::ByteReader(body.code, body.offset);
  height_ = 0;
  frames_.clear();
  frames_.push_back({.results = type.results, .offset = body.offset});
  base_ = 0;

  locals_.assign(type.params.begin(), type.params.end());
  runs_.clear();
  auto end = static_cast<std::uint32_t>(type.params.size());
  for (const LocalRun& run : body.locals) {
    end += run.count;
    runs_.push_back({end, run.type});
    const std::size_t flat_end = std::min<std::size_t>(end, max_flat_locals);
    if (flat_end > locals_.size()) locals_.resize(flat_end, run.type);
  }

  if (!operators()) {
    if (!error_) WARPHIVE_UNREACHABLE();
    Error error = std::move(*error_);
    error_.reset();
    return fail(std::move(error));
  }
  if (!code_.at_end()) {
    return fail(malformed(
        code_.offset(), "Function body goes on for ({}) bytes after its last (end), expected (0).",
        code_.remaining()));
  }
  body.tail_calls_itself = tail_calls_itself_;
  return {};
}

// One switch, and in it what real code is made of: local accesses, constants, and the operators
// that their types alone describe, whose usual case is two compares. Everything else is out of
// line.
bool FunctionValidator::operators() {
  while (true) {
    operator_offset_ = code_.offset();
    std::uint8_t byte = 0;
    if (!code_.read_u8(byte)) [[unlikely]] {
      return fail_with(malformed(operator_offset_,
                                 "Function body ends with ({}) open blocks, expected (end).",
                                 frames_.size()));
    }
    ValueType type;
    bool valid;
    switch (static_cast<Opcode>(byte)) {
      case Opcode::local_get:
        ++operator_count_;
        valid = read_local(type) && push(type);
        break;
      case Opcode::local_set:
        ++operator_count_;
        valid = read_local(type) && pop(type);
        break;
      case Opcode::local_tee:
        ++operator_count_;
        valid = read_local(type) && pop(type) && push(type);
        break;
      case Opcode::i32_const: {
        ++operator_count_;
        std::int32_t value;
        valid = (code_.read_leb_s32(value) || fail_read("Constant of i32.const")) &&
                push(ValueType::i32);
        break;
      }
      case Opcode::i64_const: {
        ++operator_count_;
        std::int64_t value;
        valid = (code_.read_leb_s64(value) || fail_read("Constant of i64.const")) &&
                push(ValueType::i64);
        break;
      }
      case Opcode::end:
        valid = end_block();
        if (frames_.empty()) return true;
        break;
#define WARPHIVE_WASM_VALUE(name, code, text, params, results)                                   \
  case Opcode::name:                                                                             \
    ++operator_count_;                                                                           \
    valid =                                                                                      \
        apply_if_fits<signature_of(info(Opcode::name))>() || value_operator(info(Opcode::name)); \
    break;
#define WARPHIVE_WASM_MEMORY(name, code, text, params, results, alignment)         \
  case Opcode::name:                                                               \
    ++operator_count_;                                                             \
    valid = memory_operator<signature_of(info(Opcode::name))>(info(Opcode::name)); \
    break;
#include "guest/wasm/opcodes.inc"
      default:
        valid = control_operator(static_cast<Opcode>(byte));
    }
    if (!valid) [[unlikely]]
      return false;
  }
}

// The usual case of value_operator: all operands are there and have the right types. Otherwise
// changes nothing.
template <FunctionValidator::Signature signature>
inline bool FunctionValidator::apply_if_fits() {
  if (height_ - base_ < signature.param_count) [[unlikely]]
    return false;
  ValueType* const top = operands_.data() + height_;
  if constexpr (signature.param_count == 1) {
    if (top[-1] != signature.first) [[unlikely]]
      return false;
    if constexpr (signature.result_count == 1) {
      top[-1] = signature.result;
    } else {
      --height_;
    }
  } else {
    static_assert(signature.param_count == 2);
    if (top[-2] != signature.first || top[-1] != signature.second) [[unlikely]]
      return false;
    if constexpr (signature.result_count == 1) {
      top[-2] = signature.result;
      --height_;
    } else {
      height_ -= 2;
    }
  }
  return true;
}

bool FunctionValidator::value_operator(const OpcodeInfo& op) {
  for (std::size_t i = op.param_count; i > 0; --i) {
    if (!pop(op.params[i - 1])) return false;
  }
  return op.result_count == 0 || push(op.result);
}

template <FunctionValidator::Signature signature>
inline bool FunctionValidator::memory_operator(const OpcodeInfo& op) {
  std::uint32_t alignment, offset;
  if (!code_.read_leb_u32(alignment)) [[unlikely]]
    return fail_read("Alignment");
  if (!code_.read_leb_u32(offset)) [[unlikely]]
    return fail_read("Memory offset");
  if (!need_memory()) [[unlikely]]
    return false;
  if (alignment > op.alignment) [[unlikely]]
    return alignment_too_large(op, alignment);
  return apply_if_fits<signature>() || value_operator(op);
}

bool FunctionValidator::alignment_too_large(const OpcodeInfo& op, std::uint32_t alignment) {
  return fail_with(invalid(operator_offset_,
                           "Alignment of {} is (2^{}), larger than the natural one (2^{}).",
                           op.text, alignment, op.alignment));
}

bool FunctionValidator::control_operator(Opcode opcode) {
  switch (opcode) {
    case Opcode::f32_const:
      ++operator_count_;
      return code_.skip(4) ? push(ValueType::f32) : fail_read("Constant of f32.const");
    case Opcode::f64_const:
      ++operator_count_;
      return code_.skip(8) ? push(ValueType::f64) : fail_read("Constant of f64.const");
    case Opcode::nop:
      return true;
    case Opcode::drop: {
      ValueType type;
      return pop_any(type);
    }
    case Opcode::block:
    case Opcode::loop:
      return begin_block(opcode);
    case Opcode::if_:
      ++operator_count_;
      return begin_block(opcode);
    case Opcode::else_:
      return else_arm();
    case Opcode::unreachable:
      set_unreachable();
      return true;
    case Opcode::return_:
      return return_values();
    case Opcode::br:
    case Opcode::br_if:
      ++operator_count_;
      return branch(opcode);
    case Opcode::br_table:
      ++operator_count_;
      return branch_table();
    case Opcode::call:
    case Opcode::return_call:
      ++operator_count_;
      return call(opcode);
    case Opcode::call_indirect:
    case Opcode::return_call_indirect:
      ++operator_count_;
      return call_indirect(opcode);
    case Opcode::select:
      ++operator_count_;
      return select();
    case Opcode::select_t:
      ++operator_count_;
      return typed_select();
    case Opcode::global_get:
    case Opcode::global_set:
      ++operator_count_;
      return global(opcode);
    case Opcode::table_get:
    case Opcode::table_set:
      ++operator_count_;
      return table_access(opcode);
    case Opcode::memory_size:
    case Opcode::memory_grow:
      ++operator_count_;
      return memory_size_or_grow(opcode);
    case Opcode::ref_null:
      ++operator_count_;
      return reference_null();
    case Opcode::ref_is_null:
      ++operator_count_;
      return reference_is_null();
    case Opcode::ref_func:
      ++operator_count_;
      return reference_function();
    case Opcode::misc_prefix:
      ++operator_count_;
      return misc_operator();
    case Opcode::simd_prefix:
      ++operator_count_;
      return simd_operator();
    default:
      return fail_with(
          unknown_operator(operator_offset_, static_cast<std::uint8_t>(opcode), code_));
  }
}

// Control.

void FunctionValidator::push_frame(Frame frame) {
  frame.offset = operator_offset_;
  frame.height = base_ = height_;
  frames_.push_back(frame);
}

bool FunctionValidator::begin_block(Opcode opcode) {
  Frame frame;
  frame.opcode = opcode;
  if (!read_block_type(frame)) return false;
  if (opcode == Opcode::if_ && !pop(ValueType::i32)) return false;
  if (frames_.size() > limits_.nesting) {
    return fail_with(
        beyond_limit(operator_offset_, "Nesting depth of blocks", frames_.size(), limits_.nesting));
  }
  if (!pop(frame.params)) return false;
  push_frame(frame);
  return push(frame.params);
}

bool FunctionValidator::else_arm() {
  Frame& frame = frames_.back();
  if (frame.opcode != Opcode::if_) {
    return fail_with(malformed(operator_offset_,
                               "Operator (else) does not belong to an (if): the innermost block is "
                               "({}).",
                               frames_.size() == 1 ? "function" : info(frame.opcode).text));
  }
  if (!pop(frame.results) || !no_operands_left()) return false;
  if (frame.unreachable) operator_count_ = frame.operator_count;
  frame.opcode = Opcode::else_;
  frame.unreachable = false;
  return push(frame.params);
}

bool FunctionValidator::end_block() {
  const Frame& frame = frames_.back();
  const Types results = frame.results;
  if (!pop(results) || !no_operands_left()) return false;
  if (frame.opcode == Opcode::if_ && !std::ranges::equal(frame.params, results)) {
    return fail_with(invalid(operator_offset_,
                             "Block (if) without (else) at byte ({}) takes ({}) values and gives "
                             "({}), expected equal types.",
                             frame.offset, frame.params.size(), results.size()));
  }
  if (frame.unreachable) operator_count_ = frame.operator_count;
  frames_.pop_back();
  if (frames_.empty()) return true;
  base_ = frames_.back().height;
  return push(results);
}

bool FunctionValidator::branch(Opcode opcode) {
  std::uint32_t depth;
  if (!read_label(depth)) return false;
  const Types types = frames_[frames_.size() - 1 - depth].label();
  if (opcode == Opcode::br) {
    if (!check_top(types)) return false;
    set_unreachable();
    return true;
  }
  return pop(ValueType::i32) && pop(types) && push(types);
}

bool FunctionValidator::branch_table() {
  std::uint32_t count;
  if (!read_index("Target count of br_table", count)) return false;
  if (count >= code_.remaining()) {
    return fail_with(malformed(
        operator_offset_, "Target count of br_table ({}) does not fit the remaining ({}) bytes.",
        count, code_.remaining()));
  }
  if (count > limits_.br_table_targets) {
    return fail_with(beyond_limit(operator_offset_, "Target count of br_table", count,
                                  limits_.br_table_targets));
  }
  if (!pop(ValueType::i32)) return false;
  Types first;
  for (std::uint64_t i = 0; i <= count; ++i) {
    std::uint32_t depth;
    if (!read_label(depth)) return false;
    const Types types = frames_[frames_.size() - 1 - depth].label();
    if (i == 0) {
      first = types;
    } else if (types.size() != first.size()) {
      return fail_with(invalid(operator_offset_,
                               "Target ({}) of br_table takes ({}) values, expected ({}) as the "
                               "first target does.",
                               i, types.size(), first.size()));
    } else if (types.empty() || std::memcmp(types.data(), first.data(), types.size()) == 0) {
      continue;  // checked already
    }
    if (!check_top(types)) return false;
  }
  set_unreachable();
  return true;
}

bool FunctionValidator::return_values() {
  if (!check_top(frames_.front().results)) return false;
  set_unreachable();
  return true;
}

bool FunctionValidator::call(Opcode opcode) {
  std::uint32_t function;
  if (!read_index("Function index", function)) return false;
  if (function >= module_.functions.size()) {
    return unknown_index("Function", function, module_.functions.size());
  }
  tail_calls_itself_ |= opcode == Opcode::return_call && function == function_;
  return end_call(opcode, type_of_function(function));
}

bool FunctionValidator::call_indirect(Opcode opcode) {
  std::uint32_t type_index, table;
  if (!read_index("Type index", type_index)) return false;
  if (!read_table(table)) return false;
  if (module_.tables[table].element != ValueType::funcref) {
    return fail_with(
        invalid(operator_offset_, "Table ({}) of {} has elements of type ({}), expected (funcref).",
                table, info(opcode).text, ir::to_string(module_.tables[table].element)));
  }
  if (type_index >= module_.types.size()) {
    return unknown_index("Type", type_index, module_.types.size());
  }
  return pop(ValueType::i32) && end_call(opcode, module_.types[type_index]);
}

bool FunctionValidator::end_call(Opcode opcode, const FunctionType& type) {
  if (!pop(type.params)) return false;
  if (opcode == Opcode::call || opcode == Opcode::call_indirect) return push(type.results);
  const FunctionType& own = type_of_function(function_);
  if (!pass_on(own.results.size())) return false;
  if (type.results != own.results) {
    return fail_with(invalid(operator_offset_,
                             "A function of type {} is called by {}, expected the results of {}.",
                             ir::to_string(type), info(opcode).text, ir::to_string(own)));
  }
  set_unreachable();
  return true;
}

bool FunctionValidator::select() {
  ValueType second, first;
  if (!pop(ValueType::i32) || !pop_any(second) || !pop_any(first)) return false;
  for (const ValueType type : {second, first}) {
    if (type != unknown && is_reference(type)) {
      return fail_with(invalid(operator_offset_,
                               "Operand of select has type ({}), expected a number; references "
                               "need the form that states its type.",
                               ir::to_string(type)));
    }
  }
  if (first != second && first != unknown && second != unknown) {
    return fail_with(invalid(operator_offset_,
                             "Operands of select have types ({}) and ({}), expected equal types.",
                             ir::to_string(first), ir::to_string(second)));
  }
  return push(first == unknown ? second : first);
}

// Immediates.

bool FunctionValidator::read_index(std::string_view what, std::uint32_t& index) {
  return code_.read_leb_u32(index) || fail_read(what);
}

bool FunctionValidator::read_block_type(Frame& frame) {
  const std::uint64_t offset = code_.offset();
  std::uint8_t byte = 0;
  if (code_.at_end()) return code_.read_u8(byte) || fail_read("Block type");
  byte = static_cast<std::uint8_t>(code_.rest()[0]);
  if ((byte & 0xc0) == 0x40) {
    if (!code_.read_u8(byte)) return fail_read("Block type");
    if (byte == 0x40) return true;
    const std::optional<ValueType> type = value_type_of(byte);
    if (!type) return fail_with(not_a_value_type(offset, byte));
    frame.results = single(*type);
    return true;
  }
  std::int64_t index;
  if (!code_.read_leb_s33(index)) return fail_read("Block type");
  if (index < 0) {
    return fail_with(
        malformed(offset, "Block type is ({}), expected a value type or a type index.", index));
  }
  if (static_cast<std::uint64_t>(index) >= module_.types.size()) {
    return unknown_index("Type", static_cast<std::uint32_t>(index), module_.types.size());
  }
  const FunctionType& type = module_.types[static_cast<std::size_t>(index)];
  frame.params = type.params;
  frame.results = type.results;
  return true;
}

bool FunctionValidator::read_label(std::uint32_t& depth) {
  if (!read_index("Label", depth)) return false;
  return depth < frames_.size() || unknown_index("Label", depth, frames_.size());
}

// The operand stack.

bool FunctionValidator::grow(std::size_t count) {
  const std::size_t wanted = height_ + count;
  if (wanted > limits_.operands) {
    return fail_with(
        beyond_limit(operator_offset_, "Height of the operand stack", wanted, limits_.operands));
  }
  operands_.resize(std::min<std::size_t>(std::max<std::size_t>(2 * wanted, 256), limits_.operands));
  return true;
}

bool FunctionValidator::pass_on(std::size_t count) {
  passed_ += count;
  if (passed_ <= passed_limit_) [[likely]]
    return true;
  return fail_with(beyond_limit(operator_offset_,
                                "Number of operands that blocks, branches and calls pass on",
                                passed_, passed_limit_));
}

bool FunctionValidator::push(Types types) {
  const std::size_t count = types.size();
  if (!pass_on(count)) return false;
  if (operands_.size() - height_ < count && !grow(count)) [[unlikely]]
    return false;
  for (std::size_t i = 0; i < count; ++i) operands_[height_ + i] = types[i];
  height_ += count;
  return true;
}

bool FunctionValidator::pop(Types types) {
  const std::size_t count = types.size();
  if (!pass_on(count)) return false;
  if (height_ - base_ >= count) [[likely]] {
    const ValueType* const first = operands_.data() + (height_ - count);
    std::size_t equal = 0;
    while (equal < count && first[equal] == types[equal]) ++equal;
    if (equal == count) [[likely]] {
      height_ -= count;
      return true;
    }
  }
  for (std::size_t i = count; i > 0; --i) {
    if (!pop(types[i - 1])) return false;
  }
  return true;
}

bool FunctionValidator::pop_any(ValueType& type) {
  if (height_ > base_) [[likely]] {
    type = operands_[--height_];
    return true;
  }
  if (frames_.back().unreachable) {
    type = unknown;
    return true;
  }
  return fail_with(invalid(operator_offset_,
                           "Operand of {} is missing: the block's operand stack is empty.",
                           operator_text()));
}

bool FunctionValidator::pop_mismatch(ValueType expected) {
  if (height_ == base_) {
    if (frames_.back().unreachable) return true;
    return fail_with(invalid(operator_offset_,
                             "Operand of {} is missing: the block's operand stack is empty, "
                             "expected ({}).",
                             operator_text(), ir::to_string(expected)));
  }
  return fail_with(invalid(operator_offset_, "Operand of {} has type ({}), expected ({}).",
                           operator_text(), ir::to_string(operands_[height_ - 1]),
                           ir::to_string(expected)));
}

// As pop and push of `types`, but leaves the stack alone.
bool FunctionValidator::check_top(Types types) {
  if (!pass_on(types.size())) return false;
  std::size_t height = height_;
  for (std::size_t i = types.size(); i > 0; --i) {
    if (height == base_) {
      if (frames_.back().unreachable) return true;
      height_ = base_;
      return pop_mismatch(types[i - 1]);
    }
    const ValueType found = operands_[--height];
    if (found != types[i - 1] && found != unknown) {
      height_ = height + 1;
      return pop_mismatch(types[i - 1]);
    }
  }
  return true;
}

bool FunctionValidator::no_operands_left() {
  if (height_ == base_) return true;
  return fail_with(invalid(operator_offset_,
                           "Block ends with ({}) operands more than its ({}) results.",
                           height_ - base_, frames_.back().results.size()));
}

void FunctionValidator::set_unreachable() {
  height_ = base_;
  Frame& frame = frames_.back();
  if (!frame.unreachable) frame.operator_count = operator_count_;
  frame.unreachable = true;
}

// Errors.

std::string_view FunctionValidator::operator_text() const {
  base::ByteReader code(std::span(module_.bytes).subspan(operator_offset_));
  std::uint8_t byte = 0;
  std::uint32_t number;
  WARPHIVE_CHECK(code.read_u8(byte));
  const auto opcode = static_cast<Opcode>(byte);
  if (opcode != Opcode::misc_prefix && opcode != Opcode::simd_prefix) {
    return opcode_table[byte].text;
  }
  WARPHIVE_CHECK(code.read_leb_u32(number));
  if (opcode == Opcode::simd_prefix) return simd_opcode_table[number].info.text;
  return misc_opcode_table[number].text;
}

bool FunctionValidator::fail_with(Error error) {
  error_.emplace(std::move(error));
  return false;
}

bool FunctionValidator::fail_read(std::string_view what) { return fail_with(code_.failure(what)); }

bool FunctionValidator::unknown_index(std::string_view what, std::uint32_t index,
                                      std::uint64_t count) {
  return fail_with(invalid(operator_offset_, "{} ({}) of {} is unknown: there are ({}).", what,
                           index, operator_text(), count));
}

}  // namespace warphive::wasm
