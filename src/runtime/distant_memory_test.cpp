// SPDX-License-Identifier: Apache-2.0
#include "runtime/distant_memory.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "base/result.hpp"

namespace warphive::runtime {
namespace {

using Bytes = std::vector<std::byte>;

/// Memories of some instances, whose ranges begin at `start`, and a device that moves.
struct Far {
  explicit Far(std::size_t calls, std::size_t bytes_each) : memories(calls, Bytes(bytes_each)) {}

  Status move(hal::KernelId kernel, std::span<const kernels::Move> moves, std::byte* flat,
              std::uint64_t flat_bytes) {
    ++(kernel == hal::KernelId::gather ? gathers : scatters);
    largest = std::max(largest, flat_bytes);
    if (broken) return base::error(ErrorCode::device_lost, ErrorPhase::dispatch, "Gone.");
    for (const kernels::Move& move : moves) {
      EXPECT_EQ(move.range, kernels::Range::memory);
      EXPECT_LE(move.at + move.bytes, flat_bytes);
      Bytes& memory = memories[move.lane.slot];
      EXPECT_GE(move.offset, start);
      EXPECT_LE(move.offset - start + move.bytes, memory.size());
      std::byte* const there = memory.data() + (move.offset - start);
      if (kernel == hal::KernelId::gather) {
        std::memcpy(flat + move.at, there, move.bytes);
      } else {
        std::memcpy(there, flat + move.at, move.bytes);
      }
    }
    return {};
  }

  static constexpr std::uint64_t start = 4096;
  std::vector<Bytes> memories;
  int gathers = 0;
  int scatters = 0;
  std::uint64_t largest = 0;
  bool broken = false;
};

class DistantMemory : public ::testing::Test {
 protected:
  void begin(std::size_t calls, std::size_t bytes_each, const sys::GuestReads& reads = {},
             std::uint64_t ahead = 4096) {
    far = std::make_unique<Far>(calls, bytes_each);
    const Mover mover = [this](auto... args) { return far->move(args...); };
    scatter = std::make_unique<Scatter>(mover);
    memories = std::make_unique<DistantMemories>(mover, *scatter);
    memories->begin(calls, reads, ahead);
    values.assign(calls, {});
  }
  void add(std::initializer_list<std::uint64_t> arguments) {
    const auto call = static_cast<std::uint32_t>(added++);
    values[call] = arguments;
    memories->add({0, call}, Far::start, far->memories[call].size(), values[call]);
  }
  bool finish() { return memories->finish().has_value() && scatter->flush().has_value(); }
  template <class T>
  T load(std::size_t call, std::uint64_t address) {
    T value = {};
    EXPECT_TRUE(memories->of(call).read(address, std::as_writable_bytes(std::span(&value, 1))));
    return value;
  }
  template <class T>
  void store(std::size_t call, std::uint64_t address, T value) {
    EXPECT_TRUE(memories->of(call).write(address, std::as_bytes(std::span(&value, 1))));
  }

  std::unique_ptr<Far> far;
  std::unique_ptr<Scatter> scatter;
  std::unique_ptr<DistantMemories> memories;
  std::vector<std::vector<std::uint64_t>> values;
  std::size_t added = 0;
};

TEST_F(DistantMemory, is_as_if_it_were_near) {
  constexpr std::size_t calls = 5;
  constexpr std::size_t size = 40'000;
  begin(calls, size, {0, 1, 8, true});
  std::mt19937 random(7);
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random()) % n; };
  for (Bytes& memory : far->memories) {
    for (std::byte& byte : memory) byte = static_cast<std::byte>(below(256));
  }
  std::vector<Bytes> expected = far->memories;
  for (std::size_t i = 0; i < calls; ++i) add({below(size), below(20)});
  for (int step = 0; step < 20'000; ++step) {
    const std::size_t call = below(calls);
    const std::size_t most = std::size_t{1} << below(13);
    const std::size_t address = below(size + 10);
    Bytes bytes(below(most));
    const bool fits = address + bytes.size() <= size;
    if (below(2) == 0) {
      for (std::byte& byte : bytes) byte = static_cast<std::byte>(below(256));
      ASSERT_EQ(memories->of(call).write(address, bytes), fits);
      if (fits && !bytes.empty()) {
        std::memcpy(expected[call].data() + address, bytes.data(), bytes.size());
      }
    } else {
      ASSERT_EQ(memories->of(call).read(address, bytes), fits);
      if (fits && !bytes.empty()) {
        ASSERT_EQ(std::memcmp(expected[call].data() + address, bytes.data(), bytes.size()), 0);
      }
    }
  }
  ASSERT_TRUE(finish());
  EXPECT_EQ(far->memories, expected);
}

