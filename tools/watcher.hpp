// SPDX-License-Identifier: Apache-2.0
// Stops a run on Ctrl-C or a timeout, and shows its progress.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <thread>
#include <warphive/host.hpp>
#include <warphive/swarm.hpp>

#include "tools/run_options.hpp"

namespace warphive::tools {

/// From now on the first SIGINT or SIGTERM asks for a stop and the second ends the process.
void install_stop_signals();
/// Whether the first has come.
bool stop_signalled();

/// Gives guests this process's standard input, from where it is now.
void use_process_stdin(HostOptions& options);

/// Watches one dispatch of a swarm from a thread of its own, from construction to stop().
class Watcher {
 public:
  Watcher(Swarm swarm, const RunOptions& options);
  ~Watcher() { stop(); }
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

  void stop();
  /// Whether the timeout was what stopped the run first.
  [[nodiscard]] bool timed_out() const { return timed_out_; }

 private:
  using Clock = std::chrono::steady_clock;

  void watch();
  void interrupt_threads() const;
  void show(Clock::time_point now);

  Swarm swarm_;
  ProgressMode progress_;
  bool may_block_;  // guests use this process's own standard input or output
  Clock::time_point start_;
  std::optional<Clock::time_point> deadline_;
  int wake_ = -1;  // an eventfd that stop() writes
  std::atomic<bool> timed_out_ = false;
  bool line_shown_ = false;
  std::thread thread_;
};

}  // namespace warphive::tools
