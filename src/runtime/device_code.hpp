// SPDX-License-Identifier: Apache-2.0
// Compiled code of a program on a device that compiles for itself.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "abi/native.hpp"
#include "codegen/device_compiler.hpp"
#include "codegen/tier.hpp"
#include "hal/device.hpp"
#include "ir/encode.hpp"
#include "ir/module.hpp"
#include "runtime/load_gate.hpp"
#include "warphive/error.hpp"

namespace warphive::runtime {

/// Immutable.
struct DeviceCode {
  std::shared_ptr<hal::Device> device;          // outlives what is loaded on it
  std::unique_ptr<hal::Executable> executable;  // KernelId::run in compiled code
  const abi::NativeCode* native = nullptr;      // where kernels find it
};

/// When a program's code is made, in the background, and where it appears. Binaries are linked by
/// threads of the queue; only threads that run lanes load them, between rounds, since loading waits
/// for kernels that run. Thread-safe.
class DeviceTier final : public codegen::CompileJob,
                         public std::enable_shared_from_this<DeviceTier> {
 public:
  /// Units of one lane after which a program is worth compiling: some 50 ms of a device.
  static constexpr std::uint64_t hot_units = std::uint64_t{1} << 18;

  /// `owner` is what module and encoded are parts of; it is kept alive while code is made. The
  /// module is linked, optimised and verified.
  static std::shared_ptr<DeviceTier> make(std::weak_ptr<const void> owner, const ir::Module& module,
                                          const ir::EncodedProgram& encoded,
                                          std::shared_ptr<hal::Device> device,
                                          codegen::TierServices services);
  /// From the cache, or compiled now; loads it. Errors: internal, unavailable and out_of_memory (of
  /// the device's own compiler).
  Status compile(LoadGate& gate);
  /// Loads what the cache has.
  void load_cached(LoadGate& gate);

  [[nodiscard]] const hal::Device& device() const { return *device_; }
  /// For a device in the place of a lost one: its code is loaded there when it is next asked for.
  [[nodiscard]] std::shared_ptr<DeviceTier> moved_to(std::shared_ptr<hal::Device> device) const;
  /// The latest code, which is loaded now if it is not yet; nullptr: none. Valid while this lives.
  const DeviceCode* code(LoadGate& gate);
  /// Whether more code may come.
  [[nodiscard]] bool is_settled() const { return settled_.load(std::memory_order_relaxed); }
  /// Whether it is not worth compiling yet: then who runs lanes says what they did.
  [[nodiscard]] bool is_cold() const { return cold_.load(std::memory_order_relaxed); }
  /// Lanes were interpreted for as long as one lane takes for so many units, and some are at these
  /// instructions now.
  void note(std::uint64_t units, std::span<const std::uint32_t> insns);

  /// While it lives, `leave` is called in another thread whenever there is code to be loaded. Its
  /// end waits for such a call.
  class Watch {
   public:
    Watch(std::shared_ptr<DeviceTier> tier, std::function<void()> leave);
    ~Watch();
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;

   private:
    friend class DeviceTier;
    const std::shared_ptr<DeviceTier> tier_;
    const std::function<void()> leave_;
  };

  [[nodiscard]] codegen::TierStatus status() const;
  /// Blocks until nothing is queued or being compiled for this program. For tests and benchmarks.
  void wait_until_idle() const;

  [[nodiscard]] std::uint32_t urgency() const override;
  void run(const std::atomic<bool>& stop) override;

  DeviceTier(std::weak_ptr<const void> owner, const ir::Module& module,
             const ir::EncodedProgram& encoded, std::shared_ptr<hal::Device> device,
             codegen::TierServices services);

 private:
  using Clock = std::chrono::steady_clock;
  struct Made {
    codegen::HostObjects program;  // the binary is its only object
    Clock::time_point start;
    bool from_cache = false;
    bool is_all = true;  // as far as the limits go
  };

  std::optional<codegen::HostObjects> find_cached();
  Result<codegen::HostObjects> link(const codegen::DeviceOptions& options);
  Status make_in_parts(const std::atomic<bool>& stop);
  void store(const codegen::HostObjects& program);
  void offer(Made made);
  Status load(Made made, LoadGate& gate);
  [[nodiscard]] const DeviceCode* latest() const;  // under the mutex
  void fail(const Error& error);
  [[nodiscard]] codegen::Digest key() const;

  const std::weak_ptr<const void> owner_;
  const ir::Module& module_;
  const ir::EncodedProgram& encoded_;
  const std::shared_ptr<hal::Device> device_;
  const codegen::TierServices services_;
  std::atomic<bool> settled_ = false;
  std::atomic<bool> cold_ = true;
  std::atomic<std::uint64_t> heat_ = 0;
  std::mutex load_mutex_;     // held while code is loaded; taken before the other one
  mutable std::mutex mutex_;  // guards what follows
  mutable std::condition_variable idle_;
  bool queued_ = false;
  std::vector<std::uint32_t> samples_;  // instructions that lanes were found at
  std::vector<Watch*> watches_;
  std::optional<Made> made_;                  // to be loaded
  std::optional<codegen::HostObjects> kept_;  // all of it, as loaded
  /// The latest is the last; unloading the ones before would wait for kernels.
  std::vector<std::unique_ptr<const DeviceCode>> codes_;
  codegen::TierStatus status_;
};

/// A program's tier on the device that it was linked for or, once that is lost, on the one that
/// takes its place. Thread-safe.
class DeviceTiers {
 public:
  explicit DeviceTiers(std::shared_ptr<DeviceTier> tier) : tier_(std::move(tier)) {}
  /// nullptr where there is none for that device.
  std::shared_ptr<DeviceTier> on(const std::shared_ptr<hal::Device>& device);
  [[nodiscard]] std::shared_ptr<DeviceTier> latest() const;

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<DeviceTier> tier_;  // guarded by the mutex
};

}  // namespace warphive::runtime
