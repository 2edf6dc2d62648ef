// SPDX-License-Identifier: Apache-2.0
// Text for people and for JSON: numbers, durations, strings, base64.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace warphive::tools {

/// "1,234,567".
std::string grouped(std::uint64_t number);
/// Three significant digits with k, M, G or T: "1.23 G".
std::string scaled(double number);
/// "640 ns", "12.3 us", "4.56 ms", "7.89 s".
std::string duration(double seconds);
/// "1 instance", "1,024 instances".
std::string counted(std::uint64_t number, std::string_view noun);

bool is_utf8(std::string_view text);
std::string base64(std::span<const std::byte> bytes);

/// Text as it is where it is UTF-8, else its base64. Of text that was cut off (`truncated`), bytes
/// of a character at the end that is not whole are dropped first.
std::string printable(std::string_view text, bool truncated);
/// Appends a JSON string; bytes that are not UTF-8 become U+FFFD.
void append_json_string(std::string& to, std::string_view text);
/// Appends a CSV field, quoted where it has to be.
void append_csv_field(std::string& to, std::string_view text);

/// For terminals: control characters and bytes that are not UTF-8, as names in modules or files may
/// hold them, become \xNN.
std::string clean(std::string_view text);

/// The text with every "{id}" replaced.
std::string with_id(std::string_view text, std::uint64_t id);
bool has_id(std::string_view text);

/// The name most like `wanted`, or "" where none is near enough to be meant.
std::string_view nearest(std::string_view wanted, std::span<const std::string> names);

}  // namespace warphive::tools
