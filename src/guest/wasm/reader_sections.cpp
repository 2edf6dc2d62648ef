// SPDX-License-Identifier: Apache-2.0
// The sections that declare: types, imports, functions, tables, memories, globals, exports, code.
#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "base/result.hpp"
#include "guest/wasm/reader_impl.hpp"
#include "guest/wasm/validate.hpp"

namespace warphive::wasm {

// Types.

Result<ValueType> ModuleReader::value_type() {
  const std::uint64_t offset = in_.offset();
  WARPHIVE_TRY_ASSIGN(const std::uint8_t code, byte("Value type"));
  const std::optional<ValueType> type = value_type_of(code);
  if (!type) return fail(not_a_value_type(offset, code));
  return *type;
}

Result<ValueType> ModuleReader::reference_type() {
  const std::uint64_t offset = in_.offset();
  WARPHIVE_TRY_ASSIGN(const std::uint8_t code, byte("Reference type"));
  const std::optional<ValueType> type = value_type_of(code);
  if (!type || !is_reference(*type)) return fail(not_a_reference_type(offset, code));
  return *type;
}

Status ModuleReader::type_section() {
  WARPHIVE_TRY_ASSIGN(const std::uint32_t type_count, count("Type count", limits_.types, 0, 3));
  module_.types.reserve(type_count);
  for (std::uint32_t i = 0; i < type_count; ++i) {
    const std::uint64_t offset = in_.offset();
    WARPHIVE_TRY_ASSIGN(const std::uint8_t form, byte("Form of a type"));
    switch (form) {
      case 0x60:
        break;
      case 0x4e:
      case 0x4f:
      case 0x50:
      case 0x5e:
      case 0x5f:
        return fail(unsupported(offset, "garbage collection",
                                fmt::format("Form (0x{:02x}) of type ({})", form, i)));
      case 0x5d:
        return fail(
            unsupported(offset, "stack switching", fmt::format("Form (0x5d) of type ({})", i)));
      default:
        return fail(
            malformed(offset, "Form of type ({}) is (0x{:02x}), expected (0x60).", i, form));
    }
    FunctionType type;
    WARPHIVE_TRY_ASSIGN(const std::uint32_t params, count("Parameter count", limits_.params));
    type.params.reserve(params);
    for (std::uint32_t k = 0; k < params; ++k) {
      WARPHIVE_TRY_ASSIGN(const ValueType param, value_type());
      type.params.push_back(param);
    }
    WARPHIVE_TRY_ASSIGN(const std::uint32_t results, count("Result count", limits_.results));
    type.results.reserve(results);
    for (std::uint32_t k = 0; k < results; ++k) {
      WARPHIVE_TRY_ASSIGN(const ValueType result, value_type());
      type.results.push_back(result);
    }
    module_.types.push_back(std::move(type));
  }
  return {};
}

Result<std::uint32_t> ModuleReader::function_type_index() {
  return index("Type index", module_.types.size());
}

Result<SizeLimits> ModuleReader::size_limits(bool is_memory) {
  const std::uint64_t offset = in_.offset();
  WARPHIVE_TRY_ASSIGN(const std::uint8_t flags, byte("Flags of limits"));
  if (flags > 1) {
    if (is_memory && (flags == 2 || flags == 3)) {
      return fail(unsupported(offset, "threads", fmt::format("Shared memory (flags {})", flags)));
    }
    if (flags >= 4 && flags <= 7) {
      return fail(
          unsupported(offset, "memory64", fmt::format("Index type of 64 bits (flags {})", flags)));
    }
    if (is_memory && flags >= 8 && flags <= 15) {
      return fail(unsupported(offset, "custom page sizes", fmt::format("Flags ({})", flags)));
    }
    return fail(malformed(offset, "Flags of limits are ({}), expected (0) or (1).", flags));
  }
  SizeLimits sizes;
  WARPHIVE_TRY_ASSIGN(sizes.min, number("Minimum of limits"));
  if (flags == 1) {
    WARPHIVE_TRY_ASSIGN(sizes.max, number("Maximum of limits"));
  }
  if (is_memory) {
    const std::uint32_t largest = std::max(sizes.min, sizes.max.value_or(0));
    if (largest > max_memory_pages) {
      return fail(invalid(offset, "Size of a memory is ({}) pages, expected at most ({}).", largest,
                          max_memory_pages));
    }
  }
  if (sizes.max && *sizes.max < sizes.min) {
    return fail(invalid(offset, "Minimum of limits ({}) exceeds their maximum ({}).", sizes.min,
                        *sizes.max));
  }
  return sizes;
}

Result<TableType> ModuleReader::table_type() {
  TableType type;
  const std::uint64_t offset = in_.offset();
  if (!in_.at_end() && in_.rest()[0] == std::byte{0x40}) {
    return fail(unsupported(offset, "typed function references", "Table with an initial value"));
  }
  WARPHIVE_TRY_ASSIGN(type.element, reference_type());
  WARPHIVE_TRY_ASSIGN(type.limits, size_limits(false));
  // Every instance pays for all of them.
  std::uint64_t elements = type.limits.min;
  for (const TableType& table : module_.tables) elements += table.limits.min;
  if (elements > limits_.table_elements) {
    return fail(beyond_limit(offset, "Minimum size of all tables together", elements,
                             limits_.table_elements));
  }
  return type;
}

Result<MemoryType> ModuleReader::memory_type() {
  MemoryType type;
  WARPHIVE_TRY_ASSIGN(type.limits, size_limits(true));
  return type;
}

Result<GlobalType> ModuleReader::global_type() {
  GlobalType type;
  WARPHIVE_TRY_ASSIGN(type.type, value_type());
  const std::uint64_t offset = in_.offset();
  WARPHIVE_TRY_ASSIGN(const std::uint8_t mutability, byte("Mutability of a global"));
  if (mutability > 1) {
    return fail(
        malformed(offset, "Mutability of a global is ({}), expected (0) or (1).", mutability));
  }
  type.is_mutable = mutability == 1;
  return type;
}

Status ModuleReader::add_memory(MemoryType type, std::uint64_t offset) {
  if (!module_.memories.empty()) {
    return fail(unsupported(offset, "multi-memory", "Second memory of the module"));
  }
  module_.memories.push_back(type);
  return {};
}

// Imports.

Status ModuleReader::import_section() {
  WARPHIVE_TRY_ASSIGN(const std::uint32_t imports, count("Import count", limits_.imports, 0, 4));
  module_.imports.reserve(imports);
  for (std::uint32_t i = 0; i < imports; ++i) {
    if (Status status = import(); !status) {
      return fail(std::move(status).error().context(fmt::format("While reading import {}.", i)));
    }
  }
  declared_.resize(module_.functions.size());
  return {};
}

Status ModuleReader::import() {
  ImportedEntity entity;
  WARPHIVE_TRY_ASSIGN(entity.module, name("Module name"));
  WARPHIVE_TRY_ASSIGN(entity.field, name("Field name"));
  const std::uint64_t offset = in_.offset();
  WARPHIVE_TRY_ASSIGN(const std::uint8_t kind, byte("Kind of an import"));
  switch (kind) {
    case 0: {
      WARPHIVE_TRY_ASSIGN(const std::uint32_t type, function_type_index());
      if (module_.functions.size() == limits_.functions) {
        return fail(beyond_limit(offset, "Function count", std::uint64_t{limits_.functions} + 1,
                                 limits_.functions));
      }
      entity.kind = EntityKind::function;
      entity.index = module_.imported_functions++;
      module_.functions.push_back(type);
      break;
    }
    case 1: {
      WARPHIVE_TRY_ASSIGN(const TableType type, table_type());
      if (module_.tables.size() == limits_.tables) {
        return fail(
            beyond_limit(offset, "Table count", std::uint64_t{limits_.tables} + 1, limits_.tables));
      }
      entity.kind = EntityKind::table;
      entity.index = module_.imported_tables++;
      module_.tables.push_back(type);
      break;
    }
    case 2: {
      WARPHIVE_TRY_ASSIGN(const MemoryType type, memory_type());
      WARPHIVE_TRY(add_memory(type, offset));
      entity.kind = EntityKind::memory;
      entity.index = module_.imported_memories++;
      break;
    }
    case 3: {
      WARPHIVE_TRY_ASSIGN(const GlobalType type, global_type());
      if (module_.globals.size() == limits_.globals) {
        return fail(beyond_limit(offset, "Global count", std::uint64_t{limits_.globals} + 1,
                                 limits_.globals));
      }
      entity.kind = EntityKind::global;
      entity.index = module_.imported_globals++;
      module_.globals.push_back(type);
      break;
    }
    case 4:
      return fail(unsupported(offset, "exception handling", "Import of a tag"));
    default:
      return fail(malformed(offset, "Kind of an import is ({}), expected (0) to (3).", kind));
  }
  module_.imports.push_back(std::move(entity));
  return {};
}

// Functions, tables, memories, globals.

Status ModuleReader::function_section() {
  WARPHIVE_TRY_ASSIGN(const std::uint32_t functions,
                      count("Function count", limits_.functions, module_.functions.size()));
  module_.functions.reserve(module_.functions.size() + functions);
  for (std::uint32_t i = 0; i < functions; ++i) {
    WARPHIVE_TRY_ASSIGN(const std::uint32_t type, function_type_index());
    module_.functions.push_back(type);
  }
  declared_.resize(module_.functions.size());
  return {};
}

Status ModuleReader::table_section() {
  WARPHIVE_TRY_ASSIGN(const std::uint32_t tables,
                      count("Table count", limits_.tables, module_.tables.size(), 3));
  for (std::uint32_t i = 0; i < tables; ++i) {
    WARPHIVE_TRY_ASSIGN(const TableType type, table_type());
    module_.tables.push_back(type);
  }
  return {};
}

Status ModuleReader::memory_section() {
  WARPHIVE_TRY_ASSIGN(const std::uint32_t memories,
                      count("Memory count", std::numeric_limits<std::uint32_t>::max(), 0, 2));
  for (std::uint32_t i = 0; i < memories; ++i) {
    const std::uint64_t offset = in_.offset();
    WARPHIVE_TRY_ASSIGN(const MemoryType type, memory_type());
    WARPHIVE_TRY(add_memory(type, offset));
  }
  return {};
}

Status ModuleReader::global_section() {
  WARPHIVE_TRY_ASSIGN(const std::uint32_t globals,
                      count("Global count", limits_.globals, module_.globals.size(), 3));
  module_.globals.reserve(module_.globals.size() + globals);
  module_.global_entries.reserve(globals);
  for (std::uint32_t i = 0; i < globals; ++i) {
    GlobalEntry entry;
    entry.offset = static_cast<std::uint32_t>(in_.offset());
    WARPHIVE_TRY_ASSIGN(entry.type, global_type());
    Result<ConstExpr> init = const_expr(entry.type.type);
    if (!init) {
      return fail(std::move(init).error().context(
          fmt::format("While reading the initial value of global {}.", module_.globals.size())));
    }
    entry.init = std::move(*init);
    module_.globals.push_back(entry.type);
    module_.global_entries.push_back(std::move(entry));
  }
  return {};
}

// Exports and start.

Status ModuleReader::export_section() {
  WARPHIVE_TRY_ASSIGN(const std::uint32_t exports, count("Export count", limits_.exports, 0, 3));
  module_.exports.reserve(exports);
  std::vector<std::uint64_t> offsets;
  offsets.reserve(exports);
  for (std::uint32_t i = 0; i < exports; ++i) {
    ir::Export entry;
    offsets.push_back(in_.offset());
    WARPHIVE_TRY_ASSIGN(entry.name, name("Export name"));
    const std::uint64_t offset = in_.offset();
    WARPHIVE_TRY_ASSIGN(const std::uint8_t kind, byte("Kind of an export"));
    std::size_t size;
    std::string_view what;
    switch (kind) {
      case 0:
        entry.kind = EntityKind::function;
        what = "Index of an exported function";
        size = module_.functions.size();
        break;
      case 1:
        entry.kind = EntityKind::table;
        what = "Index of an exported table";
        size = module_.tables.size();
        break;
      case 2:
        entry.kind = EntityKind::memory;
        what = "Index of an exported memory";
        size = module_.memories.size();
        break;
      case 3:
        entry.kind = EntityKind::global;
        what = "Index of an exported global";
        size = module_.globals.size();
        break;
      case 4:
        return fail(unsupported(offset, "exception handling", "Export of a tag"));
      default:
        return fail(malformed(offset, "Kind of an export is ({}), expected (0) to (3).", kind));
    }
    Result<std::uint32_t> entity = index(what, size);
    if (!entity) {
      return fail(std::move(entity).error().context(
          fmt::format("While reading export ({}).", printable(entry.name))));
    }
    entry.index = *entity;
    if (entry.kind == EntityKind::function) declared_[entry.index] = true;
    module_.exports.push_back(std::move(entry));
  }
  return check_export_names(offsets);
}

// Sorts rather than hashes: names are the guest's, who could make them collide.
Status ModuleReader::check_export_names(std::span<const std::uint64_t> offsets) {
  std::vector<std::uint32_t> order(module_.exports.size());
  std::iota(order.begin(), order.end(), 0u);
  std::ranges::sort(order, [&](std::uint32_t a, std::uint32_t b) {
    const int difference = module_.exports[a].name.compare(module_.exports[b].name);
    return difference != 0 ? difference < 0 : a < b;
  });
  for (std::size_t i = 1; i < order.size(); ++i) {
    const std::string& export_name = module_.exports[order[i]].name;
    if (export_name == module_.exports[order[i - 1]].name) {
      return fail(invalid(offsets[order[i]],
                          "Export name ({}) is used twice, expected unique ones.",
                          printable(export_name)));
    }
  }
  return {};
}

Status ModuleReader::start_section() {
  const std::uint64_t offset = in_.offset();
  WARPHIVE_TRY_ASSIGN(const std::uint32_t function,
                      index("Index of the start function", module_.functions.size()));
  const FunctionType& type = module_.types[module_.functions[function]];
  if (!type.params.empty() || !type.results.empty()) {
    return fail(invalid(offset, "Start function ({}) has type ({}), expected (() -> ()).", function,
                        ir::to_string(type)));
  }
  module_.start = function;
  return {};
}

// Code.

Status ModuleReader::data_count_section() {
  const std::uint64_t offset = in_.offset();
  WARPHIVE_TRY_ASSIGN(const std::uint32_t segments, number("Data segment count"));
  if (segments > limits_.data_segments) {
    return fail(beyond_limit(offset, "Data segment count", segments, limits_.data_segments));
  }
  data_count_ = segments;
  return {};
}

Status ModuleReader::code_section() {
  has_code_ = true;
  const std::uint64_t offset = in_.offset();
  WARPHIVE_TRY_ASSIGN(const std::uint32_t bodies,
                      count("Body count", std::numeric_limits<std::uint32_t>::max()));
  const std::size_t own_functions = module_.functions.size() - module_.imported_functions;
  if (bodies != own_functions) {
    return fail(malformed(offset,
                          "Code section has ({}) bodies, but the function section declares "
                          "({}) functions.",
                          bodies, own_functions));
  }
  module_.bodies.reserve(bodies);
  FunctionValidator validator(module_, limits_, declared_, data_count_);
  for (std::uint32_t i = 0; i < bodies; ++i) {
    const std::uint32_t function = module_.imported_functions + i;
    if (Status status = body(function, validator); !status) {
      return fail(std::move(status).error().context(
          fmt::format("While validating function {}.", function_label(function))));
    }
  }
  module_.operator_count = validator.operator_count();
  return {};
}

Status ModuleReader::body(std::uint32_t function, FunctionValidator& validator) {
  WARPHIVE_TRY_ASSIGN(FunctionBody body, body_with_locals(function));
  WARPHIVE_TRY(validator.validate(function, body));
  module_.bodies.push_back(std::move(body));
  return {};
}

Result<FunctionBody> ModuleReader::body_with_locals(std::uint32_t function) {
  const std::uint64_t offset = in_.offset();
  WARPHIVE_TRY_ASSIGN(const std::uint32_t size, number("Size of a function body"));
  const std::uint64_t start = in_.offset();
  std::span<const std::byte> bytes;
  if (!in_.read_bytes(size, bytes)) {
    return fail(malformed(offset, "Function body has ({}) bytes, but ({}) are left.", size,
                          in_.remaining()));
  }
  if (size > limits_.function_bytes) {
    return fail(beyond_limit(offset, "Size of a function body", size, limits_.function_bytes));
  }
  // The locals are read from the body alone: nothing in it may reach into the next one.
  const base::ByteReader after = std::exchange(in_, base::ByteReader(bytes, start));
  FunctionBody body;
  WARPHIVE_TRY_ASSIGN(
      const std::uint32_t runs,
      count("Count of local declarations", std::numeric_limits<std::uint32_t>::max(), 0, 2));
  body.locals.reserve(runs);
  std::uint64_t locals = module_.types[module_.functions[function]].params.size();
  for (std::uint32_t i = 0; i < runs; ++i) {
    LocalRun run;
    const std::uint64_t run_offset = in_.offset();
    WARPHIVE_TRY_ASSIGN(run.count, number("Count of locals"));
    WARPHIVE_TRY_ASSIGN(run.type, value_type());
    locals += run.count;
    if (locals > limits_.locals) {
      return fail(
          beyond_limit(run_offset, "Count of parameters and locals", locals, limits_.locals));
    }
    body.locals.push_back(run);
  }
  body.code = in_.rest();
  body.offset = static_cast<std::uint32_t>(in_.offset());
  in_ = after;
  return body;
}

}  // namespace warphive::wasm
