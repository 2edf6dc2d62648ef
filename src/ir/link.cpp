// SPDX-License-Identifier: Apache-2.0
#include "ir/link.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/check.hpp"
#include "base/result.hpp"
#include "ir/operands.hpp"

namespace warphive::ir {
namespace {

constexpr std::uint64_t max_entities = none - 1;
constexpr std::size_t max_shown_name = 120;         // bytes of a guest's name in a message
constexpr std::size_t max_suggestion_name = 64;     // longer names are not compared
constexpr std::size_t max_suggestion_pool = 2'000;  // exports compared
constexpr std::size_t max_suggestions = 3;

std::string_view kind_name(EntityKind kind) {
  switch (kind) {
    case EntityKind::function:
      return "function";
    case EntityKind::table:
      return "table";
    case EntityKind::memory:
      return "memory";
    case EntityKind::global:
      return "global";
  }
  return "entity";
}

// A guest's name in a message: control characters as \xx, cut where it is long.
std::string shown(std::string_view name) {
  std::string text;
  for (const char letter : name.substr(0, max_shown_name)) {
    const auto byte = static_cast<unsigned char>(letter);
    if (byte < 0x20 || byte == 0x7f) {
      text += fmt::format("\\{:02x}", byte);
    } else {
      text += letter;
    }
  }
  if (name.size() > max_shown_name) text += "...";
  return text;
}

std::string shown(const Import& import) {
  return fmt::format("({}.{})", shown(import.module), shown(import.field));
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::array<std::size_t, max_suggestion_name + 1> row{};
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0U : 1U)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

// " Close names: (x), (y)." or nothing.
std::string suggestions(std::string_view wanted, EntityKind kind, const Member& member) {
  if (wanted.size() > max_suggestion_name) return {};
  std::vector<std::pair<std::size_t, std::string_view>> close;
  const std::size_t pool = std::min(member.exports.size(), max_suggestion_pool);
  for (std::size_t i = 0; i < pool; ++i) {
    const Export& entry = member.exports[i];
    if (entry.kind != kind || entry.name.size() > max_suggestion_name) continue;
    const std::size_t distance = edit_distance(wanted, entry.name);
    if (distance <= std::max<std::size_t>(2, wanted.size() / 3)) {
      close.emplace_back(distance, entry.name);
    }
  }
  if (close.empty()) return {};
  std::sort(close.begin(), close.end());
  std::string text = " Close names:";
  for (std::size_t i = 0; i < std::min(close.size(), max_suggestions); ++i) {
    text += fmt::format("{} ({})", i == 0 ? "" : ",", shown(close[i].second));
  }
  return text + ".";
}

std::string limits_text(std::uint32_t min, const std::optional<std::uint32_t>& max,
                        std::string_view unit) {
  return max ? fmt::format("{} to {} {}", min, *max, unit)
             : fmt::format("at least {} {}", min, unit);
}

std::string signature(const Memory& memory) {
  return limits_text(memory.min_pages, memory.max_pages, "pages");
}
std::string signature(const Table& table) {
  return fmt::format("{} {}", limits_text(table.min, table.max, "elements of"),
                     to_string(table.element));
}
std::string signature(const Global& global) {
  return fmt::format("{}{}", global.is_mutable ? "mutable " : "", to_string(global.type));
}

// A declared maximum must not be exceeded by what is provided. Whether the minimum is there depends
// on how far the provider has grown when the member is instantiated.
bool max_fits(const std::optional<std::uint32_t>& wanted,
              const std::optional<std::uint32_t>& provided) {
  return !wanted || (provided && *provided <= *wanted);
}
bool compatible(const Memory& wanted, const Memory& provided) {
  return max_fits(wanted.max_pages, provided.max_pages);
}
bool compatible(const Table& wanted, const Table& provided) {
  return wanted.element == provided.element && max_fits(wanted.max, provided.max);
}
bool compatible(const Global& wanted, const Global& provided) {
  return wanted.type == provided.type && wanted.is_mutable == provided.is_mutable;
}

// A type as a key: equal keys, equal types.
std::string type_key(const FunctionType& type) {
  std::string key;
  key.reserve(type.params.size() + type.results.size() + 1);
  for (const ValueType value : type.params) key += static_cast<char>('a' + static_cast<int>(value));
  key += '>';
  for (const ValueType value : type.results) {
    key += static_cast<char>('a' + static_cast<int>(value));
  }
  return key;
}

class Linker {
 public:
  Linker(std::span<const LinkInput> inputs, const LinkOptions& options)
      : inputs_(inputs), options_(options) {}

