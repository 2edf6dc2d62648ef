// SPDX-License-Identifier: Apache-2.0
// The IR verifier. It runs in all builds after lowering, linking and optimisation; a failure is a
// bug of ours (ErrorCode::internal) and names function, instruction and rule.
#pragma once

#include "ir/module.hpp"
#include "warphive/error.hpp"

namespace warphive::ir {

/// Linear in the size of the module. Checks every index, slot, target and block rule, so that an
/// executor needs no checks of its own on what passed here.
Status verify(const Module& module);

}  // namespace warphive::ir
