// SPDX-License-Identifier: Apache-2.0
// The helpers named in the result column of ir/ops_simd.inc, as builders of LLVM IR: with Lanes for
// x, y and z a row of the table becomes vector instructions. What scalar.hpp is for scalar ops.
#pragma once

#include <llvm/IR/IntrinsicsX86.h>
#include <llvm/TargetParser/Host.h>

#include <cstdint>

#include "codegen/llvm.hpp"
#include "codegen/scalar.hpp"

namespace warphive::codegen::vectors {

using scalar::Builder;
using scalar::Scalar;

/// Lanes under construction: integers, of 1 bit where they are conditions, or floats, which integer
/// operations see as their bits.
struct Lanes {
  llvm::Value* value = nullptr;
  Builder* builder = nullptr;
  bool raw = false;  // float results whose NaN bits are not canonical yet

  [[nodiscard]] llvm::FixedVectorType* type() const {
    return llvm::cast<llvm::FixedVectorType>(value->getType());
  }
  [[nodiscard]] unsigned count() const { return type()->getNumElements(); }
  [[nodiscard]] unsigned bits() const { return type()->getScalarSizeInBits(); }
  [[nodiscard]] bool is_float() const { return type()->getElementType()->isFloatingPointTy(); }
};

// The lanes that the table's columns name.
// NOLINTBEGIN(readability-identifier-naming): the columns' words
struct i8x16 {
  static llvm::Type* lane(Builder& b) { return b.getInt8Ty(); }
};
struct i16x8 {
  static llvm::Type* lane(Builder& b) { return b.getInt16Ty(); }
};
struct i32x4 {
  static llvm::Type* lane(Builder& b) { return b.getInt32Ty(); }
};
struct i64x2 {
  static llvm::Type* lane(Builder& b) { return b.getInt64Ty(); }
};
struct f32x4 {
  static llvm::Type* lane(Builder& b) { return b.getFloatTy(); }
};
struct f64x2 {
  static llvm::Type* lane(Builder& b) { return b.getDoubleTy(); }
};
// NOLINTEND(readability-identifier-naming)

/// With canonical NaNs.
inline Lanes canonical(const Lanes& x) {
  if (!x.raw) return x;
  Builder& b = *x.builder;
  llvm::Type* lane = x.type()->getElementType();
  const bool narrow = lane->isFloatTy();
  llvm::Constant* nan = llvm::ConstantFP::get(
      lane,
      llvm::APFloat(narrow ? llvm::APFloat::IEEEsingle() : llvm::APFloat::IEEEdouble(),
                    narrow ? llvm::APInt(32, 0x7fc00000u) : llvm::APInt(64, 0x7ff8000000000000u)));
  llvm::Constant* nans = llvm::ConstantVector::getSplat(x.type()->getElementCount(), nan);
  return {b.CreateSelect(b.CreateFCmpUNO(x.value, x.value), nans, x.value), &b, false};
}

/// Seen as lanes of another type; of conditions, all ones or zero.
inline Lanes as(const Lanes& x, llvm::Type* lane) {
  if (x.type()->getElementType() == lane) return x;
  Builder& b = *x.builder;
  if (x.bits() == 1) {
    llvm::Type* wide = b.getIntNTy(128 / x.count());
    const Lanes mask{b.CreateSExt(x.value, llvm::FixedVectorType::get(wide, x.count())), &b, false};
    return as(mask, lane);
  }
  const unsigned count =
      x.count() * x.bits() / static_cast<unsigned>(lane->getPrimitiveSizeInBits());
  return {b.CreateBitCast(canonical(x).value, llvm::FixedVectorType::get(lane, count)), &b, false};
}
template <class L>
Lanes as(const Lanes& x) {
  return as(x, L::lane(*x.builder));
}
/// The bits of floats.
inline llvm::Value* integer(const Lanes& x) {
  if (!x.is_float()) return x.value;
  return as(x, x.builder->getIntNTy(x.bits())).value;
}
inline Lanes floats(const Lanes& x) {
  return as(x, x.bits() == 32 ? x.builder->getFloatTy() : x.builder->getDoubleTy());
}
inline Lanes constant(const Lanes& like, std::uint64_t bits) {
  return {llvm::ConstantInt::get(integer(like)->getType(), bits), like.builder, false};
}

// Operators

#define WARPHIVE_LANES(symbol, make)                                    \
  inline Lanes operator symbol(const Lanes& x, const Lanes& y) {        \
    return {x.builder->make(integer(x), integer(y)), x.builder, false}; \
  }
WARPHIVE_LANES(+, CreateAdd)
WARPHIVE_LANES(-, CreateSub)
WARPHIVE_LANES(*, CreateMul)
WARPHIVE_LANES(&, CreateAnd)
WARPHIVE_LANES(|, CreateOr)
WARPHIVE_LANES(^, CreateXor)
WARPHIVE_LANES(==, CreateICmpEQ)
WARPHIVE_LANES(!=, CreateICmpNE)
WARPHIVE_LANES(<, CreateICmpULT)
WARPHIVE_LANES(<=, CreateICmpULE)
#undef WARPHIVE_LANES
inline Lanes operator&(const Lanes& x, std::uint64_t y) { return x & constant(x, y); }
inline Lanes operator^(const Lanes& x, std::uint64_t y) { return x ^ constant(x, y); }
inline Lanes operator-(std::uint64_t x, const Lanes& y) { return constant(y, x) - y; }
inline Lanes operator~(const Lanes& x) {
  return {x.builder->CreateNot(integer(x)), x.builder, false};
}
inline Lanes operator!(const Lanes& x) { return ~x; }

// Whole vectors from and to single values

template <class L>
Lanes splat(const Scalar& x) {
  Builder& b = *x.builder;
  llvm::Type* lane = L::lane(b);
  const auto bits = static_cast<unsigned>(lane->getPrimitiveSizeInBits());
  llvm::Value* value = b.CreateZExtOrTrunc(scalar::integer(x), lane);
  return {b.CreateVectorSplat(128 / bits, value), &b, false};
}
template <class L>
Lanes first_lanes(const Scalar& x) {
  Builder& b = *x.builder;
  llvm::Value* zeros = llvm::Constant::getNullValue(llvm::FixedVectorType::get(b.getInt64Ty(), 2));
  llvm::Value* low = scalar::integer_of(x, 64).value;
  return as<L>({b.CreateInsertElement(zeros, low, std::uint64_t{0}), &b, false});
}
inline Scalar extract_u(const Lanes& x, std::uint64_t k) {
  Builder& b = *x.builder;
  llvm::Value* lane = b.CreateExtractElement(integer(x), k);
  return {x.bits() < 32 ? b.CreateZExt(lane, b.getInt32Ty()) : lane, &b, false};
}
inline Scalar extract_s(const Lanes& x, std::uint64_t k) {
  Builder& b = *x.builder;
  return {b.CreateSExt(b.CreateExtractElement(integer(x), k), b.getInt32Ty()), &b, false};
}
inline Lanes replace(const Lanes& x, std::uint64_t k, const Scalar& y) {
  Builder& b = *x.builder;
  llvm::Value* lane = b.CreateZExtOrTrunc(scalar::integer(y), b.getIntNTy(x.bits()));
  return {b.CreateInsertElement(integer(x), lane, k), &b, false};
}
/// One bit per lane, as an integer of that many bits.
inline llvm::Value* condition_bits(const Lanes& x) {
  return x.builder->CreateBitCast(x.value, x.builder->getIntNTy(x.count()));
}
inline Scalar any_true(const Lanes& x) {
  Builder& b = *x.builder;
  llvm::Value* all = b.CreateBitCast(integer(x), b.getInt128Ty());
  return {b.CreateICmpNE(all, llvm::ConstantInt::get(b.getInt128Ty(), 0)), &b, false};
}
inline Scalar all_true(const Lanes& x) {
  Builder& b = *x.builder;
  llvm::Value* set = condition_bits(x != constant(x, 0));
  return {b.CreateICmpEQ(set, llvm::Constant::getAllOnesValue(set->getType())), &b, false};
}
inline Scalar bitmask(const Lanes& x) {
  Builder& b = *x.builder;
  const Lanes negative{b.CreateICmpSLT(integer(x), constant(x, 0).value), &b, false};
  return {b.CreateZExt(condition_bits(negative), b.getInt32Ty()), &b, false};
}
/// `from` lists lanes of x, then of y.
inline Lanes shuffled(const Lanes& x, const Lanes& y, llvm::ArrayRef<int> from) {
  return {x.builder->CreateShuffleVector(x.value, y.value, from), x.builder, x.raw || y.raw};
}
inline bool has_pshufb(const Builder& b) {
  static const bool on_this_host = llvm::sys::getHostCPUFeatures().lookup("ssse3");
  const std::string& target = b.GetInsertBlock()->getModule()->getTargetTriple();
  return on_this_host && target.rfind("x86_64", 0) == 0;
}
inline Lanes swizzle(const Lanes& x, const Lanes& y) {
  Builder& b = *x.builder;
  if (has_pshufb(b)) {
    // It takes 0 where bit 7 is set, else the low four bits.
    const Lanes beyond = constant(y, 0x70);
    llvm::Value* index = b.CreateBinaryIntrinsic(llvm::Intrinsic::uadd_sat, y.value, beyond.value);
    return {b.CreateIntrinsic(llvm::Intrinsic::x86_ssse3_pshuf_b_128, {}, {x.value, index}), &b,
            false};
  }
  // LLVM has no portable operation for it: lane by lane.
  llvm::Value* result = llvm::Constant::getNullValue(x.value->getType());
  for (std::uint64_t i = 0; i < 16; ++i) {
    llvm::Value* index = b.CreateExtractElement(y.value, i);
    llvm::Value* lane = b.CreateExtractElement(x.value, b.CreateAnd(index, 15));
    llvm::Value* inside = b.CreateICmpULT(index, b.getInt8(16));
    result = b.CreateInsertElement(result, b.CreateSelect(inside, lane, b.getInt8(0)), i);
  }
  return {result, &b, false};
}
inline Lanes choose(const Lanes& condition, const Lanes& x, const Lanes& y) {
  Builder& b = *x.builder;
  return {b.CreateSelect(condition.value, integer(x), integer(y)), &b, false};
}

// Integers

inline Lanes lt_s(const Lanes& x, const Lanes& y) {
  return {x.builder->CreateICmpSLT(integer(x), integer(y)), x.builder, false};
}
inline Lanes le_s(const Lanes& x, const Lanes& y) {
  return {x.builder->CreateICmpSLE(integer(x), integer(y)), x.builder, false};
}
inline Lanes abs_s(const Lanes& x) {
  Builder& b = *x.builder;
  return {b.CreateBinaryIntrinsic(llvm::Intrinsic::abs, integer(x), b.getFalse()), &b, false};
}
inline Lanes popcnt(const Lanes& x) {
  return {x.builder->CreateUnaryIntrinsic(llvm::Intrinsic::ctpop, integer(x)), x.builder, false};
}
inline llvm::Value* shift_amount(const Lanes& x, const Scalar& y) {
  Builder& b = *x.builder;
  llvm::Value* amount = b.CreateAnd(scalar::integer_of(y, 32).value, x.bits() - 1);
  return b.CreateVectorSplat(x.count(), b.CreateZExtOrTrunc(amount, b.getIntNTy(x.bits())));
}
inline Lanes shl(const Lanes& x, const Scalar& y) {
  return {x.builder->CreateShl(integer(x), shift_amount(x, y)), x.builder, false};
}
inline Lanes shr_s(const Lanes& x, const Scalar& y) {
  return {x.builder->CreateAShr(integer(x), shift_amount(x, y)), x.builder, false};
}
inline Lanes shr_u(const Lanes& x, const Scalar& y) {
  return {x.builder->CreateLShr(integer(x), shift_amount(x, y)), x.builder, false};
}
inline Lanes saturating(llvm::Intrinsic::ID what, const Lanes& x, const Lanes& y) {
  return {x.builder->CreateBinaryIntrinsic(what, integer(x), integer(y)), x.builder, false};
}
inline Lanes add_sat_s(const Lanes& x, const Lanes& y) {
  return saturating(llvm::Intrinsic::sadd_sat, x, y);
}
inline Lanes add_sat_u(const Lanes& x, const Lanes& y) {
  return saturating(llvm::Intrinsic::uadd_sat, x, y);
}
inline Lanes sub_sat_s(const Lanes& x, const Lanes& y) {
  return saturating(llvm::Intrinsic::ssub_sat, x, y);
}
inline Lanes sub_sat_u(const Lanes& x, const Lanes& y) {
  return saturating(llvm::Intrinsic::usub_sat, x, y);
}

// Other widths

inline llvm::FixedVectorType* integers(Builder& b, unsigned bits, unsigned count) {
  return llvm::FixedVectorType::get(b.getIntNTy(bits), count);
}
inline Lanes zero_extended(const Lanes& x, unsigned bits) {
  return {x.builder->CreateZExt(x.value, integers(*x.builder, bits, x.count())), x.builder, false};
}
inline Lanes sign_extended(const Lanes& x, unsigned bits) {
  return {x.builder->CreateSExt(x.value, integers(*x.builder, bits, x.count())), x.builder, false};
}
inline Lanes truncated(const Lanes& x, unsigned bits) {
  return {x.builder->CreateTrunc(x.value, integers(*x.builder, bits, x.count())), x.builder, false};
}
/// Half of the lanes: `count` ones from `first`, each `step` further.
inline Lanes half_of(const Lanes& x, int first, int step) {
  llvm::SmallVector<int, 16> from;
  for (unsigned i = 0; i < x.count() / 2; ++i) from.push_back(first + step * static_cast<int>(i));
  return {x.builder->CreateShuffleVector(x.value, from), x.builder, x.raw};
}
#define WARPHIVE_LANES(name, first, step)                        \
  inline Lanes name##_s(const Lanes& x) {                        \
    return sign_extended(half_of(x, first, step), 2 * x.bits()); \
  }                                                              \
  inline Lanes name##_u(const Lanes& x) {                        \
    return zero_extended(half_of(x, first, step), 2 * x.bits()); \
  }
