// SPDX-License-Identifier: Apache-2.0
// Which slots of a function are live, at the ends of its blocks and, walking backwards, anywhere.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "opt/edit.hpp"

namespace warphive::opt {

/// A set of slots.
class SlotSet {
 public:
  explicit SlotSet(std::span<std::uint64_t> words) : words_(words) {}

  [[nodiscard]] bool has(std::uint32_t slot) const {
    return (words_[slot / 64] >> (slot % 64) & 1) != 0;
  }
  void add(std::uint32_t slot) { words_[slot / 64] |= bit(slot); }
  void remove(std::uint32_t slot) { words_[slot / 64] &= ~bit(slot); }
  void add_range(std::uint32_t first, std::uint32_t count) {
    for (std::uint32_t slot = first; slot < first + count; ++slot) add(slot);
  }
  void remove_range(std::uint32_t first, std::uint32_t count) {
    const std::uint32_t end = first + count;
    while (first < end && first % 64 != 0) remove(first++);
    for (; end - first >= 64; first += 64) words_[first / 64] = 0;
    while (first < end) remove(first++);
  }
  /// The first slot of the set in the range, or its end.
  [[nodiscard]] std::uint32_t first_of(std::uint32_t first, std::uint32_t end) const {
    while (first < end && !has(first)) {
      first += words_[first / 64] >> (first % 64) == 0 ? 64 - first % 64 : 1;
    }
    return first < end ? first : end;
  }
  /// Behind the last slot of the set in the range, or its start.
  [[nodiscard]] std::uint32_t last_of(std::uint32_t first, std::uint32_t end) const {
    while (end > first && !has(end - 1)) {
      const std::uint32_t step = end % 64 == 0 && words_[end / 64 - 1] == 0 ? 64 : 1;
      end -= step < end - first ? step : end - first;
    }
    return end;
  }
  /// All slots from `first` up.
  void remove_from(std::uint32_t first) {
    if (first / 64 >= words_.size()) return;
    words_[first / 64] &= bit(first) - 1;
    for (std::size_t i = first / 64 + 1; i < words_.size(); ++i) words_[i] = 0;
  }

 private:
  static std::uint64_t bit(std::uint32_t slot) { return std::uint64_t{1} << (slot % 64); }
  std::span<std::uint64_t> words_;  // borrowed
};

/// Reusable; keeps its buffers from one function to the next.
class Liveness {
 public:
  explicit Liveness(const ModuleFacts& facts) : facts_(facts) {}

  /// False where the function is so large that it would take too long; nothing else may be called
  /// then. The function's flow must not change while the result is used.
  bool solve(const ir::Function& function);

  /// The set behind a block's last instruction, valid until the next call.
  SlotSet live_out(std::uint32_t block);

  /// From the set behind an instruction to the set before it.
  void step_back(const ir::Inst& inst, SlotSet& live) const;

 private:
  void summarise(std::uint32_t block);
  [[nodiscard]] std::size_t end_of(std::uint32_t block) const {
    return block + 1 < function_->blocks.size() ? function_->blocks[block + 1]
                                                : function_->code.size();
  }
  [[nodiscard]] std::span<std::uint64_t> part(std::vector<std::uint64_t>& sets,
                                              std::uint32_t block) const {
    return {sets.data() + block * words_, words_};
  }

  const ModuleFacts& facts_;                // borrowed
  const ir::Function* function_ = nullptr;  // borrowed
  ModuleFacts::TypeSlots own_;
  std::size_t words_ = 0;
  // By block: live at its start; read there before any write; not written there; behind its end.
  std::vector<std::uint64_t> live_in_, reads_, keeps_, live_out_;
};

}  // namespace warphive::opt
