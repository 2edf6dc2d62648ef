// SPDX-License-Identifier: Apache-2.0
#include "ir/verify.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <unordered_map>
#include <utility>

#include "abi/exit.hpp"
#include "base/result.hpp"
#include "ir/operands.hpp"

namespace warphive::ir {
namespace {

constexpr std::uint32_t max_pages = 65'536;
constexpr std::uint32_t max_frame_slots = 65'536;
constexpr std::uint64_t max_charge = std::uint64_t{1} << 62;
constexpr std::uint64_t max_bulk_item_bytes = 1'024;

// What is checked of an op beyond its slots and indices.
enum class Special : std::uint8_t {
  none,
  branch,
  branch_table,
  enter,
  call,
  call_indirect,
  host_call,
  ret,
  ret_mov,
  select,
  charge,
  bulk_charge,
  trap,
  table_init,
  table_copy,
  global,
  vector,
};

// An op's checks as masks, so that the common path has no branches on its shape.
struct Facts {
  std::uint16_t slot_a, slot_b, slot_c;        // all ones where the field names a slot
  std::uint16_t unused_a, unused_b, unused_c;  // all ones where the field must be zero
  std::uint8_t low, high;                      // Space
  bool ends;
  bool polls;  // an instance can stop here
  Special special;
};

constexpr Special special_of(Op op) {
  switch (op) {
    case Op::charge:
      return Special::charge;
    case Op::bulk_charge:
      return Special::bulk_charge;
    case Op::trap:
      return Special::trap;
    case Op::host_call:
      return Special::host_call;
    case Op::table_init_check:
    case Op::table_init_chunk:
      return Special::table_init;
    case Op::table_copy_check:
    case Op::table_copy_chunk:
      return Special::table_copy;
    case Op::global_get:
    case Op::global_set:
      return Special::global;
    default:
      break;
  }
  switch (info(op).shape) {
    case Shape::br:
    case Shape::br_ab:
    case Shape::br_ak:
      return Special::branch;
    case Shape::br_table:
      return Special::branch_table;
    case Shape::enter:
      return Special::enter;
    case Shape::call:
      return Special::call;
    case Shape::call_indirect:
      return Special::call_indirect;
    case Shape::ret:
      return Special::ret;
    case Shape::ret_mov:
      return Special::ret_mov;
    case Shape::d_abc:
      return Special::select;
    default:
      return operands(op).wide != 0 ? Special::vector : Special::none;
  }
}

constexpr std::array<Facts, op_count> make_facts() {
  std::array<Facts, op_count> all{};
  for (std::uint16_t i = 0; i < op_count; ++i) {
    const Op op = static_cast<Op>(i);
    const Operands& use = operands(op);
    const std::uint8_t slots = use.reads | use.writes;
    const std::uint8_t used = slots | use.raw;
    const auto mask = [](std::uint8_t set, std::uint8_t bit) {
      return static_cast<std::uint16_t>((set & bit) != 0 ? 0xffff : 0);
    };
    const auto unused = static_cast<std::uint8_t>(~used);
    all[i] = Facts{mask(slots, field::a),
                   mask(slots, field::b),
                   mask(slots, field::c),
                   mask(unused, field::a),
                   mask(unused, field::b),
                   mask(unused, field::c),
                   static_cast<std::uint8_t>(use.low),
                   static_cast<std::uint8_t>(use.high),
                   ends_block(op),
                   op == Op::charge || op == Op::bulk_charge,
                   special_of(op)};
    static_assert(sizeof(Facts) == 18);
  }
  return all;
}
constexpr std::array<Facts, op_count> all_facts = make_facts();

constexpr std::array<std::string_view, space_count> space_names = {
    "zero",  "number",       "function",        "global", "memory",
    "table", "data segment", "element segment", "type",   "host import",
    "block", "branch table", "vector"};

constexpr bool is_reference(ValueType type) {
  return type == ValueType::funcref || type == ValueType::externref;
}

// Out of line and by value: what a message names must not keep a loop's variables in memory.
template <class... Args>
[[nodiscard, gnu::noinline, gnu::cold]] tl::unexpected<Error> broken(
    fmt::format_string<Args...> format, Args... args) {
  return fail(Error(ErrorCode::internal, ErrorPhase::lower,
                    "The IR is invalid: " +
                        fmt::vformat(fmt::string_view(format), fmt::make_format_args(args...)) +
                        "."));
}

// Which kinds of references an element segment holds.
struct SegmentKinds {
  bool functions = false;
  bool externals = false;
};

class Verifier {
 public:
  explicit Verifier(const Module& module) : module_(module) {}

