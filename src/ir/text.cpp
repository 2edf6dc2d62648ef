// SPDX-License-Identifier: Apache-2.0
#include "ir/text.hpp"

#include <fmt/core.h>

#include <string>
#include <unordered_map>

#include "abi/exit.hpp"
#include "base/append.hpp"
#include "ir/operands.hpp"
#include "ir/text_words.hpp"

namespace warphive::ir {
namespace {

constexpr std::size_t data_line_bytes = 32;
constexpr std::size_t elements_per_line = 12;
constexpr std::size_t targets_per_line = 16;

class Printer {
 public:
  explicit Printer(const Module& module) : module_(module) {
    for (std::uint32_t i = 0; i < module.types.size(); ++i) {
      first_of_type_.try_emplace(to_string(module.types[i]), i);
    }
  }

  std::string all() {
    put("module {}", module_.metered ? "metered" : "unmetered");
    if (module_.main_memory != 0) put(" sees {}", module_.main_memory);
    text_ += '\n';
    for (std::size_t i = 0; i < module_.types.size(); ++i) {
      put("type {} {}\n", i, to_string(module_.types[i]));
    }
    members();
    for (std::size_t i = 0; i < module_.memories.size(); ++i) memory(i);
    for (std::size_t i = 0; i < module_.tables.size(); ++i) table(i);
    for (std::size_t i = 0; i < module_.globals.size(); ++i) {
      const Global& global = module_.globals[i];
      put("global {} {}{}", i, to_string(global.type), global.is_mutable ? " mutable" : "");
      import(global.import);
      text_ += '\n';
    }
    for (std::size_t i = 0; i < module_.host_imports.size(); ++i) {
      const HostImport& host = module_.host_imports[i];
      put("host {} ", i);
      string(host.module);
      text_ += ' ';
      string(host.field);
      put(" type {}", host.type);
      if (host.memory != 0) put(" memory {}", host.memory);
      text_ += '\n';
    }
    for (std::size_t i = 0; i < module_.vectors.size(); ++i) {
      put("vector {} {:#x} {:#x}\n", i, module_.vectors[i].low, module_.vectors[i].high);
    }
    for (std::size_t i = 0; i < module_.data_segments.size(); ++i) data(i);
    for (std::size_t i = 0; i < module_.element_segments.size(); ++i) elements(i);
    for (std::uint32_t i = 0; i < module_.functions.size(); ++i) {
      text_ += '\n';
      function(i);
    }
    return std::move(text_);
  }

  std::string one(std::uint32_t index) {
    function(index);
    return std::move(text_);
  }

 private:
  template <class... Args>
  void put(fmt::format_string<Args...> format, Args&&... args) {
    base::append(text_, format, std::forward<Args>(args)...);
  }

  void string(std::string_view value) {
    text_ += '"';
    for (const char letter : value) {
      const auto byte = static_cast<unsigned char>(letter);
      if (letter == '"' || letter == '\\' || byte < 0x20 || byte == 0x7f) {
        put("\\{:02x}", byte);
      } else {
        text_ += letter;
      }
    }
    text_ += '"';
  }

  void import(const std::optional<Import>& from) {
    if (!from) return;
    text_ += " import ";
    string(from->module);
    text_ += ' ';
    string(from->field);
  }

  void members() {
    for (std::size_t i = 0; i < module_.members.size(); ++i) {
      const Member& member = module_.members[i];
      put("member {} ", i);
      string(member.name);
      if (member.init != none) put(" init {}", member.init);
      if (member.start != none) put(" start {}", member.start);
      text_ += '\n';
      for (const Export& entry : member.exports) {
        text_ += "export ";
        string(entry.name);
        put(" {} {}\n", text::entity_word(entry.kind), entry.index);
      }
    }
  }

  void memory(std::size_t index) {
    const Memory& entity = module_.memories[index];
    put("memory {} min {}", index, entity.min_pages);
    if (entity.max_pages) put(" max {}", *entity.max_pages);
    if (entity.grows) text_ += " grows";
    import(entity.import);
    text_ += '\n';
  }

