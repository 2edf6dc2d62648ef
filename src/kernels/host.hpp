// SPDX-License-Identifier: Apache-2.0
// The kernels, in the forms of all devices.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "hal/device.hpp"

namespace warphive::kernels {

/// Most of a lane on a GPU: a lane more in flight is worth the spills, which lie on slow paths.
inline constexpr std::uint32_t lane_registers = 64;

hal::KernelImage kernel_image();

// KernelId::run of one program in compiled code is linked from what goes with it and the units that
// a compiler made.
std::string_view compiled_part();
/// Borrows the binary.
hal::KernelImage compiled_image(std::span<const std::byte> binary);

}  // namespace warphive::kernels
