// SPDX-License-Identifier: Apache-2.0
// What each op does: one Body per row of ir/ops.inc, for every machine (exec/machine.hpp) and every
// dispatcher. A row without a Body does not compile. Freestanding: kernels include this file.
//
// Body<op>::run is the inlined common case. It either finishes, with the next instruction set, or
// changes nothing and returns Step::slow; then Body<op>::slow runs, out of line, and does it all.
#pragma once

#include <stdint.h>

#include "exec/machine.hpp"
#include "exec/semantics.hpp"
#include "ir/op.hpp"

namespace warphive::exec {

using abi::Insn;
using ir::Op;

namespace bodies {

template <Op op>
struct Body;  // no definition: every op needs its own

using abi::TrapKind;
using namespace semantics;  // NOLINT(google-build-using-namespace): the table's expressions

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

// Memory accesses. Memory 0 holds at most 2^32 bytes, so with another memory's index in the high
// half of imm the address is beyond its limit in any case: one comparison decides both.

template <class Raw, class Wide>
struct Load {
  template <class M>
  static WARPHIVE_INLINE Step run(M& m) {
    const Insn& insn = m.insn();
    const uint64_t address = uint64_t{low(m.slot(insn.b))} + insn.imm;
    if (address + sizeof(Raw) > m.limit()) [[unlikely]]
      return Step::slow;
    m.set_slot(insn.a, static_cast<Wide>(m.template load<Raw>(address)));
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
    m.set_slot(insn.a, static_cast<Wide>(m.template memory_load<Raw>(memory, address)));
    m.advance();
    return Step::next;
  }
};

template <class Raw>
struct Store {
  template <class M>
  static WARPHIVE_INLINE Step run(M& m) {
    const Insn& insn = m.insn();
    const uint64_t address = uint64_t{low(m.slot(insn.a))} + insn.imm;
    if (address + sizeof(Raw) > m.limit()) [[unlikely]]
      return Step::slow;
    m.template store<Raw>(address, static_cast<Raw>(m.slot(insn.b)));
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
    m.template memory_store<Raw>(memory, address, static_cast<Raw>(m.slot(insn.b)));
    m.advance();
    return Step::next;
  }
};

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

// Bulk operations

inline constexpr uint32_t chunk_bytes = 1024;
inline constexpr uint32_t chunk_elements = chunk_bytes / 8;

/// The three slots of a bulk op.
struct Range {
  uint32_t to;
  uint32_t from;  // or the value of a fill
  uint32_t count;
};
template <class M>
Range range_of(M& m) {
  const Insn& insn = m.insn();
  return {low(m.slot(insn.a)), low(m.slot(insn.b)), low(m.slot(insn.c))};
}
constexpr bool inside(uint32_t at, uint32_t count, uint64_t size) {
  return uint64_t{at} + count <= size;
}
template <class M>
Step check(M& m, bool ok, TrapKind kind) {
  if (!ok) return trap(m, kind);
  m.advance();
  return Step::next;
}
/// Records that the first `n` items are done.
template <class M>
Step done_front(M& m, const Range& range, uint32_t n, bool moves_source) {
  const Insn& insn = m.insn();
  m.set_slot(insn.a, range.to + n);
  if (moves_source) m.set_slot(insn.b, range.from + n);
  m.set_slot(insn.c, range.count - n);
  m.advance();
  return Step::next;
}
template <class M>
Step done_back(M& m, const Range& range, uint32_t n) {
  m.set_slot(m.insn().c, range.count - n);
  m.advance();
  return Step::next;
}

template <>
struct Body<Op::memory_fill_check> : SlowOnly {
  template <class M>
  static Step slow(M& m) {
    const Range range = range_of(m);
    return check(m, inside(range.to, range.count, memory_bytes(m, low(m.insn().imm))),
                 TrapKind::memory_out_of_bounds);
  }
};
template <>
struct Body<Op::memory_copy_check> : SlowOnly {
  template <class M>
  static Step slow(M& m) {
    const Range range = range_of(m);
    const uint64_t imm = m.insn().imm;
    return check(m,
                 inside(range.to, range.count, memory_bytes(m, low(imm))) &&
                     inside(range.from, range.count, memory_bytes(m, high(imm))),
                 TrapKind::memory_out_of_bounds);
  }
};
template <>
struct Body<Op::memory_init_check> : SlowOnly {
  template <class M>
  static Step slow(M& m) {
    const Range range = range_of(m);
    const uint64_t imm = m.insn().imm;
    const uint32_t length = dropped(m, m.layout().data_dropped_at, high(imm))
                                ? 0
                                : m.code().data_segments[high(imm)].length;
    return check(m,
                 inside(range.to, range.count, memory_bytes(m, low(imm))) &&
                     inside(range.from, range.count, length),
                 TrapKind::memory_out_of_bounds);
  }
};
template <>
struct Body<Op::table_fill_check> : SlowOnly {
  template <class M>
  static Step slow(M& m) {
    const Range range = range_of(m);
    return check(m, inside(range.to, range.count, table_size(m, low(m.insn().imm))),
                 TrapKind::table_out_of_bounds);
  }
};
template <>
struct Body<Op::table_copy_check> : SlowOnly {
  template <class M>
  static Step slow(M& m) {
    const Range range = range_of(m);
    const uint64_t imm = m.insn().imm;
    return check(m,
                 inside(range.to, range.count, table_size(m, low(imm))) &&
                     inside(range.from, range.count, table_size(m, high(imm))),
                 TrapKind::table_out_of_bounds);
  }
};
template <>
struct Body<Op::table_init_check> : SlowOnly {
  template <class M>
  static Step slow(M& m) {
    const Range range = range_of(m);
    const uint64_t imm = m.insn().imm;
    const uint32_t length = dropped(m, m.layout().elem_dropped_at, high(imm))
                                ? 0
                                : m.code().element_segments[high(imm)].length;
    return check(m,
                 inside(range.to, range.count, table_size(m, low(imm))) &&
                     inside(range.from, range.count, length),
                 TrapKind::table_out_of_bounds);
  }
};

template <>
struct Body<Op::memory_fill_chunk> : SlowOnly {
  template <class M>
  static Step slow(M& m) {
    const Range range = range_of(m);
    const uint32_t n = range.count < chunk_bytes ? range.count : chunk_bytes;
    m.memory_fill(low(m.insn().imm), range.to, static_cast<uint8_t>(range.from), n);
    return done_front(m, range, n, false);
  }
};
template <>
struct Body<Op::memory_copy_chunk> : SlowOnly {
  template <class M>
  static Step slow(M& m) {
    const Range range = range_of(m);
    const uint32_t to = low(m.insn().imm);
    const uint32_t from = high(m.insn().imm);
    const uint32_t n = range.count < chunk_bytes ? range.count : chunk_bytes;
    if (to != from || range.to <= range.from) {
      m.memory_move(to, range.to, from, range.from, n);
      return done_front(m, range, n, true);
    }
    // The destination overlaps from above: from the back, so that no source is overwritten early.
    const uint32_t rest = range.count - n;
    m.memory_move(to, range.to + rest, from, range.from + rest, n);
    return done_back(m, range, n);
  }
};
template <>
struct Body<Op::memory_init_chunk> : SlowOnly {
  template <class M>
  static Step slow(M& m) {
    const Range range = range_of(m);
    const uint64_t imm = m.insn().imm;
    const uint32_t n = range.count < chunk_bytes ? range.count : chunk_bytes;
    m.memory_init(low(imm), range.to, m.code().data_segments[high(imm)].first + range.from, n);
    return done_front(m, range, n, true);
  }
};
template <>
struct Body<Op::table_fill_chunk> : SlowOnly {
  template <class M>
  static Step slow(M& m) {
    const Range range = range_of(m);
    const uint32_t table = low(m.insn().imm);
    const uint64_t value = m.slot(m.insn().b);
    const uint32_t n = range.count < chunk_elements ? range.count : chunk_elements;
    for (uint32_t i = 0; i < n; ++i) set_table_element(m, table, range.to + i, value);
    return done_front(m, range, n, false);
  }
};
template <>
struct Body<Op::table_copy_chunk> : SlowOnly {
  template <class M>
  static Step slow(M& m) {
    const Range range = range_of(m);
    const uint32_t to = low(m.insn().imm);
    const uint32_t from = high(m.insn().imm);
    const uint32_t n = range.count < chunk_elements ? range.count : chunk_elements;
    if (to != from || range.to <= range.from) {
      for (uint32_t i = 0; i < n; ++i) {
        set_table_element(m, to, range.to + i, table_element(m, from, range.from + i));
      }
      return done_front(m, range, n, true);
    }
    for (uint32_t i = range.count; i-- > range.count - n;) {
      set_table_element(m, to, range.to + i, table_element(m, from, range.from + i));
    }
    return done_back(m, range, n);
  }
};
template <>
struct Body<Op::table_init_chunk> : SlowOnly {
  template <class M>
  static Step slow(M& m) {
    const Range range = range_of(m);
    const uint64_t imm = m.insn().imm;
    const uint32_t n = range.count < chunk_elements ? range.count : chunk_elements;
    const uint64_t* source = m.code().elements + m.code().element_segments[high(imm)].first;
    for (uint32_t i = 0; i < n; ++i) {
      uint64_t value = source[range.from + i];
      if ((value & abi::element_is_global) != 0) value = m.global(low(value));
      set_table_element(m, low(imm), range.to + i, value);
    }
    return done_front(m, range, n, true);
  }
};

template <>
struct Body<Op::data_drop> : SlowOnly {
  template <class M>
  static Step slow(M& m) {
    drop(m, m.layout().data_dropped_at, low(m.insn().imm));
    m.advance();
    return Step::next;
  }
};
template <>
struct Body<Op::elem_drop> : SlowOnly {
  template <class M>
  static Step slow(M& m) {
    drop(m, m.layout().elem_dropped_at, low(m.insn().imm));
    m.advance();
    return Step::next;
  }
};

// Tables

template <>
struct Body<Op::table_get> : SlowOnly {
  template <class M>
  static Step slow(M& m) {
    const Insn& insn = m.insn();
    const uint32_t index = low(m.slot(insn.b));
    if (index >= table_size(m, low(insn.imm))) return trap(m, TrapKind::table_out_of_bounds);
    m.set_slot(insn.a, table_element(m, low(insn.imm), index));
    m.advance();
    return Step::next;
  }
};
template <>
struct Body<Op::table_set> : SlowOnly {
  template <class M>
  static Step slow(M& m) {
    const Insn& insn = m.insn();
    const uint32_t index = low(m.slot(insn.a));
    if (index >= table_size(m, low(insn.imm))) return trap(m, TrapKind::table_out_of_bounds);
    set_table_element(m, low(insn.imm), index, m.slot(insn.b));
    m.advance();
    return Step::next;
  }
};
template <>
struct Body<Op::table_size> : SlowOnly {
  template <class M>
  static Step slow(M& m) {
    m.set_slot(m.insn().a, table_size(m, low(m.insn().imm)));
    m.advance();
    return Step::next;
  }
};
template <>
struct Body<Op::table_grow> : SlowOnly {
  template <class M>
  static Step slow(M& m) {
    const Insn& insn = m.insn();
    const uint32_t table = low(insn.imm);
    const abi::TableLayout& layout = m.layout().tables[table];
    const uint32_t size = table_size(m, table);
    const uint64_t wanted = uint64_t{size} + low(m.slot(insn.b));
    const bool grows = wanted <= layout.max && wanted <= layout.capacity;
    // Elements beyond the size are null, as bytes beyond a memory's size are zero.
    if (grows) m.set_state32(m.layout().table_sizes_at + 4 * table, low(wanted));
    m.set_slot(insn.a, grows ? size : 0xffffffffu);
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
struct Body<Op::load8_u> : Load<uint8_t, uint64_t> {};
template <>
struct Body<Op::load8_s32> : Load<int8_t, uint32_t> {};
template <>
struct Body<Op::load8_s64> : Load<int8_t, uint64_t> {};
template <>
struct Body<Op::load16_u> : Load<uint16_t, uint64_t> {};
template <>
struct Body<Op::load16_s32> : Load<int16_t, uint32_t> {};
template <>
struct Body<Op::load16_s64> : Load<int16_t, uint64_t> {};
template <>
struct Body<Op::load32_u> : Load<uint32_t, uint64_t> {};
template <>
struct Body<Op::load32_s64> : Load<int32_t, uint64_t> {};
template <>
struct Body<Op::load64> : Load<uint64_t, uint64_t> {};
template <>
struct Body<Op::store8> : Store<uint8_t> {};
template <>
struct Body<Op::store16> : Store<uint16_t> {};
template <>
struct Body<Op::store32> : Store<uint32_t> {};
template <>
struct Body<Op::store64> : Store<uint64_t> {};

/// Encoded-only: the bottom frame's return.
struct StopBody : SlowOnly {
  template <class M>
  static Step slow(M& m) {
    return stop(m, abi::Exit::returned, m.index());
  }
};

}  // namespace bodies
}  // namespace warphive::exec
