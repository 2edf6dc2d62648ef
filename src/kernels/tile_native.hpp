// SPDX-License-Identifier: Apache-2.0
// The kernel that runs compiled code on lanes of tiles; what a device gets for it.
#pragma once

#include <stdint.h>

#include "abi/state.hpp"

namespace warphive::kernels {

/// The parameter of `warphive_run_native`, by value: one thread for each of `lane_count` lanes of
/// `run`. The pools lie in tiles of abi::TileShape{} and host_call is nullptr: all pointers are to
/// memory of the device. On return a lane's header says where and why it stopped; Exit::ready means
/// that the interpreter shall go on.
struct RunTiles {
  abi::RunParams run;
  uint32_t lane_count;
  uint32_t native_stack_bytes;  // that code may use of each thread's stack before it leaves
};

}  // namespace warphive::kernels
