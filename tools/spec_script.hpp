// SPDX-License-Identifier: Apache-2.0
// Spec scripts in the form of wast2json: commands, values, and how an expectation is met.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ir/module.hpp"

namespace warphive::tools::spec {

enum class CommandKind : std::uint8_t {
  module,
  register_as,
  action,
  assert_return,
  assert_trap,
  assert_exhaustion,
  assert_invalid,
  assert_malformed,
  assert_uninstantiable,
  assert_unlinkable,
};
std::string_view to_string(CommandKind kind);
/// Whether it is counted: modules, registrations and bare actions are only reported when they fail.
bool is_assertion(CommandKind kind);

/// An argument, or what a result must be.
struct Value {
  enum class Kind : std::uint8_t {
    bits,
    nan_canonical,
    nan_arithmetic,
    some_reference,  // any but null
    lanes,           // of a v128, each with a kind of its own
  };
  Kind kind = Kind::bits;
  ir::ValueType type = ir::ValueType::i32;
  std::uint64_t bits = 0;    // as a slot holds it
  std::vector<Value> lanes;  // of equal width; 8 and 16 bits count as i32
};
/// What the slots of a value hold; patterns as zero.
std::vector<std::uint64_t> slots_of(const Value& value);
std::string to_string(const Value& value);
std::string to_string(std::span<const Value> values);

/// Whether the slots of a result of that type meet the expectation, NaNs strictly.
bool matches(const Value& expected, ir::ValueType type, std::span<const std::uint64_t> slots);

struct Action {
  bool is_get = false;                // of a global; else an invocation
  std::optional<std::string> module;  // "$name"; absent: the latest module
  std::string field;
  std::vector<Value> args;
};

struct Command {
  CommandKind kind = CommandKind::module;
  std::uint32_t line = 0;
  std::string filename;             // of the binary, if any
  bool is_text = false;             // the module is given as text
  std::optional<std::string> name;  // of a module; of what is registered
  std::string as;
  std::string text;  // expected message
  Action action;
  std::vector<Value> expected;
};

struct Script {
  std::string source;  // file name of the .wast, without folders
  std::filesystem::path folder;
  std::vector<Command> commands;
};

/// Throws Failure where the file cannot be read or is not what wast2json makes.
Script read_script(const std::filesystem::path& json);

std::vector<std::byte> read_bytes(const std::filesystem::path& path);

}  // namespace warphive::tools::spec
