// SPDX-License-Identifier: Apache-2.0
// How the lanes of a run are dealt to a device's warps: few get warps of their own, and of many so
// many run at a time as batches of the same calls were fastest with. docs/adr/0013.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "hal/device.hpp"
#include "runtime/slices.hpp"

namespace warphive::runtime {

/// Lanes that each warp takes, a power of two: so few that every scheduler has a warp if there are
/// lanes enough. Lanes in different warps do not wait for each other where they go apart.
std::uint32_t lanes_per_warp(std::uint64_t lanes, const hal::DeviceInfo& device);

/// All lanes of a batch in one launch.
inline constexpr std::uint64_t whole_batch = ~std::uint64_t{0};

/// Finds out by trying, on the batches that come anyway. Fewer lanes at a time have more of the
/// caches for each.
class Residency {
 public:
  /// Lanes of each launch of the next batch of this work, which go one after the other. `code`:
  /// what runs it, of which only the identity counts.
  std::uint64_t launch_lanes(const Work& work, const void* code, std::uint64_t lanes,
                             const hal::DeviceInfo& device);
  /// What the batch did that launch_lanes() was last asked for.
  void learn(std::uint64_t instructions, std::int64_t run_ns);
  /// That batch waits for others than its lanes: nothing is learnt of it.
  void drop() { tried_ = nullptr; }

 private:
  /// Warps for each scheduler; 0: as many as fit.
  static constexpr std::array<std::uint32_t, 4> candidates = {0, 4, 2, 1};
  struct Entry {
    Work work;
    const void* code = nullptr;
    std::size_t trial = 0;  // of candidates
    std::size_t best = 0;   // likewise
    double best_rate = 0;   // instructions per nanosecond
    bool warm = false;      // a first batch has run, of which times say little
    bool settled = false;
  };

  std::vector<Entry> entries_;  // few, the latest last
  Entry* tried_ = nullptr;      // of the batch that runs; nullptr: nothing is to be learnt of it
};

}  // namespace warphive::runtime
