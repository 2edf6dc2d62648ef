// SPDX-License-Identifier: Apache-2.0
// Linked IR to the interpreter's program.
#pragma once

#include <cstdint>
#include <vector>

#include "abi/code.hpp"
#include "ir/module.hpp"
#include "warphive/error.hpp"

namespace warphive::ir {

/// Encoded-only op of instruction 0: the bottom frame's return ends the run.
inline constexpr std::uint16_t op_stop = op_count;
inline constexpr std::uint16_t encoded_op_count = op_count + 1;

/// Owns what abi::Code points to. Position independent but for the pointers of view().
struct EncodedProgram {
  std::vector<abi::Insn> insns;
  std::vector<abi::FunctionEntry> functions;
  std::vector<std::uint64_t> branches;
  std::vector<std::uint8_t> data;
  std::vector<std::uint64_t> elements;
  std::vector<Vector> vectors;
  std::vector<abi::Segment> data_segments;
  std::vector<abi::Segment> element_segments;
  std::vector<std::uint32_t>
      function_of_block;              // first instruction of each function, ascending: see locate
  std::vector<std::uint32_t> origin;  // parallel to insns: index of the inst in its IR function

  /// Valid while this object lives unmoved; for devices that read host memory.
  [[nodiscard]] abi::Code view() const;
};

/// Where an instruction comes from.
struct Location {
  std::uint32_t function = none;  // index in the program
  std::uint32_t inst = 0;         // index in Function::code
};
Location locate(const EncodedProgram& program, std::uint32_t insn);

/// `module` is linked and verified. Errors: limit_exceeded (more than 2^31 instructions).
Result<EncodedProgram> encode(const Module& module);

}  // namespace warphive::ir
