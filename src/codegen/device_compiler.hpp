// SPDX-License-Identifier: Apache-2.0
// Programs to code for lanes in tiles: PTX, and the host code that does the same (`sim`).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "abi/tile.hpp"
#include "codegen/compiler.hpp"
#include "ir/encode.hpp"
#include "ir/module.hpp"
#include "warphive/error.hpp"

namespace warphive::codegen {

struct DeviceOptions {
  abi::TileShape shape;
  CompileLimits limits;  // what takes units counts as well; bytes are those of units
  /// Functions in the order in which code is wanted; the others follow.
  std::vector<std::uint32_t> first;
  /// Instructions at which lanes were stopped: a variant of the function that goes on there, or at
  /// the header of the loop around, is part of the code.
  std::vector<std::uint32_t> resumes;
  /// So many other places of each function where it can go on are in its variant, headers of loops
  /// first, as long as a program's variants have no more instructions than the second number says.
  std::uint32_t resumes_per_function = ~0u;
  std::uint64_t resume_instructions = 4000;
  /// Units are closed when their IR promises so much PTX; more than the most is never emitted: such
  /// a unit is made again in halves, and a function that is too large alone stays interpreted.
  std::uint64_t unit_bytes = std::uint64_t{256} << 10;
  std::uint64_t most_unit_bytes = std::uint64_t{1} << 20;
  bool lists_offsets = false;  // PTX has the guest's byte offsets as comments
};

/// A program in PTX: units to be assembled as relocatable code and linked with each other and with
/// the helpers (kernels/tile_native.cpp). One of them defines native_code_symbol, an
/// abi::NativeCode, whose targets and resumes are those below.
struct PtxProgram {
  std::vector<std::string> units;
  std::vector<Compiled> functions;     // by function
  std::vector<std::uint32_t> resumes;  // ascending
  std::vector<std::string> reasons;    // why functions stay interpreted, "function N: …"
  bool ran_out = false;                // of time: another try might compile more
};
inline constexpr const char* native_code_symbol = "warphive_native";
/// Gets a unit as soon as it is made, so that it can be assembled before the next one is begun.
using TakeUnit = std::function<Status(std::string_view unit)>;
/// Without `units`, which `take` got; its errors are returned. Other requirements and errors as for
/// compile_host.
Result<PtxProgram> compile_ptx(const ir::Module& module, const ir::EncodedProgram& encoded,
                               const DeviceOptions& options, const TakeUnit& take);
Result<PtxProgram> compile_ptx(const ir::Module& module, const ir::EncodedProgram& encoded,
                               const DeviceOptions& options = {});

/// To be loaded as host code and run by exec::run_tile_lane with the same shape.
Result<HostObjects> compile_sim(const ir::Module& module, const ir::EncodedProgram& encoded,
                                const DeviceOptions& options = {});

/// PTX of one function, with the guest's byte offsets as comments.
Result<std::string> list_ptx(const ir::Module& module, const ir::EncodedProgram& encoded,
                             std::uint32_t function);

}  // namespace warphive::codegen
