// SPDX-License-Identifier: Apache-2.0
// The host services that ship with Warphive: WASI preview 1, `warphive.input/output`, and the seed
// host functions. One Environment serves all instances of a swarm.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sys/service.hpp"

namespace warphive::sys {

enum class Clock : std::uint8_t { virtual_time, host };

/// What instances of a swarm see of the world. In strings, `{id}` is replaced by the ordinal.
struct EnvironmentOptions {
  std::vector<std::string> args;  // argv, with the program's name first
  std::vector<std::string> env;   // "K=V"
  struct Directory {
    std::string host_path;
    std::string guest_path;
  };
  std::vector<Directory> directories;  // read-only
  struct MemoryFile {
    std::string guest_path;  // absolute
    std::string contents;
  };
  std::vector<MemoryFile> files;  // an in-memory, read-only tree beside the directories
  std::string stdin_path;         // host file; may hold {id}; empty: empty stdin
  /// Called for stdin of an instance instead of stdin_path, if set.
  std::function<std::string(std::uint64_t ordinal)> stdin_source;
  std::uint64_t seed = 0;
  Clock clock = Clock::virtual_time;
  std::uint64_t clock_start_ns = 0;
  bool metered = true;        // false: each clock reading advances it by 1 us
  bool pass_through = false;  // out and err go straight to the process's own
  bool seed_host = false;     // adds the seeds' functions in module `env`
  /// What the seeds' read_region sees: `width * height` pixels of four bytes (red, green, blue,
  /// alpha), row by row.
  struct Map {
    std::uint32_t width = 1;  // 1 to 65,535, as is the height
    std::uint32_t height = 1;
    std::vector<std::uint8_t> pixels = {0, 0, 0, 255};
  };
  Map seed_map;
};

/// Thread-safe for calls of distinct instances.
class Environment {
 public:
  /// Opens directories and the shared input; what fails there is reported by register_into.
  explicit Environment(EnvironmentOptions options);
  ~Environment();
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

  /// Adds this environment's functions to a registry, which must not outlive it.
  /// Errors: io where a directory or the input cannot be opened, invalid_input for other options
  /// that make no sense or names that are taken.
  Status register_into(HostRegistry& registry);
  /// Forgets an instance's open files and positions: on kill and reset.
  void release(std::uint32_t index);
  /// False once anything that is not a function of the inputs was read (--clock host).
  [[nodiscard]] bool deterministic() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace warphive::sys
