// SPDX-License-Identifier: Apache-2.0
// The interpreter: runs one lane from its saved state until it stops. All of its state is in memory
// whenever it is not running, so a lane can stop at any charge and go on elsewhere.
#pragma once

#include <stdint.h>

#include "abi/state.hpp"

namespace warphive::exec {

enum class Dispatch : uint8_t {
  threaded,
  loop
};  // host: tail calls (clang), or the loop that kernels use

/// Sets up the bottom frame of a call: arguments (slot values) to slots 0.., header, zeroed locals.
/// False where the frame does not fit: the lane is then trapped with stack_overflow and must not
/// run. Fuel and exit state are otherwise the caller's; pc is left at the instruction after
/// `enter`, so the first charge is still due.
bool begin_call(const abi::Pool& pool, uint32_t slot, uint32_t function, const uint64_t* args);

/// Runs lane `lane` of params until it stops; header says why. Thread-safe for distinct lanes.
void run_lane(const abi::RunParams& params, abi::LaneRef lane);
void run_lane_with(Dispatch dispatch, const abi::RunParams& params, abi::LaneRef lane);

}  // namespace warphive::exec
