// SPDX-License-Identifier: Apache-2.0
// The warphive command.
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <memory>
#include <new>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>
#include <warphive/warphive.hpp>

#include "base/append.hpp"
#include "hal/worker/serve.hpp"
#include "tools/cache.hpp"
#include "tools/failure.hpp"
#include "tools/format.hpp"
#include "tools/inspect.hpp"
#include "tools/report.hpp"
#include "tools/run.hpp"
#ifdef WARPHIVE_SPEC_COMMAND
#include "tools/spec.hpp"
#endif

namespace warphive::tools {
namespace {

constexpr std::size_t help_columns = 100;
constexpr std::size_t help_indent = 30;

class Formatter : public CLI::Formatter {
 public:
  Formatter() { column_width(help_indent); }

  std::string make_usage(const CLI::App* app, std::string name) const override {
    if (app->get_name() == "run") {
      return "\nUsage: warphive run [OPTIONS] FILE.wasm [-- GUEST ARGUMENTS]\n";
    }
    return "\n" + CLI::Formatter::make_usage(app, name) + "\n";
  }
  std::string make_option_opts(const CLI::Option* option) const override {
    return option->get_type_size() == 0 || option->get_type_name().empty()
               ? ""
               : " " + option->get_type_name();
  }
  std::string make_option_desc(const CLI::Option* option) const override {
    std::istringstream words(option->get_description());
    std::string text;
    std::size_t column = help_indent;
    for (std::string word; words >> word;) {
      if (column + 1 + word.size() > help_columns) {
        text += '\n';
        column = help_indent;
      } else if (!text.empty()) {
        text += ' ';
        ++column;
      }
      text += word;
      column += word.size();
    }
    return text;
  }
};

void show_devices(bool json) {
  Output output;
  std::string& text = output.text();
  const char* before = "[";
  for (const DeviceInfo& device : Engine::devices()) {
    const std::string& about = device.available ? device.description : device.reason;
    if (json) {
      base::append(text, "{}{{\"name\":\"{}\",\"available\":{},\"{}\":", before, device.name,
                   device.available, device.available ? "description" : "reason");
      append_json_string(text, about);
      text += '}';
      before = ",";
    } else {
      base::append(text, "{:8} {}: {}\n", device.name,
                   device.available ? "available" : "not available", about);
    }
  }
  if (json) text += "]\n";
  output.flush();
}

void show_version() {
  Output output;
  output.text() = "warphive " WARPHIVE_VERSION "\n";
  output.flush();
}

/// The command line before a bare "--". An empty value behind "=" becomes an argument of its own:
/// the parser would take the next one instead.
std::vector<std::string> own_arguments(int argc, char** argv, std::vector<std::string>& guest) {
  std::vector<std::string> own;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--") {
      guest.assign(argv + i + 1, argv + argc);
      break;
    }
    if (argument.starts_with("--") && argument.find('=') == argument.size() - 1) {
      own.push_back(argument.substr(0, argument.size() - 1));
      own.emplace_back();
    } else {
      own.push_back(argument);
    }
  }
  return own;
}

/// What the parser found wrong, as a sentence.
std::string sentence_about(const CLI::App& app, const std::string& command,
                           const CLI::ParseError& error) {
  const CLI::App* last = &app;
  std::string help = "warphive";
  while (!last->get_subcommands().empty()) {
    last = last->get_subcommands()[0];
    help += " " + last->get_name();
  }
  help += " --help";
  if (last == &app) {
    if (command.empty()) return fmt::format("No command was given; see {}.", help);
    return fmt::format("There is no command ({}); see {}.", command, help);
  }
  if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) {
    const std::vector<std::string> extras = app.remaining(true);
    const std::string extra = extras.empty() ? "" : extras.front();
    if (!extra.starts_with('-')) {
      return fmt::format("The argument ({}) is one too many{}; see {}.", extra,
                         last->get_name() == "run" ? ": arguments for the guest go after a --" : "",
                         help);
    }
    std::vector<std::string> names;
    for (const CLI::Option* option : last->get_options()) {
      for (const std::string& name : option->get_lnames()) names.push_back(name);
    }
    // Without the dashes, which every option has and which would make any two look alike.
    const std::string wanted = extra.substr(0, extra.find('='));
    const std::string_view near =
        nearest(wanted.substr(std::min(wanted.size(), wanted.find_first_not_of('-'))), names);
    return fmt::format("There is no option ({}){}; see {}.", extra,
                       near.empty() ? "" : fmt::format(", the nearest is --{}", near), help);
  }
  if (dynamic_cast<const CLI::RequiredError*>(&error) != nullptr) {
    if (last->get_require_subcommand_min() == 0) {
      return fmt::format("The file is missing; see {}.", help);
    }
    const std::vector<std::string> extras = app.remaining(true);
    if (extras.empty()) return fmt::format("No action was given; see {}.", help);
    return fmt::format("There is no action ({}); see {}.", extras.front(), help);
  }
  std::string what = error.what();
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr) {
    const std::string option = what.substr(0, what.find(':'));
    return fmt::format("The option {} {}; see {}.", option,
                       what.ends_with("missing") ? "has no value" : "can be given only once", help);
  }
  while (!what.empty() && (what.back() == '.' || what.back() == '\n')) what.pop_back();
  std::replace(what.begin(), what.end(), '\n', ' ');
  return fmt::format("The command line is wrong: {}; see {}.", what, help);
}

