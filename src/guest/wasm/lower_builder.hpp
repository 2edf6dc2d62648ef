// SPDX-License-Identifier: Apache-2.0
// FunctionBuilder: collects the instructions of one IR function after another, with labels that may
// be bound after they are used. Buffers are reused; the finished function gets copies of exact
// size.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/check.hpp"
#include "ir/module.hpp"

namespace warphive::wasm {

using Label = std::uint32_t;

class FunctionBuilder {
 public:
  /// Slots from here up name constants that live in slots of their own: `constant_slot`.
  static constexpr std::uint32_t first_constant_slot = 65'520;
  static constexpr std::uint32_t constant_slots = 65'536 - first_constant_slot;

  /// Starts a function. Temporaries begin at `first_temp`; constants get the slots from there on
  /// and temporaries move up behind them.
  void begin(std::uint32_t first_temp);

  /// The guest offset of everything emitted from now on.
  void set_source(std::uint32_t offset) { offset_ = offset; }
  [[nodiscard]] std::uint32_t source() const { return offset_; }

  [[gnu::always_inline]] void emit(ir::Op op, std::uint32_t a, std::uint32_t b, std::uint32_t c,
                                   std::uint64_t imm) {
    emit(ir::Inst{op, static_cast<std::uint16_t>(a), static_cast<std::uint16_t>(b),
                  static_cast<std::uint16_t>(c), imm});
  }
  [[gnu::always_inline]] void emit(const ir::Inst& inst) { lines_.push_back({inst, offset_}); }

  [[nodiscard]] Label new_label() {
    label_positions_.push_back(ir::none);
    return static_cast<Label>(label_positions_.size() - 1);
  }
  /// The label names the next instruction, which begins a block.
  void bind(Label label) {
    WARPHIVE_DCHECK(label_positions_[label] == ir::none);
    label_positions_[label] = size();
    bound_.push_back(label);
    barrier_ = size();
  }
  /// Adds a branch table of labels and returns its index.
  std::uint32_t add_table(std::span<const Label> labels);

  [[nodiscard]] std::uint32_t size() const { return static_cast<std::uint32_t>(lines_.size()); }
  [[nodiscard]] ir::Inst& operator[](std::uint32_t index) { return lines_[index].inst; }

  /// The last `count` instructions may be changed or dropped: no label lies between or behind them.
  [[nodiscard]] bool can_edit(std::uint32_t count) const { return size() >= barrier_ + count; }
  /// The last instruction can be edited and writes that slot.
  [[nodiscard]] bool last_writes(std::uint32_t slot) const {
    return can_edit(1) && last().a == slot && ir::info(last().op).dst_bits != 0;
  }
  [[nodiscard]] ir::Inst& last() { return lines_.back().inst; }
  [[nodiscard]] const ir::Inst& last() const { return lines_.back().inst; }
  [[nodiscard]] const ir::Inst& before_last() const { return lines_[lines_.size() - 2].inst; }
  void drop_last() { lines_.pop_back(); }
  /// An instruction and where it came from.
  struct Line {
    ir::Inst inst;
    std::uint32_t source;
  };
  /// Removes the last one; put_back appends it again.
  Line take_last() {
    const Line taken = lines_.back();
    lines_.pop_back();
    return taken;
  }
  void put_back(const Line& taken) { lines_.push_back(taken); }
  /// Removes one instruction after which no label was bound.
  void erase(std::uint32_t index);

  /// A place between two instructions, to insert at later: behind the labels that are bound there
  /// already, before those to come.
  struct Mark {
    std::uint32_t position = 0;
    std::uint32_t bound = 0;  // how many labels were bound before
    std::uint32_t source = 0;
  };
  /// The current end. No instruction before it can be edited from now on.
  [[nodiscard]] Mark mark() {
    barrier_ = size();
    return {size(), static_cast<std::uint32_t>(bound_.size()), offset_};
  }
  void insert(const Mark& at, const ir::Inst& inst) { insertions_.push_back({at, inst}); }

  /// The outermost of nested loops begins after `mark`, where its constants are put into slots.
  void begin_outer_loop(const Mark& at) {
    outer_loop_ = true;
    loop_mark_ = at;
    loop_constants_ = 0;
  }
  void end_outer_loop() { outer_loop_ = false; }
  /// The slot of a constant inside a loop, or ir::none outside of loops or when all are taken.
  [[nodiscard]] std::uint32_t constant_slot(std::uint64_t bits);

  /// Resolves labels and finds blocks: fills code, source, blocks and branch_tables. Returns how
  /// many slots the constants took, by which temporaries were moved up.
  std::uint32_t finish(ir::Function& function);

 private:
  struct Insertion {
    Mark at;
    ir::Inst inst;
  };

  void apply_insertions();
  [[nodiscard]] std::uint32_t target(Label label) const {
    const std::uint32_t position = label_positions_[label];
    WARPHIVE_CHECK(position < lines_.size());
    return position;
  }

  std::vector<Line> lines_;
  std::vector<std::uint32_t> label_positions_;
  std::vector<Label> bound_;  // in the order of binding
  std::vector<std::vector<Label>> tables_;
  std::vector<std::uint64_t> constants_;
  std::vector<Insertion> insertions_;
  std::vector<Line> moved_;
  // By instruction: whether it begins a block; then, where it does, the block's number.
  std::vector<std::uint32_t> block_of_;
  std::vector<std::uint32_t> blocks_;    // where they begin
  std::vector<std::uint32_t> branches_;  // instructions that name a label
  std::uint32_t offset_ = 0;
  std::uint32_t barrier_ = 0;
  std::uint32_t first_temp_ = 0;
  Mark loop_mark_;
  std::uint32_t loop_constants_ = 0;  // bits of those that this loop has set
  bool outer_loop_ = false;
};

}  // namespace warphive::wasm
