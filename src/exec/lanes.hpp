// SPDX-License-Identifier: Apache-2.0
// Vectors as the expressions of ir/ops_simd.inc see them: operators and helpers that work lane by
// lane. Freestanding, without intrinsics: host compilers turn the loops into vector instructions, a
// GPU thread computes its lanes one after the other, in registers.
#pragma once

#include <stdint.h>

#include "abi/code.hpp"
#include "exec/semantics.hpp"

namespace warphive::exec::semantics {

using abi::Vector;

/// Lanes are unsigned; floats are bit patterns. Half a vector is what widening conversions take and
/// narrowing ones give.
template <class T, unsigned N>
struct Lanes {
  using Lane = T;
  T lane[N];
};
using i8x16 = Lanes<uint8_t, 16>;
using i16x8 = Lanes<uint16_t, 8>;
using i32x4 = Lanes<uint32_t, 4>;
using i64x2 = Lanes<uint64_t, 2>;
using f32x4 = i32x4;
using f64x2 = i64x2;

namespace detail {
template <class T>
struct Related;
template <>
struct Related<uint8_t> {
  using Signed = int8_t;
  using Wide = uint16_t;
};
template <>
struct Related<uint16_t> {
  using Signed = int16_t;
  using Wide = uint32_t;
  using Narrow = uint8_t;
};
template <>
struct Related<uint32_t> {
  using Signed = int32_t;
  using Wide = uint64_t;
  using Narrow = uint16_t;
};
template <>
struct Related<uint64_t> {
  using Signed = int64_t;
};
template <class T>
using Signed = typename Related<T>::Signed;
template <class T>
using Wide = typename Related<T>::Wide;
template <class T>
using Narrow = typename Related<T>::Narrow;

template <class T>
inline constexpr unsigned bits_of = 8 * sizeof(T);
template <class T>
constexpr Signed<T> as_signed(T x) {
  return static_cast<Signed<T>>(x);
}
template <class T>
constexpr T mask_of(bool set) {
  return static_cast<T>(T{0} - T{set});
}
/// What a lane becomes: a condition becomes a mask of the lane's width.
template <class T, class R>
struct Result {
  using Type = R;
  static constexpr R of(R value) { return value; }
};
template <class T>
struct Result<T, bool> {
  using Type = T;
  static constexpr T of(bool value) { return mask_of<T>(value); }
};
/// Lanes of type R from a function of the lane's number.
template <class R, unsigned N, class F>
constexpr Lanes<R, N> make(F f) {
  Lanes<R, N> result{};
#if defined(__NVPTX__)
#pragma clang loop unroll(full)  // what is left of a loop would keep its lanes in local memory
#endif
  // NOLINTNEXTLINE(bugprone-signed-char-misuse): a wider lane takes the sign of a narrower one
  for (unsigned i = 0; i < N; ++i) result.lane[i] = static_cast<R>(f(i));
  return result;
}
template <class T, unsigned N, class F>
constexpr auto each(const Lanes<T, N>& x, F f) {
  using R = Result<T, decltype(f(T{}))>;
  return make<typename R::Type, N>([&](unsigned i) { return R::of(f(x.lane[i])); });
}
template <class T, unsigned N, class F>
constexpr auto each(const Lanes<T, N>& x, const Lanes<T, N>& y, F f) {
  using R = Result<T, decltype(f(T{}, T{}))>;
  return make<typename R::Type, N>([&](unsigned i) { return R::of(f(x.lane[i], y.lane[i])); });
}
}  // namespace detail

template <class L>
constexpr L lanes_of(const Vector& vector) {
  return __builtin_bit_cast(L, vector);
}
template <class L>
constexpr Vector vector_of(const L& lanes) {
  return __builtin_bit_cast(Vector, lanes);
}

// Operators

#define WARPHIVE_LANES(symbol)                                                         \
  template <class T, unsigned N>                                                       \
  constexpr Lanes<T, N> operator symbol(const Lanes<T, N>& x, const Lanes<T, N>& y) {  \
    return detail::make<T, N>([&](unsigned i) { return x.lane[i] symbol y.lane[i]; }); \
  }
WARPHIVE_LANES(+)
WARPHIVE_LANES(-)
WARPHIVE_LANES(&)
WARPHIVE_LANES(|)
WARPHIVE_LANES(^)
#undef WARPHIVE_LANES
/// Of 16-bit lanes the product is taken in unsigned arithmetic: their promotions' could overflow.
template <class T, unsigned N>
constexpr Lanes<T, N> operator*(const Lanes<T, N>& x, const Lanes<T, N>& y) {
  return detail::each(x, y, [](T a, T b) { return static_cast<T>(1u * a * b); });
}
#define WARPHIVE_LANES(symbol)                                                        \
  template <class T, unsigned N>                                                      \
  constexpr Lanes<T, N> operator symbol(const Lanes<T, N>& x, const Lanes<T, N>& y) { \
    return detail::each(x, y, [](T a, T b) { return a symbol b; });                   \
  }
WARPHIVE_LANES(==)
WARPHIVE_LANES(!=)
WARPHIVE_LANES(<)
WARPHIVE_LANES(<=)
#undef WARPHIVE_LANES
template <class T, unsigned N>
constexpr Lanes<T, N> operator~(const Lanes<T, N>& x) {
  return detail::make<T, N>([&](unsigned i) { return ~x.lane[i]; });
}
/// Of a mask.
template <class T, unsigned N>
constexpr Lanes<T, N> operator!(const Lanes<T, N>& x) {
  return ~x;
}
template <class T, unsigned N>
constexpr Lanes<T, N> operator-(int x, const Lanes<T, N>& y) {
  return detail::make<T, N>([&](unsigned i) { return static_cast<T>(x) - y.lane[i]; });
}
template <class T, unsigned N>
constexpr Lanes<T, N> operator&(const Lanes<T, N>& x, uint64_t y) {
  return detail::make<T, N>([&](unsigned i) { return x.lane[i] & static_cast<T>(y); });
}
template <class T, unsigned N>
constexpr Lanes<T, N> operator^(const Lanes<T, N>& x, uint64_t y) {
  return detail::make<T, N>([&](unsigned i) { return x.lane[i] ^ static_cast<T>(y); });
}

// Whole vectors from and to single values

template <class L>
constexpr L splat(uint64_t x) {
  L result{};
  for (auto& lane : result.lane) lane = static_cast<typename L::Lane>(x);
  return result;
}
/// The lanes that fill the lower half are those of `x`, the others zero.
template <class L>
constexpr L first_lanes(uint64_t x) {
  return lanes_of<L>({x, 0});
}
/// Lane k by shifting its half, so that no array is indexed by a variable.
template <class T, unsigned N>
constexpr T lane(const Lanes<T, N>& x, uint32_t k) {
  const Vector halves = vector_of(x);
  const uint64_t half = k < N / 2 ? halves.low : halves.high;
  return static_cast<T>(half >> (detail::bits_of<T> * (k % (N / 2))));
}
template <class T, unsigned N>
constexpr auto extract_u(const Lanes<T, N>& x, uint32_t k) {
  if constexpr (sizeof(T) == 8) {
    return lane(x, k);
  } else {
    return uint32_t{lane(x, k)};
  }
}
template <class T, unsigned N>
constexpr uint32_t extract_s(const Lanes<T, N>& x, uint32_t k) {
  return static_cast<uint32_t>(int32_t{detail::as_signed(lane(x, k))});
}
template <class T, unsigned N>
constexpr Lanes<T, N> replace(const Lanes<T, N>& x, uint32_t k, uint64_t y) {
  return detail::make<T, N>([&](unsigned i) { return i == k ? static_cast<T>(y) : x.lane[i]; });
}
template <class T, unsigned N>
constexpr uint32_t any_true(const Lanes<T, N>& x) {
  const Vector halves = vector_of(x);
  return (halves.low | halves.high) != 0 ? 1 : 0;
}
template <class T, unsigned N>
constexpr uint32_t all_true(const Lanes<T, N>& x) {
  return 1 - any_true(detail::each(x, [](T a) { return a == 0; }));
}
template <class T, unsigned N>
constexpr uint32_t bitmask(const Lanes<T, N>& x) {
  uint32_t mask = 0;
  for (unsigned i = 0; i < N; ++i) {
    mask |= static_cast<uint32_t>(x.lane[i] >> (detail::bits_of<T> - 1)) << i;
  }
  return mask;
}
/// Byte k of `x`, zero beyond its 16.
constexpr uint8_t byte_or_zero(const i8x16& x, uint32_t k) {
  return k < 16 ? lane(x, k) : uint8_t{0};
}
constexpr i8x16 swizzle(const i8x16& x, const i8x16& y) {
  return detail::make<uint8_t, 16>([&](unsigned i) { return byte_or_zero(x, y.lane[i]); });
}
/// Of `from`, lanes below 16 name those of `x`, the others those of `y`.
constexpr i8x16 shuffle(const i8x16& x, const i8x16& y, const i8x16& from) {
  return detail::make<uint8_t, 16>([&](unsigned i) {
    return byte_or_zero(x, from.lane[i]) | byte_or_zero(y, uint32_t{from.lane[i]} - 16);
  });
}
/// `x` where the mask is set, else `y`.
template <class T, unsigned N>
constexpr Lanes<T, N> choose(const Lanes<T, N>& mask, const Lanes<T, N>& x, const Lanes<T, N>& y) {
  return (x & mask) | (y & ~mask);
}

// Integers

#define WARPHIVE_LANES(name, result)                                       \
  template <class T, unsigned N>                                           \
  constexpr Lanes<T, N> name(const Lanes<T, N>& x, const Lanes<T, N>& y) { \
    return detail::each(x, y, [](T a, T b) { return result; });            \
  }
WARPHIVE_LANES(lt_s, detail::as_signed(a) < detail::as_signed(b))
WARPHIVE_LANES(le_s, detail::as_signed(a) <= detail::as_signed(b))
#undef WARPHIVE_LANES
template <class T, unsigned N>
constexpr Lanes<T, N> abs_s(const Lanes<T, N>& x) {
  return detail::each(x,
                      [](T a) { return detail::as_signed(a) < 0 ? static_cast<T>(T{0} - a) : a; });
}
constexpr i8x16 popcnt(const i8x16& x) {
  return detail::each(x, [](uint8_t a) {
    uint32_t n = a;
    n = n - ((n >> 1) & 0x55);
    n = (n & 0x33) + ((n >> 2) & 0x33);
    return static_cast<uint8_t>((n + (n >> 4)) & 0x0f);
  });
}
#define WARPHIVE_LANES(name, result)                                     \
  template <class T, unsigned N>                                         \
  constexpr Lanes<T, N> name(const Lanes<T, N>& x, uint32_t y) {         \
    const uint32_t n = y % detail::bits_of<T>;                           \
    return detail::each(x, [n](T a) { return static_cast<T>(result); }); \
  }
WARPHIVE_LANES(shl, a << n)
WARPHIVE_LANES(shr_s, detail::as_signed(a) >> n)
WARPHIVE_LANES(shr_u, a >> n)
#undef WARPHIVE_LANES

/// The nearest value that `To`, a narrower type, has.
template <class To>
constexpr To clamped(int32_t x) {
  constexpr int32_t least = static_cast<To>(-1) < 0 ? -(1 << (detail::bits_of<To> - 1)) : 0;
  constexpr int32_t most = least + (1 << detail::bits_of<To>)-1;
  return static_cast<To>(x < least ? least : x > most ? most : x);
}
// Of lanes of 8 and 16 bits.
#define WARPHIVE_LANES(name, type, result)                                 \
  template <class T, unsigned N>                                           \
  constexpr Lanes<T, N> name(const Lanes<T, N>& x, const Lanes<T, N>& y) { \
    return detail::each(x, y, [](T c, T d) {                               \
      const int32_t a = static_cast<type>(c);                              \
      const int32_t b = static_cast<type>(d);                              \
      return static_cast<T>(result);                                       \
    });                                                                    \
  }
// NOLINTBEGIN(bugprone-signed-char-misuse): sums are of signed values
WARPHIVE_LANES(add_sat_s, detail::Signed<T>, clamped<detail::Signed<T>>(a + b))
WARPHIVE_LANES(add_sat_u, T, clamped<T>(a + b))
WARPHIVE_LANES(sub_sat_s, detail::Signed<T>, clamped<detail::Signed<T>>(a - b))
WARPHIVE_LANES(sub_sat_u, T, clamped<T>(a - b))
// NOLINTEND(bugprone-signed-char-misuse)
WARPHIVE_LANES(avgr_u, T, (a + b + 1) / 2)
WARPHIVE_LANES(q15mulr_sat_s, detail::Signed<T>, clamped<int16_t>((a * b + 0x4000) >> 15))
#undef WARPHIVE_LANES

// Other widths

#define WARPHIVE_LANES(name, from)                                                         \
  template <class T, unsigned N>                                                           \
  constexpr Lanes<detail::Wide<T>, N / 2> name##_s(const Lanes<T, N>& x) {                 \
    return detail::make<detail::Wide<T>, N / 2>(                                           \
        [&](unsigned i) { return detail::as_signed(x.lane[from]); });                      \
  }                                                                                        \
  template <class T, unsigned N>                                                           \
  constexpr Lanes<detail::Wide<T>, N / 2> name##_u(const Lanes<T, N>& x) {                 \
    return detail::make<detail::Wide<T>, N / 2>([&](unsigned i) { return x.lane[from]; }); \
  }
