// SPDX-License-Identifier: Apache-2.0
// Builds small binary modules for tests, valid or not: nothing is checked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace warphive::wasm::testing {

using Bytes = std::vector<std::uint8_t>;

// Encodings of types.
inline constexpr std::uint8_t i32 = 0x7f, i64 = 0x7e, f32 = 0x7d, f64 = 0x7c, v128 = 0x7b,
                              funcref = 0x70, externref = 0x6f, empty = 0x40;

inline Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}
inline Bytes leb(std::uint64_t value) {
  Bytes bytes;
  do {
    const auto low = static_cast<std::uint8_t>(value & 0x7f);
    value >>= 7;
    bytes.push_back(static_cast<std::uint8_t>(low | (value != 0 ? 0x80 : 0)));
  } while (value != 0);
  return bytes;
}
inline Bytes signed_leb(std::int64_t value) {
  Bytes bytes;
  while (true) {
    const auto low = static_cast<std::uint8_t>(value & 0x7f);
    value >>= 7;
    if ((value == 0 && (low & 0x40) == 0) || (value == -1 && (low & 0x40) != 0)) {
      bytes.push_back(low);
      return bytes;
    }
    bytes.push_back(static_cast<std::uint8_t>(low | 0x80));
  }
}
inline Bytes name(std::string_view text) {
  return leb(text.size()) + Bytes(text.begin(), text.end());
}
/// A count and the items.
inline Bytes vec(const std::vector<Bytes>& items) {
  Bytes bytes = leb(items.size());
  for (const Bytes& item : items) bytes = std::move(bytes) + item;
  return bytes;
}
inline Bytes i32_const(std::int32_t value) { return Bytes{0x41} + signed_leb(value); }
inline Bytes i64_const(std::int64_t value) { return Bytes{0x42} + signed_leb(value); }
/// Limits of a memory or a table.
inline Bytes limits(std::uint32_t min, std::optional<std::uint32_t> max = std::nullopt) {
  return Bytes{static_cast<std::uint8_t>(max ? 1 : 0)} + leb(min) + (max ? leb(*max) : Bytes{});
}

/// Collects entities and gives their indices. Imports must come before the module's own entities of
/// the same kind. Bodies and constant expressions are given without their final `end`.
class ModuleBuilder {
 public:
  std::uint32_t type(const Bytes& params, const Bytes& results) {
    types_.push_back(Bytes{0x60} + leb(params.size()) + params + leb(results.size()) + results);
    return last(types_);
  }
  std::uint32_t import_function(std::string_view module, std::string_view field,
                                std::uint32_t type) {
    return import(module, field, Bytes{0} + leb(type), functions_);
  }
  std::uint32_t import_table(std::string_view module, std::string_view field, std::uint8_t element,
                             const Bytes& limits) {
    return import(module, field, Bytes{1, element} + limits, tables_);
  }
  std::uint32_t import_memory(std::string_view module, std::string_view field,
                              const Bytes& limits) {
    return import(module, field, Bytes{2} + limits, memories_);
  }
  std::uint32_t import_global(std::string_view module, std::string_view field, std::uint8_t type,
                              bool is_mutable = false) {
    return import(module, field, {3, type, is_mutable}, globals_);
  }
  /// `locals`: runs of a count and a type.
  std::uint32_t function(std::uint32_t type, const Bytes& code,
                         const std::vector<std::pair<std::uint32_t, std::uint8_t>>& locals = {}) {
    std::vector<Bytes> runs;
    runs.reserve(locals.size());
    for (const auto& [count, local] : locals) runs.push_back(leb(count) + Bytes{local});
    return raw_function(type, vec(runs) + code + Bytes{0x0b});
  }
  /// `body`: locals and code with the final `end`.
  std::uint32_t raw_function(std::uint32_t type, const Bytes& body) {
    function_types_.push_back(leb(type));
    bodies_.push_back(leb(body.size()) + body);
    return functions_++;
  }
  std::uint32_t table(std::uint8_t element, const Bytes& limits) {
    own_tables_.push_back(Bytes{element} + limits);
    return tables_++;
  }
  std::uint32_t memory(const Bytes& limits) {
    own_memories_.push_back(limits);
    return memories_++;
  }
  std::uint32_t global(std::uint8_t type, bool is_mutable, const Bytes& init) {
    own_globals_.push_back(Bytes{type, is_mutable} + init + Bytes{0x0b});
    return globals_++;
  }
  void export_function(std::string_view field, std::uint32_t index) { export_(field, 0, index); }
  void export_table(std::string_view field, std::uint32_t index) { export_(field, 1, index); }
  void export_memory(std::string_view field, std::uint32_t index) { export_(field, 2, index); }
  void export_global(std::string_view field, std::uint32_t index) { export_(field, 3, index); }
  void start(std::uint32_t function) { start_ = function; }
  /// An active segment of functions in table 0.
  std::uint32_t elements(const Bytes& offset, const std::vector<std::uint32_t>& functions) {
    std::vector<Bytes> items;
    items.reserve(functions.size());
    for (std::uint32_t function : functions) items.push_back(leb(function));
    return raw_elements(Bytes{0} + offset + Bytes{0x0b} + vec(items));
  }
  /// A declared segment, so that ref.func may name the functions.
  std::uint32_t declare(const std::vector<std::uint32_t>& functions) {
    std::vector<Bytes> items;
    items.reserve(functions.size());
    for (std::uint32_t function : functions) items.push_back(leb(function));
    return raw_elements(Bytes{3, 0} + vec(items));
  }
  std::uint32_t raw_elements(const Bytes& segment) {
    elements_.push_back(segment);
    return last(elements_);
  }
  std::uint32_t data(const Bytes& offset, std::string_view text) {
    return raw_data(Bytes{0} + offset + Bytes{0x0b} + name(text));
  }
  std::uint32_t passive_data(std::string_view text) { return raw_data(Bytes{1} + name(text)); }
  std::uint32_t raw_data(const Bytes& segment) {
    data_.push_back(segment);
    return last(data_);
  }
  /// Without this, a module has a data count section when it has passive segments.
  void data_count(std::optional<std::uint32_t> count) {
    data_count_ = count;
    has_own_data_count_ = true;
  }
  /// A custom section after all others.
  void custom(std::string_view section_name, const Bytes& contents) {
    custom_ = std::move(custom_) + section(0, name(section_name) + contents);
  }
  /// A name section with a module name and names of functions.
  void names(std::string_view module,
             const std::vector<std::pair<std::uint32_t, std::string_view>>& functions) {
    std::vector<Bytes> items;
    items.reserve(functions.size());
    for (const auto& [index, text] : functions) items.push_back(leb(index) + name(text));
    custom("name", section(0, name(module)) + section(1, vec(items)));
  }

