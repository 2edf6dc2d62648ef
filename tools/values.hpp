// SPDX-License-Identifier: Apache-2.0
// Values of guests as text, on the command line and in results.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <warphive/types.hpp>

namespace warphive::tools {

/// A number that --args or a CSV field holds. i32: -2^31 to 2^32-1; i64: -2^63 to 2^64-1; both
/// decimal or 0x hexadecimal. f32, f64: decimal or 0x hexadecimal, inf, nan, nan:0xPAYLOAD, each
/// with a sign. v128: 32 hexadecimal digits, the first byte in memory first, or lanes as in `i32x4
/// 1 2 3 4`, of every type of lanes. References: null or an index. Throws Failure (usage) that
/// names `place`, for example "Argument 2".
Value parse_value(std::string_view text, ValueType type, std::string_view place);

/// The integer as a value of that type. Throws Failure (usage) beyond its range; floats take only
/// integers up to 2^24 and 2^53, below which every one is exact.
Value integer_value(std::int64_t number, ValueType type, std::string_view place);

/// As parse_value reads it. i32 and i64 signed; floats the shortest that reads back equal.
void append_value(std::string& to, const Value& value);
/// The same in JSON: i64, v128, NaNs and infinities are strings, a null reference is null.
void append_json_value(std::string& to, const Value& value);

/// Whole text as decimal or 0x hexadecimal, nothing else around it.
std::optional<std::uint64_t> parse_unsigned(std::string_view text);
std::optional<std::int64_t> parse_signed(std::string_view text);
/// A number in the forms that parse_value takes for f64.
std::optional<double> parse_number(std::string_view text);

}  // namespace warphive::tools