  Status run() {
    WARPHIVE_TRY(check_types());
    WARPHIVE_TRY(check_entities());
    WARPHIVE_TRY(check_members());
    limits_.fill(0);
    limit(Space::unused) = 1;
    limit(Space::number) = std::uint64_t{1} << 32;
    limit(Space::function) = module_.functions.size();
    limit(Space::global) = module_.globals.size();
    limit(Space::memory) = module_.memories.size();
    limit(Space::table) = module_.tables.size();
    limit(Space::data) = module_.data_segments.size();
    limit(Space::elem) = module_.element_segments.size();
    limit(Space::type) = module_.types.size();
    limit(Space::host) = module_.host_imports.size();
    limit(Space::vector) = module_.vectors.size();
    for (std::uint32_t i = 0; i < module_.functions.size(); ++i) WARPHIVE_TRY(check_function(i));
    return {};
  }

 private:
  struct TypeSlots {
    std::uint32_t params = 0;
    std::uint32_t results = 0;
    [[nodiscard]] std::uint32_t window() const { return std::max(params, results); }
  };

  std::uint64_t& limit(Space space) { return limits_[static_cast<std::uint8_t>(space)]; }

  Status check_types() {
    type_slots_.reserve(module_.types.size());
    std::unordered_multimap<std::uint64_t, std::uint32_t> seen;
    seen.reserve(module_.types.size());
    for (std::uint32_t i = 0; i < module_.types.size(); ++i) {
      const FunctionType& type = module_.types[i];
      std::uint64_t hash = type.params.size();
      TypeSlots count;
      for (const ValueType value : type.params) {
        hash = (hash + static_cast<std::uint64_t>(value) + 1) * 0x9e3779b97f4a7c15U;
        count.params += slots(value);
      }
      for (const ValueType value : type.results) {
        hash = (hash + static_cast<std::uint64_t>(value) + 17) * 0x9e3779b97f4a7c15U;
        count.results += slots(value);
      }
      const auto [first, last] = seen.equal_range(hash);
      for (auto it = first; it != last; ++it) {
        if (module_.types[it->second] == type) {
          return broken("type {} repeats type {}", i, it->second);
        }
      }
      seen.emplace(hash, i);
      if (count.window() >= max_frame_slots) {
        return broken("type {} needs {} slots (at most {})", i, count.window(),
                      max_frame_slots - 1);
      }
      type_slots_.push_back(count);
    }
    return {};
  }