WARPHIVE_LANES(extend_low, 0, 1)
WARPHIVE_LANES(extend_high, static_cast<int>(x.count() / 2), 1)
WARPHIVE_LANES(extend_even, 0, 2)
WARPHIVE_LANES(extend_odd, 1, 2)
#undef WARPHIVE_LANES
inline Lanes low_half(const Lanes& x) { return half_of(x, 0, 1); }
inline Lanes with_zeros(const Lanes& x) {
  llvm::SmallVector<int, 16> from;
  for (unsigned i = 0; i < 2 * x.count(); ++i) from.push_back(static_cast<int>(i));
  return shuffled(x, {llvm::Constant::getNullValue(x.value->getType()), x.builder, false}, from);
}
/// Signed lanes, cut to what lies between the bounds.
inline Lanes clamped(const Lanes& x, std::int64_t least, std::int64_t most) {
  Builder& b = *x.builder;
  llvm::Type* type = x.value->getType();
  llvm::Value* value = b.CreateBinaryIntrinsic(llvm::Intrinsic::smax, x.value,
                                               llvm::ConstantInt::getSigned(type, least));
  value = b.CreateBinaryIntrinsic(llvm::Intrinsic::smin, value,
                                  llvm::ConstantInt::getSigned(type, most));
  return {value, &b, false};
}
inline Lanes both(const Lanes& x, const Lanes& y) {
  llvm::SmallVector<int, 16> from;
  for (unsigned i = 0; i < 2 * x.count(); ++i) from.push_back(static_cast<int>(i));
  return shuffled(x, y, from);
}
inline Lanes narrow_s(const Lanes& x, const Lanes& y) {
  const unsigned bits = x.bits() / 2;
  const std::int64_t most = (std::int64_t{1} << (bits - 1)) - 1;
  return truncated(clamped(both(x, y), -most - 1, most), bits);
}
inline Lanes narrow_u(const Lanes& x, const Lanes& y) {
  const unsigned bits = x.bits() / 2;
  return truncated(clamped(both(x, y), 0, (std::int64_t{1} << bits) - 1), bits);
}
inline Lanes avgr_u(const Lanes& x, const Lanes& y) {
  const Lanes sum = zero_extended(x, 2 * x.bits()) + zero_extended(y, 2 * x.bits());
  const Lanes one = constant(sum, 1);
  return truncated({x.builder->CreateLShr((sum + one).value, one.value), x.builder, false},
                   x.bits());
}
inline Lanes q15mulr_sat_s(const Lanes& x, const Lanes& y) {
  const Lanes product = sign_extended(x, 32) * sign_extended(y, 32);
  const Lanes rounded = product + constant(product, 0x4000);
  const Lanes shifted{x.builder->CreateAShr(rounded.value, 15), x.builder, false};
  return truncated(clamped(shifted, -32768, 32767), 16);
}

