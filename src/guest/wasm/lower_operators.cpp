// SPDX-License-Identifier: Apache-2.0
#include "guest/wasm/lower_operators.hpp"

#include <bit>

namespace warphive::wasm {
namespace {

using ir::Op;
using enum Opcode;

constexpr std::uint8_t at(Opcode code) { return static_cast<std::uint8_t>(code); }

constexpr std::array<BinaryRule, 256> make_binary_rules() {
  std::array<BinaryRule, 256> rules{};
  const auto commuting = [&rules](Opcode code, Op slots, Op constant) {
    rules[at(code)] = {slots, constant, constant, false};
  };
  const auto ordered = [&rules](Opcode code, Op slots, Op constant) {
    rules[at(code)] = {slots, constant, no_op, false};
  };
  commuting(i32_add, Op::add32, Op::add32_k);
  ordered(i32_sub, Op::sub32, Op::sub32_k);
  commuting(i32_mul, Op::mul32, Op::mul32_k);
  ordered(i32_div_s, Op::div32_s, Op::div32_s_k);
  ordered(i32_div_u, Op::div32_u, Op::div32_u_k);
  ordered(i32_rem_s, Op::rem32_s, Op::rem32_s_k);
  ordered(i32_rem_u, Op::rem32_u, Op::rem32_u_k);
  commuting(i32_and, Op::and32, Op::and32_k);
  commuting(i32_or, Op::or32, Op::or32_k);
  commuting(i32_xor, Op::xor32, Op::xor32_k);
  ordered(i32_shl, Op::shl32, Op::shl32_k);
  ordered(i32_shr_s, Op::shr32_s, Op::shr32_s_k);
  ordered(i32_shr_u, Op::shr32_u, Op::shr32_u_k);
  ordered(i32_rotl, Op::rotl32, Op::rotl32_k);
  ordered(i32_rotr, Op::rotr32, Op::rotr32_k);
  commuting(i64_add, Op::add64, Op::add64_k);
  ordered(i64_sub, Op::sub64, Op::sub64_k);
  commuting(i64_mul, Op::mul64, Op::mul64_k);
  ordered(i64_div_s, Op::div64_s, Op::div64_s_k);
  ordered(i64_div_u, Op::div64_u, Op::div64_u_k);
  ordered(i64_rem_s, Op::rem64_s, Op::rem64_s_k);
  ordered(i64_rem_u, Op::rem64_u, Op::rem64_u_k);
  commuting(i64_and, Op::and64, Op::and64_k);
  commuting(i64_or, Op::or64, Op::or64_k);
  commuting(i64_xor, Op::xor64, Op::xor64_k);
  ordered(i64_shl, Op::shl64, Op::shl64_k);
  ordered(i64_shr_s, Op::shr64_s, Op::shr64_s_k);
  ordered(i64_shr_u, Op::shr64_u, Op::shr64_u_k);
  ordered(i64_rotl, Op::rotl64, Op::rotl64_k);
  ordered(i64_rotr, Op::rotr64, Op::rotr64_k);

  commuting(i32_eq, Op::eq32, Op::eq32_k);
  commuting(i32_ne, Op::ne32, Op::ne32_k);
  rules[at(i32_lt_s)] = {Op::lt32_s, Op::lt32_s_k, Op::gt32_s_k, false};
  rules[at(i32_lt_u)] = {Op::lt32_u, Op::lt32_u_k, Op::gt32_u_k, false};
  rules[at(i32_gt_s)] = {Op::lt32_s, Op::gt32_s_k, Op::lt32_s_k, true};
  rules[at(i32_gt_u)] = {Op::lt32_u, Op::gt32_u_k, Op::lt32_u_k, true};
  rules[at(i32_le_s)] = {Op::le32_s, Op::le32_s_k, Op::ge32_s_k, false};
  rules[at(i32_le_u)] = {Op::le32_u, Op::le32_u_k, Op::ge32_u_k, false};
  rules[at(i32_ge_s)] = {Op::le32_s, Op::ge32_s_k, Op::le32_s_k, true};
  rules[at(i32_ge_u)] = {Op::le32_u, Op::ge32_u_k, Op::le32_u_k, true};
  commuting(i64_eq, Op::eq64, Op::eq64_k);
  commuting(i64_ne, Op::ne64, Op::ne64_k);
  rules[at(i64_lt_s)] = {Op::lt64_s, Op::lt64_s_k, Op::gt64_s_k, false};
  rules[at(i64_lt_u)] = {Op::lt64_u, Op::lt64_u_k, Op::gt64_u_k, false};
  rules[at(i64_gt_s)] = {Op::lt64_s, Op::gt64_s_k, Op::lt64_s_k, true};
  rules[at(i64_gt_u)] = {Op::lt64_u, Op::gt64_u_k, Op::lt64_u_k, true};
  rules[at(i64_le_s)] = {Op::le64_s, Op::le64_s_k, Op::ge64_s_k, false};
  rules[at(i64_le_u)] = {Op::le64_u, Op::le64_u_k, Op::ge64_u_k, false};
  rules[at(i64_ge_s)] = {Op::le64_s, Op::ge64_s_k, Op::le64_s_k, true};
  rules[at(i64_ge_u)] = {Op::le64_u, Op::ge64_u_k, Op::le64_u_k, true};

  const auto slots_only = [&rules](Opcode code, Op op, bool swap = false) {
    rules[at(code)] = {op, no_op, no_op, swap};
  };
  slots_only(f32_eq, Op::eqf32);
  slots_only(f32_ne, Op::nef32);
  slots_only(f32_lt, Op::ltf32);
  slots_only(f32_gt, Op::ltf32, true);
  slots_only(f32_le, Op::lef32);
  slots_only(f32_ge, Op::lef32, true);
  slots_only(f64_eq, Op::eqf64);
  slots_only(f64_ne, Op::nef64);
  slots_only(f64_lt, Op::ltf64);
  slots_only(f64_gt, Op::ltf64, true);
  slots_only(f64_le, Op::lef64);
  slots_only(f64_ge, Op::lef64, true);
  slots_only(f32_add, Op::addf32);
  slots_only(f32_sub, Op::subf32);
  slots_only(f32_mul, Op::mulf32);
  slots_only(f32_div, Op::divf32);
  slots_only(f32_min, Op::minf32);
  slots_only(f32_max, Op::maxf32);
  slots_only(f32_copysign, Op::copysignf32);
  slots_only(f64_add, Op::addf64);
  slots_only(f64_sub, Op::subf64);
  slots_only(f64_mul, Op::mulf64);
  slots_only(f64_div, Op::divf64);
  slots_only(f64_min, Op::minf64);
  slots_only(f64_max, Op::maxf64);
  slots_only(f64_copysign, Op::copysignf64);
  return rules;
}

constexpr std::array<OperatorClass, 256> make_classes(std::array<UnaryRule, 256>& rules) {
  std::array<OperatorClass, 256> classes{};
  for (const Opcode code : {Opcode::unreachable, Opcode::nop, Opcode::block, Opcode::loop,
                            Opcode::else_, Opcode::end, Opcode::return_, Opcode::drop}) {
    classes[at(code)] = OperatorClass::free;
  }
  classes[at(Opcode::local_get)] = OperatorClass::local_get;
  classes[at(Opcode::local_set)] = OperatorClass::local_set;
  classes[at(Opcode::local_tee)] = OperatorClass::local_tee;
  classes[at(Opcode::i32_const)] = OperatorClass::i32_const;
  const std::array<BinaryRule, 256> binary = make_binary_rules();
  for (std::size_t i = 0; i < binary.size(); ++i) {
    if (binary[i].slots != no_op) classes[i] = OperatorClass::binary;
  }

  const auto unary = [&](Opcode code, Op op) {
    classes[at(code)] = OperatorClass::unary;
    rules[at(code)] = {op, ir::info(op).src_bits};
  };
  unary(i32_clz, Op::clz32);
  unary(i32_ctz, Op::ctz32);
  unary(i32_popcnt, Op::popcnt32);
  unary(i32_extend8_s, Op::extend8_s32);
  unary(i32_extend16_s, Op::extend16_s32);
  unary(i64_clz, Op::clz64);
  unary(i64_ctz, Op::ctz64);
  unary(i64_popcnt, Op::popcnt64);
  unary(i64_extend8_s, Op::extend8_s64);
  unary(i64_extend16_s, Op::extend16_s64);
  unary(i64_extend32_s, Op::extend32_s64);
  unary(i64_extend_i32_s, Op::extend32_s64);
  rules[at(i64_extend32_s)].operand_bits = 32;
  rules[at(i64_extend_i32_s)].operand_bits = 32;
  unary(f32_abs, Op::absf32);
  unary(f32_neg, Op::negf32);
  unary(f32_ceil, Op::ceilf32);
  unary(f32_floor, Op::floorf32);
  unary(f32_trunc, Op::truncf32);
  unary(f32_nearest, Op::nearestf32);
  unary(f32_sqrt, Op::sqrtf32);
  unary(f64_abs, Op::absf64);
  unary(f64_neg, Op::negf64);
  unary(f64_ceil, Op::ceilf64);
  unary(f64_floor, Op::floorf64);
  unary(f64_trunc, Op::truncf64);
  unary(f64_nearest, Op::nearestf64);
  unary(f64_sqrt, Op::sqrtf64);
  unary(i32_trunc_f32_s, Op::cvt_i32_f32_s);
  unary(i32_trunc_f32_u, Op::cvt_i32_f32_u);
  unary(i32_trunc_f64_s, Op::cvt_i32_f64_s);
  unary(i32_trunc_f64_u, Op::cvt_i32_f64_u);
  unary(i64_trunc_f32_s, Op::cvt_i64_f32_s);
  unary(i64_trunc_f32_u, Op::cvt_i64_f32_u);
  unary(i64_trunc_f64_s, Op::cvt_i64_f64_s);
  unary(i64_trunc_f64_u, Op::cvt_i64_f64_u);
  unary(f32_convert_i32_s, Op::cvt_f32_i32_s);
  unary(f32_convert_i32_u, Op::cvt_f32_i32_u);
  unary(f32_convert_i64_s, Op::cvt_f32_i64_s);
  unary(f32_convert_i64_u, Op::cvt_f32_i64_u);
  unary(f64_convert_i32_s, Op::cvt_f64_i32_s);
  unary(f64_convert_i32_u, Op::cvt_f64_i32_u);
  unary(f64_convert_i64_s, Op::cvt_f64_i64_s);
  unary(f64_convert_i64_u, Op::cvt_f64_i64_u);
  unary(f32_demote_f64, Op::demote);
  unary(f64_promote_f32, Op::promote);

  // An address is read whole by executors: it must be zero-extended.
  const auto load = [&](Opcode code, Op op) {
    classes[at(code)] = OperatorClass::load;
    rules[at(code)] = {op, 64};
  };
  load(i32_load, Op::load32_u);
  load(i64_load, Op::load64);
  load(f32_load, Op::load32_u);
  load(f64_load, Op::load64);
  load(i32_load8_s, Op::load8_s32);
  load(i32_load8_u, Op::load8_u);
  load(i32_load16_s, Op::load16_s32);
  load(i32_load16_u, Op::load16_u);
  load(i64_load8_s, Op::load8_s64);
  load(i64_load8_u, Op::load8_u);
  load(i64_load16_s, Op::load16_s64);
  load(i64_load16_u, Op::load16_u);
  load(i64_load32_s, Op::load32_s64);
  load(i64_load32_u, Op::load32_u);
  const auto store = [&](Opcode code, Op op) {
    classes[at(code)] = OperatorClass::store;
    rules[at(code)] = {op, ir::info(op).src_bits};
  };
  store(i32_store, Op::store32);
  store(i64_store, Op::store64);
  store(f32_store, Op::store32);
  store(f64_store, Op::store64);
  store(i32_store8, Op::store8);
  store(i32_store16, Op::store16);
  store(i64_store8, Op::store8);
  store(i64_store16, Op::store16);
  store(i64_store32, Op::store32);
  return classes;
}

constexpr std::array<UnaryRule, 256> make_unary_rules() {
  std::array<UnaryRule, 256> rules{};
  make_classes(rules);
  return rules;
}
constexpr std::array<OperatorClass, 256> make_classes_only() {
  std::array<UnaryRule, 256> rules{};
  return make_classes(rules);
}

constexpr std::array<Condition, ir::op_count> make_conditions() {
  std::array<Condition, ir::op_count> conditions{};
  const auto set = [&conditions](Op op, Op inverse, Op branch, Op branch_inverse, bool swap) {
    conditions[static_cast<std::uint16_t>(op)] = {inverse, branch, branch_inverse, swap};
  };
#define EQUALITIES(bits)                                                                    \
  set(Op::eq##bits, Op::ne##bits, Op::br_eq##bits, Op::br_ne##bits, false);                 \
  set(Op::ne##bits, Op::eq##bits, Op::br_ne##bits, Op::br_eq##bits, false);                 \
  set(Op::eq##bits##_k, Op::ne##bits##_k, Op::br_eq##bits##_k, Op::br_ne##bits##_k, false); \
  set(Op::ne##bits##_k, Op::eq##bits##_k, Op::br_ne##bits##_k, Op::br_eq##bits##_k, false);
#define ORDER(type)                                                                         \
  set(Op::lt##type, Op::le##type, Op::br_lt##type, Op::br_le##type, true);                  \
  set(Op::le##type, Op::lt##type, Op::br_le##type, Op::br_lt##type, true);                  \
  set(Op::lt##type##_k, Op::ge##type##_k, Op::br_lt##type##_k, Op::br_ge##type##_k, false); \
  set(Op::ge##type##_k, Op::lt##type##_k, Op::br_ge##type##_k, Op::br_lt##type##_k, false); \
  set(Op::le##type##_k, Op::gt##type##_k, Op::br_le##type##_k, Op::br_gt##type##_k, false); \
  set(Op::gt##type##_k, Op::le##type##_k, Op::br_gt##type##_k, Op::br_le##type##_k, false);
  // An ordering of floats has no inverse as a value: with a NaN both are false.
#define FLOATS(type)                                                            \
  set(Op::eq##type, Op::ne##type, Op::br_eq##type, Op::br_not_eq##type, false); \
  set(Op::ne##type, Op::eq##type, Op::br_not_eq##type, Op::br_eq##type, false); \
  set(Op::lt##type, no_op, Op::br_lt##type, Op::br_not_lt##type, false);        \
  set(Op::le##type, no_op, Op::br_le##type, Op::br_not_le##type, false);
  EQUALITIES(32)
  EQUALITIES(64)
  ORDER(32_s)
  ORDER(32_u)
  ORDER(64_s)
  ORDER(64_u)
  FLOATS(f32)
  FLOATS(f64)
#undef FLOATS
#undef ORDER
#undef EQUALITIES
  set(Op::and32, no_op, Op::br_and32, Op::br_nand32, false);
  set(Op::and32_k, no_op, Op::br_and32_k, Op::br_nand32_k, false);
  return conditions;
}
constexpr std::array<Condition, ir::op_count> conditions = make_conditions();

std::uint32_t low(std::uint64_t value) { return static_cast<std::uint32_t>(value); }
std::int32_t signed_low(std::uint64_t value) { return static_cast<std::int32_t>(low(value)); }
std::int64_t signed_64(std::uint64_t value) { return static_cast<std::int64_t>(value); }
int amount(std::uint64_t value, std::uint32_t bits) {
  return static_cast<int>(low(value) & (bits - 1));
}

}  // namespace

constinit const std::array<OperatorClass, 256> operator_classes = make_classes_only();
constinit const std::array<BinaryRule, 256> binary_rules = make_binary_rules();
constinit const std::array<UnaryRule, 256> unary_rules = make_unary_rules();
constinit const std::array<Op, 8> saturating_ops = {
    Op::cvt_sat_i32_f32_s, Op::cvt_sat_i32_f32_u, Op::cvt_sat_i32_f64_s, Op::cvt_sat_i32_f64_u,
    Op::cvt_sat_i64_f32_s, Op::cvt_sat_i64_f32_u, Op::cvt_sat_i64_f64_s, Op::cvt_sat_i64_f64_u};

const Condition& condition_of(Op op) { return conditions[static_cast<std::uint16_t>(op)]; }

std::optional<std::uint64_t> fold_binary(Opcode code, std::uint64_t x, std::uint64_t y) {
  switch (code) {
    case i32_add:
      return low(x + y);
    case i32_sub:
      return low(x - y);
    case i32_mul:
      return low(x * y);
    case i32_and:
      return x & y;
    case i32_or:
      return x | y;
    case i32_xor:
      return x ^ y;
    case i32_shl:
      return low(x << amount(y, 32));
    case i32_shr_s:
      return low(static_cast<std::uint64_t>(signed_low(x) >> amount(y, 32)));
    case i32_shr_u:
      return low(x) >> amount(y, 32);
    case i32_rotl:
      return std::rotl(low(x), amount(y, 32));
    case i32_rotr:
      return std::rotr(low(x), amount(y, 32));
    case i64_add:
      return x + y;
    case i64_sub:
      return x - y;
    case i64_mul:
      return x * y;
    case i64_and:
      return x & y;
    case i64_or:
      return x | y;
    case i64_xor:
      return x ^ y;
    case i64_shl:
      return x << amount(y, 64);
    case i64_shr_s:
      return static_cast<std::uint64_t>(signed_64(x) >> amount(y, 64));
    case i64_shr_u:
      return x >> amount(y, 64);
    case i64_rotl:
      return std::rotl(x, amount(y, 64));
    case i64_rotr:
      return std::rotr(x, amount(y, 64));
    case i32_eq:
      return low(x) == low(y);
    case i32_ne:
      return low(x) != low(y);
    case i32_lt_s:
      return signed_low(x) < signed_low(y);
    case i32_lt_u:
      return low(x) < low(y);
    case i32_gt_s:
      return signed_low(x) > signed_low(y);
    case i32_gt_u:
      return low(x) > low(y);
    case i32_le_s:
      return signed_low(x) <= signed_low(y);
    case i32_le_u:
      return low(x) <= low(y);
    case i32_ge_s:
      return signed_low(x) >= signed_low(y);
    case i32_ge_u:
      return low(x) >= low(y);
    case i64_eq:
      return x == y;
    case i64_ne:
      return x != y;
    case i64_lt_s:
      return signed_64(x) < signed_64(y);
    case i64_lt_u:
      return x < y;
    case i64_gt_s:
      return signed_64(x) > signed_64(y);
    case i64_gt_u:
      return x > y;
    case i64_le_s:
      return signed_64(x) <= signed_64(y);
    case i64_le_u:
      return x <= y;
    case i64_ge_s:
      return signed_64(x) >= signed_64(y);
    case i64_ge_u:
      return x >= y;
    default:
      return std::nullopt;
  }
}

std::optional<std::uint64_t> fold_unary(Opcode code, std::uint64_t x) {
  const auto sign_extend = [x](auto narrow) {
    return static_cast<std::uint64_t>(static_cast<std::int64_t>(static_cast<decltype(narrow)>(x)));
  };
  switch (code) {
    case i32_clz:
      return static_cast<std::uint64_t>(std::countl_zero(low(x)));
    case i32_ctz:
      return static_cast<std::uint64_t>(std::countr_zero(low(x)));
    case i32_popcnt:
      return static_cast<std::uint64_t>(std::popcount(low(x)));
    case i32_extend8_s:
      return low(sign_extend(std::int8_t{}));
    case i32_extend16_s:
      return low(sign_extend(std::int16_t{}));
    case i64_clz:
      return static_cast<std::uint64_t>(std::countl_zero(x));
    case i64_ctz:
      return static_cast<std::uint64_t>(std::countr_zero(x));
    case i64_popcnt:
      return static_cast<std::uint64_t>(std::popcount(x));
    case i64_extend8_s:
      return sign_extend(std::int8_t{});
    case i64_extend16_s:
      return sign_extend(std::int16_t{});
    case i64_extend32_s:
    case i64_extend_i32_s:
      return sign_extend(std::int32_t{});
    default:
      return std::nullopt;
  }
}

}  // namespace warphive::wasm
