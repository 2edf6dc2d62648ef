// SPDX-License-Identifier: Apache-2.0
// Lanes are taken out of a vector as wide integers and put back one by one; floats go through the
// reference executor's scalar ops.
#include "exec/ref_simd.hpp"

#include <algorithm>
#include <bit>
#include <optional>
#include <string>
#include <string_view>

#include "base/check.hpp"
#include "exec/ref_scalar.hpp"

namespace warphive::exec {
namespace {

using abi::Vector;
using ir::Op;
using std::int64_t;
using std::uint32_t;
using std::uint64_t;

uint64_t all_ones(uint32_t bits) { return bits == 64 ? ~uint64_t{0} : (uint64_t{1} << bits) - 1; }

uint64_t lane_u(const Vector& v, uint32_t bits, uint32_t lane) {
  const uint32_t at = bits * lane;
  return ((at < 64 ? v.low : v.high) >> (at % 64)) & all_ones(bits);
}
int64_t lane_s(const Vector& v, uint32_t bits, uint32_t lane) {
  // NOLINTNEXTLINE(clang-analyzer-core.BitwiseShift): bits is 8 to 64
  const uint64_t sign = uint64_t{1} << (bits - 1);
  return static_cast<int64_t>((lane_u(v, bits, lane) ^ sign) - sign);
}
void put_lane(Vector& v, uint32_t bits, uint32_t lane, uint64_t value) {
  const uint32_t at = bits * lane;
  uint64_t& half = at < 64 ? v.low : v.high;
  half &= ~(all_ones(bits) << (at % 64));
  half |= (value & all_ones(bits)) << (at % 64);
}
/// A vector from a function of the lane's number.
template <class F>
Vector lanes(uint32_t bits, const F& value) {
  Vector result;
  for (uint32_t i = 0; i < 128 / bits; ++i) {
    put_lane(result, bits, i, static_cast<uint64_t>(value(i)));
  }
  return result;
}

/// The width in the mnemonic: 16 of add16x8.
uint32_t width_of(Op op) {
  const std::string_view name = ir::info(op).name;
  for (const uint32_t bits : {8u, 16u, 32u, 64u}) {
    const std::string text = std::to_string(bits) + "x" + std::to_string(128 / bits);
    if (name.find(text) != std::string_view::npos) return bits;
  }
  WARPHIVE_UNREACHABLE();
}

int64_t clamp(int64_t value, int64_t least, int64_t most) {
  return std::min(std::max(value, least), most);
}
int64_t clamp_s(int64_t value, uint32_t bits) {
  const int64_t most = (int64_t{1} << (bits - 1)) - 1;
  return clamp(value, -most - 1, most);
}
int64_t clamp_u(int64_t value, uint32_t bits) {
  return clamp(value, 0, static_cast<int64_t>(all_ones(bits)));
}

/// The scalar op that a float op applies to every lane.
std::optional<Op> scalar_op(Op op) {
  switch (op) {
#define BOTH(kind)        \
  case Op::kind##f32x4:   \
    return Op::kind##f32; \
  case Op::kind##f64x2:   \
    return Op::kind##f64;
    BOTH(eq)
    BOTH(ne)
    BOTH(lt)
    BOTH(le)
    BOTH(abs)
    BOTH(neg)
    BOTH(sqrt)
    BOTH(ceil)
    BOTH(floor)
    BOTH(trunc)
    BOTH(nearest)
    BOTH(add)
    BOTH(sub)
    BOTH(mul)
    BOTH(div)
    BOTH(min)
    BOTH(max)
#undef BOTH
    case Op::cvt_sat_i32x4_f32x4_s:
      return Op::cvt_sat_i32_f32_s;
    case Op::cvt_sat_i32x4_f32x4_u:
      return Op::cvt_sat_i32_f32_u;
    case Op::cvt_f32x4_i32x4_s:
      return Op::cvt_f32_i32_s;
    case Op::cvt_f32x4_i32x4_u:
      return Op::cvt_f32_i32_u;
    case Op::cvt_sat_i32x4_f64x2_s:
      return Op::cvt_sat_i32_f64_s;
    case Op::cvt_sat_i32x4_f64x2_u:
      return Op::cvt_sat_i32_f64_u;
    case Op::cvt_f64x2_i32x4_s:
      return Op::cvt_f64_i32_s;
    case Op::cvt_f64x2_i32x4_u:
      return Op::cvt_f64_i32_u;
    case Op::demote64x2:
      return Op::demote;
    case Op::promote32x4:
      return Op::promote;
    default:
      return std::nullopt;
  }
}

Vector floats(Op op, Op scalar, const Vector& x, const Vector& y) {
  const uint32_t from = ir::info(scalar).src_bits;
  const bool compares = scalar == Op::eqf32 || scalar == Op::nef32 || scalar == Op::ltf32 ||
                        scalar == Op::lef32 || scalar == Op::eqf64 || scalar == Op::nef64 ||
                        scalar == Op::ltf64 || scalar == Op::lef64;
  const uint32_t to = compares ? from : ir::info(scalar).dst_bits;
  const uint32_t count = 128 / std::max(from, to);
  const bool binary = ir::info(op).shape == ir::Shape::v_vv;
  return lanes(to, [&](uint32_t i) -> uint64_t {
    if (i >= count) return 0;
    const uint64_t value =
        ref_scalar(scalar, lane_u(x, from, i), binary ? lane_u(y, from, i) : 0).value;
    return compares && value != 0 ? ~uint64_t{0} : value;
  });
}

/// pmin and pmax: y where it is the smaller (larger) one, by the comparison of floats.
Vector pick(Op less, const Vector& x, const Vector& y, bool smaller) {
  const uint32_t bits = ir::info(less).src_bits;
  return lanes(bits, [&](uint32_t i) {
    const uint64_t a = lane_u(x, bits, i);
    const uint64_t b = lane_u(y, bits, i);
    const bool takes_y = ref_scalar(less, smaller ? b : a, smaller ? a : b).value != 0;
    return takes_y ? b : a;
  });
}

}  // namespace

Vector ref_vector(Op op, const RefVectorOperands& operands) {
  const auto& [x, y, z, scalar, k] = operands;
  if (const std::optional<Op> by_lane = scalar_op(op)) return floats(op, *by_lane, x, y);
  const auto bits_of_both = [](uint64_t low, uint64_t high) { return Vector{low, high}; };
  switch (op) {
    case Op::mov128:
      return x;
    case Op::not128:
      return bits_of_both(~x.low, ~x.high);
    case Op::and128:
      return bits_of_both(x.low & y.low, x.high & y.high);
    case Op::andnot128:
      return bits_of_both(x.low & ~y.low, x.high & ~y.high);
    case Op::or128:
      return bits_of_both(x.low | y.low, x.high | y.high);
    case Op::xor128:
      return bits_of_both(x.low ^ y.low, x.high ^ y.high);
    case Op::bitselect128:
      return bits_of_both((x.low & z.low) | (y.low & ~z.low),
                          (x.high & z.high) | (y.high & ~z.high));
    case Op::pminf32x4:
      return pick(Op::ltf32, x, y, true);
    case Op::pmaxf32x4:
      return pick(Op::ltf32, x, y, false);
    case Op::pminf64x2:
      return pick(Op::ltf64, x, y, true);
    case Op::pmaxf64x2:
      return pick(Op::ltf64, x, y, false);
    default:
      break;
  }

  const uint32_t bits = width_of(op);
  const uint32_t count = 128 / bits;
  // NOLINTBEGIN(clang-analyzer-core.*): it takes captured structured bindings for uninitialised
  const auto a = [&](uint32_t i) { return lane_u(x, bits, i); };
  const auto b = [&](uint32_t i) { return lane_u(y, bits, i); };
  const auto as = [&](uint32_t i) { return lane_s(x, bits, i); };
  const auto bs = [&](uint32_t i) { return lane_s(y, bits, i); };
  const auto same = [&](const auto& value) { return lanes(bits, value); };
  const auto mask = [&](const auto& holds) {
    return lanes(bits, [&](uint32_t i) { return holds(i) ? ~uint64_t{0} : uint64_t{0}; });
  };
  const auto wider = [&](const auto& value) { return lanes(2 * bits, value); };
  const uint32_t half = count / 2;
  switch (op) {
#define LANES(name)    \
  case Op::name##8x16: \
  case Op::name##16x8: \
  case Op::name##32x4: \
  case Op::name##64x2:
#define LANES_OF(name, suffix) \
  case Op::name##8x16##suffix: \
  case Op::name##16x8##suffix: \
  case Op::name##32x4##suffix: \
  case Op::name##64x2##suffix:
#define UP_TO_32(name, suffix) \
  case Op::name##8x16##suffix: \
  case Op::name##16x8##suffix: \
  case Op::name##32x4##suffix:
#define UP_TO_16(name, suffix) \
  case Op::name##8x16##suffix: \
  case Op::name##16x8##suffix:
    LANES(splat)
    return same([&](uint32_t) { return scalar; });
    LANES(replace)
    return same([&](uint32_t i) { return i == k ? scalar : a(i); });
    // NOLINTEND(clang-analyzer-core.*)
    LANES(eq)
    return mask([&](uint32_t i) { return a(i) == b(i); });
    LANES(ne)
    return mask([&](uint32_t i) { return a(i) != b(i); });
    LANES_OF(lt, _s)
    return mask([&](uint32_t i) { return as(i) < bs(i); });
    LANES_OF(le, _s)
    return mask([&](uint32_t i) { return as(i) <= bs(i); });
    UP_TO_32(lt, _u)
    return mask([&](uint32_t i) { return a(i) < b(i); });
    UP_TO_32(le, _u)
    return mask([&](uint32_t i) { return a(i) <= b(i); });
    LANES(abs)
    return same([&](uint32_t i) { return as(i) < 0 ? uint64_t{0} - a(i) : a(i); });
    LANES(neg)
    return same([&](uint32_t i) { return uint64_t{0} - a(i); });
    LANES(shl)
    return same([&](uint32_t i) { return a(i) << (scalar % bits); });
    LANES_OF(shr, _s)
    return same([&](uint32_t i) { return as(i) >> (scalar % bits); });
    LANES_OF(shr, _u)
    return same([&](uint32_t i) { return a(i) >> (scalar % bits); });
    LANES(add)
    return same([&](uint32_t i) { return a(i) + b(i); });
    LANES(sub)
    return same([&](uint32_t i) { return a(i) - b(i); });
    case Op::mul16x8:
    case Op::mul32x4:
    case Op::mul64x2:
      return same([&](uint32_t i) { return a(i) * b(i); });
      UP_TO_32(min, _s)
      return same([&](uint32_t i) { return std::min(as(i), bs(i)); });
      UP_TO_32(min, _u)
      return same([&](uint32_t i) { return std::min(a(i), b(i)); });
      UP_TO_32(max, _s)
      return same([&](uint32_t i) { return std::max(as(i), bs(i)); });
      UP_TO_32(max, _u)
      return same([&](uint32_t i) { return std::max(a(i), b(i)); });
      UP_TO_16(add_sat, _s)
      return same([&](uint32_t i) { return clamp_s(as(i) + bs(i), bits); });
      UP_TO_16(add_sat, _u)
      return same([&](uint32_t i) { return std::min(a(i) + b(i), all_ones(bits)); });
      UP_TO_16(sub_sat, _s)
      return same([&](uint32_t i) { return clamp_s(as(i) - bs(i), bits); });
      UP_TO_16(sub_sat, _u)
      return same([&](uint32_t i) { return a(i) < b(i) ? 0 : a(i) - b(i); });
      UP_TO_16(avgr, _u)
      return same([&](uint32_t i) { return (a(i) + b(i) + 1) >> 1; });
    case Op::popcnt8x16:
      return same([&](uint32_t i) { return std::popcount(a(i)); });
    case Op::q15mulr_sat16x8_s:
      return same([&](uint32_t i) { return clamp_s((as(i) * bs(i) + 0x4000) >> 15, bits); });
    case Op::swizzle8x16:
      return same([&](uint32_t i) { return b(i) < 16 ? a(static_cast<uint32_t>(b(i))) : 0; });

      UP_TO_32(extend_low, _s)
      return wider([&](uint32_t i) { return as(i); });
      UP_TO_32(extend_high, _s)
      return wider([&](uint32_t i) { return as(half + i); });
      UP_TO_32(extend_low, _u)
      return wider([&](uint32_t i) { return a(i); });
      UP_TO_32(extend_high, _u)
      return wider([&](uint32_t i) { return a(half + i); });
      UP_TO_32(extmul_low, _s)
      return wider([&](uint32_t i) { return as(i) * bs(i); });
      UP_TO_32(extmul_high, _s)
      return wider([&](uint32_t i) { return as(half + i) * bs(half + i); });
      UP_TO_32(extmul_low, _u)
      return wider([&](uint32_t i) { return a(i) * b(i); });
      UP_TO_32(extmul_high, _u)
      return wider([&](uint32_t i) { return a(half + i) * b(half + i); });
      UP_TO_16(add_pairs, _s)
      return wider([&](uint32_t i) { return as(2 * i) + as(2 * i + 1); });
      UP_TO_16(add_pairs, _u)
      return wider([&](uint32_t i) { return a(2 * i) + a(2 * i + 1); });
    case Op::dot16x8_s:
      return wider(
          [&](uint32_t i) { return as(2 * i) * bs(2 * i) + as(2 * i + 1) * bs(2 * i + 1); });
    case Op::narrow16x8_s:
    case Op::narrow32x4_s:
      return lanes(bits / 2, [&](uint32_t i) {
        return clamp_s(i < count ? as(i) : bs(i - count), bits / 2);
      });
    case Op::narrow16x8_u:
    case Op::narrow32x4_u:
      return lanes(bits / 2, [&](uint32_t i) {
        return clamp_u(i < count ? as(i) : bs(i - count), bits / 2);
      });
    default:
      WARPHIVE_UNREACHABLE();
  }
}

uint64_t ref_vector_scalar(Op op, const Vector& x, uint32_t k) {
  if (op == Op::any_true128) return x.low != 0 || x.high != 0 ? 1 : 0;
  const uint32_t bits = width_of(op);
  const uint32_t count = 128 / bits;
  switch (op) {
    LANES(all_true)
    for (uint32_t i = 0; i < count; ++i) {
      if (lane_u(x, bits, i) == 0) return 0;
    }
    return 1;
    LANES(bitmask) {
      uint64_t result = 0;
      for (uint32_t i = 0; i < count; ++i) {
        if (lane_s(x, bits, i) < 0) result += uint64_t{1} << i;
      }
      return result;
    }
    case Op::extract8x16_s:
    case Op::extract16x8_s:
      return static_cast<uint32_t>(lane_s(x, bits, k));
    case Op::extract8x16_u:
    case Op::extract16x8_u:
    case Op::extract32x4:
    case Op::extract64x2:
      return lane_u(x, bits, k);
    default:
      WARPHIVE_UNREACHABLE();
  }
}
#undef LANES
#undef LANES_OF
#undef UP_TO_32
#undef UP_TO_16

Vector ref_shuffle(const Vector& x, const Vector& y, const Vector& from) {
  return lanes(8, [&](uint32_t i) {
    const auto lane = static_cast<uint32_t>(lane_u(from, 8, i));
    return lane < 16 ? lane_u(x, 8, lane) : lane_u(y, 8, lane - 16);
  });
}

Vector ref_loaded_vector(Op op, uint64_t value) {
  const Vector source = {value, 0};
  const auto extended = [&](uint32_t bits, bool is_signed) {
    return lanes(2 * bits, [&](uint32_t i) {
      return is_signed ? static_cast<uint64_t>(lane_s(source, bits, i)) : lane_u(source, bits, i);
    });
  };
  const auto repeated = [&](uint32_t bits) { return lanes(bits, [&](uint32_t) { return value; }); };
  switch (op) {
    case Op::load8x8_s:
      return extended(8, true);
    case Op::load8x8_u:
      return extended(8, false);
    case Op::load16x4_s:
      return extended(16, true);
    case Op::load16x4_u:
      return extended(16, false);
    case Op::load32x2_s:
      return extended(32, true);
    case Op::load32x2_u:
      return extended(32, false);
    case Op::load8_splat:
      return repeated(8);
    case Op::load16_splat:
      return repeated(16);
    case Op::load32_splat:
      return repeated(32);
    case Op::load64_splat:
      return repeated(64);
    case Op::load32_zero:
    case Op::load64_zero:
      return source;
    default:
      WARPHIVE_UNREACHABLE();
  }
}

}  // namespace warphive::exec
