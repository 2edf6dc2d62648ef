// SPDX-License-Identifier: Apache-2.0
// Plain values of the public interface.
#pragma once

#include <bit>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace warphive {

enum class ValueType : std::uint8_t { i32, i64, f32, f64, v128, funcref, externref };
std::string_view to_string(ValueType type) noexcept;

/// A typed value as its bits; i32 and f32 are zero-extended. References hold index or host value
/// plus one, 0 is null.
struct Value {
  ValueType type = ValueType::i32;
  std::uint64_t bits = 0;
  std::uint64_t high = 0;  // of a v128: bytes 8 to 15, little-endian; bytes 0 to 7 are `bits`

  static constexpr Value i32(std::int32_t v) {
    return {ValueType::i32, static_cast<std::uint32_t>(v)};
  }
  static constexpr Value i64(std::int64_t v) {
    return {ValueType::i64, static_cast<std::uint64_t>(v)};
  }
  static constexpr Value f32(float v) { return {ValueType::f32, std::bit_cast<std::uint32_t>(v)}; }
  static constexpr Value f64(double v) { return {ValueType::f64, std::bit_cast<std::uint64_t>(v)}; }
  static constexpr Value v128(std::uint64_t low, std::uint64_t high) {
    return {ValueType::v128, low, high};
  }

  [[nodiscard]] constexpr std::int32_t as_i32() const { return static_cast<std::int32_t>(bits); }
  [[nodiscard]] constexpr std::int64_t as_i64() const { return static_cast<std::int64_t>(bits); }
  [[nodiscard]] constexpr float as_f32() const {
    return std::bit_cast<float>(static_cast<std::uint32_t>(bits));
  }
  [[nodiscard]] constexpr double as_f64() const { return std::bit_cast<double>(bits); }
  friend bool operator==(const Value&, const Value&) = default;
};

struct FunctionType {
  std::vector<ValueType> params;
  std::vector<ValueType> results;
  friend bool operator==(const FunctionType&, const FunctionType&) = default;
};
std::string to_string(const FunctionType& type);  // "(i32, i64) -> (f32)"

/// Why an instance stopped. Values are stable: result hashes contain them.
enum class Exit : std::uint8_t {
  ready,        // spawned or reset, nothing has run since
  returned,     // values() are the results
  trapped,      // trap() says which and where; only reset or kill now
  out_of_fuel,  // resumable
  parked,       // waits for a host call; resumable
  cancelled,    // resumable
  exited,       // ended itself with exit_code(); only reset or kill now
  device_lost,
  internal,  // a fault of Warphive, contained to this instance
};
std::string_view to_string(Exit exit) noexcept;

enum class TrapKind : std::uint8_t {
  none,
  unreachable,
  memory_out_of_bounds,
  table_out_of_bounds,
  integer_divide_by_zero,
  integer_overflow,
  invalid_conversion,
  undefined_element,
  uninitialized_element,
  indirect_call_mismatch,
  stack_overflow,
  import_limits,
  host,
};
std::string_view to_string(TrapKind kind) noexcept;

/// Where a trap happened.
struct TrapSite {
  std::optional<std::uint32_t> function;  // index in its module; absent in generated code
  std::string function_name;              // from the name section or the exports, may be empty
  std::uint64_t offset = 0;               // byte in the module
};

/// Names an instance of one swarm; a killed instance's id is never valid again.
struct InstanceId {
  std::uint32_t index = 0;
  std::uint32_t generation = 0;
  friend bool operator==(const InstanceId&, const InstanceId&) = default;
};

}  // namespace warphive
