// SPDX-License-Identifier: Apache-2.0
// Swarm: a pool of isolated instances on one device.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "warphive/error.hpp"
#include "warphive/host.hpp"
#include "warphive/program.hpp"
#include "warphive/types.hpp"

namespace warphive {

namespace detail {
struct SwarmData;
struct ResultsData;
}  // namespace detail

inline constexpr std::uint64_t unlimited_fuel = std::uint64_t{1} << 62;

struct SwarmOptions {
  HostOptions host;
  /// On GPUs: what is left of an uneven batch goes on in warps of its own. Batches that compute
  /// gain up to 2 times, those that wait for memory or take different ways may lose more
  /// (docs/devices.md).
  bool rounds = false;
};

/// Capacities of instances: equal on every device, part of the input.
struct SpawnOptions {
  std::optional<std::uint32_t>
      memory_pages;                   // room of each memory; default: Program::default_memory_pages
  std::uint32_t table_elements = 0;   // room beyond a table's minimum where something grows it
  std::uint32_t stack_slots = 4096;   // 64-bit slots
  std::uint32_t max_depth = 1024;     // nested calls
  std::uint32_t output_bytes = 4096;  // kept of stdout and of stderr each; the rest is dropped
};

/// One call of a batch.
struct Call {
  InstanceId id;
  std::uint32_t function = 0;   // Function::index
  std::uint32_t first_arg = 0;  // into Batch::args; as many as the function has parameters
};

/// What one dispatch runs. An instance may occur once.
struct Batch {
  std::span<const Call> calls;
  std::span<const Value> args;
  std::uint64_t fuel = unlimited_fuel;  // per instance
  bool run_initialize = false;          // first run `_initialize` where exported and not yet run
};

/// How map() calls a function.
struct MapOptions {
  SpawnOptions spawn;
  std::uint64_t fuel = unlimited_fuel;  // per instance
  bool run_initialize = false;          // first run `_initialize` where exported
  std::uint64_t wave = 0;  // instances that exist at a time, at most; 0: what suits the device
};

/// One instance's outcome: a view into Results, valid while those live.
struct InstanceResult {
  InstanceId id;
  std::uint64_t ordinal = 0;
  Exit exit = Exit::ready;
  TrapKind trap = TrapKind::none;
  std::int32_t exit_code = 0;
  std::optional<std::uint64_t> instructions;  // since spawn or reset; absent when metering is off
  std::span<const Value> values;              // when returned
  std::string_view out;
  std::string_view err;
  bool truncated = false;
  std::uint32_t grow_refused = 0;  // memory.grow calls that the capacity refused
};

/// Results of a dispatch, in the order of its calls. Move-only.
class Results {
 public:
  Results(Results&&) noexcept;
  Results& operator=(Results&&) noexcept;
  ~Results();
  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] InstanceResult operator[](std::size_t i) const;
  /// For a trapped instance: where. Looked up on demand.
  [[nodiscard]] std::optional<TrapSite> trap_site(std::size_t i) const;
  [[nodiscard]] std::uint64_t count(Exit exit) const;
  [[nodiscard]] std::uint64_t instructions() const;  // of all instances, in this dispatch or map
  /// XXH64 over (exit u8, trap u8, value count u8, values little-endian) by ordinal; equal on every
  /// device, tier, batch split and thread count.
  [[nodiscard]] std::uint64_t hash() const;
  /// Of map(): making instances, making them new, and wiping them.
  [[nodiscard]] std::chrono::nanoseconds spawn_time() const;
  [[nodiscard]] std::chrono::nanoseconds run_time() const;
  [[nodiscard]] std::chrono::nanoseconds harvest_time() const;

  explicit Results(std::unique_ptr<detail::ResultsData> data);

 private:
  std::unique_ptr<detail::ResultsData> data_;
};

/// Progress of the dispatch that runs now, if any.
struct Progress {
  std::uint64_t instances_total = 0;
  std::uint64_t instances_done = 0;
  std::uint64_t instructions = 0;  // of instances done
};