  void table(std::size_t index) {
    const Table& entity = module_.tables[index];
    put("table {} {} min {}", index, to_string(entity.element), entity.min);
    if (entity.max) put(" max {}", *entity.max);
    if (entity.changes) text_ += " changes";
    import(entity.import);
    text_ += '\n';
  }

  void data(std::size_t index) {
    const auto& bytes = module_.data_segments[index];
    put("data {} {{", index);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      if (i % data_line_bytes == 0) text_ += "\n  ";
      put("{:02x}", std::to_integer<unsigned>(bytes[i]));
    }
    text_ += bytes.empty() ? "}\n" : "\n}\n";
  }

  void elements(std::size_t index) {
    const auto& list = module_.element_segments[index];
    put("elem {} {{", index);
    for (std::size_t i = 0; i < list.size(); ++i) {
      text_ += i % elements_per_line == 0 ? "\n  " : " ";
      switch (list[i].kind) {
        case Element::Kind::null:
          text_ += "null";
          break;
        case Element::Kind::function:
          put("fn{}", list[i].index);
          break;
        case Element::Kind::global:
          put("global{}", list[i].index);
          break;
      }
    }
    text_ += list.empty() ? "}\n" : "\n}\n";
  }

  // The signature where it names the type unambiguously, otherwise its number.
  void type_use(std::uint32_t type) {
    if (type < module_.types.size()) {
      const std::string signature = to_string(module_.types[type]);
      if (first_of_type_.at(signature) == type) {
        text_ += signature;
        return;
      }
    }
    put("type {}", type);
  }

  void function(std::uint32_t index) {
    const Function& function = module_.functions[index];
    put("fn {} ", index);
    string(function.name);
    text_ += ' ';
    type_use(function.type);
    put(" frame {} header {}", function.frame_slots, function.header_slot);
    if (function.member != 0) put(" member {}", function.member);
    if (function.guest_index != none) put(" guest {}", function.guest_index);
    import(function.import);
    if (function.code.empty() && function.branch_tables.empty()) {
      text_ += '\n';
      return;
    }
    text_ += " {\n";
    for (std::size_t i = 0; i < function.branch_tables.size(); ++i) {
      put("  jump{} =", i);
      const auto& targets = function.branch_tables[i];
      for (std::size_t j = 0; j < targets.size(); ++j) {
        put("{}b{}", j != 0 && j % targets_per_line == 0 ? "\n    " : " ", targets[j]);
      }
      text_ += '\n';
    }
    std::size_t block = 0;
    std::uint32_t offset = 0;
    for (std::size_t i = 0; i < function.code.size(); ++i) {
      for (; block < function.blocks.size() && function.blocks[block] <= i; ++block) {
        put("b{}:\n", block);
      }
      text_ += "  ";
      inst(function.code[i]);
      // An offset holds until the next one.
      if (i < function.source.size() && function.source[i] != offset) {
        offset = function.source[i];
        put(" @{}", offset);
      }
      text_ += '\n';
    }
    text_ += "}\n";
  }

  void constant(std::uint64_t value) {
    const auto as_signed = static_cast<std::int64_t>(value);
    if (as_signed < 0 && as_signed >= -65'536) {
      put("{}", as_signed);
    } else if (value >> 32 == 0) {
      put("{}", value);
    } else {
      put("{:#x}", value);
    }
  }

  void index(Space space, std::uint32_t value) { put("{}{}", text::space_word(space), value); }

  void address(const Inst& inst, std::uint16_t slot) {
    if (imm_high(inst) != 0) put("memory{} ", imm_high(inst));
    put("[s{}", slot);
    if (imm_low(inst) != 0) put(" + {}", imm_low(inst));
    text_ += ']';
  }

