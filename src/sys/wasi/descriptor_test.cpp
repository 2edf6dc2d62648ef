// SPDX-License-Identifier: Apache-2.0
// Kinds, rights, closing, pre-opened names, listings.
#include <gtest/gtest.h>

#include "sys/fake_guest.hpp"

namespace warphive::sys::wasi {
namespace {

constexpr std::uint32_t end = FakeGuest::memory_bytes;
constexpr std::uint32_t result = FakeGuest::result_at;
constexpr std::uint32_t buffer = FakeGuest::buffer_at;

class WasiDescriptor : public testing::Test {
 protected:
  EnvironmentOptions options() {
    directory_.file("host.txt", "host");
    EnvironmentOptions made;
    made.directories = {{directory_.path(), "/data"}};
    made.files = {{"/etc/motd", "welcome"}, {"/x", "x"}};
    made.clock_start_ns = 77;
    return made;
  }

  TemporaryDirectory directory_;
  Host host_{options()};
  FakeGuest guest_{host_};
};

TEST_F(WasiDescriptor, PreopensHaveNames) {
  for (const auto& [fd, name] : {std::pair(3, "/data"), std::pair(4, "/")}) {
    const std::string expected = name;
    ASSERT_EQ(guest_.wasi("fd_prestat_get", fd, buffer), Errno::success);
    EXPECT_EQ(guest_.at<std::uint8_t>(buffer), 0);
    ASSERT_EQ(guest_.u32(buffer + 4), expected.size());
    ASSERT_EQ(guest_.wasi("fd_prestat_dir_name", fd, buffer, expected.size()), Errno::success);
    EXPECT_EQ(guest_.text(buffer, expected.size()), expected);
  }
  for (const int fd : {0, 1, 2, 5, 99}) {
    EXPECT_EQ(guest_.wasi("fd_prestat_get", fd, buffer), Errno::badf) << fd;
    EXPECT_EQ(guest_.wasi("fd_prestat_dir_name", fd, buffer, 100), Errno::badf) << fd;
  }
  EXPECT_EQ(guest_.wasi("fd_prestat_get", 3, end - 7), Errno::fault);
  EXPECT_EQ(guest_.wasi("fd_prestat_dir_name", 3, buffer, 4), Errno::nametoolong);
  EXPECT_EQ(guest_.wasi("fd_prestat_dir_name", 3, end - 4, 5), Errno::fault);
  EXPECT_EQ(guest_.wasi("fd_prestat_dir_name", 3, end - 5, 5), Errno::success);
}

TEST_F(WasiDescriptor, OpenedDirectoriesAreNotPreopens) {
  std::uint32_t fd = 0;
  ASSERT_EQ(guest_.open("etc", fd, 4), Errno::success);
  EXPECT_EQ(guest_.wasi("fd_prestat_get", fd, buffer), Errno::badf);
}

TEST_F(WasiDescriptor, Fdstat) {
  const auto type_of = [&](std::uint32_t fd) {
    EXPECT_EQ(guest_.wasi("fd_fdstat_get", fd, buffer), Errno::success);
    return guest_.at<FileType>(buffer);
  };
  EXPECT_EQ(type_of(0), FileType::unknown);
  EXPECT_EQ(type_of(1), FileType::unknown);
  EXPECT_EQ(guest_.u64(buffer + 8) & rights::fd_write, rights::fd_write);
  EXPECT_EQ(guest_.u64(buffer + 8) & (rights::fd_seek | rights::fd_tell), 0u);
  EXPECT_EQ(type_of(3), FileType::directory);
  EXPECT_EQ(guest_.u64(buffer + 16), rights::all);
  std::uint32_t fd = 0;
  ASSERT_EQ(guest_.open("host.txt", fd), Errno::success);
  EXPECT_EQ(type_of(fd), FileType::regular_file);
  EXPECT_EQ(guest_.u64(buffer + 8), rights::of_file);
  EXPECT_EQ(guest_.u64(buffer + 16), 0u);
  EXPECT_EQ(guest_.wasi("fd_fdstat_get", fd, end - 23), Errno::fault);
  EXPECT_EQ(guest_.wasi("fd_fdstat_get", fd, end - 24), Errno::success);
  EXPECT_EQ(guest_.wasi("fd_fdstat_get", 99, buffer), Errno::badf);
}

TEST_F(WasiDescriptor, FlagsAreKept) {
  ASSERT_EQ(guest_.wasi("fd_fdstat_set_flags", 1, fdflag_nonblock | fdflag_append), Errno::success);
  ASSERT_EQ(guest_.wasi("fd_fdstat_get", 1, buffer), Errno::success);
  EXPECT_EQ(guest_.at<std::uint16_t>(buffer + 2), fdflag_nonblock | fdflag_append);
  EXPECT_EQ(guest_.wasi("fd_fdstat_set_flags", 1, 2), Errno::notsup);
  EXPECT_EQ(guest_.wasi("fd_fdstat_set_flags", 1, 32), Errno::inval);
  EXPECT_EQ(guest_.wasi("fd_fdstat_set_flags", 99, 0), Errno::badf);
  FakeGuest neighbour(host_, 1);
  ASSERT_EQ(neighbour.wasi("fd_fdstat_get", 1, buffer), Errno::success);
  EXPECT_EQ(neighbour.at<std::uint16_t>(buffer + 2), 0);
}

TEST_F(WasiDescriptor, Filestat) {
  std::uint32_t fd = 0;
  ASSERT_EQ(guest_.open("etc/motd", fd, 4), Errno::success);
  ASSERT_EQ(guest_.wasi("fd_filestat_get", fd, buffer), Errno::success);
  EXPECT_EQ(guest_.u64(buffer), 0u);  // device
  EXPECT_NE(guest_.u64(buffer + 8), 0u);
  EXPECT_EQ(guest_.at<FileType>(buffer + 16), FileType::regular_file);
  EXPECT_EQ(guest_.u64(buffer + 24), 1u);
  EXPECT_EQ(guest_.u64(buffer + 32), 7u);
  for (const std::uint32_t time : {40u, 48u, 56u}) EXPECT_EQ(guest_.u64(buffer + time), 77u);
  ASSERT_EQ(guest_.wasi("fd_filestat_get", 3, buffer), Errno::success);
  EXPECT_EQ(guest_.at<FileType>(buffer + 16), FileType::directory);
  ASSERT_EQ(guest_.wasi("fd_filestat_get", 0, buffer), Errno::success);
  EXPECT_EQ(guest_.at<FileType>(buffer + 16), FileType::unknown);
  EXPECT_EQ(guest_.wasi("fd_filestat_get", fd, end - 63), Errno::fault);
  EXPECT_EQ(guest_.wasi("fd_filestat_get", fd, end - 64), Errno::success);
  EXPECT_EQ(guest_.wasi("fd_filestat_get", 99, buffer), Errno::badf);
}

TEST_F(WasiDescriptor, CloseFreesTheLowestNumber) {
  std::uint32_t first = 0;
  std::uint32_t second = 0;
  ASSERT_EQ(guest_.open("x", first, 4), Errno::success);
  ASSERT_EQ(guest_.open("x", second, 4), Errno::success);
  EXPECT_EQ(first, 5u);
  EXPECT_EQ(second, 6u);
  EXPECT_EQ(guest_.wasi("fd_close", first), Errno::success);
  EXPECT_EQ(guest_.wasi("fd_close", first), Errno::badf);
  std::string got;
  EXPECT_EQ(guest_.read(first, 1, got), Errno::badf);
  EXPECT_EQ(guest_.read(second, 1, got), Errno::success);
  ASSERT_EQ(guest_.open("x", first, 4), Errno::success);
  EXPECT_EQ(first, 5u);
  EXPECT_EQ(guest_.wasi("fd_close", 99), Errno::badf);
}

TEST_F(WasiDescriptor, StandardOutputCanBeClosed) {
  EXPECT_EQ(guest_.wasi("fd_close", 1), Errno::success);
  EXPECT_EQ(guest_.write(1, "x"), Errno::badf);
  FakeGuest neighbour(host_, 1);
  EXPECT_EQ(neighbour.write(1, "x"), Errno::success);
  EXPECT_EQ(guest_.output(), "");
}

TEST_F(WasiDescriptor, Renumber) {
  std::uint32_t fd = 0;
  ASSERT_EQ(guest_.open("x", fd, 4), Errno::success);
  EXPECT_EQ(guest_.wasi("fd_renumber", fd, 0), Errno::success);
  std::string got;
  EXPECT_EQ(guest_.read(0, 5, got), Errno::success);
  EXPECT_EQ(got, "x");
  EXPECT_EQ(guest_.read(fd, 5, got), Errno::badf);
  EXPECT_EQ(guest_.wasi("fd_renumber", 1, 1), Errno::success);
  EXPECT_EQ(guest_.write(1, "still"), Errno::success);
  EXPECT_EQ(guest_.wasi("fd_renumber", 99, 1), Errno::badf);
  EXPECT_EQ(guest_.wasi("fd_renumber", 1, 99), Errno::badf);
  EXPECT_EQ(guest_.wasi("fd_renumber", 1, 0xffffffff), Errno::badf);
}

TEST_F(WasiDescriptor, OpenFilesAreLimited) {
  std::uint32_t fd = 0;
  for (std::uint32_t i = 5; i < 256; ++i) {
    ASSERT_EQ(guest_.open("x", fd, 4), Errno::success) << i;
    ASSERT_EQ(fd, i);
  }
  EXPECT_EQ(guest_.open("x", fd, 4), Errno::mfile);
  EXPECT_EQ(guest_.wasi("fd_close", 100), Errno::success);
  EXPECT_EQ(guest_.open("x", fd, 4), Errno::success);
  EXPECT_EQ(fd, 100u);
  FakeGuest neighbour(host_, 1);
  EXPECT_EQ(neighbour.open("x", fd, 4), Errno::success);
  EXPECT_EQ(fd, 5u);
}

class WasiReaddir : public testing::Test {
 protected:
  static EnvironmentOptions options() {
    EnvironmentOptions made;
    for (int i = 0; i < 40; ++i) {
      made.files.push_back(
          {"/many/" + std::string(static_cast<std::size_t>(i % 7 + 1), 'n') + std::to_string(i),
           ""});
    }
    made.files.push_back({"/many/sub/x", ""});
    return made;
  }
  void SetUp() override { ASSERT_EQ(guest_.open("many", fd_), Errno::success); }
  // As wasi-libc does: asks again from the last whole entry while the buffer comes back full.
  std::vector<std::string> list(std::uint32_t capacity) {
    std::vector<std::string> names;
    std::uint64_t cookie = 0;
    while (names.size() < 1000) {
      guest_.put(buffer + capacity, std::uint8_t{0xee});
      EXPECT_EQ(guest_.wasi("fd_readdir", fd_, buffer, capacity, cookie, result), Errno::success);
      const std::uint32_t used = guest_.u32(result);
      EXPECT_LE(used, capacity);
      EXPECT_EQ(guest_.at<std::uint8_t>(buffer + capacity), 0xee);
      std::uint32_t at = 0;
      while (used - at >= dirent_bytes) {
        const std::uint32_t length = guest_.u32(buffer + at + 16);
        if (used - at - dirent_bytes < length) break;
        cookie = guest_.u64(buffer + at);
        names.push_back(guest_.text(buffer + at + dirent_bytes, length));
        at += dirent_bytes + length;
      }
      if (used < capacity) return names;
      if (at == 0) return {};  // no entry fits
    }
    return names;
  }