// Floats. Results are raw; nothing here may fold more than IEEE 754 allows.

#define WARPHIVE_LANES(f)                                                                       \
  inline Lanes f##_eq(const Lanes& x, const Lanes& y) {                                         \
    return {x.builder->CreateFCmpOEQ(floats(x).value, floats(y).value), x.builder, false};      \
  }                                                                                             \
  inline Lanes f##_lt(const Lanes& x, const Lanes& y) {                                         \
    return {x.builder->CreateFCmpOLT(floats(x).value, floats(y).value), x.builder, false};      \
  }                                                                                             \
  inline Lanes f##_le(const Lanes& x, const Lanes& y) {                                         \
    return {x.builder->CreateFCmpOLE(floats(x).value, floats(y).value), x.builder, false};      \
  }                                                                                             \
  inline Lanes f##_add(const Lanes& x, const Lanes& y) {                                        \
    return {x.builder->CreateFAdd(x.value, y.value), x.builder, true};                          \
  }                                                                                             \
  inline Lanes f##_sub(const Lanes& x, const Lanes& y) {                                        \
    return {x.builder->CreateFSub(x.value, y.value), x.builder, true};                          \
  }                                                                                             \
  inline Lanes f##_mul(const Lanes& x, const Lanes& y) {                                        \
    return {x.builder->CreateFMul(x.value, y.value), x.builder, true};                          \
  }                                                                                             \
  inline Lanes f##_div(const Lanes& x, const Lanes& y) {                                        \
    return {x.builder->CreateFDiv(x.value, y.value), x.builder, true};                          \
  }                                                                                             \
  inline Lanes f##_min(const Lanes& x, const Lanes& y) {                                        \
    return {x.builder->CreateMinimum(x.value, y.value), x.builder, true};                       \
  }                                                                                             \
  inline Lanes f##_max(const Lanes& x, const Lanes& y) {                                        \
    return {x.builder->CreateMaximum(x.value, y.value), x.builder, true};                       \
  }                                                                                             \
  inline Lanes f##_unary(llvm::Intrinsic::ID what, const Lanes& x) {                            \
    return {x.builder->CreateUnaryIntrinsic(what, x.value), x.builder, true};                   \
  }                                                                                             \
  inline Lanes f##_ceil(const Lanes& x) { return f##_unary(llvm::Intrinsic::ceil, x); }         \
  inline Lanes f##_floor(const Lanes& x) { return f##_unary(llvm::Intrinsic::floor, x); }       \
  inline Lanes f##_trunc(const Lanes& x) { return f##_unary(llvm::Intrinsic::trunc, x); }       \
  inline Lanes f##_nearest(const Lanes& x) { return f##_unary(llvm::Intrinsic::roundeven, x); } \
  inline Lanes f##_sqrt(const Lanes& x) { return f##_unary(llvm::Intrinsic::sqrt, x); }
