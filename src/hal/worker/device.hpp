// SPDX-License-Identifier: Apache-2.0
// A CUDA device that lives in a process of its own: what goes wrong there, goes wrong there.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "hal/device.hpp"

namespace warphive::hal::worker {

struct DeviceOptions {
  std::uint32_t ordinal = 0;
  std::uint64_t reserve_bytes = 0;  // most that may be allocated; 0: what is free
  std::string library;              // of the driver; empty: as in hal/cuda/device.hpp
  std::string program;              // `program worker` serves; empty: what find_program says
  std::chrono::milliseconds stop_limit{2000};  // kernels have to end after an interrupt
};

/// What the environment variable WARPHIVE_WORKER names, else `warphive` beside this program.
std::string find_program();

/// Starts the worker. It is killed and the device lost where it ends, says what makes no sense, the
/// driver takes no more calls, or kernels do not stop; then every call says device_lost and why.
/// Errors: not_found (no such program), unavailable, out_of_memory.
Result<std::shared_ptr<Device>> create_device(const DeviceOptions& options = {});

}  // namespace warphive::hal::worker
