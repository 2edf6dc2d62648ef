// SPDX-License-Identifier: Apache-2.0
// Host functions: what programs import from the embedder.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "warphive/types.hpp"

namespace warphive {

/// One call, as a host function sees it. Valid only while the function runs.
class HostCall {
 public:
  virtual ~HostCall() = default;
  [[nodiscard]] virtual std::uint64_t ordinal() const = 0;  // the instance's number in its swarm
  [[nodiscard]] virtual Value arg(std::size_t i) const = 0;
  virtual void set_result(std::size_t i, Value value) = 0;      // the type must match
  [[nodiscard]] virtual std::uint64_t memory_size() const = 0;  // bytes
  /// False where the range is not inside the memory; then nothing was transferred.
  [[nodiscard]] virtual bool read_memory(std::uint64_t address, std::span<std::byte> to) const = 0;
  [[nodiscard]] virtual bool write_memory(std::uint64_t address,
                                          std::span<const std::byte> from) = 0;
  virtual void write_stdout(std::string_view text) = 0;
  virtual void trap() = 0;  // stops the instance with TrapKind::host
  virtual void exit(std::int32_t code) = 0;
};

/// Serves an array of calls of one import, from any thread, concurrently. On CPU devices arrays
/// hold one call. An exception becomes a `host` trap of every call in the array. Using the calling
/// instance's swarm from inside is refused as busy.
using HostFunction = std::function<void(std::span<HostCall* const> calls)>;

/// What instances of a swarm see of the world: WASI preview 1 and `warphive.input/output`. In
/// strings, `{id}` is replaced by the instance's ordinal.
struct HostOptions {
  std::vector<std::string> args;  // argv, the program's name first
  std::vector<std::string> env;   // "K=V"
  struct Directory {
    std::string host_path;
    std::string guest_path;
  };
  std::vector<Directory> directories;  // read-only
  struct File {
    std::string guest_path;
    std::string contents;
  };
  std::vector<File> files;  // an in-memory, read-only tree mounted at "/"
  std::string stdin_path;   // host file; empty: empty input
  std::function<std::string(std::uint64_t ordinal)> stdin_source;  // instead of stdin_path
  std::uint64_t seed = 0;                                          // of the guest's random numbers
  bool host_clock = false;  // default: virtual time, 1 ns per instruction
  std::uint64_t clock_start_ns = 0;
  bool pass_through = false;    // standard output and error go to the process's own
  bool seed_functions = false;  // the functions of module `env`, see docs/host-functions.md
};

}  // namespace warphive