  Status check_entities() {
    for (std::size_t i = 0; i < module_.memories.size(); ++i) {
      const Memory& memory = module_.memories[i];
      const std::uint32_t max = memory.max_pages.value_or(max_pages);
      if (max > max_pages || memory.min_pages > max) {
        return broken("memory {} has {} to {} pages (at most {})", i, memory.min_pages, max,
                      max_pages);
      }
    }
    for (std::size_t i = 0; i < module_.tables.size(); ++i) {
      const Table& table = module_.tables[i];
      if (!is_reference(table.element)) {
        return broken("table {} holds {}, not references", i, to_string(table.element));
      }
      if (table.max && table.min > *table.max) {
        return broken("table {} has minimum {} above its maximum {}", i, table.min, *table.max);
      }
    }
    segment_kinds_.resize(module_.element_segments.size());
    for (std::size_t i = 0; i < module_.element_segments.size(); ++i) {
      SegmentKinds& kinds = segment_kinds_[i];
      for (const Element& element : module_.element_segments[i]) {
        if (element.kind == Element::Kind::function) {
          kinds.functions = true;
          if (element.index >= module_.functions.size()) {
            return broken("element segment {} names function {} of {}", i, element.index,
                          module_.functions.size());
          }
        } else if (element.kind == Element::Kind::global) {
          if (element.index >= module_.globals.size()) {
            return broken("element segment {} names global {} of {}", i, element.index,
                          module_.globals.size());
          }
          const ValueType type = module_.globals[element.index].type;
          if (!is_reference(type)) {
            return broken("element segment {} names global {}, which is no reference", i,
                          element.index);
          }
          (type == ValueType::funcref ? kinds.functions : kinds.externals) = true;
        }
      }
      if (kinds.functions && kinds.externals) {
        return broken("element segment {} holds both kinds of references", i);
      }
    }
    if (module_.main_memory != 0 && module_.main_memory >= module_.memories.size()) {
      return broken("the module sees memory {} of {}", module_.main_memory,
                    module_.memories.size());
    }
    for (std::size_t i = 0; i < module_.host_imports.size(); ++i) {
      if (module_.host_imports[i].type >= module_.types.size()) {
        return broken("host import {} has type {} of {}", i, module_.host_imports[i].type,
                      module_.types.size());
      }
      const std::uint32_t memory = module_.host_imports[i].memory;
      if (memory != 0 && memory >= module_.memories.size()) {
        return broken("host import {} sees memory {} of {}", i, memory, module_.memories.size());
      }
    }
    return {};
  }

  Status check_run_once(std::size_t member, const char* what, std::uint32_t function) {
    if (function == none) return {};
    if (function >= module_.functions.size()) {
      return broken("member {} has {} function {} of {}", member, what, function,
                    module_.functions.size());
    }
    const std::uint32_t type = module_.functions[function].type;
    if (type >= module_.types.size() || type_slots_[type].window() != 0) {
      return broken("member {} has {} function {}, which takes or returns values", member, what,
                    function);
    }
    return {};
  }

  Status check_members() {
    for (std::size_t i = 0; i < module_.members.size(); ++i) {
      const Member& member = module_.members[i];
      WARPHIVE_TRY(check_run_once(i, "init", member.init));
      WARPHIVE_TRY(check_run_once(i, "start", member.start));
      for (const Export& entry : member.exports) {
        std::size_t count = 0;
        switch (entry.kind) {
          case EntityKind::function:
            count = module_.functions.size();
            break;
          case EntityKind::table:
            count = module_.tables.size();
            break;
          case EntityKind::memory:
            count = module_.memories.size();
            break;
          case EntityKind::global:
            count = module_.globals.size();
            break;
        }
        if (entry.index >= count) {
          return broken("member {} exports index {} of {}", i, entry.index, count);
        }
      }
    }
    return {};
  }

