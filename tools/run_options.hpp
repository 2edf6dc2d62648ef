// SPDX-License-Identifier: Apache-2.0
// The options of `warphive run`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>
#include <warphive/warphive.hpp>

#include "tools/arguments.hpp"

namespace CLI {
class App;
}

namespace warphive::tools {

enum class Format : std::uint8_t { text, json, csv };
enum class ProgressMode : std::uint8_t { automatic, json, none };

/// Which instances' results are shown.
struct Selection {
  enum class Kind : std::uint8_t { all, none, hash, first } kind = Kind::all;
  std::uint64_t first = 0;  // of Kind::first

  /// How many of that many instances.
  [[nodiscard]] std::uint64_t shown(std::uint64_t instances) const {
    if (kind == Kind::all) return instances;
    if (kind == Kind::first) return first < instances ? first : instances;
    return 0;
  }
};

struct MemoryRange {
  std::uint64_t address = 0;
  std::uint64_t bytes = 0;
};

struct RunOptions {
  std::string file;
  std::vector<std::string> guest_args;  // after --
  std::optional<std::string> invoke;    // none: _start
  ArgumentOptions arguments;
  std::optional<std::uint64_t> count;
  std::optional<std::uint64_t> repeat;
  std::optional<std::uint64_t> wave;
  std::vector<std::pair<std::string, std::string>> preloads;  // module name, file

  EngineOptions engine;
  bool metered = true;
  std::optional<std::uint64_t> fuel;
  std::optional<double> timeout;  // seconds
  SpawnOptions spawn;

  HostOptions host;
  std::optional<std::string> stdin_path;
  std::optional<std::string> stdout_path;

  Format format = Format::text;
  std::optional<Selection> results;  // none: first:10 as text, else all
  std::optional<MemoryRange> read_memory;
  bool memory_hash = false;
  ProgressMode progress = ProgressMode::automatic;
  bool quiet = false;
  bool verbose = false;

  [[nodiscard]] Selection selection() const {
    if (results) return *results;
    return format == Format::text ? Selection{Selection::Kind::first, 10} : Selection{};
  }
};

/// Adds --format text|json to another command, with the same rules.
void add_format_option(CLI::App& command, bool& json);
/// Adds the options; parsing fills `options`, which must outlive it, and throws Failure (usage).
void add_run_options(CLI::App& command, RunOptions& options);
/// What no single option can check. Throws Failure (usage, or host for files that are not there).
void check_run_options(const RunOptions& options);

}  // namespace warphive::tools
