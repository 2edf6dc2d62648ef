// SPDX-License-Identifier: Apache-2.0
// Devices in worker processes in the conformance suite.
#include "hal/worker/device.hpp"

#include "hal/cts/cuda.hpp"
#include "hal/cts/word_kernels.hpp"
#include "hal/cuda/device.hpp"

namespace warphive::hal::cts {
namespace {

DeviceCase worker_case(std::string name, const std::string& library) {
  DeviceCase result;
  result.name = std::move(name);
  result.create = [library](std::uint64_t reserve_bytes) {
    return worker::create_device({.reserve_bytes = reserve_bytes, .library = library});
  };
  result.kernels.ptx = word_kernels_ptx;
  return result;
}

}  // namespace

void add_worker_cases(std::vector<DeviceCase>& cases) {
  cases.push_back(worker_case("worker_stand_in", WARPHIVE_FAKE_CUDA_LIBRARY));
  if (cuda::describe()) cases.push_back(worker_case("worker_cuda", {}));
}

}  // namespace warphive::hal::cts
