// SPDX-License-Identifier: Apache-2.0
#include "codegen/analysis.hpp"

#include <algorithm>
#include <utility>

#include "base/check.hpp"
#include "codegen/float_ops.hpp"
#include "ir/operands.hpp"

namespace warphive::codegen {
namespace {

using ir::Inst;
using ir::Op;
using ir::Shape;

constexpr int most_link_rounds = 32;
constexpr std::uint64_t most_need = std::uint64_t{1} << 30;

/// What a web is so far.
struct Evidence {
  bool wide = false;   // some definition is not a zero-extended 32-bit value
  bool exact = false;  // some definition's NaN bits must stay
  std::uint32_t ints = 0;
  std::uint32_t f32s = 0;
  std::uint32_t f64s = 0;

  void vote(FloatKind kind) {
    if (kind == FloatKind::none) ++ints;
    if (kind == FloatKind::f32) ++f32s;
    if (kind == FloatKind::f64) ++f64s;
  }
  [[nodiscard]] bool has_votes() const { return ints + f32s + f64s != 0; }
};

FloatKind kind_of(ir::ValueType type) {
  if (type == ir::ValueType::f32) return FloatKind::f32;
  if (type == ir::ValueType::f64) return FloatKind::f64;
  return FloatKind::none;
}
bool is_wide(ir::ValueType type) {
  return type != ir::ValueType::i32 && type != ir::ValueType::f32;
}

bool is_nan(std::uint64_t bits, WebType type) {
  if (type == WebType::f32) return (bits & 0x7fffffffu) > 0x7f800000u;
  return (bits & 0x7fffffffffffffffu) > 0x7ff0000000000000u;
}

}  // namespace

bool is_out_of_line(const Inst& inst) {
  switch (ir::info(inst.op).shape) {
    case Shape::d_ag:
    case Shape::ab_g:
    case Shape::a_g:
    case Shape::bulk:
      return true;
    default:
      return inst.op == Op::table_size || inst.op == Op::data_drop || inst.op == Op::elem_drop ||
             inst.op == Op::host_call;
  }
}

bool changes_fuel(Op op) {
  return op == Op::call || op == Op::call_indirect || op == Op::host_call || op == Op::bulk_charge;
}

std::uint64_t size_of(const ir::Function& function) {
  std::uint64_t size = function.code.size();
  for (const auto& table : function.branch_tables) size += table.size();
  return size;
}

Analyser::Analyser(const ir::Module& module) : module_(module), facts_(module), liveness_(facts_) {}

std::uint32_t Analyser::find(std::uint32_t node) {
  while (parents_[node] != node) {
    parents_[node] = parents_[parents_[node]];
    node = parents_[node];
  }
  return node;
}

void Analyser::unite(std::uint32_t a, std::uint32_t b) {
  a = find(a);
  b = find(b);
  if (a != b) parents_[std::max(a, b)] = std::min(a, b);
}

std::uint32_t Analyser::add_node() {
  parents_.push_back(static_cast<std::uint32_t>(parents_.size()));
  return parents_.back();
}

std::size_t Analyser::end_of(std::uint32_t block) const {
  return block + 1 < function_->blocks.size() ? function_->blocks[block + 1]
                                              : function_->code.size();
}

SlotRange Analyser::record(std::span<const std::uint32_t> slots) {
  const SlotRange range{static_cast<std::uint32_t>(result_.slots.size()),
                        static_cast<std::uint32_t>(slots.size())};
  for (const std::uint32_t slot : slots) result_.slots.push_back({slot, no_web});
  return range;
}

bool Analyser::run(const ir::Function& function, const AnalysisLimits& limits) {
  function_ = &function;
  result_ = {};
  parents_.clear();
  if (size_of(function) > limits.instructions) {
    reason_ = "it has more instructions than the limit";
    return false;
  }
  if (!liveness_.solve(function)) {
    reason_ = "its flow of values is too large";
    return false;
  }
  if (!collect_live(limits)) {
    reason_ = "it has too many live values where it may stop";
    return false;
  }
  if (!find_checks()) {
    reason_ = "one way through it costs too much fuel";
    return false;
  }
  build_webs();
  number_webs();
  type_webs();
  if (!result_.vectors.empty() || has_vectors(module_.types[function.type])) {
    pair_webs();
    find_raw_vectors();
  }
  return true;
}

/// Lists the live slots of all block starts, which become nodes of the same number, then of sites.
bool Analyser::collect_live(const AnalysisLimits& limits) {
  const ir::Function& f = *function_;
  const auto block_count = static_cast<std::uint32_t>(f.blocks.size());
  result_.blocks.assign(block_count, {});
  result_.sites.assign(f.code.size(), ir::none);
  const std::size_t words = (std::size_t{f.frame_slots} + 63) / 64;
  live_words_.assign(words, 0);
  std::vector<std::uint32_t> list;
  const auto list_live = [&](const std::vector<std::uint64_t>& set) {
    list.clear();
    for (std::size_t w = 0; w < words; ++w) {
      for (std::uint64_t bits = set[w]; bits != 0; bits &= bits - 1) {
        list.push_back(
            static_cast<std::uint32_t>(w * 64 + static_cast<unsigned>(__builtin_ctzll(bits))));
      }
    }
  };
  const opt::ModuleFacts::TypeSlots own = facts_.types[f.type];

  struct Found {
    std::uint32_t inst;
    std::vector<std::uint32_t> live, live_after, inputs, outputs;
  };
  std::vector<std::vector<std::uint32_t>> starts(block_count);
  std::vector<Found> found;
  std::uint64_t records = 0;
  std::vector<std::uint32_t> entry_live;
  for (std::uint32_t block = 0; block < block_count; ++block) {
    const opt::SlotSet out = liveness_.live_out(block);
    for (std::size_t w = 0; w < words; ++w) live_words_[w] = 0;
    opt::SlotSet live{std::span<std::uint64_t>(live_words_)};
    for (std::uint32_t slot = 0; slot < f.frame_slots; ++slot) {
      if (out.has(slot)) live.add(slot);
    }
    for (std::size_t i = end_of(block); i-- > f.blocks[block];) {
      const Inst& inst = f.code[i];
      const bool is_call = opt::is_call(inst.op);
      const bool is_site = is_call || is_out_of_line(inst) || inst.op == Op::ret;
      Found site;
      if (is_site) {
        site.inst = static_cast<std::uint32_t>(i);
        if (inst.op != Op::ret) {
          list_live(live_words_);
          site.live_after = list;
        }
        if (is_call) {
          const opt::ModuleFacts::TypeSlots callee = facts_.callee(inst);
          for (std::uint32_t k = 0; k < callee.params; ++k) site.inputs.push_back(inst.a + k);
          for (std::uint32_t k = 0; k < callee.results; ++k) site.outputs.push_back(inst.a + k);
        } else if (inst.op == Op::host_call) {
          for (std::uint32_t k = 0; k < own.params; ++k) site.inputs.push_back(k);
          for (std::uint32_t k = 0; k < own.results; ++k) site.outputs.push_back(k);
        } else if (inst.op == Op::ret) {
          for (std::uint32_t k = 0; k < own.results; ++k) site.inputs.push_back(k);
        } else {
          opt::for_each_read(inst, [&](std::uint32_t slot) { site.inputs.push_back(slot); });
          opt::for_each_write(inst, [&](std::uint32_t slot) { site.outputs.push_back(slot); });
        }
        for (const std::uint32_t slot : site.live_after) {
          const bool defined =
              std::find(site.outputs.begin(), site.outputs.end(), slot) != site.outputs.end();
          if (!defined) site.live.push_back(slot);
        }
      }
      if (inst.op == Op::enter) {
        list_live(live_words_);
        entry_live = list;
      }
      liveness_.step_back(inst, live);
      if (is_site) {
        records += site.live.size() + site.live_after.size();
        if (records > limits.slot_records) return false;
        found.push_back(std::move(site));
      }
    }
    list_live(live_words_);
    starts[block] = list;
    records += list.size();
    if (records > limits.slot_records) return false;
  }
  for (std::uint32_t block = 0; block < block_count; ++block) {
    result_.blocks[block].live_in = record(starts[block]);
  }
  result_.site_list.resize(found.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    const Found& site = found[i];
    result_.sites[site.inst] = static_cast<std::uint32_t>(i);
    result_.site_list[i] = {.live = record(site.live),
                            .live_after = record(site.live_after),
                            .inputs = record(site.inputs),
                            .outputs = record(site.outputs),
                            .need_after = 0,
                            .checks_after = false};
  }
  result_.entry_live = record(entry_live);
  list.clear();
  for (std::uint32_t k = 0; k < own.params; ++k) list.push_back(k);
  result_.entry = record(list);
  const Inst& enter = f.code[0];
  list.clear();
  for (const std::uint32_t slot : entry_live) {
    if (slot >= enter.b && slot < std::uint32_t{enter.b} + enter.c) list.push_back(slot);
  }
  result_.zeroed = record(list);
  return true;
}

/// From the last block to the first: an edge to a block that is not behind it retreats.
bool Analyser::find_checks() {
  const ir::Function& f = *function_;
  const auto block_count = static_cast<std::uint32_t>(f.blocks.size());
  for (std::uint32_t block = 0; block < block_count; ++block) {
    opt::for_each_successor(f, block, [&](std::uint32_t next) {
      result_.blocks[next].is_target = true;
      if (next <= block) result_.blocks[next].is_check = true;
    });
  }
  for (std::uint32_t block = block_count; block-- > 0;) {
    std::uint64_t need = 0;
    opt::for_each_successor(f, block, [&](std::uint32_t next) {
      if (!result_.blocks[next].is_check) need = std::max(need, result_.blocks[next].need);
    });
    for (std::size_t i = end_of(block); i-- > f.blocks[block];) {
      const Inst& inst = f.code[i];
      if (inst.op == Op::charge) need += inst.imm;
      if (changes_fuel(inst.op)) {
        Site& site = result_.site_list[result_.sites[i]];
        site.checks_after = true;
        site.need_after = need;
        if (need > most_need) return false;
        need = 0;
      }
    }
    BlockFacts& facts = result_.blocks[block];
    facts.need = need;
    if (need > most_unchecked) facts.is_check = true;
    if (need > most_need) return false;
  }
  return true;
}

void Analyser::build_webs() {
  const ir::Function& f = *function_;
  const auto block_count = static_cast<std::uint32_t>(f.blocks.size());
  const SlotRange last = result_.blocks.back().live_in;
  const std::uint32_t starts = last.first + last.count;
  for (std::uint32_t i = 0; i < starts; ++i) add_node();
  result_.insts.assign(f.code.size(),
                       {{no_web, no_web, no_web, no_web}, {no_web, no_web, no_web}, ir::none});
  current_.assign(f.frame_slots, no_web);
  const auto fill = [&](SlotRange range) {
    for (std::uint32_t k = 0; k < range.count; ++k) {
      SlotWeb& entry = result_.slots[range.first + k];
      if (current_[entry.slot] == no_web) current_[entry.slot] = add_node();
      entry.web = current_[entry.slot];
    }
  };
  const auto define = [&](SlotRange range) {
    for (std::uint32_t k = 0; k < range.count; ++k) {
      SlotWeb& entry = result_.slots[range.first + k];
      entry.web = current_[entry.slot] = add_node();
    }
  };
  for (std::uint32_t block = 0; block < block_count; ++block) {
    const SlotRange live_in = result_.blocks[block].live_in;
    std::fill(current_.begin(), current_.end(), no_web);
    for (std::uint32_t k = 0; k < live_in.count; ++k) {
      SlotWeb& entry = result_.slots[live_in.first + k];
      entry.web = current_[entry.slot] = live_in.first + k;
    }
    if (block == 0) fill(result_.entry);
    for (std::size_t i = f.blocks[block]; i < end_of(block); ++i) {
      const Inst& inst = f.code[i];
      InstWebs& webs = result_.insts[i];
      const ir::Operands& operands = ir::operands(inst.op);
      const auto value_in = [&](std::uint32_t slot) {
        if (current_[slot] == no_web) current_[slot] = add_node();
        return current_[slot];
      };
      const auto read = [&](std::size_t field, std::uint32_t slot) {
        webs.reads[field] = value_in(slot);
      };
      if (operands.reads & ir::field::a) read(0, inst.a);
      if (operands.reads & ir::field::b) read(1, inst.b);
      if (operands.reads & ir::field::c) read(2, inst.c);
      if (operands.reads & ir::field::imm) read(3, ir::imm_low(inst));
      if (operands.wide != 0) {
        webs.vectors = static_cast<std::uint32_t>(result_.vectors.size());
        HighWebs& high =
            result_.vectors.emplace_back(HighWebs{{no_web, no_web, no_web, no_web}, no_web});
        const std::uint8_t wide = operands.wide & operands.reads;
        if (wide & ir::field::a) high.reads[0] = value_in(inst.a + 1u);
        if (wide & ir::field::b) high.reads[1] = value_in(inst.b + 1u);
        if (wide & ir::field::c) high.reads[2] = value_in(inst.c + 1u);
        if (wide & ir::field::imm) high.reads[3] = value_in(ir::imm_low(inst) + 1);
        if (operands.wide & operands.writes) high.write = current_[inst.a + 1u] = add_node();
      }
      Site* site = result_.sites[i] == ir::none ? nullptr : &result_.site_list[result_.sites[i]];
      if (site != nullptr) {
        fill(site->inputs);
        fill(site->live);
      }
      if (inst.op == Op::enter) define(result_.zeroed);
      if (site != nullptr && inst.op != Op::ret) {
        define(site->outputs);
        // The same nodes by field, for ops that name what they define.
        const auto defined = [&](std::size_t field, std::uint32_t slot) {
          webs.writes[field] = current_[slot];
        };
        if (operands.writes & ir::field::a) defined(0, inst.a);
        if (operands.writes & ir::field::b) defined(1, inst.b);
        if (operands.writes & ir::field::c) defined(2, inst.c);
        fill(site->live_after);
      } else if (operands.writes & ir::field::a) {
        webs.writes[0] = current_[inst.a] = add_node();
      }
      if (inst.op == Op::enter) fill(result_.entry_live);
    }
    opt::for_each_successor(f, block, [&](std::uint32_t next) {
      const SlotRange wanted = result_.blocks[next].live_in;
      for (std::uint32_t k = 0; k < wanted.count; ++k) {
        const std::uint32_t slot = result_.slots[wanted.first + k].slot;
        if (current_[slot] == no_web) current_[slot] = add_node();
        unite(current_[slot], wanted.first + k);
      }
    });
  }
}

void Analyser::number_webs() {
  std::vector<WebId> ids(parents_.size(), no_web);
  WebId next = 0;
  const auto renumber = [&](WebId& web) {
    if (web == no_web) return;
    WebId& id = ids[find(web)];
    if (id == no_web) id = next++;
    web = id;
  };
  for (SlotWeb& entry : result_.slots) renumber(entry.web);
  for (InstWebs& webs : result_.insts) {
    for (WebId& web : webs.reads) renumber(web);
    for (WebId& web : webs.writes) renumber(web);
  }
  for (HighWebs& webs : result_.vectors) {
    for (WebId& web : webs.reads) renumber(web);
    renumber(webs.write);
  }
  result_.webs.assign(next, {});
}

void Analyser::type_webs() {
  const ir::Function& f = *function_;
  std::vector<Evidence> evidence(result_.webs.size());
  std::vector<std::pair<WebId, WebId>> links;  // definition, source
  const auto typed = [&](SlotRange range, const std::vector<ir::ValueType>& types) {
    for_each_slot_of(types, [&](std::uint32_t k, ir::ValueType type, bool) {
      const WebId web = k < range.count ? result_.slots[range.first + k].web : no_web;
      if (web == no_web) return;
      evidence[web].wide |= is_wide(type);
      evidence[web].exact = true;
      evidence[web].vote(kind_of(type));
    });
  };
  const auto used_as = [&](SlotRange range, const std::vector<ir::ValueType>& types) {
    for_each_slot_of(types, [&](std::uint32_t k, ir::ValueType type, bool) {
      const WebId web = k < range.count ? result_.slots[range.first + k].web : no_web;
      if (web != no_web) evidence[web].vote(kind_of(type));
    });
  };
  const ir::FunctionType& own = module_.types[f.type];
  typed(result_.entry, own.params);
  // Live at the start without being a parameter: nothing that a lowering makes. Any bits.
  for (std::uint32_t k = 0; k < result_.blocks[0].live_in.count; ++k) {
    const SlotWeb& entry = result_.slots[result_.blocks[0].live_in.first + k];
    if (entry.slot >= result_.entry.count) evidence[entry.web].wide = true;
  }
  for (std::size_t i = 0; i < f.code.size(); ++i) {
    const Inst& inst = f.code[i];
    const InstWebs& webs = result_.insts[i];
    const ir::OpInfo& info = ir::info(inst.op);
    const FloatKind operands = float_operands(inst.op);
    const bool links_values = inst.op == Op::mov || inst.op == Op::select;
    if (opt::is_call(inst.op)) {
      const ir::FunctionType& type =
          module_.types[inst.op == Op::call ? module_.functions[ir::imm_low(inst)].type
                                            : ir::imm_high(inst)];
      const Site& site = result_.site_list[result_.sites[i]];
      used_as(site.inputs, type.params);
      typed(site.outputs, type.results);
      if (webs.reads[1] != no_web) evidence[webs.reads[1]].vote(FloatKind::none);
      continue;
    }
    if (inst.op == Op::host_call || inst.op == Op::ret) {
      const Site& site = result_.site_list[result_.sites[i]];
      used_as(site.inputs, inst.op == Op::ret ? own.results : own.params);
      typed(site.outputs, own.results);
      continue;
    }
    if (inst.op == Op::ret_mov) {
      if (webs.reads[1] != no_web && !own.results.empty()) {
        evidence[webs.reads[1]].vote(kind_of(own.results[0]));
      }
      continue;
    }
    for (std::size_t field = 0; field < 4; ++field) {
      const WebId web = webs.reads[field];
      if (web == no_web) continue;
      if (inst.op == Op::global_set) {
        evidence[web].vote(kind_of(module_.globals[ir::imm_low(inst)].type));
      } else if (info.shape == Shape::store && field == 1) {
        // Any value of the width can be stored.
      } else if (!links_values || field == 3) {
        evidence[web].vote(operands);
      }
    }
    if (const Site* site =
            result_.sites[i] == ir::none ? nullptr : &result_.site_list[result_.sites[i]]) {
      for (std::uint32_t k = 0; k < site->outputs.count; ++k) {
        Evidence& web = evidence[result_.slots[site->outputs.first + k].web];
        web.exact = true;
        if (info.dst_bits != 32) web.wide = true;
      }
      continue;
    }
    if (webs.vectors != ir::none) {
      const WebId high = result_.vectors[webs.vectors].write;
      if (high != no_web) {
        evidence[high].wide = true;
        evidence[high].exact = true;
        evidence[high].vote(FloatKind::none);
      }
    }
    const WebId out = webs.writes[0];
    if (out == no_web) continue;
    Evidence& web = evidence[out];
    switch (inst.op) {
      case Op::const_k:
        web.wide |= inst.imm >> 32 != 0;
        break;
      case Op::mov:
        links.emplace_back(out, webs.reads[1]);
        break;
      case Op::select:
        links.emplace_back(out, webs.reads[1]);
        links.emplace_back(out, webs.reads[2]);
        break;
      case Op::global_get: {
        const ir::ValueType type = module_.globals[ir::imm_low(inst)].type;
        web.wide |= is_wide(type);
        web.exact = true;
        web.vote(kind_of(type));
        break;
      }
      case Op::load8_u:
      case Op::load16_u:
        web.vote(FloatKind::none);
        break;
      case Op::load32_u:
        web.exact = true;
        break;
      case Op::load64:
        web.wide = true;
        web.exact = true;
        break;
      default:
        web.wide |= info.dst_bits != 32;
        web.vote(float_result(inst.op));
        if (float_result(inst.op) == FloatKind::none || shows_bits(inst.op)) web.exact = true;
        break;
    }
  }
  // `enter` zeroes: no NaN, narrow, and of whatever type.

  int round = 0;
  for (bool changed = true; changed;) {
    changed = false;
    for (const auto& [to, from] : links) {
      if (evidence[from].wide && !evidence[to].wide) evidence[to].wide = changed = true;
    }
    if (++round == most_link_rounds) {
      for (const auto& [to, from] : links) evidence[to].wide = true;
      break;
    }
  }
  for (int i = 0; i < 3; ++i) {
    for (const auto& [to, from] : links) {
      Evidence& a = evidence[to];
      Evidence& b = evidence[from];
      if (a.wide != b.wide || a.has_votes() == b.has_votes()) continue;
      Evidence& empty = a.has_votes() ? b : a;
      const Evidence& full = a.has_votes() ? a : b;
      empty.ints = full.ints;
      empty.f32s = full.f32s;
      empty.f64s = full.f64s;
    }
  }
  for (std::size_t i = 0; i < evidence.size(); ++i) {
    const Evidence& e = evidence[i];
    Web& web = result_.webs[i];
    if (e.wide) {
      web.type = e.f64s > e.ints ? WebType::f64 : WebType::i64;
    } else {
      web.type = e.f32s > e.ints ? WebType::f32 : WebType::i32;
    }
    web.raw = is_float(web.type) && !e.exact;
  }
  for (std::size_t i = 0; i < f.code.size(); ++i) {
    const Inst& inst = f.code[i];
    const WebId out = result_.insts[i].writes[0];
    if (out == no_web || result_.sites[i] != ir::none) continue;
    Web& web = result_.webs[out];
    const FloatKind made = float_result(inst.op);
    const bool same = (web.type == WebType::f32 && made == FloatKind::f32) ||
                      (web.type == WebType::f64 && made == FloatKind::f64);
    if (inst.op == Op::const_k) {
      if (is_nan(inst.imm, web.type)) web.raw = false;
    } else if (inst.op != Op::mov && inst.op != Op::select && !same) {
      web.raw = false;
    }
  }
  round = 0;
  for (bool changed = true; changed;) {
    changed = false;
    for (const auto& [to, from] : links) {
      const Web& source = result_.webs[from];
      Web& web = result_.webs[to];
      if (web.raw && (!source.raw || source.type != web.type)) {
        web.raw = false;
        changed = true;
      }
    }
    if (++round == most_link_rounds) {
      for (const auto& [to, from] : links) result_.webs[to].raw = false;
      break;
    }
  }
}

}  // namespace warphive::codegen
