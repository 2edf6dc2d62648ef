// SPDX-License-Identifier: Apache-2.0
#include "warphive/types.hpp"

#include "abi/exit.hpp"
#include "api/data.hpp"
#include "base/check.hpp"
#include "base/result.hpp"

namespace warphive {
namespace {

// The public enumerations are the internal ones, value by value.
#define WARPHIVE_SAME(type, name) \
  static_assert(static_cast<std::uint8_t>(type::name) == static_cast<std::uint8_t>(abi::type::name))
WARPHIVE_SAME(Exit, ready);
WARPHIVE_SAME(Exit, returned);
WARPHIVE_SAME(Exit, trapped);
WARPHIVE_SAME(Exit, out_of_fuel);
WARPHIVE_SAME(Exit, parked);
WARPHIVE_SAME(Exit, cancelled);
WARPHIVE_SAME(Exit, exited);
WARPHIVE_SAME(Exit, device_lost);
WARPHIVE_SAME(Exit, internal);
static_assert(abi::exit_count == static_cast<std::uint8_t>(Exit::internal) + 1);
WARPHIVE_SAME(TrapKind, none);
WARPHIVE_SAME(TrapKind, unreachable);
WARPHIVE_SAME(TrapKind, memory_out_of_bounds);
WARPHIVE_SAME(TrapKind, table_out_of_bounds);
WARPHIVE_SAME(TrapKind, integer_divide_by_zero);
WARPHIVE_SAME(TrapKind, integer_overflow);
WARPHIVE_SAME(TrapKind, invalid_conversion);
WARPHIVE_SAME(TrapKind, undefined_element);
WARPHIVE_SAME(TrapKind, uninitialized_element);
WARPHIVE_SAME(TrapKind, indirect_call_mismatch);
WARPHIVE_SAME(TrapKind, stack_overflow);
WARPHIVE_SAME(TrapKind, import_limits);
WARPHIVE_SAME(TrapKind, host);
static_assert(abi::trap_count == static_cast<std::uint8_t>(TrapKind::host) + 1);
#undef WARPHIVE_SAME

#define WARPHIVE_SAME(name)                                   \
  static_assert(static_cast<std::uint8_t>(ValueType::name) == \
                static_cast<std::uint8_t>(ir::ValueType::name))
WARPHIVE_SAME(i32);
WARPHIVE_SAME(i64);
WARPHIVE_SAME(f32);
WARPHIVE_SAME(f64);
WARPHIVE_SAME(v128);
WARPHIVE_SAME(funcref);
WARPHIVE_SAME(externref);
#undef WARPHIVE_SAME
static_assert(unlimited_fuel == abi::unlimited_fuel);

}  // namespace

std::string_view to_string(ValueType type) noexcept {
  return ir::to_string(static_cast<ir::ValueType>(type));
}
std::string_view to_string(Exit exit) noexcept {
  return abi::to_string(static_cast<abi::Exit>(exit));
}
std::string_view to_string(TrapKind kind) noexcept {
  return abi::to_string(static_cast<abi::TrapKind>(kind));
}
std::string to_string(const FunctionType& type) { return ir::to_string(detail::to_internal(type)); }

namespace detail {

ValueType to_public(ir::ValueType type) { return static_cast<ValueType>(type); }
ir::ValueType to_internal(ValueType type) { return static_cast<ir::ValueType>(type); }

FunctionType to_public(const ir::FunctionType& type) {
  FunctionType result;
  for (const ir::ValueType value : type.params) result.params.push_back(to_public(value));
  for (const ir::ValueType value : type.results) result.results.push_back(to_public(value));
  return result;
}
ir::FunctionType to_internal(const FunctionType& type) {
  ir::FunctionType result;
  for (const ValueType value : type.params) result.params.push_back(to_internal(value));
  for (const ValueType value : type.results) result.results.push_back(to_internal(value));
  return result;
}

std::uint64_t slot_of(const Value& value) {
  const bool narrow = value.type == ValueType::i32 || value.type == ValueType::f32;
  return narrow ? value.bits & 0xffff'ffffu : value.bits;
}
Value value_of(ir::ValueType type, std::uint64_t slot) { return {to_public(type), slot}; }
Value take_value(ir::ValueType type, std::span<const std::uint64_t>& slots) {
  const std::size_t count = ir::slots(type);
  Value value = value_of(type, slots[0]);
  if (count == 2) value.high = slots[1];
  slots = slots.subspan(count);
  return value;
}
std::uint64_t* put_slots(std::uint64_t* to, const Value& value) {
  *to++ = slot_of(value);
  if (value.type == ValueType::v128) *to++ = value.high;
  return to;
}
void append_slots(std::vector<std::uint64_t>& to, const Value& value) {
  std::uint64_t slots[2];
  to.insert(to.end(), slots, put_slots(slots, value));
}

Status check_value(const Value& value, ir::ValueType type, std::size_t functions,
                   std::string_view what) {
  if (to_internal(value.type) != type) {
    return base::error(ErrorCode::invalid_input, ErrorPhase::dispatch,
                       "{} has type ({}); it must be ({}).", what, to_string(value.type),
                       ir::to_string(type));
  }
  if (type == ir::ValueType::funcref && value.bits > functions) {
    return base::error(ErrorCode::invalid_input, ErrorPhase::dispatch,
                       "{} refers to function ({}); the program has ({}).", what, value.bits - 1,
                       functions);
  }
  return {};
}

}  // namespace detail
}  // namespace warphive