  void inst(const Inst& inst) {
    const auto number = static_cast<std::uint16_t>(inst.op);
    if (number >= op_count) {
      put("op{}", number);
      return;
    }
    text_ += info(inst.op).name;
    const Operands& use = operands(inst.op);
    switch (info(inst.op).shape) {
      case Shape::d_k:
        put(" s{}, ", inst.a);
        constant(inst.imm);
        break;
      case Shape::d_a:
      case Shape::v_v:
      case Shape::v_a:
      case Shape::d_v:
        put(" s{}, s{}", inst.a, inst.b);
        break;
      case Shape::d_ab:
      case Shape::v_vv:
      case Shape::v_va:
        put(" s{}, s{}, s{}", inst.a, inst.b, inst.c);
        break;
      case Shape::d_ak:
        put(" s{}, s{}, ", inst.a, inst.b);
        constant(inst.imm);
        break;
      case Shape::d_abc:
      case Shape::v_vvv:
      case Shape::v_vva:
        put(" s{}, s{}, s{}, s{}", inst.a, inst.b, inst.c, inst.imm);
        break;
      case Shape::d_vk:
        put(" s{}, s{}, {}", inst.a, inst.b, inst.imm);
        break;
      case Shape::v_vak:
        put(" s{}, s{}, s{}, {}", inst.a, inst.b, inst.c, inst.imm);
        break;
      case Shape::v_vvg:
        put(" s{}, s{}, s{}, ", inst.a, inst.b, inst.c);
        index(use.low, imm_low(inst));
        break;
      case Shape::d_g:
      case Shape::g_a:
      case Shape::v_g:
      case Shape::g_v:
        put(" s{}, ", inst.a);
        index(use.low, imm_low(inst));
        break;
      case Shape::d_ag:
      case Shape::ab_g:
        put(" s{}, s{}, ", inst.a, inst.b);
        index(use.low, imm_low(inst));
        break;
      case Shape::a_g:
        put(" s{}, {}", inst.a, inst.imm);
        break;
      case Shape::g:
        text_ += ' ';
        if (inst.op == Op::trap && inst.imm < abi::trap_count) {
          text_ += abi::to_string(static_cast<abi::TrapKind>(inst.imm));
        } else if (use.low == Space::number) {
          put("{}", inst.imm);
        } else {
          index(use.low, imm_low(inst));
        }
        break;
      case Shape::load:
      case Shape::load_v:
        put(" s{}, ", inst.a);
        address(inst, inst.b);
        break;
      case Shape::store:
      case Shape::store_v:
        text_ += ' ';
        address(inst, inst.a);
        put(", s{}", inst.b);
        break;
      case Shape::bulk:
        put(" s{}, s{}, s{}, ", inst.a, inst.b, inst.c);
        index(use.low, imm_low(inst));
        if (use.high != Space::unused) {
          text_ += ", ";
          index(use.high, imm_high(inst));
        }
        break;
      case Shape::br:
        put(" b{}", imm_low(inst));
        break;
      case Shape::br_ab:
        put(" s{}, s{}, b{}", inst.a, inst.b, imm_low(inst));
        break;
      case Shape::br_ak:
        put(" s{}, {}, b{}", inst.a, branch_constant(inst), imm_low(inst));
        break;
      case Shape::br_table:
        put(" s{}, ", inst.a);
        index(use.low, imm_low(inst));
        break;
      case Shape::enter:
        put(" header {} zero {} + {} frame {}", inst.a, inst.b, inst.c, inst.imm);
        break;
      case Shape::call:
        put(" s{}, fn{}", inst.a, imm_low(inst));
        break;
      case Shape::call_indirect:
        put(" s{}, s{}, ", inst.a, inst.b);
        index(use.low, imm_low(inst));
        text_ += ", ";
        index(use.high, imm_high(inst));
        break;
      case Shape::ret:
        put(" s{}", inst.a);
        break;
      case Shape::ret_mov:
        put(" s{}, s{}", inst.a, inst.b);
        break;
    }
  }

  const Module& module_;  // borrowed
  std::unordered_map<std::string, std::uint32_t> first_of_type_;
  std::string text_;
};

}  // namespace

std::string print(const Module& module) { return Printer(module).all(); }

std::string print(const Module& module, std::uint32_t function) {
  return Printer(module).one(function);
}

}  // namespace warphive::ir