  Host host_{options()};
  FakeGuest guest_{host_};
  std::uint32_t fd_ = 0;
};

TEST_F(WasiReaddir, PagesAnySize) {
  const std::vector<std::string> all = list(20'000);
  ASSERT_EQ(all.size(), 43u);
  EXPECT_EQ(all[0], ".");
  EXPECT_EQ(all[1], "..");
  EXPECT_EQ(all[42], "sub");
  EXPECT_TRUE(std::is_sorted(all.begin() + 2, all.end()));
  for (const std::uint32_t capacity : {34u, 35u, 49u, 50u, 51u, 100u, 333u, 4096u}) {
    EXPECT_EQ(list(capacity), all) << capacity;
  }
}

TEST_F(WasiReaddir, CutsTheLastEntry) {
  ASSERT_EQ(guest_.wasi("fd_readdir", fd_, buffer, 10, 0, result), Errno::success);
  EXPECT_EQ(guest_.u32(result), 10u);
  EXPECT_EQ(guest_.at<std::uint8_t>(buffer + 10), 0xee);
  ASSERT_EQ(guest_.wasi("fd_readdir", fd_, buffer, 0, 0, result), Errno::success);
  EXPECT_EQ(guest_.u32(result), 0u);
}

TEST_F(WasiReaddir, EntriesHaveTypes) {
  ASSERT_EQ(guest_.wasi("fd_readdir", fd_, buffer, 100, 42, result), Errno::success);
  EXPECT_EQ(guest_.u32(result), dirent_bytes + 3);
  EXPECT_EQ(guest_.u64(buffer), 43u);
  EXPECT_EQ(guest_.at<FileType>(buffer + 20), FileType::directory);
  std::uint32_t sub = 0;
  const std::uint64_t number = guest_.u64(buffer + 8);
  ASSERT_EQ(guest_.open("sub", sub, fd_), Errno::success);
  ASSERT_EQ(guest_.wasi("fd_filestat_get", sub, buffer), Errno::success);
  EXPECT_EQ(guest_.u64(buffer + 8), number);
}

TEST_F(WasiReaddir, BadArguments) {
  EXPECT_EQ(guest_.wasi("fd_readdir", fd_, end - 9, 10, 0, result), Errno::fault);
  EXPECT_EQ(guest_.wasi("fd_readdir", fd_, 1, 0xffffffff, 0, result), Errno::fault);
  EXPECT_EQ(guest_.wasi("fd_readdir", fd_, buffer, 10, 0, end - 3), Errno::fault);
  ASSERT_EQ(guest_.wasi("fd_readdir", fd_, buffer, 10, -1, result), Errno::success);
  EXPECT_EQ(guest_.u32(result), 0u);
  EXPECT_EQ(guest_.wasi("fd_readdir", 0, buffer, 10, 0, result), Errno::notdir);
  EXPECT_EQ(guest_.wasi("fd_readdir", 99, buffer, 10, 0, result), Errno::badf);
  std::uint32_t sub = 0;
  ASSERT_EQ(guest_.open("sub/x", sub, fd_), Errno::success);
  EXPECT_EQ(guest_.wasi("fd_readdir", sub, buffer, 10, 0, result), Errno::notdir);
}

}  // namespace
}  // namespace warphive::sys::wasi
