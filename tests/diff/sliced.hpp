// SPDX-License-Identifier: Apache-2.0
// Executor `interp.sliced`: the runtime, stopped and resumed at random budgets all the time.
#pragma once

#include <memory>

#include "tools/spec_executor.hpp"

namespace warphive::tests {

/// What a call computes, its instruction count included, must not show the slices. The slices are
/// the same in each run of a program.
Result<std::unique_ptr<tools::spec::Executor>> make_sliced_executor(ir::Module linked);

}  // namespace warphive::tests
