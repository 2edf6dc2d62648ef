// SPDX-License-Identifier: Apache-2.0
// Which ops take and make floats.
#pragma once

#include <cstdint>

#include "ir/op.hpp"

namespace warphive::codegen {

enum class FloatKind : std::uint8_t { none, f32, f64 };
/// What the lanes of a vector are whose NaNs may have any bits.
enum class RawLanes : std::uint8_t { none, f32x4, f64x2 };

/// Of the operands read from slots.
constexpr FloatKind float_operands(ir::Op op) {
  using enum ir::Op;
  switch (op) {
    case eqf32:
    case nef32:
    case ltf32:
    case lef32:
    case addf32:
    case subf32:
    case mulf32:
    case divf32:
    case minf32:
    case maxf32:
    case copysignf32:
    case absf32:
    case negf32:
    case ceilf32:
    case floorf32:
    case truncf32:
    case nearestf32:
    case sqrtf32:
    case cvt_i32_f32_s:
    case cvt_i32_f32_u:
    case cvt_i64_f32_s:
    case cvt_i64_f32_u:
    case cvt_sat_i32_f32_s:
    case cvt_sat_i32_f32_u:
    case cvt_sat_i64_f32_s:
    case cvt_sat_i64_f32_u:
    case promote:
    case br_eqf32:
    case br_not_eqf32:
    case br_ltf32:
    case br_not_ltf32:
    case br_lef32:
    case br_not_lef32:
      return FloatKind::f32;
    case eqf64:
    case nef64:
    case ltf64:
    case lef64:
    case addf64:
    case subf64:
    case mulf64:
    case divf64:
    case minf64:
    case maxf64:
    case copysignf64:
    case absf64:
    case negf64:
    case ceilf64:
    case floorf64:
    case truncf64:
    case nearestf64:
    case sqrtf64:
    case cvt_i32_f64_s:
    case cvt_i32_f64_u:
    case cvt_i64_f64_s:
    case cvt_i64_f64_u:
    case cvt_sat_i32_f64_s:
    case cvt_sat_i32_f64_u:
    case cvt_sat_i64_f64_s:
    case cvt_sat_i64_f64_u:
    case demote:
    case br_eqf64:
    case br_not_eqf64:
    case br_ltf64:
    case br_not_ltf64:
    case br_lef64:
    case br_not_lef64:
      return FloatKind::f64;
    default:
      return FloatKind::none;
  }
}

constexpr FloatKind float_result(ir::Op op) {
  using enum ir::Op;
  switch (op) {
    case addf32:
    case subf32:
    case mulf32:
    case divf32:
    case minf32:
    case maxf32:
    case copysignf32:
    case absf32:
    case negf32:
    case ceilf32:
    case floorf32:
    case truncf32:
    case nearestf32:
    case sqrtf32:
    case cvt_f32_i32_s:
    case cvt_f32_i32_u:
    case cvt_f32_i64_s:
    case cvt_f32_i64_u:
    case demote:
      return FloatKind::f32;
    case addf64:
    case subf64:
    case mulf64:
    case divf64:
    case minf64:
    case maxf64:
    case copysignf64:
    case absf64:
    case negf64:
    case ceilf64:
    case floorf64:
    case truncf64:
    case nearestf64:
    case sqrtf64:
    case cvt_f64_i32_s:
    case cvt_f64_i32_u:
    case cvt_f64_i64_s:
    case cvt_f64_i64_u:
    case promote:
      return FloatKind::f64;
    default:
      return FloatKind::none;
  }
}

/// The lanes that an op on vectors makes, whose NaNs may have any bits.
constexpr RawLanes raw_lanes(ir::Op op) {
  using enum ir::Op;
  switch (op) {
    case sqrtf32x4:
    case ceilf32x4:
    case floorf32x4:
    case truncf32x4:
    case nearestf32x4:
    case addf32x4:
    case subf32x4:
    case mulf32x4:
    case divf32x4:
    case minf32x4:
    case maxf32x4:
    case cvt_f32x4_i32x4_s:
    case cvt_f32x4_i32x4_u:
    case demote64x2:
      return RawLanes::f32x4;
    case sqrtf64x2:
    case ceilf64x2:
    case floorf64x2:
    case truncf64x2:
    case nearestf64x2:
    case addf64x2:
    case subf64x2:
    case mulf64x2:
    case divf64x2:
    case minf64x2:
    case maxf64x2:
    case cvt_f64x2_i32x4_s:
    case cvt_f64x2_i32x4_u:
    case promote32x4:
      return RawLanes::f64x2;
    default:
      return RawLanes::none;
  }
}

/// Operations on the bits of a float: their operands' NaNs show.
constexpr bool shows_bits(ir::Op op) {
  using enum ir::Op;
  switch (op) {
    case copysignf32:
    case absf32:
    case negf32:
    case copysignf64:
    case absf64:
    case negf64:
      return true;
    default:
      return false;
  }
}

}  // namespace warphive::codegen
