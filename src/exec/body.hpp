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

// Memory accesses

/// `Do` says which slot has the address, and acts on an address whose bytes are all there:
/// base(insn), first(m, insn, address) in memory 0, any(m, insn, memory, address). Memory 0 holds
/// at most 2^32 bytes, so with another memory's index in the high half of imm the address is beyond
/// its limit in any case: one comparison decides both.
template <uint64_t bytes, class Do>
struct Access {
  template <class M>
  static WARPHIVE_INLINE Step run(M& m) {
    const Insn& insn = m.insn();
    const uint64_t address = uint64_t{low(m.slot(Do::base(insn)))} + insn.imm;
    if (address + bytes > m.limit()) [[unlikely]]
      return Step::slow;
    Do::first(m, insn, address);
    m.advance();
    return Step::next;
  }
  template <class M>
  static Step slow(M& m) {
    const Insn& insn = m.insn();
    const uint32_t memory = high(insn.imm);
    const uint64_t address = uint64_t{low(m.slot(Do::base(insn)))} + low(insn.imm);
    if (address + bytes > memory_bytes(m, memory)) {
      return trap(m, TrapKind::memory_out_of_bounds);
    }
    Do::any(m, insn, memory, address);
    m.advance();
    return Step::next;
  }
};

template <class Raw, class To>
struct DoLoad {
  static WARPHIVE_INLINE auto base(const Insn& insn) { return insn.b; }
  template <class M>
  static WARPHIVE_INLINE void first(M& m, const Insn& insn, uint64_t address) {
    To::put(m, insn, m.template load<Raw>(address));
  }
  template <class M>
  static WARPHIVE_INLINE void any(M& m, const Insn& insn, uint32_t memory, uint64_t address) {
    To::put(m, insn, m.template memory_load<Raw>(memory, address));
  }
};
template <class Raw, class From>
struct DoStore {
  static WARPHIVE_INLINE auto base(const Insn& insn) { return insn.a; }
  template <class M>
  static WARPHIVE_INLINE void first(M& m, const Insn& insn, uint64_t address) {
    m.template store<Raw>(address, From::take(m, insn));
  }
  template <class M>
  static WARPHIVE_INLINE void any(M& m, const Insn& insn, uint32_t memory, uint64_t address) {
    m.template memory_store<Raw>(memory, address, From::take(m, insn));
  }
};
/// `To::put(m, insn, value)` keeps what was loaded.
template <class Raw, class To>
using Load = Access<sizeof(Raw), DoLoad<Raw, To>>;
/// `From::take(m, insn)` is what is stored.
template <class Raw, class From>
using Store = Access<sizeof(Raw), DoStore<Raw, From>>;

}  // namespace bodies
}  // namespace warphive::exec