/// A descriptor that the caller left closed would be given to the next file that is opened, and
/// what is meant for stdout would go there. Instead, writing to it fails.
void open_missing_descriptors() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (::fcntl(fd, F_GETFD) < 0 && errno == EBADF) (void)!::open("/dev/null", O_RDONLY);
  }
}

int command(int argc, char** argv) {
  CLI::App app("Runs WebAssembly modules as thousands of isolated instances.", "warphive");
  app.formatter(std::make_shared<Formatter>());
  app.require_subcommand(1);
  app.footer("warphive COMMAND --help shows a command's options; for run also the exit status.");
  app.set_version_flag("--version", "warphive " WARPHIVE_VERSION);
  int exit_code = 0;

  RunOptions run_options;
  CLI::App* run_command = app.add_subcommand("run", "Run a module as one or many instances");
  add_run_options(*run_command, run_options);
  run_command->callback([&] { exit_code = run(std::move(run_options)); });
  add_inspect_command(app);
  add_cache_command(app);
#ifdef WARPHIVE_SPEC_COMMAND
  add_spec_command(app, exit_code);
#endif
  bool devices_as_json = false;
  CLI::App* devices_command =
      app.add_subcommand("devices", "List the devices that programs can run on");
  add_format_option(*devices_command, devices_as_json);
  devices_command->callback([&] { show_devices(devices_as_json); });
  app.add_subcommand("version", "Show the version")->callback(show_version);

  std::vector<std::string> arguments = own_arguments(argc, argv, run_options.guest_args);
  const std::string first = arguments.empty() ? "" : arguments.front();
  std::reverse(arguments.begin(), arguments.end());  // as the parser wants them
  if (!run_options.guest_args.empty() && first != "run") {
    fail_usage("Arguments after a -- are for guests of warphive run.");
  }
  try {
    app.parse(std::move(arguments));
  } catch (const CLI::Success& success) {  // help or version
    return app.exit(success);
  } catch (const CLI::ParseError& error) {
    fail_usage("{}", sentence_about(app, first, error));
  }
  return exit_code;
}

}  // namespace
}  // namespace warphive::tools

int main(int argc, char** argv) {
  using warphive::tools::clean;
  using warphive::tools::Status;
  // A guest that writes for ever into a closed pipe must end as any other program does.
  (void)::signal(SIGPIPE, SIG_DFL);
  warphive::tools::open_missing_descriptors();
  if (argc == 2 && std::string_view(argv[1]) == "worker" && !warphive::hal::worker::serve()) {
    warphive::tools::print_error(
        "warphive: The command worker is for Warphive itself, with --isolation worker.\n");
    return static_cast<int>(Status::usage);
  }
  const auto end = [](Status status, std::string_view sentence) {
    warphive::tools::print_error(fmt::format("warphive: {}\n", clean(sentence)));
    return static_cast<int>(status);
  };
  try {
    // Without the end of static objects: code that is still being made is not waited for.
    const int status = warphive::tools::command(argc, argv);
    (void)std::fflush(nullptr);
    std::_Exit(status);
  } catch (const warphive::tools::Failure& failure) {
    return end(failure.status(), failure.sentence());
  } catch (const std::bad_alloc&) {
    return end(Status::host, "The host's memory is exhausted.");
  } catch (const std::length_error&) {
    return end(Status::host, "The host's memory is exhausted.");
  } catch (const std::exception& problem) {
    return end(Status::host, problem.what());
  }
}
