// SPDX-License-Identifier: Apache-2.0
#include "runtime/launch_shape.hpp"

#include <gtest/gtest.h>

namespace warphive::runtime {
namespace {

hal::DeviceInfo device_with(std::uint32_t schedulers) {
  hal::DeviceInfo device;
  device.tile_lanes = 32;
  device.schedulers = schedulers;
  return device;
}

TEST(LaunchShape, FewLanesGetWarpsOfTheirOwn) {
  const hal::DeviceInfo device = device_with(528);
  EXPECT_EQ(lanes_per_warp(1, device), 1u);
  EXPECT_EQ(lanes_per_warp(528, device), 1u);
  EXPECT_EQ(lanes_per_warp(529, device), 2u);
  EXPECT_EQ(lanes_per_warp(1024, device), 2u);
  EXPECT_EQ(lanes_per_warp(4096, device), 8u);
  EXPECT_EQ(lanes_per_warp(16'896, device), 32u);
  EXPECT_EQ(lanes_per_warp(~std::uint64_t{0}, device), 32u);
}

TEST(LaunchShape, DevicesWithoutWarpsTakeLanesAsTheyAre) {
  EXPECT_EQ(lanes_per_warp(1, {}), 1u);
  EXPECT_EQ(lanes_per_warp(1'000'000, {}), 1u);
  Residency residency;
  EXPECT_EQ(residency.launch_lanes({1, 2}, nullptr, 1'000'000, {}), whole_batch);
}

/// Lanes of each launch of one batch after the other, where a batch takes time_of(those lanes).
template <class Time>
std::vector<std::uint64_t> launches(Residency& residency, const Work& work, std::size_t batches,
                                    Time time_of) {
  std::vector<std::uint64_t> all;
  for (std::size_t i = 0; i < batches; ++i) {
    all.push_back(residency.launch_lanes(work, nullptr, 131'072, device_with(528)));
    residency.learn(1'000'000'000, time_of(all.back()));
  }
  return all;
}
constexpr std::uint64_t one = 528 * 32;

TEST(LaunchShape, ResidencyIsWhatWasFastest) {
  // As heap sort on an H200.
  const auto sort = [](std::uint64_t lanes) -> std::int64_t {
    if (lanes == whole_batch) return 65'000'000;
    return lanes == 4 * one ? 49'000'000 : lanes == 2 * one ? 37'000'000 : 38'000'000;
  };
  Residency residency;
  EXPECT_EQ(launches(residency, {1, 2}, 7, sort),
            (std::vector{whole_batch, whole_batch, 4 * one, 2 * one, one, 2 * one, 2 * one}));
  // Other calls have a search of their own.
  EXPECT_EQ(launches(residency, {1, 3}, 2, sort), (std::vector{whole_batch, whole_batch}));
  EXPECT_EQ(launches(residency, {1, 2}, 1, sort), (std::vector{2 * one}));
}

TEST(LaunchShape, ResidencyStaysWholeWhereLessIsSlower) {
  const auto slower = [](std::uint64_t lanes) -> std::int64_t {
    return lanes == whole_batch ? 10'000'000 : 11'000'000;
  };
  Residency residency;
  EXPECT_EQ(launches(residency, {1, 2}, 5, slower),
            (std::vector{whole_batch, whole_batch, 4 * one, whole_batch, whole_batch}));
}

TEST(LaunchShape, NothingIsLearntOfShortSmallOrUnlikeBatches) {
  Residency residency;
  const auto no_time = [](std::uint64_t) -> std::int64_t { return 1000; };
  EXPECT_EQ(launches(residency, {1, 2}, 4, no_time), std::vector(4, whole_batch));
  EXPECT_EQ(launches(residency, {}, 4, [](std::uint64_t) { return 1'000'000; }),
            std::vector(4, whole_batch));
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(residency.launch_lanes({1, 2}, nullptr, 4 * one, device_with(528)), whole_batch);
    residency.learn(1'000'000'000, 1'000'000);
  }
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(residency.launch_lanes({1, 2}, nullptr, 131'072, device_with(528)), whole_batch);
    residency.drop();
    residency.learn(1'000'000'000, 1'000'000);
  }
}

}  // namespace
}  // namespace warphive::runtime
