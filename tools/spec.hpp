// SPDX-License-Identifier: Apache-2.0
// `warphive spec`.
#pragma once

namespace CLI {
class App;
}

namespace warphive::tools {

/// Adds the subcommand; when it is parsed it runs and sets the exit code.
void add_spec_command(CLI::App& app, int& exit_code);

}  // namespace warphive::tools
