// SPDX-License-Identifier: Apache-2.0
// Memory that a front process and its worker have at the same address.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>

#include "hal/worker/socket.hpp"
#include "warphive/error.hpp"

namespace warphive::hal::worker {

/// Address space alone until it is touched. The front takes ranges of it; the worker sees them all.
class Area {
 public:
  /// In a front process. Error unavailable where the system refuses.
  static Result<std::unique_ptr<Area>> create();
  /// In a worker: an area of that many bytes at that place. Error unavailable where it is taken.
  static Result<std::unique_ptr<Area>> map(Descriptor file, std::byte* base, std::uint64_t bytes);
  ~Area();
  Area(const Area&) = delete;
  Area& operator=(const Area&) = delete;

  /// Whole pages of zeros; empty where there is no room. Thread-safe, as is the next.
  std::span<std::byte> take(std::uint64_t bytes);
  /// Gives the memory back to the system too.
  void give_back(std::span<std::byte> range);
  [[nodiscard]] bool contains(const std::byte* first, std::uint64_t bytes) const;
  [[nodiscard]] int file() const { return file_.get(); }
  [[nodiscard]] std::byte* base() const { return base_; }
  [[nodiscard]] std::uint64_t size() const { return bytes_; }

 private:
  Area(Descriptor file, std::byte* base, std::uint64_t bytes);
  Descriptor file_;
  std::byte* base_;
  std::uint64_t bytes_;
  std::mutex mutex_;                             // guards what follows
  std::map<std::uint64_t, std::uint64_t> free_;  // offset and bytes; neighbours are one
};

/// As a range of an area: it is given back at the end.
class AreaRange {
 public:
  AreaRange(Area& area, std::uint64_t bytes) : area_(area), range_(area.take(bytes)) {}
  ~AreaRange() { area_.give_back(range_); }
  AreaRange(const AreaRange&) = delete;
  AreaRange& operator=(const AreaRange&) = delete;
  [[nodiscard]] std::span<std::byte> get() const { return range_; }

 private:
  Area& area_;
  std::span<std::byte> range_;
};

}  // namespace warphive::hal::worker
