// SPDX-License-Identifier: Apache-2.0
// Why an instance stopped. Shared by host, kernels and compiled code; values are part of result
// hashes and never change meaning.
#pragma once

#include <stdint.h>

namespace warphive::abi {

enum class Exit : uint8_t {
  ready = 0,        // spawned or reset, nothing has run since
  returned = 1,     // the entry returned; its results are in slots 0..
  trapped = 2,      // see TrapKind; needs reset
  out_of_fuel = 3,  // stopped before a block that its budget does not cover; resumable
  parked = 4,       // waits for a host call
  cancelled = 5,    // stopped by the host at a charge; resumable
  exited = 6,       // the program ended itself with an exit code; needs reset
  device_lost = 7,
  internal = 8,  // a fault of ours, contained to this lane
};
inline constexpr uint8_t exit_count = 9;

// Enumerators in the words of the WebAssembly specification where it has one.
enum class TrapKind : uint8_t {
  none = 0,
  unreachable = 1,
  memory_out_of_bounds = 2,
  table_out_of_bounds = 3,
  integer_divide_by_zero = 4,
  integer_overflow = 5,
  invalid_conversion = 6,
  undefined_element = 7,       // call_indirect: index beyond the table
  uninitialized_element = 8,   // call_indirect: null entry
  indirect_call_mismatch = 9,  // call_indirect: another signature
  stack_overflow = 10,         // counted slots or depth exhausted
  import_limits = 11,          // instantiation: an imported memory or table is too small
  host = 12,                   // a host function refused the call
};
inline constexpr uint8_t trap_count = 13;

constexpr const char* to_string(Exit exit) {
  constexpr const char* names[exit_count] = {"ready",       "returned",    "trapped",
                                             "out_of_fuel", "parked",      "cancelled",
                                             "exited",      "device_lost", "internal"};
  return static_cast<uint8_t>(exit) < exit_count ? names[static_cast<uint8_t>(exit)] : "unknown";
}

constexpr const char* to_string(TrapKind kind) {
  constexpr const char* names[trap_count] = {
      "none",
      "unreachable",
      "memory_out_of_bounds",
      "table_out_of_bounds",
      "integer_divide_by_zero",
      "integer_overflow",
      "invalid_conversion",
      "undefined_element",
      "uninitialized_element",
      "indirect_call_mismatch",
      "stack_overflow",
      "import_limits",
      "host",
  };
  return static_cast<uint8_t>(kind) < trap_count ? names[static_cast<uint8_t>(kind)] : "unknown";
}

}  // namespace warphive::abi
