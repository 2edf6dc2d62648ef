// SPDX-License-Identifier: Apache-2.0
#include "kernels/testing/device_on_host.hpp"

#include "kernels/device_lanes.hpp"

namespace warphive::kernels {
namespace {

template <class Params, void (*lane_program)(const Params&, std::uint32_t)>
void each_lane(const void* raw, std::uint32_t count) {
  const auto& params = *static_cast<const Params*>(raw);
  for (std::uint32_t lane = 0; lane < count; ++lane) lane_program(params, lane);
}

struct Named {
  std::string_view name;
  DeviceKernel kernel;
  std::uint32_t params;
};

constexpr Named all[] = {
    {"warphive_spawn", each_lane<SpawnLanes, spawn_lane<Tiled>>, sizeof(SpawnLanes)},
    {"warphive_run", each_lane<RunLanes, device_run_lane>, sizeof(RunLanes)},
    {"warphive_gather", each_lane<MoveLanes, gather_lane<Tiled>>, sizeof(MoveLanes)},
    {"warphive_scatter", each_lane<MoveLanes, scatter_lane<Tiled>>, sizeof(MoveLanes)},
    {"warphive_wipe", each_lane<WipeLanes, wipe_lane>, sizeof(WipeLanes)},
};

const Named* find(std::string_view name) {
  for (const Named& kernel : all) {
    if (kernel.name == name) return &kernel;
  }
  return nullptr;
}

}  // namespace

DeviceKernel device_kernel_on_host(std::string_view name) {
  const Named* found = find(name);
  return found == nullptr ? nullptr : found->kernel;
}

std::uint32_t device_kernel_params(std::string_view name) {
  const Named* found = find(name);
  return found == nullptr ? 0 : found->params;
}

}  // namespace warphive::kernels
