// SPDX-License-Identifier: Apache-2.0
#include "hal/cpu/device.hpp"
#include "hal/cts/conformance.hpp"
#include "hal/cts/cuda.hpp"

namespace warphive::hal::cts {
namespace {

void add_lane(const void* raw, std::uint32_t first, std::uint32_t last) {
  const auto& params = *static_cast<const WordParams*>(raw);
  for (std::uint32_t lane = first; lane < last; ++lane) params.words[lane] += lane + params.add;
}
void double_and_add(const void* raw, std::uint32_t first, std::uint32_t last) {
  const auto& params = *static_cast<const WordParams*>(raw);
  for (std::uint32_t lane = first; lane < last; ++lane) {
    params.words[lane] = 2 * params.words[lane] + params.add;
  }
}

DeviceCase cpu_case(std::string name, std::uint32_t threads) {
  DeviceCase result;
  result.name = std::move(name);
  result.create = [threads](std::uint64_t reserve_bytes) {
    return cpu::create_device({.threads = threads, .reserve_bytes = reserve_bytes});
  };
  result.kernels.host[static_cast<std::size_t>(KernelId::run)] = add_lane;
  result.kernels.host[static_cast<std::size_t>(KernelId::spawn)] = double_and_add;
  return result;
}

}  // namespace

std::vector<DeviceCase> device_cases() {
  std::vector<DeviceCase> cases = {cpu_case("cpu_1_thread", 1), cpu_case("cpu_4_threads", 4),
                                   cpu_case("cpu_all_cores", 0)};
  add_cuda_cases(cases);
  add_worker_cases(cases);
  return cases;
}

}  // namespace warphive::hal::cts
