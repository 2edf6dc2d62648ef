// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "sys/fake_guest.hpp"

namespace warphive::sys::wasi {
namespace {

constexpr std::uint32_t end = FakeGuest::memory_bytes;
constexpr std::uint32_t in = 1024;
constexpr std::uint32_t out = 4096;

class WasiPoll : public testing::Test {
 protected:
  static EnvironmentOptions options() {
    EnvironmentOptions result;
    result.files = {{"/f", "0123456789"}};
    result.clock_start_ns = 5000;
    return result;
  }
  void zero(std::uint32_t i) {
    for (std::uint32_t k = 0; k < subscription_bytes; ++k) {
      guest_.put(in + i * subscription_bytes + k, std::uint8_t{0});
    }
  }
  void clock(std::uint32_t i, std::uint64_t userdata, std::uint32_t id, std::uint64_t timeout,
             std::uint16_t flags = 0) {
    zero(i);
    const std::uint32_t at = in + i * subscription_bytes;
    guest_.put(at, userdata);
    guest_.put(at + 8, event_clock);
    guest_.put(at + 16, id);
    guest_.put(at + 24, timeout);
    guest_.put(at + 40, flags);
  }
  void file(std::uint32_t i, std::uint64_t userdata, std::uint8_t type, std::uint32_t fd) {
    zero(i);
    const std::uint32_t at = in + i * subscription_bytes;
    guest_.put(at, userdata);
    guest_.put(at + 8, type);
    guest_.put(at + 16, fd);
  }
  Errno poll(std::uint32_t count) {
    return guest_.wasi("poll_oneoff", in, out, count, FakeGuest::result_at);
  }
  std::uint32_t events() const { return guest_.u32(FakeGuest::result_at); }
  struct Event {
    std::uint64_t userdata;
    Errno error;
    std::uint8_t type;
    std::uint64_t bytes;
  };
  Event event(std::uint32_t i) const {
    const std::uint32_t at = out + i * event_bytes;
    return {guest_.u64(at), guest_.at<Errno>(at + 8), guest_.at<std::uint8_t>(at + 10),
            guest_.u64(at + 16)};
  }

