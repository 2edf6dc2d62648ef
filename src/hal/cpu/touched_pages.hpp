// SPDX-License-Identifier: Apache-2.0
// Zeroing of large mappings of which little was ever touched.
#pragma once

#include <cstddef>
#include <cstdint>

namespace warphive::hal::cpu {

std::uint64_t page_size();

/// Which pages of this process have memory (Linux, proc_pid_pagemap). Thread-safe.
class TouchedPages {
 public:
  TouchedPages();
  ~TouchedPages();
  TouchedPages(const TouchedPages&) = delete;
  TouchedPages& operator=(const TouchedPages&) = delete;

  /// Whether the system tells this process.
  [[nodiscard]] bool known() const;
  /// Zeroes whole pages of an anonymous private mapping; what was never touched stays so. False
  /// where the system does not tell: then some are left.
  [[nodiscard]] bool zero(std::byte* first, std::uint64_t bytes) const;
  /// The same as Linux 6.7 and later tell it, and as each does.
  [[nodiscard]] bool zero_scanned(std::byte* first, std::uint64_t bytes) const;
  [[nodiscard]] bool zero_listed(std::byte* first, std::uint64_t bytes) const;

 private:
  int file_;
  int process_;
};

}  // namespace warphive::hal::cpu
