// SPDX-License-Identifier: Apache-2.0
// PTX as people read it.
#pragma once

#include <string>
#include <string_view>

namespace warphive::codegen {

/// Lines that place code in a file (`.loc`) become comments with the guest's byte offset, which the
/// emitter gives as the line; other directives of debug information go.
std::string listed_ptx(std::string_view ptx);

}  // namespace warphive::codegen
