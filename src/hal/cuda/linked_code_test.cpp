// SPDX-License-Identifier: Apache-2.0
#include "hal/cuda/linked_code.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "hal/cuda/testing/linked_file.hpp"

namespace warphive::hal::cuda {
namespace {

std::optional<std::uint32_t> frame_of(const std::string& file) {
  return largest_frame(std::as_bytes(std::span(file)));
}

TEST(LinkedCode, SaysItsLargestFrame) {
  EXPECT_EQ(frame_of(testing::linked_file(296)), 296u);
  EXPECT_EQ(frame_of(testing::linked_file(0)), 0u);
}

TEST(LinkedCode, OtherFilesSayNothing) {
  EXPECT_EQ(frame_of(""), std::nullopt);
  EXPECT_EQ(frame_of("not an ELF file, but long enough to have a header of sixty-four bytes"),
            std::nullopt);
  const std::string whole = testing::linked_file(296);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_EQ(frame_of(whole.substr(0, size)), std::nullopt) << size;
  }
}

TEST(LinkedCode, AnyBytesAreReadSafely) {
  std::mt19937_64 random(7);
  const std::string whole = testing::linked_file(296);
  for (int i = 0; i < 20'000; ++i) {
    std::string file = whole;
    for (int k = 0; k < 3; ++k) file[random() % file.size()] = static_cast<char>(random());
    (void)frame_of(file);
  }
}

}  // namespace
}  // namespace warphive::hal::cuda
