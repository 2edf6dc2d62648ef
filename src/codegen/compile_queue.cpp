// SPDX-License-Identifier: Apache-2.0
#include "codegen/compile_queue.hpp"

#include <algorithm>
#include <utility>

namespace warphive::codegen {
namespace {

constexpr std::size_t most_queued = 1024;

}  // namespace

CompileQueue::~CompileQueue() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    waiting_.clear();
    changed_.notify_all();
  }
  for (std::thread& thread : threads_) thread.join();
}

bool CompileQueue::add(std::shared_ptr<CompileJob> job) {
  const std::lock_guard lock(mutex_);
  if (waiting_.size() >= most_queued || stopping_) return false;
  waiting_.push_back(std::move(job));
  if (waiting_.size() > idle_ && threads_.size() < most_threads_) {
    threads_.emplace_back([this] { run(); });
  }
  changed_.notify_one();
  return true;
}

void CompileQueue::run() {
  for (;;) {
    std::shared_ptr<CompileJob> next;
    {
      std::unique_lock lock(mutex_);
      ++idle_;
      changed_.wait(lock, [&] { return stopping_ || !waiting_.empty(); });
      --idle_;
      if (stopping_) return;
      const auto first = std::max_element(
          waiting_.begin(), waiting_.end(),
          [](const auto& a, const auto& b) { return a->urgency() < b->urgency(); });
      next = std::move(*first);
      waiting_.erase(first);
    }
    next->run(stopping_);
  }
}

}  // namespace warphive::codegen
