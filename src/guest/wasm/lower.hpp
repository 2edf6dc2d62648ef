// SPDX-License-Identifier: Apache-2.0
// wasm::Module to ir::Module, unlinked: imports are named, each index space is the module's own.
#pragma once

#include "guest/wasm/module.hpp"
#include "ir/module.hpp"
#include "warphive/error.hpp"

namespace warphive::wasm {

struct LowerOptions {
  bool metered = true;  // off: a charge only at loop headers and function entries, for stopping
};

/// The module must come from read_module. Errors: limit_exceeded where a function needs more slots
/// than an instruction can name. The result passes ir::verify. Pure; thread-safe.
Result<ir::Module> lower(const Module& module, const LowerOptions& options = {});

}  // namespace warphive::wasm
