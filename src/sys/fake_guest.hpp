// SPDX-License-Identifier: Apache-2.0
// For tests: an instance without a program, whose host calls are made by hand.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "sys/environment.hpp"
#include "sys/service.hpp"
#include "sys/wasi/abi.hpp"

namespace warphive::sys {

/// Memory as a GPU tile has it: word w of 32 lanes lie side by side.
class InterleavedMemory final : public GuestMemory {
 public:
  InterleavedMemory(std::vector<std::byte>& tile, std::uint64_t lane, std::uint64_t bytes)
      : tile_(tile), lane_(lane), bytes_(bytes) {}
  std::uint64_t size() const override { return bytes_; }
  bool read(std::uint64_t address, std::span<std::byte> to) const override {
    if (to.size() > bytes_ || address > bytes_ - to.size()) return false;
    for (std::size_t i = 0; i < to.size(); ++i) to[i] = tile_[place(address + i)];
    return true;
  }
  bool write(std::uint64_t address, std::span<const std::byte> from) override {
    if (from.size() > bytes_ || address > bytes_ - from.size()) return false;
    for (std::size_t i = 0; i < from.size(); ++i) tile_[place(address + i)] = from[i];
    return true;
  }

 private:
  std::size_t place(std::uint64_t a) const { return a / 4 * 128 + lane_ * 4 + a % 4; }
  std::vector<std::byte>& tile_;
  std::uint64_t lane_;
  std::uint64_t bytes_;
};

/// An environment with its registry. Construction must succeed.
struct Host {
  explicit Host(EnvironmentOptions options = {}) : environment(std::move(options)) {
    const Status status = environment.register_into(registry);
    if (!status) ADD_FAILURE() << status.error().describe();
  }
  Environment environment;
  HostRegistry registry;
};

class FakeGuest {
 public:
  static constexpr std::uint32_t memory_bytes = 65536;

  explicit FakeGuest(Host& the_host, std::uint32_t the_index = 0, std::uint32_t capacity = 4096,
                     std::uint32_t bytes = memory_bytes)
      : host(the_host),
        memory(bytes, std::byte{0xee}),
        out(capacity),
        err(capacity),
        index(the_index) {
    header.ordinal = the_index;
  }

  /// Calls module.field; the result is the first value.
  template <class... Args>
  std::uint64_t call_in(std::string_view module, std::string_view field, Args... args) {
    const HostEntry* entry = host.registry.find(module, field);
    if (entry == nullptr) {
      ADD_FAILURE() << "no function " << module << "." << field;
      return ~std::uint64_t{0};
    }
    EXPECT_EQ(entry->type.params.size(), sizeof...(args)) << field;
    std::array<std::uint64_t, 16> values{static_cast<std::uint64_t>(args)...};
    for (std::size_t i = 0; i < entry->type.params.size(); ++i) {
      if (entry->type.params[i] != ir::ValueType::i64) values[i] &= 0xffffffff;
    }
    ContiguousMemory contiguous(memory.data(), memory.size());
    HostCall call{.header = &header,
                  .memory = other_memory == nullptr ? &contiguous : other_memory,
                  .values = std::span(values).first(
                      std::max(entry->type.params.size(), entry->type.results.size())),
                  .out = {out.data(), static_cast<std::uint32_t>(out.size())},
                  .err = {err.data(), static_cast<std::uint32_t>(err.size())},
                  .index = index};
    entry->function(std::span(&call, 1));
    verdict = call.verdict;
    return values[0];
  }

  template <class... Args>
  wasi::Errno wasi(std::string_view field, Args... args) {
    const std::uint64_t result = call_in("wasi_snapshot_preview1", field, args...);
    if (verdict == abi::Exit::ready) {
      EXPECT_LT(result, 77u) << field;
    }
    // NOLINTNEXTLINE(clang-analyzer-optin.core.EnumCastOutOfRange): a call that fails has any value
    return static_cast<wasi::Errno>(result);
  }

