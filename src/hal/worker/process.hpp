// SPDX-License-Identifier: Apache-2.0
// A worker process as its front sees it.
#pragma once

#include <sys/types.h>

#include <string>

#include "hal/worker/socket.hpp"
#include "warphive/error.hpp"

namespace warphive::hal::worker {

/// Ended and waited for at the end.
class Process {
 public:
  /// Runs `program worker` with the socket and nothing else of this process's files but stderr.
  /// Error unavailable with the reason.
  static Result<Process> start(const std::string& program, const Socket& socket);
  Process(Process&& other) noexcept : id_(std::exchange(other.id_, 0)) {}
  Process& operator=(Process&&) = delete;
  ~Process() { (void)end(); }

  /// Kills it if it still runs, and says how it ended: "was killed by signal 11 (Segmentation
  /// fault)". Not thread-safe.
  std::string end();

 private:
  explicit Process(pid_t id) : id_(id) {}
  pid_t id_;  // 0: it was waited for
};

}  // namespace warphive::hal::worker
