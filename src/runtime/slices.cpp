// SPDX-License-Identifier: Apache-2.0
#include "runtime/slices.hpp"

#include <algorithm>
#include <bit>

namespace warphive::runtime {
namespace {

constexpr std::size_t warp_lanes = 32;
// Of a batch so many warps are looked at, which takes some tens of microseconds.
constexpr std::size_t most_warps = 1024;
constexpr std::size_t most_entries = 64;
// A round costs some tens of microseconds: batches that are done soon get none.
constexpr std::int64_t least_run_ns = 2'000'000;
constexpr double worth = 0.75;
// Lanes that are packed do not all run equally long, and are no neighbours in memory.
constexpr double packed_cost = 1.25;

}  // namespace

std::size_t Histogram::bucket_of(std::uint64_t units) {
  if (units < 4) return units;
  const auto log = static_cast<std::size_t>(std::bit_width(units)) - 1;
  return 4 * log - 4 + ((units >> (log - 2)) & 3);
}
std::uint64_t Histogram::end_of(std::size_t bucket) {
  if (bucket < 4) return bucket + 1;
  return std::uint64_t{4 + bucket % 4 + 1} << (bucket / 4 - 1);
}

std::uint64_t best_slice(const Histogram& lanes, const Histogram& warps) {
  double all = 0;
  for (std::size_t i = 0; i < Histogram::buckets; ++i) all += warps[i].units;
  double best = worth * all;
  std::uint64_t slice = no_slice;
  // What is beyond the end of a bucket.
  double long_lanes = 0;
  double long_units = 0;
  double long_warps = 0;
  double short_units = all;
  for (std::size_t i = Histogram::buckets - 1; i-- > 0;) {
    long_lanes += static_cast<double>(lanes[i + 1].count);
    long_units += lanes[i + 1].units;
    long_warps += static_cast<double>(warps[i + 1].count);
    short_units -= warps[i + 1].units;
    const std::uint64_t end = Histogram::end_of(i);
    const double units = static_cast<double>(end);
    const double cost = short_units + units * long_warps +
                        packed_cost * (long_units - units * long_lanes) / warp_lanes;
    if (cost >= best) continue;
    best = cost;
    // The next batch may be a little longer.
    slice = end + end / 2;
  }
  return slice;
}

std::uint64_t SliceHistory::first_slice(const Work& work) const {
  const auto found = std::find_if(entries_.begin(), entries_.end(),
                                  [&](const Entry& entry) { return entry.work == work; });
  return found == entries_.end() ? no_slice : found->slice;
}

void SliceHistory::learn(const Work& work, std::span<const kernels::LaneCall> calls,
                         const kernels::Outcome* outcomes, std::int64_t run_ns) {
  if (work == Work{}) return;
  const auto found = std::find_if(entries_.begin(), entries_.end(),
                                  [&](const Entry& entry) { return entry.work == work; });
  // In rounds a batch may be so much faster that it would seem not to need them.
  const bool had_rounds = found != entries_.end();
  if (had_rounds) entries_.erase(found);
  if (run_ns < least_run_ns && !had_rounds) return;
  Histogram lanes;
  Histogram warps;
  const std::size_t step =
      warp_lanes * std::max<std::size_t>(1, calls.size() / (warp_lanes * most_warps));
  for (std::size_t first = 0; first < calls.size(); first += step) {
    std::uint64_t longest = 0;
    for (std::size_t i = first; i < std::min(first + warp_lanes, calls.size()); ++i) {
      if (calls[i].function != work.function) return;
      const std::uint64_t units = outcomes[calls[i].call].fuel_spent;
      lanes.add(units);
      longest = std::max(longest, units);
    }
    warps.add(longest);
  }
  const std::uint64_t slice = best_slice(lanes, warps);
  if (slice == no_slice) return;
  if (entries_.size() == most_entries) entries_.erase(entries_.begin());
  entries_.push_back({work, slice});
}

}  // namespace warphive::runtime
