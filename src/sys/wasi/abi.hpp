// SPDX-License-Identifier: Apache-2.0
// Numbers and layouts of WASI preview 1, as in wasi-libc's <wasi/api.h>. Everything is
// little-endian; structures are written field by field at the offsets given here.
#pragma once

#include <cstdint>

namespace warphive::sys::wasi {

enum class Errno : std::uint16_t {
  success = 0,
  acces = 2,
  again = 6,
  badf = 8,
  exist = 20,
  fault = 21,
  intr = 27,
  inval = 28,
  io = 29,
  isdir = 31,
  loop = 32,
  mfile = 33,
  nametoolong = 37,
  nfile = 41,
  noent = 44,
  nomem = 48,
  nospc = 51,
  nosys = 52,
  notdir = 54,
  notsup = 58,
  overflow = 61,
  perm = 63,
  pipe = 64,
  rofs = 69,
  spipe = 70,
  notcapable = 76,
};

/// The guest's word for an errno of the host; io for what has none here.
Errno from_host_errno(int host_errno);

enum class FileType : std::uint8_t {
  unknown = 0,
  block_device = 1,
  character_device = 2,
  directory = 3,
  regular_file = 4,
  socket_dgram = 5,
  socket_stream = 6,
  symbolic_link = 7,
};

enum class ClockId : std::uint32_t { realtime = 0, monotonic = 1, process_cpu = 2, thread_cpu = 3 };
inline constexpr std::uint32_t clock_count = 4;

using Rights = std::uint64_t;
namespace rights {
inline constexpr Rights fd_datasync = 1u << 0;
inline constexpr Rights fd_read = 1u << 1;
inline constexpr Rights fd_seek = 1u << 2;
inline constexpr Rights fd_fdstat_set_flags = 1u << 3;
inline constexpr Rights fd_sync = 1u << 4;
inline constexpr Rights fd_tell = 1u << 5;
inline constexpr Rights fd_write = 1u << 6;
inline constexpr Rights fd_advise = 1u << 7;
inline constexpr Rights fd_allocate = 1u << 8;
inline constexpr Rights path_open = 1u << 13;
inline constexpr Rights fd_readdir = 1u << 14;
inline constexpr Rights path_readlink = 1u << 15;
inline constexpr Rights path_filestat_get = 1u << 18;
inline constexpr Rights fd_filestat_get = 1u << 21;
inline constexpr Rights fd_filestat_set_size = 1u << 22;
inline constexpr Rights poll_fd_readwrite = 1u << 27;
inline constexpr Rights all = (1u << 30) - 1;

inline constexpr Rights of_input =
    fd_read | fd_fdstat_set_flags | fd_filestat_get | poll_fd_readwrite;
inline constexpr Rights of_output =
    fd_write | fd_fdstat_set_flags | fd_filestat_get | fd_sync | fd_datasync | poll_fd_readwrite;
inline constexpr Rights of_file = fd_read | fd_seek | fd_tell | fd_advise | fd_filestat_get |
                                  fd_fdstat_set_flags | fd_sync | fd_datasync | poll_fd_readwrite;
inline constexpr Rights of_directory = path_open | fd_readdir | path_readlink | path_filestat_get |
                                       fd_filestat_get | fd_fdstat_set_flags | fd_sync |
                                       fd_datasync;
// What asks to change a file. wasi-libc derives what it asks for from what a directory passes on,
// so directories pass these on too: else opening for writing would seem to succeed.
inline constexpr Rights that_modify = fd_write | fd_allocate | fd_filestat_set_size;
}  // namespace rights

inline constexpr std::uint32_t lookup_symlink_follow = 1;

inline constexpr std::uint32_t oflag_creat = 1;
inline constexpr std::uint32_t oflag_directory = 2;
inline constexpr std::uint32_t oflag_excl = 4;
inline constexpr std::uint32_t oflag_trunc = 8;
inline constexpr std::uint32_t oflags_all = 15;

inline constexpr std::uint32_t fdflag_append = 1;
inline constexpr std::uint32_t fdflag_nonblock = 4;
inline constexpr std::uint32_t fdflags_all = 31;

inline constexpr std::uint32_t whence_set = 0;
inline constexpr std::uint32_t whence_cur = 1;
inline constexpr std::uint32_t whence_end = 2;

inline constexpr std::uint32_t advice_count = 6;

inline constexpr std::uint32_t iovec_bytes = 8;  // buf u32, buf_len u32
inline constexpr std::uint32_t fdstat_bytes = 24;
inline constexpr std::uint32_t filestat_bytes = 64;
inline constexpr std::uint32_t prestat_bytes = 8;
inline constexpr std::uint32_t dirent_bytes = 24;
inline constexpr std::uint32_t subscription_bytes = 48;
inline constexpr std::uint32_t event_bytes = 32;

inline constexpr std::uint8_t event_clock = 0;
inline constexpr std::uint8_t event_fd_read = 1;
inline constexpr std::uint8_t event_fd_write = 2;
inline constexpr std::uint16_t subclock_abstime = 1;

}  // namespace warphive::sys::wasi
