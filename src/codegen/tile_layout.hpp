// SPDX-License-Identifier: Apache-2.0
// The pass that lays a lane's state out in tiles, after LLVM has optimised code in which it was
// contiguous.
#pragma once

#include <string>

#include "codegen/llvm.hpp"
#include "codegen/tile_target.hpp"

namespace warphive::codegen {

/// Rewrites every access to a region (tile_target.hpp) of all functions to where its bytes lie.
/// Accesses that may be misaligned for their parts test that, and take a path out of line. On
/// return no region is left, or the result names a function and what of it cannot be laid out; the
/// module is then of no use.
std::string lay_out(llvm::Module& module, const TileTarget& target);

}  // namespace warphive::codegen
