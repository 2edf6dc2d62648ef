// SPDX-License-Identifier: Apache-2.0
// The parser of the text form. It goes over the text once, without recursion; numbers in the text
// never size anything, so memory stays in proportion to the text.
#include <fmt/format.h>

#include <string>
#include <unordered_map>

#include "abi/exit.hpp"
#include "base/result.hpp"
#include "ir/operands.hpp"
#include "ir/text.hpp"
#include "ir/text_words.hpp"

namespace warphive::ir {
namespace {

constexpr std::size_t max_shown = 40;  // bytes of the text in a message

bool is_digit(char letter) { return letter >= '0' && letter <= '9'; }
bool is_word(char letter) {
  return is_digit(letter) || letter == '_' || (letter >= 'a' && letter <= 'z') ||
         (letter >= 'A' && letter <= 'Z');
}

int hex_value(char letter) {
  if (is_digit(letter)) return letter - '0';
  if (letter >= 'a' && letter <= 'f') return letter - 'a' + 10;
  if (letter >= 'A' && letter <= 'F') return letter - 'A' + 10;
  return -1;
}

const std::unordered_map<std::string_view, Op>& ops_by_name() {
  static const auto* const map = [] {
    auto* ops = new std::unordered_map<std::string_view, Op>;
    for (std::uint16_t i = 0; i < op_count; ++i) {
      ops->emplace(info(static_cast<Op>(i)).name, static_cast<Op>(i));
    }
    return ops;
  }();
  return *map;
}

// Every parsing function returns false after it has noted an error, and then nothing more is read.
class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<Module> run() {
    while (error_.empty() && !at_end()) statement();
    if (!error_.empty()) {
      return base::error(ErrorCode::invalid_input, ErrorPhase::parse, "Line {}: {}.", line_,
                         error_);
    }
    return std::move(module_);
  }

 private:
  // --- Tokens

  void skip_space() {
    for (; at_ < text_.size(); ++at_) {
      const char letter = text_[at_];
      if (letter == '\n') {
        ++line_;
      } else if (letter == ';') {
        while (at_ + 1 < text_.size() && text_[at_ + 1] != '\n') ++at_;
      } else if (letter != ' ' && letter != '\t' && letter != '\r') {
        return;
      }
    }
  }

  bool at_end() {
    skip_space();
    return at_ == text_.size();
  }

  [[nodiscard]] std::string found() const {
    std::size_t end = at_;
    while (end < text_.size() && end - at_ < max_shown && is_word(text_[end])) ++end;
    if (end == at_ && at_ < text_.size()) ++end;
    if (end == at_) return "the end of the text";
    std::string shown;
    for (const char letter : text_.substr(at_, end - at_)) {
      shown += letter >= 0x20 && letter < 0x7f ? letter : '?';
    }
    return "(" + shown + ")";
  }

  bool expected(std::string_view what) {
    if (error_.empty()) error_ = fmt::format("{} was expected, but found {}", what, found());
    return false;
  }
  bool wrong(std::string message) {
    if (error_.empty()) error_ = std::move(message);
    return false;
  }

  std::string_view peek_word() {
    skip_space();
    std::size_t end = at_;
    while (end < text_.size() && is_word(text_[end])) ++end;
    return text_.substr(at_, end - at_);
  }

  bool take_word(std::string_view word) {
    if (word.empty() || peek_word() != word) return false;
    at_ += word.size();
    return true;
  }
  bool word(std::string_view wanted) {
    return take_word(wanted) || expected(fmt::format("({})", wanted));
  }

  bool take(std::string_view mark) {
    skip_space();
    if (text_.substr(at_, mark.size()) != mark) return false;
    at_ += mark.size();
    return true;
  }
  bool mark(std::string_view wanted) {
    return take(wanted) || expected(fmt::format("({})", wanted));
  }

