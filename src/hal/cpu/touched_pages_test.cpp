// SPDX-License-Identifier: Apache-2.0
#include "hal/cpu/touched_pages.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <vector>

namespace warphive::hal::cpu {
namespace {

class TouchedPagesTest : public testing::Test {
 protected:
  static constexpr std::uint64_t pages = 3000;  // more than are asked for at a time
  void SetUp() override {
    if (!touched_.known()) GTEST_SKIP() << "this system does not tell which pages have memory";
    void* at = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(at, MAP_FAILED);
    base_ = static_cast<std::byte*>(at);
    madvise(base_, bytes_, MADV_NOHUGEPAGE);
  }
  void TearDown() override {
    if (base_ != nullptr) munmap(base_, bytes_);
  }
  std::uint64_t resident() {
    std::vector<unsigned char> present(pages);
    EXPECT_EQ(mincore(base_, bytes_, present.data()), 0);
    return static_cast<std::uint64_t>(std::count_if(present.begin(), present.end(),
                                                    [](unsigned char p) { return (p & 1) != 0; }));
  }

  TouchedPages touched_;
  std::uint64_t bytes_ = pages * page_size();
  std::byte* base_ = nullptr;
};

TEST_F(TouchedPagesTest, zeroes_what_was_written_and_makes_no_page) {
  if (!touched_.zero_scanned(base_, bytes_)) GTEST_LOG_(INFO) << "Linux before 6.7";
  for (const auto zero : {&TouchedPages::zero, &TouchedPages::zero_listed}) {
    const std::uint64_t written[] = {0, 1, 511, 512, 1300, pages - 1};
    for (const std::uint64_t page : written) {
      base_[page * page_size()] = std::byte{1};
      base_[(page + 1) * page_size() - 1] = std::byte{2};
    }
    const std::uint64_t read = 700;
    EXPECT_EQ(base_[read * page_size()], std::byte{0});
    const std::uint64_t before = resident();
    ASSERT_TRUE((touched_.*zero)(base_, bytes_));
    EXPECT_EQ(resident(), before);
    ASSERT_TRUE(std::all_of(base_, base_ + bytes_, [](std::byte b) { return b == std::byte{0}; }));
  }
}

TEST_F(TouchedPagesTest, a_child_process_does_not_trust_what_its_parent_opened) {
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) _exit(touched_.known() ? 1 : 0);
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace warphive::hal::cpu
