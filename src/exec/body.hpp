// SPDX-License-Identifier: Apache-2.0
// What bodies are made of. See exec/bodies.hpp.
#pragma once

#include <stdint.h>

#include "exec/machine.hpp"
#include "ir/op.hpp"

namespace warphive::exec {

using abi::Insn;
using ir::Op;

namespace bodies {

template <Op op>
struct Body;  // no definition: every op needs its own

using abi::TrapKind;

constexpr uint32_t low(uint64_t imm) { return static_cast<uint32_t>(imm); }
constexpr uint32_t high(uint64_t imm) { return static_cast<uint32_t>(imm >> 32); }

/// For ops that have no common case worth inlining.
struct SlowOnly {
  template <class M>
  static WARPHIVE_INLINE Step run(M&) {
    return Step::slow;
  }
};

/// For ops that are done in `run` in all cases.
struct NeverSlow {
  template <class M>
  static Step slow(M& m) {
    return stop(m, abi::Exit::internal, m.index());
  }
};

}  // namespace bodies
}  // namespace warphive::exec
