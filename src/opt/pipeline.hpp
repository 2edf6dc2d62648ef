// SPDX-License-Identifier: Apache-2.0
// The optimiser: IR to IR, one pass per file, in the one order that pipeline.cpp lists. No pass
// moves, merges or drops a reachable charge, or changes a function's counted frame slots.
#pragma once

#include "ir/module.hpp"

namespace warphive::opt {

/// Runs every pass over every function of a linked, verified module. The result verifies.
void optimise(ir::Module& module);

}  // namespace warphive::opt
