// SPDX-License-Identifier: Apache-2.0
// Module `warphive`: input and output.
#include <gtest/gtest.h>

#include "sys/fake_guest.hpp"

namespace warphive::sys {
namespace {

using abi::Exit;
using abi::TrapKind;

EnvironmentOptions with_input(const std::string& text) {
  EnvironmentOptions options;
  options.stdin_source = [text](std::uint64_t) { return text; };
  return options;
}

TEST(WarphiveInput, GivesTheInputInPieces) {
  Host host(with_input("hello"));
  FakeGuest guest(host);
  EXPECT_EQ(guest.call_in("warphive", "input", 100, 2), 2u);
  EXPECT_EQ(guest.call_in("warphive", "input", 102, 0), 0u);
  EXPECT_EQ(guest.call_in("warphive", "input", 102, 50), 3u);
  EXPECT_EQ(guest.text(100, 5), "hello");
  EXPECT_EQ(guest.at<std::uint8_t>(105), 0xee);
  EXPECT_EQ(guest.call_in("warphive", "input", 102, 50), 0u);
  EXPECT_EQ(guest.header.in_read, 5u);
}

TEST(WarphiveInput, IsTheSameSourceAsStandardInput) {
  Host host(with_input("hello"));
  FakeGuest guest(host);
  EXPECT_EQ(guest.call_in("warphive", "input", 100, 2), 2u);
  std::string got;
  EXPECT_EQ(guest.read(0, 10, got), wasi::Errno::success);
  EXPECT_EQ(got, "llo");
}

TEST(WarphiveInput, IsEmptyByDefault) {
  Host host;
  FakeGuest guest(host);
  EXPECT_EQ(guest.call_in("warphive", "input", 0, 10), 0u);
}

TEST(WarphiveInput, LongInputsCrossPieces) {
  std::string text;
  while (text.size() < 200'000) text += std::to_string(text.size()) + " ";
  Host host(with_input(text));
  FakeGuest guest(host, 0, 0, 1u << 20);
  EXPECT_EQ(guest.call_in("warphive", "input", 7, 1u << 19), text.size());
  EXPECT_EQ(guest.text(7, text.size()), text);
}

TEST(WarphiveInput, ABadRangeTraps) {
  Host host(with_input("hello"));
  FakeGuest guest(host);
  guest.call_in("warphive", "input", FakeGuest::memory_bytes - 4, 5);
  EXPECT_EQ(guest.verdict, Exit::trapped);
  EXPECT_EQ(guest.header.trap, TrapKind::memory_out_of_bounds);
  guest.call_in("warphive", "input", 0xffffffff, 0xffffffff);
  EXPECT_EQ(guest.verdict, Exit::trapped);
  EXPECT_EQ(guest.header.in_read, 0u);
  EXPECT_EQ(guest.call_in("warphive", "input", FakeGuest::memory_bytes - 5, 5), 5u);
  EXPECT_EQ(guest.verdict, Exit::ready);
}

TEST(WarphiveInput, AMissingFileTraps) {
  EnvironmentOptions options;
  options.stdin_path = "/nonexistent/{id}";
  Host host(options);
  FakeGuest guest(host);
  guest.call_in("warphive", "input", 0, 1);
  EXPECT_EQ(guest.verdict, Exit::trapped);
  EXPECT_EQ(guest.header.trap, TrapKind::host);
}

TEST(WarphiveOutput, ReturnsWhatItTook) {
  Host host;
  FakeGuest guest(host, 0, 8);
  guest.put_text(100, "abcdef");
  EXPECT_EQ(guest.call_in("warphive", "output", 100, 6), 6u);
  EXPECT_EQ(guest.header.truncated, 0);
  EXPECT_EQ(guest.call_in("warphive", "output", 100, 6), 2u);
  EXPECT_EQ(guest.header.truncated, truncated_out);
  EXPECT_EQ(guest.call_in("warphive", "output", 100, 6), 0u);
  EXPECT_EQ(guest.call_in("warphive", "output", 100, 0), 0u);
  EXPECT_EQ(guest.output(), "abcdefab");
}

TEST(WarphiveOutput, ABadRangeTrapsAndWritesNothing) {
  Host host;
  FakeGuest guest(host);
  guest.call_in("warphive", "output", FakeGuest::memory_bytes - 1, 2);
  EXPECT_EQ(guest.verdict, Exit::trapped);
  EXPECT_EQ(guest.header.trap, TrapKind::memory_out_of_bounds);
  guest.call_in("warphive", "output", 0xffffffff, 0xffffffff);
  EXPECT_EQ(guest.verdict, Exit::trapped);
  EXPECT_EQ(guest.output(), "");
}

TEST(WarphiveOutput, WorksWithoutMemory) {
  Host host;
  FakeGuest guest(host, 0, 16, 0);
  EXPECT_EQ(guest.call_in("warphive", "output", 0, 0), 0u);
  EXPECT_EQ(guest.verdict, Exit::ready);
  guest.call_in("warphive", "output", 0, 1);
  EXPECT_EQ(guest.verdict, Exit::trapped);
}

TEST(WarphiveOutput, ServesArraysOfCalls) {
  Host host;
  FakeGuest first(host, 0);
  FakeGuest second(host, 1);
  first.put_text(0, "one");
  second.put_text(0, "two");
  ContiguousMemory memories[] = {{first.memory.data(), first.memory.size()},
                                 {second.memory.data(), second.memory.size()}};
  std::uint64_t values[][2] = {{0, 3}, {0, 3}};
  HostCall calls[2] = {
      {&first.header, &memories[0], values[0], {first.out.data(), 16}, {nullptr, 0}, 0},
      {&second.header, &memories[1], values[1], {second.out.data(), 16}, {nullptr, 0}, 1}};
  host.registry.find("warphive", "output")->function(calls);
  EXPECT_EQ(first.output(), "one");
  EXPECT_EQ(second.output(), "two");
}

}  // namespace
}  // namespace warphive::sys
