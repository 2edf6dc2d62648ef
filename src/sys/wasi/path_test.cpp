// SPDX-License-Identifier: Apache-2.0
// Paths: resolving, and refusing to leave or change the tree.
#include <gtest/gtest.h>

#include "sys/fake_guest.hpp"

namespace warphive::sys::wasi {
namespace {

constexpr std::uint32_t end = FakeGuest::memory_bytes;
constexpr std::uint32_t result = FakeGuest::result_at;
constexpr std::uint32_t buffer = FakeGuest::buffer_at;
constexpr std::uint32_t path_at = FakeGuest::path_at;
constexpr Rights readable = rights::all & ~rights::that_modify;

class WasiPath : public testing::Test {
 protected:
  EnvironmentOptions options() {
    outside_.file("secret", "secret");
    directory_.file("sub/file", "contents");
    std::filesystem::create_symlink("sub/file", directory_.path() / "link");
    std::filesystem::create_symlink(outside_.path() / "secret", directory_.path() / "absolute");
    std::filesystem::create_symlink("../..", directory_.path() / "sub/up");
    EnvironmentOptions made;
    made.directories = {{directory_.path(), "/data"}};
    made.files = {{"/etc/motd", "welcome"}};
    return made;
  }
  Errno open(std::string_view path, std::uint32_t oflags = 0, Rights wanted = readable,
             std::uint32_t directory = 3, std::uint32_t lookup = lookup_symlink_follow) {
    return guest_.open(path, fd_, directory, oflags, wanted, lookup);
  }
  Errno stat(std::string_view path, std::uint32_t flags = lookup_symlink_follow) {
    guest_.put_text(path_at, path);
    return guest_.wasi("path_filestat_get", 3, flags, path_at, path.size(), buffer);
  }