  template <class T>
  T at(std::uint32_t address) const {
    T value{};
    EXPECT_LE(address + sizeof(T), memory.size());
    std::memcpy(&value, memory.data() + address, sizeof(T));
    return value;
  }
  std::uint32_t u32(std::uint32_t address) const { return at<std::uint32_t>(address); }
  std::uint64_t u64(std::uint32_t address) const { return at<std::uint64_t>(address); }
  std::string text(std::uint32_t address, std::size_t bytes) const {
    EXPECT_LE(address + bytes, memory.size());
    return std::string(reinterpret_cast<const char*>(memory.data()) + address, bytes);
  }
  template <class T>
  void put(std::uint32_t address, T value) {
    ASSERT_LE(address + sizeof(T), memory.size());
    std::memcpy(memory.data() + address, &value, sizeof(T));
  }
  void put_text(std::uint32_t address, std::string_view value) {
    ASSERT_LE(address + value.size(), memory.size());
    std::memcpy(memory.data() + address, value.data(), value.size());
  }
  /// One iovec at `address`.
  void put_vector(std::uint32_t address, std::uint32_t buffer, std::uint32_t bytes) {
    put(address, buffer);
    put(address + 4, bytes);
  }
  std::string output() const {
    return std::string(reinterpret_cast<const char*>(out.data()), header.out_size);
  }
  std::string errors() const {
    return std::string(reinterpret_cast<const char*>(err.data()), header.err_size);
  }

  /// path_open below `directory`; the new number is left in `fd`.
  wasi::Errno open(std::string_view path, std::uint32_t& fd, std::uint32_t directory = 3,
                   std::uint32_t oflags = 0,
                   wasi::Rights wanted = wasi::rights::all & ~wasi::rights::that_modify,
                   std::uint32_t lookup = wasi::lookup_symlink_follow) {
    put_text(path_at, path);
    const wasi::Errno error = wasi("path_open", directory, lookup, path_at, path.size(), oflags,
                                   wanted, wasi::rights::all, 0, result_at);
    if (error == wasi::Errno::success) fd = u32(result_at);
    return error;
  }
  /// fd_read of up to `bytes` into one buffer.
  wasi::Errno read(std::uint32_t fd, std::uint32_t bytes, std::string& got) {
    put_vector(vector_at, buffer_at, bytes);
    const wasi::Errno error = wasi("fd_read", fd, vector_at, 1, result_at);
    got = error == wasi::Errno::success ? text(buffer_at, u32(result_at)) : "";
    return error;
  }
  wasi::Errno write(std::uint32_t fd, std::string_view bytes) {
    put_text(buffer_at, bytes);
    put_vector(vector_at, buffer_at, static_cast<std::uint32_t>(bytes.size()));
    return wasi("fd_write", fd, vector_at, 1, result_at);
  }

  static constexpr std::uint32_t result_at = 64;
  static constexpr std::uint32_t vector_at = 128;
  static constexpr std::uint32_t path_at = 12288;
  static constexpr std::uint32_t buffer_at = 32768;

  Host& host;
  abi::InstanceHeader header{};
  std::vector<std::byte> memory;
  GuestMemory* other_memory = nullptr;
  std::vector<std::byte> out;
  std::vector<std::byte> err;
  std::uint32_t index;
  abi::Exit verdict = abi::Exit::ready;
};

/// A directory that is gone after the test.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string pattern = testing::TempDir() + "warphive-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) ADD_FAILURE() << "cannot make " << pattern;
    path_ = pattern;
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path file(const std::string& name, std::string_view contents) const {
    const std::filesystem::path where = path_ / name;
    std::filesystem::create_directories(where.parent_path());
    std::ofstream(where, std::ios::binary) << contents;
    return where;
  }

 private:
  std::filesystem::path path_;
};

}  // namespace warphive::sys
