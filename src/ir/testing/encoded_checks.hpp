// SPDX-License-Identifier: Apache-2.0
// What must hold of an encoded program, stated from the side of the one that runs it.
#pragma once

#include <string>

#include "ir/encode.hpp"

namespace warphive::ir::testing {

/// Compares an encoded program with its module; the first fault as a sentence, or nothing.
std::string encoding_fault(const Module& module, const EncodedProgram& program);

}  // namespace warphive::ir::testing