  Result<Module> run() {
    WARPHIVE_TRY(check_inputs());
    std::size_t functions = 0;
    for (const LinkInput& input : inputs_) functions += input.module->functions.size();
    program_.functions.reserve(functions);
    for (std::uint32_t i = 0; i < inputs_.size(); ++i) WARPHIVE_TRY(add_member(i));
    return std::move(program_);
  }

 private:
  using Map = std::vector<std::uint32_t>;  // a member's index -> the program's index

  struct Provider {
    std::uint32_t member = 0;
    std::unordered_map<std::string_view, const Export*> exports;  // names live in the inputs
  };

  Status check_inputs() const {
    std::uint64_t functions = 0;
    for (const LinkInput& input : inputs_) {
      if (input.module == nullptr || input.module->members.size() != 1) {
        return base::error(ErrorCode::internal, ErrorPhase::link,
                           "Module ({}) to link has ({}) members instead of 1.", shown(input.name),
                           input.module == nullptr ? 0 : input.module->members.size());
      }
      if (input.module->metered != inputs_[0].module->metered) {
        return base::error(ErrorCode::invalid_input, ErrorPhase::link,
                           "Module ({}) is {}, but module ({}) is not.", shown(input.name),
                           input.module->metered ? "metered" : "unmetered", shown(inputs_[0].name));
      }
      functions += input.module->functions.size();
    }
    if (functions > max_entities) {
      return base::error(ErrorCode::limit_exceeded, ErrorPhase::link,
                         "The program has too many functions ({}, at most {}).", functions,
                         max_entities);
    }
    return {};
  }

  Status add_member(std::uint32_t index) {
    member_ = index;
    source_ = inputs_[index].module;
    program_.metered = source_->metered;
    types_.clear();
    for (const FunctionType& type : source_->types) types_.push_back(intern(type));
    // Memories first: host functions see the one of their caller.
    WARPHIVE_TRY(add_simple(EntityKind::memory, source_->memories, program_.memories, memories_));
    if (!memories_.empty()) program_.main_memory = memories_[0];
    WARPHIVE_TRY(add_functions());
    WARPHIVE_TRY(add_simple(EntityKind::table, source_->tables, program_.tables, tables_));
    WARPHIVE_TRY(add_simple(EntityKind::global, source_->globals, program_.globals, globals_));
    for (std::size_t i = 0; i < source_->memories.size(); ++i) {
      program_.memories[memories_[i]].grows |= source_->memories[i].grows;
    }
    for (std::size_t i = 0; i < source_->tables.size(); ++i) {
      program_.tables[tables_[i]].changes |= source_->tables[i].changes;
    }
    add_segments();
    renumber_code();
    add_exports();
    return {};
  }

  std::uint32_t intern(const FunctionType& type) {
    const auto [entry, is_new] =
        interned_.try_emplace(type_key(type), static_cast<std::uint32_t>(program_.types.size()));
    if (is_new) program_.types.push_back(type);
    return entry->second;
  }

  // The latest earlier member of that name, or nullptr.
  const Provider* provider(std::string_view name) const {
    const auto found = providers_.find(name);
    return found == providers_.end() ? nullptr : &found->second;
  }

  // The export that an import means, already program-wide; nullptr where no member has the name.
  // Errors: the name is there and is of another kind.
  Result<const Export*> find(const Import& import, EntityKind kind, std::string_view wanted) const {
    const Provider* from = provider(import.module);
    if (from == nullptr) return nullptr;
    const auto found = from->exports.find(import.field);
    if (found == from->exports.end()) return nullptr;
    if (found->second->kind != kind) {
      return base::error(ErrorCode::invalid_input, ErrorPhase::link,
                         "Import {} wants a {} of type {}, but ({}) exports a {} of that name.",
                         shown(import), kind_name(kind), wanted, shown(import.module),
                         kind_name(found->second->kind));
    }
    return found->second;
  }

  tl::unexpected<Error> unknown(const Import& import, EntityKind kind,
                                std::string_view wanted) const {
    const Provider* from = provider(import.module);
    std::string message = fmt::format("Import {}, a {} of type {}, is unknown: ", shown(import),
                                      kind_name(kind), wanted);
    if (from != nullptr) {
      message += fmt::format("({}) exports no such name{}.", shown(import.module),
                             kind == EntityKind::function ? " and no host provides it" : "");
      message += suggestions(import.field, kind, program_.members[from->member]);
    } else {
      message += fmt::format("no earlier module is named so{}.",
                             kind == EntityKind::function ? " and no host provides it" : "");
    }
    return fail(Error(ErrorCode::invalid_input, ErrorPhase::link, std::move(message)));
  }

