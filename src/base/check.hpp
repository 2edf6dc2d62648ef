// SPDX-License-Identifier: Apache-2.0
// Checks of our own invariants. WARPHIVE_CHECK and WARPHIVE_UNREACHABLE crash in every build;
// none of them ever becomes an optimiser's assumption.
#pragma once

#include <source_location>

namespace warphive::base {

/// Writes the place and the text to stderr and aborts.
[[noreturn]] void check_failed(const char* what,
                               std::source_location where = std::source_location::current());

}  // namespace warphive::base

#define WARPHIVE_CHECK(condition) \
  (__builtin_expect(!!(condition), 1) ? void(0) : ::warphive::base::check_failed(#condition))
#ifdef WARPHIVE_DCHECK_ON
#define WARPHIVE_DCHECK(condition) WARPHIVE_CHECK(condition)
#else
#define WARPHIVE_DCHECK(condition) (false ? void(condition) : void(0))
#endif
#define WARPHIVE_UNREACHABLE() ::warphive::base::check_failed("unreachable code was reached")
