// SPDX-License-Identifier: Apache-2.0
// Shorthand for code that returns warphive::Result.
#pragma once

#include <fmt/format.h>

#include "warphive/error.hpp"

namespace warphive::base {

/// `return base::error(ErrorCode::io, ErrorPhase::load, "Cannot open ({}).", path);`
template <class... Args>
[[nodiscard]] tl::unexpected<Error> error(ErrorCode code, ErrorPhase phase,
                                          fmt::format_string<Args...> format, Args&&... args) {
  return fail(Error(code, phase, fmt::format(format, std::forward<Args>(args)...)));
}

}  // namespace warphive::base

#define WARPHIVE_CONCAT_(a, b) a##b
#define WARPHIVE_CONCAT(a, b) WARPHIVE_CONCAT_(a, b)

/// Returns the error of a Status or Result from the enclosing function.
#define WARPHIVE_TRY(expression)                               \
  do {                                                         \
    auto&& try_result_ = (expression);                         \
    if (!try_result_) [[unlikely]]                             \
      return ::warphive::fail(std::move(try_result_).error()); \
  } while (false)

/// `WARPHIVE_TRY_ASSIGN(auto x, f());`: declares or assigns the value, or returns the error.
#define WARPHIVE_TRY_ASSIGN(declaration, expression) \
  WARPHIVE_TRY_ASSIGN_(WARPHIVE_CONCAT(try_, __COUNTER__), declaration, expression)
#define WARPHIVE_TRY_ASSIGN_(name, declaration, expression) \
  auto name = (expression);                                 \
  if (!name) [[unlikely]]                                   \
    return ::warphive::fail(std::move(name).error());       \
  declaration = std::move(*name)
