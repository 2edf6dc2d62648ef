// SPDX-License-Identifier: Apache-2.0
// What code generation wants to know of a function before it emits anything: which values flow
// where (webs), of which machine type they are, what is live where it may be left, and where fuel
// is checked.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "codegen/float_ops.hpp"
#include "ir/module.hpp"
#include "opt/liveness.hpp"

namespace warphive::codegen {

/// Index of a web: all definitions of a slot that reach a common use, and those uses. One machine
/// variable per web gives values their own types, where a slot holds anything.
using WebId = std::uint32_t;
inline constexpr WebId no_web = ~WebId{0};

/// A v128 is two webs: one of type v128, whose variable holds both, and its high half.
enum class WebType : std::uint8_t { i32, i64, f32, f64, v128, v128_high };
constexpr bool is_vector(WebType type) {
  return type == WebType::v128 || type == WebType::v128_high;
}
constexpr bool is_float(WebType type) { return type == WebType::f32 || type == WebType::f64; }

struct Web {
  WebType type = WebType::i64;
  /// A float whose NaNs may have any bits: every definition is an arithmetic result or a constant
  /// that is no NaN, and uses that show bits make them canonical first (architecture section 10).
  bool raw = false;
  RawLanes raw_lanes = RawLanes::none;  // the same of a v128
  WebId other = no_web;                 // the other half of a v128
};

struct SlotWeb {
  std::uint32_t slot = 0;
  WebId web = no_web;
};

/// Webs that an instruction's fields name; no_web where the field names no slot to read or write.
struct InstWebs {
  std::array<WebId, 4> reads;   // a, b, c, imm
  std::array<WebId, 3> writes;  // a, b, c
  std::uint32_t vectors;        // index in FunctionAnalysis::vectors, or ir::none
};
/// The same of the second slots that the fields name.
struct HighWebs {
  std::array<WebId, 4> reads;
  WebId write;
};

/// A range in FunctionAnalysis::slots.
struct SlotRange {
  std::uint32_t first = 0;
  std::uint32_t count = 0;
};

/// What an instruction that leaves the function for a while needs: calls, and ops that are served
/// out of line.
struct Site {
  SlotRange live;             // across it, in slots that it does not define
  SlotRange live_after;       // also what it defines: where fuel is checked behind it
  SlotRange inputs;           // slots that it reads without naming them, and those it names
  SlotRange outputs;          // slots that it defines
  std::uint64_t need_after;   // dearest way from behind it to the next check
  bool checks_after = false;  // fuel is checked behind it
};

struct BlockFacts {
  bool is_check = false;   // fuel is checked at its start
  bool is_target = false;  // some branch goes here, or the block before runs on into it
  std::uint64_t need = 0;  // dearest way from here to the next check
  SlotRange live_in;
};

/// Beyond so many units between checks another check is put in between.
inline constexpr std::uint64_t most_unchecked = 1024;

struct FunctionAnalysis {
  std::vector<Web> webs;
  std::vector<InstWebs> insts;       // parallel to the code
  std::vector<HighWebs> vectors;     // of ops on vectors
  std::vector<std::uint32_t> sites;  // parallel to the code: index in site_list, or ir::none
  std::vector<Site> site_list;
  std::vector<BlockFacts> blocks;
  std::vector<SlotWeb> slots;  // what SlotRange refers to
  SlotRange entry;             // parameters, with no_web where unused
  SlotRange zeroed;            // slots that `enter` zeroes and somebody reads
  SlotRange entry_live;        // live behind `enter`

  [[nodiscard]] std::span<const SlotWeb> range(SlotRange range) const {
    return {slots.data() + range.first, range.count};
  }
};

/// Served out of line by the interpreter's own body of the op: see exec/native.hpp.
bool is_out_of_line(const ir::Inst& inst);
/// Fuel may be anything behind it.
bool changes_fuel(ir::Op op);

/// Instructions, and entries of branch tables.
std::uint64_t size_of(const ir::Function& function);

struct AnalysisLimits {
  std::uint64_t instructions = 20'000;   // of a function
  std::uint64_t slot_records = 200'000;  // live slots over all places where it may be left
};

/// Reusable; keeps its buffers.
class Analyser {
 public:
  explicit Analyser(const ir::Module& module);

  /// False, with a reason, where the function is too large to be worth it.
  bool run(const ir::Function& function, const AnalysisLimits& limits);
  [[nodiscard]] const FunctionAnalysis& result() const { return result_; }
  [[nodiscard]] const std::string& reason() const { return reason_; }

 private:
  std::uint32_t find(std::uint32_t node);
  void unite(std::uint32_t a, std::uint32_t b);
  std::uint32_t add_node();
  [[nodiscard]] std::size_t end_of(std::uint32_t block) const;
  bool collect_live(const AnalysisLimits& limits);
  bool find_checks();
  void build_webs();
  void number_webs();
  void type_webs();
  void pair_webs();
  void find_raw_vectors();
  SlotRange record(std::span<const std::uint32_t> slots);

  const ir::Module& module_;  // borrowed
  opt::ModuleFacts facts_;
  opt::Liveness liveness_;
  const ir::Function* function_ = nullptr;  // borrowed
  FunctionAnalysis result_;
  std::string reason_;
  std::vector<std::uint32_t> parents_;  // union-find over nodes
  std::vector<std::uint32_t> current_;  // by slot: node of its value here
  std::vector<std::uint64_t> live_words_;
};

/// Whether it takes or returns vectors.
bool has_vectors(const ir::FunctionType& type);

/// Calls `visit(slot, type, is_high)` for each slot of values of these types.
template <class Visit>
void for_each_slot_of(const std::vector<ir::ValueType>& types, Visit&& visit) {
  std::uint32_t slot = 0;
  for (const ir::ValueType type : types) {
    for (std::uint32_t half = 0; half < ir::slots(type); ++half) visit(slot++, type, half != 0);
  }
}

}  // namespace warphive::codegen
