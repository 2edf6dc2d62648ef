// SPDX-License-Identifier: Apache-2.0
#include "hal/cpu/touched_pages.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace warphive::hal::cpu {
namespace {

// PAGEMAP_SCAN (Linux 6.7, Documentation/admin-guide/mm/pagemap.rst): what Debian 12's headers
// lack.
struct ScannedRange {
  std::uint64_t first, last, categories;
};
struct Scan {
  std::uint64_t size, flags, first, last, walked_to, ranges, range_count, most_pages;
  std::uint64_t inverted, all_of, any_of, returned;
};
constexpr std::uint64_t present = 1 << 3;
constexpr std::uint64_t swapped = 1 << 4;
constexpr std::uint64_t shared_zero = 1 << 5;  // was only read

// Bits 63 (present) and 62 (swapped out) of an entry of the file: without either there are no
// bytes.
constexpr int first_touched_bit = 62;

bool all_zero(const std::byte* page, std::uint64_t bytes) {
  return page[0] == std::byte{0} && std::memcmp(page, page + 1, bytes - 1) == 0;
}

}  // namespace

std::uint64_t page_size() {
  static const auto bytes = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  return bytes;
}

TouchedPages::TouchedPages()
    : file_(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC)), process_(getpid()) {}
TouchedPages::~TouchedPages() {
  if (file_ >= 0) close(file_);
}

// The file goes on describing the process that opened it, also in its children.
bool TouchedPages::known() const { return file_ >= 0 && getpid() == process_; }

bool TouchedPages::zero(std::byte* first, std::uint64_t bytes) const {
  return zero_scanned(first, bytes) || zero_listed(first, bytes);
}

bool TouchedPages::zero_scanned(std::byte* first, std::uint64_t bytes) const {
  std::array<ScannedRange, 128> ranges;
  const auto begin = reinterpret_cast<std::uintptr_t>(first);
  Scan scan = {};
  scan.size = sizeof scan;
  scan.last = begin + bytes;
  scan.ranges = reinterpret_cast<std::uintptr_t>(ranges.data());
  scan.range_count = ranges.size();
  scan.inverted = shared_zero;
  scan.all_of = shared_zero;
  scan.any_of = present | swapped;
  scan.returned = present;
  for (std::uint64_t at = begin; at < scan.last; at = scan.walked_to) {
    scan.first = at;
    const int count = ioctl(file_, _IOWR('f', 16, Scan), &scan);
    if (count < 0 || scan.walked_to <= at) return false;
    for (int i = 0; i < count; ++i) {
      const ScannedRange& range = ranges[static_cast<std::size_t>(i)];
      std::memset(first + (range.first - begin), 0, range.last - range.first);
    }
  }
  return true;
}

bool TouchedPages::zero_listed(std::byte* first, std::uint64_t bytes) const {
  std::array<std::uint64_t, 512> entries;
  const std::uint64_t page = page_size();
  std::uint64_t at = reinterpret_cast<std::uintptr_t>(first) / page;
  std::uint64_t left = bytes / page;
  while (left != 0) {
    const std::size_t wanted = std::min<std::uint64_t>(left, entries.size()) * sizeof entries[0];
    const ssize_t got =
        pread(file_, entries.data(), wanted, static_cast<off_t>(at * sizeof entries[0]));
    if (got < static_cast<ssize_t>(sizeof entries[0])) return false;
    const std::uint64_t count = static_cast<std::uint64_t>(got) / sizeof entries[0];
    for (std::uint64_t i = 0; i < count; ++i, first += page) {
      // What was only read has a page that all share: writing would make one.
      if (entries[i] >> first_touched_bit != 0 && !all_zero(first, page)) {
        std::memset(first, 0, page);
      }
    }
    at += count;
    left -= count;
  }
  return true;
}

}  // namespace warphive::hal::cpu
