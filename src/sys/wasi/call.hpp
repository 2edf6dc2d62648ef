// SPDX-License-Identifier: Apache-2.0
// One WASI call being served: typed access to arguments and guest memory, and every function.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <string>

#include "base/check.hpp"
#include "sys/wasi/abi.hpp"
#include "sys/world.hpp"

namespace warphive::sys::wasi {

static_assert(std::endian::native == std::endian::little, "guests are little-endian");

/// A structure of the guest, put together at given offsets; the rest is zero.
template <std::size_t bytes>
class Record {
 public:
  template <class T>
  void put(std::size_t at, T value) {
    static_assert(std::is_trivially_copyable_v<T>);
    WARPHIVE_CHECK(at + sizeof(T) <= bytes);
    std::memcpy(data_.data() + at, &value, sizeof(T));
  }
  template <class T>
  [[nodiscard]] T pick(std::size_t at) const {
    WARPHIVE_CHECK(at + sizeof(T) <= bytes);
    T value;
    std::memcpy(&value, data_.data() + at, sizeof(T));
    return value;
  }
  [[nodiscard]] std::span<const std::byte> view() const { return data_; }
  [[nodiscard]] std::span<std::byte> span() { return data_; }

 private:
  std::array<std::byte, bytes> data_{};
};

class Call {
 public:
  Call(World& the_world, HostCall& the_call) : world(the_world), host(the_call) {}

  [[nodiscard]] std::uint32_t u32(std::size_t i) const {
    return static_cast<std::uint32_t>(host.values[i]);
  }
  [[nodiscard]] std::uint64_t u64(std::size_t i) const { return host.values[i]; }

  [[nodiscard]] bool covers(std::uint64_t address, std::uint64_t bytes) const {
    return in_range(address, bytes, host.memory->size());
  }
  template <class T>
  [[nodiscard]] Errno store(std::uint64_t address, T value) {
    static_assert(std::is_integral_v<T>);
    return store_bytes(address, std::as_bytes(std::span(&value, 1)));
  }
  [[nodiscard]] Errno store_bytes(std::uint64_t address, std::span<const std::byte> bytes) {
    return host.memory->write(address, bytes) ? Errno::success : Errno::fault;
  }
  [[nodiscard]] Errno load_bytes(std::uint64_t address, std::span<std::byte> bytes) const {
    return host.memory->read(address, bytes) ? Errno::success : Errno::fault;
  }

  World& world;
  HostCall& host;
};

/// A descriptor, or why it cannot be used. Valid until the instance opens or closes one.
struct Opened {
  Errno error = Errno::success;
  const Descriptor* descriptor = nullptr;
};
/// badf where it is not open, notcapable where it lacks one of `needed`.
Opened opened(const Call& call, std::uint32_t fd, Rights needed);

/// A path in guest memory, copied. Errors: fault, nametoolong.
Errno load_path(const Call& call, std::uint64_t address, std::uint64_t bytes, std::string& path);

/// The scatter list of a read or write. Every range was checked; `total` bytes in all.
struct Vectors {
  static constexpr std::uint32_t max_count = 1024;
  struct Range {
    std::uint32_t address;
    std::uint32_t bytes;
  };
  std::array<Range, max_count> ranges;  // the first `count` are set
  std::uint32_t count = 0;
  std::uint64_t total = 0;
};
Errno load_vectors(const Call& call, std::uint64_t address, std::uint32_t count, Vectors& vectors);

/// Writes a filestat. Times are the start of the virtual clock.
Errno store_filestat(Call& call, std::uint64_t address, FileType type, std::uint64_t number,
                     std::uint64_t size);
Errno store_filestat(Call& call, std::uint64_t address, const Node& node);
FileType type_of(NodeKind kind);
FileType type_of(const World& world, const Descriptor& descriptor);

// The functions: each gets a call whose values hold its arguments and returns its error number.
#define WARPHIVE_WASI(name, parameters, ...) Errno name(Call& call);
#include "sys/wasi/calls.inc"

}  // namespace warphive::sys::wasi