/// One dispatch runs at a time: every call but cancel and progress is refused as busy meanwhile.
/// Copies share. cancel and progress may be called from any thread, the rest from one at a time.
class Swarm {
 public:
  /// Makes `count` instances: memory, globals and tables as after instantiation; start functions
  /// run with the first dispatch. Ordinals go on counting. Nothing is spawned on an error:
  /// out_of_memory with what was asked and what would fit, limit_exceeded, not_found for a host
  /// function.
  Result<std::vector<InstanceId>> spawn(const Program& program, std::uint64_t count,
                                        const SpawnOptions& options = {});
  /// Runs the batch until every instance has stopped. Errors: invalid_input (arguments), not_found
  /// (an id that is gone), busy (an instance whose state refuses a call, named). Nothing ran then.
  Result<Results> dispatch(const Batch& batch);
  /// The simple form: the same function on all ids, `args` one row for all or one row per id.
  Result<Results> dispatch(std::span<const InstanceId> ids, const Function& function,
                           std::span<const Value> args = {}, std::uint64_t fuel = unlimited_fuel);
  /// Calls the function `count` times, each time in a new instance that is gone afterwards (its id
  /// in the results means nothing): `args` is one row for all or one row per call. Any number of
  /// calls will do: they run in waves, in slots that are used again. What a cancel keeps from
  /// running is reported as cancelled. Errors as for spawn and dispatch.
  Result<Results> map(const Program& program, const Function& function, std::uint64_t count,
                      std::span<const Value> args = {}, const MapOptions& options = {});
  /// Goes on with instances that are out_of_fuel, parked or cancelled.
  Result<Results> resume(std::span<const InstanceId> ids, std::uint64_t fuel = unlimited_fuel);
  /// Back to the state after spawn, ordinal kept. Real memory that an instance has it keeps,
  /// zeroed: several times faster than kill and spawn where the same is touched again.
  Status reset(std::span<const InstanceId> ids);
  /// Frees the slots, and on the CPU gives their memory back. Ids become invalid.
  Status kill(std::span<const InstanceId> ids);

  /// Moves `bytes_each` bytes per id between an instance's memory at `address` and a row-major
  /// buffer of ids.size() * bytes_each bytes. A linked program's memory is that of its last module
  /// that has one. Error invalid_input if any range is out of bounds; then nothing moved.
  Status read_memory(std::span<const InstanceId> ids, std::uint64_t address,
                     std::uint64_t bytes_each, std::span<std::byte> to) const;
  Status write_memory(std::span<const InstanceId> ids, std::uint64_t address,
                      std::uint64_t bytes_each, std::span<const std::byte> from);
  /// Current size of that memory in bytes, one per id.
  Result<std::vector<std::uint64_t>> memory_sizes(std::span<const InstanceId> ids) const;
  /// XXH64 of that memory up to its current size, one per id.
  Result<std::vector<std::uint64_t>> memory_hashes(std::span<const InstanceId> ids) const;
  /// Exported globals, one value per id.
  Status read_global(std::span<const InstanceId> ids, std::string_view name,
                     std::span<Value> to) const;
  Status write_global(std::span<const InstanceId> ids, std::string_view name,
                      std::span<const Value> from);

  [[nodiscard]] Result<Exit> state(InstanceId id) const;
  [[nodiscard]] Result<std::uint64_t> ordinal(InstanceId id) const;
  [[nodiscard]] std::uint64_t size() const;  // live instances
  [[nodiscard]] bool deterministic() const;  // false with the host clock

  /// Stops the running dispatch at the next fuel check of every instance (within 10 ms); they stop
  /// as cancelled. Without a dispatch it does nothing.
  void cancel();
  [[nodiscard]] Progress progress() const;

  explicit Swarm(std::shared_ptr<detail::SwarmData> data) : data_(std::move(data)) {}

 private:
  std::shared_ptr<detail::SwarmData> data_;
};

}  // namespace warphive
