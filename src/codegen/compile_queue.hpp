// SPDX-License-Identifier: Apache-2.0
// The threads that compile in the background.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace warphive::codegen {

/// A program that wants code.
class CompileJob {
 public:
  virtual ~CompileJob() = default;
  /// Of those that wait the greatest goes first. Asked for under the queue's lock: takes none.
  [[nodiscard]] virtual std::uint32_t urgency() const = 0;
  /// In a thread of the queue. Ends soon once `stop` is set.
  virtual void run(const std::atomic<bool>& stop) = 0;
};

/// Its end drops what waits and stops what is being made, after the part that LLVM, or the device's
/// own compiler, is at. Thread-safe.
class CompileQueue {
 public:
  explicit CompileQueue(unsigned threads = 1) : most_threads_(threads) {}
  ~CompileQueue();
  CompileQueue(const CompileQueue&) = delete;
  CompileQueue& operator=(const CompileQueue&) = delete;

  /// False where too many wait already.
  bool add(std::shared_ptr<CompileJob> job);

 private:
  void run();

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::vector<std::shared_ptr<CompileJob>> waiting_;
  std::atomic<bool> stopping_ = false;  // written under the mutex
  const unsigned most_threads_;
  unsigned idle_ = 0;
  std::vector<std::thread> threads_;
};

}  // namespace warphive::codegen