  static Bytes header() { return {0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00}; }
  static Bytes section(std::uint8_t id, const Bytes& contents) {
    return Bytes{id} + leb(contents.size()) + contents;
  }

  [[nodiscard]] Bytes build() const {
    Bytes bytes = header();
    const auto add = [&](std::uint8_t id, const std::vector<Bytes>& items) {
      if (!items.empty()) bytes = std::move(bytes) + section(id, vec(items));
    };
    add(1, types_);
    add(2, imports_);
    add(3, function_types_);
    add(4, own_tables_);
    add(5, own_memories_);
    add(6, own_globals_);
    add(7, exports_);
    if (start_) bytes = std::move(bytes) + section(8, leb(*start_));
    add(9, elements_);
    std::optional<std::uint32_t> data_count = data_count_;
    if (!has_own_data_count_) {
      for (const Bytes& segment : data_) {
        if (segment.front() == 1) data_count = static_cast<std::uint32_t>(data_.size());
      }
    }
    if (data_count) bytes = std::move(bytes) + section(12, leb(*data_count));
    add(10, bodies_);
    add(11, data_);
    return bytes + custom_;
  }
  /// The same, as read_module takes it.
  [[nodiscard]] std::vector<std::byte> module() const { return as_module(build()); }
  static std::vector<std::byte> as_module(const Bytes& bytes) {
    std::vector<std::byte> result;
    result.reserve(bytes.size());
    for (std::uint8_t byte : bytes) result.push_back(std::byte{byte});
    return result;
  }

 private:
  static std::uint32_t last(const std::vector<Bytes>& items) {
    return static_cast<std::uint32_t>(items.size() - 1);
  }
  std::uint32_t import(std::string_view module, std::string_view field, const Bytes& description,
                       std::uint32_t& space) {
    imports_.push_back(name(module) + name(field) + description);
    return space++;
  }
  void export_(std::string_view field, std::uint8_t kind, std::uint32_t index) {
    exports_.push_back(name(field) + Bytes{kind} + leb(index));
  }

  std::vector<Bytes> types_, imports_, function_types_, own_tables_, own_memories_, own_globals_,
      exports_, elements_, bodies_, data_;
  std::uint32_t functions_ = 0, tables_ = 0, memories_ = 0, globals_ = 0;  // sizes of index spaces
  std::optional<std::uint32_t> start_, data_count_;
  bool has_own_data_count_ = false;
  Bytes custom_;
};

}  // namespace warphive::wasm::testing
