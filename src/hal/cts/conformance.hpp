// SPDX-License-Identifier: Apache-2.0
// The conformance suite that every device passes. A device joins by one DeviceCase in its own file.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "hal/device.hpp"

namespace warphive::hal::cts {

/// Parameters of the suite's kernels: `run` adds lane + add to words[lane]; `spawn` sets
/// words[lane] to 2 * words[lane] + add.
struct WordParams {
  std::uint32_t* words;
  std::uint32_t add;
};

struct DeviceCase {
  std::string name;
  std::function<Result<std::shared_ptr<Device>>(std::uint64_t reserve_bytes)> create;  // 0: default
  KernelImage kernels;
};

std::vector<DeviceCase> device_cases();

}  // namespace warphive::hal::cts
