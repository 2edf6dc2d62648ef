// SPDX-License-Identifier: Apache-2.0
// Constant expressions, element segments and data segments.
#include "base/result.hpp"
#include "guest/wasm/opcodes.hpp"
#include "guest/wasm/reader_impl.hpp"
#include "guest/wasm/simd_opcodes.hpp"
#include "guest/wasm/validate.hpp"

namespace warphive::wasm {

Result<ConstOp> ModuleReader::function_reference() {
  WARPHIVE_TRY_ASSIGN(const std::uint32_t function,
                      index("Function index", module_.functions.size()));
  declared_[function] = true;
  return ConstOp{ConstOp::Kind::function, function};
}

Result<ConstExpr> ModuleReader::const_expr(ValueType expected) {
  ConstExpr expr;
  std::vector<ValueType>& stack = const_stack_;
  stack.clear();
  while (true) {
    const std::uint64_t offset = in_.offset();
    WARPHIVE_TRY_ASSIGN(const std::uint8_t code, byte("Operator of a constant expression"));
    if (static_cast<Opcode>(code) == Opcode::end) {
      if (stack.size() != 1) {
        return fail(invalid(offset, "Constant expression gives ({}) values, expected one ({}).",
                            stack.size(), ir::to_string(expected)));
      }
      if (stack.front() != expected) {
        return fail(invalid(offset, "Constant expression has type ({}), expected ({}).",
                            ir::to_string(stack.front()), ir::to_string(expected)));
      }
      return expr;
    }
    WARPHIVE_TRY(const_operator(code, offset, expr));
    if (stack.size() > limits_.operands) {
      return fail(
          beyond_limit(offset, "Height of the operand stack", stack.size(), limits_.operands));
    }
  }
}

Status ModuleReader::const_operator(std::uint8_t code, std::uint64_t offset, ConstExpr& expr) {
  std::vector<ValueType>& stack = const_stack_;
  const auto add = [&](ConstOp::Kind kind, std::uint64_t bits, ValueType type) -> Status {
    expr.push_back({kind, bits});
    stack.push_back(type);
    return {};
  };
  const auto combine = [&](ConstOp::Kind kind, ValueType type) -> Status {
    for (int operand = 0; operand < 2; ++operand) {
      if (stack.empty()) {
        return fail(invalid(offset, "Operand of {} is missing, expected ({}).",
                            opcode_table[code].text, ir::to_string(type)));
      }
      if (stack.back() != type) {
        return fail(invalid(offset, "Operand of {} has type ({}), expected ({}).",
                            opcode_table[code].text, ir::to_string(stack.back()),
                            ir::to_string(type)));
      }
      stack.pop_back();
    }
    return add(kind, 0, type);
  };
  switch (static_cast<Opcode>(code)) {
    case Opcode::i32_const: {
      std::int32_t value;
      if (!in_.read_leb_s32(value)) return fail(in_.failure("Constant of i32.const"));
      return add(ConstOp::Kind::constant, static_cast<std::uint32_t>(value), ValueType::i32);
    }
    case Opcode::i64_const: {
      std::int64_t value;
      if (!in_.read_leb_s64(value)) return fail(in_.failure("Constant of i64.const"));
      return add(ConstOp::Kind::constant, static_cast<std::uint64_t>(value), ValueType::i64);
    }
    case Opcode::f32_const: {
      std::uint32_t bits;
      if (!in_.read_u32(bits)) return fail(in_.failure("Constant of f32.const"));
      return add(ConstOp::Kind::constant, bits, ValueType::f32);
    }
    case Opcode::f64_const: {
      std::uint64_t bits;
      if (!in_.read_u64(bits)) return fail(in_.failure("Constant of f64.const"));
      return add(ConstOp::Kind::constant, bits, ValueType::f64);
    }
    case Opcode::simd_prefix: {
      const base::ByteReader after_prefix = in_;
      std::uint32_t number;
      if (!in_.read_leb_u32(number)) {
        return fail(in_.failure("Number of an operator with prefix 0xfd"));
      }
      if (static_cast<SimdOpcode>(number) != SimdOpcode::v128_const || number > 0xff) {
        in_ = after_prefix;
        break;
      }
      const std::uint64_t bytes = in_.offset();
      if (!in_.skip(16)) return fail(in_.failure("Constant of v128.const"));
      return add(ConstOp::Kind::vector, bytes, ValueType::v128);
    }
    case Opcode::ref_null: {
      WARPHIVE_TRY_ASSIGN(const ValueType type, reference_type());
      return add(ConstOp::Kind::null, 0, type);
    }
    case Opcode::ref_func: {
      WARPHIVE_TRY_ASSIGN(const ConstOp op, function_reference());
      return add(op.kind, op.bits, ValueType::funcref);
    }
    case Opcode::global_get: {
      WARPHIVE_TRY_ASSIGN(const std::uint32_t global,
                          index("Index of a global in a constant expression (imported ones only)",
                                module_.imported_globals));
      const GlobalType& type = module_.globals[global];
      if (type.is_mutable) {
        return fail(invalid(offset,
                            "Global ({}) in a constant expression is mutable, expected an "
                            "immutable one.",
                            global));
      }
      return add(ConstOp::Kind::global, global, type.type);
    }
    case Opcode::i32_add:
      return combine(ConstOp::Kind::add32, ValueType::i32);
    case Opcode::i32_sub:
      return combine(ConstOp::Kind::sub32, ValueType::i32);
    case Opcode::i32_mul:
      return combine(ConstOp::Kind::mul32, ValueType::i32);
    case Opcode::i64_add:
      return combine(ConstOp::Kind::add64, ValueType::i64);
    case Opcode::i64_sub:
      return combine(ConstOp::Kind::sub64, ValueType::i64);
    case Opcode::i64_mul:
      return combine(ConstOp::Kind::mul64, ValueType::i64);
    default:
      break;
  }
  const OpcodeInfo& op = opcode_table[code];
  std::string_view text = op.text == nullptr ? std::string_view() : op.text;
  if (static_cast<Opcode>(code) == Opcode::misc_prefix) {
    base::ByteReader after_prefix = in_;
    std::uint32_t number;
    if (after_prefix.read_leb_u32(number) && number < misc_opcode_count) {
      text = misc_opcode_table[number].text;
    }
  } else if (static_cast<Opcode>(code) == Opcode::simd_prefix) {
    base::ByteReader after_prefix = in_;
    std::uint32_t number;
    if (after_prefix.read_leb_u32(number) && is_simd_opcode(number)) {
      text = simd_opcode_table[number].info.text;
    }
  }
  if (text.empty()) return fail(unknown_operator(offset, code, in_));
  return fail(invalid(offset,
                      "Operator ({}) is not constant, expected a constant, ref.null, "
                      "ref.func, global.get, or add, sub or mul of integers.",
                      text));
}

// Element segments.

Status ModuleReader::element_section() {
  WARPHIVE_TRY_ASSIGN(const std::uint32_t segments,
                      count("Element segment count", limits_.element_segments, 0, 3));
  module_.element_segments.reserve(segments);
  for (std::uint32_t i = 0; i < segments; ++i) {
    Result<ElementSegment> segment = element_segment();
    if (!segment) {
      return fail(
          std::move(segment).error().context(fmt::format("While reading element segment {}.", i)));
    }
    module_.element_segments.push_back(std::move(*segment));
  }
  return {};
}

Result<ElementSegment> ModuleReader::element_segment() {
  ElementSegment segment;
  const std::uint64_t offset = in_.offset();
  segment.offset = static_cast<std::uint32_t>(offset);
  WARPHIVE_TRY_ASSIGN(const std::uint32_t flags, number("Flags of an element segment"));
  if (flags > 7) {
    return fail(
        malformed(offset, "Flags of an element segment are ({}), expected (0) to (7).", flags));
  }
  const bool is_active = (flags & 1) == 0;
  const bool has_expressions = (flags & 4) != 0;
  const bool has_kind = (flags & 3) != 0;  // states the type of its elements
  if (is_active) {
    segment.mode = SegmentMode::active;
    WARPHIVE_TRY_ASSIGN(segment.table,
                        (flags & 2) != 0 ? number("Table index") : Result<std::uint32_t>(0));
    if (segment.table >= module_.tables.size()) {
      return fail(invalid(offset, "Table index ({}) is unknown: there are ({}).", segment.table,
                          module_.tables.size()));
    }
    WARPHIVE_TRY_ASSIGN(segment.start, const_expr(ValueType::i32));
  } else {
    segment.mode = (flags & 2) != 0 ? SegmentMode::declared : SegmentMode::passive;
  }
  if (has_kind && has_expressions) {
    WARPHIVE_TRY_ASSIGN(segment.type, reference_type());
  } else if (has_kind) {
    const std::uint64_t kind_offset = in_.offset();
    WARPHIVE_TRY_ASSIGN(const std::uint8_t kind, byte("Element kind"));
    if (kind != 0) {
      return fail(malformed(kind_offset, "Element kind is ({}), expected (0).", kind));
    }
  }
  if (is_active && module_.tables[segment.table].element != segment.type) {
    return fail(invalid(offset, "Element segment has type ({}), expected ({}) as table ({}) has.",
                        ir::to_string(segment.type),
                        ir::to_string(module_.tables[segment.table].element), segment.table));
  }
  WARPHIVE_TRY_ASSIGN(const std::uint32_t items,
                      count("Count of elements in all segments", limits_.table_elements,
                            static_cast<std::size_t>(element_items_)));
  element_items_ += items;
  segment.items.reserve(items);
  for (std::uint32_t i = 0; i < items; ++i) {
    if (has_expressions) {
      WARPHIVE_TRY_ASSIGN(ConstExpr item, const_expr(segment.type));
      segment.items.push_back(std::move(item));
    } else {
      WARPHIVE_TRY_ASSIGN(const ConstOp item, function_reference());
      segment.items.push_back({item});
    }
  }
  return segment;
}

// Data segments.

Status ModuleReader::data_section() {
  has_data_ = true;
  const std::uint64_t offset = in_.offset();
  WARPHIVE_TRY_ASSIGN(const std::uint32_t segments,
                      count("Data segment count", limits_.data_segments, 0, 2));
  if (data_count_ && *data_count_ != segments) {
    return fail(malformed(offset,
                          "Data section has ({}) segments, but the data count section "
                          "announces ({}).",
                          segments, *data_count_));
  }
  module_.data_segments.reserve(segments);
  for (std::uint32_t i = 0; i < segments; ++i) {
    Result<DataSegment> segment = data_segment();
    if (!segment) {
      return fail(
          std::move(segment).error().context(fmt::format("While reading data segment {}.", i)));
    }
    module_.data_segments.push_back(std::move(*segment));
  }
  return {};
}

Result<DataSegment> ModuleReader::data_segment() {
  DataSegment segment;
  const std::uint64_t offset = in_.offset();
  segment.offset = static_cast<std::uint32_t>(offset);
  WARPHIVE_TRY_ASSIGN(const std::uint32_t flags, number("Flags of a data segment"));
  if (flags > 2) {
    return fail(malformed(offset, "Flags of a data segment are ({}), expected (0) to (2).", flags));
  }
  if (flags == 1) {
    segment.mode = SegmentMode::passive;
  } else {
    if (flags == 2) {
      WARPHIVE_TRY_ASSIGN(segment.memory, number("Memory index"));
    }
    if (segment.memory != 0) {
      return fail(unsupported(offset, "multi-memory",
                              fmt::format("Memory index ({}), expected (0),", segment.memory)));
    }
    if (module_.memories.empty()) {
      return fail(invalid(offset, "Memory index (0) is unknown: there are (0)."));
    }
    WARPHIVE_TRY_ASSIGN(segment.start, const_expr(ValueType::i32));
  }
  const std::uint64_t size_offset = in_.offset();
  WARPHIVE_TRY_ASSIGN(const std::uint32_t size, number("Size of a data segment"));
  if (!in_.read_bytes(size, segment.bytes)) {
    return fail(malformed(size_offset, "Data segment has ({}) bytes, but ({}) are left.", size,
                          in_.remaining()));
  }
  return segment;
}

}  // namespace warphive::wasm
