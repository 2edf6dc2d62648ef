// SPDX-License-Identifier: Apache-2.0
// The reference executor's ops on vectors.
#pragma once

#include <cstdint>

#include "abi/code.hpp"
#include "ir/op.hpp"

namespace warphive::exec {

/// What an op reads, as far as it does.
struct RefVectorOperands {
  abi::Vector x, y, z;
  std::uint64_t scalar = 0;  // y of a shift or replacement, x of a splat
  std::uint32_t k = 0;
};

/// The result of an op that gives a vector, but for those that read more than operands.
abi::Vector ref_vector(ir::Op op, const RefVectorOperands& operands);
/// The result of an op that gives a slot.
std::uint64_t ref_vector_scalar(ir::Op op, const abi::Vector& x, std::uint32_t k);
/// Lanes of x (0 to 15) and y (16 to 31), as `lanes` lists them.
abi::Vector ref_shuffle(const abi::Vector& x, const abi::Vector& y, const abi::Vector& lanes);
/// What a load of a vector makes of the bytes that it read, at most 8.
abi::Vector ref_loaded_vector(ir::Op op, std::uint64_t value);

}  // namespace warphive::exec