  Status check_function(std::uint32_t index) {
    const Function& function = module_.functions[index];
    if (function.type >= module_.types.size()) {
      return broken("function {} has type {} of {}", index, function.type, module_.types.size());
    }
    if (function.member >= module_.members.size()) {
      return broken("function {} belongs to member {} of {}", index, function.member,
                    module_.members.size());
    }
    if (function.import) {
      if (!function.code.empty() || !function.source.empty() || !function.blocks.empty() ||
          !function.branch_tables.empty()) {
        return broken("function {} is imported and has code", index);
      }
      return {};
    }
    const TypeSlots& own = type_slots_[function.type];
    if (function.header_slot != own.window()) {
      return broken("function {} has header slot {}, not {}", index, function.header_slot,
                    own.window());
    }
    if (function.frame_slots <= function.header_slot || function.frame_slots > max_frame_slots) {
      return broken("function {} has {} frame slots (more than {}, at most {})", index,
                    function.frame_slots, function.header_slot, max_frame_slots);
    }
    if (function.source.size() != function.code.size()) {
      return broken("function {} has {} instructions and {} source offsets", index,
                    function.code.size(), function.source.size());
    }
    if (function.code.empty() || function.code[0].op != Op::enter) {
      return broken("function {} does not begin with enter", index);
    }
    if (function.code.size() >= none) return broken("function {} is too large", index);
    if (function.blocks.empty() || function.blocks[0] != 0) {
      return broken("function {} has no block at instruction 0", index);
    }
    for (std::size_t i = 0; i < function.branch_tables.size(); ++i) {
      if (function.branch_tables[i].empty()) {
        return broken("function {} has the empty branch table {}", index, i);
      }
      for (const std::uint32_t target : function.branch_tables[i]) {
        if (target == 0 || target >= function.blocks.size()) {
          return broken("function {} has block {} of {} in branch table {}", index, target,
                        function.blocks.size(), i);
        }
      }
    }
    limit(Space::block) = function.blocks.size();
    limit(Space::branch_table) = function.branch_tables.size();
    polling_.assign(function.blocks.size(), 0);
    table_used_.assign(function.branch_tables.size(), 0);
    return check_blocks(index, function);
  }

  Status check_blocks(std::uint32_t index, const Function& function) {
    const auto code_size = static_cast<std::uint32_t>(function.code.size());
    const auto block_count = static_cast<std::uint32_t>(function.blocks.size());
    const Inst* const code = function.code.data();
    const Slots slots{function.frame_slots, function.header_slot};
    for (std::uint32_t block = 0; block < block_count; ++block) {
      const std::uint32_t begin = function.blocks[block];
      const std::uint32_t end = block + 1 < block_count ? function.blocks[block + 1] : code_size;
      if (begin >= end || end > code_size) {
        return broken("function {} has block {} from instruction {} to {} of {}", index, block,
                      begin, end, code_size);
      }
      for (std::uint32_t i = begin; i < end; ++i) {
        const Inst& inst = code[i];
        const auto op = static_cast<std::uint16_t>(inst.op);
        if (op >= op_count) [[unlikely]] {
          return broken("function {}, instruction {}: unknown op {}", index, i, op);
        }
        const Facts& facts = all_facts[op];
        if (!operands_fit(slots, inst, facts)) [[unlikely]] {
          return operand_fault(index, function, i);
        }
        if (facts.ends && i + 1 != end) [[unlikely]] {
          return broken("function {}, instruction {} ({}): it ends a block in its middle", index, i,
                        info(inst.op).name);
        }
        if (facts.special == Special::none) continue;
        polling_[block] |= static_cast<std::uint8_t>(facts.polls);
        if (const char* rule = broken_rule(function, block, i, facts.special)) [[unlikely]] {
          return broken("function {}, instruction {} ({}): {}", index, i, info(inst.op).name, rule);
        }
      }
    }
    if (!ends_flow(function.code.back().op)) {
      return broken("function {}, instruction {} ({}): control runs off the end", index,
                    code_size - 1, info(function.code.back().op).name);
    }
    return {};
  }

  struct Slots {
    std::uint32_t frame;
    std::uint32_t header;
  };
  [[nodiscard]] bool operands_fit(Slots slots, const Inst& inst, const Facts& facts) const {
    const auto slot_fault = [slots](std::uint16_t slot, std::uint16_t mask) {
      return mask & (slot >= slots.frame || slot == slots.header ? 0xffff : 0);
    };
    const int fault = slot_fault(inst.a, facts.slot_a) | slot_fault(inst.b, facts.slot_b) |
                      slot_fault(inst.c, facts.slot_c) | (inst.a & facts.unused_a) |
                      (inst.b & facts.unused_b) | (inst.c & facts.unused_c);
    return fault == 0 && imm_low(inst) < limits_[facts.low] && imm_high(inst) < limits_[facts.high];
  }

