// SPDX-License-Identifier: Apache-2.0
// The IR: programs as register-machine functions, between guests and executors. docs/ir.md
// describes it; the verifier (ir/verify.hpp) holds every rule that this header states.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "abi/code.hpp"
#include "ir/op.hpp"

namespace warphive::ir {

using abi::Vector;

inline constexpr std::uint32_t none = ~std::uint32_t{0};

enum class ValueType : std::uint8_t { i32, i64, f32, f64, v128, funcref, externref };

/// Slots that a value of this type takes: two neighbours for a v128, the low half first.
constexpr std::uint32_t slots(ValueType type) { return type == ValueType::v128 ? 2 : 1; }
std::string_view to_string(ValueType type);

struct FunctionType {
  std::vector<ValueType> params;
  std::vector<ValueType> results;
  friend bool operator==(const FunctionType&, const FunctionType&) = default;
};
std::string to_string(const FunctionType& type);  // "(i32, i64) -> (f32)"
/// Slots of all parameters, of all results.
std::uint32_t param_slots(const FunctionType& type);
std::uint32_t result_slots(const FunctionType& type);

/// Where an entity of an unlinked module comes from. Linking resolves every one of them.
struct Import {
  std::string module;
  std::string field;
  friend bool operator==(const Import&, const Import&) = default;
};

/// A function. Its slots: parameters from 0, the header (return address) at header_slot, then
/// locals and temporaries. Results are left in slots 0... header_slot = max(parameter slots, result
/// slots).
struct Function {
  std::uint32_t type = 0;         // index into Module::types
  std::optional<Import> import;   // unlinked modules: no code here
  std::uint32_t frame_slots = 0;  // counted against the stack limit; includes outgoing arguments
                                  // only as far as slots are used
  std::uint32_t header_slot = 0;
  std::vector<Inst> code;             // empty for imports; code[0] is `enter`
  std::vector<std::uint32_t> source;  // parallel to code: byte offset in the guest module
  std::vector<std::uint32_t>
      blocks;  // first inst of each block, strictly increasing, blocks[0] == 0
  std::vector<std::vector<std::uint32_t>> branch_tables;  // target blocks; the last is the default
  std::uint32_t member = 0;                               // index into Module::members
  std::uint32_t guest_index =
      none;          // index in the guest's own numbering; none for generated functions
  std::string name;  // from the name section or the exports; may be empty
  friend bool operator==(const Function&, const Function&) = default;
};

struct Memory {
  std::optional<Import> import;
  std::uint32_t min_pages = 0;  // 64 KiB each
  std::optional<std::uint32_t> max_pages;
  bool grows = false;  // some memory.grow names it
  friend bool operator==(const Memory&, const Memory&) = default;
};

struct Table {
  std::optional<Import> import;
  ValueType element = ValueType::funcref;
  std::uint32_t min = 0;
  std::optional<std::uint32_t> max;
  bool changes = false;  // some table.set/grow/fill/copy/init outside instantiation names it
  friend bool operator==(const Table&, const Table&) = default;
};

struct Global {
  std::optional<Import> import;
  ValueType type = ValueType::i32;
  bool is_mutable = false;
  friend bool operator==(const Global&, const Global&) = default;
};

/// One element of an element segment.
struct Element {
  enum class Kind : std::uint8_t { null, function, global } kind = Kind::null;
  std::uint32_t index = 0;
  friend bool operator==(const Element&, const Element&) = default;
};

enum class EntityKind : std::uint8_t { function, table, memory, global };
struct Export {
  std::string name;
  EntityKind kind = EntityKind::function;
  std::uint32_t index = 0;  // program-wide after linking
  friend bool operator==(const Export&, const Export&) = default;
};

/// One guest module inside a program.
struct Member {
  std::string name;  // under which others import it; may be empty
  /// Checks import limits, sets globals, writes active segments and drops them. Takes and returns
  /// nothing, charges nothing. Runs once per instance, or once for an image of it.
  std::uint32_t init = none;
  std::uint32_t start = none;  // the start function, run after init
  std::vector<Export> exports;
  friend bool operator==(const Member&, const Member&) = default;
};

/// A host function that a linked program needs.
struct HostImport {
  std::string module;
  std::string field;
  std::uint32_t type = 0;
  std::uint32_t memory = 0;  // what the function sees: the caller's, if the program has it
  friend bool operator==(const HostImport&, const HostImport&) = default;
};

/// A program. Linked when no entity has an import left. Index spaces are program-wide.
struct Module {
  std::vector<FunctionType> types;  // distinct
  std::vector<Function> functions;
  std::vector<Memory> memories;
  std::vector<Table> tables;
  std::vector<Global> globals;
  std::vector<std::vector<std::byte>> data_segments;
  std::vector<std::vector<Element>> element_segments;
  std::vector<HostImport> host_imports;
  std::vector<Member> members;
  std::vector<Vector> vectors;  // constants that do not fit into an instruction
  std::uint32_t main_memory =
      0;  // the one that the embedder sees: the last member's, if it has one
  bool metered = true;
  friend bool operator==(const Module&, const Module&) = default;
};

/// The first slot of each global in an instance's globals and, last, the number of slots of all.
std::vector<std::uint32_t> global_slots(const Module& module);

/// No import is left.
bool is_linked(const Module& module);

/// The export called `name` of that kind, in any member, the last member first; nullptr if none.
const Export* find_export(const Module& module, std::string_view name, EntityKind kind);

}  // namespace warphive::ir
