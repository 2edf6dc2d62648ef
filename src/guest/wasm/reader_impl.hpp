// SPDX-License-Identifier: Apache-2.0
// The reader's working state: one object reads one module, section by section.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/byte_reader.hpp"
#include "guest/wasm/module.hpp"
#include "guest/wasm/reader_errors.hpp"
#include "warphive/error.hpp"

namespace warphive::wasm {

inline constexpr std::uint32_t max_memory_pages = 65'536;

/// Section identifiers of the binary format.
enum class SectionId : std::uint8_t {
  custom = 0,
  type = 1,
  import = 2,
  function = 3,
  table = 4,
  memory = 5,
  global = 6,
  exports = 7,
  start = 8,
  element = 9,
  code = 10,
  data = 11,
  data_count = 12,
  tag = 13,
};

class ModuleReader {
 public:
  ModuleReader(std::vector<std::byte> bytes, const Limits& limits);
  Result<Module> read();

 private:
  // reader.cpp
  Status header();
  Status section();
  Status section_contents(SectionId id);
  Status custom_section();
  Status finish();

  // reader_sections.cpp
  Status type_section();
  Status import_section();
  Status import();
  Status function_section();
  Status table_section();
  Status memory_section();
  Status global_section();
  Status export_section();
  Status check_export_names(std::span<const std::uint64_t> offsets);
  Status start_section();
  Status data_count_section();
  Status code_section();
  Status body(std::uint32_t function, class FunctionValidator& validator);
  Result<FunctionBody> body_with_locals(std::uint32_t function);

  // reader_segments.cpp
  Status element_section();
  Status data_section();
  Result<ElementSegment> element_segment();
  Result<DataSegment> data_segment();
  Result<ConstExpr> const_expr(ValueType expected);
  Status const_operator(std::uint8_t code, std::uint64_t offset, ConstExpr& expr);
  Result<ConstOp> function_reference();

  // reader_names.cpp: what is wrong there is ignored, as the specification asks.
  void name_section(base::ByteReader section);
  std::string function_label(std::uint32_t function);

  // Items; `what` names them in errors. All advance in_.
  Result<std::uint8_t> byte(std::string_view what);
  Result<std::uint32_t> number(std::string_view what);
  /// A count of items that take at least `bytes_each`: never more than the section could hold, so
  /// memory may be reserved for them, nor more than `limit` less `already`.
  Result<std::uint32_t> count(std::string_view what, std::uint32_t limit, std::size_t already = 0,
                              std::size_t bytes_each = 1);
  Result<std::string> name(std::string_view what);
  Result<ValueType> value_type();
  Result<ValueType> reference_type();
  Result<SizeLimits> size_limits(bool is_memory);
  Result<TableType> table_type();
  Result<MemoryType> memory_type();
  Result<GlobalType> global_type();
  Result<std::uint32_t> function_type_index();
  /// An index that must be below `size`.
  Result<std::uint32_t> index(std::string_view what, std::size_t size);
  Status add_memory(MemoryType type, std::uint64_t offset);

  const Limits& limits_;
  Module module_;
  base::ByteReader file_;
  base::ByteReader in_;          // the section being read
  std::uint32_t last_rank_ = 0;  // in the order that sections must have
  std::optional<std::uint32_t> data_count_;
  std::vector<bool> declared_;       // by function: ref.func may name it
  std::uint64_t element_items_ = 0;  // in all segments so far
  bool has_code_ = false;
  bool has_data_ = false;
  bool has_names_ = false;              // only the first name section counts
  std::vector<ValueType> const_stack_;  // of the constant expression being read
};

}  // namespace warphive::wasm
