// SPDX-License-Identifier: Apache-2.0
// The operators of WebAssembly 2.0, and what the binary format says of each. Those on vectors are
// in simd_opcodes.hpp.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "ir/module.hpp"

namespace warphive::wasm {

/// First byte of an operator. `if`, `else` and `return` end in an underscore.
enum class Opcode : std::uint8_t {
#define WARPHIVE_WASM_CONTROL(name, code, text, immediate) name = code,
#define WARPHIVE_WASM_MEMORY(name, code, text, params, results, alignment) name = code,
#define WARPHIVE_WASM_VALUE(name, code, text, params, results) name = code,
#include "guest/wasm/opcodes.inc"
  misc_prefix = 0xfc,  // a MiscOpcode in LEB128 follows
  simd_prefix = 0xfd,  // a SimdOpcode in LEB128 follows
};

/// The operators after the prefix byte 0xfc.
enum class MiscOpcode : std::uint8_t {
#define WARPHIVE_WASM_MISC(name, code, text, immediate, params, results) name = code,
#include "guest/wasm/opcodes.inc"
};
inline constexpr std::uint32_t misc_opcode_count = 18;

/// What follows an opcode in the code; indices are LEB128 u32.
enum class Immediate : std::uint8_t {
  none,
  block_type,
  label,
  label_table,
  function,
  type_and_table,
  value_types,
  local,
  global,
  table,
  memory_argument,  // alignment, offset
  memory,           // a zero byte, likewise in the two below
  i32,
  i64,
  f32,
  f64,
  reference_type,
  data_and_memory,
  data,
  memory_and_memory,
  element_and_table,
  element,
  table_and_table,
  vector,       // 16 bytes
  lanes,        // 16 lanes of two vectors, a byte each
  lane,         // a byte
  memory_lane,  // a memory argument and a lane
};

struct OpcodeInfo {
  const char* text = nullptr;  // nullptr: no such operator
  Immediate immediate = Immediate::none;
  bool is_value = false;       // typed by params and results alone
  std::uint8_t alignment = 0;  // memory operators: log2 of the natural alignment
  std::uint8_t param_count = 0;
  std::uint8_t result_count = 0;          // at most 1
  std::array<ir::ValueType, 3> params{};  // the last is the top of the stack
  ir::ValueType result = ir::ValueType::i32;
};

namespace detail {

constexpr ir::ValueType type_of(char letter) {
  switch (letter) {
    case 'I':
      return ir::ValueType::i64;
    case 'f':
      return ir::ValueType::f32;
    case 'F':
      return ir::ValueType::f64;
    case 'v':
      return ir::ValueType::v128;
    default:
      return ir::ValueType::i32;
  }
}

constexpr OpcodeInfo value_info(const char* text, Immediate immediate, std::string_view params,
                                std::string_view results, std::uint8_t alignment = 0) {
  OpcodeInfo entry{.text = text, .immediate = immediate, .is_value = true, .alignment = alignment};
  for (char letter : params) entry.params[entry.param_count++] = type_of(letter);
  for (char letter : results) {
    entry.result = type_of(letter);
    ++entry.result_count;
  }
  return entry;
}

constexpr std::array<OpcodeInfo, 256> make_opcode_table() {
  std::array<OpcodeInfo, 256> table{};
#define WARPHIVE_WASM_CONTROL(name, code, text, imm) \
  table[code] = OpcodeInfo{text, Immediate::imm, false, 0, 0, 0, {}, ir::ValueType::i32};
#define WARPHIVE_WASM_MEMORY(name, code, text, params, results, alignment) \
  table[code] = value_info(text, Immediate::memory_argument, params, results, alignment);
#define WARPHIVE_WASM_VALUE(name, code, text, params, results) \
  table[code] = value_info(text, Immediate::none, params, results);
#include "guest/wasm/opcodes.inc"
  return table;
}

constexpr std::array<OpcodeInfo, misc_opcode_count> make_misc_opcode_table() {
  std::array<OpcodeInfo, misc_opcode_count> table{};
#define WARPHIVE_WASM_MISC(name, code, text, imm, params, results) \
  table[code] = value_info(text, Immediate::imm, params, results);
#include "guest/wasm/opcodes.inc"
  return table;
}

}  // namespace detail

/// By first byte, and by the number after 0xfc.
inline constexpr std::array<OpcodeInfo, 256> opcode_table = detail::make_opcode_table();
inline constexpr std::array<OpcodeInfo, misc_opcode_count> misc_opcode_table =
    detail::make_misc_opcode_table();

constexpr const OpcodeInfo& info(Opcode opcode) {
  return opcode_table[static_cast<std::uint8_t>(opcode)];
}
constexpr const OpcodeInfo& info(MiscOpcode opcode) {
  return misc_opcode_table[static_cast<std::uint8_t>(opcode)];
}

/// The proposal beyond WebAssembly 2.0 that an opcode belongs to, or "" when no
/// proposal has it. `misc` is the number after 0xfc.
std::string_view proposal_of_opcode(std::uint8_t byte);
std::string_view proposal_of_misc_opcode(std::uint32_t misc);

}  // namespace warphive::wasm
