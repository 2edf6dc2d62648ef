// SPDX-License-Identifier: Apache-2.0
// The helpers named in the result and trap columns of ir/ops.inc, as builders of LLVM IR: with
// Scalar for x and y a row of the table becomes the code that computes it.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <utility>
#include <vector>

#include "abi/exit.hpp"
#include "codegen/llvm.hpp"

namespace warphive::codegen::scalar {

using abi::TrapKind;

struct Builder : llvm::IRBuilder<> {
  using llvm::IRBuilder<>::IRBuilder;
  bool opaque_bits = false;  // see Target::has_opaque_bits
};

/// A value under construction: an integer of 1, 32 or 64 bits, or a float, which integer
/// operations see as its bits.
struct Scalar {
  llvm::Value* value = nullptr;
  Builder* builder = nullptr;
  bool raw = false;  // a float result whose NaN bits are not canonical yet

  [[nodiscard]] bool is_float() const { return value->getType()->isFloatingPointTy(); }
  [[nodiscard]] unsigned bits() const {
    return static_cast<unsigned>(value->getType()->getPrimitiveSizeInBits());
  }
};

/// `value` with canonical NaNs.
inline Scalar canonical(const Scalar& x) {
  if (!x.raw) return x;
  Builder& b = *x.builder;
  llvm::Type* type = x.value->getType();
  const llvm::APInt bits =
      type->isFloatTy() ? llvm::APInt(32, 0x7fc00000u) : llvm::APInt(64, 0x7ff8000000000000u);
  llvm::Value* nan = llvm::ConstantFP::get(
      type,
      llvm::APFloat(type->isFloatTy() ? llvm::APFloat::IEEEsingle() : llvm::APFloat::IEEEdouble(),
                    bits));
  return {b.CreateSelect(b.CreateFCmpUNO(x.value, x.value), nan, x.value), &b, false};
}

inline llvm::Value* integer(const Scalar& x) {
  if (!x.is_float()) return x.value;
  const Scalar exact = canonical(x);
  Builder& b = *x.builder;
  llvm::Type* type = b.getIntNTy(x.bits());
  if (!b.opaque_bits || llvm::isa<llvm::Constant>(exact.value)) {
    return b.CreateBitCast(exact.value, type);
  }
  const bool wide = x.bits() == 64;
  llvm::InlineAsm* move = llvm::InlineAsm::get(
      llvm::FunctionType::get(type, {exact.value->getType()}, false),
      wide ? "mov.b64 $0, $1;" : "mov.b32 $0, $1;", wide ? "=l,d" : "=r,f", false);
  llvm::CallInst* bits = b.CreateCall(move, {exact.value});
  bits->setDoesNotAccessMemory();
  bits->setDoesNotThrow();
  return bits;
}

/// An integer of that width: narrower ones are zero-extended, wider ones cut.
inline Scalar integer_of(const Scalar& x, unsigned bits) {
  return {x.builder->CreateZExtOrTrunc(integer(x), x.builder->getIntNTy(bits)), x.builder, false};
}

inline Scalar as_f32(const Scalar& x) {
  if (x.value->getType()->isFloatTy()) return x;
  return {x.builder->CreateBitCast(integer_of(x, 32).value, x.builder->getFloatTy()), x.builder,
          false};
}
inline Scalar as_f64(const Scalar& x) {
  if (x.value->getType()->isDoubleTy()) return x;
  return {x.builder->CreateBitCast(integer_of(x, 64).value, x.builder->getDoubleTy()), x.builder,
          false};
}

inline Scalar constant(const Scalar& like, std::uint64_t bits) {
  return {llvm::ConstantInt::get(like.builder->getIntNTy(like.bits()), bits), like.builder, false};
}

#define WARPHIVE_SCALAR_BINARY(symbol, make)                            \
  inline Scalar operator symbol(const Scalar& x, const Scalar& y) {     \
    return {x.builder->make(integer(x), integer(y)), x.builder, false}; \
  }                                                                     \
  inline Scalar operator symbol(const Scalar& x, std::uint64_t y) {     \
    return x symbol constant(x, y);                                     \
  }
WARPHIVE_SCALAR_BINARY(+, CreateAdd)
WARPHIVE_SCALAR_BINARY(-, CreateSub)
WARPHIVE_SCALAR_BINARY(*, CreateMul)
WARPHIVE_SCALAR_BINARY(/, CreateUDiv)
WARPHIVE_SCALAR_BINARY(%, CreateURem)
WARPHIVE_SCALAR_BINARY(&, CreateAnd)
WARPHIVE_SCALAR_BINARY(|, CreateOr)
WARPHIVE_SCALAR_BINARY(^, CreateXor)
WARPHIVE_SCALAR_BINARY(<<, CreateShl)
WARPHIVE_SCALAR_BINARY(>>, CreateLShr)
WARPHIVE_SCALAR_BINARY(==, CreateICmpEQ)
WARPHIVE_SCALAR_BINARY(!=, CreateICmpNE)
WARPHIVE_SCALAR_BINARY(<, CreateICmpULT)
WARPHIVE_SCALAR_BINARY(<=, CreateICmpULE)
WARPHIVE_SCALAR_BINARY(>, CreateICmpUGT)
WARPHIVE_SCALAR_BINARY(>=, CreateICmpUGE)
#undef WARPHIVE_SCALAR_BINARY
inline Scalar operator-(std::uint64_t x, const Scalar& y) { return constant(y, x) - y; }
inline Scalar operator!(const Scalar& x) {
  return {x.builder->CreateNot(x.value), x.builder, false};
}

// Integers

inline Scalar shift_right_s(const Scalar& x, const Scalar& y, std::uint64_t mask) {
  return {x.builder->CreateAShr(integer(x), integer(y & mask)), x.builder, false};
}
inline Scalar shr32_s(const Scalar& x, const Scalar& y) { return shift_right_s(x, y, 31); }
inline Scalar shr64_s(const Scalar& x, const Scalar& y) { return shift_right_s(x, y, 63); }
inline Scalar rotate_left(const Scalar& x, const Scalar& n) {
  llvm::Value* v = integer(x);
  return {x.builder->CreateIntrinsic(llvm::Intrinsic::fshl, {v->getType()}, {v, v, integer(n)}),
          x.builder, false};
}
inline Scalar rotl32(const Scalar& x, const Scalar& n) { return rotate_left(x, n); }
inline Scalar rotl64(const Scalar& x, const Scalar& n) { return rotate_left(x, n); }
inline Scalar count(llvm::Intrinsic::ID what, const Scalar& x) {
  llvm::Value* v = integer(x);
  if (what == llvm::Intrinsic::ctpop) {
    return {x.builder->CreateUnaryIntrinsic(what, v), x.builder, false};
  }
  return {x.builder->CreateBinaryIntrinsic(what, v, x.builder->getFalse()), x.builder, false};
}
inline Scalar clz32(const Scalar& x) { return count(llvm::Intrinsic::ctlz, x); }
inline Scalar clz64(const Scalar& x) { return count(llvm::Intrinsic::ctlz, x); }
inline Scalar ctz32(const Scalar& x) { return count(llvm::Intrinsic::cttz, x); }
inline Scalar ctz64(const Scalar& x) { return count(llvm::Intrinsic::cttz, x); }
inline Scalar popcnt32(const Scalar& x) { return count(llvm::Intrinsic::ctpop, x); }
inline Scalar popcnt64(const Scalar& x) { return count(llvm::Intrinsic::ctpop, x); }
inline Scalar extend(const Scalar& x, unsigned from) {
  Builder& b = *x.builder;
  llvm::Value* v = integer(x);
  return {b.CreateSExt(b.CreateTrunc(v, b.getIntNTy(from)), v->getType()), &b, false};
}
inline Scalar wrap64(const Scalar& x) { return integer_of(x, 32); }
inline Scalar extend8_s32(const Scalar& x) { return extend(x, 8); }
inline Scalar extend16_s32(const Scalar& x) { return extend(x, 16); }
inline Scalar extend8_s64(const Scalar& x) { return extend(x, 8); }
inline Scalar extend16_s64(const Scalar& x) { return extend(x, 16); }
inline Scalar extend32_s64(const Scalar& x) { return extend(x, 32); }
inline Scalar less_s(const Scalar& x, const Scalar& y) {
  return {x.builder->CreateICmpSLT(integer(x), integer(y)), x.builder, false};
}
inline Scalar lt32_s(const Scalar& x, const Scalar& y) { return less_s(x, y); }
inline Scalar lt64_s(const Scalar& x, const Scalar& y) { return less_s(x, y); }

/// Conditions under which an op traps, in the order in which they are tested.
struct Traps {
  std::vector<std::pair<llvm::Value*, llvm::Value*>> tests;  // condition, TrapKind as i32
};
inline llvm::Value* kind(Builder& b, TrapKind trap) {
  return b.getInt32(static_cast<std::uint32_t>(trap));
}
inline Traps div_u_trap(const Scalar& y) {
  return {{{(y == 0).value, kind(*y.builder, TrapKind::integer_divide_by_zero)}}};
}
inline Traps div_s_trap(const Scalar& x, const Scalar& y) {
  Builder& b = *x.builder;
  Traps traps = div_u_trap(y);
  llvm::Value* lowest = b.CreateICmpEQ(
      integer(x),
      llvm::ConstantInt::get(integer(x)->getType(), llvm::APInt::getSignedMinValue(x.bits())));
  llvm::Value* minus_one =
      b.CreateICmpEQ(integer(y), llvm::Constant::getAllOnesValue(integer(y)->getType()));
  traps.tests.emplace_back(b.CreateAnd(lowest, minus_one), kind(b, TrapKind::integer_overflow));
  return traps;
}
inline Traps div32_s_trap(const Scalar& x, const Scalar& y) { return div_s_trap(x, y); }
inline Traps div64_s_trap(const Scalar& x, const Scalar& y) { return div_s_trap(x, y); }
inline Scalar divide_s(const Scalar& x, const Scalar& y) {
  return {x.builder->CreateSDiv(integer(x), integer(y)), x.builder, false};
}
inline Scalar div32_s(const Scalar& x, const Scalar& y) { return divide_s(x, y); }
inline Scalar div64_s(const Scalar& x, const Scalar& y) { return divide_s(x, y); }
/// The quotient by -1 may overflow; the remainder is that by 1.
inline Scalar remainder_s(const Scalar& x, const Scalar& y) {
  Builder& b = *x.builder;
  llvm::Value* divisor = integer(y);
  llvm::Type* type = divisor->getType();
  llvm::Value* is_minus_one = b.CreateICmpEQ(divisor, llvm::Constant::getAllOnesValue(type));
  divisor = b.CreateSelect(is_minus_one, llvm::ConstantInt::get(type, 1), divisor);
  return {b.CreateSRem(integer(x), divisor), &b, false};
}
inline Scalar rem32_s(const Scalar& x, const Scalar& y) { return remainder_s(x, y); }
inline Scalar rem64_s(const Scalar& x, const Scalar& y) { return remainder_s(x, y); }

// Floats. Results are raw; nothing here may fold more than IEEE 754 allows.

#define WARPHIVE_FLOAT_OPS(f, as)                                                                 \
  inline Scalar f##_eq(const Scalar& x, const Scalar& y) {                                        \
    return {x.builder->CreateFCmpOEQ(as(x).value, as(y).value), x.builder, false};                \
  }                                                                                               \
  inline Scalar f##_lt(const Scalar& x, const Scalar& y) {                                        \
    return {x.builder->CreateFCmpOLT(as(x).value, as(y).value), x.builder, false};                \
  }                                                                                               \
  inline Scalar f##_le(const Scalar& x, const Scalar& y) {                                        \
    return {x.builder->CreateFCmpOLE(as(x).value, as(y).value), x.builder, false};                \
  }                                                                                               \
  inline Scalar f##_add(const Scalar& x, const Scalar& y) {                                       \
    return {x.builder->CreateFAdd(as(x).value, as(y).value), x.builder, true};                    \
  }                                                                                               \
  inline Scalar f##_sub(const Scalar& x, const Scalar& y) {                                       \
    return {x.builder->CreateFSub(as(x).value, as(y).value), x.builder, true};                    \
  }                                                                                               \
  inline Scalar f##_mul(const Scalar& x, const Scalar& y) {                                       \
    return {x.builder->CreateFMul(as(x).value, as(y).value), x.builder, true};                    \
  }                                                                                               \
  inline Scalar f##_div(const Scalar& x, const Scalar& y) {                                       \
    return {x.builder->CreateFDiv(as(x).value, as(y).value), x.builder, true};                    \
  }                                                                                               \
  inline Scalar f##_min(const Scalar& x, const Scalar& y) {                                       \
    return {x.builder->CreateMinimum(as(x).value, as(y).value), x.builder, true};                 \
  }                                                                                               \
  inline Scalar f##_max(const Scalar& x, const Scalar& y) {                                       \
    return {x.builder->CreateMaximum(as(x).value, as(y).value), x.builder, true};                 \
  }                                                                                               \
  inline Scalar f##_unary(llvm::Intrinsic::ID what, const Scalar& x) {                            \
    return {x.builder->CreateUnaryIntrinsic(what, as(x).value), x.builder, true};                 \
  }                                                                                               \
  inline Scalar f##_ceil(const Scalar& x) { return f##_unary(llvm::Intrinsic::ceil, x); }         \
  inline Scalar f##_floor(const Scalar& x) { return f##_unary(llvm::Intrinsic::floor, x); }       \
  inline Scalar f##_trunc(const Scalar& x) { return f##_unary(llvm::Intrinsic::trunc, x); }       \
  inline Scalar f##_nearest(const Scalar& x) { return f##_unary(llvm::Intrinsic::roundeven, x); } \
  inline Scalar f##_sqrt(const Scalar& x) { return f##_unary(llvm::Intrinsic::sqrt, x); }