WARPHIVE_LANES(extend_low, i)
WARPHIVE_LANES(extend_high, N / 2 + i)
WARPHIVE_LANES(extend_even, 2 * i)
WARPHIVE_LANES(extend_odd, 2 * i + 1)
#undef WARPHIVE_LANES
#define WARPHIVE_LANES(name, to)                                                               \
  template <class T, unsigned N>                                                               \
  constexpr Lanes<detail::Narrow<T>, 2 * N> name(const Lanes<T, N>& x, const Lanes<T, N>& y) { \
    return detail::make<detail::Narrow<T>, 2 * N>([&](unsigned i) {                            \
      return clamped<to>(detail::as_signed(i < N ? x.lane[i % N] : y.lane[i % N]));            \
    });                                                                                        \
  }
WARPHIVE_LANES(narrow_s, detail::Signed<detail::Narrow<T>>)
WARPHIVE_LANES(narrow_u, detail::Narrow<T>)
#undef WARPHIVE_LANES
template <class T, unsigned N>
constexpr Lanes<T, N / 2> low_half(const Lanes<T, N>& x) {
  return detail::make<T, N / 2>([&](unsigned i) { return x.lane[i]; });
}
template <class T, unsigned N>
constexpr Lanes<T, 2 * N> with_zeros(const Lanes<T, N>& x) {
  return detail::make<T, 2 * N>([&](unsigned i) { return i < N ? x.lane[i % N] : T{0}; });
}

