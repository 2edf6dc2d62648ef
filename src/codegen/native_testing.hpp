// SPDX-License-Identifier: Apache-2.0
// For tests: an instance that runs in compiled host code and the interpreter, as on the CPU device.
#pragma once

#include <cstdint>
#include <memory>

#include "exec/testing.hpp"

namespace warphive::codegen::testing {

struct NativeOptions {
  enum class Start : std::uint8_t {
    compiled,   // the whole program, calls are direct
    parts,      // its first function; each stop adds one more
    on_demand,  // nothing; all of it at the first poll that asks
  };
  Start start = Start::compiled;
  std::uint64_t instructions = 1'000'000;  // the functions beyond stay interpreted, with `compiled`
  std::uint32_t variants = 0;              // at most, of those that runs ask for
  std::uint32_t waits = 0;                 // polls that ask in vain, for code or for a variant
  bool little_stack = false;               // runs have little native stack
  bool interrupted = false;  // the stop word is raised now and then; runs go on by themselves
};

/// `module` is verified and must outlive the subject.
std::unique_ptr<exec::testing::Subject> make_native(const ir::Module& module,
                                                    const exec::testing::Limits& limits,
                                                    exec::testing::HostFunction host,
                                                    const NativeOptions& options);

}  // namespace warphive::codegen::testing
