// SPDX-License-Identifier: Apache-2.0
// What the host reads of code that the driver linked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace warphive::hal::cuda {

/// Bytes of the largest stack frame of a function: the driver tells those of kernels only, and a
/// lane's stack must have room for the callee that looks whether there is room. They are read from
/// the section .nv.info (attribute FRAME_SIZE), as cuobjdump -elf prints it; NVIDIA does not
/// document the format. Nothing where `cubin` is not such a file.
std::optional<std::uint32_t> largest_frame(std::span<const std::byte> cubin);

}  // namespace warphive::hal::cuda
