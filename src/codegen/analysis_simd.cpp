// SPDX-License-Identifier: Apache-2.0
// Analyser's vectors: which two webs are always the halves of one vector, so that it gets a
// variable of its own, and which of those hold float results whose NaNs need not be canonical yet.
#include <utility>
#include <vector>

#include "codegen/analysis.hpp"
#include "codegen/float_ops.hpp"
#include "ir/operands.hpp"
#include "opt/edit.hpp"

namespace warphive::codegen {
namespace {

using ir::Inst;
using ir::Op;

constexpr int most_rounds = 32;

/// Which other web each is seen with, as its low or its high half.
class Partners {
 public:
  explicit Partners(std::size_t webs) : high_of_(webs, no_web), low_of_(webs, no_web) {}

  void add(WebId low, WebId high) {
    if (low == no_web || high == no_web) return;
    note(high_of_[low], high);
    note(low_of_[high], low);
  }
  /// The high half of a web that is always the low half of just that one; or no_web.
  [[nodiscard]] WebId high_of(WebId low) const {
    const WebId high = high_of_[low];
    if (high == no_web || high == many || low_of_[low] != no_web) return no_web;
    return low_of_[high] == low && high_of_[high] == no_web ? high : no_web;
  }

 private:
  static constexpr WebId many = no_web - 1;
  static void note(WebId& known, WebId web) {
    if (known == no_web) known = web;
    if (known != web) known = many;
  }
  std::vector<WebId> high_of_;
  std::vector<WebId> low_of_;
};

bool has_nan(const ir::Vector& vector, RawLanes lanes) {
  for (const std::uint64_t half : {vector.low, vector.high}) {
    if (lanes == RawLanes::f64x2 && (half & 0x7fffffffffffffffu) > 0x7ff0000000000000u) return true;
    if (lanes == RawLanes::f32x4 &&
        ((half & 0x7fffffffu) > 0x7f800000u || (half >> 32 & 0x7fffffffu) > 0x7f800000u)) {
      return true;
    }
  }
  return false;
}

}  // namespace

bool has_vectors(const ir::FunctionType& type) {
  return ir::param_slots(type) != type.params.size() ||
         ir::result_slots(type) != type.results.size();
}

void Analyser::pair_webs() {
  const ir::Function& f = *function_;
  Partners partners(result_.webs.size());
  const auto add_values = [&](SlotRange range, const std::vector<ir::ValueType>& types) {
    WebId low = no_web;
    for_each_slot_of(types, [&](std::uint32_t k, ir::ValueType type, bool is_high) {
      const WebId web = k < range.count ? result_.slots[range.first + k].web : no_web;
      if (type == ir::ValueType::v128 && is_high) partners.add(low, web);
      low = web;
    });
  };
  const ir::FunctionType& own = module_.types[f.type];
  add_values(result_.entry, own.params);
  for (std::size_t i = 0; i < f.code.size(); ++i) {
    const Inst& inst = f.code[i];
    const InstWebs& webs = result_.insts[i];
    if (webs.vectors != ir::none) {
      const HighWebs& high = result_.vectors[webs.vectors];
      for (std::size_t field = 0; field < 4; ++field) {
        partners.add(webs.reads[field], high.reads[field]);
      }
      partners.add(webs.writes[0], high.write);
    } else if (opt::is_call(inst.op)) {
      const ir::FunctionType& type =
          module_.types[inst.op == Op::call ? module_.functions[ir::imm_low(inst)].type
                                            : ir::imm_high(inst)];
      const Site& site = result_.site_list[result_.sites[i]];
      add_values(site.inputs, type.params);
      add_values(site.outputs, type.results);
    } else if (inst.op == Op::ret) {
      add_values(result_.site_list[result_.sites[i]].inputs, own.results);
    }
  }
  for (WebId low = 0; low < result_.webs.size(); ++low) {
    const WebId high = partners.high_of(low);
    if (high == no_web) continue;
    result_.webs[low] = {.type = WebType::v128, .other = high};
    result_.webs[high] = {.type = WebType::v128_high, .other = low};
  }
}

void Analyser::find_raw_vectors() {
  const ir::Function& f = *function_;
  // By web: what arithmetic defines it, and whether anything else does.
  std::vector<std::uint8_t> other_defs(result_.webs.size());
  std::vector<std::pair<WebId, WebId>> links;  // definition, source
  const auto spoil = [&](WebId web) {
    if (web != no_web) other_defs[web] = 1;
  };
  const auto spoil_all = [&](SlotRange range) {
    for (const SlotWeb& entry : result_.range(range)) spoil(entry.web);
  };
  spoil_all(result_.entry);
  spoil_all(result_.blocks[0].live_in);
  for (std::size_t i = 0; i < f.code.size(); ++i) {
    const Inst& inst = f.code[i];
    const InstWebs& webs = result_.insts[i];
    if (result_.sites[i] != ir::none) {
      if (inst.op != Op::ret) spoil_all(result_.site_list[result_.sites[i]].outputs);
      continue;
    }
    const WebId out = webs.writes[0];
    if (out == no_web || inst.op == Op::const128) continue;
    if (webs.vectors == ir::none || result_.webs[out].type != WebType::v128) {
      spoil(out);
      if (webs.vectors != ir::none) spoil(result_.vectors[webs.vectors].write);
      continue;
    }
    if (inst.op == Op::mov128 || inst.op == Op::select128) {
      links.emplace_back(out, webs.reads[1]);
      if (inst.op == Op::select128) links.emplace_back(out, webs.reads[2]);
      continue;
    }
    const RawLanes made = raw_lanes(inst.op);
    RawLanes& known = result_.webs[out].raw_lanes;
    if (made == RawLanes::none || (known != RawLanes::none && known != made)) spoil(out);
    if (made != RawLanes::none) known = made;
  }
  for (std::size_t i = 0; i < f.code.size(); ++i) {
    const Inst& inst = f.code[i];
    const WebId out = result_.insts[i].writes[0];
    if (inst.op != Op::const128 || out == no_web) continue;
    if (has_nan(module_.vectors[ir::imm_low(inst)], result_.webs[out].raw_lanes)) spoil(out);
  }
  for (WebId web = 0; web < result_.webs.size(); ++web) {
    Web& w = result_.webs[web];
    if (w.type != WebType::v128 || other_defs[web] || other_defs[w.other]) {
      w.raw_lanes = RawLanes::none;
    }
  }
  int round = 0;
  for (bool changed = true; changed;) {
    changed = false;
    const bool give_up = ++round == most_rounds;
    for (const auto& [to, from] : links) {
      RawLanes& lanes = result_.webs[to].raw_lanes;
      if (give_up) lanes = RawLanes::none;
      if (lanes != RawLanes::none && result_.webs[from].raw_lanes != lanes) {
        lanes = RawLanes::none;
        changed = true;
      }
    }
  }
}

}  // namespace warphive::codegen
