// SPDX-License-Identifier: Apache-2.0
// Random IR programs for tests: linked, valid, free of reads of slots that nothing has written.
#pragma once

#include <cstdint>
#include <span>

#include "ir/module.hpp"

namespace warphive::ir::testing {

/// A source of decisions: a generator with a seed, or given bytes and zeros after their end.
class Choices {
 public:
  explicit Choices(std::uint64_t seed) : state_(seed) {}
  explicit Choices(std::span<const std::uint8_t> bytes) : bytes_(bytes), from_bytes_(true) {}

  std::uint64_t bits();
  /// 0 to count - 1; count is not 0.
  std::uint32_t below(std::uint32_t count);
  /// True once in `times` on average; never after the end of given bytes.
  bool one_in(std::uint32_t times);

 private:
  std::uint64_t state_ = 0;
  std::span<const std::uint8_t> bytes_;  // borrowed
  std::size_t at_ = 0;
  bool from_bytes_ = false;
};

struct RandomOptions {
  std::uint32_t functions = 6;    // at most; at least 1
  std::uint32_t statements = 24;  // of one function, at most
  std::uint32_t nesting = 3;      // of loops and conditions
  bool memory = true;             // one memory of one page, growing up to four
  bool tables = true;             // one table of functions, and indirect calls
  bool floats = true;
  bool vectors = true;
  bool host_calls = false;  // one import env.host of type (i32, i64) -> (i64)
  bool metered = true;      // off: charges only where loops need them
  /// Also direct recursion, loops without end, writes to parameters, any address and range, more
  /// parameters, a second memory and a table that never changes.
  bool wild = false;
};

/// A program with one member `m` that exports its functions as f0, f1..., its memory as `memory`
/// and its globals as g0, g1... Unless it is wild, calls nest without recursion but for indirect
/// ones, and loops count to at most 8. A run can still be long: give it fuel.
Module random_module(Choices& choices, const RandomOptions& options = {});

}  // namespace warphive::ir::testing
