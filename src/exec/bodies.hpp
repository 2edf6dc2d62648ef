// SPDX-License-Identifier: Apache-2.0
// What each op does: one Body per row of ir/ops.inc, for every machine (exec/machine.hpp) and every
// dispatcher. A row without a Body does not compile. Freestanding: kernels include this file.
//
// Body<op>::run is the inlined common case. It either finishes, with the next instruction set, or
// changes nothing and returns Step::slow; then Body<op>::slow runs, out of line, and does it all.
#pragma once

#include <stdint.h>

#include "exec/bodies_bulk.hpp"
#include "exec/bodies_simd.hpp"
#include "exec/body.hpp"
#include "exec/semantics.hpp"
#include "ir/op.hpp"

namespace warphive::exec::bodies {

using namespace semantics;  // NOLINT(google-build-using-namespace): the table's expressions

// Scalar ops and conditional branches come from the table's expressions.

#define WARPHIVE_SCALAR(name, dst, src, read_y, result, trap_kind)                         \
  template <>                                                                              \
  struct Body<Op::name> {                                                                  \
    template <class M>                                                                     \
    static WARPHIVE_INLINE Step run(M& m) {                                                \
      const Insn& insn = m.insn();                                                         \
      const uint##src##_t x = static_cast<uint##src##_t>(m.slot(insn.b));                  \
      [[maybe_unused]] const uint##src##_t y = static_cast<uint##src##_t>(read_y);         \
      if ((trap_kind) != TrapKind::none) [[unlikely]]                                      \
        return Step::slow;                                                                 \
      m.set_slot(insn.a, static_cast<uint##dst##_t>(result));                              \
      m.advance();                                                                         \
      return Step::next;                                                                   \
    }                                                                                      \
    template <class M>                                                                     \
    static Step slow(M& m) {                                                               \
      const Insn& insn = m.insn();                                                         \
      [[maybe_unused]] const uint##src##_t x = static_cast<uint##src##_t>(m.slot(insn.b)); \
      [[maybe_unused]] const uint##src##_t y = static_cast<uint##src##_t>(read_y);         \
      return trap(m, trap_kind);                                                           \
    }                                                                                      \
  };
#define WARPHIVE_BRANCH(name, src, read_y, result)                        \
  template <>                                                             \
  struct Body<Op::name> {                                                 \
    template <class M>                                                    \
    static WARPHIVE_INLINE Step run(M& m) {                               \
      const Insn& insn = m.insn();                                        \
      const uint##src##_t x = static_cast<uint##src##_t>(m.slot(insn.a)); \
      const uint##src##_t y = static_cast<uint##src##_t>(read_y);         \
      if (result) return branch(m, insn.imm);                             \
      m.advance();                                                        \
      return Step::next;                                                  \
    }                                                                     \
    template <class M>                                                    \
    static Step slow(M& m) {                                              \
      return branch_slow(m, m.insn().imm);                                \
    }                                                                     \
  };

/// The constant of a br_ak, as stored: b holds its low half, c its high half.
WARPHIVE_INLINE int64_t branch_constant(const Insn& insn) {
  return static_cast<int32_t>(uint32_t{insn.b} | (uint32_t{insn.c} << 16));
}

#define WARPHIVE_BODY_d_a(name, dst, src, result, trap_kind) \
  WARPHIVE_SCALAR(name, dst, src, 0, result, trap_kind)
#define WARPHIVE_BODY_d_ab(name, dst, src, result, trap_kind) \
  WARPHIVE_SCALAR(name, dst, src, m.slot(insn.c), result, trap_kind)
#define WARPHIVE_BODY_d_ak(name, dst, src, result, trap_kind) \
  WARPHIVE_SCALAR(name, dst, src, insn.imm, result, trap_kind)
#define WARPHIVE_BODY_br_ab(name, dst, src, result, trap_kind) \
  WARPHIVE_BRANCH(name, src, m.slot(insn.b), result)
#define WARPHIVE_BODY_br_ak(name, dst, src, result, trap_kind) \
  WARPHIVE_BRANCH(name, src, branch_constant(insn), result)
// All other shapes have their bodies below.
#define WARPHIVE_BODY_d_k(...)
#define WARPHIVE_BODY_d_abc(...)
#define WARPHIVE_BODY_d_g(...)
#define WARPHIVE_BODY_g_a(...)
#define WARPHIVE_BODY_d_ag(...)
#define WARPHIVE_BODY_ab_g(...)
#define WARPHIVE_BODY_a_g(...)
#define WARPHIVE_BODY_g(...)
#define WARPHIVE_BODY_load(...)
#define WARPHIVE_BODY_store(...)
#define WARPHIVE_BODY_bulk(...)
#define WARPHIVE_BODY_br(...)
#define WARPHIVE_BODY_br_table(...)
#define WARPHIVE_BODY_enter(...)
#define WARPHIVE_BODY_call(...)
#define WARPHIVE_BODY_call_indirect(...)
#define WARPHIVE_BODY_ret(...)
#define WARPHIVE_BODY_ret_mov(...)
#define WARPHIVE_OP(name, shape, dst, src, traits, result, trap_kind) \
  WARPHIVE_BODY_##shape(name, dst, src, result, trap_kind)
#include "ir/ops.inc"

// Values

template <>
struct Body<Op::const_k> : NeverSlow {
  template <class M>
  static WARPHIVE_INLINE Step run(M& m) {
    m.set_slot(m.insn().a, m.insn().imm);
    m.advance();
    return Step::next;
  }
};

/// The encoder turns it into const_k; this is what it means.
template <>
struct Body<Op::ref_func> : NeverSlow {
  template <class M>
  static WARPHIVE_INLINE Step run(M& m) {
    m.set_slot(m.insn().a, m.insn().imm + 1);
    m.advance();
    return Step::next;
  }
};

template <>
struct Body<Op::select> : NeverSlow {
  template <class M>
  static WARPHIVE_INLINE Step run(M& m) {
    const Insn& insn = m.insn();
    const uint32_t condition = low(m.slot(low(insn.imm)));
    m.set_slot(insn.a, m.slot(condition != 0 ? insn.b : insn.c));
    m.advance();
    return Step::next;
  }
};

template <>
struct Body<Op::global_get> : NeverSlow {
  template <class M>
  static WARPHIVE_INLINE Step run(M& m) {
    m.set_slot(m.insn().a, m.global(low(m.insn().imm)));
    m.advance();
    return Step::next;
  }
};

template <>
struct Body<Op::global_set> : NeverSlow {
  template <class M>
  static WARPHIVE_INLINE Step run(M& m) {
    m.set_global(low(m.insn().imm), m.slot(m.insn().a));
    m.advance();
    return Step::next;
  }
};

// Memory accesses

template <class Raw, class Wide>
struct ToSlot {
  template <class M>
  static WARPHIVE_INLINE void put(M& m, const Insn& insn, Raw value) {
    m.set_slot(insn.a, static_cast<Wide>(value));
  }
};
template <class Raw>
struct FromSlot {
  template <class M>
  static WARPHIVE_INLINE Raw take(M& m, const Insn& insn) {
    return static_cast<Raw>(m.slot(insn.b));
  }
};
template <class Raw, class Wide>
using LoadNumber = Load<Raw, ToSlot<Raw, Wide>>;
template <class Raw>
using StoreNumber = Store<Raw, FromSlot<Raw>>;

template <>
struct Body<Op::memory_size> : SlowOnly {
  template <class M>
  static Step slow(M& m) {
    m.set_slot(m.insn().a, memory_pages(m, low(m.insn().imm)));
    m.advance();
    return Step::next;
  }
};

template <>
struct Body<Op::memory_grow> : SlowOnly {
  template <class M>
  static Step slow(M& m) {
    const Insn& insn = m.insn();
    const uint32_t memory = low(insn.imm);
    const abi::MemoryLayout& layout = m.layout().memories[memory];
    const uint32_t pages = memory_pages(m, memory);
    const uint64_t wanted = uint64_t{pages} + low(m.slot(insn.b));
    uint32_t result = pages;
    if (wanted > layout.max) {
      result = 0xffffffffu;
    } else if (wanted > layout.capacity) {
      ++m.header().grow_refused;
      result = 0xffffffffu;
    } else {
      m.set_state32(m.layout().memory_pages_at + 4 * memory, low(wanted));
      m.reload();
    }
    m.set_slot(insn.a, result);
    m.advance();
    return Step::next;
  }
};

// Charges

template <>
struct Body<Op::charge> {
  template <class M>
  static WARPHIVE_INLINE Step run(M& m) {
    const int64_t left = m.fuel() - static_cast<int64_t>(m.insn().imm);
    if (left < 0) [[unlikely]]
      return Step::slow;
    m.fuel() = left;
    m.advance();
    return Step::next;
  }
  template <class M>
  static Step slow(M& m) {
    const Step step = pay(m, m.insn().imm, m.index());
    if (step == Step::next) m.advance();
    return step;
  }
};

template <>
struct Body<Op::bulk_charge> : SlowOnly {
  template <class M>
  static Step slow(M& m) {
    const uint64_t bytes = uint64_t{low(m.slot(m.insn().a))} * low(m.insn().imm);
    const uint64_t units = ((bytes < chunk_bytes ? bytes : chunk_bytes) + 63) / 64;
    const Step step = pay(m, units, m.index());
    if (step == Step::next) m.advance();
    return step;
  }
};

// Control

template <>
struct Body<Op::br> {
  template <class M>
  static WARPHIVE_INLINE Step run(M& m) {
    return branch(m, m.insn().imm);
  }
  template <class M>
  static Step slow(M& m) {
    return branch_slow(m, m.insn().imm);
  }
};

template <>
struct Body<Op::br_table> {
  template <class M>
  static WARPHIVE_INLINE Step run(M& m) {
    return branch(m, target(m));
  }
  template <class M>
  static Step slow(M& m) {
    return branch_slow(m, target(m));
  }
  template <class M>
  static WARPHIVE_INLINE uint64_t target(M& m) {
    const Insn& insn = m.insn();
    const uint32_t last = high(insn.imm) - 1;
    const uint32_t index = low(m.slot(insn.a));
    return m.branch_target(low(insn.imm) + (index < last ? index : last));
  }
};

template <>
struct Body<Op::trap> : SlowOnly {
  template <class M>
  static Step slow(M& m) {
    return trap(m, static_cast<TrapKind>(m.insn().imm));
  }
};

// Calls

/// Read by calls as a description of the callee; running it is our bug.
template <>
struct Body<Op::enter> : SlowOnly, NeverSlow {};

template <>
struct Body<Op::call> {
  template <class M>
  static WARPHIVE_INLINE Step run(M& m) {
    return call(m, low(m.insn().imm), m.insn().a);
  }
  template <class M>
  static Step slow(M& m) {
    return call_slow(m, low(m.insn().imm), m.insn().a);
  }
};

template <>
struct Body<Op::call_indirect> {
  template <class M>
  static WARPHIVE_INLINE Step run(M& m) {
    const Insn& insn = m.insn();
    const uint32_t index = low(m.slot(insn.b));
    if (index >= table_size(m, low(insn.imm))) [[unlikely]]
      return Step::slow;
    const uint64_t element = table_element(m, low(insn.imm), index);
    if (element == 0 || m.function(low(element - 1)).type != high(insn.imm)) [[unlikely]]
      return Step::slow;
    return call(m, low(element - 1), insn.a);
  }
  template <class M>
  static Step slow(M& m) {
    const Insn& insn = m.insn();
    const uint32_t index = low(m.slot(insn.b));
    if (index >= table_size(m, low(insn.imm))) {
      return trap(m, TrapKind::undefined_element);
    }
    const uint64_t element = table_element(m, low(insn.imm), index);
    if (element == 0) return trap(m, TrapKind::uninitialized_element);
    if (m.function(low(element - 1)).type != high(insn.imm)) {
      return trap(m, TrapKind::indirect_call_mismatch);
    }
    return call_slow(m, low(element - 1), insn.a);
  }
};

template <>
struct Body<Op::host_call> : SlowOnly {
  template <class M>
  static Step slow(M& m) {
    const uint32_t here = m.index();
    const uint32_t import = low(m.insn().imm);
    // The host function sees an exact header: the virtual clock is a function of fuel_used.
    settle(m);
    m.granted() = 0;  // and may change its fuel
    m.fuel() = 0;
    m.save(here);
    m.header().host_import = import;
    const abi::Exit exit = m.serve(import);
    m.reload();
    switch (exit) {
      case abi::Exit::ready:
        m.advance();
        return Step::next;
      case abi::Exit::trapped: {
        const TrapKind kind = m.header().trap;
        return trap(m, kind == TrapKind::none ? TrapKind::host : kind);
      }
      case abi::Exit::parked:  // whoever answers writes the results to the slots
        return stop(m, exit, here + 1);
      default:  // not done: asked again if the instance goes on
        return stop(m, exit, here);
    }
  }
};

template <>
struct Body<Op::ret> : NeverSlow {
  template <class M>
  static WARPHIVE_INLINE Step run(M& m) {
    const uint64_t header = m.slot(m.insn().a);
    m.pop_frame(high(header));
    m.jump(low(header));
    return Step::next;
  }
};

template <>
struct Body<Op::ret_mov> : NeverSlow {
  template <class M>
  static WARPHIVE_INLINE Step run(M& m) {
    const uint64_t header = m.slot(m.insn().a);
    m.set_slot(0, m.slot(m.insn().b));
    m.pop_frame(high(header));
    m.jump(low(header));
    return Step::next;
  }
};

template <>
struct Body<Op::load8_u> : LoadNumber<uint8_t, uint64_t> {};
template <>
struct Body<Op::load8_s32> : LoadNumber<int8_t, uint32_t> {};
template <>
struct Body<Op::load8_s64> : LoadNumber<int8_t, uint64_t> {};
template <>
struct Body<Op::load16_u> : LoadNumber<uint16_t, uint64_t> {};
template <>
struct Body<Op::load16_s32> : LoadNumber<int16_t, uint32_t> {};
template <>
struct Body<Op::load16_s64> : LoadNumber<int16_t, uint64_t> {};
template <>
struct Body<Op::load32_u> : LoadNumber<uint32_t, uint64_t> {};
template <>
struct Body<Op::load32_s64> : LoadNumber<int32_t, uint64_t> {};
template <>
struct Body<Op::load64> : LoadNumber<uint64_t, uint64_t> {};
template <>
struct Body<Op::store8> : StoreNumber<uint8_t> {};
template <>
struct Body<Op::store16> : StoreNumber<uint16_t> {};
template <>
struct Body<Op::store32> : StoreNumber<uint32_t> {};
template <>
struct Body<Op::store64> : StoreNumber<uint64_t> {};

/// Encoded-only: the bottom frame's return.
struct StopBody : SlowOnly {
  template <class M>
  static Step slow(M& m) {
    return stop(m, abi::Exit::returned, m.index());
  }
};

}  // namespace warphive::exec::bodies