WARPHIVE_FLOAT_OPS(f32, as_f32)
WARPHIVE_FLOAT_OPS(f64, as_f64)
#undef WARPHIVE_FLOAT_OPS

inline Scalar f32_from_f64(const Scalar& x) {
  return {x.builder->CreateFPTrunc(as_f64(x).value, x.builder->getFloatTy()), x.builder, true};
}
inline Scalar f64_from_f32(const Scalar& x) {
  return {x.builder->CreateFPExt(as_f32(x).value, x.builder->getDoubleTy()), x.builder, true};
}

/// Bounds as in exec/semantics.hpp: the nearest values that do not fit, or for `closed` the lowest
/// that does.
struct Bounds {
  double low;
  double high;
  bool closed;  // low itself fits
};
inline Traps conversion_traps(const Scalar& v, const Bounds& bounds) {
  Builder& b = *v.builder;
  llvm::Type* type = v.value->getType();
  llvm::Value* low = llvm::ConstantFP::get(type, bounds.low);
  llvm::Value* high = llvm::ConstantFP::get(type, bounds.high);
  llvm::Value* above =
      bounds.closed ? b.CreateFCmpOGE(v.value, low) : b.CreateFCmpOGT(v.value, low);
  llvm::Value* fits = b.CreateAnd(above, b.CreateFCmpOLT(v.value, high));
  llvm::Value* is_nan = b.CreateFCmpUNO(v.value, v.value);
  return {{{b.CreateNot(fits), b.CreateSelect(is_nan, kind(b, TrapKind::invalid_conversion),
                                              kind(b, TrapKind::integer_overflow))}}};
}
#define WARPHIVE_CONVERSION(to, from, sign, bits, low, high, closed, cast, saturate)            \
  inline Traps trap_##to##_from_##from##_##sign(const Scalar& x) {                              \
    return conversion_traps(as_##from(x), {low, high, closed});                                 \
  }                                                                                             \
  inline Scalar to##_from_##from##_##sign(const Scalar& x) {                                    \
    return {x.builder->cast(as_##from(x).value, x.builder->getIntNTy(bits)), x.builder, false}; \
  }                                                                                             \
  inline Scalar to##_sat_##from##_##sign(const Scalar& x) {                                     \
    llvm::Value* v = as_##from(x).value;                                                        \
    return {x.builder->CreateIntrinsic(llvm::Intrinsic::saturate,                               \
                                       {x.builder->getIntNTy(bits), v->getType()}, {v}),        \
            x.builder, false};                                                                  \
  }
