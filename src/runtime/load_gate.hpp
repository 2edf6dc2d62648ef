// SPDX-License-Identifier: Apache-2.0
// Loading waits for kernels that run, of all swarms of a device: they are told to leave, so that it
// is short.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <vector>

namespace warphive::runtime {

/// Of one device. Thread-safe.
class LoadGate {
 public:
  /// A swarm's lanes run while this lives, which begins when nothing is loaded. `leave` is called
  /// in other threads where they shall be left for another round soon.
  class Round {
   public:
    Round(LoadGate& gate, std::function<void()> leave);
    ~Round();
    Round(const Round&) = delete;
    Round& operator=(const Round&) = delete;

   private:
    friend class LoadGate;
    LoadGate& gate_;
    const std::function<void()> leave_;
  };
  /// No lanes run while this lives. Not in a round.
  class Load {
   public:
    explicit Load(LoadGate& gate);
    ~Load();
    Load(const Load&) = delete;
    Load& operator=(const Load&) = delete;

   private:
    LoadGate& gate_;
  };

 private:
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::vector<const Round*> rounds_;
  bool loading_ = false;
};

}  // namespace warphive::runtime