  TemporaryDirectory outside_;
  TemporaryDirectory directory_;
  Host host_{options()};
  FakeGuest guest_{host_};
  std::uint32_t fd_ = 0;
};

TEST_F(WasiPath, OpensFiles) {
  std::string got;
  for (const std::string_view path : {"sub/file", "./sub/../sub/file", "link"}) {
    ASSERT_EQ(open(path), Errno::success) << path;
    EXPECT_EQ(guest_.read(fd_, 100, got), Errno::success);
    EXPECT_EQ(got, "contents");
  }
  ASSERT_EQ(open("etc/motd", 0, readable, 4), Errno::success);
  EXPECT_EQ(guest_.read(fd_, 100, got), Errno::success);
  EXPECT_EQ(got, "welcome");
}

TEST_F(WasiPath, OpensRelativeToOpenedDirectories) {
  ASSERT_EQ(open("sub", oflag_directory), Errno::success);
  const std::uint32_t sub = fd_;
  EXPECT_EQ(open("file", 0, readable, sub), Errno::success);
  EXPECT_EQ(open("../sub/file", 0, readable, sub), Errno::notcapable);
  EXPECT_EQ(open(".", 0, readable, sub), Errno::success);
}

TEST_F(WasiPath, CannotEscape) {
  const std::string outside = outside_.path().filename().string();
  for (const std::string& path :
       {std::string("../") + outside + "/secret", std::string(".."), std::string("/etc/passwd"),
        (outside_.path() / "secret").string(), std::string("sub/../../x"), std::string("absolute"),
        std::string("sub/up"), "sub/up/" + outside + "/secret"}) {
    EXPECT_EQ(open(path), Errno::notcapable) << path;
    EXPECT_EQ(stat(path), Errno::notcapable) << path;
  }
  EXPECT_EQ(open("..", 0, readable, 4), Errno::notcapable);
  EXPECT_EQ(open("/etc/motd", 0, readable, 4), Errno::notcapable);
}

TEST_F(WasiPath, OpenErrors) {
  EXPECT_EQ(open("none"), Errno::noent);
  EXPECT_EQ(open(""), Errno::noent);
  EXPECT_EQ(open("sub/file/"), Errno::notdir);
  EXPECT_EQ(open("sub/file", oflag_directory), Errno::notdir);
  EXPECT_EQ(open("link", 0, readable, 3, 0), Errno::loop);
  EXPECT_EQ(open("sub/file", 0, readable, 0), Errno::notdir);
  EXPECT_EQ(open("sub/file", 0, readable, 99), Errno::badf);
  EXPECT_EQ(open("sub/file", 16), Errno::inval);
  EXPECT_EQ(open(std::string_view("sub\0/file", 9)), Errno::inval);
  EXPECT_EQ(open(std::string(4097, '/')), Errno::nametoolong);
  ASSERT_EQ(open("sub/file"), Errno::success);
  EXPECT_EQ(open("x", 0, readable, fd_), Errno::notdir);
}

TEST_F(WasiPath, OpenForWritingIsRefused) {
  for (const Rights right : {rights::fd_write, rights::fd_allocate, rights::fd_filestat_set_size}) {
    EXPECT_EQ(open("sub/file", 0, right), Errno::rofs);
  }
  EXPECT_EQ(open("sub/file", oflag_trunc), Errno::rofs);
  EXPECT_EQ(open("sub/new", oflag_creat), Errno::rofs);
  EXPECT_EQ(open("sub/new", oflag_creat | oflag_excl, rights::fd_write), Errno::rofs);
  EXPECT_EQ(open("sub/file", oflag_creat | oflag_trunc, rights::fd_write), Errno::rofs);
  EXPECT_EQ(open("sub/file", oflag_creat | oflag_excl), Errno::exist);
  EXPECT_EQ(open("sub", 0, rights::fd_write), Errno::isdir);
  EXPECT_EQ(open("../new", oflag_creat), Errno::notcapable);
  EXPECT_EQ(open("etc/new", oflag_creat, readable, 4), Errno::rofs);
  EXPECT_EQ(open("sub/file", oflag_creat), Errno::success);  // changes nothing
  EXPECT_FALSE(std::filesystem::exists(directory_.path() / "sub/new"));
}

TEST_F(WasiPath, OpenBadPointersOpenNothing) {
  guest_.put_text(path_at, "link");
  EXPECT_EQ(guest_.wasi("path_open", 3, 1, path_at, 4, 0, readable, 0, 0, end - 3), Errno::fault);
  EXPECT_EQ(guest_.wasi("path_open", 3, 1, end - 3, 4, 0, readable, 0, 0, result), Errno::fault);
  EXPECT_EQ(guest_.wasi("path_open", 3, 1, 1, 0xffffffff, 0, readable, 0, 0, result), Errno::fault);
  EXPECT_EQ(guest_.wasi("path_open", 3, 1, path_at, 4, 0, readable, 0, 32, result), Errno::inval);
  ASSERT_EQ(open("link"), Errno::success);
  EXPECT_EQ(fd_, 5u);
}

TEST_F(WasiPath, RightsAreInherited) {
  ASSERT_EQ(guest_.open("sub", fd_, 3, 0, rights::path_open), Errno::success);
  const std::uint32_t sub = fd_;
  EXPECT_EQ(guest_.wasi("fd_readdir", sub, buffer, 100, 0, result), Errno::notcapable);
  ASSERT_EQ(guest_.wasi("fd_fdstat_set_rights", sub, rights::path_open, rights::fd_read),
            Errno::success);
  ASSERT_EQ(open("file", 0, readable, sub), Errno::success);
  EXPECT_EQ(guest_.wasi("fd_tell", fd_, result), Errno::notcapable);
  std::string got;
  EXPECT_EQ(guest_.read(fd_, 1, got), Errno::success);
  ASSERT_EQ(guest_.wasi("fd_fdstat_set_rights", sub, 0, 0), Errno::success);
  EXPECT_EQ(open("file", 0, readable, sub), Errno::notcapable);
}

TEST_F(WasiPath, FilestatFollowsOrNot) {
  ASSERT_EQ(stat("link"), Errno::success);
  EXPECT_EQ(guest_.at<FileType>(buffer + 16), FileType::regular_file);
  EXPECT_EQ(guest_.u64(buffer + 32), 8u);
  ASSERT_EQ(stat("absolute", 0), Errno::success);
  EXPECT_EQ(guest_.at<FileType>(buffer + 16), FileType::symbolic_link);
  ASSERT_EQ(stat("sub"), Errno::success);
  EXPECT_EQ(guest_.at<FileType>(buffer + 16), FileType::directory);
  EXPECT_EQ(stat("none"), Errno::noent);
  guest_.put_text(path_at, "sub");
  EXPECT_EQ(guest_.wasi("path_filestat_get", 3, 0, path_at, 3, end - 63), Errno::fault);
  EXPECT_EQ(guest_.wasi("path_filestat_get", 3, 0, end - 2, 3, buffer), Errno::fault);
  EXPECT_EQ(guest_.wasi("path_filestat_get", 99, 0, path_at, 3, buffer), Errno::badf);
}

TEST_F(WasiPath, Readlink) {
  guest_.put_text(path_at, "link");
  ASSERT_EQ(guest_.wasi("path_readlink", 3, path_at, 4, buffer, 100, result), Errno::success);
  EXPECT_EQ(guest_.u32(result), 8u);
  EXPECT_EQ(guest_.text(buffer, 9), "sub/file\xee");
  ASSERT_EQ(guest_.wasi("path_readlink", 3, path_at, 4, buffer + 20, 3, result), Errno::success);
  EXPECT_EQ(guest_.u32(result), 3u);
  EXPECT_EQ(guest_.text(buffer + 20, 4), "sub\xee");
  EXPECT_EQ(guest_.wasi("path_readlink", 3, path_at, 4, end - 7, 8, result), Errno::fault);
  EXPECT_EQ(guest_.wasi("path_readlink", 3, path_at, 4, buffer, 8, end - 3), Errno::fault);
  guest_.put_text(path_at, "sub");
  EXPECT_EQ(guest_.wasi("path_readlink", 3, path_at, 3, buffer, 100, result), Errno::inval);
}

TEST_F(WasiPath, ChangesAreRefused) {
  guest_.put_text(path_at, "sub/file");
  const std::uint32_t n = 8;
  EXPECT_EQ(guest_.wasi("path_create_directory", 3, path_at, n), Errno::rofs);
  EXPECT_EQ(guest_.wasi("path_remove_directory", 3, path_at, n), Errno::rofs);
  EXPECT_EQ(guest_.wasi("path_unlink_file", 3, path_at, n), Errno::rofs);
  EXPECT_EQ(guest_.wasi("path_filestat_set_times", 3, 0, path_at, n, 0, 0, 0), Errno::rofs);
  EXPECT_EQ(guest_.wasi("path_link", 3, 0, path_at, n, 3, path_at, n), Errno::rofs);
  EXPECT_EQ(guest_.wasi("path_rename", 3, path_at, n, 4, path_at, n), Errno::rofs);
  EXPECT_EQ(guest_.wasi("path_symlink", path_at, n, 3, path_at, n), Errno::rofs);
  EXPECT_TRUE(std::filesystem::exists(directory_.path() / "sub/file"));
}

TEST_F(WasiPath, ChangesCheckTheirArguments) {
  const std::uint32_t bad = end - 3;
  EXPECT_EQ(guest_.wasi("path_create_directory", 3, bad, 4), Errno::fault);
  EXPECT_EQ(guest_.wasi("path_create_directory", 99, path_at, 4), Errno::badf);
  EXPECT_EQ(guest_.wasi("path_create_directory", 1, path_at, 4), Errno::notdir);
  EXPECT_EQ(guest_.wasi("path_remove_directory", 3, bad, 4), Errno::fault);
  EXPECT_EQ(guest_.wasi("path_unlink_file", 3, bad, 4), Errno::fault);
  EXPECT_EQ(guest_.wasi("path_filestat_set_times", 3, 0, bad, 4, 0, 0, 0), Errno::fault);
  EXPECT_EQ(guest_.wasi("path_link", 3, 0, bad, 4, 3, path_at, 4), Errno::fault);
  EXPECT_EQ(guest_.wasi("path_link", 3, 0, path_at, 4, 3, bad, 4), Errno::fault);
  EXPECT_EQ(guest_.wasi("path_link", 3, 0, path_at, 4, 99, path_at, 4), Errno::badf);
  EXPECT_EQ(guest_.wasi("path_rename", 3, bad, 4, 3, path_at, 4), Errno::fault);
  EXPECT_EQ(guest_.wasi("path_rename", 3, path_at, 4, 3, bad, 4), Errno::fault);
  EXPECT_EQ(guest_.wasi("path_rename", 3, path_at, 4, 99, path_at, 4), Errno::badf);
  EXPECT_EQ(guest_.wasi("path_symlink", bad, 4, 3, path_at, 4), Errno::fault);
  EXPECT_EQ(guest_.wasi("path_symlink", path_at, 4, 3, bad, 4), Errno::fault);
  EXPECT_EQ(guest_.wasi("path_symlink", path_at, 4, 99, path_at, 4), Errno::badf);
  EXPECT_EQ(guest_.wasi("path_symlink", 0, 5000, 3, path_at, 4), Errno::nametoolong);
}

}  // namespace
}  // namespace warphive::sys::wasi