  template <class Entity>
  Status add_simple(EntityKind kind, const std::vector<Entity>& list, std::vector<Entity>& program,
                    Map& map) {
    map.clear();
    for (const Entity& entity : list) {
      if (!entity.import) {
        map.push_back(static_cast<std::uint32_t>(program.size()));
        program.push_back(entity);
        continue;
      }
      const std::string wanted = signature(entity);
      WARPHIVE_TRY_ASSIGN(const Export* found, find(*entity.import, kind, wanted));
      if (found == nullptr) return unknown(*entity.import, kind, wanted);
      const Entity& provided = program[found->index];
      if (!compatible(entity, provided)) {
        return base::error(ErrorCode::invalid_input, ErrorPhase::link,
                           "Import {} wants a {} of type {}, but ({}) exports one of type {}.",
                           shown(*entity.import), kind_name(kind), wanted,
                           shown(entity.import->module), signature(provided));
      }
      map.push_back(found->index);
    }
    return {};
  }

  Status add_functions() {
    functions_.clear();
    added_.clear();
    for (const Function& function : source_->functions) {
      if (function.import) {
        WARPHIVE_TRY_ASSIGN(const std::uint32_t index, import_function(*function.import, function));
        functions_.push_back(index);
        continue;
      }
      const auto index = static_cast<std::uint32_t>(program_.functions.size());
      functions_.push_back(index);
      added_.push_back(index);
      Function& copy = program_.functions.emplace_back(function);
      copy.type = types_[function.type];
      copy.member = member_;
    }
    return {};
  }

  Result<std::uint32_t> import_function(const Import& import, const Function& function) {
    const std::uint32_t type = types_[function.type];
    const std::string wanted = to_string(program_.types[type]);
    WARPHIVE_TRY_ASSIGN(const Export* found, find(import, EntityKind::function, wanted));
    if (found != nullptr) {
      const std::uint32_t provided = program_.functions[found->index].type;
      if (provided == type) return found->index;
      return base::error(ErrorCode::invalid_input, ErrorPhase::link,
                         "Import {} wants a function of type {}, but ({}) exports one of type {}.",
                         shown(import), wanted, shown(import.module),
                         to_string(program_.types[provided]));
    }
    std::optional<FunctionType> provided;
    if (options_.host_function) provided = options_.host_function(import.module, import.field);
    if (!provided) return unknown(import, EntityKind::function, wanted);
    if (*provided != program_.types[type]) {
      return base::error(ErrorCode::invalid_input, ErrorPhase::link,
                         "Import {} wants a function of type {}, but the host provides one of "
                         "type {}.",
                         shown(import), wanted, to_string(*provided));
    }
    return host_stub(import, type);
  }

  // The function whose body calls the host.
  std::uint32_t host_stub(const Import& import, std::uint32_t type) {
    const std::uint32_t memory = memories_.empty() ? 0 : memories_[0];
    // A length keeps ("a", "b.c") and ("a.b", "c") apart.
    std::string key =
        fmt::format("{}:{}:{}.{}", memory, import.module.size(), import.module, import.field);
    const auto index = static_cast<std::uint32_t>(program_.functions.size());
    const auto [entry, is_new] = host_stubs_.try_emplace(std::move(key), index);
    // One name has one type at one host, so the name suffices as the key.
    if (!is_new) return entry->second;
    const auto host = static_cast<std::uint32_t>(program_.host_imports.size());
    program_.host_imports.push_back({import.module, import.field, type, memory});
    const FunctionType& signature = program_.types[type];
    Function stub;
    stub.type = type;
    stub.header_slot = std::max(param_slots(signature), result_slots(signature));
    stub.frame_slots = stub.header_slot + 1;
    const auto header = static_cast<std::uint16_t>(stub.header_slot);
    stub.code = {{Op::enter, header, 0, 0, stub.frame_slots},
                 {Op::host_call, 0, 0, 0, host},
                 {Op::ret, header, 0, 0, 0}};
    stub.source.assign(stub.code.size(), 0);
    stub.blocks = {0};
    stub.member = member_;
    stub.name = import.module + "." + import.field;
    program_.functions.push_back(std::move(stub));
    return index;
  }

