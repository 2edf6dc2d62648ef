// SPDX-License-Identifier: Apache-2.0
// `warphive inspect`.
#pragma once

namespace CLI {
class App;
}

namespace warphive::tools {

/// Adds the subcommand; when it is parsed it runs. Throws Failure.
void add_inspect_command(CLI::App& app);

}  // namespace warphive::tools
