// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <bit>
#include <limits>

#include "sys/fake_guest.hpp"

namespace warphive::sys {
namespace {

using abi::Exit;
using abi::TrapKind;

EnvironmentOptions with_map() {
  EnvironmentOptions options;
  options.seed_host = true;
  options.seed_map = {3, 2, {}};
  constexpr std::uint8_t bytes = 3 * 2 * 4;
  for (std::uint8_t i = 0; i < bytes; ++i) options.seed_map.pixels.push_back(i);
  return options;
}

class SeedHost : public testing::Test {
 protected:
  template <class... Args>
  std::uint32_t call(std::string_view name, Args... args) {
    return static_cast<std::uint32_t>(guest_.call_in("env", name, args...));
  }
  void expect_out_of_bounds() {
    EXPECT_EQ(guest_.verdict, Exit::trapped);
    EXPECT_EQ(guest_.header.trap, TrapKind::memory_out_of_bounds);
  }
  float math(std::string_view name, float x) {
    return std::bit_cast<float>(call(name, std::bit_cast<std::uint32_t>(x)));
  }

  Host host_{with_map()};
  FakeGuest guest_{host_, 0, 64};
};

TEST(SeedHostOption, IsOffByDefault) {
  Host host;
  EXPECT_EQ(host.registry.find("env", "sqrt"), nullptr);
}

TEST_F(SeedHost, ReadsPixelsRowByRow) {
  EXPECT_EQ(call("get_dimensions"), 0x00030002u);
  EXPECT_EQ(call("read_region", 1, 0, 2, 2, 100), 4u);
  EXPECT_EQ(guest_.u32(100), 0x04050607u);
  EXPECT_EQ(guest_.u32(104), 0x08090a0bu);
  EXPECT_EQ(guest_.u32(108), 0x10111213u);
  EXPECT_EQ(guest_.u32(112), 0x14151617u);
  EXPECT_EQ(guest_.u32(116), 0xeeeeeeeeu);
}

TEST_F(SeedHost, ClipsAtTheEdges) {
  EXPECT_EQ(call("read_region", 2, 1, 0xffffffffu, 0xffffffffu, 100), 1u);
  EXPECT_EQ(guest_.u32(100), 0x14151617u);
  EXPECT_EQ(call("read_region", 3, 0, 1, 1, 100), 0u);
  EXPECT_EQ(call("read_region", 0, -1, 1, 1, 100), 0u);
  EXPECT_EQ(call("read_region", 0, 0, 0, 5, 100), 0u);
}

TEST_F(SeedHost, BadRegionsTrap) {
  call("read_region", 0, 0, 1, 1, FakeGuest::memory_bytes - 3);
  expect_out_of_bounds();
  call("write_region", 0, 0, 1, 1, FakeGuest::memory_bytes - 3);
  expect_out_of_bounds();
  EXPECT_EQ(guest_.header.out_size, 0u);
  EXPECT_EQ(call("read_region", 0, 0, 1, 1, FakeGuest::memory_bytes - 4), 1u);
}

TEST_F(SeedHost, WritesRecords) {
  guest_.put(200, std::uint32_t{0xaabbccdd});
  guest_.put(204, std::uint32_t{0x11223344});
  EXPECT_EQ(call("write_region", 7, 8, 2, 1, 200), 1u);
  const std::string record = guest_.output();
  ASSERT_EQ(record.size(), 24u);
  std::uint32_t words[6];
  std::memcpy(words, record.data(), 24);
  const std::uint32_t expected[] = {7, 8, 2, 1, 0xaabbccdd, 0x11223344};
  EXPECT_TRUE(std::equal(words, words + 6, expected));
}

TEST_F(SeedHost, RecordsAreWholeOrNothing) {
  EXPECT_EQ(call("write_region", 0, 0, 12, 1, 0), 1u);  // exactly 64 bytes
  EXPECT_EQ(guest_.header.truncated, 0);
  EXPECT_EQ(call("write_region", 0, 0, 1, 1, 0), 0u);
  EXPECT_EQ(guest_.header.truncated, truncated_out);
  EXPECT_EQ(guest_.header.out_size, 64u);
}

TEST_F(SeedHost, RefusesEmptyAndLargeRecords) {
  EXPECT_EQ(call("write_region", 0, 0, 0, 1, 0), 0u);
  EXPECT_EQ(call("write_region", 0, 0, 1025, 1, 0), 0u);
  EXPECT_EQ(call("write_region", 0, 0, 0xffffffffu, 0xffffffffu, 0), 0u);
  EXPECT_EQ(call("write_region", 0, 0, 65536, 65536, 0), 0u);
  EXPECT_EQ(guest_.header.out_size, 0u);
}

TEST_F(SeedHost, LargestRecord) {
  FakeGuest roomy(host_, 1, 8192);
  EXPECT_EQ(roomy.call_in("env", "write_region", 0, 0, 32, 32, 0), 1u);
  EXPECT_EQ(roomy.header.out_size, 4112u);
}

TEST_F(SeedHost, Mathematics) {
  EXPECT_EQ(math("sqrt", 9.0f), 3.0f);
  EXPECT_EQ(math("sin", 0.0f), 0.0f);
  EXPECT_EQ(math("cos", 0.0f), 1.0f);
  EXPECT_EQ(math("tan", 0.0f), 0.0f);
  EXPECT_EQ(math("exp", 0.0f), 1.0f);
  EXPECT_EQ(math("log", 1.0f), 0.0f);
  EXPECT_EQ(call("pow", std::bit_cast<std::uint32_t>(2.0f), std::bit_cast<std::uint32_t>(10.0f)),
            std::bit_cast<std::uint32_t>(1024.0f));
}

TEST_F(SeedHost, RandomFollowsTheGenerator) {
  std::uint32_t state = 12345;
  for (int i = 0; i < 1000; ++i) {
    state = 1664525u * state + 1013904223u;
    ASSERT_EQ(call("random"), state) << i;
  }
  EXPECT_EQ(guest_.header.random_counter, 1000u);
}

TEST_F(SeedHost, RandomGoesOnFromTheHeader) {
  FakeGuest moved(host_, 9);
  moved.header.random_counter = 2;
  call("random");
  call("random");
  EXPECT_EQ(moved.call_in("env", "random"), call("random"));
}

TEST_F(SeedHost, Prints) {
  call("print_i32", -5);
  call("print_i32", 0x7fffffff);
  for (const float x : {0.1f, -2.5f, 1e20f, 3.0f, -0.0f, -std::numeric_limits<float>::infinity()}) {
    call("print_f32", std::bit_cast<std::uint32_t>(x));
  }
  EXPECT_EQ(guest_.output(), "-5\n2147483647\n0.1\n-2.5\n1e+20\n3\n-0\n-inf\n");
}

TEST_F(SeedHost, PrintsEveryNanAlike) {
  call("print_f32", 0xffc00001u);
  call("print_f32", 0x7fc00000u);
  EXPECT_EQ(guest_.output(), "nan\nnan\n");
}

TEST_F(SeedHost, PrintsStringsRaw) {
  guest_.put_text(10, "a\0b");
  guest_.put_text(10, std::string_view("a\0b", 3));
  call("print_str", 10, 3);
  EXPECT_EQ(guest_.output(), std::string("a\0b", 3));
  call("print_str", FakeGuest::memory_bytes - 1, 2);
  expect_out_of_bounds();
  EXPECT_EQ(guest_.header.out_size, 3u);
}

TEST(SeedMap, MustMatchItsSize) {
  const auto status_of = [](EnvironmentOptions::Map map) {
    EnvironmentOptions options;
    options.seed_map = std::move(map);
    Environment environment(std::move(options));
    HostRegistry registry;
    return environment.register_into(registry);
  };
  EXPECT_TRUE(status_of({1, 1, {0, 0, 0, 255}}));
  EXPECT_FALSE(status_of({1, 1, {0, 0, 0}}));
  EXPECT_FALSE(status_of({0, 1, {}}));
  EXPECT_FALSE(status_of({65536, 1, std::vector<std::uint8_t>(65536 * 4)}));
  EXPECT_FALSE(status_of({2, 1, std::vector<std::uint8_t>(9)}));
}

}  // namespace
}  // namespace warphive::sys