  // Decimal or hexadecimal digits at the cursor, as one word.
  bool digits(std::uint64_t& value, std::uint64_t limit) {
    const std::string_view word = peek_word();
    const bool hex = word.starts_with("0x");
    const std::string_view rest = hex ? word.substr(2) : word;
    if (rest.empty()) return expected("A number");
    value = 0;
    for (const char letter : rest) {
      const int digit = hex ? hex_value(letter) : (is_digit(letter) ? letter - '0' : -1);
      if (digit < 0) return expected("A number");
      const std::uint64_t base = hex ? 16 : 10;
      const auto add = static_cast<std::uint64_t>(digit);
      if (value > (limit - add) / base) {
        return wrong(fmt::format("Number {} is too large (at most {})", found(), limit));
      }
      value = value * base + add;
    }
    at_ += word.size();
    return true;
  }

  bool number(std::uint64_t& value) { return digits(value, ~std::uint64_t{0}); }
  bool number(std::uint32_t& value) {
    std::uint64_t wide = 0;
    if (!digits(wide, ~std::uint32_t{0})) return false;
    value = static_cast<std::uint32_t>(wide);
    return true;
  }
  bool number(std::uint16_t& value) {
    std::uint64_t wide = 0;
    if (!digits(wide, 0xffff)) return false;
    value = static_cast<std::uint16_t>(wide);
    return true;
  }

  // A number that may be negative, as 64 bits of two's complement.
  bool constant(std::uint64_t& value) {
    if (!take("-")) return number(value);
    if (!digits(value, std::uint64_t{1} << 63)) return false;
    value = ~value + 1;
    return true;
  }

  // A word and a number without space between them, as in `s12`.
  template <class Number>
  bool indexed(std::string_view prefix, Number& value) {
    const std::string_view word = peek_word();
    if (word.size() <= prefix.size() || !word.starts_with(prefix) ||
        !is_digit(word[prefix.size()])) {
      return expected(fmt::format("({}) with a number", prefix));
    }
    at_ += prefix.size();
    return number(value);
  }
  bool slot(std::uint16_t& value) { return indexed("s", value); }

  // Entities of a kind are listed in order, so that their number only confirms their place.
  bool place(std::string_view what, std::size_t size) {
    std::uint32_t index = 0;
    if (!number(index)) return false;
    return index == size ||
           wrong(fmt::format("The next {} has number {}, not {}", what, size, index));
  }

  bool string(std::string& value) {
    skip_space();
    if (at_ == text_.size() || text_[at_] != '"') return expected("A string");
    ++at_;
    value.clear();
    while (at_ < text_.size() && text_[at_] != '"' && text_[at_] != '\n') {
      if (text_[at_] != '\\') {
        value += text_[at_++];
        continue;
      }
      const int high = at_ + 1 < text_.size() ? hex_value(text_[at_ + 1]) : -1;
      const int low = at_ + 2 < text_.size() ? hex_value(text_[at_ + 2]) : -1;
      if (high < 0 || low < 0) return wrong("An escape in a string is \\ and two hex digits");
      value += static_cast<char>(high * 16 + low);
      at_ += 3;
    }
    if (at_ == text_.size() || text_[at_] != '"') return wrong("The string does not end");
    ++at_;
    return true;
  }

  // --- Parts of statements

  bool value_type(ValueType& type) {
    for (const ValueType candidate :
         {ValueType::i32, ValueType::i64, ValueType::f32, ValueType::f64, ValueType::v128,
          ValueType::funcref, ValueType::externref}) {
      if (take_word(to_string(candidate))) {
        type = candidate;
        return true;
      }
    }
    return expected("A value type");
  }

  bool type_list(std::vector<ValueType>& list) {
    if (!mark("(")) return false;
    if (take(")")) return true;
    do {
      if (!value_type(list.emplace_back())) return false;
    } while (take(","));
    return mark(")");
  }

  bool signature(FunctionType& type) {
    return type_list(type.params) && mark("->") && type_list(type.results);
  }

  // Reads `type N` or a signature; a signature that no type has yet becomes a new type.
  bool type_use(std::uint32_t& type) {
    if (take_word("type")) return number(type);
    FunctionType wanted;
    if (!signature(wanted)) return false;
    const auto [entry, is_new] =
        types_.try_emplace(to_string(wanted), static_cast<std::uint32_t>(module_.types.size()));
    if (is_new) module_.types.push_back(std::move(wanted));
    type = entry->second;
    return true;
  }

