// SPDX-License-Identifier: Apache-2.0
// How the ways out of a function share the code that writes live values to the frame.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "codegen/analysis.hpp"

namespace warphive::codegen {

/// Each node writes one value and goes on to its parent; the root ends the function. A way out is
/// the node from which the path to the root writes what is live there. Values that are live at many
/// ways out are written near the root, where many ways meet.
class ExitTree {
 public:
  struct Node {
    std::uint32_t parent = 0;
    SlotWeb value;
    std::uint32_t children = 0;
    bool is_exit = false;
  };
  static constexpr std::uint32_t root = 0;

  explicit ExitTree(const FunctionAnalysis& analysis) : uses_(analysis.webs.size()), nodes_(1) {
    const auto count = [&](SlotRange range) {
      for (const SlotWeb& entry : analysis.range(range)) ++uses_[entry.web];
    };
    count(analysis.entry_live);
    for (const BlockFacts& block : analysis.blocks) {
      if (block.is_check) count(block.live_in);
    }
    for (const Site& site : analysis.site_list) {
      count(site.live);
      if (site.checks_after) count(site.live_after);
    }
  }

  std::uint32_t add(std::span<const SlotWeb> live) {
    std::vector<SlotWeb> order(live.begin(), live.end());
    std::sort(order.begin(), order.end(), [&](const SlotWeb& a, const SlotWeb& b) {
      return uses_[a.web] != uses_[b.web] ? uses_[a.web] > uses_[b.web] : a.web < b.web;
    });
    std::uint32_t at = root;
    for (const SlotWeb& value : order) {
      const auto [found, is_new] =
          children_.try_emplace({at, value.web}, static_cast<std::uint32_t>(nodes_.size()));
      if (is_new) {
        ++nodes_[at].children;
        nodes_.push_back({at, value, 0, false});
      }
      at = found->second;
    }
    nodes_[at].is_exit = true;
    return at;
  }
  [[nodiscard]] const std::vector<Node>& nodes() const { return nodes_; }
  /// Whether a node is come to from more than one place.
  [[nodiscard]] bool is_met(std::uint32_t node) const {
    return nodes_[node].is_exit || nodes_[node].children > 1;
  }

 private:
  std::vector<std::uint32_t> uses_;  // ways out at which a web is live
  std::vector<Node> nodes_;
  std::map<std::pair<std::uint32_t, WebId>, std::uint32_t> children_;
};

}  // namespace warphive::codegen
