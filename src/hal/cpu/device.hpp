// SPDX-License-Identifier: Apache-2.0
// The CPU device: lanes run on threads, memory is the host's.
#pragma once

#include <cstdint>
#include <memory>

#include "hal/device.hpp"

namespace warphive::hal::cpu {

struct DeviceOptions {
  std::uint32_t threads = 0;        // 0: one per core this process may use
  std::uint64_t reserve_bytes = 0;  // most that may be allocated; 0: 16 times the machine's memory
};

Result<std::shared_ptr<Device>> create_device(const DeviceOptions& options = {});
/// What create_device would make, without its threads.
DeviceInfo describe();

}  // namespace warphive::hal::cpu
