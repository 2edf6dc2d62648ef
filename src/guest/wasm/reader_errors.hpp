// SPDX-License-Identifier: Apache-2.0
// How the reader and the validator word their errors; `offset` is a byte of the module.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/byte_reader.hpp"
#include "base/result.hpp"
#include "guest/wasm/module.hpp"

namespace warphive::wasm {

template <class... Args>
[[nodiscard]] Error malformed(std::uint64_t offset, fmt::format_string<Args...> format,
                              Args&&... args) {
  return Error(ErrorCode::invalid_input, ErrorPhase::parse,
               fmt::format(format, std::forward<Args>(args)...))
      .at_offset(offset);
}
template <class... Args>
[[nodiscard]] Error invalid(std::uint64_t offset, fmt::format_string<Args...> format,
                            Args&&... args) {
  return Error(ErrorCode::invalid_input, ErrorPhase::validate,
               fmt::format(format, std::forward<Args>(args)...))
      .at_offset(offset);
}
/// "`found` belongs to the threads proposal, which is not supported."
[[nodiscard]] Error unsupported(std::uint64_t offset, std::string_view proposal,
                                std::string_view found);
[[nodiscard]] Error beyond_limit(std::uint64_t offset, std::string_view what, std::uint64_t found,
                                 std::uint64_t allowed);
/// A name of the guest's for a message: cut to 64 bytes, control characters escaped.
[[nodiscard]] std::string printable(std::string_view name);
/// A byte that is no operator of WebAssembly 2.0. For 0xfc and 0xfd `code` points
/// after the prefix.
[[nodiscard]] Error unknown_operator(std::uint64_t offset, std::uint8_t byte,
                                     base::ByteReader code);

/// The type that a byte encodes, if it is one of ours.
std::optional<ValueType> value_type_of(std::uint8_t byte);
/// Why a byte is not the value type (or the reference type) that was expected.
[[nodiscard]] Error not_a_value_type(std::uint64_t offset, std::uint8_t byte);
[[nodiscard]] Error not_a_reference_type(std::uint64_t offset, std::uint8_t byte);

}  // namespace warphive::wasm
