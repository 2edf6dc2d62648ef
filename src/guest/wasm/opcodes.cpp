// SPDX-License-Identifier: Apache-2.0
#include "guest/wasm/opcodes.hpp"

namespace warphive::wasm {

std::string_view proposal_of_opcode(std::uint8_t byte) {
  switch (byte) {
    case 0x06:
    case 0x07:
    case 0x08:
    case 0x09:
    case 0x0a:
    case 0x18:
    case 0x19:
    case 0x1f:
      return "exception handling";
    case 0x14:
    case 0x15:
    case 0xd4:
    case 0xd5:
    case 0xd6:
      return "typed function references";
    case 0xd3:
    case 0xfb:
      return "garbage collection";
    case 0xe0:
    case 0xe1:
    case 0xe2:
    case 0xe3:
    case 0xe4:
    case 0xe5:
    case 0xe6:
      return "stack switching";
    case 0xfe:
      return "threads";
    default:
      return "";
  }
}

std::string_view proposal_of_misc_opcode(std::uint32_t misc) {
  return misc >= 19 && misc <= 22 ? "wide arithmetic" : "";
}

}  // namespace warphive::wasm
