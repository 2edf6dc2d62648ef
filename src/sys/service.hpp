// SPDX-License-Identifier: Apache-2.0
// What a host function sees of the instance that calls it, and the registry that names them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "abi/state.hpp"
#include "ir/module.hpp"
#include "kernels/params.hpp"
#include "warphive/error.hpp"

namespace warphive::sys {

/// Bounds-checked access to one instance's linear memory 0. Every transfer is all or nothing.
class GuestMemory {
 public:
  virtual ~GuestMemory() = default;
  [[nodiscard]] virtual std::uint64_t size() const = 0;  // bytes now
  [[nodiscard]] virtual bool read(std::uint64_t address, std::span<std::byte> to) const = 0;
  [[nodiscard]] virtual bool write(std::uint64_t address, std::span<const std::byte> from) = 0;
};

/// Memory that lies contiguously in host memory.
class ContiguousMemory final : public GuestMemory {
 public:
  ContiguousMemory(std::byte* base, std::uint64_t bytes) : base_(base), bytes_(bytes) {}
  [[nodiscard]] std::uint64_t size() const override { return bytes_; }
  [[nodiscard]] bool read(std::uint64_t address, std::span<std::byte> to) const override;
  [[nodiscard]] bool write(std::uint64_t address, std::span<const std::byte> from) override;

 private:
  std::byte* base_;  // borrowed
  std::uint64_t bytes_;
};

/// An instance's output range: appends what fits, marks the rest as truncated.
struct OutputRange {
  std::byte* base;  // borrowed
  std::uint32_t capacity;
};

/// One call of one instance.
struct HostCall {
  abi::InstanceHeader* header;  // borrowed: ordinal, fuel_used, clock, random counter, output sizes
  GuestMemory* memory;          // borrowed; size 0 where the program has none
  std::span<std::uint64_t>
      values;  // arguments in, results out, as slot values (max of both counts)
  OutputRange out;
  OutputRange err;
  std::uint32_t index;  // dense number of the instance in its swarm, for per-instance tables
  const std::uint32_t* stop = nullptr;  // borrowed: not 0 once the run is to stop; may be nullptr
  /// Set by the function. ready: done, results are in values. trapped (set header->trap), exited
  /// (set header->exit_code), parked: asked again later.
  abi::Exit verdict = abi::Exit::ready;

  [[nodiscard]] bool stop_raised() const {
    return stop != nullptr && __atomic_load_n(stop, __ATOMIC_RELAXED) != 0;
  }
};

/// Serves an array of calls, from any thread, concurrently. On CPU devices arrays hold one call.
/// What it throws becomes a `host` trap of every call in the array.
using HostFunction = std::function<void(std::span<HostCall> calls)>;

/// What a function is going to read of guest memory, as far as its arguments say. A hint: where
/// memory is far away, what all calls of an array read is fetched at once.
struct GuestReads {
  std::uint8_t pointer = 0;      // the argument that is an address
  std::uint8_t count = 0;        // the argument that says how many items lie there
  std::uint16_t item_bytes = 0;  // 0: nothing is known
  bool follows = false;  // items are pairs of 32-bit address and size: that is read, in their order
};
constexpr GuestReads reads_bytes(std::uint8_t pointer, std::uint8_t count) {
  return {pointer, count, 1, false};
}

/// How devices can serve a function without the host, where they do.
struct DeviceService {
  kernels::Service service = kernels::Service::none;
  kernels::ServiceWorld world = {};
  /// Whether they may for the instance of that dense number; unset: for all.
  std::function<bool(std::uint32_t index)> allows = {};
};

struct HostEntry {
  std::string module;
  std::string field;
  ir::FunctionType type;
  HostFunction function;
  GuestReads reads = {};
  DeviceService device = {};
};

/// Named host functions; filled before linking, then read-only and thread-safe.
class HostRegistry {
 public:
  /// Errors: invalid_input where the name is taken.
  Status add(HostEntry entry);
  [[nodiscard]] const HostEntry* find(std::string_view module, std::string_view field) const;
  [[nodiscard]] std::span<const HostEntry> entries() const { return entries_; }

 private:
  std::vector<HostEntry> entries_;
};

/// Bits of InstanceHeader::truncated.
inline constexpr std::uint8_t truncated_out = 1;
inline constexpr std::uint8_t truncated_err = 2;

/// Appends to an output range; the excess is dropped and the header's truncated bit set.
void append_out(HostCall& call, std::span<const std::byte> bytes);
void append_err(HostCall& call, std::span<const std::byte> bytes);

}  // namespace warphive::sys
