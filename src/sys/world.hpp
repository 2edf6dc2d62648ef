// SPDX-License-Identifier: Apache-2.0
// What the host functions of one Environment share, and the state they keep per instance.
#pragma once

#include <atomic>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "kernels/services.hpp"
#include "sys/environment.hpp"
#include "sys/input.hpp"
#include "sys/instance_table.hpp"
#include "sys/tree.hpp"
#include "sys/wasi/abi.hpp"

namespace warphive::sys {

/// An open file of an instance.
struct Descriptor {
  enum class Kind : std::uint8_t { closed, input, output, error, node };
  Kind kind = Kind::closed;
  std::uint16_t flags = 0;                                            // fdflags
  std::uint32_t preopen = std::numeric_limits<std::uint32_t>::max();  // index into World::preopens
  NodePointer node;
  std::uint64_t position = 0;
  wasi::Rights rights = 0;
  wasi::Rights inheriting = 0;
};

inline constexpr std::size_t max_descriptors = 256;  // open at once per instance

/// Made when an instance first departs from World::initial, reads an input of its own or waits.
struct InstanceState {
  std::vector<Descriptor> descriptors;  // empty: as World::initial
  std::uint64_t waits_since = 0;        // on the host's monotonic clock; 0: it does not wait
  InputWindow input;
};

/// NUL-terminated strings, ready to be copied to a guest.
struct Strings {
  std::vector<std::uint32_t> offsets;  // of each string in `bytes`
  std::string bytes;

  void add(const std::string& text);
};

enum class Stream : std::uint8_t { out, err };

class World {
 public:
  explicit World(EnvironmentOptions given);

  /// The strings of one instance. `scratch` is used where they hold `{id}`.
  const Strings& args_of(std::uint64_t ordinal, Strings& scratch) const;
  const Strings& env_of(std::uint64_t ordinal, Strings& scratch) const;

  /// Null where the number is not open.
  const Descriptor* find(const HostCall& call, std::uint32_t fd) const;
  Descriptor* find_mutable(const HostCall& call, std::uint32_t fd);
  /// Of the instance, to open and close in.
  std::vector<Descriptor>& descriptors(const HostCall& call);

  /// Nanoseconds of a clock; the time that a reading takes is not charged here.
  std::uint64_t now(const HostCall& call, wasi::ClockId clock);
  std::uint64_t resolution(wasi::ClockId clock) const;
  /// Of what a device would serve as the functions here do.
  [[nodiscard]] DeviceService device_service(kernels::Service service) const;
  /// A guest's reading: without metering it moves the virtual clock.
  std::uint64_t read_clock(const HostCall& call, wasi::ClockId clock);
  /// Moves the virtual clock. Time of the host passes by itself: the call is parked, and false
  /// says that it has to be asked again.
  bool sleep(HostCall& call, std::uint64_t nanoseconds);
  /// Nanoseconds of the host since the call was parked first; 0 where it was not.
  [[nodiscard]] std::uint64_t waited(const HostCall& call) const;
  void end_wait(const HostCall& call);

  [[nodiscard]] bool input_is_terminal() const { return input_.is_terminal(); }
  /// Reads from the instance's input and moves its position. 0 or an errno of the host.
  int read_input(const HostCall& call, std::span<std::byte> to, std::size_t& count);
  /// Appends to the instance's output, or writes to the process's own. 0 or an errno of the host.
  int emit(HostCall& call, Stream stream, std::span<const std::byte> bytes, std::size_t& taken);
  /// As emit, straight from a range of guest memory that was checked.
  int emit_guest(HostCall& call, Stream stream, std::uint64_t address, std::uint64_t bytes,
                 std::uint64_t& taken);

  EnvironmentOptions options;
  /// Why the options cannot be used, if so.
  struct Fault {
    ErrorCode code;
    std::string message;
  };
  std::optional<Fault> fault;
  std::vector<std::string> preopens;  // guest paths, from descriptor 3 on
  std::vector<Descriptor> initial;
  bool is_terminal[2] = {false, false};  // out, err: only when they are passed through
  InstanceTable<InstanceState> instances;
  std::atomic<bool> host_clock_read = false;

 private:
  [[nodiscard]] kernels::ServiceWorld service_world() const;
  void open_directories();
  void open_input();
  void add_preopen(const std::string& guest_path, NodePointer root);
  void refuse(ErrorCode code, std::string message);

  Input input_;
  Strings args_;
  Strings env_;
  bool args_differ_ = false;
  bool env_differs_ = false;
};

constexpr bool in_range(std::uint64_t address, std::uint64_t bytes, std::uint64_t size) {
  return bytes <= size && address <= size - bytes;
}

inline constexpr std::size_t piece_bytes = 65536;          // of a transfer, on the host's stack
inline constexpr std::uint64_t transfer_bytes = 1u << 24;  // that one call moves at most

// Each adds the functions of one module; called by Environment::register_into.
Status register_wasi(World& world, HostRegistry& registry);
Status register_warphive(World& world, HostRegistry& registry);
Status register_seed_host(World& world, HostRegistry& registry);

}  // namespace warphive::sys
