// SPDX-License-Identifier: Apache-2.0
// Operators on variables, tables, memory and references.
#include <algorithm>

#include "guest/wasm/validate.hpp"

namespace warphive::wasm {

bool FunctionValidator::misc_operator() {
  std::uint32_t number;
  const base::ByteReader after_prefix = code_;
  if (!code_.read_leb_u32(number)) return fail_read("Number of an operator with prefix 0xfc");
  if (number >= misc_opcode_count) {
    return fail_with(unknown_operator(operator_offset_, 0xfc, after_prefix));
  }
  const OpcodeInfo& op = misc_opcode_table[number];
  std::uint32_t table, segment;
  switch (static_cast<MiscOpcode>(number)) {
    case MiscOpcode::memory_init:
      return read_data_segment() && read_zero_memory() && value_operator(op);
    case MiscOpcode::data_drop:
      return read_data_segment();
    case MiscOpcode::memory_copy:
      return read_zero_memory() && read_zero_memory() && value_operator(op);
    case MiscOpcode::memory_fill:
      return read_zero_memory() && value_operator(op);
    case MiscOpcode::table_init: {
      if (!read_element_segment(segment) || !read_table(table)) return false;
      const ValueType element = module_.tables[table].element;
      const ValueType found = module_.element_segments[segment].type;
      if (found != element) {
        return fail_with(invalid(operator_offset_,
                                 "Element segment ({}) of table.init has type ({}), expected ({}) "
                                 "as table ({}) has.",
                                 segment, ir::to_string(found), ir::to_string(element), table));
      }
      return value_operator(op);
    }
    case MiscOpcode::elem_drop:
      return read_element_segment(segment);
    case MiscOpcode::table_copy: {
      std::uint32_t source;
      if (!read_table(table) || !read_table(source)) return false;
      const ValueType to = module_.tables[table].element;
      const ValueType from = module_.tables[source].element;
      if (from != to) {
        return fail_with(invalid(operator_offset_,
                                 "Source ({}) of table.copy has elements of type ({}), expected "
                                 "({}) as the destination ({}) has.",
                                 source, ir::to_string(from), ir::to_string(to), table));
      }
      return value_operator(op);
    }
    case MiscOpcode::table_grow:
      return read_table(table) && pop(ValueType::i32) && pop(module_.tables[table].element) &&
             push(ValueType::i32);
    case MiscOpcode::table_size:
      return read_table(table) && push(ValueType::i32);
    case MiscOpcode::table_fill:
      return read_table(table) && pop(ValueType::i32) && pop(module_.tables[table].element) &&
             pop(ValueType::i32);
    default:
      return value_operator(op);
  }
}

bool FunctionValidator::typed_select() {
  std::uint32_t count;
  if (!read_index("Type count of select", count)) return false;
  if (count != 1) {
    return fail_with(
        invalid(operator_offset_, "Type count of select is ({}), expected (1).", count));
  }
  const std::uint64_t offset = code_.offset();
  std::uint8_t byte = 0;
  if (!code_.read_u8(byte)) return fail_read("Type of select");
  const std::optional<ValueType> type = value_type_of(byte);
  if (!type) return fail_with(not_a_value_type(offset, byte));
  return pop(ValueType::i32) && pop(*type) && pop(*type) && push(*type);
}

bool FunctionValidator::find_local(std::uint32_t index, ValueType& type) {
  const auto run = std::ranges::upper_bound(runs_, index, {}, &Run::end);
  if (run == runs_.end()) {
    return unknown_index("Local", index, runs_.empty() ? locals_.size() : runs_.back().end);
  }
  type = run->type;
  return true;
}

bool FunctionValidator::global(Opcode opcode) {
  std::uint32_t index;
  if (!read_index("Global index", index)) return false;
  if (index >= module_.globals.size()) {
    return unknown_index("Global", index, module_.globals.size());
  }
  const GlobalType& type = module_.globals[index];
  if (opcode == Opcode::global_get) return push(type.type);
  if (!type.is_mutable) {
    return fail_with(invalid(operator_offset_,
                             "Global ({}) is immutable, global.set needs a mutable one.", index));
  }
  return pop(type.type);
}

bool FunctionValidator::table_access(Opcode opcode) {
  std::uint32_t table;
  if (!read_table(table)) return false;
  const ValueType element = module_.tables[table].element;
  if (opcode == Opcode::table_get) return pop(ValueType::i32) && push(element);
  return pop(element) && pop(ValueType::i32);
}

bool FunctionValidator::memory_size_or_grow(Opcode opcode) {
  if (!read_zero_memory()) return false;
  return (opcode == Opcode::memory_size || pop(ValueType::i32)) && push(ValueType::i32);
}

bool FunctionValidator::reference_null() {
  const std::uint64_t offset = code_.offset();
  std::uint8_t byte = 0;
  if (!code_.read_u8(byte)) return fail_read("Type of ref.null");
  const std::optional<ValueType> type = value_type_of(byte);
  if (!type || !is_reference(*type)) return fail_with(not_a_reference_type(offset, byte));
  return push(*type);
}

bool FunctionValidator::reference_is_null() {
  ValueType type;
  if (!pop_any(type)) return false;
  if (type != unknown && !is_reference(type)) {
    return fail_with(invalid(operator_offset_,
                             "Operand of ref.is_null has type ({}), expected a reference.",
                             ir::to_string(type)));
  }
  return push(ValueType::i32);
}

bool FunctionValidator::reference_function() {
  std::uint32_t function;
  if (!read_index("Function index", function)) return false;
  if (function >= module_.functions.size()) {
    return unknown_index("Function", function, module_.functions.size());
  }
  if (!declared_[function]) {
    return fail_with(invalid(operator_offset_,
                             "Function ({}) of ref.func is not declared: expected it in an export, "
                             "a global or an element segment.",
                             function));
  }
  return push(ValueType::funcref);
}

// Immediates.

bool FunctionValidator::read_table(std::uint32_t& table) {
  if (!read_index("Table index", table)) return false;
  return table < module_.tables.size() || unknown_index("Table", table, module_.tables.size());
}

bool FunctionValidator::read_element_segment(std::uint32_t& segment) {
  if (!read_index("Element segment index", segment)) return false;
  return segment < module_.element_segments.size() ||
         unknown_index("Element segment", segment, module_.element_segments.size());
}

bool FunctionValidator::read_data_segment() {
  std::uint32_t segment;
  if (!read_index("Data segment index", segment)) return false;
  if (!data_count_) {
    return fail_with(malformed(operator_offset_,
                               "Operator ({}) needs a data count section, which is missing.",
                               operator_text()));
  }
  return segment < *data_count_ || unknown_index("Data segment", segment, *data_count_);
}

bool FunctionValidator::read_zero_memory() {
  const std::uint64_t offset = code_.offset();
  std::uint8_t byte = 0;
  if (!code_.read_u8(byte)) return fail_read("Memory index");
  if (byte >= 0x80) {
    return fail_with(malformed(offset, "Memory index of {} is (0x{:02x}), expected one zero byte.",
                               operator_text(), byte));
  }
  if (byte != 0) {
    return fail_with(
        unsupported(offset, "multi-memory",
                    fmt::format("Memory index ({}) of {}, expected (0),", byte, operator_text())));
  }
  return need_memory();
}

bool FunctionValidator::need_memory() {
  if (!module_.memories.empty()) [[likely]]
    return true;
  return fail_with(invalid(operator_offset_,
                           "Operator ({}) needs a memory, but the module has (0) memories.",
                           operator_text()));
}

}  // namespace warphive::wasm
