// SPDX-License-Identifier: Apache-2.0
// An encoded program as kernels see it: plain arrays at device addresses, immutable, shared by all
// instances of the program.
#pragma once

#include <stdint.h>

namespace warphive::abi {

/// An instruction: ir::Inst with targets resolved. Per shape (ir/op.hpp):
///   br, br_ab, br_ak   imm = target instruction | charge << 32. Where the target block begins with
///   a
///                      `charge`, `target` is the instruction after it and `charge` its units (0 if
///                      there is none); a branch that cannot pay stops at target - 1.
///   br_table           imm = first entry of `branches` | count << 32
///   call               imm = function index
///   global ops         imm = first slot of the global in the state's globals
///   enter              imm = frame slots | charge << 32, the charge as for branches: it stands at
///                      the next instruction
/// All else is as in the IR. Instruction 0 is `stop`: the bottom frame returns to it.
struct Insn {
  uint16_t op;
  uint16_t a;
  uint16_t b;
  uint16_t c;
  uint64_t imm;
};
static_assert(sizeof(Insn) == 16);

struct FunctionEntry {
  uint32_t entry;  // instruction index of its `enter`
  uint32_t type;
  uint16_t param_slots;
  uint16_t result_slots;
  uint16_t header_slot;
  uint16_t reserved;
};
static_assert(sizeof(FunctionEntry) == 16);

/// 16 bytes, as two little-endian halves.
struct Vector {
  uint64_t low = 0;
  uint64_t high = 0;
  friend constexpr bool operator==(const Vector&, const Vector&) = default;
};
static_assert(sizeof(Vector) == 16);

struct Segment {
  uint32_t first;   // byte in `data`, or index in `elements`
  uint32_t length;  // bytes or elements
};

/// Elements are slot values (function index + 1, or 0); the high bit says: read that slot of the
/// globals instead.
inline constexpr uint64_t element_is_global = uint64_t{1} << 63;

struct Code {
  const Insn* insns;
  const FunctionEntry* functions;
  const uint64_t* branches;  // targets of br_table: target | charge << 32
  const uint8_t* data;
  const uint64_t* elements;
  const Vector* vectors;  // what const128 and shuffle8x16 name
  const Segment* data_segments;
  const Segment* element_segments;
  uint32_t insn_count;
  uint32_t function_count;
};

/// The bottom frame's header, and what is in each header slot: where to go on after `ret`.
///   bits 0..31 return instruction, bits 32..47 distance in slots back to the caller's frame
constexpr uint64_t pack_header(uint32_t return_insn, uint32_t distance) {
  return uint64_t{return_insn} | (uint64_t{distance} << 32);
}

}  // namespace warphive::abi