  bool import(std::optional<Import>& from) {
    if (!take_word("import")) return true;
    from.emplace();
    return string(from->module) && string(from->field);
  }

  bool limits(std::uint32_t& min, std::optional<std::uint32_t>& max) {
    if (!word("min") || !number(min)) return false;
    return !take_word("max") || number(max.emplace());
  }

  // --- Statements

  bool statement() {
    if (take_word("module")) {
      module_.metered = !take_word("unmetered");
      if (module_.metered && !word("metered")) return false;
      return !take_word("sees") || number(module_.main_memory);
    }
    if (take_word("type")) return type();
    if (take_word("member")) return member();
    if (take_word("export")) return exported();
    if (take_word("memory")) return memory();
    if (take_word("table")) return table();
    if (take_word("global")) return global();
    if (take_word("host")) return host();
    if (take_word("vector")) return vector();
    if (take_word("data")) return data();
    if (take_word("elem")) return elements();
    if (take_word("fn")) return function();
    return expected("A statement");
  }

  bool type() {
    if (!place("type", module_.types.size())) return false;
    FunctionType& type = module_.types.emplace_back();
    if (!signature(type)) return false;
    types_.try_emplace(to_string(type), static_cast<std::uint32_t>(module_.types.size() - 1));
    return true;
  }

  bool member() {
    if (!place("member", module_.members.size())) return false;
    Member& member = module_.members.emplace_back();
    if (!string(member.name)) return false;
    if (take_word("init") && !number(member.init)) return false;
    return !take_word("start") || number(member.start);
  }

  bool exported() {
    if (module_.members.empty()) return wrong("An export stands before any member");
    Export& entry = module_.members.back().exports.emplace_back();
    if (!string(entry.name)) return false;
    for (const EntityKind kind :
         {EntityKind::function, EntityKind::table, EntityKind::memory, EntityKind::global}) {
      if (take_word(text::entity_word(kind))) {
        entry.kind = kind;
        return number(entry.index);
      }
    }
    return expected("A kind of export");
  }

  bool memory() {
    if (!place("memory", module_.memories.size())) return false;
    Memory& memory = module_.memories.emplace_back();
    if (!limits(memory.min_pages, memory.max_pages)) return false;
    memory.grows = take_word("grows");
    return import(memory.import);
  }

  bool table() {
    if (!place("table", module_.tables.size())) return false;
    Table& table = module_.tables.emplace_back();
    if (!value_type(table.element) || !limits(table.min, table.max)) return false;
    table.changes = take_word("changes");
    return import(table.import);
  }

  bool global() {
    if (!place("global", module_.globals.size())) return false;
    Global& global = module_.globals.emplace_back();
    if (!value_type(global.type)) return false;
    global.is_mutable = take_word("mutable");
    return import(global.import);
  }

  bool host() {
    if (!place("host import", module_.host_imports.size())) return false;
    HostImport& host = module_.host_imports.emplace_back();
    return string(host.module) && string(host.field) && type_use(host.type) &&
           (!take_word("memory") || number(host.memory));
  }

  bool vector() {
    if (!place("vector", module_.vectors.size())) return false;
    Vector& vector = module_.vectors.emplace_back();
    return number(vector.low) && number(vector.high);
  }

  bool data() {
    if (!place("data segment", module_.data_segments.size())) return false;
    auto& bytes = module_.data_segments.emplace_back();
    if (!mark("{")) return false;
    while (!take("}")) {
      const std::string_view word = peek_word();
      if (word.empty() || word.size() % 2 != 0) return expected("Pairs of hex digits");
      for (std::size_t i = 0; i < word.size(); i += 2) {
        const int high = hex_value(word[i]);
        const int low = hex_value(word[i + 1]);
        if (high < 0 || low < 0) return expected("Pairs of hex digits");
        bytes.push_back(static_cast<std::byte>(high * 16 + low));
      }
      at_ += word.size();
    }
    return true;
  }

