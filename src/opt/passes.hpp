// SPDX-License-Identifier: Apache-2.0
// The passes, one per file. Each takes a function with code and says whether it changed it. Work is
// bounded: a pass leaves alone what would take more than linear time.
#pragma once

#include "ir/module.hpp"
#include "opt/edit.hpp"

namespace warphive::opt {

/// Inside each block, what is read through a copy is read from its origin.
bool propagate_copies(ir::Function& function);

/// Removes values that nothing reads, and does not zero slots at entry that are written before
/// they are read.
bool remove_dead_values(const ModuleFacts& facts, ir::Function& function);

}  // namespace warphive::opt
