// SPDX-License-Identifier: Apache-2.0
// CUDA devices in the conformance suite: on the stand-in driver, and on a real one where there is.
#include "hal/cts/cuda.hpp"

#include <string>

#include "hal/cts/word_kernels.hpp"
#include "hal/cuda/device.hpp"

namespace warphive::hal::cts {
namespace {

DeviceCase cuda_case(std::string name, const std::string& library) {
  DeviceCase result;
  result.name = std::move(name);
  result.create = [library](std::uint64_t reserve_bytes) {
    return cuda::create_device({.reserve_bytes = reserve_bytes, .library = library});
  };
  result.kernels.ptx = word_kernels_ptx;
  return result;
}

}  // namespace

void add_cuda_cases(std::vector<DeviceCase>& cases) {
  cases.push_back(cuda_case("cuda_stand_in", WARPHIVE_FAKE_CUDA_LIBRARY));
  if (cuda::describe()) cases.push_back(cuda_case("cuda", {}));
}

}  // namespace warphive::hal::cts
