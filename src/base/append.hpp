// SPDX-License-Identifier: Apache-2.0
// Formatted text at the end of a string. fmt::format_to would instantiate all of fmt in every file
// that writes through an iterator (5 s of compile time each); this calls the library.
#pragma once

#include <fmt/core.h>

#include <string>
#include <utility>

namespace warphive::base {

void vappend(std::string& to, fmt::string_view format, fmt::format_args args);

template <class... Args>
void append(std::string& to, fmt::format_string<Args...> format, Args&&... args) {
  vappend(to, format, fmt::make_format_args(args...));
}

}  // namespace warphive::base
