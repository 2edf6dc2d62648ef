// SPDX-License-Identifier: Apache-2.0
#include "sys/service.hpp"

#include <gtest/gtest.h>

#include <array>
#include <limits>

#include "sys/fake_guest.hpp"

namespace warphive::sys {
namespace {

TEST(ContiguousMemory, TransfersAllOrNothing) {
  std::array<std::byte, 8> bytes{};
  ContiguousMemory memory(bytes.data(), 4);  // the other four belong to a neighbour
  const std::array<std::byte, 2> two{std::byte{1}, std::byte{2}};
  EXPECT_TRUE(memory.write(2, two));
  EXPECT_EQ(bytes[3], std::byte{2});
  EXPECT_FALSE(memory.write(3, two));
  EXPECT_EQ(bytes[3], std::byte{2});
  EXPECT_EQ(bytes[4], std::byte{0});
  std::array<std::byte, 2> got{};
  EXPECT_FALSE(memory.read(3, got));
  EXPECT_FALSE(memory.read(std::numeric_limits<std::uint64_t>::max(), got));
  EXPECT_FALSE(memory.read(std::numeric_limits<std::uint64_t>::max() - 1, got));
  EXPECT_EQ(got[0], std::byte{0});
  EXPECT_TRUE(memory.read(2, got));
  EXPECT_EQ(got, two);
}

TEST(ContiguousMemory, EmptyTransfersAreAllowedUpToTheEnd) {
  std::array<std::byte, 4> bytes{};
  ContiguousMemory memory(bytes.data(), bytes.size());
  EXPECT_TRUE(memory.read(4, {}));
  EXPECT_FALSE(memory.read(5, {}));
  ContiguousMemory none(nullptr, 0);
  EXPECT_TRUE(none.write(0, {}));
  EXPECT_FALSE(none.write(0, bytes));
}

TEST(HostRegistry, FindsByBothNamesAndRefusesDoubles) {
  HostRegistry registry;
  ASSERT_TRUE(registry.add({"a", "f", {}, nullptr}));
  ASSERT_TRUE(registry.add({"b", "f", {}, nullptr}));
  const Status twice = registry.add({"a", "f", {{ir::ValueType::i32}, {}}, nullptr});
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error().code(), ErrorCode::invalid_input);
  EXPECT_EQ(registry.entries().size(), 2u);
  ASSERT_NE(registry.find("b", "f"), nullptr);
  EXPECT_EQ(registry.find("b", "f")->module, "b");
  EXPECT_EQ(registry.find("a", "g"), nullptr);
}

struct Ranges {
  abi::InstanceHeader header{};
  std::array<std::byte, 6> out{};
  std::array<std::byte, 2> err{};
  HostCall call{.header = &header,
                .memory = nullptr,
                .values = {},
                .out = {out.data(), 4},
                .err = {err.data(), 2},
                .index = 0};
};

TEST(Output, KeepsWhatFitsAndMarksTheRest) {
  Ranges ranges;
  const std::array<std::byte, 3> three{std::byte{1}, std::byte{2}, std::byte{3}};
  append_out(ranges.call, three);
  EXPECT_EQ(ranges.header.out_size, 3u);
  EXPECT_EQ(ranges.header.truncated, 0);
  append_out(ranges.call, three);
  EXPECT_EQ(ranges.header.out_size, 4u);
  EXPECT_EQ(ranges.header.truncated, truncated_out);
  EXPECT_EQ(ranges.out[3], std::byte{1});
  EXPECT_EQ(ranges.out[4], std::byte{0});
  append_err(ranges.call, three);
  EXPECT_EQ(ranges.header.err_size, 2u);
  EXPECT_EQ(ranges.header.truncated, truncated_out | truncated_err);
}

TEST(Output, ExactFitIsNotTruncated) {
  Ranges ranges;
  const std::array<std::byte, 4> four{};
  append_out(ranges.call, four);
  append_out(ranges.call, {});
  EXPECT_EQ(ranges.header.truncated, 0);
}

TEST(Output, WithoutCapacityEverythingIsDropped) {
  Ranges ranges;
  ranges.call.out = {nullptr, 0};
  const std::array<std::byte, 1> one{};
  append_out(ranges.call, {});
  EXPECT_EQ(ranges.header.truncated, 0);
  append_out(ranges.call, one);
  EXPECT_EQ(ranges.header.out_size, 0u);
  EXPECT_EQ(ranges.header.truncated, truncated_out);
}

}  // namespace
}  // namespace warphive::sys
