// SPDX-License-Identifier: Apache-2.0
#include "hal/cts/conformance.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <thread>

namespace warphive::hal::cts {
namespace {

class Conformance : public testing::TestWithParam<DeviceCase> {
 protected:
  void SetUp() override { open(0); }

  void open(std::uint64_t reserve_bytes) {
    queue_.reset();
    executable_.reset();
    auto device = GetParam().create(reserve_bytes);
    ASSERT_TRUE(device.has_value()) << device.error().describe();
    device_ = std::move(*device);
    auto queue = device_->create_queue();
    ASSERT_TRUE(queue.has_value());
    queue_ = std::move(*queue);
    auto executable = device_->load(GetParam().kernels);
    ASSERT_TRUE(executable.has_value());
    executable_ = std::move(*executable);
  }
  Buffer buffer(std::uint64_t bytes, Placement placement = Placement::device) {
    auto result = device_->allocate(bytes, placement);
    EXPECT_TRUE(result.has_value());
    return result ? std::move(*result) : Buffer();
  }
  std::vector<std::uint8_t> bytes_of(const Buffer& from) {
    std::vector<std::uint8_t> bytes(from.size());
    EXPECT_TRUE(queue_->download(std::as_writable_bytes(std::span(bytes)), from, 0).has_value());
    return bytes;
  }
  Status run(KernelId kernel, const Buffer& words, std::uint32_t add, std::uint32_t lanes) {
    const WordParams params{words.device_pointer<std::uint32_t>(), add};
    return queue_->dispatch(*executable_, kernel, params_of(params), lanes);
  }

