// SPDX-License-Identifier: Apache-2.0
// The operators of WebAssembly 2.0 on vectors, and what the binary format says of each.
#pragma once

#include <array>
#include <cstdint>

#include "guest/wasm/opcodes.hpp"
#include "ir/op.hpp"

namespace warphive::wasm {

/// The operators after the prefix byte 0xfd.
enum class SimdOpcode : std::uint8_t {
#define WARPHIVE_WASM_SIMD(name, code, ...) name = code,
#include "guest/wasm/simd_opcodes.inc"
};

struct SimdOpcodeInfo {
  OpcodeInfo info;
  ir::Op op = ir::Op::mov128;
  bool swap = false;  // the op takes the two operands in the other order
};

namespace detail {
constexpr std::array<SimdOpcodeInfo, 256> make_simd_opcode_table() {
  std::array<SimdOpcodeInfo, 256> table{};
#define WARPHIVE_WASM_SIMD(name, code, text, imm, params, results, alignment, op, swap) \
  table[code] = {value_info(text, Immediate::imm, params, results, alignment), ir::Op::op, swap};
#include "guest/wasm/simd_opcodes.inc"
  return table;
}
}  // namespace detail

/// By the number after 0xfd; `info.text` is nullptr where there is no such operator.
inline constexpr std::array<SimdOpcodeInfo, 256> simd_opcode_table =
    detail::make_simd_opcode_table();

constexpr bool is_simd_opcode(std::uint32_t number) {
  return number < simd_opcode_table.size() && simd_opcode_table[number].info.text != nullptr;
}

}  // namespace warphive::wasm
