// SPDX-License-Identifier: Apache-2.0
// Persistent threads that share the lanes of one dispatch.
#pragma once

#include <pthread.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "hal/device.hpp"

namespace warphive::hal::cpu {

/// Runs kernels over ranges of lanes on the calling thread and the workers. Thread-safe: a dispatch
/// that finds the workers taken, or comes from one of them, runs on its own thread alone, so that
/// no dispatch ever waits for another one.
// NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): next_lane_ has a cache line to itself
class WorkerPool {
 public:
  /// `threads` counts the calling thread. Where the system has no more threads there are fewer.
  explicit WorkerPool(std::uint32_t threads);
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  /// Returns when every lane of [0, lane_count) has run.
  void run(HostKernel kernel, const void* params, std::uint32_t lane_count);
  [[nodiscard]] std::uint32_t threads() const {
    return static_cast<std::uint32_t>(workers_.size()) + 1;
  }

 private:
  struct Job {
    HostKernel kernel = nullptr;
    const void* params = nullptr;
    std::uint32_t lane_count = 0;
  };

  void work();
  void take_lanes(const Job& job);

  std::vector<pthread_t> workers_;
  std::atomic_flag taken_;  // set during a dispatch that uses the workers

  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable idle_;
  Job job_;                   // guarded by mutex_
  std::uint64_t round_ = 0;   // guarded by mutex_: counts jobs
  std::uint32_t active_ = 0;  // guarded by mutex_: workers inside of the job
  bool stopping_ = false;     // guarded by mutex_

  alignas(64) std::atomic<std::uint64_t> next_lane_{0};
};

/// One thread per core, some cores at most, from the first run on. Thread-safe.
class HostThreads {
 public:
  void run(HostKernel function, const void* params, std::uint32_t count);

 private:
  std::once_flag made_;
  std::unique_ptr<WorkerPool> pool_;
};

}  // namespace warphive::hal::cpu
