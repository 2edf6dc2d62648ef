// SPDX-License-Identifier: Apache-2.0
#include "base/append.hpp"

#include <fmt/format.h>

namespace warphive::base {

void vappend(std::string& to, fmt::string_view format, fmt::format_args args) {
  to += fmt::vformat(format, args);
}

}  // namespace warphive::base
