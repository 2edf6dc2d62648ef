// SPDX-License-Identifier: Apache-2.0
// A decoded and validated WebAssembly module: immutable, shareable between threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ir/module.hpp"

namespace warphive::wasm {

using ir::EntityKind;
using ir::FunctionType;
using ir::ValueType;

/// Refused beyond these; every one is an option of the reader.
struct Limits {
  std::uint64_t module_bytes = std::uint64_t{256} << 20;
  std::uint32_t types = 100'000;
  std::uint32_t functions = 1'000'000;
  std::uint32_t imports = 100'000;
  std::uint32_t exports = 100'000;
  std::uint32_t globals = 100'000;
  std::uint32_t tables = 100;
  std::uint32_t table_elements = 10'000'000;  // minimum sizes of all tables together
  std::uint32_t data_segments = 100'000;
  std::uint32_t element_segments = 100'000;
  std::uint32_t params = 1'000;
  std::uint32_t results = 1'000;
  std::uint32_t locals = 50'000;  // of one function, parameters included
  std::uint32_t function_bytes = 7'654'321;
  std::uint32_t nesting = 10'000;  // blocks inside blocks
  std::uint32_t operands =
      1'000'000;  // on the operand stack of one function or constant expression
  std::uint32_t br_table_targets = 65'520;
  std::uint32_t name_bytes = 100'000;
};

struct SizeLimits {
  std::uint32_t min = 0;
  std::optional<std::uint32_t> max;
};
struct TableType {
  ValueType element = ValueType::funcref;
  SizeLimits limits;
};
struct MemoryType {
  SizeLimits limits;  // pages
};
struct GlobalType {
  ValueType type = ValueType::i32;
  bool is_mutable = false;
};

struct ImportedEntity {
  std::string module;
  std::string field;
  EntityKind kind = EntityKind::function;
  std::uint32_t index = 0;  // in the index space of its kind; imports come first there
};

/// One operator of a constant expression, in postfix order.
struct ConstOp {
  enum class Kind : std::uint8_t {
    constant,  // bits: i32, i64, f32 or f64, zero-extended
    null,      // ref.null
    function,  // ref.func index
    global,    // global.get index
    add32,
    sub32,
    mul32,
    add64,
    sub64,
    mul64,   // extended constants
    vector,  // bits: where its 16 bytes begin in the module
  } kind = Kind::constant;
  std::uint64_t bits = 0;
};
using ConstExpr = std::vector<ConstOp>;

struct GlobalEntry {
  GlobalType type;
  ConstExpr init;
  std::uint32_t offset = 0;  // of the entry in the module
};

enum class SegmentMode : std::uint8_t { active, passive, declared };
struct ElementSegment {
  SegmentMode mode = SegmentMode::active;
  std::uint32_t table = 0;
  ConstExpr start;  // active only
  ValueType type = ValueType::funcref;
  std::vector<ConstExpr> items;
  std::uint32_t offset = 0;
};
struct DataSegment {
  SegmentMode mode = SegmentMode::active;
  std::uint32_t memory = 0;
  ConstExpr start;
  std::span<const std::byte> bytes;  // into Module::bytes
  std::uint32_t offset = 0;
};

/// A run of equal locals, as the binary format declares them.
struct LocalRun {
  std::uint32_t count = 0;
  ValueType type = ValueType::i32;
};
struct FunctionBody {
  std::vector<LocalRun> locals;     // without parameters
  std::span<const std::byte> code;  // operators including the final `end`; into Module::bytes
  std::uint32_t offset = 0;         // of code[0] in the module
  bool tail_calls_itself = false;   // by return_call
};

struct Module {
  std::vector<std::byte> bytes;  // the whole file, owned
  std::vector<FunctionType> types;
  std::vector<ImportedEntity> imports;
  std::vector<std::uint32_t> functions;  // type of each function, imported ones first
  std::vector<TableType> tables;         // imported ones first, likewise the next two
  std::vector<MemoryType> memories;
  std::vector<GlobalType> globals;
  std::uint32_t imported_functions = 0;
  std::uint32_t imported_tables = 0;
  std::uint32_t imported_memories = 0;
  std::uint32_t imported_globals = 0;
  std::vector<GlobalEntry> global_entries;  // of the module's own globals
  std::vector<ir::Export> exports;
  std::optional<std::uint32_t> start;
  std::vector<ElementSegment> element_segments;
  std::vector<DataSegment> data_segments;
  std::vector<FunctionBody> bodies;         // of the module's own functions
  std::string module_name;                  // name section
  std::vector<std::string> function_names;  // name section; by function index, may be shorter
  std::uint64_t operator_count = 0;         // guest instructions in all bodies
};

}  // namespace warphive::wasm
