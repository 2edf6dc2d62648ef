// SPDX-License-Identifier: Apache-2.0
// Operators on vectors.
#include "guest/wasm/simd_opcodes.hpp"
#include "guest/wasm/validate.hpp"
#include "ir/operands.hpp"

namespace warphive::wasm {

bool FunctionValidator::simd_operator() {
  std::uint32_t number;
  const base::ByteReader after_prefix = code_;
  if (!code_.read_leb_u32(number)) return fail_read("Number of an operator with prefix 0xfd");
  if (!is_simd_opcode(number)) {
    return fail_with(unknown_operator(operator_offset_, 0xfd, after_prefix));
  }
  const SimdOpcodeInfo& entry = simd_opcode_table[number];
  const OpcodeInfo& op = entry.info;
  switch (op.immediate) {
    case Immediate::memory_argument:
      if (!read_memory_argument(op)) return false;
      break;
    case Immediate::memory_lane:
      if (!read_memory_argument(op) || !read_lane(op, ir::lane_count(entry.op))) return false;
      break;
    case Immediate::lane:
      if (!read_lane(op, ir::lane_count(entry.op))) return false;
      break;
    case Immediate::lanes:
      for (int i = 0; i < 16; ++i) {
        if (!read_lane(op, 32)) return false;
      }
      break;
    case Immediate::vector:
      if (!code_.skip(16)) return fail_read("Constant of v128.const");
      break;
    default:
      break;
  }
  return value_operator(op);
}

bool FunctionValidator::read_memory_argument(const OpcodeInfo& op) {
  std::uint32_t alignment, offset;
  if (!code_.read_leb_u32(alignment)) return fail_read("Alignment");
  if (!code_.read_leb_u32(offset)) return fail_read("Memory offset");
  if (!need_memory()) return false;
  return alignment <= op.alignment || alignment_too_large(op, alignment);
}

bool FunctionValidator::read_lane(const OpcodeInfo& op, std::uint32_t count) {
  std::uint8_t lane = 0;
  if (!code_.read_u8(lane)) return fail_read("Lane");
  if (lane < count) return true;
  return fail_with(invalid(operator_offset_, "Lane of {} is ({}), expected one below ({}).",
                           op.text, lane, count));
}

}  // namespace warphive::wasm
