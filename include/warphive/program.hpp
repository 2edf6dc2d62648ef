// SPDX-License-Identifier: Apache-2.0
// Module and Program: what instances are made from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "warphive/error.hpp"
#include "warphive/types.hpp"

namespace warphive {

namespace detail {
struct ModuleData;
struct ProgramData;
}  // namespace detail

enum class EntityKind : std::uint8_t { function, table, memory, global };

/// Safe defaults; a module beyond one of them is refused with ErrorCode::limit_exceeded.
struct ModuleLimits {
  std::uint64_t module_bytes = std::uint64_t{256} << 20;
  std::uint32_t functions = 1'000'000;
  std::uint32_t locals = 50'000;  // of one function
  std::uint32_t function_bytes = 7'654'321;
  std::uint32_t nesting = 10'000;  // blocks inside blocks
  std::uint32_t tables = 100;
  std::uint32_t table_elements = 10'000'000;  // minimum sizes of all tables together
};

struct ModuleOptions {
  ModuleLimits limits;
  bool metered =
      true;  // off: no instruction counts, fuel does not limit, runs can still be stopped
};

/// A validated guest. Immutable; copies share; thread-safe.
class Module {
 public:
  /// Errors: invalid_input, unsupported, limit_exceeded, with phase and byte offset.
  static Result<Module> from_bytes(std::span<const std::byte> bytes,
                                   const ModuleOptions& options = {});
  /// As from_bytes; also not_found and io.
  static Result<Module> from_file(const std::string& path, const ModuleOptions& options = {});

  struct Import {
    std::string module;
    std::string field;
    EntityKind kind = EntityKind::function;
  };
  struct Export {
    std::string name;
    EntityKind kind = EntityKind::function;
  };
  [[nodiscard]] std::vector<Import> imports() const;
  [[nodiscard]] std::vector<Export> exports() const;
  [[nodiscard]] std::uint64_t guest_instructions() const;  // operators in the module
  [[nodiscard]] std::uint64_t ir_instructions() const;     // what they were lowered to

  [[nodiscard]] const std::shared_ptr<const detail::ModuleData>& data() const { return data_; }
  explicit Module(std::shared_ptr<const detail::ModuleData> data) : data_(std::move(data)) {}

 private:
  std::shared_ptr<const detail::ModuleData> data_;
};

/// An exported function of a program.
struct Function {
  std::uint32_t index = 0;
  FunctionType type;
};

/// What of a program is compiled. Grows while it runs under Tier::automatic.
struct TierStatus {
  bool compiled = false;          // instances run compiled code
  bool from_cache = false;        // which an earlier process made
  std::uint32_t functions = 0;    // that are compiled
  std::uint32_t interpreted = 0;  // functions that never will be; `reasons` says why
  std::uint32_t variants = 0;     // pieces that go on where instances were stopped
  double seconds = 0;             // that compiling or loading took
  std::string state;              // off, cold, queued, compiling, ready, failed
  std::string failure;            // of state `failed`
  std::vector<std::string> reasons;
};

/// Modules linked into one: what instances are made from. Immutable; copies share; thread-safe.
class Program {
 public:
  struct Export {
    std::string name;
    EntityKind kind = EntityKind::function;
    std::uint32_t index = 0;
    std::optional<FunctionType> type;  // of functions
  };
  [[nodiscard]] std::vector<Export> exports() const;
  /// Error not_found lists the functions that exist and the nearest name.
  [[nodiscard]] Result<Function> find_function(std::string_view name) const;
  [[nodiscard]] bool has_memory() const;
  /// 64 KiB pages of memory that an instance gets when nothing else is asked for: the declared
  /// minimum if nothing grows it; else the declared maximum if at most 256; else minimum + 16.
  [[nodiscard]] std::uint32_t default_memory_pages() const;
  [[nodiscard]] TierStatus tier_status() const;
  /// The IR's text.
  [[nodiscard]] std::string ir_text() const;

  [[nodiscard]] const std::shared_ptr<const detail::ProgramData>& data() const { return data_; }
  explicit Program(std::shared_ptr<const detail::ProgramData> data) : data_(std::move(data)) {}

 private:
  std::shared_ptr<const detail::ProgramData> data_;
};

}  // namespace warphive
