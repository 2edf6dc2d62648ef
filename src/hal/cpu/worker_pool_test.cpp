// SPDX-License-Identifier: Apache-2.0
#include "hal/cpu/worker_pool.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

namespace warphive::hal::cpu {
namespace {

struct Counts {
  std::vector<std::atomic<int>>* lanes;
  WorkerPool* nested = nullptr;
};

void count(const void* raw, std::uint32_t first, std::uint32_t last) {
  const auto& counts = *static_cast<const Counts*>(raw);
  for (std::uint32_t i = first; i < last; ++i) {
    (*counts.lanes)[i].fetch_add(1);
    if (counts.nested != nullptr) {
      std::vector<std::atomic<int>> inner(7);
      const Counts inner_counts{&inner};
      counts.nested->run(count, &inner_counts, 7);
      for (const auto& lane : inner) {
        if (lane != 1) (*counts.lanes)[i].fetch_add(1000);
      }
    }
  }
}

TEST(WorkerPool, many_short_dispatches_lose_no_lane) {
  WorkerPool pool(4);
  std::vector<std::atomic<int>> lanes(97);
  const Counts counts{&lanes};
  for (int round = 0; round < 2000; ++round) {
    pool.run(count, &counts, static_cast<std::uint32_t>(1 + round % 97));
  }
  int expected = 0;
  for (int round = 0; round < 2000; ++round) expected += round % 97 + 1 > 40 ? 1 : 0;
  EXPECT_EQ(lanes[40], expected);
  EXPECT_EQ(lanes[0], 2000);
}

TEST(WorkerPool, a_dispatch_from_inside_of_a_lane_runs) {
  WorkerPool pool(4);
  std::vector<std::atomic<int>> lanes(500);
  const Counts counts{&lanes, &pool};
  pool.run(count, &counts, 500);
  for (const auto& lane : lanes) EXPECT_EQ(lane, 1);
}

TEST(WorkerPool, dispatches_from_several_threads_do_not_wait_for_each_other) {
  WorkerPool pool(3);
  std::vector<std::thread> threads;
  std::vector<std::unique_ptr<std::vector<std::atomic<int>>>> all;
  for (int t = 0; t < 4; ++t) {
    all.push_back(std::make_unique<std::vector<std::atomic<int>>>(300));
    threads.emplace_back([&pool, lanes = all.back().get()] {
      const Counts counts{lanes};
      for (int round = 0; round < 200; ++round) pool.run(count, &counts, 300);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& lanes : all) {
    for (const auto& lane : *lanes) EXPECT_EQ(lane, 200);
  }
}

TEST(WorkerPool, one_thread_needs_no_worker) {
  WorkerPool pool(1);
  EXPECT_EQ(pool.threads(), 1u);
  std::vector<std::atomic<int>> lanes(3);
  const Counts counts{&lanes};
  pool.run(count, &counts, 3);
  pool.run(count, &counts, 0);
  for (const auto& lane : lanes) EXPECT_EQ(lane, 1);
}

}  // namespace
}  // namespace warphive::hal::cpu
