// SPDX-License-Identifier: Apache-2.0
// Fused pairs: a program for the host interpreter in which some opcodes stand for two instructions.
#pragma once

#include <cstdint>

#include "ir/encode.hpp"

namespace warphive::exec {

/// A row of exec/fused.inc. Its opcode is ir::encoded_op_count plus its index.
struct FusedPair {
  ir::Op first;
  ir::Op second;
  std::uint8_t flow;  // bits of `flow`
};

/// Fields of the second instruction that name the slot which the first writes.
namespace flow {
inline constexpr std::uint8_t none = 0;
inline constexpr std::uint8_t a = 1;
inline constexpr std::uint8_t b = 2;
inline constexpr std::uint8_t c = 4;
}  // namespace flow

namespace detail {
using namespace flow;  // NOLINT(google-build-using-namespace): the table's flow column
inline constexpr FusedPair fused_pairs[] = {
#define WARPHIVE_FUSED(first, second, flow) {ir::Op::first, ir::Op::second, flow},
#include "exec/fused.inc"
};
}  // namespace detail

inline constexpr std::uint16_t fused_op_count =
    static_cast<std::uint16_t>(sizeof(detail::fused_pairs) / sizeof(FusedPair));

/// Rewrites opcodes so that frequent pairs run in one dispatch. Only the opcode of a pair's first
/// instruction changes: both stay where they are, so targets, stops and origins stay right, and a
/// jump to the second runs it alone. For the host interpreter only; any dispatcher of it runs the
/// result.
void fuse(ir::EncodedProgram& program);

/// The op that an instruction had before `fuse`.
constexpr std::uint16_t unfused(std::uint16_t op) {
  return op < ir::encoded_op_count
             ? op
             : static_cast<std::uint16_t>(detail::fused_pairs[op - ir::encoded_op_count].first);
}

}  // namespace warphive::exec
