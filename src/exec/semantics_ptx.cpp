// SPDX-License-Identifier: Apache-2.0
// Not linked into anything: semantics_ptx_test compiles it for a GPU. One function per scalar op.
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
#define WARPHIVE_OP(name, shape, dst, src, traits, result, trap_kind) \
  WARPHIVE_##shape(name, dst, src, result, trap_kind)
#include "ir/ops.inc"

}  // namespace warphive::exec::semantics
