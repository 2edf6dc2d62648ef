// SPDX-License-Identifier: Apache-2.0
// WebAssembly code as text, for people.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "guest/wasm/module.hpp"

namespace warphive::tools {

/// Passes a listing of every function, piece by piece: signature, locals, then a line per operator
/// with its byte offset, nested as its blocks are.
void disassemble(const wasm::Module& module, const std::function<void(std::string&)>& write);

/// The function's name from the name section or the exports, or "".
std::string function_name(const wasm::Module& module, std::uint32_t function);

}  // namespace warphive::tools
