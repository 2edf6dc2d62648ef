// SPDX-License-Identifier: Apache-2.0
#include "tools/cache.hpp"

#include <CLI/CLI.hpp>

#include <fmt/format.h>

#include <memory>
#include <string>

#include "codegen/cache.hpp"
#include "tools/failure.hpp"
#include "tools/format.hpp"
#include "tools/report.hpp"
#include "tools/run_options.hpp"

namespace warphive::tools {
namespace {

struct Options {
  std::string directory;
  bool json = false;
};

/// nullptr where there is no such directory: asking does not make it.
std::unique_ptr<codegen::CodeCache> open(const codegen::CacheOptions& options) {
  auto cache = codegen::CodeCache::open(options);
  if (!cache && cache.error().code() == ErrorCode::not_found) return nullptr;
  return or_fail(std::move(cache));
}

codegen::CacheOptions cache_options(const Options& options) {
  codegen::CacheOptions wanted = {.directory = options.directory, .create = false};
  if (wanted.directory.empty()) wanted.directory = or_fail(codegen::default_cache_directory());
  return wanted;
}

void show_stats(const Options& options) {
  const codegen::CacheOptions wanted = cache_options(options);
  codegen::CacheStats stats = {.directory = wanted.directory, .limit_bytes = wanted.limit_bytes};
  if (const auto cache = open(wanted)) stats = or_fail(cache->stats());
  Output output;
  std::string& text = output.text();
  if (options.json) {
    text += "{\"schema\":1,\"directory\":";
    append_json_string(text, stats.directory);
    text += fmt::format(",\"entries\":{},\"bytes\":{},\"limit_bytes\":{}}}\n", stats.entries,
                        stats.bytes, stats.limit_bytes);
  } else {
    text += fmt::format("directory: {}\nentries: {}\nbytes: {} of {}\n", clean(stats.directory),
                        grouped(stats.entries), grouped(stats.bytes), grouped(stats.limit_bytes));
  }
  output.flush();
}

void clear(const Options& options) {
  if (const auto cache = open(cache_options(options))) or_fail(cache->clear());
}

}  // namespace

void add_cache_command(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("cache", "Show or clear the compiled code kept on disk");
  command->require_subcommand(1);
  const auto add = [&](const char* name, const char* description, void (*act)(const Options&)) {
    CLI::App* action = command->add_subcommand(name, description);
    action
        ->add_option("--cache-dir", options->directory,
                     "The directory. Default: $XDG_CACHE_HOME/warphive, else "
                     "$HOME/.cache/warphive")
        ->type_name("DIR");
    action->callback([options, act] { act(*options); });
    return action;
  };
  add_format_option(
      *add("stats", "Show where the code is, how many programs, how many bytes", show_stats),
      options->json);
  add("clear", "Remove all of it", clear);
}

}  // namespace warphive::tools