WARPHIVE_CONVERSION(i32, f32, s, 32, -2147483648.0, 2147483648.0, true, CreateFPToSI, fptosi_sat)
WARPHIVE_CONVERSION(i32, f64, s, 32, -2147483649.0, 2147483648.0, false, CreateFPToSI, fptosi_sat)
WARPHIVE_CONVERSION(i32, f32, u, 32, -1.0, 4294967296.0, false, CreateFPToUI, fptoui_sat)
WARPHIVE_CONVERSION(i32, f64, u, 32, -1.0, 4294967296.0, false, CreateFPToUI, fptoui_sat)
WARPHIVE_CONVERSION(i64, f32, s, 64, -9223372036854775808.0, 9223372036854775808.0, true,
                    CreateFPToSI, fptosi_sat)
WARPHIVE_CONVERSION(i64, f64, s, 64, -9223372036854775808.0, 9223372036854775808.0, true,
                    CreateFPToSI, fptosi_sat)
WARPHIVE_CONVERSION(i64, f32, u, 64, -1.0, 18446744073709551616.0, false, CreateFPToUI, fptoui_sat)
WARPHIVE_CONVERSION(i64, f64, u, 64, -1.0, 18446744073709551616.0, false, CreateFPToUI, fptoui_sat)
#undef WARPHIVE_CONVERSION

#define WARPHIVE_FROM_INTEGER(to, from, type)                                          \
  inline Scalar to##_from_##from##_s(const Scalar& x) {                                \
    return {x.builder->CreateSIToFP(integer(x), x.builder->type()), x.builder, false}; \
  }                                                                                    \
  inline Scalar to##_from_##from##_u(const Scalar& x) {                                \
    return {x.builder->CreateUIToFP(integer(x), x.builder->type()), x.builder, false}; \
  }
WARPHIVE_FROM_INTEGER(f32, i32, getFloatTy)
WARPHIVE_FROM_INTEGER(f32, i64, getFloatTy)
WARPHIVE_FROM_INTEGER(f64, i32, getDoubleTy)
WARPHIVE_FROM_INTEGER(f64, i64, getDoubleTy)
#undef WARPHIVE_FROM_INTEGER

}  // namespace warphive::codegen::scalar
