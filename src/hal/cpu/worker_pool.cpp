// SPDX-License-Identifier: Apache-2.0
#include "hal/cpu/worker_pool.hpp"

#include <algorithm>

#include "hal/cpu/machine.hpp"

namespace warphive::hal::cpu {
namespace {

constexpr std::uint32_t max_chunk = 64;
// What they do is memory traffic, which few cores saturate.
constexpr std::uint32_t most_host_threads = 16;

}  // namespace

WorkerPool::WorkerPool(std::uint32_t threads) {
  const auto body = [](void* pool) -> void* {
    static_cast<WorkerPool*>(pool)->work();
    return nullptr;
  };
  for (std::uint32_t i = 1; i < threads; ++i) {
    pthread_t thread{};
    if (pthread_create(&thread, nullptr, body, this) != 0) break;
    workers_.push_back(thread);
  }
}

WorkerPool::~WorkerPool() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (const pthread_t worker : workers_) pthread_join(worker, nullptr);
}

void WorkerPool::run(HostKernel kernel, const void* params, std::uint32_t lane_count) {
  const Job job{kernel, params, lane_count};
  if (lane_count < 2 || workers_.empty() || taken_.test_and_set(std::memory_order_acquire)) {
    if (lane_count != 0) kernel(params, 0, lane_count);
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    next_lane_.store(0, std::memory_order_relaxed);
    job_ = job;
    ++round_;
  }
  wake_.notify_all();
  take_lanes(job);
  {
    // All lanes are taken; a worker that has not joined by now never touches this job.
    std::unique_lock lock(mutex_);
    job_.lane_count = 0;
    idle_.wait(lock, [this] { return active_ == 0; });
  }
  taken_.clear(std::memory_order_release);
}

void WorkerPool::take_lanes(const Job& job) {
  // Chunks shrink towards the end, so that no thread is left with a long tail.
  const std::uint64_t share = std::uint64_t{threads()} * 4;
  std::uint64_t first = next_lane_.load(std::memory_order_relaxed);
  for (;;) {
    std::uint64_t chunk = 0;
    do {
      if (first >= job.lane_count) return;
      chunk = std::clamp<std::uint64_t>((job.lane_count - first) / share, 1, max_chunk);
    } while (!next_lane_.compare_exchange_weak(first, first + chunk, std::memory_order_relaxed));
    job.kernel(job.params, static_cast<std::uint32_t>(first),
               static_cast<std::uint32_t>(first + chunk));
    first = next_lane_.load(std::memory_order_relaxed);
  }
}

void WorkerPool::work() {
  std::uint64_t seen = 0;
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [&] { return stopping_ || (round_ != seen && job_.lane_count != 0); });
    if (stopping_) return;
    seen = round_;
    const Job job = job_;
    ++active_;
    lock.unlock();
    take_lanes(job);
    lock.lock();
    if (--active_ == 0) idle_.notify_one();
  }
}

void HostThreads::run(HostKernel function, const void* params, std::uint32_t count) {
  std::call_once(made_, [this] {
    pool_ = std::make_unique<WorkerPool>(std::min(usable_cores(), most_host_threads));
  });
  pool_->run(function, params, count);
}

}  // namespace warphive::hal::cpu