  // Says which operand is wrong.
  [[gnu::noinline]] Status operand_fault(std::uint32_t index, const Function& function,
                                         std::uint32_t at) const {
    const Inst& inst = function.code[at];
    const Facts& facts = all_facts[static_cast<std::uint16_t>(inst.op)];
    const char* name = info(inst.op).name;
    struct Field {
      char letter;
      std::uint16_t value, slot, unused;
    };
    for (const Field& entry : {Field{'a', inst.a, facts.slot_a, facts.unused_a},
                               Field{'b', inst.b, facts.slot_b, facts.unused_b},
                               Field{'c', inst.c, facts.slot_c, facts.unused_c}}) {
      if (entry.slot != 0 && entry.value >= function.frame_slots) {
        return broken("function {}, instruction {} ({}): {} is slot {} of {}", index, at, name,
                      entry.letter, entry.value, function.frame_slots);
      }
      if (entry.slot != 0 && entry.value == function.header_slot) {
        return broken("function {}, instruction {} ({}): {} is the header slot {}", index, at, name,
                      entry.letter, entry.value);
      }
      if ((entry.value & entry.unused) != 0) {
        return broken("function {}, instruction {} ({}): the unused field {} is {}, not 0", index,
                      at, name, entry.letter, entry.value);
      }
    }
    const bool low = imm_low(inst) >= limits_[facts.low];
    const std::uint8_t space = low ? facts.low : facts.high;
    return broken("function {}, instruction {} ({}): the {} half of imm is {} {} (below {})", index,
                  at, name, low ? "low" : "high", space_names[space],
                  low ? imm_low(inst) : imm_high(inst), limits_[space]);
  }

  // Every cycle of blocks has a retreating branch; an instance must be able to stop in each of
  // them.
  [[nodiscard]] bool stoppable(std::uint32_t from, std::uint32_t to) const {
    return to > from || polling_[to] != 0 || polling_[from] != 0;
  }

  // The rule that an instruction with checks of its own breaks, or nullptr.
  const char* broken_rule(const Function& function, std::uint32_t block, std::uint32_t at,
                          Special special) {
    const Inst& inst = function.code[at];
    switch (special) {
      case Special::none:
        break;
      case Special::branch:
        if (imm_low(inst) == 0) return "it branches to the function's first block";
        if (!stoppable(block, imm_low(inst))) return "it closes a loop without a charge";
        break;
      case Special::branch_table: {
        const std::uint32_t table = imm_low(inst);
        // One user per table keeps the whole check linear.
        if (std::exchange(table_used_[table], std::uint8_t{1}) != 0) {
          return "its branch table has another user";
        }
        if (polling_[block] != 0) break;
        for (const std::uint32_t target : function.branch_tables[table]) {
          if (!stoppable(block, target)) return "it closes a loop without a charge";
        }
        break;
      }
      case Special::enter:
        if (at != 0) return "it is not the first instruction";
        if (inst.a != function.header_slot) return "it names another header slot";
        if (imm_low(inst) != function.frame_slots) return "it names another number of frame slots";
        if (inst.c != 0 && (inst.b <= function.header_slot ||
                            std::uint32_t{inst.b} + inst.c > function.frame_slots)) {
          return "it zeroes slots beyond its frame";
        }
        if (inst.c == 0 && inst.b > function.frame_slots) return "it zeroes slots beyond its frame";
        break;
      case Special::call:
        return call_fault(function, inst.a, module_.functions[imm_low(inst)].type);
      case Special::call_indirect:
        if (module_.tables[imm_low(inst)].element != ValueType::funcref) {
          return "its table holds no functions";
        }
        return call_fault(function, inst.a, imm_high(inst));
      case Special::host_call:
        if (module_.host_imports[imm_low(inst)].type != function.type) {
          return "the host function has another type than the function around it";
        }
        break;
      case Special::ret:
        if (inst.a != function.header_slot) return "it names another header slot";
        break;
      case Special::ret_mov:
        if (inst.a != function.header_slot) return "it names another header slot";
        if (type_slots_[function.type].results != 1) return "its function has not one result";
        break;
      case Special::select:
        if (inst.imm >= function.frame_slots) return "its condition is beyond the frame";
        if (inst.imm == function.header_slot) return "its condition is the header slot";
        break;
      case Special::charge:
        if (inst.imm >= max_charge) return "it charges too much";
        break;
      case Special::bulk_charge:
        if (inst.imm == 0 || inst.imm > max_bulk_item_bytes) return "its item size is out of range";
        break;
      case Special::trap:
        if (inst.imm == 0 || inst.imm >= abi::trap_count) return "there is no such trap";
        break;
      case Special::table_init: {
        const SegmentKinds& kinds = segment_kinds_[imm_high(inst)];
        const bool functions = module_.tables[imm_low(inst)].element == ValueType::funcref;
        if (functions ? kinds.externals : kinds.functions) {
          return "its segment and table hold different references";
        }
        break;
      }
      case Special::table_copy:
        if (module_.tables[imm_low(inst)].element != module_.tables[imm_high(inst)].element) {
          return "its tables hold different references";
        }
        break;
      case Special::global:
        if (module_.globals[imm_low(inst)].type == ValueType::v128) return "its global is a vector";
        break;
      case Special::vector:
        return vector_fault(function, inst);
    }
    return nullptr;
  }

