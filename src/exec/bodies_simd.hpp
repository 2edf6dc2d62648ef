// SPDX-License-Identifier: Apache-2.0
// The bodies of ops on vectors: a part of exec/bodies.hpp, which goes over the table with these
// macros. A vector is read whole before anything is written, so operands may overlap the result.
#pragma once

#include <stdint.h>

#include "exec/body.hpp"
#include "exec/lanes.hpp"
#include "ir/op.hpp"

namespace warphive::exec::bodies {

using uint128_t = abi::Vector;

template <class L, class M>
WARPHIVE_INLINE L get_lanes(M& m, uint32_t slot) {
  return semantics::lanes_of<L>({m.slot(slot), m.slot(slot + 1)});
}
template <class L, class M>
WARPHIVE_INLINE void set_lanes(M& m, uint32_t slot, const L& lanes) {
  const abi::Vector vector = semantics::vector_of(lanes);
  m.set_slot(slot, vector.low);
  m.set_slot(slot + 1, vector.high);
}
template <class M>
WARPHIVE_INLINE Step finish(M& m) {
  m.advance();
  return Step::next;
}

#define WARPHIVE_VECTOR(name, ...)          \
  template <>                               \
  struct Body<Op::name> : NeverSlow {       \
    template <class M>                      \
    static WARPHIVE_INLINE Step run(M& m) { \
      const Insn& insn = m.insn();          \
      __VA_ARGS__                           \
      return finish(m);                     \
    }                                       \
  };
#define WARPHIVE_BODY_v_v(name, dst, src, result, trap_kind)      \
  WARPHIVE_VECTOR(name, const auto x = get_lanes<src>(m, insn.b); \
                  set_lanes<dst>(m, insn.a, result);)
#define WARPHIVE_BODY_v_vv(name, dst, src, result, trap_kind)     \
  WARPHIVE_VECTOR(name, const auto x = get_lanes<src>(m, insn.b); \
                  const auto y = get_lanes<src>(m, insn.c); set_lanes<dst>(m, insn.a, result);)
#define WARPHIVE_BODY_v_vvv(name, dst, src, result, trap_kind)                                  \
  WARPHIVE_VECTOR(                                                                              \
      name, const auto x = get_lanes<src>(m, insn.b); const auto y = get_lanes<src>(m, insn.c); \
      const auto z = get_lanes<src>(m, low(insn.imm)); set_lanes<dst>(m, insn.a, result);)
#define WARPHIVE_BODY_v_va(name, dst, src, result, trap_kind)     \
  WARPHIVE_VECTOR(name, const auto x = get_lanes<src>(m, insn.b); \
                  const uint32_t y = low(m.slot(insn.c)); set_lanes<dst>(m, insn.a, result);)
#define WARPHIVE_BODY_v_a(name, dst, src, result, trap_kind)                       \
  WARPHIVE_VECTOR(name, const auto x = static_cast<uint##src##_t>(m.slot(insn.b)); \
                  set_lanes<dst>(m, insn.a, result);)
#define WARPHIVE_BODY_d_v(name, dst, src, result, trap_kind) \
  WARPHIVE_VECTOR(name, const auto x = get_lanes<src>(m, insn.b); m.set_slot(insn.a, result);)
#define WARPHIVE_BODY_d_vk(name, dst, src, result, trap_kind)     \
  WARPHIVE_VECTOR(name, const auto x = get_lanes<src>(m, insn.b); \
                  const uint32_t k = low(insn.imm); m.set_slot(insn.a, result);)
#define WARPHIVE_BODY_v_vak(name, dst, src, result, trap_kind)                         \
  WARPHIVE_VECTOR(name, const auto x = get_lanes<src>(m, insn.b);                      \
                  const uint64_t y = m.slot(insn.c); const uint32_t k = low(insn.imm); \
                  set_lanes<dst>(m, insn.a, result);)
#define WARPHIVE_BODY_load_v(name, dst, src, result, trap_kind)                       \
  struct To_##name {                                                                  \
    template <class M>                                                                \
    static WARPHIVE_INLINE void put(M& m, const Insn& insn, const uint##src##_t& x) { \
      set_lanes(m, insn.a, result);                                                   \
    }                                                                                 \
  };                                                                                  \
  template <>                                                                         \
  struct Body<Op::name> : Load<uint##src##_t, To_##name> {};
// Each of these has its body below.
#define WARPHIVE_BODY_v_vva(...)
#define WARPHIVE_BODY_v_vvg(...)
#define WARPHIVE_BODY_v_g(...)
#define WARPHIVE_BODY_g_v(...)
#define WARPHIVE_BODY_store_v(...)

WARPHIVE_VECTOR(select128, {
  const uint32_t condition = low(m.slot(low(insn.imm)));
  set_lanes(m, insn.a, get_lanes<abi::Vector>(m, condition != 0 ? insn.b : insn.c));
})
WARPHIVE_VECTOR(shuffle8x16, {
  const auto from = semantics::lanes_of<semantics::i8x16>(m.code().vectors[low(insn.imm)]);
  set_lanes(m, insn.a,
            semantics::shuffle(get_lanes<semantics::i8x16>(m, insn.b),
                               get_lanes<semantics::i8x16>(m, insn.c), from));
})
WARPHIVE_VECTOR(const128, { set_lanes(m, insn.a, m.code().vectors[low(insn.imm)]); })
WARPHIVE_VECTOR(global_get128, {
  const uint32_t global = low(insn.imm);
  set_lanes(m, insn.a, abi::Vector{m.global(global), m.global(global + 1)});
})
WARPHIVE_VECTOR(global_set128, {
  const auto value = get_lanes<abi::Vector>(m, insn.a);
  m.set_global(low(insn.imm), value.low);
  m.set_global(low(insn.imm) + 1, value.high);
})

struct FromLanes {
  template <class M>
  static WARPHIVE_INLINE abi::Vector take(M& m, const Insn& insn) {
    return get_lanes<abi::Vector>(m, insn.b);
  }
};
template <>
struct Body<Op::store128> : Store<abi::Vector, FromLanes> {};

}  // namespace warphive::exec::bodies