TEST_F(DistantMemory, what_all_calls_are_said_to_read_is_fetched_at_once) {
  constexpr std::size_t calls = 1000;
  begin(calls, 65536, {1, 2, 8, true});
  for (std::size_t i = 0; i < calls; ++i) {
    // Two pairs at 16 i; what they name is behind 40,000, and holds the call's number.
    const auto at = static_cast<std::uint32_t>(16 * i);
    const std::uint32_t pairs[] = {40'000 + 2 * at / 4, 4, 50'000 + at / 2, 4};
    std::memcpy(far->memories[i].data() + at, pairs, sizeof pairs);
    std::memcpy(far->memories[i].data() + pairs[0], &i, 4);
    std::memcpy(far->memories[i].data() + pairs[2], &i, 4);
    add({1, at, 2, 0});
  }
  for (std::size_t i = 0; i < calls; ++i) {
    const auto first = load<std::uint32_t>(i, 16 * i);
    const auto second = load<std::uint32_t>(i, 16 * i + 8);
    EXPECT_EQ(load<std::uint32_t>(i, first), i);
    EXPECT_EQ(load<std::uint32_t>(i, second), i);
    store(i, 0, std::uint32_t{8});
  }
  EXPECT_EQ(far->gathers, 2);
  EXPECT_EQ(far->scatters, 0);
  ASSERT_TRUE(finish());
  EXPECT_EQ(far->scatters, 1);
}

TEST_F(DistantMemory, reads_of_the_first_call_foretell_those_of_the_others) {
  constexpr std::size_t calls = 1000;
  begin(calls, 65536);
  for (std::size_t i = 0; i < calls; ++i) {
    add({7, 20 * i});
    std::memcpy(far->memories[i].data() + 20 * i + 4, &i, 4);
    std::memcpy(far->memories[i].data() + 30'000, &i, 4);
  }
  for (std::size_t i = 0; i < calls; ++i) {
    EXPECT_EQ(load<std::uint32_t>(i, 20 * i + 4), i);  // relative to an argument
  }
  EXPECT_EQ(far->gathers, 1);
}

TEST_F(DistantMemory, guesses_that_are_of_no_use_end) {
  constexpr std::size_t calls = 200;
  begin(calls, 1'000'000);
  for (std::size_t i = 0; i < calls; ++i) add({});
  const auto anywhere = [](std::size_t i) { return i * 79'193 % 990'000; };
  for (std::size_t i = 0; i < calls / 2; ++i) load<std::uint32_t>(i, anywhere(i));
  EXPECT_GT(far->largest, 256u);
  EXPECT_LE(far->largest, calls * 256);
  far->largest = 0;
  for (std::size_t i = calls / 2; i < calls; ++i) load<std::uint32_t>(i, anywhere(i));
  EXPECT_EQ(far->largest, 256u);
}

TEST_F(DistantMemory, the_host_holds_a_bounded_part_of_it) {
  constexpr std::size_t calls = 6;
  constexpr std::size_t size = std::size_t{8} << 20;
  begin(calls, size, {0, 1, 8, true}, 65536);
  // Pairs that say as much as there can be, again and again.
  for (std::size_t i = 0; i < calls; ++i) {
    for (std::size_t pair = 0; pair < 1024; ++pair) {
      const std::uint32_t numbers[] = {0, static_cast<std::uint32_t>(size)};
      std::memcpy(far->memories[i].data() + 8 * pair, numbers, sizeof numbers);
    }
    add({0, 0xffff'ffff});
  }
  Bytes whole(size);
  for (std::size_t i = 0; i < calls; ++i) {
    EXPECT_EQ(load<std::uint32_t>(i, 4), size);
    EXPECT_TRUE(memories->of(i).read(0, whole));
    for (std::byte& byte : whole) byte = static_cast<std::byte>(i);
    EXPECT_TRUE(memories->of(i).write(0, whole));
    store(i, 5, std::uint8_t{77});
    for (std::size_t at = 0; at + 65536 <= size; at += 65536) {
      EXPECT_TRUE(memories->of(i).read(at, std::span(whole).first(65536)));
      EXPECT_TRUE(memories->of(i).write(at, std::span(whole).first(65536)));
    }
  }
  EXPECT_LE(far->largest, std::uint64_t{32} << 20);
  ASSERT_TRUE(finish());
  for (std::size_t i = 0; i < calls; ++i) {
    EXPECT_EQ(far->memories[i][5], std::byte{77});
    EXPECT_EQ(far->memories[i][size - 1], static_cast<std::byte>(i));
  }
}

TEST_F(DistantMemory, a_device_that_fails_is_reported_at_the_end) {
  begin(2, 65536);
  add({});
  add({});
  far->broken = true;
  std::byte byte = {};
  EXPECT_FALSE(memories->of(0).read(0, {&byte, 1}));
  EXPECT_FALSE(finish());
}

}  // namespace
}  // namespace warphive::runtime