  bool elements() {
    if (!place("element segment", module_.element_segments.size())) return false;
    auto& list = module_.element_segments.emplace_back();
    if (!mark("{")) return false;
    while (!take("}")) {
      Element& element = list.emplace_back();
      if (take_word("null")) continue;
      const bool is_function = peek_word().starts_with("fn");
      element.kind = is_function ? Element::Kind::function : Element::Kind::global;
      if (!indexed(is_function ? "fn" : "global", element.index)) return false;
    }
    return true;
  }

  bool function() {
    if (!place("function", module_.functions.size())) return false;
    Function& function = module_.functions.emplace_back();
    if (!string(function.name) || !type_use(function.type)) return false;
    if (!word("frame") || !number(function.frame_slots)) return false;
    if (!word("header") || !number(function.header_slot)) return false;
    if (take_word("member") && !number(function.member)) return false;
    if (take_word("guest") && !number(function.guest_index)) return false;
    if (!import(function.import)) return false;
    if (!take("{")) return true;
    std::uint32_t offset = 0;
    while (!take("}")) {
      const std::string_view next = peek_word();
      if (next.starts_with("jump")) {
        if (!branch_table(function)) return false;
      } else if (next.size() > 1 && next[0] == 'b' && is_digit(next[1])) {
        if (!block_label(function)) return false;
      } else if (!inst(function.code.emplace_back())) {
        return false;
      } else {
        if (take("@") && !number(offset)) return false;
        function.source.push_back(offset);
      }
    }
    return true;
  }

  bool branch_table(Function& function) {
    std::uint32_t index = 0;
    if (!indexed("jump", index) || !mark("=")) return false;
    if (index != function.branch_tables.size()) {
      return wrong(fmt::format("The next branch table has number {}, not {}",
                               function.branch_tables.size(), index));
    }
    auto& targets = function.branch_tables.emplace_back();
    for (;;) {
      // A label is a block's name with a colon; it ends the list of targets.
      const std::string_view next = peek_word();
      if (next.size() < 2 || next[0] != 'b' || !is_digit(next[1])) return true;
      if (text_.substr(at_ + next.size(), 1) == ":") return true;
      if (!indexed("b", targets.emplace_back())) return false;
    }
  }

  bool block_label(Function& function) {
    std::uint32_t index = 0;
    if (!indexed("b", index) || !mark(":")) return false;
    if (index != function.blocks.size()) {
      return wrong(
          fmt::format("The next block has number {}, not {}", function.blocks.size(), index));
    }
    function.blocks.push_back(static_cast<std::uint32_t>(function.code.size()));
    return true;
  }

  // --- Instructions

  bool comma() { return mark(","); }

  // An index with its word, or a plain number, into the low half of imm.
  bool low(Inst& inst) {
    const Space space = operands(inst.op).low;
    if (space == Space::number) return number(inst.imm);
    std::uint32_t index = 0;
    if (!indexed(text::space_word(space), index)) return false;
    inst.imm = imm_pair(index, imm_high(inst));
    return true;
  }
  bool high(Inst& inst) {
    std::uint32_t index = 0;
    if (!indexed(text::space_word(operands(inst.op).high), index)) return false;
    inst.imm = imm_pair(imm_low(inst), index);
    return true;
  }

  bool address(Inst& inst, std::uint16_t& base) {
    std::uint32_t memory = 0;
    std::uint32_t offset = 0;
    if (peek_word().starts_with("memory") && !indexed("memory", memory)) return false;
    if (!mark("[") || !slot(base)) return false;
    if (take("+") && !number(offset)) return false;
    inst.imm = imm_pair(offset, memory);
    return mark("]");
  }

  bool branch_value(Inst& inst) {
    std::uint64_t value = 0;
    if (!constant(value)) return false;
    const auto as_signed = static_cast<std::int64_t>(value);
    if (as_signed != static_cast<std::int32_t>(as_signed)) {
      return wrong("A branch's constant has 32 bits");
    }
    inst.b = static_cast<std::uint16_t>(value & 0xffff);
    inst.c = static_cast<std::uint16_t>(value >> 16 & 0xffff);
    return true;
  }

