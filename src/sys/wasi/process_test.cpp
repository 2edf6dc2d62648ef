// SPDX-License-Identifier: Apache-2.0
// Arguments, environment, clocks, random numbers, exit; the table itself.
#include <gtest/gtest.h>

#include <set>

#include "sys/fake_guest.hpp"

namespace warphive::sys::wasi {
namespace {

constexpr std::uint32_t end = FakeGuest::memory_bytes;

TEST(WasiTable, NamesAndSignatures) {
  Host host;
  const auto signature = [&](std::string_view name) {
    const HostEntry* entry = host.registry.find("wasi_snapshot_preview1", name);
    return entry == nullptr ? "none" : ir::to_string(entry->type);
  };
  EXPECT_EQ(signature("fd_write"), "(i32, i32, i32, i32) -> (i32)");
  EXPECT_EQ(signature("fd_seek"), "(i32, i64, i32, i32) -> (i32)");
  EXPECT_EQ(signature("path_open"), "(i32, i32, i32, i32, i32, i64, i64, i32, i32) -> (i32)");
  EXPECT_EQ(signature("proc_exit"), "(i32) -> ()");
  EXPECT_EQ(signature("sched_yield"), "() -> (i32)");
  EXPECT_EQ(signature("fd_pread"), "(i32, i32, i32, i64, i32) -> (i32)");
  EXPECT_EQ(host.registry.find("wasi_unstable", "fd_write"), nullptr);
  std::size_t wasi_calls = 0;
  for (const HostEntry& entry : host.registry.entries()) {
    if (entry.module == "wasi_snapshot_preview1") ++wasi_calls;
  }
  EXPECT_EQ(wasi_calls, 46u);
}

TEST(WasiTable, WhatIsNotThereAnswersNosys) {
  Host host;
  FakeGuest guest(host);
  EXPECT_EQ(guest.wasi("proc_raise", 6), Errno::nosys);
  EXPECT_EQ(guest.wasi("sock_accept", 0, 0, 0), Errno::nosys);
  EXPECT_EQ(guest.wasi("sock_recv", 0, 0, 0, 0, 0, 0), Errno::nosys);
  EXPECT_EQ(guest.wasi("sock_send", 0, 0, 0, 0, 0), Errno::nosys);
  EXPECT_EQ(guest.wasi("sock_shutdown", 0, 0), Errno::nosys);
}

TEST(WasiStrings, AreLaidOutForTheGuest) {
  EnvironmentOptions options;
  options.args = {"prog", "", "third"};
  options.env = {"A=1", "LONG=a b"};
  Host host(options);
  FakeGuest guest(host);
  ASSERT_EQ(guest.wasi("args_sizes_get", 0, 4), Errno::success);
  EXPECT_EQ(guest.u32(0), 3u);
  EXPECT_EQ(guest.u32(4), 12u);
  ASSERT_EQ(guest.wasi("args_get", 100, 200), Errno::success);
  EXPECT_EQ(guest.u32(100), 200u);
  EXPECT_EQ(guest.u32(104), 205u);
  EXPECT_EQ(guest.u32(108), 206u);
  EXPECT_EQ(guest.u32(112), 0xeeeeeeeeu);
  EXPECT_EQ(guest.text(200, 13), std::string("prog\0\0third\0\xee", 13));
  ASSERT_EQ(guest.wasi("environ_sizes_get", 0, 4), Errno::success);
  EXPECT_EQ(guest.u32(0), 2u);
  EXPECT_EQ(guest.u32(4), 13u);
  ASSERT_EQ(guest.wasi("environ_get", 100, 200), Errno::success);
  EXPECT_EQ(guest.text(guest.u32(104), 9), std::string("LONG=a b\0", 9));
}

TEST(WasiStrings, HoldTheOrdinal) {
  EnvironmentOptions options;
  options.args = {"prog", "--in={id}.txt", "{id}{id}"};
  options.env = {"ID={id}"};
  Host host(options);
  FakeGuest guest(host, 3);
  guest.header.ordinal = 1234;
  ASSERT_EQ(guest.wasi("args_sizes_get", 0, 4), Errno::success);
  EXPECT_EQ(guest.u32(4), 5u + 14 + 9);
  ASSERT_EQ(guest.wasi("args_get", 100, 200), Errno::success);
  EXPECT_EQ(guest.text(200, 28), std::string("prog\0--in=1234.txt\0"
                                             "12341234\0",
                                             28));
  ASSERT_EQ(guest.wasi("environ_get", 100, 200), Errno::success);
  EXPECT_EQ(guest.text(200, 8), std::string("ID=1234\0", 8));
}

TEST(WasiStrings, ManyPointersCrossPieces) {
  EnvironmentOptions options;
  for (int i = 0; i < 1000; ++i) options.args.push_back(std::to_string(i));
  Host host(options);
  FakeGuest guest(host);
  ASSERT_EQ(guest.wasi("args_get", 0, 8192), Errno::success);
  for (std::uint32_t i = 0; i < 1000; ++i) {
    const std::string expected = std::to_string(i);
    ASSERT_EQ(guest.text(guest.u32(4 * i), expected.size() + 1), expected + '\0');
  }
}

TEST(WasiStrings, BadPointers) {
  EnvironmentOptions options;
  options.args = {"prog"};
  Host host(options);
  FakeGuest guest(host);
  EXPECT_EQ(guest.wasi("args_sizes_get", end - 3, 0), Errno::fault);
  EXPECT_EQ(guest.wasi("args_sizes_get", 0, end - 3), Errno::fault);
  EXPECT_EQ(guest.u32(0), 0xeeeeeeeeu);
  EXPECT_EQ(guest.wasi("args_sizes_get", end - 4, end - 4), Errno::success);
  EXPECT_EQ(guest.wasi("args_get", end - 3, 0), Errno::fault);
  EXPECT_EQ(guest.wasi("args_get", 0, end - 4), Errno::fault);
  EXPECT_EQ(guest.wasi("args_get", 0xffffffff, 0xffffffff), Errno::fault);
  EXPECT_EQ(guest.u32(0), 0xeeeeeeeeu);
  EXPECT_EQ(guest.wasi("args_get", 0, end - 5), Errno::success);
  EXPECT_EQ(guest.wasi("environ_get", end, end), Errno::success);  // nothing to write
  EXPECT_EQ(guest.wasi("environ_get", end + 1, 0), Errno::fault);
}

TEST(WasiClock, VirtualTimeIsFuelAndSleep) {
  EnvironmentOptions options;
  options.clock_start_ns = 1'000'000;
  Host host(options);
  FakeGuest guest(host);
  guest.header.fuel_used = 500;
  guest.header.clock_ns = 7;
  ASSERT_EQ(guest.wasi("clock_time_get", 0, 0, 8), Errno::success);
  EXPECT_EQ(guest.u64(8), 1'000'507u);
  ASSERT_EQ(guest.wasi("clock_time_get", 1, 0, 8), Errno::success);
  EXPECT_EQ(guest.u64(8), 507u);
  for (const int cpu_clock : {2, 3}) {
    ASSERT_EQ(guest.wasi("clock_time_get", cpu_clock, 0, 8), Errno::success);
    EXPECT_EQ(guest.u64(8), 500u);
  }
  EXPECT_EQ(guest.header.clock_ns, 7u);
  ASSERT_EQ(guest.wasi("clock_res_get", 0, 8), Errno::success);
  EXPECT_EQ(guest.u64(8), 1u);
  EXPECT_TRUE(host.environment.deterministic());
}

TEST(WasiClock, UnmeteredReadingsAdvanceIt) {
  EnvironmentOptions options;
  options.metered = false;
  Host host(options);
  FakeGuest guest(host);
  guest.header.fuel_used = 500;  // means nothing
  for (std::uint64_t reading = 0; reading < 3; ++reading) {
    ASSERT_EQ(guest.wasi("clock_time_get", 0, 0, 8), Errno::success);
    EXPECT_EQ(guest.u64(8), 1000 * reading);
  }
  EXPECT_EQ(guest.wasi("clock_time_get", 0, 0, end - 7), Errno::fault);
  EXPECT_EQ(guest.wasi("clock_time_get", 4, 0, 8), Errno::inval);
  EXPECT_EQ(guest.header.clock_ns, 3000u);
  ASSERT_EQ(guest.wasi("clock_res_get", 1, 8), Errno::success);
  EXPECT_EQ(guest.u64(8), 1000u);
}

TEST(WasiClock, DoesNotWrap) {
  EnvironmentOptions options;
  options.clock_start_ns = ~std::uint64_t{0} - 10;
  Host host(options);
  FakeGuest guest(host);
  guest.header.fuel_used = 100;
  ASSERT_EQ(guest.wasi("clock_time_get", 0, 0, 8), Errno::success);
  EXPECT_EQ(guest.u64(8), ~std::uint64_t{0});
}

TEST(WasiClock, HostTimeIsNotDeterministic) {
  EnvironmentOptions options;
  options.clock = Clock::host;
  Host host(options);
  FakeGuest guest(host);
  EXPECT_TRUE(host.environment.deterministic());
  ASSERT_EQ(guest.wasi("clock_res_get", 0, 8), Errno::success);
  EXPECT_TRUE(host.environment.deterministic());
  ASSERT_EQ(guest.wasi("clock_time_get", 0, 0, 8), Errno::success);
  EXPECT_GT(guest.u64(8), 1'500'000'000'000'000'000u);  // after 2017
  EXPECT_FALSE(host.environment.deterministic());
  ASSERT_EQ(guest.wasi("clock_time_get", 1, 0, 8), Errno::success);
  const std::uint64_t before = guest.u64(8);
  ASSERT_EQ(guest.wasi("clock_time_get", 1, 0, 8), Errno::success);
  EXPECT_GE(guest.u64(8), before);
}

TEST(WasiClock, BadArguments) {
  Host host;
  FakeGuest guest(host);
  EXPECT_EQ(guest.wasi("clock_time_get", 4, 0, 8), Errno::inval);
  EXPECT_EQ(guest.wasi("clock_time_get", 0xffffffff, 0, 8), Errno::inval);
  EXPECT_EQ(guest.wasi("clock_res_get", 4, 8), Errno::inval);
  EXPECT_EQ(guest.wasi("clock_res_get", 0, end - 7), Errno::fault);
  EXPECT_EQ(guest.wasi("clock_res_get", 0, end - 8), Errno::success);
}

TEST(WasiRandom, IsAFunctionOfSeedOrdinalAndCounter) {
  EnvironmentOptions options;
  options.seed = 42;
  Host host(options);
  Host again(options);
  options.seed = 43;
  Host other_seed(options);
  FakeGuest guest(host, 5);
  FakeGuest same(again, 5);
  same.index = 77;  // the slot does not matter
  FakeGuest neighbour(host, 6);
  FakeGuest reseeded(other_seed, 5);
  std::set<std::string> distinct;
  for (FakeGuest* each : {&guest, &same, &neighbour, &reseeded}) {
    ASSERT_EQ(each->wasi("random_get", 0, 32), Errno::success);
    distinct.insert(each->text(0, 32));
  }
  EXPECT_EQ(guest.text(0, 32), same.text(0, 32));
  EXPECT_EQ(distinct.size(), 3u);
}

TEST(WasiRandom, EachCallTakesWholeWords) {
  Host host;
  FakeGuest whole(host, 1);
  ASSERT_EQ(whole.wasi("random_get", 0, 24), Errno::success);
  EXPECT_EQ(whole.header.random_counter, 3u);
  FakeGuest pieces(host, 1);
  ASSERT_EQ(pieces.wasi("random_get", 0, 5), Errno::success);
  EXPECT_EQ(pieces.header.random_counter, 1u);
  EXPECT_EQ(pieces.at<std::uint8_t>(5), 0xee);
  ASSERT_EQ(pieces.wasi("random_get", 8, 0), Errno::success);
  EXPECT_EQ(pieces.header.random_counter, 1u);
  ASSERT_EQ(pieces.wasi("random_get", 8, 16), Errno::success);
  EXPECT_EQ(pieces.text(0, 5), whole.text(0, 5));
  EXPECT_EQ(pieces.text(8, 16), whole.text(8, 16));
}

TEST(WasiRandom, LongRequestsGoOnAcrossPieces) {
  Host host;
  FakeGuest whole(host, 1);
  ASSERT_EQ(whole.wasi("random_get", 1, 20'001), Errno::success);
  EXPECT_EQ(whole.header.random_counter, 2501u);
  FakeGuest late(host, 1);
  late.header.random_counter = 2499;
  ASSERT_EQ(late.wasi("random_get", 0, 9), Errno::success);
  EXPECT_EQ(late.text(0, 9), whole.text(1 + 2499 * 8, 9));
  EXPECT_EQ(whole.at<std::uint8_t>(20'002), 0xee);
}

TEST(WasiRandom, BadArgumentsDrawNothing) {
  Host host;
  FakeGuest guest(host);
  EXPECT_EQ(guest.wasi("random_get", end - 7, 8), Errno::fault);
  EXPECT_EQ(guest.wasi("random_get", 0, 0xffffffff), Errno::fault);
  FakeGuest large(host, 1, 0, (1u << 24) + 8);
  EXPECT_EQ(large.wasi("random_get", 0, (1u << 24) + 1), Errno::inval);
  EXPECT_EQ(guest.header.random_counter + large.header.random_counter, 0u);
}

TEST(WasiProcess, ExitCarriesTheCode) {
  Host host;
  FakeGuest guest(host);
  guest.call_in("wasi_snapshot_preview1", "proc_exit", 3);
  EXPECT_EQ(guest.verdict, abi::Exit::exited);
  EXPECT_EQ(guest.header.exit_code, 3);
  guest.call_in("wasi_snapshot_preview1", "proc_exit", -1);
  EXPECT_EQ(guest.header.exit_code, -1);
}

TEST(WasiProcess, YieldDoesNothing) {
  Host host;
  FakeGuest guest(host);
  EXPECT_EQ(guest.wasi("sched_yield"), Errno::success);
  EXPECT_EQ(guest.verdict, abi::Exit::ready);
}

}  // namespace
}  // namespace warphive::sys::wasi
