// SPDX-License-Identifier: Apache-2.0
// One end of a channel between a front process and its worker.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace warphive::hal::worker {

/// An open file of this process.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor();
  [[nodiscard]] int get() const { return number_; }
  explicit operator bool() const { return number_ >= 0; }

 private:
  int number_ = -1;
};

/// Where messages arrive; used again for the next.
struct Message {
  std::vector<std::byte> storage;
  std::size_t bytes = 0;
  [[nodiscard]] std::span<const std::byte> view() const { return {storage.data(), bytes}; }
};

/// Datagrams in order. A message is a head and a payload.
class Socket {
 public:
  Socket() = default;
  explicit Socket(Descriptor descriptor) : descriptor_(std::move(descriptor)) {}
  /// Both ends, closed by exec; empty where the system refuses.
  static std::pair<Socket, Socket> pair();

  enum class Outcome : std::uint8_t { done, closed, timed_out };
  using Time = std::chrono::steady_clock::time_point;
  /// May be called by several threads at once. `passed`: a descriptor that the other end gets.
  Outcome send(std::span<const std::byte> head, std::span<const std::byte> payload, Time until,
               int passed = -1);
  Outcome receive(Message& message, Time until, Descriptor* passed = nullptr);
  /// Waits until the other end is closed.
  [[nodiscard]] bool is_closed_within(std::chrono::milliseconds time) const;
  [[nodiscard]] int descriptor() const { return descriptor_.get(); }
  explicit operator bool() const { return bool{descriptor_}; }

  static constexpr Time never = Time::max();

 private:
  Outcome wait(short events, Time until) const;
  Descriptor descriptor_;
};

}  // namespace warphive::hal::worker
