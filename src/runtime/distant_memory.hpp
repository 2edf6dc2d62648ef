// SPDX-License-Identifier: Apache-2.0
// Guest memories of an array of host calls, on a device whose memory the host does not see.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "hal/device.hpp"
#include "kernels/params.hpp"
#include "sys/service.hpp"
#include "warphive/error.hpp"

namespace warphive::runtime {

/// Runs moves between instances and `flat`, all at once, and returns when they are done.
using Mover = std::function<Status(hal::KernelId, std::span<const kernels::Move>, std::byte* flat,
                                   std::uint64_t flat_bytes)>;

/// Bytes of many instances on their way to a device, in pieces of a bounded size. What is written
/// to one place twice between two flushes arrives in no particular order.
class Scatter {
 public:
  explicit Scatter(Mover mover) : mover_(std::move(mover)) {}
  Status add(abi::LaneRef lane, kernels::Range range, std::uint64_t offset,
             std::span<const std::byte> from);
  Status flush();

 private:
  Mover mover_;
  std::vector<kernels::Move> moves_;
  std::vector<std::byte> flat_;
};

/// Reads are fetched for as many calls at once as can be foretold: from what a function is known to
/// read, else from the reads of calls before it. Writes are kept until they are taken. One thread
/// at a time.
class DistantMemories {
 public:
  /// `scatter` takes what was written: borrowed.
  DistantMemories(Mover mover, Scatter& scatter) : mover_(std::move(mover)), scatter_(scatter) {}
  DistantMemories(const DistantMemories&) = delete;
  DistantMemories& operator=(const DistantMemories&) = delete;

  /// Begins an array of calls. `bytes_each`: how much of what one call is said to read is fetched
  /// ahead.
  void begin(std::size_t calls, const sys::GuestReads& reads, std::uint64_t bytes_each);
  /// Of the next call: `bytes` from `start` on in its memory range. `values` are its arguments.
  void add(abi::LaneRef lane, std::uint64_t start, std::uint64_t bytes,
           std::span<const std::uint64_t> values);
  [[nodiscard]] sys::GuestMemory& of(std::size_t call) { return views_[call]; }
  /// Ends the array: what was written, and is not there yet, goes to the scatter. The first error
  /// of the device, if there was one.
  Status finish();

 private:
  /// A part of a guest's memory that is in `bytes_`.
  struct Segment {
    std::uint64_t address;
    std::uint64_t bytes;
    std::uint64_t at;
    bool written;
    bool foretold;  // from an earlier call's read, and not yet used
    [[nodiscard]] std::uint64_t end() const { return address + bytes; }
  };
  class View final : public sys::GuestMemory {
   public:
    [[nodiscard]] std::uint64_t size() const override { return bytes; }
    [[nodiscard]] bool read(std::uint64_t address, std::span<std::byte> to) const override {
      return fits(address, to.size()) && (to.empty() || owner->read(index, address, to));
    }
    [[nodiscard]] bool write(std::uint64_t address, std::span<const std::byte> from) override {
      return fits(address, from.size()) && (from.empty() || owner->write(index, address, from));
    }
    [[nodiscard]] bool fits(std::uint64_t address, std::uint64_t count) const {
      return count <= bytes && address <= bytes - count;
    }

    DistantMemories* owner = nullptr;
    std::size_t index = 0;
    abi::LaneRef lane = {};
    std::uint64_t start = 0;
    std::uint64_t bytes = 0;
    std::span<const std::uint64_t> values;
    std::vector<Segment> segments;  // sorted, apart from each other
  };
  /// A fetch that is to be made.
  struct Want {
    std::size_t view;
    std::uint64_t address;
    bool foretold;
  };

  bool read(std::size_t index, std::uint64_t address, std::span<std::byte> to);
  bool write(std::size_t index, std::uint64_t address, std::span<const std::byte> from);
  /// False where some of it is not here.
  bool copy_out(View& view, std::uint64_t address, std::span<std::byte> to);
  bool read_long(const View& view, std::uint64_t address, std::span<std::byte> to);
  bool write_long(const View& view, std::uint64_t address, std::span<const std::byte> from);
  /// Asks for what is not here of a range. The part of it that leaves memory is left out.
  void want(std::size_t index, std::uint64_t address, std::uint64_t bytes, bool foretold);
  bool fetch_wanted();
  /// What the calls from `first` on are said to read, as far as it may be fetched at once.
  bool fetch_expected(std::size_t first);
  void want_pairs(std::size_t index);
  /// The same read of calls that come after it.
  void want_alike(std::size_t index, std::uint64_t address, std::uint64_t bytes);
  /// Sends what was written and forgets what was read, so that there is room.
  bool make_room(std::uint64_t bytes);
  Status take_writes();
  /// Keeps the first error for finish(). False where the status is one.
  bool keep(Status status);
  [[nodiscard]] std::uint64_t held() const { return bytes_.size() + wanted_bytes_; }

  Mover mover_;
  Scatter& scatter_;
  sys::GuestReads reads_;
  std::uint64_t bytes_each_ = 0;
  std::size_t count_ = 0;
  std::size_t expected_begin_ = 0;  // calls whose expected reads were fetched
  std::size_t expected_end_ = 0;
  std::uint32_t guesses_ = 0;  // that may still be made
  std::vector<View> views_;
  std::vector<std::byte> bytes_;
  std::vector<Want> wants_;
  std::vector<kernels::Move> moves_;  // of wants_
  std::uint64_t wanted_bytes_ = 0;
  Status status_;
};

}  // namespace warphive::runtime
