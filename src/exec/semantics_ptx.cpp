// SPDX-License-Identifier: Apache-2.0
// Not linked into anything: semantics_ptx_test compiles it for a GPU. One function per scalar op
// and per op on vectors, whose halves come and go in registers.
#include "exec/lanes.hpp"
#include "exec/semantics.hpp"
#include "ir/op.hpp"

namespace warphive::exec::semantics {

#define WARPHIVE_UNARY(name, dst, src, result, trap_kind)                         \
  extern "C" void do_##name(uint##dst##_t* to, uint##src##_t x, TrapKind* kind) { \
    *kind = trap_kind;                                                            \
    if (*kind == TrapKind::none) *to = static_cast<uint##dst##_t>(result);        \
  }
#define WARPHIVE_BINARY(name, dst, src, result, trap_kind)                                         \
  extern "C" void do_##name(uint##dst##_t* to, uint##src##_t x, uint##src##_t y, TrapKind* kind) { \
    *kind = trap_kind;                                                                             \
    if (*kind == TrapKind::none) *to = static_cast<uint##dst##_t>(result);                         \
  }
#define WARPHIVE_CONDITION(name, dst, src, result, trap_kind) \
  extern "C" bool do_##name(uint##src##_t x, uint##src##_t y) { return result; }
using uint128_t = Vector;
#define WARPHIVE_v_v(name, dst, src, result, trap_kind) \
  extern "C" void do_##name(Vector* to, Vector a) {     \
    const src x = lanes_of<src>(a);                     \
    *to = vector_of<dst>(result);                       \
  }
#define WARPHIVE_v_vv(name, dst, src, result, trap_kind)      \
  extern "C" void do_##name(Vector* to, Vector a, Vector b) { \
    const src x = lanes_of<src>(a);                           \
    const src y = lanes_of<src>(b);                           \
    *to = vector_of<dst>(result);                             \
  }
#define WARPHIVE_v_vvv(name, dst, src, result, trap_kind)               \
  extern "C" void do_##name(Vector* to, Vector a, Vector b, Vector c) { \
    const src x = lanes_of<src>(a);                                     \
    const src y = lanes_of<src>(b);                                     \
    const src z = lanes_of<src>(c);                                     \
    *to = vector_of<dst>(result);                                       \
  }
#define WARPHIVE_v_va(name, dst, src, result, trap_kind)        \
  extern "C" void do_##name(Vector* to, Vector a, uint32_t y) { \
    const src x = lanes_of<src>(a);                             \
    *to = vector_of<dst>(result);                               \
  }
#define WARPHIVE_v_a(name, dst, src, result, trap_kind) \
  extern "C" void do_##name(Vector* to, uint##src##_t x) { *to = vector_of<dst>(result); }
#define WARPHIVE_d_v(name, dst, src, result, trap_kind)    \
  extern "C" void do_##name(uint##dst##_t* to, Vector a) { \
    const src x = lanes_of<src>(a);                        \
    *to = result;                                          \
  }
#define WARPHIVE_d_vk(name, dst, src, result, trap_kind)               \
  extern "C" void do_##name(uint##dst##_t* to, Vector a, uint32_t k) { \
    const src x = lanes_of<src>(a);                                    \
    *to = result;                                                      \
  }
#define WARPHIVE_v_vak(name, dst, src, result, trap_kind)                   \
  extern "C" void do_##name(Vector* to, Vector a, uint64_t y, uint32_t k) { \
    const src x = lanes_of<src>(a);                                         \
    *to = vector_of<dst>(result);                                           \
  }
#define WARPHIVE_load_v(name, dst, src, result, trap_kind) \
  extern "C" void do_##name(Vector* to, uint##src##_t x) { *to = vector_of(result); }
extern "C" void do_shuffle(Vector* to, Vector a, Vector b, Vector from) {
  *to = vector_of(shuffle(lanes_of<i8x16>(a), lanes_of<i8x16>(b), lanes_of<i8x16>(from)));
}
#define WARPHIVE_OTHER(name, dst, src, result, trap_kind)

#define WARPHIVE_d_a WARPHIVE_UNARY
#define WARPHIVE_d_ab WARPHIVE_BINARY
#define WARPHIVE_br_ab WARPHIVE_CONDITION
#define WARPHIVE_d_ak WARPHIVE_OTHER
#define WARPHIVE_br_ak WARPHIVE_OTHER
#define WARPHIVE_d_k WARPHIVE_OTHER
#define WARPHIVE_d_abc WARPHIVE_OTHER
#define WARPHIVE_d_g WARPHIVE_OTHER
#define WARPHIVE_g_a WARPHIVE_OTHER
#define WARPHIVE_d_ag WARPHIVE_OTHER
#define WARPHIVE_ab_g WARPHIVE_OTHER
#define WARPHIVE_a_g WARPHIVE_OTHER
#define WARPHIVE_g WARPHIVE_OTHER
#define WARPHIVE_load WARPHIVE_OTHER
#define WARPHIVE_store WARPHIVE_OTHER
#define WARPHIVE_bulk WARPHIVE_OTHER
#define WARPHIVE_br WARPHIVE_OTHER
#define WARPHIVE_br_table WARPHIVE_OTHER
#define WARPHIVE_enter WARPHIVE_OTHER
#define WARPHIVE_call WARPHIVE_OTHER
#define WARPHIVE_call_indirect WARPHIVE_OTHER
#define WARPHIVE_ret WARPHIVE_OTHER
#define WARPHIVE_ret_mov WARPHIVE_OTHER
#define WARPHIVE_v_vva WARPHIVE_OTHER
#define WARPHIVE_v_vvg WARPHIVE_OTHER
#define WARPHIVE_v_g WARPHIVE_OTHER
#define WARPHIVE_g_v WARPHIVE_OTHER
#define WARPHIVE_store_v WARPHIVE_OTHER
#define WARPHIVE_OP(name, shape, dst, src, traits, result, trap_kind) \
  WARPHIVE_##shape(name, dst, src, result, trap_kind)
#include "ir/ops.inc"

}  // namespace warphive::exec::semantics
