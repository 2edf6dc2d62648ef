// SPDX-License-Identifier: Apache-2.0
// The first pass over a spec script: reads and lowers its modules, follows names, and links all
// that is valid into one program, in script order.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ir/module.hpp"
#include "tools/spec_run.hpp"
#include "tools/spec_script.hpp"

namespace warphive::tools::spec {

/// What a command is about.
struct Target {
  enum class Kind : std::uint8_t { none, member, skipped, failed } kind = Kind::none;
  std::uint32_t member = 0;  // index into Module::members, for Kind::member
  std::string reason;        // for skipped and failed
};

struct Step {
  Target target;
  std::optional<Verdict> verdict;  // where the command needs no run
  std::string detail;
};

struct Plan {
  std::vector<Step> steps;  // one per command
  ir::Module program;       // member 0 is spectest
};

/// Throws Failure where a file of the script cannot be read, or spectest itself does not load.
Plan make_plan(const Script& script);

}  // namespace warphive::tools::spec
