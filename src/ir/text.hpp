// SPDX-License-Identifier: Apache-2.0
// The IR's text form; parse(print(m)) == m.
#pragma once

#include <string>
#include <string_view>

#include "ir/module.hpp"
#include "warphive/error.hpp"

namespace warphive::ir {

std::string print(const Module& module);
std::string print(const Module& module, std::uint32_t function);
/// Errors: invalid_input with the line in the message. Does not verify.
Result<Module> parse(std::string_view text);

}  // namespace warphive::ir
