// SPDX-License-Identifier: Apache-2.0
#include "exec/fuse.hpp"

#include <array>
#include <cstdint>
#include <vector>

namespace warphive::exec {
namespace {

/// Rows of the table by their first op, in the table's order.
class Rows {
 public:
  Rows() {
    for (std::uint16_t i = 0; i < fused_op_count; ++i) {
      const FusedPair& pair = detail::fused_pairs[i];
      const auto first = static_cast<std::uint16_t>(pair.first);
      by_first_[first].push_back(i);
      mark(first, static_cast<std::uint16_t>(pair.second));
    }
  }
  /// The row that fits two adjacent instructions, or fused_op_count.
  [[nodiscard]] std::uint16_t find(const abi::Insn& first, const abi::Insn& second) const {
    if (first.op >= ir::op_count || second.op >= ir::op_count) return fused_op_count;
    if (!is_marked(first.op, second.op)) return fused_op_count;  // as most are
    std::uint8_t flow = flow::none;
    if (second.a == first.a) flow |= flow::a;
    if (second.b == first.a) flow |= flow::b;
    if (second.c == first.a) flow |= flow::c;
    for (const std::uint16_t row : by_first_[first.op]) {
      const FusedPair& pair = detail::fused_pairs[row];
      if (static_cast<std::uint16_t>(pair.second) == second.op && (pair.flow & ~flow) == 0) {
        return row;
      }
    }
    return fused_op_count;
  }

 private:
  void mark(std::uint16_t first, std::uint16_t second) {
    pairs_[first][second / 64] |= std::uint64_t{1} << (second % 64);
  }
  [[nodiscard]] bool is_marked(std::uint16_t first, std::uint16_t second) const {
    return (pairs_[first][second / 64] >> (second % 64) & 1) != 0;
  }

  // By first op, a bit for each second op that some row has.
  std::array<std::array<std::uint64_t, ir::op_count / 64 + 1>, ir::op_count> pairs_ = {};
  std::array<std::vector<std::uint16_t>, ir::op_count> by_first_;
};

}  // namespace

void fuse(ir::EncodedProgram& program) {
  static const Rows rows;
  std::vector<abi::Insn>& insns = program.insns;
  // From the back: whether to fuse at i depends on the dispatches that the rest of the straight
  // line then takes, starting at i + 1 or at i + 2.
  std::uint32_t from_next = 0;
  std::uint32_t from_second = 0;
  abi::Insn next{};
  next.op = ir::op_stop;
  for (std::size_t i = insns.size(); i-- > 0;) {
    const abi::Insn insn = insns[i];
    const bool ends_line = insn.op < ir::op_count && ir::ends_flow(static_cast<ir::Op>(insn.op));
    if (ends_line) from_next = from_second = 0;
    std::uint32_t dispatches = from_next + 1;
    const std::uint16_t row = ends_line ? fused_op_count : rows.find(insn, next);
    if (row != fused_op_count && from_second + 1 <= dispatches) {
      dispatches = from_second + 1;
      insns[i].op = static_cast<std::uint16_t>(ir::encoded_op_count + row);
    }
    next = insn;
    from_second = from_next;
    from_next = dispatches;
  }
}

}  // namespace warphive::exec
