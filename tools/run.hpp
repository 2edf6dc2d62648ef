// SPDX-License-Identifier: Apache-2.0
// `warphive run`.
#pragma once

#include <string>
#include <vector>

#include "tools/run_options.hpp"

namespace warphive::tools {

/// Runs a module as the options say, shows the results, and returns the exit status. Throws Failure
/// for what keeps instances from running or results from being shown.
int run(RunOptions options);

/// The module in that file, read and validated. Throws Failure (bad_module) with a hint for the
/// text format, or host for a file that cannot be read. Seconds are added to the two sums.
Module load_module(const std::string& path, bool metered, double& read_seconds,
                   double& compile_seconds);
/// The file's bytes; throws Failure (bad_module) unless they begin like a WebAssembly module.
std::string read_module_file(const std::string& path);

}  // namespace warphive::tools
