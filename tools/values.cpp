// SPDX-License-Identifier: Apache-2.0
#include "tools/values.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <type_traits>

#include "base/append.hpp"
#include "base/check.hpp"
#include "tools/failure.hpp"

namespace warphive::tools {

namespace {

template <class Float>
struct Layout;
template <>
struct Layout<float> {
  using Bits = std::uint32_t;
  static constexpr int payload_bits = 23;
};
template <>
struct Layout<double> {
  using Bits = std::uint64_t;
  static constexpr int payload_bits = 52;
};
template <class Float>
constexpr auto payload_mask = (typename Layout<Float>::Bits{1} << Layout<Float>::payload_bits) - 1;
template <class Float>
constexpr auto quiet_bit = typename Layout<Float>::Bits{1} << (Layout<Float>::payload_bits - 1);
template <class Float>
constexpr auto sign_bit = typename Layout<Float>::Bits{1} << (sizeof(Float) * 8 - 1);

/// A sign, taken off the front.
bool take_minus(std::string_view& text) {
  if (text.empty() || (text.front() != '-' && text.front() != '+')) return false;
  const bool minus = text.front() == '-';
  text.remove_prefix(1);
  return minus;
}

template <class Float>
std::optional<typename Layout<Float>::Bits> parse_float(std::string_view text) {
  using Bits = typename Layout<Float>::Bits;
  constexpr Bits infinity = std::bit_cast<Bits>(std::numeric_limits<Float>::infinity());
  std::string_view rest = text;
  const Bits sign = take_minus(rest) ? sign_bit<Float> : 0;
  if (rest == "inf") return sign | infinity;
  if (rest == "nan") return sign | infinity | quiet_bit<Float>;
  if (rest.starts_with("nan:")) {
    if (!rest.starts_with("nan:0x")) return std::nullopt;
    const std::optional<std::uint64_t> payload = parse_unsigned(rest.substr(4));
    if (!payload || *payload == 0 || *payload > payload_mask<Float>) return std::nullopt;
    return sign | infinity | static_cast<Bits>(*payload);
  }
  // What is left must be a plain number: strtod alone would also take blanks, "infinity" and
  // "nan()".
  if (rest.empty() || rest.find_first_not_of("0123456789abcdefABCDEFxXpP.+-") != rest.npos ||
      (!(rest.front() >= '0' && rest.front() <= '9') && rest.front() != '.')) {
    return std::nullopt;
  }
  const std::string number(rest);
  char* end = nullptr;
  Float parsed = 0;
  if constexpr (std::is_same_v<Float, float>) {
    parsed = std::strtof(number.c_str(), &end);
  } else {
    parsed = std::strtod(number.c_str(), &end);
  }
  if (end != number.c_str() + number.size() || std::isinf(parsed)) return std::nullopt;
  return sign | std::bit_cast<Bits>(parsed);
}

/// Numbers without quotes; `quote` encloses what JSON has no number for.
template <class Float>
void append_float(std::string& to, Float value, std::string_view quote) {
  using Bits = typename Layout<Float>::Bits;
  const auto bits = std::bit_cast<Bits>(value);
  const std::string_view minus = (bits & sign_bit<Float>) != 0 ? "-" : "";
  if (std::isnan(value)) {
    const Bits payload = bits & payload_mask<Float>;
    if (payload == quiet_bit<Float>) {
      base::append(to, "{}{}nan{}", quote, minus, quote);
    } else {
      base::append(to, "{}{}nan:0x{:x}{}", quote, minus, payload, quote);
    }
    return;
  }
  if (std::isinf(value)) {
    base::append(to, "{}{}inf{}", quote, minus, quote);
    return;
  }
  if (value == 0 && !minus.empty()) {
    to += "-0.0";  // many JSON readers take -0 for an integer and lose the sign
    return;
  }
  char digits[64];
  const std::to_chars_result end = std::to_chars(digits, digits + sizeof digits, value);
  to.append(digits, end.ptr);
}

void append(std::string& to, const Value& value, std::string_view quote) {
  switch (value.type) {
    case ValueType::i32:
      base::append(to, "{}", value.as_i32());
      return;
    case ValueType::i64:
      base::append(to, "{}{}{}", quote, value.as_i64(), quote);
      return;
    case ValueType::f32:
      append_float(to, value.as_f32(), quote);
      return;
    case ValueType::f64:
      append_float(to, value.as_f64(), quote);
      return;
    case ValueType::funcref:
    case ValueType::externref:
      if (value.bits == 0) {
        to += "null";
      } else {
        base::append(to, "{}", value.bits - 1);
      }
      return;
    case ValueType::v128:
      to += quote;
      for (const std::uint64_t half : {value.bits, value.high}) {
        for (int i = 0; i < 8; ++i) base::append(to, "{:02x}", half >> (8 * i) & 0xff);
      }
      to += quote;
      return;
  }
}

/// 16 bytes as hexadecimal digits.
std::optional<Value> parse_bytes(std::string_view text) {
  if (text.size() != 32) return std::nullopt;
  std::uint64_t halves[2] = {};
  for (std::size_t i = 0; i < 16; ++i) {
    unsigned byte = 0;
    const char* begin = text.data() + 2 * i;
    if (std::from_chars(begin, begin + 2, byte, 16).ptr != begin + 2) return std::nullopt;
    halves[i / 8] |= std::uint64_t{byte} << (8 * (i % 8));
  }
  return Value::v128(halves[0], halves[1]);
}

std::optional<std::uint64_t> parse_lane(std::string_view text, char kind, unsigned bits) {
  if (kind == 'f' && bits == 32) return parse_float<float>(text);
  if (kind == 'f') return parse_float<double>(text);
  if (const std::optional<std::uint64_t> number = parse_unsigned(text)) {
    if (bits == 64 || *number >> bits == 0) return number;
    return std::nullopt;
  }
  const std::optional<std::int64_t> number = parse_signed(text);
  if (!number || *number < std::numeric_limits<std::int64_t>::min() >> (64 - bits) || *number >= 0)
    return std::nullopt;
  return static_cast<std::uint64_t>(*number) & (~std::uint64_t{0} >> (64 - bits));
}

/// The type of the lanes and, behind blanks, each of them.
std::optional<Value> parse_lanes(std::string_view text) {
  struct Shape {
    std::string_view name;
    char kind;
    unsigned bits;
  };
  constexpr Shape shapes[] = {{"i8x16", 'i', 8},  {"i16x8", 'i', 16}, {"i32x4", 'i', 32},
                              {"i64x2", 'i', 64}, {"f32x4", 'f', 32}, {"f64x2", 'f', 64}};
  const auto take_word = [&text] {
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(word.size());
    return word;
  };
  const std::string_view name = take_word();
  for (const Shape& shape : shapes) {
    if (shape.name != name) continue;
    std::uint64_t halves[2] = {};
    for (unsigned i = 0; i < 128 / shape.bits; ++i) {
      const std::optional<std::uint64_t> lane = parse_lane(take_word(), shape.kind, shape.bits);
      if (!lane) return std::nullopt;
      halves[i * shape.bits / 64] |= *lane << (i * shape.bits % 64);
    }
    if (!take_word().empty()) return std::nullopt;
    return Value::v128(halves[0], halves[1]);
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::uint64_t> parse_unsigned(std::string_view text) {
  int base = 10;
  if (text.starts_with("0x") || text.starts_with("0X")) {
    text.remove_prefix(2);
    base = 16;
  }
  if (text.empty()) return std::nullopt;
  const char* begin = &text.front();
  const char* end = begin + text.size();
  std::uint64_t number = 0;
  const std::from_chars_result parsed = std::from_chars(begin, end, number, base);
  if (parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
  return number;
}

std::optional<std::int64_t> parse_signed(std::string_view text) {
  const bool minus = take_minus(text);
  const std::optional<std::uint64_t> magnitude = parse_unsigned(text);
  constexpr std::uint64_t limit = std::uint64_t{1} << 63;
  if (!magnitude || *magnitude > (minus ? limit : limit - 1)) return std::nullopt;
  return static_cast<std::int64_t>(minus ? 0 - *magnitude : *magnitude);
}

std::optional<double> parse_number(std::string_view text) {
  const std::optional<std::uint64_t> bits = parse_float<double>(text);
  if (!bits) return std::nullopt;
  return std::bit_cast<double>(*bits);
}

Value parse_value(std::string_view text, ValueType type, std::string_view place) {
  const auto refuse = [&](std::string_view allowed) -> Value {
    fail_usage("{} ({}) is not of type {}: {}.", place, text, to_string(type), allowed);
  };
  switch (type) {
    case ValueType::i32: {
      const std::optional<std::int64_t> number = parse_signed(text);
      if (!number || *number < -(std::int64_t{1} << 31) || *number >= std::int64_t{1} << 32) {
        return refuse("an integer from -2147483648 to 4294967295 was expected");
      }
      return {type, static_cast<std::uint32_t>(*number)};
    }
    case ValueType::i64: {
      if (const std::optional<std::int64_t> number = parse_signed(text)) {
        return {type, static_cast<std::uint64_t>(*number)};
      }
      std::string_view rest = text;
      const bool minus = take_minus(rest);
      const std::optional<std::uint64_t> number = parse_unsigned(rest);
      if (minus || !number) {
        return refuse("an integer from -9223372036854775808 to 18446744073709551615 was expected");
      }
      return {type, *number};
    }
    case ValueType::f32:
    case ValueType::f64: {
      std::optional<std::uint64_t> bits;
      if (type == ValueType::f64) {
        bits = parse_float<double>(text);
      } else if (const auto narrow = parse_float<float>(text)) {
        bits = *narrow;
      }
      if (!bits) return refuse("a number in range, inf, -inf, nan or nan:0xPAYLOAD was expected");
      return {type, *bits};
    }
    case ValueType::funcref:
    case ValueType::externref: {
      if (text == "null") return {type, 0};
      const std::optional<std::uint64_t> index = parse_unsigned(text);
      if (!index || *index >= 0xffff'ffff) return refuse("null or an index was expected");
      return {type, *index + 1};
    }
    case ValueType::v128: {
      if (const std::optional<Value> value = parse_bytes(text)) return *value;
      if (const std::optional<Value> value = parse_lanes(text)) return *value;
      return refuse("32 hexadecimal digits or lanes as in (i32x4 1 2 3 4) were expected");
    }
  }
  WARPHIVE_UNREACHABLE();
}

Value integer_value(std::int64_t number, ValueType type, std::string_view place) {
  const auto check = [&](std::int64_t least, std::int64_t most) {
    if (number >= least && number <= most) return;
    fail_usage("{} ({}) is not of type {}: an integer from {} to {} was expected.", place, number,
               to_string(type), least, most);
  };
  constexpr std::int64_t one = 1;
  switch (type) {
    case ValueType::i32:
      check(-(one << 31), (one << 32) - 1);
      return {type, static_cast<std::uint32_t>(number)};
    case ValueType::i64:
      return Value::i64(number);
    case ValueType::f32:
      check(-(one << 24), one << 24);
      return Value::f32(static_cast<float>(number));
    case ValueType::f64:
      check(-(one << 53), one << 53);
      return Value::f64(static_cast<double>(number));
    case ValueType::funcref:
    case ValueType::externref:
      check(0, 0xffff'fffe);
      return {type, static_cast<std::uint64_t>(number) + 1};
    case ValueType::v128:
      break;
  }
  fail_usage("{} ({}) is not of type {}.", place, number, to_string(type));
}

void append_value(std::string& to, const Value& value) { append(to, value, ""); }
void append_json_value(std::string& to, const Value& value) { append(to, value, "\""); }

}  // namespace warphive::tools
