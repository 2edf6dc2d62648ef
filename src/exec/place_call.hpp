// SPDX-License-Identifier: Apache-2.0
// The bottom frame of a call, wherever a lane's stack lies. Freestanding.
#pragma once

#include <stdint.h>

#include "abi/state.hpp"

namespace warphive::exec {

/// See begin_call (exec/interp.hpp). `stack[i]` is slot i of the lane's stack, to be assigned.
template <class Stack>
bool place_call(const abi::Pool& pool, uint32_t slot, uint32_t function, const uint64_t* args,
                const Stack& stack) {
  const abi::FunctionEntry& entry = pool.code->functions[function];
  const abi::Insn& enter = pool.code->insns[entry.entry];
  abi::InstanceHeader& header = pool.headers[slot];
  header.entry = function;
  header.base = 0;
  header.pc = entry.entry + 1;
  if (static_cast<uint32_t>(enter.imm) > pool.layout->stack_slots || pool.layout->max_depth == 0) {
    header.depth = 0;
    header.exit = abi::Exit::trapped;
    header.trap = abi::TrapKind::stack_overflow;
    return false;
  }
  header.depth = 1;
  for (uint32_t i = 0; i < entry.param_slots; ++i) stack[i] = args[i];
  stack[enter.a] = abi::pack_header(0, 0);
  for (uint32_t i = enter.b; i < uint32_t{enter.b} + enter.c; ++i) stack[i] = 0;
  return true;
}

}  // namespace warphive::exec