WARPHIVE_LANES(f32)
WARPHIVE_LANES(f64)
#undef WARPHIVE_LANES

inline Lanes f32_from_f64(const Lanes& x) {
  Builder& b = *x.builder;
  return {b.CreateFPTrunc(x.value, llvm::FixedVectorType::get(b.getFloatTy(), x.count())), &b,
          true};
}
inline Lanes f64_from_f32(const Lanes& x) {
  Builder& b = *x.builder;
  return {b.CreateFPExt(x.value, llvm::FixedVectorType::get(b.getDoubleTy(), x.count())), &b, true};
}
inline Lanes i32_saturating(llvm::Intrinsic::ID what, const Lanes& x) {
  Builder& b = *x.builder;
  llvm::Type* to = integers(b, 32, x.count());
  return {b.CreateIntrinsic(what, {to, x.value->getType()}, {x.value}), &b, false};
}
#define WARPHIVE_LANES(f, type)                                                                   \
  inline Lanes i32_sat_##f##_s(const Lanes& x) {                                                  \
    return i32_saturating(llvm::Intrinsic::fptosi_sat, x);                                        \
  }                                                                                               \
  inline Lanes i32_sat_##f##_u(const Lanes& x) {                                                  \
    return i32_saturating(llvm::Intrinsic::fptoui_sat, x);                                        \
  }                                                                                               \
  inline Lanes f##_from_i32_s(const Lanes& x) {                                                   \
    Builder& b = *x.builder;                                                                      \
    return {b.CreateSIToFP(x.value, llvm::FixedVectorType::get(b.type(), x.count())), &b, false}; \
  }                                                                                               \
  inline Lanes f##_from_i32_u(const Lanes& x) {                                                   \
    Builder& b = *x.builder;                                                                      \
    return {b.CreateUIToFP(x.value, llvm::FixedVectorType::get(b.type(), x.count())), &b, false}; \
  }
WARPHIVE_LANES(f32, getFloatTy)
WARPHIVE_LANES(f64, getDoubleTy)
#undef WARPHIVE_LANES

}  // namespace warphive::codegen::vectors
