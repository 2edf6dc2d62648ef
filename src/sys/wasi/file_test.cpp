// SPDX-License-Identifier: Apache-2.0
// Reading, writing and positions.
#include <gtest/gtest.h>

#include <limits>

#include "sys/fake_guest.hpp"

namespace warphive::sys::wasi {
namespace {

constexpr std::uint32_t end = FakeGuest::memory_bytes;
constexpr std::uint32_t result = FakeGuest::result_at;
constexpr std::uint32_t vectors = FakeGuest::vector_at;
constexpr std::uint32_t buffer = FakeGuest::buffer_at;

class WasiFile : public testing::Test {
 protected:
  static EnvironmentOptions options() {
    EnvironmentOptions made;
    made.files = {{"/f", "0123456789"}, {"/d/g", "g"}};
    made.stdin_source = [](std::uint64_t ordinal) {
      return "input of " + std::to_string(ordinal) + "\n";
    };
    return made;
  }
  void SetUp() override {
    ASSERT_EQ(guest_.open("f", file_), Errno::success);
    ASSERT_EQ(guest_.open("d", directory_), Errno::success);
  }
  Errno seek(std::int64_t offset, std::uint32_t whence) {
    return guest_.wasi("fd_seek", file_, offset, whence, result);
  }

  Host host_{options()};
  FakeGuest guest_{host_};
  std::uint32_t file_ = 0;
  std::uint32_t directory_ = 0;
  std::string got_;
};

TEST_F(WasiFile, WriteGoesToOutAndErr) {
  EXPECT_EQ(guest_.write(1, "out"), Errno::success);
  EXPECT_EQ(guest_.u32(result), 3u);
  EXPECT_EQ(guest_.write(2, "err"), Errno::success);
  EXPECT_EQ(guest_.write(1, "put"), Errno::success);
  EXPECT_EQ(guest_.output(), "output");
  EXPECT_EQ(guest_.errors(), "err");
}

TEST_F(WasiFile, WriteGathers) {
  guest_.put_text(buffer, "abcdef");
  guest_.put_vector(vectors, buffer + 4, 2);
  guest_.put_vector(vectors + 8, end, 0);
  guest_.put_vector(vectors + 16, buffer, 3);
  ASSERT_EQ(guest_.wasi("fd_write", 1, vectors, 3, result), Errno::success);
  EXPECT_EQ(guest_.u32(result), 5u);
  EXPECT_EQ(guest_.output(), "efabc");
}

TEST_F(WasiFile, WriteBeyondCapacityIsDroppedButCounted) {
  FakeGuest small(host_, 1, 4);
  EXPECT_EQ(small.write(1, "abcdef"), Errno::success);
  EXPECT_EQ(small.u32(result), 6u);
  EXPECT_EQ(small.output(), "abcd");
  EXPECT_EQ(small.header.truncated, truncated_out);
  EXPECT_EQ(small.write(1, "x"), Errno::success);
  EXPECT_EQ(small.u32(result), 1u);
  EXPECT_EQ(small.write(2, "fits"), Errno::success);
  EXPECT_EQ(small.header.truncated, truncated_out);
}

TEST_F(WasiFile, WriteChecksEverythingFirst) {
  guest_.put_vector(vectors, buffer, 4);
  guest_.put_vector(vectors + 8, end - 1, 2);
  EXPECT_EQ(guest_.wasi("fd_write", 1, vectors, 2, result), Errno::fault);
  EXPECT_EQ(guest_.wasi("fd_write", 1, end - 7, 1, result), Errno::fault);
  EXPECT_EQ(guest_.wasi("fd_write", 1, vectors, 1, end - 3), Errno::fault);
  guest_.put_vector(vectors, 0xffffffff, 0xffffffff);
  EXPECT_EQ(guest_.wasi("fd_write", 1, vectors, 1, result), Errno::fault);
  EXPECT_EQ(guest_.wasi("fd_write", 1, 0, 0xffffffff, result), Errno::inval);
  EXPECT_EQ(guest_.wasi("fd_write", 1, 0, 1025, result), Errno::inval);
  EXPECT_EQ(guest_.output(), "");
  guest_.put_vector(vectors, end - 4, 4);
  EXPECT_EQ(guest_.wasi("fd_write", 1, vectors, 1, end - 4), Errno::success);
  EXPECT_EQ(guest_.header.out_size, 4u);
  EXPECT_EQ(guest_.wasi("fd_write", 1, vectors, 0, result), Errno::success);
  EXPECT_EQ(guest_.u32(result), 0u);
}

TEST_F(WasiFile, WriteTotalsThatDoNotFitAreRefused) {
  // A memory of 16 MiB named 512 times is 8 GiB.
  FakeGuest large(host_, 1, 16, 1u << 24);
  for (std::uint32_t i = 0; i < 512; ++i) large.put_vector(1024 + 8 * i, 0, 1u << 24);
  EXPECT_EQ(large.wasi("fd_write", 1, 1024, 512, result), Errno::inval);
  EXPECT_EQ(large.wasi("fd_write", 1, 1024, 255, result), Errno::success);
  EXPECT_EQ(large.u32(result), 255u << 24);
}

TEST_F(WasiFile, WriteElsewhereIsRefused) {
  EXPECT_EQ(guest_.write(0, "x"), Errno::badf);
  EXPECT_EQ(guest_.write(file_, "x"), Errno::rofs);
  EXPECT_EQ(guest_.write(directory_, "x"), Errno::isdir);
  EXPECT_EQ(guest_.write(99, "x"), Errno::badf);
  EXPECT_EQ(guest_.write(0xffffffff, "x"), Errno::badf);
  EXPECT_EQ(guest_.wasi("fd_pwrite", file_, vectors, 0, 0, result), Errno::rofs);
  EXPECT_EQ(guest_.wasi("fd_pwrite", 1, vectors, 0, 0, result), Errno::spipe);
  EXPECT_EQ(guest_.wasi("fd_pwrite", directory_, vectors, 0, 0, result), Errno::isdir);
  EXPECT_EQ(guest_.wasi("fd_pwrite", 99, vectors, 0, 0, result), Errno::badf);
}

TEST_F(WasiFile, ReadMovesThePosition) {
  EXPECT_EQ(guest_.read(file_, 4, got_), Errno::success);
  EXPECT_EQ(got_, "0123");
  EXPECT_EQ(guest_.read(file_, 0, got_), Errno::success);
  EXPECT_EQ(guest_.read(file_, 100, got_), Errno::success);
  EXPECT_EQ(got_, "456789");
  EXPECT_EQ(guest_.read(file_, 100, got_), Errno::success);
  EXPECT_EQ(got_, "");
}

TEST_F(WasiFile, ReadScatters) {
  guest_.put_vector(vectors, buffer + 10, 2);
  guest_.put_vector(vectors + 8, buffer, 0);
  guest_.put_vector(vectors + 16, buffer, 20);
  ASSERT_EQ(guest_.wasi("fd_read", file_, vectors, 3, result), Errno::success);
  EXPECT_EQ(guest_.u32(result), 10u);
  EXPECT_EQ(guest_.text(buffer, 8), "23456789");
  EXPECT_EQ(guest_.text(buffer + 10, 2), "01");
}

TEST_F(WasiFile, ReadChecksEverythingFirst) {
  guest_.put_vector(vectors, buffer, 2);
  guest_.put_vector(vectors + 8, end - 1, 2);
  EXPECT_EQ(guest_.wasi("fd_read", file_, vectors, 2, result), Errno::fault);
  EXPECT_EQ(guest_.wasi("fd_read", file_, vectors, 1, end - 3), Errno::fault);
  EXPECT_EQ(guest_.wasi("fd_read", file_, end - 7, 1, result), Errno::fault);
  EXPECT_EQ(guest_.wasi("fd_read", file_, vectors, 1025, result), Errno::inval);
  EXPECT_EQ(guest_.wasi("fd_read", 0, vectors, 2, result), Errno::fault);
  EXPECT_EQ(guest_.header.in_read, 0u);
  EXPECT_EQ(guest_.text(buffer, 2), "\xee\xee");
  EXPECT_EQ(guest_.read(file_, 3, got_), Errno::success);
  EXPECT_EQ(got_, "012");
}

TEST_F(WasiFile, ReadElsewhereIsRefused) {
  EXPECT_EQ(guest_.read(1, 1, got_), Errno::badf);
  EXPECT_EQ(guest_.read(2, 1, got_), Errno::badf);
  EXPECT_EQ(guest_.read(directory_, 1, got_), Errno::isdir);
  EXPECT_EQ(guest_.read(99, 1, got_), Errno::badf);
}

TEST_F(WasiFile, StandardInput) {
  EXPECT_EQ(guest_.read(0, 6, got_), Errno::success);
  EXPECT_EQ(got_, "input ");
  EXPECT_EQ(guest_.header.in_read, 6u);
  EXPECT_EQ(guest_.read(0, 60, got_), Errno::success);
  EXPECT_EQ(got_, "of 0\n");
  EXPECT_EQ(guest_.read(0, 60, got_), Errno::success);
  EXPECT_EQ(got_, "");
  guest_.header.in_read = 9;  // as if restored from a snapshot
  EXPECT_EQ(guest_.read(0, 60, got_), Errno::success);
  EXPECT_EQ(got_, "0\n");
  guest_.header.in_read = std::numeric_limits<std::uint32_t>::max();
  EXPECT_EQ(guest_.read(0, 60, got_), Errno::success);
  EXPECT_EQ(got_, "");
}

TEST_F(WasiFile, Pread) {
  guest_.put_vector(vectors, buffer, 4);
  ASSERT_EQ(guest_.wasi("fd_pread", file_, vectors, 1, 8, result), Errno::success);
  EXPECT_EQ(guest_.u32(result), 2u);
  EXPECT_EQ(guest_.text(buffer, 2), "89");
  ASSERT_EQ(guest_.wasi("fd_pread", file_, vectors, 1, 10, result), Errno::success);
  EXPECT_EQ(guest_.u32(result), 0u);
  EXPECT_EQ(
      guest_.wasi("fd_pread", file_, vectors, 1, std::numeric_limits<std::int64_t>::max(), result),
      Errno::success);
  EXPECT_EQ(guest_.wasi("fd_pread", file_, vectors, 1, -1, result), Errno::inval);
  EXPECT_EQ(guest_.wasi("fd_pread", file_, vectors, 1, 0, end - 3), Errno::fault);
  EXPECT_EQ(guest_.wasi("fd_pread", file_, end - 7, 1, 0, result), Errno::fault);
  EXPECT_EQ(guest_.wasi("fd_pread", 0, vectors, 1, 0, result), Errno::spipe);
  EXPECT_EQ(guest_.wasi("fd_pread", 1, vectors, 1, 0, result), Errno::spipe);
  EXPECT_EQ(guest_.wasi("fd_pread", directory_, vectors, 1, 0, result), Errno::isdir);
  EXPECT_EQ(guest_.wasi("fd_pread", 99, vectors, 1, 0, result), Errno::badf);
  EXPECT_EQ(guest_.read(file_, 3, got_), Errno::success);
  EXPECT_EQ(got_, "012");  // the position did not move
}

TEST_F(WasiFile, Seek) {
  ASSERT_EQ(seek(4, whence_set), Errno::success);
  EXPECT_EQ(guest_.u64(result), 4u);
  ASSERT_EQ(seek(3, whence_cur), Errno::success);
  EXPECT_EQ(guest_.u64(result), 7u);
  ASSERT_EQ(seek(-5, whence_cur), Errno::success);
  EXPECT_EQ(guest_.u64(result), 2u);
  ASSERT_EQ(seek(-1, whence_end), Errno::success);
  EXPECT_EQ(guest_.u64(result), 9u);
  EXPECT_EQ(guest_.read(file_, 5, got_), Errno::success);
  EXPECT_EQ(got_, "9");
  ASSERT_EQ(seek(90, whence_end), Errno::success);
  EXPECT_EQ(guest_.u64(result), 100u);
  EXPECT_EQ(guest_.read(file_, 5, got_), Errno::success);
  EXPECT_EQ(got_, "");
  ASSERT_EQ(guest_.wasi("fd_tell", file_, result), Errno::success);
  EXPECT_EQ(guest_.u64(result), 100u);
}

TEST_F(WasiFile, SeekEdges) {
  constexpr auto largest = std::numeric_limits<std::int64_t>::max();
  constexpr auto smallest = std::numeric_limits<std::int64_t>::min();
  EXPECT_EQ(seek(-1, whence_set), Errno::inval);
  EXPECT_EQ(seek(-11, whence_end), Errno::inval);
  EXPECT_EQ(seek(smallest, whence_cur), Errno::inval);
  EXPECT_EQ(seek(smallest, whence_set), Errno::inval);
  EXPECT_EQ(seek(0, 3), Errno::inval);
  EXPECT_EQ(seek(largest, whence_set), Errno::success);
  EXPECT_EQ(seek(1, whence_cur), Errno::inval);
  EXPECT_EQ(seek(largest, whence_cur), Errno::inval);
  EXPECT_EQ(seek(largest, whence_end), Errno::inval);
  EXPECT_EQ(guest_.read(file_, 5, got_), Errno::success);
  EXPECT_EQ(got_, "");
  ASSERT_EQ(guest_.wasi("fd_tell", file_, result), Errno::success);
  EXPECT_EQ(guest_.u64(result), static_cast<std::uint64_t>(largest));
  EXPECT_EQ(guest_.wasi("fd_seek", file_, 0, whence_set, end - 7), Errno::fault);
  EXPECT_EQ(guest_.wasi("fd_tell", file_, end - 7), Errno::fault);
  ASSERT_EQ(guest_.wasi("fd_tell", file_, result), Errno::success);
  EXPECT_EQ(guest_.u64(result), static_cast<std::uint64_t>(largest));  // the bad call did nothing
  EXPECT_EQ(guest_.wasi("fd_seek", 1, 0, whence_cur, result), Errno::spipe);
  EXPECT_EQ(guest_.wasi("fd_seek", directory_, 0, whence_cur, result), Errno::badf);
  EXPECT_EQ(guest_.wasi("fd_seek", 99, 0, whence_cur, result), Errno::badf);
  EXPECT_EQ(guest_.wasi("fd_tell", 0, result), Errno::spipe);
}

TEST_F(WasiFile, RightsCanBeGivenUp) {
  ASSERT_EQ(guest_.wasi("fd_fdstat_set_rights", file_, rights::fd_read | rights::fd_tell, 0),
            Errno::success);
  EXPECT_EQ(seek(1, whence_set), Errno::notcapable);
  EXPECT_EQ(seek(0, whence_cur), Errno::success);
  EXPECT_EQ(guest_.read(file_, 1, got_), Errno::success);
  EXPECT_EQ(guest_.wasi("fd_fdstat_set_rights", file_, rights::fd_seek, 0), Errno::notcapable);
  ASSERT_EQ(guest_.wasi("fd_fdstat_set_rights", file_, 0, 0), Errno::success);
  EXPECT_EQ(guest_.read(file_, 1, got_), Errno::notcapable);
  EXPECT_EQ(guest_.wasi("fd_pread", file_, vectors, 1, 0, result), Errno::notcapable);
  EXPECT_EQ(guest_.wasi("fd_tell", file_, result), Errno::notcapable);
  EXPECT_EQ(guest_.wasi("fd_filestat_get", file_, buffer), Errno::notcapable);
  ASSERT_EQ(guest_.wasi("fd_fdstat_set_rights", 1, 0, 0), Errno::success);
  EXPECT_EQ(guest_.write(1, "x"), Errno::notcapable);
}

TEST_F(WasiFile, ChangesAreRefused) {
  EXPECT_EQ(guest_.wasi("fd_allocate", file_, 0, 10), Errno::rofs);
  EXPECT_EQ(guest_.wasi("fd_allocate", 1, 0, 10), Errno::spipe);
  EXPECT_EQ(guest_.wasi("fd_allocate", directory_, 0, 10), Errno::badf);
  EXPECT_EQ(guest_.wasi("fd_allocate", 99, 0, 10), Errno::badf);
  EXPECT_EQ(guest_.wasi("fd_filestat_set_size", file_, 0), Errno::rofs);
  EXPECT_EQ(guest_.wasi("fd_filestat_set_size", 1, 0), Errno::inval);
  EXPECT_EQ(guest_.wasi("fd_filestat_set_size", 99, 0), Errno::badf);
  EXPECT_EQ(guest_.wasi("fd_filestat_set_times", file_, 0, 0, 0), Errno::rofs);
  EXPECT_EQ(guest_.wasi("fd_filestat_set_times", directory_, 0, 0, 0), Errno::rofs);
  EXPECT_EQ(guest_.wasi("fd_filestat_set_times", 99, 0, 0, 0), Errno::badf);
}

TEST_F(WasiFile, AdviceAndSync) {
  EXPECT_EQ(guest_.wasi("fd_advise", file_, 0, 10, 5), Errno::success);
  EXPECT_EQ(guest_.wasi("fd_advise", file_, 0, 10, 6), Errno::inval);
  EXPECT_EQ(guest_.wasi("fd_advise", 1, 0, 10, 0), Errno::spipe);
  EXPECT_EQ(guest_.wasi("fd_advise", directory_, 0, 10, 0), Errno::badf);
  EXPECT_EQ(guest_.wasi("fd_sync", file_), Errno::success);
  EXPECT_EQ(guest_.wasi("fd_datasync", 1), Errno::success);
  EXPECT_EQ(guest_.wasi("fd_sync", 99), Errno::badf);
  EXPECT_EQ(guest_.wasi("fd_datasync", 99), Errno::badf);
}

TEST_F(WasiFile, NeedsNoContiguousMemory) {
  std::vector<std::byte> tile(32 * 4096, std::byte{0x55});
  InterleavedMemory memory(tile, 3, 4096);
  guest_.other_memory = &memory;
  const std::uint32_t list[] = {1001, 5, 1500, 100};
  ASSERT_TRUE(memory.write(501, std::as_bytes(std::span(list))));
  ASSERT_EQ(guest_.wasi("fd_read", file_, 501, 2, 2001), Errno::success);
  std::string text(5, ' ');
  ASSERT_TRUE(memory.read(1500, std::as_writable_bytes(std::span(text))));
  EXPECT_EQ(text, "56789");
  ASSERT_EQ(guest_.wasi("fd_write", 1, 501, 1, 2001), Errno::success);
  EXPECT_EQ(guest_.output(), "01234");
  EXPECT_EQ(guest_.wasi("fd_read", file_, 4089, 1, 0), Errno::fault);
  for (std::size_t i = 0; i < tile.size(); ++i) {
    if (i / 4 % 32 == 3) continue;
    ASSERT_EQ(tile[i], std::byte{0x55}) << i;  // the neighbours' words
  }
}

TEST(WasiFileHost, LongFilesCrossPieces) {
  std::string text;
  while (text.size() < 300'000) text += std::to_string(text.size()) + " ";
  TemporaryDirectory directory;
  directory.file("long", text);
  EnvironmentOptions options;
  options.directories = {{directory.path(), "/data"}};
  Host host(options);
  FakeGuest guest(host, 0, 0, 1u << 20);
  std::uint32_t fd = 0;
  ASSERT_EQ(guest.open("long", fd), Errno::success);
  std::string got;
  ASSERT_EQ(guest.read(fd, 500'000, got), Errno::success);
  EXPECT_EQ(got, text);
  ASSERT_EQ(guest.wasi("fd_seek", fd, -3, whence_end, result), Errno::success);
  EXPECT_EQ(guest.u64(result), text.size() - 3);
}

TEST(WasiFileWithoutMemory, EverythingFaults) {
  Host host;
  FakeGuest guest(host, 0, 16, 0);
  EXPECT_EQ(guest.wasi("fd_write", 1, 0, 1, 0), Errno::fault);
  EXPECT_EQ(guest.wasi("fd_read", 0, 0, 1, 0), Errno::fault);
  EXPECT_EQ(guest.wasi("fd_fdstat_get", 0, 0), Errno::fault);
  EXPECT_EQ(guest.wasi("clock_time_get", 0, 0, 0), Errno::fault);
}

}  // namespace
}  // namespace warphive::sys::wasi
