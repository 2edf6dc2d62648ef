// SPDX-License-Identifier: Apache-2.0
// Compiled code of a program on a device that compiles for itself.
#pragma once

#include <memory>

#include "abi/native.hpp"
#include "codegen/tier.hpp"
#include "hal/device.hpp"
#include "ir/encode.hpp"
#include "ir/module.hpp"
#include "warphive/error.hpp"

namespace warphive::runtime {

/// Immutable.
struct DeviceCode {
  std::shared_ptr<hal::Device> device;          // outlives what is loaded on it
  std::unique_ptr<hal::Executable> executable;  // KernelId::run in compiled code
  const abi::NativeCode* native = nullptr;      // where kernels find it
  codegen::TierStatus status;
};

enum class Compile : std::uint8_t { where_missing, never };

/// From the services' cache, or compiled now; with Compile::never nullptr where the cache has
/// nothing. The module is linked, optimised and verified. Errors: internal, unavailable and
/// out_of_memory (of the device's own compiler).
Result<std::shared_ptr<const DeviceCode>> make_device_code(
    const ir::Module& module, const ir::EncodedProgram& encoded,
    const std::shared_ptr<hal::Device>& device, const codegen::TierServices& services,
    Compile compile);

}  // namespace warphive::runtime
