// SPDX-License-Identifier: Apache-2.0
#include "runtime/load_gate.hpp"

#include <utility>

namespace warphive::runtime {

LoadGate::Round::Round(LoadGate& gate, std::function<void()> leave)
    : gate_(gate), leave_(std::move(leave)) {
  std::unique_lock lock(gate_.mutex_);
  gate_.changed_.wait(lock, [&] { return !gate_.loading_; });
  gate_.rounds_.push_back(this);
}

LoadGate::Round::~Round() {
  const std::lock_guard lock(gate_.mutex_);
  std::erase(gate_.rounds_, this);
  gate_.changed_.notify_all();
}

LoadGate::Load::Load(LoadGate& gate) : gate_(gate) {
  std::unique_lock lock(gate_.mutex_);
  gate_.changed_.wait(lock, [&] { return !gate_.loading_; });
  gate_.loading_ = true;
  for (const Round* round : gate_.rounds_) round->leave_();
  gate_.changed_.wait(lock, [&] { return gate_.rounds_.empty(); });
}

LoadGate::Load::~Load() {
  const std::lock_guard lock(gate_.mutex_);
  gate_.loading_ = false;
  gate_.changed_.notify_all();
}

}  // namespace warphive::runtime
