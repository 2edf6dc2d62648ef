// SPDX-License-Identifier: Apache-2.0
#include "sys/environment.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <thread>

#include "sys/fake_guest.hpp"
#include "sys/input.hpp"
#include "sys/instance_table.hpp"

namespace warphive::sys {
namespace {

using wasi::Errno;

Status status_of(EnvironmentOptions options) {
  Environment environment(std::move(options));
  HostRegistry registry;
  return environment.register_into(registry);
}

TEST(Environment, ReportsBadOptions) {
  const auto fails = [](EnvironmentOptions options, ErrorCode code, std::string_view part) {
    const Status status = status_of(std::move(options));
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code(), code);
    EXPECT_NE(status.error().message().find(part), std::string::npos) << status.error().message();
    EXPECT_EQ(status.error().message().back(), '.');
  };
  fails({.env = {"NOVALUE"}}, ErrorCode::invalid_input, "(NOVALUE)");
  fails({.env = {"=x"}}, ErrorCode::invalid_input, "(=x)");
  fails({.args = {std::string("a\0b", 3)}}, ErrorCode::invalid_input, "zero byte");
  fails({.directories = {{"/nonexistent/x", "/d"}}}, ErrorCode::io, "(/nonexistent/x)");
  fails({.directories = {{"/", ""}}}, ErrorCode::invalid_input, "Guest path");
  fails({.files = {{"relative", ""}}}, ErrorCode::invalid_input, "(relative)");
  fails({.stdin_path = "/nonexistent/x"}, ErrorCode::io, "(/nonexistent/x)");
  fails({.stdin_path = "/"}, ErrorCode::io, "(/)");
}

TEST(Environment, RefusesToRegisterTwice) {
  Environment environment({});
  HostRegistry registry;
  ASSERT_TRUE(environment.register_into(registry));
  const Status again = environment.register_into(registry);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code(), ErrorCode::invalid_input);
}

TEST(Environment, ReleaseForgetsOpenFiles) {
  EnvironmentOptions options;
  options.files = {{"/f", "f"}};
  Host host(options);
  FakeGuest guest(host, 7);
  FakeGuest neighbour(host, 8);
  std::uint32_t fd = 0;
  std::string got;
  ASSERT_EQ(guest.open("f", fd), Errno::success);
  ASSERT_EQ(neighbour.open("f", fd), Errno::success);
  ASSERT_EQ(guest.wasi("fd_close", 1), Errno::success);
  host.environment.release(7);
  host.environment.release(7);
  host.environment.release(123456);
  EXPECT_EQ(guest.read(fd, 1, got), Errno::badf);
  EXPECT_EQ(guest.write(1, "open again"), Errno::success);
  EXPECT_EQ(neighbour.read(fd, 1, got), Errno::success);
}

TEST(Environment, ReleaseReadsTheInputAnew) {
  int made = 0;
  EnvironmentOptions options;
  options.stdin_source = [&](std::uint64_t ordinal) {
    ++made;
    return "ordinal " + std::to_string(ordinal);
  };
  Host host(options);
  FakeGuest guest(host, 7);
  std::string got;
  ASSERT_EQ(guest.read(0, 100, got), Errno::success);
  EXPECT_EQ(got, "ordinal 7");
  ASSERT_EQ(guest.read(0, 100, got), Errno::success);
  EXPECT_EQ(made, 1);
  host.environment.release(7);
  guest.header.in_read = 0;
  ASSERT_EQ(guest.read(0, 100, got), Errno::success);
  EXPECT_EQ(got, "ordinal 7");
  EXPECT_EQ(made, 2);
}

TEST(EnvironmentInput, OneFileForAll) {
  TemporaryDirectory directory;
  EnvironmentOptions options;
  options.stdin_path = directory.file("in", "shared");
  Host host(options);
  std::string got;
  for (const std::uint32_t index : {0u, 1u}) {
    FakeGuest guest(host, index);
    ASSERT_EQ(guest.read(0, 3, got), Errno::success);
    EXPECT_EQ(got, "sha");
    ASSERT_EQ(guest.read(0, 30, got), Errno::success);
    EXPECT_EQ(got, "red");
    ASSERT_EQ(guest.read(0, 30, got), Errno::success);
    EXPECT_EQ(got, "");
  }
}

