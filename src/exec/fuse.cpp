// SPDX-License-Identifier: Apache-2.0
#include "exec/fuse.hpp"

#include <array>
#include <vector>

namespace warphive::exec {
namespace {

/// Rows of the table by their first op, in the table's order.
class Rows {
 public:
  Rows() {
    for (std::uint16_t i = 0; i < fused_op_count; ++i) {
      by_first_[static_cast<std::uint16_t>(detail::fused_pairs[i].first)].push_back(i);
    }
  }
  /// The row that fits two adjacent instructions, or fused_op_count.
  [[nodiscard]] std::uint16_t find(const abi::Insn& first, const abi::Insn& second) const {
    if (first.op >= ir::op_count || second.op >= ir::op_count) return fused_op_count;
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
