// SPDX-License-Identifier: Apache-2.0
// The IR's ops and their facts, derived from ops.inc. Freestanding: device programs include it.
#pragma once

#include <stdint.h>

namespace warphive::ir {

enum class Op : uint16_t {
#define WARPHIVE_OP(name, shape, dst, src, traits, result, trap) name,
#include "ir/ops.inc"
};

inline constexpr uint16_t op_count = 0
#define WARPHIVE_OP(name, shape, dst, src, traits, result, trap) +1
#include "ir/ops.inc"
    ;

/// Which fields of Inst an op uses: d destination slot, a b c source slots, k constant, g an index.
enum class Shape : uint8_t {
  d_k,            // a: dst; imm: the value's bits
  d_a,            // a: dst, b: x
  d_ab,           // a: dst, b: x, c: y
  d_ak,           // a: dst, b: x; imm: y
  d_abc,          // a: dst, b: if nonzero, c: if zero; imm: condition slot (32 bits read)
  d_g,            // a: dst; imm: index
  g_a,            // a: source; imm: index
  d_ag,           // a: dst, b: x; imm: index
  ab_g,           // a: x, b: y; imm: index
  a_g,            // a: x; imm
  g,              // imm
  load,           // a: dst, b: address; imm: offset | memory << 32
  store,          // a: address, b: value; imm: offset | memory << 32
  bulk,           // a, b, c: destination, source or value, count; imm: first index | second << 32
  br,             // imm: target block
  br_ab,          // a: x, b: y; imm: target block
  br_ak,          // a: x, b | c << 16: y, a sign-extended 32-bit constant; imm: target block
  br_table,       // a: index; imm: branch table
  enter,          // a: header slot, b: first slot to zero, c: count; imm: frame slots
  call,           // a: argument base; imm: function
  call_indirect,  // a: argument base, b: index; imm: table | type << 32
  ret,            // a: header slot
  ret_mov,        // a: header slot, b: source
  // With vectors, of which a field names the first of two slots
  v_v,      // a: dst, b: x, both vectors
  v_vv,     // a: dst, b: x, c: y, all vectors
  v_vvv,    // a: dst, b: x, c: y, all vectors; imm: z, a vector
  v_vva,    // a: dst, b: if nonzero, c: if zero, all vectors; imm: condition slot (32 bits read)
  v_va,     // a: dst, b: x, both vectors; c: y, a slot
  v_a,      // a: dst, a vector; b: x, a slot
  d_v,      // a: dst, a slot; b: x, a vector
  d_vk,     // a: dst, a slot; b: x, a vector; imm: k
  v_vak,    // a: dst, b: x, both vectors; c: y, a slot; imm: k
  v_vvg,    // a: dst, b: x, c: y, all vectors; imm: index
  v_g,      // a: dst, a vector; imm: index
  g_v,      // a: source, a vector; imm: index
  load_v,   // a: dst, a vector; b: address; imm: offset | memory << 32
  store_v,  // a: address; b: value, a vector; imm: offset | memory << 32
};

namespace trait {
inline constexpr uint8_t pure = 0;
inline constexpr uint8_t traps = 1;   // may trap
inline constexpr uint8_t loads = 2;   // reads linear memory
inline constexpr uint8_t stores = 4;  // writes linear memory
inline constexpr uint8_t state = 8;   // touches other instance state
inline constexpr uint8_t ends = 16;   // last inst of its block
inline constexpr uint8_t calls = 32;  // runs other code
}  // namespace trait

struct OpInfo {
  const char* name;
  Shape shape;
  uint8_t dst_bits;
  uint8_t src_bits;
  uint8_t traits;
};

namespace detail {
using namespace trait;  // NOLINT(google-build-using-namespace): the table's trait column
// Vectors in the table's columns of widths, named after their lanes.
inline constexpr uint8_t i8x16 = 128, i16x8 = 128, i32x4 = 128, i64x2 = 128, f32x4 = 128,
                         f64x2 = 128;
inline constexpr OpInfo op_infos[op_count] = {
#define WARPHIVE_OP(name, shape, dst, src, traits, result, trap) \
  {#name, Shape::shape, dst, src, static_cast<uint8_t>(traits)},
#include "ir/ops.inc"
};
}  // namespace detail

constexpr const OpInfo& info(Op op) { return detail::op_infos[static_cast<uint16_t>(op)]; }

/// One instruction. The same 16 bytes serve the IR and the encoded program; in the encoded program
/// targets are instruction indices and branches carry their target's charge (abi/code.hpp).
struct Inst {
  Op op;
  uint16_t a;
  uint16_t b;
  uint16_t c;
  uint64_t imm;

  friend constexpr bool operator==(const Inst&, const Inst&) = default;
};
static_assert(sizeof(Inst) == 16);

constexpr uint32_t imm_low(const Inst& inst) { return static_cast<uint32_t>(inst.imm); }
constexpr uint32_t imm_high(const Inst& inst) { return static_cast<uint32_t>(inst.imm >> 32); }
constexpr uint64_t imm_pair(uint32_t low, uint32_t high) {
  return uint64_t{low} | (uint64_t{high} << 32);
}
/// The constant of a br_ak op, sign-extended.
constexpr int64_t branch_constant(const Inst& inst) {
  return static_cast<int32_t>(uint32_t{inst.b} | (uint32_t{inst.c} << 16));
}
constexpr bool ends_block(Op op) { return (info(op).traits & trait::ends) != 0; }
constexpr bool is_conditional(Op op) {
  return info(op).shape == Shape::br_ab || info(op).shape == Shape::br_ak;
}
/// True where control never falls through to the next block.
constexpr bool ends_flow(Op op) { return ends_block(op) && !is_conditional(op); }

}  // namespace warphive::ir