  std::shared_ptr<Device> device_;
  std::unique_ptr<Queue> queue_;
  std::unique_ptr<Executable> executable_;
};

std::vector<std::uint8_t> pattern(std::size_t n) {
  std::vector<std::uint8_t> bytes(n);
  for (std::size_t i = 0; i < n; ++i) bytes[i] = static_cast<std::uint8_t>(i * 7 + 3);
  return bytes;
}

TEST_P(Conformance, describes_itself) {
  EXPECT_FALSE(device_->info().name.empty());
  EXPECT_FALSE(device_->info().description.empty());
  EXPECT_GE(device_->info().workers, 1u);
  EXPECT_GT(device_->info().memory_bytes, 0u);
  EXPECT_GT(device_->available_bytes(), 0u);
}

TEST_P(Conformance, fresh_memory_is_zero) {
  for (const Placement placement : {Placement::device, Placement::shared}) {
    const Buffer fresh = buffer(100'001, placement);
    EXPECT_EQ(fresh.size(), 100'001u);
    const auto bytes = bytes_of(fresh);
    EXPECT_TRUE(std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t b) { return b == 0; }));
  }
}

TEST_P(Conformance, only_shared_memory_has_a_host_address) {
  EXPECT_EQ(buffer(64, Placement::device).host(), nullptr);
  EXPECT_NE(buffer(64, Placement::shared).host(), nullptr);
}

TEST_P(Conformance, kernels_read_and_write_shared_memory_in_place) {
  const Buffer words = buffer(4 * 100, Placement::shared);
  auto* const host = words.host_pointer<std::uint32_t>();
  for (std::uint32_t i = 0; i < 100; ++i) host[i] = 1000 * i;
  ASSERT_TRUE(run(KernelId::run, words, 7, 100).has_value());
  ASSERT_TRUE(queue_->synchronise().has_value());
  for (std::uint32_t i = 0; i < 100; ++i) ASSERT_EQ(host[i], 1001 * i + 7) << i;
}

TEST_P(Conformance, work_of_the_host_is_done_once_each) {
  std::vector<std::uint32_t> times(100'000);
  std::uint32_t* const first_time = times.data();
  const auto count = [](const void* raw, std::uint32_t first, std::uint32_t last) {
    std::uint32_t* const each = *static_cast<std::uint32_t* const*>(raw);
    for (std::uint32_t i = first; i < last; ++i) ++each[i];
  };
  device_->run_on_host(count, &first_time, static_cast<std::uint32_t>(times.size()));
  EXPECT_TRUE(std::all_of(times.begin(), times.end(), [](std::uint32_t t) { return t == 1; }));
  device_->run_on_host(count, &first_time, 0);
}

TEST_P(Conformance, copies_move_exactly_their_range) {
  Buffer from = buffer(1000);
  Buffer to = buffer(1000);
  const auto source = pattern(1000);
  ASSERT_TRUE(queue_->upload(from, 0, std::as_bytes(std::span(source))).has_value());
  ASSERT_TRUE(queue_->fill(to, 0, 1000, 0xee).has_value());
  ASSERT_TRUE(queue_->copy(to, 13, from, 501, 499).has_value());
  const auto bytes = bytes_of(to);
  for (std::size_t i = 0; i < 1000; ++i) {
    const bool inside = i >= 13 && i < 13 + 499;
    EXPECT_EQ(bytes[i], inside ? source[501 + i - 13] : 0xee) << i;
  }
}

TEST_P(Conformance, fill_and_discard_touch_exactly_their_range) {
  constexpr std::uint64_t size = 5 * 4096 + 17;
  constexpr std::uint64_t ranges[][2] = {{0, size}, {1, 4096}, {4096, 4096},       {4095, 8194},
                                         {100, 7},  {size, 0}, {8192, size - 8192}};
  for (const auto& range : ranges) {
    Buffer target = buffer(size);
    ASSERT_TRUE(queue_->fill(target, 0, size, 0xa5).has_value());
    ASSERT_TRUE(queue_->discard(target, range[0], range[1]).has_value());
    const auto bytes = bytes_of(target);
    for (std::uint64_t i = 0; i < size; ++i) {
      const bool inside = i >= range[0] && i < range[0] + range[1];
      ASSERT_EQ(bytes[i], inside ? 0 : 0xa5) << i << " of " << range[0];
    }
  }
}

TEST_P(Conformance, zeros_reach_every_byte_that_was_written) {
  // Large enough that a device may look for what there is to zero; with gaps that nobody touched.
  constexpr std::uint64_t size = (std::uint64_t{5} << 20) + 1234;
  constexpr std::uint64_t touched[] = {0,         1,         4095,      4096,    70'000,
                                       2'097'151, 2'097'152, 5'000'000, size - 1};
  for (const std::uint64_t from : {std::uint64_t{0}, std::uint64_t{17}, std::uint64_t{4096}}) {
    Buffer target = buffer(size);
    std::vector<std::uint8_t> expected(size);
    for (const std::uint64_t at : touched) {
      ASSERT_TRUE(queue_->fill(target, at, 1, 0xa5).has_value());
      if (at < from || at >= size - from) expected[at] = 0xa5;
    }
    ASSERT_TRUE(queue_->fill(target, from, size - 2 * from, 0).has_value());
    EXPECT_EQ(std::memcmp(bytes_of(target).data(), expected.data(), size), 0) << from;
  }
}

TEST_P(Conformance, ranges_outside_of_a_buffer_are_errors) {
  Buffer small = buffer(16);
  Buffer large = buffer(64);
  std::vector<std::byte> host(17);
  const std::uint64_t huge = ~std::uint64_t{0};
  const auto refused = [](const Status& status) {
    return !status.has_value() && status.error().code() == ErrorCode::invalid_input;
  };
  EXPECT_TRUE(refused(queue_->copy(small, 1, large, 0, 16)));
  EXPECT_TRUE(refused(queue_->copy(large, 0, small, 0, 17)));
  EXPECT_TRUE(refused(queue_->copy(small, huge, large, 0, 2)));
  EXPECT_TRUE(refused(queue_->upload(small, 0, host)));
  EXPECT_TRUE(refused(queue_->download(host, small, 0)));
  EXPECT_TRUE(refused(queue_->fill(small, 16, 1, 0)));
  EXPECT_TRUE(refused(queue_->fill(small, 2, huge, 0)));
  EXPECT_TRUE(refused(queue_->discard(small, 17, 0)));
}

TEST_P(Conformance, every_lane_runs_once) {
  for (const std::uint32_t lanes : {0u, 1u, 2u, 31u, 32u, 33u, 1000u, 100'000u}) {
    Buffer words = buffer(std::uint64_t{lanes} * 4 + 4);
    ASSERT_TRUE(run(KernelId::run, words, 5, lanes).has_value());
    std::vector<std::uint32_t> got(lanes + 1);
    ASSERT_TRUE(queue_->download(std::as_writable_bytes(std::span(got)), words, 0).has_value());
    for (std::uint32_t i = 0; i < lanes; ++i) ASSERT_EQ(got[i], i + 5) << lanes;
    EXPECT_EQ(got[lanes], 0u) << "a lane beyond the last ran";
  }
}

TEST_P(Conformance, commands_run_in_order) {
  constexpr std::uint32_t lanes = 5000;
  constexpr std::uint64_t bytes = std::uint64_t{lanes} * 4;
  Buffer words = buffer(bytes);
  Buffer copy = buffer(bytes);
  ASSERT_TRUE(queue_->fill(words, 0, bytes, 0).has_value());
  std::uint32_t expected = 0;
  for (std::uint32_t round = 0; round < 50; ++round) {
    ASSERT_TRUE(run(KernelId::spawn, words, round, lanes).has_value());
    expected = 2 * expected + round;
  }
  ASSERT_TRUE(queue_->copy(copy, 0, words, 0, bytes).has_value());
  ASSERT_TRUE(queue_->fill(words, 0, bytes, 0xff).has_value());
  ASSERT_TRUE(queue_->synchronise().has_value());
  std::vector<std::uint32_t> got(lanes);
  ASSERT_TRUE(queue_->download(std::as_writable_bytes(std::span(got)), copy, 0).has_value());
  EXPECT_EQ(std::count(got.begin(), got.end(), expected), lanes);
}

TEST_P(Conformance, points_order_queues) {
  auto other = device_->create_queue();
  ASSERT_TRUE(other.has_value());
  Buffer words = buffer(4);
  const std::uint32_t seven = 7;
  ASSERT_TRUE(queue_->upload(words, 0, std::as_bytes(std::span(&seven, 1))).has_value());
  const auto first = queue_->signal();
  const auto second = queue_->signal();
  ASSERT_TRUE(first.has_value() && second.has_value());
  EXPECT_EQ(first->queue, second->queue);
  EXPECT_LT(first->value, second->value);
  ASSERT_TRUE((*other)->wait(*second).has_value());
  ASSERT_TRUE((*other)->wait(*first).has_value());
  std::uint32_t got = 0;
  ASSERT_TRUE((*other)->download(std::as_writable_bytes(std::span(&got, 1)), words, 0).has_value());
  EXPECT_EQ(got, 7u);
}

TEST_P(Conformance, points_long_past_are_reached) {
  auto other = device_->create_queue();
  ASSERT_TRUE(other.has_value());
  std::vector<Point> points;
  for (int i = 0; i < 50; ++i) {
    const auto point = queue_->signal();
    ASSERT_TRUE(point.has_value());
    if (!points.empty()) {
      EXPECT_EQ(point->value, points.back().value + 1);
    }
    points.push_back(*point);
    if (i % 7 == 0) {
      ASSERT_TRUE(queue_->synchronise().has_value());
    }
  }
  for (const Point& point : points) EXPECT_TRUE((*other)->wait(point).has_value());
  EXPECT_TRUE((*other)->synchronise().has_value());
}

TEST_P(Conformance, a_point_of_another_thread_is_waited_for) {
  auto other = device_->create_queue();
  ASSERT_TRUE(other.has_value());
  const auto past = (*other)->signal();
  ASSERT_TRUE(past.has_value());
  Buffer words = buffer(4);
  const Point next{past->queue, past->value + 1};
  std::thread late([&] {
    const std::uint32_t nine = 9;
    EXPECT_TRUE((*other)->upload(words, 0, std::as_bytes(std::span(&nine, 1))).has_value());
    EXPECT_TRUE((*other)->signal().has_value());
  });
  ASSERT_TRUE(queue_->wait(next).has_value());
  std::uint32_t got = 0;
  ASSERT_TRUE(queue_->download(std::as_writable_bytes(std::span(&got, 1)), words, 0).has_value());
  EXPECT_EQ(got, 9u);
  late.join();
}

TEST_P(Conformance, unknown_points_and_kernels_are_errors) {
  EXPECT_FALSE(queue_->wait(Point{1000, 1}).has_value());
  Buffer words = buffer(4);
  const auto status = run(KernelId::gather, words, 0, 1);
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code(), ErrorCode::invalid_input);
}

TEST_P(Conformance, words_are_written_and_read_ahead_of_the_queue) {
  Buffer words = buffer(24);
  ASSERT_TRUE(queue_->fill(words, 0, 24, 0xee).has_value());
  ASSERT_TRUE(queue_->synchronise().has_value());
  ASSERT_TRUE(queue_->interrupt(words, 8, 7).has_value());
  EXPECT_EQ(device_->read_now(words, 8).value_or(0), 0xeeee'eeee'0000'0007u);
  ASSERT_TRUE(queue_->interrupt(words, 8, 0).has_value());
  EXPECT_EQ(device_->read_now(words, 8).value_or(1), 0xeeee'eeee'0000'0000u);
  EXPECT_EQ(device_->read_now(words, 0).value_or(0), 0xeeee'eeee'eeee'eeeeu);
  EXPECT_FALSE(queue_->interrupt(words, 21, 1).has_value());
  EXPECT_FALSE(device_->read_now(words, 17).has_value());
}

TEST_P(Conformance, adopted_memory_stays_where_and_what_it_is) {
  constexpr std::size_t bytes = 2 * 4096;
  alignas(4096) static std::uint32_t memory[bytes / 4];
  std::fill(std::begin(memory), std::end(memory), 5u);
  {
    auto adopted = device_->adopt(std::as_writable_bytes(std::span(memory)));
    if (!adopted) {
      EXPECT_EQ(adopted.error().code(), ErrorCode::unavailable);
      return;
    }
    EXPECT_EQ(adopted->host(), reinterpret_cast<std::byte*>(memory));
    ASSERT_TRUE(run(KernelId::spawn, *adopted, 1, bytes / 4).has_value());
    ASSERT_TRUE(queue_->synchronise().has_value());
  }
  EXPECT_EQ(std::count(std::begin(memory), std::end(memory), 11u), bytes / 4);
}

TEST_P(Conformance, memory_may_go_away_behind_what_uses_it) {
  Buffer last = buffer(4);
  for (std::uint32_t i = 0; i < 200; ++i) {
    Buffer words = buffer(4000);
    ASSERT_TRUE(run(KernelId::run, words, i, 1000).has_value());
    ASSERT_TRUE(queue_->copy(last, 0, words, 4 * 999, 4).has_value());
  }
  std::uint32_t got = 0;
  ASSERT_TRUE(queue_->download(std::as_writable_bytes(std::span(&got, 1)), last, 0).has_value());
  EXPECT_EQ(got, 999u + 199u);
}

TEST_P(Conformance, large_ranges_arrive_whole) {
  const auto source = pattern((std::size_t{9} << 20) + 77);
  Buffer target = buffer(source.size() + 5);
  ASSERT_TRUE(queue_->upload(target, 5, std::as_bytes(std::span(source))).has_value());
  std::vector<std::uint8_t> got(source.size());
  ASSERT_TRUE(queue_->download(std::as_writable_bytes(std::span(got)), target, 5).has_value());
  EXPECT_EQ(std::memcmp(got.data(), source.data(), source.size()), 0);
}

TEST_P(Conformance, running_out_of_memory_is_an_error) {
  open(std::uint64_t{1} << 20);
  const auto too_much = device_->allocate((std::uint64_t{1} << 20) + 1, Placement::device);
  ASSERT_FALSE(too_much.has_value());
  EXPECT_EQ(too_much.error().code(), ErrorCode::out_of_memory);
  EXPECT_FALSE(device_->allocate(~std::uint64_t{0}, Placement::device).has_value());
  {
    const Buffer most = buffer(900'000);
    EXPECT_FALSE(device_->allocate(200'000, Placement::shared).has_value());
  }
  EXPECT_EQ(buffer(1'000'000).size(), 1'000'000u) << "freed memory can be had again";
}

TEST_P(Conformance, buffers_move) {
  Buffer first = buffer(8);
  ASSERT_TRUE(queue_->fill(first, 0, 8, 1).has_value());
  const std::uint64_t address = first.address();
  Buffer second = std::move(first);
  EXPECT_EQ(second.address(), address);
  second = buffer(16);
  EXPECT_EQ(second.size(), 16u);
  EXPECT_EQ(buffer(0).size(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Devices, Conformance, testing::ValuesIn(device_cases()),
                         [](const auto& device) { return device.param.name; });

}  // namespace
}  // namespace warphive::hal::cts
