// SPDX-License-Identifier: Apache-2.0
// The passes, one per file. Each takes a function with code. Work is bounded: a pass leaves alone
// what would take more than linear time.
#pragma once

#include "ir/module.hpp"
#include "opt/copies.hpp"
#include "opt/edit.hpp"
#include "opt/liveness.hpp"

namespace warphive::opt {

/// Inside each block, what is read through a copy is read from its origin. Returns false where
/// that changed nothing.
bool propagate_copies(Copies& copies, ir::Function& function);

/// Removes values that nothing reads and copies that their source can do without, and does not
/// zero slots at entry that are written before they are read. Returns false where that changed
/// nothing.
bool remove_dead_values(Liveness& liveness, Scratch& scratch, ir::Function& function);

}  // namespace warphive::opt
