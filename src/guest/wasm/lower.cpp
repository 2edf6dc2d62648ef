// SPDX-License-Identifier: Apache-2.0
#include "guest/wasm/lower.hpp"

#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "base/result.hpp"
#include "guest/wasm/lower_function.hpp"
#include "guest/wasm/lower_init.hpp"

namespace warphive::wasm {
namespace {

// Keeps types distinct.
class TypeInterner {
 public:
  explicit TypeInterner(std::vector<FunctionType>& types) : types_(types) {}

  std::uint32_t intern(const FunctionType& type) {
    key_.clear();
    for (const ValueType param : type.params) key_.push_back(static_cast<char>(param));
    key_.push_back('>');
    for (const ValueType result : type.results) key_.push_back(static_cast<char>(result));
    const auto [at, added] = indices_.try_emplace(key_, static_cast<std::uint32_t>(types_.size()));
    if (added) types_.push_back(type);
    return at->second;
  }

 private:
  std::vector<FunctionType>& types_;
  std::unordered_map<std::string, std::uint32_t> indices_;
  std::string key_;
};

void lower_entities(const Module& module, ir::Module& out) {
  out.memories.resize(module.memories.size());
  for (std::size_t i = 0; i < module.memories.size(); ++i) {
    out.memories[i].min_pages = module.memories[i].limits.min;
    out.memories[i].max_pages = module.memories[i].limits.max;
  }
  out.tables.resize(module.tables.size());
  for (std::size_t i = 0; i < module.tables.size(); ++i) {
    out.tables[i].element = module.tables[i].element;
    out.tables[i].min = module.tables[i].limits.min;
    out.tables[i].max = module.tables[i].limits.max;
  }
  out.globals.resize(module.globals.size());
  for (std::size_t i = 0; i < module.globals.size(); ++i) {
    out.globals[i].type = module.globals[i].type;
    out.globals[i].is_mutable = module.globals[i].is_mutable;
  }
  for (const ImportedEntity& entity : module.imports) {
    ir::Import import{entity.module, entity.field};
    switch (entity.kind) {
      case EntityKind::function:
        out.functions[entity.index].import = std::move(import);
        break;
      case EntityKind::table:
        out.tables[entity.index].import = std::move(import);
        break;
      case EntityKind::memory:
        out.memories[entity.index].import = std::move(import);
        break;
      case EntityKind::global:
        out.globals[entity.index].import = std::move(import);
        break;
    }
  }
}

void lower_segments(const Module& module, ir::Module& out) {
  out.data_segments.reserve(module.data_segments.size());
  for (const DataSegment& segment : module.data_segments) {
    out.data_segments.emplace_back(segment.bytes.begin(), segment.bytes.end());
  }
  out.element_segments.reserve(module.element_segments.size());
  for (const ElementSegment& segment : module.element_segments) {
    std::vector<ir::Element>& elements = out.element_segments.emplace_back();
    elements.reserve(segment.items.size());
    for (const ConstExpr& item : segment.items) {
      // A reference is never computed: its expression is one operator.
      WARPHIVE_CHECK(item.size() == 1);
      const auto index = static_cast<std::uint32_t>(item[0].bits);
      switch (item[0].kind) {
        case ConstOp::Kind::null:
          elements.push_back({ir::Element::Kind::null, 0});
          break;
        case ConstOp::Kind::function:
          elements.push_back({ir::Element::Kind::function, index});
          break;
        case ConstOp::Kind::global:
          elements.push_back({ir::Element::Kind::global, index});
          break;
        default:
          WARPHIVE_UNREACHABLE();
      }
    }
  }
}

void name_functions(const Module& module, ir::Module& out) {
  for (std::size_t i = 0; i < module.function_names.size() && i < out.functions.size(); ++i) {
    out.functions[i].name = module.function_names[i];
  }
  for (const ir::Export& exported : module.exports) {
    if (exported.kind != EntityKind::function) continue;
    std::string& name = out.functions[exported.index].name;
    if (name.empty()) name = exported.name;
  }
}

}  // namespace

Result<ir::Module> lower(const Module& module, const LowerOptions& options) {
  ir::Module out;
  out.metered = options.metered;
  TypeInterner interner(out.types);
  std::vector<std::uint32_t> types(module.types.size());
  for (std::size_t i = 0; i < types.size(); ++i) types[i] = interner.intern(module.types[i]);

  const auto function_count = static_cast<std::uint32_t>(module.functions.size());
  out.functions.resize(std::size_t{function_count} + 1);
  for (std::uint32_t i = 0; i < function_count; ++i) {
    out.functions[i].type = types[module.functions[i]];
    out.functions[i].guest_index = i;
  }
  lower_entities(module, out);
  lower_segments(module, out);
  name_functions(module, out);

  FunctionLowering lowering(module, options, types, out);
  for (std::uint32_t i = 0; i < module.bodies.size(); ++i) {
    WARPHIVE_TRY(lowering.lower(i, out.functions[module.imported_functions + i]));
  }
  ir::Function& init = out.functions[function_count];
  init.type = interner.intern({});
  WARPHIVE_TRY(lower_init(module, out.vectors, init));

  ir::Member member;
  member.init = function_count;
  if (module.start) member.start = *module.start;
  member.exports = module.exports;
  out.members.push_back(std::move(member));
  return out;
}

}  // namespace warphive::wasm
