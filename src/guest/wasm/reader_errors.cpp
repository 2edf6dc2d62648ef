// SPDX-License-Identifier: Apache-2.0
#include "guest/wasm/reader_errors.hpp"

#include <algorithm>

#include "guest/wasm/opcodes.hpp"

namespace warphive::wasm {

Error unsupported(std::uint64_t offset, std::string_view proposal, std::string_view found) {
  return Error(
             ErrorCode::unsupported, ErrorPhase::parse,
             fmt::format("{} belongs to the {} proposal, which is not supported.", found, proposal))
      .at_offset(offset);
}

Error beyond_limit(std::uint64_t offset, std::string_view what, std::uint64_t found,
                   std::uint64_t allowed) {
  return Error(ErrorCode::limit_exceeded, ErrorPhase::parse,
               fmt::format("{} ({}) exceeds the limit ({}).", what, found, allowed))
      .at_offset(offset);
}

std::string printable(std::string_view name) {
  constexpr std::size_t longest = 64;
  std::size_t size = std::min(name.size(), longest);
  // Not inside a character: continuation bytes belong to the one before.
  while (size < name.size() && size > 0 &&
         (static_cast<unsigned char>(name[size]) & 0xc0) == 0x80) {
    --size;
  }
  std::string text;
  for (const char c : name.substr(0, size)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      text += fmt::format("\\x{:02x}", byte);
    } else {
      text += c;
    }
  }
  if (size < name.size()) text += "...";
  return text;
}

Error unknown_operator(std::uint64_t offset, std::uint8_t byte, base::ByteReader code) {
  std::string_view proposal = proposal_of_opcode(byte);
  std::string text = fmt::format("0x{:02x}", byte);
  std::uint32_t number;
  if ((byte == 0xfc || byte == 0xfd) && code.read_leb_u32(number)) {
    text += fmt::format(" {}", number);
    if (byte == 0xfc) proposal = proposal_of_misc_opcode(number);
    if (byte == 0xfd && number >= 0x100) proposal = "relaxed SIMD";
  }
  if (proposal.empty()) {
    return malformed(offset, "Operator ({}) is unknown, expected one of WebAssembly 2.0.", text);
  }
  return unsupported(offset, proposal, fmt::format("Operator ({})", text));
}

std::optional<ValueType> value_type_of(std::uint8_t byte) {
  switch (byte) {
    case 0x7f:
      return ValueType::i32;
    case 0x7e:
      return ValueType::i64;
    case 0x7d:
      return ValueType::f32;
    case 0x7c:
      return ValueType::f64;
    case 0x7b:
      return ValueType::v128;
    case 0x70:
      return ValueType::funcref;
    case 0x6f:
      return ValueType::externref;
    default:
      return std::nullopt;
  }
}

namespace {

std::string_view proposal_of_type(std::uint8_t byte) {
  switch (byte) {
    case 0x63:
    case 0x64:
      return "typed function references";
    case 0x69:
    case 0x74:
      return "exception handling";
    case 0x68:
    case 0x75:
      return "stack switching";
    case 0x6a:
    case 0x6b:
    case 0x6c:
    case 0x6d:
    case 0x6e:
    case 0x71:
    case 0x72:
    case 0x73:
      return "garbage collection";
    default:
      return "";
  }
}

Error not_a_type(std::uint64_t offset, std::uint8_t byte, std::string_view what,
                 std::string_view allowed) {
  const std::string_view proposal = proposal_of_type(byte);
  if (!proposal.empty()) return unsupported(offset, proposal, fmt::format("Type (0x{:02x})", byte));
  return malformed(offset, "{} is (0x{:02x}), expected ({}).", what, byte, allowed);
}

}  // namespace

Error not_a_value_type(std::uint64_t offset, std::uint8_t byte) {
  return not_a_type(offset, byte, "Value type", "i32, i64, f32, f64, v128, funcref or externref");
}

Error not_a_reference_type(std::uint64_t offset, std::uint8_t byte) {
  return not_a_type(offset, byte, "Reference type", "funcref or externref");
}

}  // namespace warphive::wasm
