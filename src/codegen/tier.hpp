// SPDX-License-Identifier: Apache-2.0
// The compiled side of a program: when its code is made, in the background, and where it appears.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "abi/native.hpp"
#include "codegen/cache.hpp"
#include "codegen/compile_queue.hpp"
#include "codegen/compiler.hpp"
#include "ir/encode.hpp"
#include "ir/module.hpp"
#include "warphive/error.hpp"

namespace warphive::codegen {

enum class TierState : std::uint8_t {
  cold,  // not run enough to be worth it
  queued,
  compiling,
  ready,   // lanes run compiled code
  failed,  // stays interpreted, see reason()
};

struct TierStatus {
  TierState state = TierState::cold;
  std::string reason;                // of `failed`
  std::uint32_t functions = 0;       // compiled
  std::uint32_t interpreted = 0;     // functions that stay interpreted
  std::vector<std::string> reasons;  // why
  std::uint32_t variants = 0;        // that go on inside of functions
  double compile_seconds = 0;        // or to load it
  bool from_cache = false;
};

/// What tiers share with others.
struct TierServices {
  std::shared_ptr<CodeCache> cache;   // nullptr: compiled code is not kept
  std::weak_ptr<CompileQueue> queue;  // none: nothing is compiled in the background
  /// Programs up to here wait for what the cache has: some milliseconds. Larger ones start
  /// interpreted and go over to it.
  std::size_t most_insns_at_once = 20'000;
  CompileLimits limits = {};  // `stop` is not used
};

/// Functions where lanes were found, at the instructions `samples`, the most often for the size
/// first, and then what these call.
std::vector<std::uint32_t> hottest_functions(const ir::Module& module,
                                             const ir::EncodedProgram& encoded,
                                             std::span<const std::uint32_t> samples);

/// Thread-safe. Made by make(); the program that it belongs to is kept alive while code is made.
class ProgramTier final : public CompileJob, public std::enable_shared_from_this<ProgramTier> {
 public:
  /// `owner` is what module and encoded are parts of. The program is compiled once lanes have
  /// interpreted it for long enough, and variants where lanes are stopped.
  static std::shared_ptr<ProgramTier> make(std::weak_ptr<const void> owner,
                                           const ir::Module& module,
                                           const ir::EncodedProgram& encoded,
                                           TierServices services);
  /// Compiles now, in this thread. Error: as compile_host.
  Status compile();
  /// Uses what the cache has: for a small program at once, for a large one in the background.
  void load_cached();

  /// For abi::Pool::native; valid while this object lives.
  [[nodiscard]] const abi::NativeSlot* slot() const { return &slot_; }
  [[nodiscard]] TierStatus status() const;
  /// Blocks until nothing is queued or being compiled for this program. For tests and benchmarks.
  void wait_until_idle() const;

  ProgramTier(std::weak_ptr<const void> owner, const ir::Module& module,
              const ir::EncodedProgram& encoded, TierServices services);
  ~ProgramTier() override;
  [[nodiscard]] std::uint32_t urgency() const override;
  void run(const std::atomic<bool>& stop) override;

 private:
  struct Slot : abi::NativeSlot {
    ProgramTier* tier = nullptr;
  };
  static void want(const abi::NativeSlot* slot, std::uint32_t insn);
  void note(std::uint32_t insn);
  Status compile_until(const std::atomic<bool>* stop);
  void publish();
  Status compile_program(const std::atomic<bool>* stop);
  void compile_part(const std::atomic<bool>& stop);
  bool enters_early(std::uint32_t insn);
  void compile_variant(std::uint32_t insn);
  void fail(const Error& error);
  Status use(HostObjects objects, std::chrono::steady_clock::time_point start, bool from_cache);
  bool use_cached();  // false where the cache has nothing
  void enqueue();     // under the mutex
  const Digest& key();

  std::weak_ptr<const void> owner_;
  const ir::Module& module_;
  const ir::EncodedProgram& encoded_;
  const TierServices services_;
  Slot slot_;
  std::atomic<std::uint32_t> heat_{0};  // polls of interpreted lanes
  /// The instructions of the latest ones, which says where time is spent.
  std::array<std::atomic<std::uint32_t>, 1024> samples_ = {};
  std::atomic<std::uint32_t> last_wanted_{~0u};  // keeps most repeats off the mutex
  std::atomic<bool> looks_up_ = false;           // the queue's thread has yet to ask the cache
  mutable std::mutex mutex_;                     // guards what follows
  mutable std::condition_variable idle_;
  bool queued_ = false;
  TierStatus status_;
  std::set<std::uint32_t> seen_;                 // instructions that were asked for
  std::vector<std::uint32_t> wanted_;            // of those, not looked at yet
  std::unique_ptr<NativeLibrary> library_;       // used by one compiling thread at a time
  std::vector<std::uint32_t> places_;            // of variants; likewise
  std::unique_ptr<PartCompiler> parts_;          // while the program is not all compiled; likewise
  std::set<std::uint32_t> entered_;              // functions with a variant meanwhile; likewise
  std::uint64_t part_size_ = 0;                  // of the next one; likewise
  HostObjects made_;                             // by them; likewise
  std::chrono::steady_clock::time_point start_;  // of compiling it; likewise
  std::optional<Digest> key_;                    // once it was asked for; likewise
};

}  // namespace warphive::codegen
