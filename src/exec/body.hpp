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

// Memory accesses. Memory 0 holds at most 2^32 bytes, so with another memory's index in the high
// half of imm the address is beyond its limit in any case: one comparison decides both.

/// `To::put(m, insn, value)` keeps what was loaded.
template <class Raw, class To>
struct Load {
  template <class M>
  static WARPHIVE_INLINE Step run(M& m) {
    const Insn& insn = m.insn();
    const uint64_t address = uint64_t{low(m.slot(insn.b))} + insn.imm;
    if (address + sizeof(Raw) > m.limit()) [[unlikely]]
      return Step::slow;
    To::put(m, insn, m.template load<Raw>(address));
    m.advance();
    return Step::next;
  }
  template <class M>
  static Step slow(M& m) {
    const Insn& insn = m.insn();
    const uint32_t memory = high(insn.imm);
    const uint64_t address = uint64_t{low(m.slot(insn.b))} + low(insn.imm);
    if (address + sizeof(Raw) > memory_bytes(m, memory)) {
      return trap(m, TrapKind::memory_out_of_bounds);
    }
    To::put(m, insn, m.template memory_load<Raw>(memory, address));
    m.advance();
    return Step::next;
  }
};

/// `From::take(m, insn)` is what is stored.
template <class Raw, class From>
struct Store {
  template <class M>
  static WARPHIVE_INLINE Step run(M& m) {
    const Insn& insn = m.insn();
    const uint64_t address = uint64_t{low(m.slot(insn.a))} + insn.imm;
    if (address + sizeof(Raw) > m.limit()) [[unlikely]]
      return Step::slow;
    m.template store<Raw>(address, From::take(m, insn));
    m.advance();
    return Step::next;
  }
  template <class M>
  static Step slow(M& m) {
    const Insn& insn = m.insn();
    const uint32_t memory = high(insn.imm);
    const uint64_t address = uint64_t{low(m.slot(insn.a))} + low(insn.imm);
    if (address + sizeof(Raw) > memory_bytes(m, memory)) {
      return trap(m, TrapKind::memory_out_of_bounds);
    }
    m.template memory_store<Raw>(memory, address, From::take(m, insn));
    m.advance();
    return Step::next;
  }
};

}  // namespace bodies
}  // namespace warphive::exec