  void add_segments() {
    const auto append = [](const auto& list, auto& program, Map& map) {
      map.clear();
      for (const auto& segment : list) {
        map.push_back(static_cast<std::uint32_t>(program.size()));
        program.push_back(segment);
      }
    };
    append(source_->data_segments, program_.data_segments, data_);
    append(source_->element_segments, program_.element_segments, elements_);
    for (const std::uint32_t segment : elements_) {
      for (Element& element : program_.element_segments[segment]) {
        if (element.kind == Element::Kind::function) element.index = functions_[element.index];
        if (element.kind == Element::Kind::global) element.index = globals_[element.index];
      }
    }
  }

  void renumber_code() {
    // Host imports that a module brings along are taken over as they are.
    Map hosts;
    for (const HostImport& host : source_->host_imports) {
      hosts.push_back(static_cast<std::uint32_t>(program_.host_imports.size()));
      const std::uint32_t memory = host.memory < memories_.size() ? memories_[host.memory] : 0;
      program_.host_imports.push_back({host.module, host.field, types_[host.type], memory});
    }
    std::array<const Map*, space_count> maps{};
    const auto set = [&maps](Space space, const Map& map) {
      maps[static_cast<std::uint8_t>(space)] = &map;
    };
    set(Space::function, functions_);
    set(Space::global, globals_);
    set(Space::memory, memories_);
    set(Space::table, tables_);
    set(Space::data, data_);
    set(Space::elem, elements_);
    set(Space::type, types_);
    set(Space::host, hosts);
    Map vectors;
    for (const Vector& vector : source_->vectors) {
      vectors.push_back(static_cast<std::uint32_t>(program_.vectors.size()));
      program_.vectors.push_back(vector);
    }
    set(Space::vector, vectors);
    for (const std::uint32_t index : added_) {
      for (Inst& inst : program_.functions[index].code) {
        const Operands& use = operands(inst.op);
        const Map* low = maps[static_cast<std::uint8_t>(use.low)];
        const Map* high = maps[static_cast<std::uint8_t>(use.high)];
        if (low == nullptr && high == nullptr) continue;
        WARPHIVE_DCHECK(low == nullptr || imm_low(inst) < low->size());
        WARPHIVE_DCHECK(high == nullptr || imm_high(inst) < high->size());
        inst.imm = imm_pair(low != nullptr ? (*low)[imm_low(inst)] : imm_low(inst),
                            high != nullptr ? (*high)[imm_high(inst)] : imm_high(inst));
      }
    }
  }

  void add_exports() {
    const Member& from = source_->members[0];
    Member member;
    member.name = inputs_[member_].name;
    member.init = from.init == none ? none : functions_[from.init];
    member.start = from.start == none ? none : functions_[from.start];
    member.exports = from.exports;
    for (Export& entry : member.exports) {
      switch (entry.kind) {
        case EntityKind::function:
          entry.index = functions_[entry.index];
          break;
        case EntityKind::table:
          entry.index = tables_[entry.index];
          break;
        case EntityKind::memory:
          entry.index = memories_[entry.index];
          break;
        case EntityKind::global:
          entry.index = globals_[entry.index];
          break;
      }
    }
    // The vector of exports keeps its address when `members` grows: vectors of members move.
    program_.members.push_back(std::move(member));
    Provider& entry = providers_[inputs_[member_].name];
    entry.member = member_;
    entry.exports.clear();
    for (const Export& exported : program_.members.back().exports) {
      entry.exports.try_emplace(exported.name, &exported);
    }
  }

  std::span<const LinkInput> inputs_;
  const LinkOptions& options_;  // borrowed
  Module program_;
  std::unordered_map<std::string, std::uint32_t> interned_;    // types by structure
  std::unordered_map<std::string, std::uint32_t> host_stubs_;  // functions by memory and host name
  std::unordered_map<std::string_view, Provider> providers_;   // by name, the latest member

  // Of the member that is being added.
  std::uint32_t member_ = 0;
  const Module* source_ = nullptr;
  std::vector<std::uint32_t> added_;  // its own functions in the program
  Map types_, functions_, memories_, tables_, globals_, data_, elements_;
};

}  // namespace

Result<Module> link(std::span<const LinkInput> members, const LinkOptions& options) {
  return Linker(members, options).run();
}

}  // namespace warphive::ir
