// SPDX-License-Identifier: Apache-2.0
// The kernels, in the forms of all devices.
#pragma once

#include "hal/device.hpp"

namespace warphive::kernels {

hal::KernelImage kernel_image();

}  // namespace warphive::kernels
