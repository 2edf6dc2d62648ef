// SPDX-License-Identifier: Apache-2.0
// What the fields of an instruction mean, per op: which name slots, which of those are read and
// written, and what the halves of `imm` index. Verifier, linker, printer, parser and optimiser
// share it.
#pragma once

#include <array>
#include <cstdint>

#include "ir/op.hpp"

namespace warphive::ir {

namespace field {
inline constexpr std::uint8_t a = 1;
inline constexpr std::uint8_t b = 2;
inline constexpr std::uint8_t c = 4;
inline constexpr std::uint8_t imm = 8;
}  // namespace field

/// What half of an `imm` is: an index into one of the module's or function's lists, or a number.
enum class Space : std::uint8_t {
  unused,  // 0
  number,  // any value
  function,
  global,
  memory,
  table,
  data,
  elem,
  type,
  host,
  block,
  branch_table,
  vector,
};
inline constexpr std::uint8_t space_count = 13;

struct Operands {
  std::uint8_t reads = 0;   // fields that name slots it reads; calls read their window besides
  std::uint8_t writes = 0;  // fields that name slots it writes
  std::uint8_t raw = 0;     // a, b, c that are used, but name no slot to read or write
  Space low = Space::unused;
  Space high = Space::unused;
  std::uint8_t wide = 0;  // fields that name the first of two slots
};

namespace detail {
constexpr Space d_g_space(Op op) {
  switch (op) {
    case Op::global_get:
      return Space::global;
    case Op::ref_func:
      return Space::function;
    case Op::memory_size:
      return Space::memory;
    default:
      return Space::table;
  }
}

constexpr Operands bulk_operands(Op op) {
  constexpr std::uint8_t abc = field::a | field::b | field::c;
  constexpr std::uint8_t ac = field::a | field::c;
  switch (op) {
    case Op::memory_fill_check:
      return {abc, 0, 0, Space::memory, Space::unused};
    case Op::memory_fill_chunk:
      return {abc, ac, 0, Space::memory, Space::unused};
    case Op::memory_copy_check:
      return {abc, 0, 0, Space::memory, Space::memory};
    case Op::memory_copy_chunk:
      return {abc, abc, 0, Space::memory, Space::memory};
    case Op::memory_init_check:
      return {abc, 0, 0, Space::memory, Space::data};
    case Op::memory_init_chunk:
      return {abc, abc, 0, Space::memory, Space::data};
    case Op::table_fill_check:
      return {abc, 0, 0, Space::table, Space::unused};
    case Op::table_fill_chunk:
      return {abc, ac, 0, Space::table, Space::unused};
    case Op::table_copy_check:
      return {abc, 0, 0, Space::table, Space::table};
    case Op::table_copy_chunk:
      return {abc, abc, 0, Space::table, Space::table};
    case Op::table_init_check:
      return {abc, 0, 0, Space::table, Space::elem};
    default:
      return {abc, abc, 0, Space::table, Space::elem};
  }
}

constexpr Operands make_operands(Op op) {
  using field::a;
  using field::b;
  using field::c;
  switch (info(op).shape) {
    case Shape::d_k:
      return {0, a, 0, Space::number, Space::number};
    case Shape::d_a:
      return {b, a, 0, Space::unused, Space::unused};
    case Shape::d_ab:
      return {b | c, a, 0, Space::unused, Space::unused};
    case Shape::d_ak:
      return {b, a, 0, Space::number, info(op).src_bits == 32 ? Space::unused : Space::number};
    case Shape::d_abc:
      return {b | c | field::imm, a, 0, Space::number, Space::unused};
    case Shape::d_g:
      return {0, a, 0, d_g_space(op), Space::unused};
    case Shape::g_a:
      return {a, 0, 0, Space::global, Space::unused};
    case Shape::d_ag:
      return {b, a, 0, op == Op::memory_grow ? Space::memory : Space::table, Space::unused};
    case Shape::ab_g:
      return {a | b, 0, 0, Space::table, Space::unused};
    case Shape::a_g:
      return {a, 0, 0, Space::number, Space::unused};
    case Shape::g:
      if (op == Op::data_drop) return {0, 0, 0, Space::data, Space::unused};
      if (op == Op::elem_drop) return {0, 0, 0, Space::elem, Space::unused};
      if (op == Op::host_call) return {0, 0, 0, Space::host, Space::unused};
      return {0, 0, 0, Space::number, op == Op::charge ? Space::number : Space::unused};
    case Shape::load:
      return {b, a, 0, Space::number, Space::memory};
    case Shape::store:
      return {a | b, 0, 0, Space::number, Space::memory};
    case Shape::bulk:
      return bulk_operands(op);
    case Shape::br:
      return {0, 0, 0, Space::block, Space::unused};
    case Shape::br_ab:
      return {a | b, 0, 0, Space::block, Space::unused};
    case Shape::br_ak:
      return {a, 0, b | c, Space::block, Space::unused};
    case Shape::br_table:
      return {a, 0, 0, Space::branch_table, Space::unused};
    case Shape::enter:
      return {0, 0, a | b | c, Space::number, Space::unused};
    case Shape::call:
      return {0, 0, a, Space::function, Space::unused};
    case Shape::call_indirect:
      return {b, 0, a, Space::table, Space::type};
    case Shape::ret:
      return {0, 0, a, Space::unused, Space::unused};
    case Shape::ret_mov:
      return {b, 0, a, Space::unused, Space::unused};
    case Shape::v_v:
      return {b, a, 0, Space::unused, Space::unused, a | b};
    case Shape::v_vv:
      return {b | c, a, 0, Space::unused, Space::unused, a | b | c};
    case Shape::v_vvv:
      return {b | c | field::imm, a, 0, Space::number, Space::unused, a | b | c | field::imm};
    case Shape::v_vva:
      return {b | c | field::imm, a, 0, Space::number, Space::unused, a | b | c};
    case Shape::v_va:
      return {b | c, a, 0, Space::unused, Space::unused, a | b};
    case Shape::v_a:
      return {b, a, 0, Space::unused, Space::unused, a};
    case Shape::d_v:
      return {b, a, 0, Space::unused, Space::unused, b};
    case Shape::d_vk:
      return {b, a, 0, Space::number, Space::unused, b};
    case Shape::v_vak:
      return {b | c, a, 0, Space::number, Space::unused, a | b};
    case Shape::v_vvg:
      return {b | c, a, 0, Space::vector, Space::unused, a | b | c};
    case Shape::v_g:
      return {0, a, 0, op == Op::const128 ? Space::vector : Space::global, Space::unused, a};
    case Shape::g_v:
      return {a, 0, 0, Space::global, Space::unused, a};
    case Shape::load_v:
      return {b, a, 0, Space::number, Space::memory, a};
    case Shape::store_v:
      return {a | b, 0, 0, Space::number, Space::memory, b};
  }
  return {};
}

constexpr std::array<Operands, op_count> make_all_operands() {
  std::array<Operands, op_count> all{};
  for (std::uint16_t i = 0; i < op_count; ++i) all[i] = make_operands(static_cast<Op>(i));
  return all;
}
inline constexpr std::array<Operands, op_count> all_operands = make_all_operands();
}  // namespace detail

constexpr const Operands& operands(Op op) {
  return detail::all_operands[static_cast<std::uint16_t>(op)];
}

/// Lanes that the k of an op with one selects from; 0 for all other ops.
constexpr std::uint32_t lane_count(Op op) {
  switch (op) {
    case Op::extract8x16_s:
    case Op::extract8x16_u:
    case Op::replace8x16:
      return 16;
    case Op::extract16x8_s:
    case Op::extract16x8_u:
    case Op::replace16x8:
      return 8;
    case Op::extract32x4:
    case Op::replace32x4:
      return 4;
    case Op::extract64x2:
    case Op::replace64x2:
      return 2;
    default:
      return 0;
  }
}

}  // namespace warphive::ir
