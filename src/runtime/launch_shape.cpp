// SPDX-License-Identifier: Apache-2.0
#include "runtime/launch_shape.hpp"

#include <algorithm>
#include <utility>

namespace warphive::runtime {
namespace {

constexpr std::size_t most_entries = 64;
// Of shorter ones the time is that of launches and copies.
constexpr std::int64_t least_run_ns = 500'000;
// One candidate is better than another if it is so much faster.
constexpr double worth = 1.05;

}  // namespace

std::uint32_t lanes_per_warp(std::uint64_t lanes, const hal::DeviceInfo& device) {
  std::uint32_t each = 1;
  while (each < device.tile_lanes && each * std::uint64_t{device.schedulers} < lanes) each *= 2;
  return each;
}

std::uint64_t Residency::launch_lanes(const Work& work, const void* code, std::uint64_t lanes,
                                      const hal::DeviceInfo& device) {
  tried_ = nullptr;
  const std::uint64_t one_warp_each = std::uint64_t{device.schedulers} * device.tile_lanes;
  const bool is_large = one_warp_each != 0 && lanes > one_warp_each * candidates[1];
  if (!is_large || work == Work{}) return whole_batch;
  auto found = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
    return entry.work == work && entry.code == code;
  });
  if (found == entries_.end()) {
    if (entries_.size() == most_entries) entries_.erase(entries_.begin());
    entries_.push_back({.work = work, .code = code});
    found = entries_.end() - 1;
  }
  if (!found->settled) tried_ = &*found;
  const std::uint32_t warps = candidates[found->settled ? found->best : found->trial];
  return warps == 0 ? whole_batch : one_warp_each * warps;
}

void Residency::learn(std::uint64_t instructions, std::int64_t run_ns) {
  Entry* const entry = std::exchange(tried_, nullptr);
  if (entry == nullptr || run_ns < least_run_ns) return;
  if (!entry->warm) {
    entry->warm = true;
    return;
  }
  const double rate = static_cast<double>(instructions) / static_cast<double>(run_ns);
  const bool is_better = rate > entry->best_rate * worth;
  if (is_better) {
    entry->best = entry->trial;
    entry->best_rate = rate;
  }
  entry->settled = !is_better || entry->trial + 1 == candidates.size();
  ++entry->trial;
}

}  // namespace warphive::runtime
