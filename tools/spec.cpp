// SPDX-License-Identifier: Apache-2.0
#include "tools/spec.hpp"

#include <CLI/CLI.hpp>

#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "tools/failure.hpp"
#include "tools/format.hpp"
#include "tools/spec_executor.hpp"
#include "tools/spec_expected.hpp"
#include "tools/spec_run.hpp"
#include "tools/spec_script.hpp"

namespace warphive::tools {
namespace {

struct SpecOptions {
  std::vector<std::string> files;
  std::string executor = "interp.cpu";
  std::string expected_failures;
};

struct Totals {
  std::uint64_t passed = 0;
  std::uint64_t failed = 0;
  std::uint64_t skipped = 0;
};

std::string executor_names() {
  std::vector<std::string_view> names;
  for (const spec::ExecutorKind& kind : spec::executor_kinds()) names.push_back(kind.name);
  return fmt::format("{}", fmt::join(names, ", "));
}

/// Counts a script's reports and prints what failed. An expected failure counts as skipped.
void count(const spec::Script& script, const std::vector<spec::Report>& reports,
           spec::ExpectedFailures& expected, Totals& totals) {
  const auto print = [](std::string_view line) { fmt::print("{}\n", clean(line)); };
  for (const spec::Report& report : reports) {
    const std::string place = fmt::format("{}:{}", script.source, report.command->line);
    const std::string_view kind = spec::to_string(report.command->kind);
    const bool counted = spec::is_assertion(report.command->kind);
    const std::string* reason = expected.find(place);
    switch (report.verdict) {
      case spec::Verdict::passed:
        if (reason != nullptr && counted) {
          ++totals.failed;
          print(fmt::format("{}: {}: Passed, but a failure is expected: {}", place, kind, *reason));
        } else {
          totals.passed += counted ? 1 : 0;
        }
        break;
      case spec::Verdict::failed:
        if (reason != nullptr) {
          totals.skipped += counted ? 1 : 0;
          print(fmt::format("{}: {}: Fails as expected: {}", place, kind, *reason));
        } else {
          ++totals.failed;
          print(fmt::format("{}: {}: {}", place, kind, report.detail));
        }
        break;
      case spec::Verdict::skipped:
        totals.skipped += counted ? 1 : 0;
        break;
    }
  }
  for (const std::string& pattern : expected.unused(script.source)) {
    ++totals.failed;
    print(fmt::format("{}: The expected failure ({}) matches nothing.", script.source, pattern));
  }
}

int run(const SpecOptions& options) {
  const spec::ExecutorKind* kind = spec::find_executor(options.executor);
  if (kind == nullptr) {
    fail_usage("There is no executor ({}); there are: {}.", options.executor, executor_names());
  }
  spec::ExpectedFailures expected;
  if (!options.expected_failures.empty()) {
    expected = spec::ExpectedFailures::read(options.expected_failures);
  }
  Totals totals;
  for (const std::string& file : options.files) {
    const spec::Script script = spec::read_script(file);
    count(script, spec::run_script(script, kind->make), expected, totals);
  }
  fmt::print("{} passed, {} failed, {} skipped\n", totals.passed, totals.failed, totals.skipped);
  return totals.failed == 0 ? 0 : static_cast<int>(Status::some_code_nonzero);
}

}  // namespace

void add_spec_command(CLI::App& app, int& exit_code) {
  const auto options = std::make_shared<SpecOptions>();
  CLI::App* command =
      app.add_subcommand("spec", "Run WebAssembly spec scripts that wast2json converted");
  command->add_option("FILE", options->files, "What wast2json made, FILE.json")->required();
  command->add_option("--executor", options->executor, "One of: " + executor_names())
      ->capture_default_str();
  command->add_option("--expected-failures", options->expected_failures,
                      "File with a pattern and a reason per line; what matches must fail");
  command->callback([options, &exit_code] { exit_code = run(*options); });
}

}  // namespace warphive::tools
