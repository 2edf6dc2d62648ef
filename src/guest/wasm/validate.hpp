// SPDX-License-Identifier: Apache-2.0
// Validates function bodies: the standard algorithm, with explicit stacks.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/byte_reader.hpp"
#include "guest/wasm/module.hpp"
#include "guest/wasm/opcodes.hpp"
#include "guest/wasm/reader_errors.hpp"
#include "warphive/error.hpp"

namespace warphive::wasm {

constexpr bool is_reference(ValueType type) {
  return type == ValueType::funcref || type == ValueType::externref;
}

/// Validates one body after the other and keeps its buffers between them. The module's sections
/// before the code section must be there; all arguments are borrowed.
class FunctionValidator {
 public:
  /// `declared` has a bit for each function: whether ref.func may name it. `data_count` is the data
  /// count section's.
  FunctionValidator(const Module& module, const Limits& limits, const std::vector<bool>& declared,
                    std::optional<std::uint32_t> data_count);

  /// `function` is the index in the module's function space. The body's offset and code must be set
  /// and its locals be within the limits. Sets tail_calls_itself.
  Status validate(std::uint32_t function, FunctionBody& body);

  /// Operators so far that cost fuel and can be reached.
  [[nodiscard]] std::uint64_t operator_count() const { return operator_count_; }

 private:
  using Types = std::span<const ValueType>;
  struct Signature {
    std::uint8_t param_count;
    std::uint8_t result_count;
    ValueType first, second;  // parameters
    ValueType result;
  };
  static constexpr Signature signature_of(const OpcodeInfo& op) {
    return {op.param_count, op.result_count, op.params[0], op.params[1], op.result};
  }
  struct Frame {
    Types params;
    Types results;
    std::uint64_t offset = 0;          // of the operator that opened it
    std::uint64_t operator_count = 0;  // when its code became unreachable
    std::size_t height = 0;            // of the operand stack below it
    Opcode opcode = Opcode::block;
    bool unreachable = false;

    [[nodiscard]] Types label() const { return opcode == Opcode::loop ? params : results; }
  };

  // All return false after setting error_.
  bool operators();
  bool control_operator(Opcode opcode);
  template <Signature signature>
  bool apply_if_fits();
  template <Signature signature>
  bool memory_operator(const OpcodeInfo& op);
  bool misc_operator();
  bool simd_operator();
  bool value_operator(const OpcodeInfo& op);

  bool alignment_too_large(const OpcodeInfo& op, std::uint32_t alignment);
  bool begin_block(Opcode opcode);
  bool else_arm();
  bool end_block();
  bool branch(Opcode opcode);
  bool branch_table();
  bool return_values();
  bool call(Opcode opcode);
  bool call_indirect(Opcode opcode);
  bool end_call(Opcode opcode, const FunctionType& type);
  bool select();
  bool typed_select();
  bool global(Opcode opcode);
  bool table_access(Opcode opcode);
  bool memory_size_or_grow(Opcode opcode);
  bool reference_is_null();
  bool reference_null();
  bool reference_function();

  bool read_index(std::string_view what, std::uint32_t& index);
  bool read_block_type(Frame& frame);
  bool read_reference_type(ValueType& type);
  bool read_label(std::uint32_t& depth);
  bool read_table(std::uint32_t& table);
  bool read_element_segment(std::uint32_t& segment);
  bool read_data_segment();
  bool read_zero_memory();
  bool need_memory();
  bool read_memory_argument(const OpcodeInfo& op);
  bool read_lane(const OpcodeInfo& op, std::uint32_t count);

  bool push(ValueType type) {
    if (height_ == operands_.size() && !grow(1)) [[unlikely]]
      return false;
    operands_[height_++] = type;
    return true;
  }
  bool pass_on(std::size_t count);
  bool push(Types types);
  bool grow(std::size_t count);
  bool pop(ValueType expected) {
    if (height_ > base_) [[likely]] {
      const ValueType found = operands_[height_ - 1];
      if (found == expected || found == unknown) [[likely]] {
        --height_;
        return true;
      }
    }
    return pop_mismatch(expected);
  }
  bool pop(Types types);
  bool pop_any(ValueType& type);
  bool pop_mismatch(ValueType expected);
  bool check_top(Types types);
  bool no_operands_left();
  void set_unreachable();
  void push_frame(Frame frame);

  [[nodiscard]] const FunctionType& type_of_function(std::uint32_t function) const {
    return module_.types[module_.functions[function]];
  }
  [[nodiscard]] std::string_view operator_text() const;
  bool read_local(ValueType& type) {
    std::uint32_t index;
    if (!code_.read_leb_u32(index)) [[unlikely]]
      return fail_read("Local index");
    if (index >= locals_.size()) [[unlikely]]
      return find_local(index, type);
    type = locals_[index];
    return true;
  }
  bool find_local(std::uint32_t index, ValueType& type);

  bool fail_with(Error error);
  bool fail_read(std::string_view what);
  bool unknown_index(std::string_view what, std::uint32_t index, std::uint64_t count);

  // The type of an operand that unreachable code left open.
  static constexpr ValueType unknown = static_cast<ValueType>(0xff);

  const Module& module_;
  const Limits& limits_;
  const std::vector<bool>& declared_;
  std::optional<std::uint32_t> data_count_;
  std::uint64_t passed_limit_;
  std::uint64_t passed_ = 0;  // operands so far that blocks, branches and calls passed on

  base::ByteReader code_;
  std::uint32_t function_ = 0;  // whose body it is
  bool tail_calls_itself_ = false;
  std::uint64_t operator_offset_ = 0;
  std::uint64_t operator_count_ = 0;
  std::vector<ValueType> operands_;  // the operand stack is its first height_ elements
  std::size_t height_ = 0;
  std::size_t base_ = 0;  // frames_.back().height
  std::vector<Frame> frames_;
  std::vector<ValueType> locals_;  // parameters and the first locals; later ones are in runs_
  struct Run {
    std::uint32_t end;  // index after its last local
    ValueType type;
  };
  std::vector<Run> runs_;
  std::optional<Error> error_;
};

}  // namespace warphive::wasm
