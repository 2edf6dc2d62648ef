// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "hal/cts/conformance.hpp"

namespace warphive::hal::cts {

void add_cuda_cases(std::vector<DeviceCase>& cases);
void add_worker_cases(std::vector<DeviceCase>& cases);

}  // namespace warphive::hal::cts