  bool plain(Inst& inst) {
    if (inst.op == Op::trap) {
      for (std::uint8_t kind = 0; kind < abi::trap_count; ++kind) {
        if (take_word(abi::to_string(static_cast<abi::TrapKind>(kind)))) {
          inst.imm = kind;
          return true;
        }
      }
    }
    return low(inst);
  }

  bool inst(Inst& inst) {
    const std::string_view name = peek_word();
    const auto found = ops_by_name().find(name);
    if (found == ops_by_name().end()) return expected("An instruction");
    at_ += name.size();
    inst = {found->second, 0, 0, 0, 0};
    switch (info(inst.op).shape) {
      case Shape::d_k:
        return slot(inst.a) && comma() && constant(inst.imm);
      case Shape::d_a:
      case Shape::v_v:
      case Shape::v_a:
      case Shape::d_v:
        return slot(inst.a) && comma() && slot(inst.b);
      case Shape::d_ab:
      case Shape::v_vv:
      case Shape::v_va:
        return slot(inst.a) && comma() && slot(inst.b) && comma() && slot(inst.c);
      case Shape::d_ak:
        return slot(inst.a) && comma() && slot(inst.b) && comma() && constant(inst.imm);
      case Shape::d_abc:
      case Shape::v_vvv:
      case Shape::v_vva:
        return slot(inst.a) && comma() && slot(inst.b) && comma() && slot(inst.c) && comma() &&
               indexed("s", inst.imm);
      case Shape::d_vk:
        return slot(inst.a) && comma() && slot(inst.b) && comma() && number(inst.imm);
      case Shape::v_vak:
        return slot(inst.a) && comma() && slot(inst.b) && comma() && slot(inst.c) && comma() &&
               number(inst.imm);
      case Shape::v_vvg:
        return slot(inst.a) && comma() && slot(inst.b) && comma() && slot(inst.c) && comma() &&
               low(inst);
      case Shape::d_g:
      case Shape::g_a:
      case Shape::v_g:
      case Shape::g_v:
        return slot(inst.a) && comma() && low(inst);
      case Shape::d_ag:
      case Shape::ab_g:
        return slot(inst.a) && comma() && slot(inst.b) && comma() && low(inst);
      case Shape::a_g:
        return slot(inst.a) && comma() && number(inst.imm);
      case Shape::g:
        return plain(inst);
      case Shape::load:
      case Shape::load_v:
        return slot(inst.a) && comma() && address(inst, inst.b);
      case Shape::store:
      case Shape::store_v:
        return address(inst, inst.a) && comma() && slot(inst.b);
      case Shape::bulk:
        return slot(inst.a) && comma() && slot(inst.b) && comma() && slot(inst.c) && comma() &&
               low(inst) && (operands(inst.op).high == Space::unused || (comma() && high(inst)));
      case Shape::br:
        return low(inst);
      case Shape::br_ab:
        return slot(inst.a) && comma() && slot(inst.b) && comma() && low(inst);
      case Shape::br_ak:
        return slot(inst.a) && comma() && branch_value(inst) && comma() && low(inst);
      case Shape::br_table:
        return slot(inst.a) && comma() && low(inst);
      case Shape::enter:
        return word("header") && number(inst.a) && word("zero") && number(inst.b) && mark("+") &&
               number(inst.c) && word("frame") && number(inst.imm);
      case Shape::call:
        return slot(inst.a) && comma() && low(inst);
      case Shape::call_indirect:
        return slot(inst.a) && comma() && slot(inst.b) && comma() && low(inst) && comma() &&
               high(inst);
      case Shape::ret:
        return slot(inst.a);
      case Shape::ret_mov:
        return slot(inst.a) && comma() && slot(inst.b);
    }
    return expected("An instruction");
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t line_ = 1;
  std::string error_;
  Module module_;
  std::unordered_map<std::string, std::uint32_t> types_;  // by signature
};

}  // namespace

Result<Module> parse(std::string_view text) { return Parser(text).run(); }

}  // namespace warphive::ir