  [[nodiscard]] const char* vector_fault(const Function& function, const Inst& inst) const {
    const Operands& use = operands(inst.op);
    const auto fits = [&](std::uint64_t slot, bool wide) {
      const std::uint64_t last = slot + (wide ? 1 : 0);
      return last < function.frame_slots && slot != function.header_slot &&
             last != function.header_slot;
    };
    if (((use.wide & field::a) != 0 && !fits(inst.a, true)) ||
        ((use.wide & field::b) != 0 && !fits(inst.b, true)) ||
        ((use.wide & field::c) != 0 && !fits(inst.c, true))) {
      return "the second slot of a vector is the header slot or beyond the frame";
    }
    if ((use.reads & field::imm) != 0 && !fits(inst.imm, (use.wide & field::imm) != 0)) {
      return "its slot in imm is the header slot or beyond the frame";
    }
    if (const std::uint32_t lanes = lane_count(inst.op); lanes != 0 && inst.imm >= lanes) {
      return "it names a lane that its vector does not have";
    }
    if (use.low == Space::global && module_.globals[imm_low(inst)].type != ValueType::v128) {
      return "its global is no vector";
    }
    if (inst.op == Op::shuffle8x16) {
      const Vector& lanes = module_.vectors[imm_low(inst)];
      constexpr std::uint64_t beyond_31 = 0xe0e0'e0e0'e0e0'e0e0;
      if (((lanes.low | lanes.high) & beyond_31) != 0) return "it selects a lane beyond 31";
    }
    return nullptr;
  }

  // `type` may belong to a function that is not checked yet.
  [[nodiscard]] const char* call_fault(const Function& function, std::uint32_t base,
                                       std::uint32_t type) const {
    if (type >= type_slots_.size()) return "the called function has no valid type";
    if (base <= function.header_slot) return "its arguments begin at or below the header slot";
    if (base + type_slots_[type].window() > function.frame_slots) {
      return "its arguments or results are beyond the frame";
    }
    return nullptr;
  }

  const Module& module_;  // borrowed
  std::vector<TypeSlots> type_slots_;
  std::vector<SegmentKinds> segment_kinds_;
  std::array<std::uint64_t, space_count> limits_{};  // first value that is out of range, by Space
  std::vector<std::uint8_t> polling_;  // by block: it has a charge, as far as it has been read
  std::vector<std::uint8_t> table_used_;
};

}  // namespace

Status verify(const Module& module) { return Verifier(module).run(); }

}  // namespace warphive::ir
