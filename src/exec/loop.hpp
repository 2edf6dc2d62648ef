// SPDX-License-Identifier: Apache-2.0
// The loop dispatcher: one switch over all ops, for compilers without tail calls and for kernels.
#pragma once

#include "exec/bodies.hpp"
#include "ir/op.hpp"

namespace warphive::exec {

/// Out of line, and on a copy of the machine: taking the address of the loop's own would keep it in
/// memory.
template <class B, class M>
__attribute__((noinline)) Step slow_step(M& m) {
  return B::slow(m);
}

template <class B, class M>
WARPHIVE_INLINE bool loop_step(M& m) {
  if (B::run(m) != Step::slow) [[likely]]
    return true;
  M copy = m;
  const Step step = slow_step<B>(copy);
  m = copy;
  return step != Step::stop;
}

/// Runs until the lane stops; its header says why. `Unfuse` maps an opcode that the encoder does
/// not make to one that it does; kernels run programs as encoded and need none.
struct NotFused {
  constexpr uint16_t operator()(uint16_t op) const { return op; }
};
template <class M, class Unfuse = NotFused>
void run_loop(M m, Unfuse unfuse = {}) {
  for (;;) {
    switch (unfuse(m.insn().op)) {
#define WARPHIVE_OP(name, ...)                             \
  case static_cast<uint16_t>(ir::Op::name):                \
    if (!loop_step<bodies::Body<ir::Op::name>>(m)) return; \
    break;
#include "ir/ops.inc"
      default:  // the encoder makes nothing else but the stop at instruction 0
        if (!loop_step<bodies::StopBody>(m)) return;
        break;
    }
  }
}

}  // namespace warphive::exec
