// SPDX-License-Identifier: Apache-2.0
// The kernels, in the forms of all devices.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hal/device.hpp"

namespace warphive::kernels {

hal::KernelImage kernel_image();

/// KernelId::run of one program in compiled code: its PTX, what goes with it and the units that a
/// compiler made, or the binary that they were linked to before. Borrows all.
std::vector<std::string_view> compiled_parts(std::span<const std::string> units);
hal::KernelImage compiled_image(std::span<const std::string_view> parts);
hal::KernelImage compiled_image(std::span<const std::byte> binary);

}  // namespace warphive::kernels
