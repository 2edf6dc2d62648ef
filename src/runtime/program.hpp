// SPDX-License-Identifier: Apache-2.0
// A linked program in the form that swarms run.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "codegen/tier.hpp"
#include "ir/encode.hpp"
#include "ir/module.hpp"
#include "runtime/device_code.hpp"
#include "warphive/error.hpp"

namespace warphive::runtime {

/// Immutable; shared by every pool of its instances. Never moved after make_program.
struct Program {
  ir::Module module;  // what runs: linked, optimised, verified
  ir::EncodedProgram encoded;
  std::vector<std::uint32_t> inits;         // of members, in order; they run once per image
  std::vector<std::uint32_t> starts;        // start functions of members, in order
  std::uint32_t initialize = ir::none;      // exported `_initialize` of type () -> ()
  std::vector<std::uint32_t> result_slots;  // by function
  std::vector<std::uint32_t> param_slots;
  std::vector<bool> may_write;  // by function: some memory, itself or in what it calls
  std::shared_ptr<codegen::ProgramTier> tier;  // on the CPU; nullptr: always interpreted
  std::unique_ptr<DeviceTiers> device_tiers;   // on other devices; likewise
};

/// Which executors run a program.
enum class Tiers : std::uint8_t {
  interp,
  jit,        // compiled before make_program returns
  automatic,  // interpreted until it has run long enough and compiled code is there
};

struct ProgramOptions {
  bool optimise = true;
  Tiers tiers = Tiers::interp;
  std::shared_ptr<hal::Device> device;  // that shall run it; nullptr: the CPU
  std::shared_ptr<LoadGate> gate;       // that its swarms share; nullptr: it has none yet
  codegen::TierServices services = {};
};

/// Verifies, optimises and encodes a linked module. Errors: limit_exceeded, and internal where the
/// module does not verify.
Result<std::shared_ptr<const Program>> make_program(ir::Module linked,
                                                    const ProgramOptions& options = {});

/// Pages that an instance's memory gets where nothing is asked for: the declared minimum if nothing
/// grows it; else the declared maximum if it is at most 256; else minimum + 16.
std::uint32_t default_memory_pages(const ir::Memory& memory);

}  // namespace warphive::runtime
