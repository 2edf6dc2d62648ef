// SPDX-License-Identifier: Apache-2.0
#include "ir/module.hpp"

namespace warphive::ir {
namespace {

void append_list(std::string& text, const std::vector<ValueType>& list) {
  text += '(';
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (i != 0) text += ", ";
    text += to_string(list[i]);
  }
  text += ')';
}

}  // namespace

std::string_view to_string(ValueType type) {
  switch (type) {
    case ValueType::i32:
      return "i32";
    case ValueType::i64:
      return "i64";
    case ValueType::f32:
      return "f32";
    case ValueType::f64:
      return "f64";
    case ValueType::v128:
      return "v128";
    case ValueType::funcref:
      return "funcref";
    case ValueType::externref:
      return "externref";
  }
  return "unknown";
}

std::string to_string(const FunctionType& type) {
  std::string text;
  append_list(text, type.params);
  text += " -> ";
  append_list(text, type.results);
  return text;
}

std::uint32_t param_slots(const FunctionType& type) {
  std::uint32_t count = 0;
  for (const ValueType value : type.params) count += slots(value);
  return count;
}

std::uint32_t result_slots(const FunctionType& type) {
  std::uint32_t count = 0;
  for (const ValueType value : type.results) count += slots(value);
  return count;
}

std::vector<std::uint32_t> global_slots(const Module& module) {
  std::vector<std::uint32_t> first;
  first.reserve(module.globals.size() + 1);
  std::uint32_t next = 0;
  for (const Global& global : module.globals) {
    first.push_back(next);
    next += slots(global.type);
  }
  first.push_back(next);
  return first;
}

bool is_linked(const Module& module) {
  const auto imported = [](const auto& list) {
    for (const auto& entity : list) {
      if (entity.import) return true;
    }
    return false;
  };
  return !imported(module.functions) && !imported(module.memories) && !imported(module.tables) &&
         !imported(module.globals);
}

const Export* find_export(const Module& module, std::string_view name, EntityKind kind) {
  for (std::size_t i = module.members.size(); i-- > 0;) {
    for (const Export& entry : module.members[i].exports) {
      if (entry.kind == kind && entry.name == name) return &entry;
    }
  }
  return nullptr;
}

}  // namespace warphive::ir
