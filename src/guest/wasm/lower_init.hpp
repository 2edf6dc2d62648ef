// SPDX-License-Identifier: Apache-2.0
// The generated function that instantiates a module.
#pragma once

#include <vector>

#include "guest/wasm/module.hpp"
#include "ir/module.hpp"
#include "warphive/error.hpp"

namespace warphive::wasm {

/// Fills a function of type () -> () that checks the sizes of imported memories and tables, sets
/// the module's own globals, writes its active segments and drops those that are active or
/// declared. Adds the vectors that it needs. Errors: limit_exceeded (a constant expression deeper
/// than there are slots).
Status lower_init(const Module& module, std::vector<ir::Vector>& vectors, ir::Function& function);

}  // namespace warphive::wasm