  Host host_{options()};
  FakeGuest guest_{host_};
};

TEST_F(WasiPoll, SleepAdvancesTheVirtualClock) {
  clock(0, 11, 1, 1'000'000);
  ASSERT_EQ(poll(1), Errno::success);
  EXPECT_EQ(guest_.header.clock_ns, 1'000'000u);
  ASSERT_EQ(events(), 1u);
  EXPECT_EQ(event(0).userdata, 11u);
  EXPECT_EQ(event(0).error, Errno::success);
  EXPECT_EQ(event(0).type, event_clock);
}

TEST_F(WasiPoll, AbsoluteTimes) {
  guest_.header.fuel_used = 100;
  clock(0, 1, 0, 5000 + 100 + 30, subclock_abstime);
  ASSERT_EQ(poll(1), Errno::success);
  EXPECT_EQ(guest_.header.clock_ns, 30u);
  clock(0, 1, 1, 100 + 30 + 12, subclock_abstime);
  ASSERT_EQ(poll(1), Errno::success);
  EXPECT_EQ(guest_.header.clock_ns, 42u);
  clock(0, 1, 1, 3, subclock_abstime);  // long past
  ASSERT_EQ(poll(1), Errno::success);
  EXPECT_EQ(guest_.header.clock_ns, 42u);
  EXPECT_EQ(events(), 1u);
}

TEST_F(WasiPoll, TheFirstClockWins) {
  clock(0, 1, 1, 500);
  clock(1, 2, 1, 200);
  clock(2, 3, 0, 200);
  clock(3, 4, 1, 201);
  ASSERT_EQ(poll(4), Errno::success);
  EXPECT_EQ(guest_.header.clock_ns, 200u);
  ASSERT_EQ(events(), 2u);
  EXPECT_EQ(event(0).userdata, 2u);
  EXPECT_EQ(event(1).userdata, 3u);
}

TEST_F(WasiPoll, FilesAreReadyAtOnce) {
  std::uint32_t fd = 0;
  ASSERT_EQ(guest_.open("f", fd), Errno::success);
  std::string got;
  ASSERT_EQ(guest_.read(fd, 4, got), Errno::success);
  clock(0, 1, 1, 500);
  file(1, 2, event_fd_read, fd);
  file(2, 3, event_fd_write, 1);
  file(3, 4, event_fd_read, 0);
  ASSERT_EQ(poll(4), Errno::success);
  EXPECT_EQ(guest_.header.clock_ns, 0u);
  ASSERT_EQ(events(), 3u);
  EXPECT_EQ(event(0).userdata, 2u);
  EXPECT_EQ(event(0).type, event_fd_read);
  EXPECT_EQ(event(0).bytes, 6u);
  EXPECT_EQ(event(1).userdata, 3u);
  EXPECT_EQ(event(2).userdata, 4u);
}

TEST_F(WasiPoll, ErrorsAreEvents) {
  file(0, 1, event_fd_read, 99);
  file(1, 2, event_fd_write, 0);
  file(2, 3, event_fd_read, 1);
  file(3, 4, event_fd_read, 3);  // a directory
  clock(4, 5, 9, 100);
  clock(5, 6, 2, 100);
  ASSERT_EQ(poll(6), Errno::success);
  ASSERT_EQ(events(), 6u);
  for (std::uint32_t i = 0; i < 4; ++i) EXPECT_EQ(event(i).error, Errno::badf) << i;
  EXPECT_EQ(event(4).error, Errno::inval);
  EXPECT_EQ(event(5).error, Errno::notsup);
  EXPECT_EQ(guest_.header.clock_ns, 0u);
}

TEST_F(WasiPoll, ForEverSaturates) {
  clock(0, 1, 1, ~std::uint64_t{0});
  ASSERT_EQ(poll(1), Errno::success);
  clock(0, 1, 1, ~std::uint64_t{0});
  ASSERT_EQ(poll(1), Errno::success);
  EXPECT_EQ(guest_.header.clock_ns, ~std::uint64_t{0});
}

TEST_F(WasiPoll, OverlappingArraysAreReadFirst) {
  clock(0, 1, 1, 10);
  clock(1, 2, 1, 10);
  ASSERT_EQ(guest_.wasi("poll_oneoff", in, in + 16, 2, FakeGuest::result_at), Errno::success);
  EXPECT_EQ(events(), 2u);
  EXPECT_EQ(guest_.u64(in + 16), 1u);
  EXPECT_EQ(guest_.u64(in + 16 + event_bytes), 2u);
}

TEST_F(WasiPoll, BadArguments) {
  clock(0, 1, 1, 10);
  EXPECT_EQ(poll(0), Errno::inval);
  const std::uint32_t result = FakeGuest::result_at;
  EXPECT_EQ(guest_.wasi("poll_oneoff", end - 47, out, 1, result), Errno::fault);
  EXPECT_EQ(guest_.wasi("poll_oneoff", in, end - 31, 1, result), Errno::fault);
  EXPECT_EQ(guest_.wasi("poll_oneoff", in, out, 1, end - 3), Errno::fault);
  EXPECT_EQ(guest_.wasi("poll_oneoff", in, out, 0xffffffff, result), Errno::fault);
  EXPECT_EQ(guest_.header.clock_ns, 0u);
  EXPECT_EQ(guest_.wasi("poll_oneoff", in, end - 32, 1, end - 4), Errno::success);
  file(0, 1, 3, 1);
  EXPECT_EQ(poll(1), Errno::inval);
  FakeGuest large(host_, 1, 0, 1u << 20);
  EXPECT_EQ(large.wasi("poll_oneoff", 0, 0, 1025, 0), Errno::inval);
}

TEST(WasiPollHost, SleepParks) {
  EnvironmentOptions options;
  options.clock = Clock::host;
  Host host(options);
  FakeGuest guest(host);
  for (std::uint32_t k = 0; k < subscription_bytes; ++k) guest.put(in + k, std::uint8_t{0});
  guest.put(in + 16, std::uint32_t{1});
  guest.put(in + 24, std::uint64_t{2'000'000});
  ASSERT_EQ(guest.wasi("clock_time_get", 1, 0, 8), Errno::success);
  const std::uint64_t before = guest.u64(8);
  // Two waits: the second must not profit from the time that the first has waited.
  for (int i = 0; i < 2; ++i) {
    int asked = 0;
    do {
      (void)guest.wasi("poll_oneoff", in, out, 1, FakeGuest::result_at);
    } while (++asked < 1'000'000'000 && guest.verdict == abi::Exit::parked);
    EXPECT_GT(asked, 1);
    ASSERT_EQ(guest.verdict, abi::Exit::ready);
    EXPECT_EQ(guest.u32(FakeGuest::result_at), 1u);
  }
  ASSERT_EQ(guest.wasi("clock_time_get", 1, 0, 8), Errno::success);
  EXPECT_GE(guest.u64(8) - before, 4'000'000u);
  EXPECT_EQ(guest.header.clock_ns, 0u);
  EXPECT_FALSE(host.environment.deterministic());
}

}  // namespace
}  // namespace warphive::sys::wasi
