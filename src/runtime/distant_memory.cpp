// SPDX-License-Identifier: Apache-2.0
#include "runtime/distant_memory.hpp"

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/result.hpp"

namespace warphive::runtime {
namespace {

// Bounds on what lies on the host's side at a time, whatever guests ask for.
constexpr std::uint64_t scatter_bytes = std::uint64_t{16} << 20;
constexpr std::uint64_t held_bytes = std::uint64_t{32} << 20;
constexpr std::uint64_t ahead_bytes = held_bytes / 2;  // fetched before it was asked for
constexpr std::size_t ahead_moves = 65536;
// Longer transfers go past what is held.
constexpr std::uint64_t long_bytes = std::uint64_t{1} << 20;
// A read that nobody expected brings what lies behind it too.
constexpr std::uint64_t least_fetch = 256;
// An argument this close below an address is what the address was made from.
constexpr std::uint64_t near_bytes = 65536;
// Reads of other calls are guessed until that many guesses in a row were of no use.
constexpr std::uint32_t most_guesses = 64;

std::uint32_t address_in(std::uint64_t value) { return static_cast<std::uint32_t>(value); }

}  // namespace

Status Scatter::add(abi::LaneRef lane, kernels::Range range, std::uint64_t offset,
                    std::span<const std::byte> from) {
  while (!from.empty()) {
    if (flat_.size() >= scatter_bytes) WARPHIVE_TRY(flush());
    const auto part = from.first(std::min<std::size_t>(from.size(), scatter_bytes - flat_.size()));
    moves_.push_back({lane, offset, part.size(), flat_.size(), range, 0});
    flat_.insert(flat_.end(), part.begin(), part.end());
    offset += part.size();
    from = from.subspan(part.size());
  }
  return {};
}

Status Scatter::flush() {
  if (moves_.empty()) return {};
  Status status = mover_(hal::KernelId::scatter, moves_, flat_.data(), flat_.size());
  moves_.clear();
  flat_.clear();
  return status;
}

void DistantMemories::begin(std::size_t calls, const sys::GuestReads& reads,
                            std::uint64_t bytes_each) {
  if (views_.size() < calls) views_.resize(calls);
  for (std::size_t i = 0; i < count_; ++i) views_[i].segments.clear();
  count_ = 0;
  bytes_.clear();
  reads_ = reads;
  bytes_each_ = bytes_each;
  expected_begin_ = expected_end_ = 0;
  guesses_ = most_guesses;
  status_ = {};
}

void DistantMemories::add(abi::LaneRef lane, std::uint64_t start, std::uint64_t bytes,
                          std::span<const std::uint64_t> values) {
  View& view = views_[count_];
  view.owner = this;
  view.index = count_++;
  view.lane = lane;
  view.start = start;
  view.bytes = bytes;
  view.values = values;
}

bool DistantMemories::keep(Status status) {
  if (status) return true;
  if (status_) status_ = std::move(status);
  return false;
}

Status DistantMemories::finish() { return status_ ? take_writes() : std::move(status_); }

namespace {

/// The first segment that ends behind an address.
template <class Segments>
auto first_behind(Segments& segments, std::uint64_t address) {
  return std::partition_point(segments.begin(), segments.end(),
                              [=](const auto& segment) { return segment.end() <= address; });
}

}  // namespace

bool DistantMemories::copy_out(View& view, std::uint64_t address, std::span<std::byte> to) {
  const auto first = first_behind(view.segments, address);
  const std::uint64_t end = address + to.size();
  std::uint64_t covered = address;
  for (auto s = first; s != view.segments.end() && covered < end && s->address <= covered; ++s) {
    covered = s->end();
  }
  if (covered < end) return false;
  for (auto s = first; s != view.segments.end() && s->address < end; ++s) {
    const std::uint64_t from = std::max(s->address, address);
    std::memcpy(to.data() + (from - address), bytes_.data() + s->at + (from - s->address),
                std::min(s->end(), end) - from);
    if (!s->foretold) continue;
    s->foretold = false;
    guesses_ = most_guesses;
  }
  return true;
}

bool DistantMemories::read(std::size_t index, std::uint64_t address, std::span<std::byte> to) {
  View& view = views_[index];
  if (to.size() > long_bytes) return read_long(view, address, to);
  if (copy_out(view, address, to)) return true;
  if (reads_.item_bytes != 0 && (index < expected_begin_ || index >= expected_end_)) {
    if (!fetch_expected(index)) return false;
    if (copy_out(view, address, to)) return true;
  }
  const std::uint64_t bytes = std::max<std::uint64_t>(to.size(), least_fetch);
  // Guesses need room too, and must leave some for what is written.
  const bool is_full = guesses_ != 0 && held() + bytes > ahead_bytes;
  if (!make_room(is_full ? held_bytes : bytes)) return false;
  want(index, address, bytes, false);
  want_alike(index, address, bytes);
  return fetch_wanted() && copy_out(view, address, to);
}

bool DistantMemories::read_long(const View& view, std::uint64_t address, std::span<std::byte> to) {
  for (std::uint64_t done = 0; done < to.size(); done += scatter_bytes) {
    const auto part = to.subspan(done, std::min<std::size_t>(to.size() - done, scatter_bytes));
    const kernels::Move move = {view.lane, view.start + address + done, part.size(),
                                0,         kernels::Range::memory,      0};
    if (!keep(mover_(hal::KernelId::gather, {&move, 1}, part.data(), part.size()))) return false;
  }
  const std::uint64_t end = address + to.size();
  for (auto s = first_behind(view.segments, address); s != view.segments.end() && s->address < end;
       ++s) {
    if (!s->written) continue;
    const std::uint64_t from = std::max(s->address, address);
    std::memcpy(to.data() + (from - address), bytes_.data() + s->at + (from - s->address),
                std::min(s->end(), end) - from);
  }
  return true;
}

bool DistantMemories::write_long(const View& view, std::uint64_t address,
                                 std::span<const std::byte> from) {
  // What was written before may overlap it.
  return make_room(held_bytes) &&
         keep(scatter_.add(view.lane, kernels::Range::memory, view.start + address, from)) &&
         keep(scatter_.flush());
}

bool DistantMemories::write(std::size_t index, std::uint64_t address,
                            std::span<const std::byte> from) {
  View& view = views_[index];
  if (from.size() > long_bytes) return write_long(view, address, from);
  if (!make_room(from.size())) return false;
  const std::uint64_t end = address + from.size();
  auto s = first_behind(view.segments, address);
  if (s != view.segments.end() && s->written && s->address <= address && end <= s->end()) {
    std::memcpy(bytes_.data() + s->at + (address - s->address), from.data(), from.size());
    return true;
  }
  const std::uint64_t at = bytes_.size();
  bytes_.insert(bytes_.end(), from.begin(), from.end());
  // Takes the range out of what is there.
  if (s != view.segments.end() && s->address < address) {
    Segment rest = *s;
    s->bytes = address - s->address;
    ++s;
    if (rest.end() > end) {
      rest.at += end - rest.address;
      rest.bytes = rest.end() - end;
      rest.address = end;
      s = view.segments.insert(s, rest);
    }
  }
  auto last = s;
  while (last != view.segments.end() && last->end() <= end) ++last;
  if (last != view.segments.end() && last->address < end) {
    const std::uint64_t cut = end - last->address;
    last->address += cut;
    last->bytes -= cut;
    last->at += cut;
  }
  s = view.segments.erase(s, last);
  if (s != view.segments.begin()) {
    Segment& before = *(s - 1);
    if (before.written && before.end() == address && before.at + before.bytes == at) {
      before.bytes += from.size();
      return true;
    }
  }
  view.segments.insert(s, {address, from.size(), at, true, false});
  return true;
}

void DistantMemories::want(std::size_t index, std::uint64_t address, std::uint64_t bytes,
                           bool foretold) {
  const View& view = views_[index];
  if (address >= view.bytes) return;
  const std::uint64_t end = address + std::min(bytes, view.bytes - address);
  auto s = first_behind(view.segments, address);
  for (std::uint64_t from = address; from < end;) {
    const std::uint64_t gap_end = s == view.segments.end() ? end : std::min(end, s->address);
    if (gap_end > from) {
      wants_.push_back({index, from, foretold});
      moves_.push_back(
          {view.lane, view.start + from, gap_end - from, wanted_bytes_, kernels::Range::memory, 0});
      wanted_bytes_ += gap_end - from;
      from = gap_end;
    } else {
      from = s->end();
      ++s;
    }
  }
}

bool DistantMemories::fetch_wanted() {
  if (wants_.empty()) return true;
  const std::uint64_t base = bytes_.size();
  bytes_.resize(base + wanted_bytes_);
  const bool done =
      keep(mover_(hal::KernelId::gather, moves_, bytes_.data() + base, wanted_bytes_));
  for (std::size_t i = 0; done && i < wants_.size(); ++i) {
    std::vector<Segment>& segments = views_[wants_[i].view].segments;
    const std::uint64_t end = wants_[i].address + moves_[i].bytes;
    // What is there already is as new, or newer.
    std::uint64_t from = wants_[i].address;
    for (auto s = first_behind(segments, from); from < end; ++s) {
      const std::uint64_t gap_end = s == segments.end() ? end : std::min(end, s->address);
      if (gap_end > from) {
        const std::uint64_t at = base + moves_[i].at + (from - wants_[i].address);
        s = segments.insert(s, {from, gap_end - from, at, false, wants_[i].foretold});
      }
      from = s->end();
    }
  }
  wants_.clear();
  moves_.clear();
  wanted_bytes_ = 0;
  return done;
}

bool DistantMemories::fetch_expected(std::size_t first) {
  if (!make_room(ahead_bytes)) return false;
  std::size_t end = first;
  const std::size_t arguments = std::max(reads_.pointer, reads_.count) + std::size_t{1};
  for (; end < count_ && wanted_bytes_ < ahead_bytes / 2 && moves_.size() < ahead_moves; ++end) {
    const View& view = views_[end];
    if (view.values.size() < arguments) continue;
    const std::uint64_t items = address_in(view.values[reads_.count]);
    want(end, address_in(view.values[reads_.pointer]),
         std::min(items * reads_.item_bytes, bytes_each_), false);
  }
  if (!fetch_wanted()) return false;
  if (reads_.follows) {
    for (std::size_t i = first; i < end; ++i) {
      if (wanted_bytes_ + bytes_each_ > ahead_bytes / 2 || moves_.size() >= ahead_moves) {
        if (i != first) end = i;
      }
      if (i < end) want_pairs(i);
    }
    if (!fetch_wanted()) return false;
  }
  expected_begin_ = first;
  expected_end_ = end;
  return true;
}

void DistantMemories::want_pairs(std::size_t index) {
  View& view = views_[index];
  if (view.values.size() <= std::max(reads_.pointer, reads_.count)) return;
  struct Pair {
    std::uint32_t address;
    std::uint32_t bytes;
  };
  const std::uint64_t first = address_in(view.values[reads_.pointer]);
  const std::uint64_t items =
      std::min<std::uint64_t>(address_in(view.values[reads_.count]), bytes_each_ / sizeof(Pair));
  std::uint64_t left = bytes_each_;
  for (std::uint64_t i = 0; i < items && left != 0; ++i) {
    Pair pair = {};
    const auto bytes = std::as_writable_bytes(std::span(&pair, 1));
    if (!copy_out(view, first + i * sizeof pair, bytes)) return;
    const std::uint64_t wanted = std::min<std::uint64_t>(pair.bytes, left);
    want(index, pair.address, wanted, false);
    left -= wanted;
  }
}

void DistantMemories::want_alike(std::size_t index, std::uint64_t address, std::uint64_t bytes) {
  if (guesses_ == 0) return;
  --guesses_;
  const View& view = views_[index];
  // From which argument it was made: the nearest one below.
  std::size_t argument = view.values.size();
  std::uint64_t distance = near_bytes;
  for (std::size_t i = 0; i < view.values.size(); ++i) {
    const std::uint64_t value = address_in(view.values[i]);
    if (value > address || address - value >= distance) continue;
    argument = i;
    distance = address - value;
  }
  for (std::size_t i = index + 1; i < count_; ++i) {
    if (held() + bytes > ahead_bytes || moves_.size() >= ahead_moves) return;
    const View& other = views_[i];
    const bool is_relative = argument < other.values.size();
    want(i, is_relative ? address_in(other.values[argument]) + distance : address, bytes, true);
  }
}

bool DistantMemories::make_room(std::uint64_t bytes) {
  if (held() + bytes <= held_bytes) return true;
  if (!keep(take_writes()) || !keep(scatter_.flush())) return false;
  for (std::size_t i = 0; i < count_; ++i) views_[i].segments.clear();
  bytes_.clear();
  expected_begin_ = expected_end_ = 0;
  return true;
}

Status DistantMemories::take_writes() {
  for (std::size_t i = 0; i < count_; ++i) {
    View& view = views_[i];
    for (const Segment& segment : view.segments) {
      if (!segment.written) continue;
      WARPHIVE_TRY(scatter_.add(view.lane, kernels::Range::memory, view.start + segment.address,
                                std::span(bytes_).subspan(segment.at, segment.bytes)));
    }
  }
  return {};
}

}  // namespace warphive::runtime
