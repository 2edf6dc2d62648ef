// SPDX-License-Identifier: Apache-2.0
// The reference executor: plain, slow, the living definition of the IR. It runs ir::Module as
// lowered, and shares op names and abi enums with the interpreter but no semantics.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "abi/exit.hpp"
#include "ir/module.hpp"

namespace warphive::exec {

/// One instance, as plain containers.
struct RefInstance {
  std::vector<std::vector<std::uint8_t>> memories;  // current size
  std::vector<std::uint32_t> memory_capacity;       // pages
  std::vector<std::vector<std::uint64_t>> tables;
  std::vector<std::uint32_t> table_capacity;
  std::vector<std::uint64_t> globals;
  std::vector<bool> data_dropped;
  std::vector<bool> elem_dropped;
  std::uint32_t stack_slots = 4096;
  std::uint32_t max_depth = 1024;
  std::uint64_t fuel_left = std::uint64_t{1} << 62;
  std::uint64_t fuel_used = 0;
  std::uint32_t grow_refused = 0;

  // Why and where the last run stopped.
  abi::Exit exit = abi::Exit::ready;
  abi::TrapKind trap = abi::TrapKind::none;
  std::uint32_t trap_function = ir::none;
  std::uint32_t trap_inst = 0;
  std::int32_t exit_code = 0;
  std::vector<std::uint64_t> results;

  // Stopped frames, innermost last; empty unless stopped resumably.
  struct Frame {
    std::uint32_t function;
    std::uint32_t inst;
    std::uint32_t base;
  };
  std::vector<Frame> frames;
  std::vector<std::uint64_t> stack;
};

/// Answers a host call at once: reads arguments from and writes results to `values`.
using RefHostCall = std::function<abi::Exit(RefInstance& instance, std::uint32_t host_import,
                                            std::span<std::uint64_t> values)>;

/// A fresh instance with memories and tables at their declared minimum. Capacities: one per memory
/// and table (pages, elements).
RefInstance ref_spawn(const ir::Module& module, std::uint32_t memory_capacity,
                      std::uint32_t table_capacity);

/// Calls a function; the outcome is in instance.exit and .results (slot values).
void ref_call(const ir::Module& module, RefInstance& instance, std::uint32_t function,
              std::span<const std::uint64_t> args, const RefHostCall& host_call);
/// Goes on after out_of_fuel with whatever fuel_left is now.
void ref_resume(const ir::Module& module, RefInstance& instance, const RefHostCall& host_call);

}  // namespace warphive::exec
