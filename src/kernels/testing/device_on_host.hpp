// SPDX-License-Identifier: Apache-2.0
// The kernels of devices with tiles as host code, lane by lane: for tests of what drives a device,
// where there is none.
#pragma once

#include <cstdint>
#include <string_view>

#include "abi/native.hpp"

namespace warphive::kernels {

/// Runs lanes [0, count) with parameters as the device's kernel of that name takes them.
using DeviceKernel = void (*)(const void* params, std::uint32_t count);
/// `name` as in the device program: warphive_run. nullptr where there is none.
DeviceKernel device_kernel_on_host(std::string_view name);
/// What stands in for KernelId::run in compiled code: the interpreter too, which leaves for the
/// other one where a function begins, once it has run for a while.
DeviceKernel compiled_run_on_host();
/// Says that all functions of a program, 65,536 at most, can be entered.
const abi::NativeCode& compiled_code_on_host();
/// Size of its parameters; the number of lanes stands behind them.
std::uint32_t device_kernel_params(std::string_view name);

}  // namespace warphive::kernels
