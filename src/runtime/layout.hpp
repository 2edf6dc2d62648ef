// SPDX-License-Identifier: Apache-2.0
// Sizes of everything an instance owns, from a program and the capacities that were asked for.
#pragma once

#include <cstdint>
#include <vector>

#include "abi/state.hpp"
#include "runtime/program.hpp"
#include "runtime/swarm.hpp"
#include "warphive/error.hpp"

namespace warphive::runtime {

/// `view` points into the vectors: not to be moved once made.
struct Layout {
  std::vector<abi::MemoryLayout> memories;
  std::vector<abi::TableLayout> tables;
  abi::ProgramLayout view = {};
  std::uint64_t memory_stride = 0;  // bytes
  std::uint32_t state_stride = 0;   // bytes
  std::uint32_t stack_stride = 0;   // slots
  std::uint32_t out_capacity = 0;

  Layout() = default;
  Layout(const Layout&) = delete;
  Layout& operator=(const Layout&) = delete;
  /// Address space of one instance.
  [[nodiscard]] std::uint64_t reserved_bytes() const;
};

/// Fills an empty layout. Errors, phase spawn: invalid_input (a capacity below a declared minimum),
/// limit_exceeded.
Status plan_layout(const Program& program, const Capacities& capacities, Layout& layout);

/// State before any init has run: sizes at their minimum, all else zero.
std::vector<std::uint8_t> initial_state(const Program& program, const Layout& layout);

}  // namespace warphive::runtime
