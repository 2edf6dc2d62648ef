// SPDX-License-Identifier: Apache-2.0
// Bytes to wasm::Module: decodes and validates in one strict pass (WebAssembly 2.0).
#pragma once

#include <cstddef>
#include <vector>

#include "guest/wasm/module.hpp"
#include "warphive/error.hpp"

namespace warphive::wasm {

/// Decodes and validates. Errors: invalid_input (malformed: phase parse; invalid: phase validate),
/// unsupported (a proposal beyond 2.0, named), limit_exceeded; each with the byte offset, what was
/// found and what was allowed. Never recurses on guest-controlled depth and never allocates by an
/// unchecked number. Pure; thread-safe.
Result<Module> read_module(std::vector<std::byte> bytes, const Limits& limits = {});

}  // namespace warphive::wasm