// Floats: the scalar helpers on every lane

#define WARPHIVE_LANES(name)                                        \
  template <class T, unsigned N>                                    \
  constexpr auto name(const Lanes<T, N>& x, const Lanes<T, N>& y) { \
    return detail::each(x, y, [](T a, T b) { return name(a, b); }); \
  }
WARPHIVE_LANES(f32_eq)
WARPHIVE_LANES(f32_lt)
WARPHIVE_LANES(f32_le)
WARPHIVE_LANES(f32_add)
WARPHIVE_LANES(f32_sub)
WARPHIVE_LANES(f32_mul)
WARPHIVE_LANES(f32_div)
WARPHIVE_LANES(f32_min)
WARPHIVE_LANES(f32_max)
WARPHIVE_LANES(f64_eq)
WARPHIVE_LANES(f64_lt)
WARPHIVE_LANES(f64_le)
WARPHIVE_LANES(f64_add)
WARPHIVE_LANES(f64_sub)
WARPHIVE_LANES(f64_mul)
WARPHIVE_LANES(f64_div)
WARPHIVE_LANES(f64_min)
WARPHIVE_LANES(f64_max)
#undef WARPHIVE_LANES
#define WARPHIVE_LANES(name)                             \
  template <class T, unsigned N>                         \
  inline auto name(const Lanes<T, N>& x) {               \
    return detail::each(x, [](T a) { return name(a); }); \
  }
WARPHIVE_LANES(f32_sqrt)
WARPHIVE_LANES(f32_ceil)
WARPHIVE_LANES(f32_floor)
WARPHIVE_LANES(f32_trunc)
WARPHIVE_LANES(f32_nearest)
WARPHIVE_LANES(f64_sqrt)
WARPHIVE_LANES(f64_ceil)
WARPHIVE_LANES(f64_floor)
WARPHIVE_LANES(f64_trunc)
WARPHIVE_LANES(f64_nearest)
WARPHIVE_LANES(i32_sat_f32_s)
WARPHIVE_LANES(i32_sat_f32_u)
WARPHIVE_LANES(i32_sat_f64_s)
WARPHIVE_LANES(i32_sat_f64_u)
WARPHIVE_LANES(f32_from_i32_s)
WARPHIVE_LANES(f32_from_i32_u)
WARPHIVE_LANES(f64_from_i32_s)
WARPHIVE_LANES(f64_from_i32_u)
WARPHIVE_LANES(f32_from_f64)
WARPHIVE_LANES(f64_from_f32)
#undef WARPHIVE_LANES

}  // namespace warphive::exec::semantics
