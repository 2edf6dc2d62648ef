// SPDX-License-Identifier: Apache-2.0
#include "tools/run_options.hpp"

#include <CLI/CLI.hpp>

#include <sys/stat.h>

#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <map>

#include "tools/failure.hpp"
#include "tools/values.hpp"

namespace warphive::tools {

namespace {

constexpr const char* footer = R"(Values, in --args and in results:
  i32, i64       decimal or 0x hexadecimal; results are signed
  f32, f64       1.5, -2e10, 0x1p-3, inf, -inf, nan, nan:0x200000 (payload)
  v128           32 hexadecimal digits, byte 0 first, or lanes: "i32x4 1 2 3 4", f64x2, ...
  references     null or an index

Examples:
  warphive run fib.wasm --invoke fib --args 30
  warphive run prog.wasm --invoke run --args-from 1..100000 --args 20
  warphive run hello.wasm -- some arguments for the guest
  warphive run agent.wasm -n 1000 --env 'AGENT={id}' --stdin 'in/{id}.txt' --format json

Text output is a line of values per instance on stdout, empty for one that did not return, and a
summary on stderr. What guests write goes to stderr with --invoke, so that stdout holds values
alone; of several instances each line begins with the id in brackets. {id} in guest arguments,
--env, --stdin and --stdout becomes the instance's id, which counts from 0.

Exit status:
  0        every instance returned or exited with code 0
  1..119   one instance: the guest's exit code (119 for any above)
  1        several instances: some exit code is not 0
  120      a trap              121  out of fuel, timeout or cancelled
  122      device              123  host error (file, memory)
  124      bad module          125  usage
)";

using Number = std::uint64_t;

/// The option's number between both limits, or a Failure that names them.
Number number_of(const std::string& option, const std::string& text, Number least, Number most) {
  const std::optional<Number> number = parse_unsigned(text);
  if (!number || *number < least || *number > most) {
    fail_usage("The value of {} ({}) is not an integer from {} to {}.", option, text, least, most);
  }
  return *number;
}

template <class T>
CLI::Option* add_number(CLI::App& command, const std::string& name, T& target, Number least,
                        Number most, const std::string& help) {
  return command
      .add_option_function<std::string>(
          name,
          [name, &target, least, most](const std::string& text) {
            const Number number = number_of(name, text, least, most);
            if constexpr (std::is_integral_v<T>) {
              target = static_cast<T>(number);
            } else {
              target = static_cast<typename T::value_type>(number);
            }
          },
          help)
      ->type_name("N");
}

template <class T>
CLI::Option* add_choice(CLI::App& command, const std::string& name, T& target,
                        const std::vector<std::pair<std::string, T>>& choices,
                        const std::string& help) {
  std::string list;
  for (const auto& choice : choices) list += (list.empty() ? "" : "|") + choice.first;
  return command
      .add_option_function<std::string>(
          name,
          [name, &target, choices, list](const std::string& text) {
            for (const auto& [word, value] : choices) {
              if (word == text) {
                target = value;
                return;
              }
            }
            fail_usage("The value of {} ({}) is not one of {}.", name, text, list);
          },
          help)
      ->type_name(list);
}

/// An option that may be given many times, with one value each time.
CLI::Option* add_repeated(CLI::App& command, const std::string& name, const std::string& type,
                          const std::function<void(const std::string&)>& take,
                          const std::string& help) {
  return command
      .add_option_function<std::vector<std::string>>(
          name,
          [take](const std::vector<std::string>& values) {
            for (const std::string& value : values) take(value);
          },
          help)
      ->type_name(type)
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

/// Both sides of the separator; throws unless both hold something.
std::pair<std::string, std::string> split_at(const std::string& option, const std::string& text,
                                             std::string_view separator, std::string_view form) {
  const std::size_t at = text.find(separator);
  if (at == std::string::npos || at == 0 || at + separator.size() == text.size()) {
    fail_usage("The value of {} ({}) does not have the form {}.", option, text, form);
  }
  return {text.substr(0, at), text.substr(at + separator.size())};
}

Selection parse_selection(const std::string& text) {
  using Kind = Selection::Kind;
  if (text == "all") return {Kind::all, 0};
  if (text == "none") return {Kind::none, 0};
  if (text == "hash") return {Kind::hash, 0};
  if (text.starts_with("first:")) {
    if (const std::optional<Number> first = parse_unsigned(std::string_view(text).substr(6))) {
      return {Kind::first, *first};
    }
  }
  fail_usage("The value of --results ({}) is not one of all|none|hash|first:N.", text);
}

double parse_timeout(const std::string& text) {
  const std::optional<double> seconds = parse_number(text);
  if (!seconds || !(*seconds > 0) || std::isinf(*seconds)) {
    fail_usage("The value of --timeout ({}) is not a number of seconds above 0.", text);
  }
  return *seconds;
}

void check_device_name(const std::string& name) {
  if (name == "auto" || name == "cpu" || name == "cuda") return;
  if (name.starts_with("cuda:") && parse_unsigned(name.substr(5))) return;
  fail_usage("The value of --device ({}) is not one of auto|cpu|cuda[:N].", name);
}

void add_work_options(CLI::App& command, RunOptions& o) {
  const std::string group = "What runs";
  command
      .add_option_function<std::string>(
          "--invoke", [&o](const std::string& name) { o.invoke = name; },
          "Exported function to call, after _initialize where there is one. Default: _start")
      ->type_name("NAME")
      ->group(group);
  const auto text_option = [&](const std::string& name, std::optional<std::string>& target,
                               const std::string& type, const std::string& help) {
    command
        .add_option_function<std::string>(
            name, [&target](const std::string& text) { target = text; }, help)
        ->type_name(type)
        ->group(group);
  };
  text_option("--args", o.arguments.list, "V,V...", "Arguments, the same for every instance");
  text_option("--args-from", o.arguments.range, "a..b",
              "First argument: a for instance 0, up to b for the last, both included. Gives the "
              "count; --args gives the other arguments");
  text_option("--args-file", o.arguments.file, "CSV", "Arguments: a row per instance, no header");
  add_number(command, "-n", o.count, 1, 0xffff'ffff,
             "Instances. Default: as the arguments say, or 1")
      ->type_name("COUNT")
      ->group(group);
  add_number(
      command, "--repeat", o.repeat, 1, 0xffff'ffff,
      "Runs all of it so often, each time on instances as new, and shows the last time, also "
      "its seconds: how fast it is where memory is there already. Standard input is empty "
      "unless --stdin gives a file. Needs --invoke (_start too). Default: 1")
      ->group(group);
  add_number(command, "--wave", o.wave, 1, 0xffff'ffff,
             "Instances that exist at a time, at most; those that have run make room for others. "
             "Results do not depend on it. Not with --repeat, --read-memory and --memory-hash, for "
             "which all exist at once. Default: what suits the device")
      ->type_name("COUNT")
      ->group(group);
  add_repeated(
      command, "--preload", "NAME=FILE",
      [&o](const std::string& text) {
        auto preload = split_at("--preload", text, "=", "NAME=FILE");
        for (const auto& [name, file] : o.preloads) {
          if (name != preload.first) continue;
          fail_usage("The name ({}) of --preload is given to two files ({}) and ({}).", name, file,
                     preload.second);
        }
        o.preloads.push_back(std::move(preload));
      },
      "Another module, whose exports FILE.wasm and later ones can import from module NAME. May be "
      "repeated")
      ->group(group);
}

void add_engine_options(CLI::App& command, RunOptions& o) {
  const std::string group = "Device and limits";
  command
      .add_option_function<std::string>(
          "--device",
          [&o](const std::string& name) {
            check_device_name(name);
            o.engine.device = name;
          },
          "Where instances run. auto, the default: on the first GPU, where there is one and -n or "
          "--args-from says at least 1,024 instances, else on the CPU")
      ->type_name("auto|cpu|cuda[:N]")
      ->group(group);
  add_choice<Isolation>(
      command, "--isolation", o.engine.isolation,
      {{"none", Isolation::none}, {"worker", Isolation::worker}},
      "worker: a GPU is driven by a process of its own. If that dies or hangs, the run begins once "
      "more on a new one, unless it is of one instance that writes to stdout or reads stdin. "
      "Default: none")
      ->group(group);
  add_choice<Tier>(
      command, "--tier", o.engine.tier,
      {{"auto", Tier::automatic}, {"interp", Tier::interp}, {"jit", Tier::jit}},
      "How instances run: interpreted, compiled before they run, or interpreted until code "
      "made in the background is there. Default: auto")
      ->group(group);
  command
      .add_flag_callback(
          "--no-cache", [&o] { o.engine.cache = false; },
          "Keep no compiled code on disk, and use none")
      ->group(group);
  command
      .add_option("--cache-dir", o.engine.cache_directory,
                  "Where compiled code is kept. Default: $XDG_CACHE_HOME/warphive or "
                  "~/.cache/warphive")
      ->type_name("DIR")
      ->group(group);
  constexpr Number any = std::numeric_limits<Number>::max();
  add_number(command, "--compile-seconds", o.engine.compile.seconds, 0,
             std::numeric_limits<std::uint32_t>::max(),
             "What compiling the program may take; what is left then stays interpreted. 0: no "
             "limit. Default: 60")
      ->group(group);
  add_number(command, "--compile-instructions", o.engine.compile.instructions, 0, any,
             "IR instructions of the program that may be compiled. Default: 1000000")
      ->group(group);
  add_number(command, "--compile-function", o.engine.compile.function_instructions, 0, any,
             "IR instructions that a function may have to be compiled. Default: 20000")
      ->group(group);
  add_number(command, "--compile-bytes", o.engine.compile.code_bytes, 0, any,
             "Compiled code that the program may get. Default: 268435456")
      ->group(group);
  command.add_flag("-v,--verbose", o.verbose, "Say in the summary what was compiled, and what not")
      ->group(group);
  add_number(command, "--threads", o.engine.threads, 0, 1024, "CPU threads. Default: 0, every core")
      ->group(group);
  add_number(command, "--fuel", o.fuel, 0, unlimited_fuel,
             "Instructions that each instance may run. Default: no limit")
      ->group(group);
  add_choice<bool>(command, "--metering", o.metered, {{"on", true}, {"off", false}},
                   "Counting of instructions. Default: on")
      ->group(group);
  command
      .add_option_function<std::string>(
          "--timeout", [&o](const std::string& text) { o.timeout = parse_timeout(text); },
          "Cancels the run after so long; loading and compiling do not count, and each run of "
          "--repeat has as long")
      ->type_name("SECONDS")
      ->group(group);
  add_number(command, "--memory-pages", o.spawn.memory_pages, 0, 65'536,
             "Room of each memory in pages of 64 KiB. Default: the declared minimum; where the "
             "program grows memory, the declared maximum up to 256, else the minimum + 16")
      ->group(group);
  add_number(command, "--stack-slots", o.spawn.stack_slots, 1, 1u << 24,
             "Stack of each instance in slots of 8 bytes. Default: 4096")
      ->group(group);
  add_number(command, "--max-depth", o.spawn.max_depth, 1, 1u << 24, "Nested calls. Default: 1024")
      ->group(group);
}

void add_world_options(CLI::App& command, RunOptions& o) {
  const std::string group = "What guests see";
  add_repeated(
      command, "--dir", "HOST::GUEST",
      [&o](const std::string& text) {
        auto [host, guest] = split_at("--dir", text, "::", "HOST::GUEST");
        o.host.directories.push_back({std::move(host), std::move(guest)});
      },
      "A directory to read from. May be repeated")
      ->group(group);
  add_repeated(
      command, "--env", "K=V",
      [&o](const std::string& text) {
        if (text.find('=') == std::string::npos || text.front() == '=') {
          fail_usage("The value of --env ({}) does not have the form K=V.", text);
        }
        o.host.env.push_back(text);
      },
      "An environment variable. May be repeated")
      ->group(group);
  command
      .add_option_function<std::string>(
          "--stdin", [&o](const std::string& path) { o.stdin_path = path; },
          "Standard input. Default: this command's with one instance, else empty")
      ->type_name("FILE")
      ->group(group);
  command
      .add_option_function<std::string>(
          "--stdout", [&o](const std::string& path) { o.stdout_path = path; },
          "Standard output goes there; of several instances in the order of ids, or with {id} to "
          "one file each")
      ->type_name("FILE")
      ->group(group);
  add_number(command, "--seed", o.host.seed, 0, std::numeric_limits<Number>::max(),
             "Seed of random numbers. Default: 0")
      ->group(group);
  CLI::Option* start =
      add_number(command, "--clock-start", o.host.clock_start_ns, 0,
                 static_cast<Number>(std::numeric_limits<std::int64_t>::max()),
                 "Where the clock starts, in nanoseconds since 1970; it advances 1 ns per "
                 "instruction. Default: 0")
          ->type_name("NS")
          ->group(group);
  add_choice<bool>(command, "--clock", o.host.host_clock, {{"host", true}},
                   "The host's clock instead; results are then not deterministic")
      ->group(group)
      ->excludes(start);
  add_choice<bool>(command, "--host", o.host.seed_functions, {{"seed", true}},
                   "Adds the functions read_region, print_i32 and so on in module env")
      ->group(group);
}

void add_output_options(CLI::App& command, RunOptions& o) {
  const std::string group = "Output";
  add_choice<Format>(command, "--format", o.format,
                     {{"text", Format::text}, {"json", Format::json}, {"csv", Format::csv}},
                     "Default: text")
      ->group(group);
  command
      .add_option_function<std::string>(
          "--results", [&o](const std::string& text) { o.results = parse_selection(text); },
          "Instances whose results are shown; hash is one hash of how all ended and of their "
          "values, not of output or memory. Default: first:10 as text, else all")
      ->type_name("all|none|hash|first:N")
      ->group(group);
  add_number(
      command, "--output-bytes", o.spawn.output_bytes, 0, 1u << 30,
      "Bytes kept of what each instance writes; the rest is dropped. One instance with "
      "--format text and without --invoke writes straight through, without a limit. Default: "
      "4096")
      ->group(group);
  command
      .add_option_function<std::string>(
          "--read-memory",
          [&o](const std::string& text) {
            const auto [address, bytes] = split_at("--read-memory", text, ":", "ADDR:LEN");
            constexpr Number most = Number{1} << 32;
            o.read_memory = MemoryRange{number_of("--read-memory", address, 0, most),
                                        number_of("--read-memory", bytes, 0, most)};
          },
          "Shows that part of each instance's memory after the run, as base64; nothing where the "
          "memory is smaller")
      ->type_name("ADDR:LEN")
      ->group(group);
  command
      .add_flag("--memory-hash", o.memory_hash, "Shows a hash of each instance's memory (XXH64)")
      ->group(group);
  add_choice<ProgressMode>(command, "--progress", o.progress,
                           {{"auto", ProgressMode::automatic},
                            {"json", ProgressMode::json},
                            {"none", ProgressMode::none}},
                           "On stderr, for work over a second; auto: on a terminal. Default: auto")
      ->group(group);
  command.add_flag("--quiet", o.quiet, "No summary and no progress; results and errors only")
      ->group(group);
}

}  // namespace

void add_format_option(CLI::App& command, bool& json) {
  add_choice<bool>(command, "--format", json, {{"text", false}, {"json", true}}, "Default: text");
}

void add_run_options(CLI::App& command, RunOptions& options) {
  command.footer(footer);
  command.add_option("FILE.wasm", options.file, "The WebAssembly module")
      ->type_name("")
      ->required();
  add_work_options(command, options);
  add_engine_options(command, options);
  add_world_options(command, options);
  add_output_options(command, options);
}

void check_run_options(const RunOptions& options) {
  if (!options.metered && options.fuel) {
    fail_usage("--fuel limits nothing with --metering off.");
  }
  if (!options.invoke &&
      (options.arguments.list || options.arguments.range || options.arguments.file)) {
    fail_usage(
        "--args, --args-from and --args-file need --invoke; arguments for _start go after a --.");
  }
  if (options.wave && (options.repeat || options.read_memory || options.memory_hash)) {
    fail_usage("--wave cannot be with {}: all instances exist at once then.",
               options.repeat        ? "--repeat"
               : options.read_memory ? "--read-memory"
                                     : "--memory-hash");
  }
  if (options.engine.isolation == Isolation::worker && options.engine.device == "cpu") {
    fail_usage("--isolation worker is for GPUs; --device says cpu.");
  }
  if (!options.invoke && options.repeat) {
    fail_usage("--repeat needs --invoke.");
  }
  for (const HostOptions::Directory& directory : options.host.directories) {
    struct stat status = {};
    if (::stat(directory.host_path.c_str(), &status) != 0) {
      fail_host("The directory of --dir ({}) cannot be opened: {}.", directory.host_path,
                std::strerror(errno));
    }
    if (!S_ISDIR(status.st_mode)) {
      fail_host("The path of --dir ({}) is not a directory.", directory.host_path);
    }
  }
}

}  // namespace warphive::tools
