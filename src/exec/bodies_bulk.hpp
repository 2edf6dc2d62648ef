// SPDX-License-Identifier: Apache-2.0
// Bodies of table ops and of bulk operations. See exec/bodies.hpp.
#pragma once

#include <stdint.h>

#include "exec/body.hpp"

namespace warphive::exec::bodies {

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

}  // namespace warphive::exec::bodies
