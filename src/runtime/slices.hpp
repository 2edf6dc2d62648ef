// SPDX-License-Identifier: Apache-2.0
// How long the lanes of a batch run before those that are left are packed into full warps: as the
// last batch of the same calls tells.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/params.hpp"

namespace warphive::runtime {

/// All in one go.
inline constexpr std::uint64_t no_slice = ~std::uint64_t{0};
/// Of the next round: few rounds, and each has far fewer lanes than the one before it.
constexpr std::uint64_t longer_slice(std::uint64_t slice) {
  constexpr std::uint64_t factor = 4;
  return slice < no_slice / factor ? slice * factor : no_slice;
}

/// Lanes by what they ran, in buckets of a quarter of their power of two.
class Histogram {
 public:
  static constexpr std::size_t buckets = 252;
  static std::size_t bucket_of(std::uint64_t units);
  /// The least number beyond a bucket; bucket < buckets - 1.
  static std::uint64_t end_of(std::size_t bucket);

  struct Bucket {
    std::uint64_t count = 0;
    double units = 0;
  };
  void add(std::uint64_t units) {
    Bucket& bucket = buckets_[bucket_of(units)];
    ++bucket.count;
    bucket.units += static_cast<double>(units);
  }
  const Bucket& operator[](std::size_t bucket) const { return buckets_[bucket]; }

 private:
  std::array<Bucket, buckets> buckets_ = {};
};

/// The first slice for lanes that ran so, and the longest of each warp of them; no_slice where it
/// would not free a quarter of the warps' time.
std::uint64_t best_slice(const Histogram& lanes, const Histogram& warps);

/// What the lanes of a batch call, where they all call the same.
struct Work {
  std::uint32_t shape = ~0u;  // Template::index
  std::uint32_t function = kernels::no_function;
  friend bool operator==(const Work&, const Work&) = default;
};

class SliceHistory {
 public:
  [[nodiscard]] std::uint64_t first_slice(const Work& work) const;
  /// A batch of calls with their outcomes, by LaneCall::call, in the order in which they ran.
  void learn(const Work& work, std::span<const kernels::LaneCall> calls,
             const kernels::Outcome* outcomes, std::int64_t run_ns);

 private:
  struct Entry {
    Work work;
    std::uint64_t slice;
  };
  std::vector<Entry> entries_;  // few, the latest last
};

}  // namespace warphive::runtime
