// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

namespace warphive::opt {

/// Which slots hold copies, at one place of a block. Reusable; keeps its buffers from one function
/// to the next.
class Copies {
 public:
  /// Starts a function.
  void begin(std::uint32_t frame_slots) {
    if (version_.size() < frame_slots) {
      version_.resize(frame_slots, 0);
      origin_.resize(frame_slots);
    }
  }

  /// The slot to read instead of `slot`.
  [[nodiscard]] std::uint32_t origin(std::uint32_t slot) const {
    const Origin& origin = origin_[slot];
    if (origin.made_in != block_ || origin.own_version != version_[slot] ||
        version_[origin.slot] != origin.version) {
      return slot;
    }
    return origin.slot;
  }

  void forget_all() {
    ++block_;
    known_.clear();
  }
  void wrote(std::uint32_t slot) { ++version_[slot]; }
  /// `to` was just written with the value of `from`.
  void copied(std::uint32_t to, std::uint32_t from) {
    if (to == from) return;
    if (known_.size() == max_known) forget_all();
    origin_[to] = {from, version_[from], version_[to], block_};
    known_.push_back(to);
  }
  /// A call leaves nothing from `base` up.
  void clobbered(std::uint32_t base) {
    for (const std::uint32_t slot : known_) {
      if (slot >= base || origin_[slot].slot >= base) origin_[slot].made_in = 0;
    }
    std::erase_if(known_, [this](std::uint32_t slot) { return origin(slot) == slot; });
  }

 private:
  static constexpr std::size_t max_known = 64;  // copies at a time; beyond, all are forgotten

  struct Origin {
    std::uint32_t slot = 0;
    std::uint32_t version = 0;      // of that slot when it was copied
    std::uint32_t own_version = 0;  // of the copy
    std::uint32_t made_in = 0;      // block; 0: never
  };
  std::uint32_t block_ = 1;
  std::vector<std::uint32_t> version_;
  std::vector<Origin> origin_;
  std::vector<std::uint32_t> known_;
};

}  // namespace warphive::opt
