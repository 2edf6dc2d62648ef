// SPDX-License-Identifier: Apache-2.0
// The kernels of CUDA devices: compiled by clang for NVPTX at build time, without a toolkit.
#include <stdint.h>

#include "kernels/device_lanes.hpp"
#include "kernels/services.hpp"

namespace {

using namespace warphive::kernels;  // NOLINT(google-build-using-namespace)

uint32_t this_lane() {
  return __nvvm_read_ptx_sreg_ctaid_x() * __nvvm_read_ptx_sreg_ntid_x() +
         __nvvm_read_ptx_sreg_tid_x();
}

}  // namespace

#define WARPHIVE_KERNEL extern "C" [[clang::nvptx_kernel]] void

WARPHIVE_KERNEL warphive_spawn(SpawnLanes params, uint32_t count) {
  if (const uint32_t lane = this_lane(); lane < count) spawn_lane<Tiled>(params, lane);
}
WARPHIVE_KERNEL warphive_run(RunLanes params, uint32_t count) {
  if (const uint32_t lane = this_lane(); lane < count) run_tile_lane<Interpret>(params, lane);
}
WARPHIVE_KERNEL warphive_gather(MoveLanes params, uint32_t count) {
  if (const uint32_t lane = this_lane(); lane < count) gather_lane<Tiled>(params, lane);
}
WARPHIVE_KERNEL warphive_scatter(MoveLanes params, uint32_t count) {
  if (const uint32_t lane = this_lane(); lane < count) scatter_lane<Tiled>(params, lane);
}
WARPHIVE_KERNEL warphive_wipe(WipeLanes params, uint32_t count) {
  if (const uint32_t lane = this_lane(); lane < count) wipe_lane(params, lane);
}
WARPHIVE_KERNEL warphive_serve(ServeLanes params, uint32_t count) {
  if (const uint32_t lane = this_lane(); lane < count) serve_lane<Tiled>(params, lane);
}
