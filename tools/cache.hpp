// SPDX-License-Identifier: Apache-2.0
// `warphive cache`: the compiled code that is kept on disk.
#pragma once

namespace CLI {
class App;
}

namespace warphive::tools {

/// Adds the subcommand; when it is parsed it runs. Throws Failure.
void add_cache_command(CLI::App& app);

}  // namespace warphive::tools
