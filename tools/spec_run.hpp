// SPDX-License-Identifier: Apache-2.0
// Runs one spec script: its modules become one program, its commands calls of one instance.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tools/spec_executor.hpp"
#include "tools/spec_script.hpp"

namespace warphive::tools::spec {

enum class Verdict : std::uint8_t { passed, failed, skipped };

/// What became of one command.
struct Report {
  const Command* command = nullptr;  // borrowed from the script
  Verdict verdict = Verdict::passed;
  std::string detail;  // why not passed; one line
};

/// One report per command, in order. Throws Failure where a file of the script cannot be read.
std::vector<Report> run_script(const Script& script, MakeExecutor make_executor);

}  // namespace warphive::tools::spec