TEST(EnvironmentInput, OneFileForEach) {
  TemporaryDirectory directory;
  std::string text;
  while (text.size() < 200'000) text += std::to_string(text.size()) + " ";
  directory.file("in.3", text);
  directory.file("in.4", "four");
  EnvironmentOptions options;
  options.stdin_path = directory.path() / "in.{id}";
  Host host(options);
  FakeGuest three(host, 3);
  FakeGuest four(host, 4);
  FakeGuest five(host, 5);
  std::string got;
  std::string all;
  do {
    ASSERT_EQ(three.read(0, 10'001, got), Errno::success);
    all += got;
  } while (!got.empty());
  EXPECT_EQ(all, text);
  ASSERT_EQ(four.read(0, 10'001, got), Errno::success);
  EXPECT_EQ(got, "four");
  EXPECT_EQ(five.read(0, 1, got), Errno::noent);
}

TEST(EnvironmentInput, APipeIsReadOnceAndSeenByAll) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  std::thread writer([&] {
    for (const std::string_view piece : {"first ", "second ", "third"}) {
      EXPECT_EQ(::write(ends[1], piece.data(), piece.size()), static_cast<ssize_t>(piece.size()));
    }
    ::close(ends[1]);
  });
  EnvironmentOptions options;
  options.stdin_path = "/dev/fd/" + std::to_string(ends[0]);
  Host host(options);
  ::close(ends[0]);
  std::string got;
  for (const std::uint32_t index : {0u, 1u}) {
    FakeGuest guest(host, index);
    ASSERT_EQ(guest.read(0, 10, got), Errno::success);
    EXPECT_EQ(got, "first seco");  // however the writer cut it
    ASSERT_EQ(guest.read(0, 100, got), Errno::success);
    EXPECT_EQ(got, "nd third");
    ASSERT_EQ(guest.read(0, 100, got), Errno::success);
    EXPECT_EQ(got, "");
  }
  writer.join();
}

TEST(EnvironmentInput, OrdinalPlaces) {
  EXPECT_EQ(with_ordinal("{id}", 0), "0");
  EXPECT_EQ(with_ordinal("a{id}b{id}", 18446744073709551615u),
            "a18446744073709551615b18446744073709551615");
  EXPECT_EQ(with_ordinal("{i}{id", 1), "{i}{id");
  EXPECT_FALSE(has_ordinal("{i d}"));
}

// Runs `body` with descriptor `fd` of the process replaced; returns what was written to it.
template <class Body>
std::string capture(int fd, const std::filesystem::path& file, Body body) {
  const int target = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (target < 0) {
    ADD_FAILURE() << file << " cannot be written";
    return {};
  }
  const int saved = ::dup(fd);
  EXPECT_GE(::dup2(target, fd), 0);
  body();
  EXPECT_GE(::dup2(saved, fd), 0);
  ::close(saved);
  ::close(target);
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(EnvironmentOutput, PassThroughWritesToTheProcess) {
  TemporaryDirectory directory;
  EnvironmentOptions options;
  options.pass_through = true;
  options.seed_host = true;
  std::string long_text(200'000, 'x');
  for (std::size_t i = 0; i < long_text.size(); ++i) long_text[i] = static_cast<char>('a' + i % 23);
  const std::string out = capture(STDOUT_FILENO, directory.path() / "out", [&] {
    Host host(options);
    FakeGuest guest(host, 0, 4, 1u << 20);
    EXPECT_EQ(guest.write(1, "text\n"), Errno::success);
    EXPECT_EQ(guest.write(1, long_text), Errno::success);
    EXPECT_EQ(guest.u32(FakeGuest::result_at), long_text.size());
    guest.call_in("env", "print_i32", 5);
    guest.put_text(0, "tail");
    EXPECT_EQ(guest.call_in("warphive", "output", 0, 4), 4u);
    EXPECT_EQ(guest.header.out_size, 0u);
    EXPECT_EQ(guest.header.truncated, 0);
  });
  EXPECT_EQ(out, "text\n" + long_text + "5\ntail");
  const std::string err = capture(STDERR_FILENO, directory.path() / "err", [&] {
    Host host(options);
    FakeGuest guest(host);
    EXPECT_EQ(guest.write(2, "to err"), Errno::success);
  });
  EXPECT_EQ(err, "to err");
}

// Every instance opens, reads, seeks, closes and prints; all see the same, whichever thread asks.
void work(Host& host, std::uint32_t index, std::string& output) {
  FakeGuest guest(host, index, 1u << 16);
  std::string got;
  for (int round = 0; round < 20; ++round) {
    std::uint32_t file = 0;
    std::uint32_t memory_file = 0;
    ASSERT_EQ(guest.open("d/shared", file), Errno::success);
    ASSERT_EQ(guest.open("m", memory_file, 4), Errno::success);
    ASSERT_EQ(guest.wasi("fd_seek", file, round, 0, FakeGuest::result_at), Errno::success);
    ASSERT_EQ(guest.read(file, 4, got), Errno::success);
    ASSERT_EQ(guest.write(1, got), Errno::success);
    ASSERT_EQ(guest.read(memory_file, 100, got), Errno::success);
    ASSERT_EQ(guest.write(1, got), Errno::success);
    ASSERT_EQ(guest.wasi("random_get", FakeGuest::buffer_at, 8), Errno::success);
    ASSERT_EQ(guest.write(2, guest.text(FakeGuest::buffer_at, 8)), Errno::success);
    ASSERT_EQ(guest.wasi("fd_readdir", 3, FakeGuest::buffer_at, 100, 0, FakeGuest::result_at),
              Errno::success);
    ASSERT_EQ(guest.wasi("fd_close", file), Errno::success);
    if (round % 5 == 4) {
      host.environment.release(index);
    } else {
      ASSERT_EQ(guest.wasi("fd_close", memory_file), Errno::success);
    }
  }
  output = guest.output() + guest.errors();
}

TEST(EnvironmentThreads, InstancesDoNotDisturbEachOther) {
  TemporaryDirectory directory;
  directory.file("d/shared", "abcdefghijklmnopqrstuvwxyz");
  EnvironmentOptions options;
  options.directories = {{directory.path(), "/data"}};
  options.files = {{"/m", "<memory>"}};
  options.seed = 9;
  constexpr std::uint32_t count = 200;
  const auto index_of = [](std::uint32_t i) { return i * 2'654'435'761u; };  // all over the table
  std::vector<std::string> alone(count);
  {
    Host host(options);
    for (std::uint32_t i = 0; i < count; ++i) work(host, index_of(i), alone[i]);
  }
  std::vector<std::string> together(count);
  Host host(options);
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (std::uint32_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (std::uint32_t i = t; i < count; i += 4) work(host, index_of(i), together[i]);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(together, alone);
  EXPECT_NE(alone[0], alone[1]);
}

TEST(InstanceTable, CoversAllNumbers) {
  InstanceTable<int> table;
  for (const std::uint32_t index : {0u, 1u, 1023u, 1024u, 2'097'151u, 2'097'152u, 0xffffffffu}) {
    EXPECT_EQ(table.find(index), nullptr);
    table.obtain(index) = static_cast<int>(index % 1000);
  }
  for (const std::uint32_t index : {0u, 1u, 1023u, 1024u, 2'097'151u, 2'097'152u, 0xffffffffu}) {
    ASSERT_NE(table.find(index), nullptr);
    EXPECT_EQ(*table.find(index), static_cast<int>(index % 1000));
  }
  EXPECT_EQ(table.find(2), nullptr);
  table.erase(1024);
  table.erase(2);
  table.erase(0x7fffffff);
  EXPECT_EQ(table.find(1024), nullptr);
  EXPECT_EQ(table.obtain(1024), 0);
}

}  // namespace
}  // namespace warphive::sys
