// SPDX-License-Identifier: Apache-2.0
// A CUDA device: lanes are GPU threads, memory is the GPU's, shared memory is the host's and
// mapped.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "hal/device.hpp"

namespace warphive::hal::cuda {

struct DeviceOptions {
  std::uint32_t ordinal = 0;
  std::uint64_t reserve_bytes = 0;  // most that may be allocated; 0: what is free
  std::string library;              // of the driver; empty: libcuda.so.1
};

/// Errors: unavailable (no driver, no such device, with the reason), out_of_memory.
Result<std::shared_ptr<Device>> create_device(const DeviceOptions& options = {});
/// All devices, without a context on any. Error unavailable as above.
Result<std::vector<DeviceInfo>> describe(const std::string& library = {});

}  // namespace warphive::hal::cuda
