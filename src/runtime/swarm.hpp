// SPDX-License-Identifier: Apache-2.0
// The instances of one device: spawn, dispatch, resume, reset, kill, and transfers. Values are slot
// values here (64-bit, i32 and f32 zero-extended); typed ones are made in src/api.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "abi/state.hpp"
#include "hal/device.hpp"
#include "kernels/params.hpp"
#include "runtime/load_gate.hpp"
#include "runtime/program.hpp"
#include "runtime/results.hpp"
#include "sys/service.hpp"
#include "warphive/error.hpp"
#include "warphive/types.hpp"

namespace warphive::runtime {

/// Capacities of instances. One pool per program and set of capacities.
struct Capacities {
  std::optional<std::uint32_t> memory_pages;  // room of each memory that grows
  std::uint32_t table_elements = 0;           // room beyond the minimum of tables that change
  std::uint32_t stack_slots = 4096;
  std::uint32_t max_depth = 1024;
  std::uint32_t output_bytes = 4096;
  friend bool operator==(const Capacities&, const Capacities&) = default;
};

enum class Instantiate : std::uint8_t {
  image,  // as after every member's init; start functions run with the first dispatch
  raw,    // memories and tables at their minimum, all zero and null; nothing is pending: the caller
          // runs the members' init and start as calls when it likes
};

enum class AnyState : bool { no, yes };

/// One call of any function of the instance's program.
struct SlotCall {
  InstanceId id;
  std::uint32_t function = 0;
  std::uint32_t first_arg = 0;  // into SlotBatch::args
};

struct SlotBatch {
  std::span<const SlotCall> calls;
  std::span<const std::uint64_t> args;
  std::uint64_t fuel = abi::unlimited_fuel;  // per instance
  bool run_initialize = false;               // first run `_initialize` where not yet run
  AnyState any_state = AnyState::no;  // yes: also trapped, exited and stopped instances, whose
                                      // frames are dropped
};

/// The same function once per row of arguments, each time in an instance of its own.
struct FreshBatch {
  std::uint32_t function = 0;
  std::uint64_t count = 0;
  std::span<const std::uint64_t> args;       // one row for all, or `count` rows
  std::uint64_t fuel = abi::unlimited_fuel;  // per instance
  bool run_initialize = false;
  Capacities capacities = {};
  std::uint64_t wave = 0;  // instances that exist at a time, at most; 0: what suits the device
};

struct HostServices {
  const sys::HostRegistry* registry = nullptr;   // borrowed; nullptr: no host functions
  const sys::HostRegistry* unmetered = nullptr;  // for programs without metering; nullptr: the same
  /// Asked before the registries; what it returns must live as long as the swarm. May be empty.
  std::function<const sys::HostEntry*(std::string_view module, std::string_view field)> find;
  std::function<void(std::uint32_t index)> forget;  // an instance was reset or killed; may be empty
};

/// Of devices whose lanes run in warps; see runtime/slices.hpp. Results do not depend on it.
enum class Rounds : bool { never, where_uneven };

struct RunProgress {
  std::uint64_t instances_total = 0;
  std::uint64_t instances_done = 0;
  std::uint64_t instructions = 0;
};

/// One call runs at a time; any other one, also from a host function, is refused as busy. cancel
/// and progress may be called from any thread. Errors are described in warphive/swarm.hpp.
class Swarm {
 public:
  /// `gate`: what all swarms of the device share; nullptr: it has no other.
  static Result<std::unique_ptr<Swarm>> create(std::shared_ptr<hal::Device> device,
                                               HostServices services = {},
                                               Rounds rounds = Rounds::never,
                                               std::shared_ptr<LoadGate> gate = nullptr);
  ~Swarm();
  Swarm(const Swarm&) = delete;
  Swarm& operator=(const Swarm&) = delete;

  Result<std::vector<InstanceId>> spawn(const std::shared_ptr<const Program>& program,
                                        std::uint64_t count, const Capacities& capacities = {},
                                        Instantiate instantiate = Instantiate::image);
  /// Runs until every instance stopped. Function indices and argument ranges are checked, types are
  /// the caller's duty.
  Result<Results> dispatch(const SlotBatch& batch);
  Result<Results> resume(std::span<const InstanceId> ids, std::uint64_t fuel = abi::unlimited_fuel);
  /// In waves of instances that are gone afterwards, as their ids in the results are. Rows that a
  /// cancel keeps from running are cancelled.
  Result<Results> map(const std::shared_ptr<const Program>& program, const FreshBatch& batch);
  Status reset(std::span<const InstanceId> ids);
  Status kill(std::span<const InstanceId> ids);

  Status read_memory(std::span<const InstanceId> ids, std::uint64_t address,
                     std::uint64_t bytes_each, std::span<std::byte> to);
  Status write_memory(std::span<const InstanceId> ids, std::uint64_t address,
                      std::uint64_t bytes_each, std::span<const std::byte> from);
  /// Current bytes of the main memory, one per id.
  Result<std::vector<std::uint64_t>> memory_sizes(std::span<const InstanceId> ids);
  /// Current bytes of a memory of the program, and all of them; empty bytes where there is none.
  Result<std::uint64_t> memory_size(InstanceId id, std::uint32_t memory = 0);
  Result<std::vector<std::byte>> memory_bytes(InstanceId id, std::uint32_t memory = 0);
  /// XXH64 of the main memory up to its current size, one per id.
  Result<std::vector<std::uint64_t>> memory_hashes(std::span<const InstanceId> ids);
  /// A global of the program by index, as slot values: one per id, two for a v128. All ids are of
  /// that program.
  Status read_global(std::span<const InstanceId> ids, std::uint32_t global,
                     std::span<std::uint64_t> to);
  Status write_global(std::span<const InstanceId> ids, std::uint32_t global,
                      std::span<const std::uint64_t> from);
  Result<std::vector<std::uint64_t>> table_elements(InstanceId id, std::uint32_t table);
  Result<abi::InstanceHeader> header(InstanceId id);

  [[nodiscard]] Result<abi::Exit> state(InstanceId id) const;
  [[nodiscard]] Result<std::uint64_t> ordinal(InstanceId id) const;
  [[nodiscard]] Result<std::shared_ptr<const Program>> program(InstanceId id) const;
  /// As program(); borrowed, valid while the swarm lives.
  [[nodiscard]] Result<const Program*> borrowed_program(InstanceId id) const;
  [[nodiscard]] std::uint64_t size() const;
  [[nodiscard]] hal::Device& device() const;

  /// Whether a call runs now; from inside of one it stays true until it is over.
  [[nodiscard]] bool is_busy() const;

  void cancel();
  [[nodiscard]] RunProgress progress() const;

 private:
  struct State;
  enum class Ordinals : bool { kept, fresh };
  Status reset(std::span<const InstanceId> ids, Ordinals ordinals);
  explicit Swarm(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace warphive::runtime
