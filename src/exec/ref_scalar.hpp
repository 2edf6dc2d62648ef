// SPDX-License-Identifier: Apache-2.0
// Scalar ops as the reference executor does them: written from the WebAssembly specification, with
// <cmath> and wide arithmetic, and deliberately without exec/semantics.hpp.
#pragma once

#include <cstdint>

#include "abi/exit.hpp"
#include "ir/op.hpp"

namespace warphive::exec {

struct ScalarResult {
  std::uint64_t value = 0;  // slot value
  abi::TrapKind trap = abi::TrapKind::none;
};

/// An op of shape d_a, d_ab or d_ak, of any width: operands as slot values or as the constant.
ScalarResult ref_scalar(ir::Op op, std::uint64_t x, std::uint64_t y);

/// Whether a branch of shape br_ab or br_ak is taken.
bool ref_condition(ir::Op op, std::uint64_t x, std::uint64_t y);

}  // namespace warphive::exec
