// SPDX-License-Identifier: Apache-2.0
// Engine: devices, host functions, linking; the first object a user makes.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "warphive/error.hpp"
#include "warphive/host.hpp"
#include "warphive/program.hpp"
#include "warphive/swarm.hpp"

namespace warphive {

namespace detail {
struct EngineData;
}  // namespace detail

/// How instances run. Results are the same.
enum class Tier : std::uint8_t {
  automatic,  // interpreted at once, compiled in the background when it has run for long enough
  interp,
  jit,  // compiled when it is linked
};

/// What compiling one program may take. What is left of it when a limit is reached stays
/// interpreted; TierStatus::reasons says so. One function is never taken apart: the time is looked
/// at between parts of some 4,000 IR instructions (on GPUs: 256 KB of PTX), or larger functions.
struct CompileLimits {
  std::uint32_t seconds = 60;                           // 0: no limit
  std::uint64_t instructions = 1'000'000;               // of the program's IR
  std::uint64_t function_instructions = 20'000;         // of a function's IR
  std::uint64_t code_bytes = std::uint64_t{256} << 20;  // of objects; on GPUs of PTX
};

/// What a fault of a GPU or its driver may take with it.
enum class Isolation : std::uint8_t {
  none,  // that device of this process, until it is started again; a crash of the driver: all of it
  worker,  // what ran: the device is driven by a process of its own, which the engine starts anew
};

struct EngineOptions {
  std::string device = "auto";  // auto | cpu | cuda[:N]; auto: the first GPU, else the CPU
  std::uint32_t threads = 0;    // CPU device: worker threads, 0 for all cores
  Tier tier = Tier::automatic;
  bool cache = true;            // keep compiled code on disk, and use what is there
  std::string cache_directory;  // empty: $XDG_CACHE_HOME/warphive, else $HOME/.cache/warphive
  CompileLimits compile;
  /// Of CUDA devices. With Isolation::worker instances on a device that is lost (a driver's error,
  /// a crash, kernels that do not end within 2 s of a stop) are device_lost; programs stay usable,
  /// in new swarms of the same engine.
  Isolation isolation = Isolation::none;
  /// The executable that is run as `FILE worker`: the command warphive. Empty: $WARPHIVE_WORKER,
  /// else `warphive` beside this program.
  std::string worker_program;
};

struct DeviceInfo {
  std::string name;         // as in EngineOptions::device
  std::string description;  // model, cores, memory
  bool available = false;
  std::string reason;  // why not, if not
};

/// A module and the name under which later modules of the same link import it.
struct LinkItem {
  Module module;
  std::string name;
};

/// Copies share; thread-safe. The end of the last one waits for the part of a program that is being
/// compiled in the background, if any: up to seconds.
class Engine {
 public:
  /// Errors: unavailable (no such device here, with the reason), not_found (an unknown device, no
  /// program for a worker).
  static Result<Engine> create(const EngineOptions& options = {});
  /// What is on this machine; never fails.
  static std::vector<DeviceInfo> devices();
  [[nodiscard]] std::string device() const;  // the one in use

  /// Makes a host function importable. Before the programs that use it are linked. Error:
  /// invalid_input where the name is taken.
  Status define(std::string module, std::string field, FunctionType type, HostFunction function);

  /// Resolves imports by earlier items, then by host functions (defined ones, WASI, warphive.*, and
  /// with seed_functions the seeds'). Error phase link: unknown import or another signature, both
  /// listed.
  Result<Program> link(std::span<const LinkItem> items, bool seed_functions = false) const;
  Result<Program> link(const Module& module, bool seed_functions = false) const;

  /// On a device that was lost in its worker: on a new one. Errors: unavailable (it does not come
  /// back, with the reason), out_of_memory, device_lost.
  Result<Swarm> create_swarm(const SwarmOptions& options = {}) const;

  explicit Engine(std::shared_ptr<detail::EngineData> data) : data_(std::move(data)) {}

 private:
  std::shared_ptr<detail::EngineData> data_;
};

}  // namespace warphive
