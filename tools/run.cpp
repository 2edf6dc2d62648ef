// SPDX-License-Identifier: Apache-2.0
#include "tools/run.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>

#include "hal/cpu/machine.hpp"
#include "tools/failure.hpp"
#include "tools/format.hpp"
#include "tools/report.hpp"
#include "tools/watcher.hpp"

namespace warphive::tools {

namespace {

/// Seconds since it was made or last asked.
class Stopwatch {
 public:
  double lap() {
    const Clock::time_point now = Clock::now();
    const double seconds = std::chrono::duration<double>(now - last_).count();
    last_ = now;
    return seconds;
  }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point last_ = Clock::now();
};

double in_seconds(std::chrono::nanoseconds time) {
  return std::chrono::duration<double>(time).count();
}

// With fewer a GPU gains less than the time that it takes to start.
constexpr std::uint64_t gpu_from = 1024;

Engine make_engine(const RunOptions& options) {
  EngineOptions choice = options.engine;
  std::uint64_t instances = options.count.value_or(1);
  if (options.arguments.range) {
    instances = std::max(instances, parse_range(*options.arguments.range).count());
  }
  if (choice.device == "auto" && instances < gpu_from) choice.device = "cpu";
  Result<Engine> engine = Engine::create(choice);
  if (engine) return std::move(*engine);
  const ErrorCode code = engine.error().code();
  const bool usage = code == ErrorCode::unsupported || code == ErrorCode::invalid_input;
  throw Failure(usage ? Status::usage : Status::device, engine.error().describe());
}

Program make_program(const RunOptions& options, const Engine& engine, Seconds& seconds) {
  std::vector<LinkItem> items;
  items.reserve(options.preloads.size() + 1);
  for (const auto& [name, file] : options.preloads) {
    items.push_back({load_module(file, options.metered, seconds.load, seconds.compile), name});
  }
  items.push_back(
      {load_module(options.file, options.metered, seconds.load, seconds.compile), std::string()});
  Stopwatch watch;
  Result<Program> program = engine.link(items, options.host.seed_functions);
  seconds.compile += watch.lap();
  if (!program && !options.host.seed_functions && engine.link(items, true)) {
    throw Failure(
        status_of(program.error()),
        fmt::format("{}: {} With --host seed it links.", options.file, program.error().describe()));
  }
  return or_fail(std::move(program), options.file);
}

Function find_entry(const RunOptions& options, const Program& program) {
  if (options.invoke) return or_fail(program.find_function(*options.invoke));
  Result<Function> start = program.find_function("_start");
  if (!start) {
    throw Failure(Status::usage, start.error().describe() + " Name a function with --invoke.");
  }
  if (!start->type.params.empty()) {
    fail_usage("The function _start has the signature {} and takes arguments: use --invoke _start.",
               to_string(start->type));
  }
  return *start;
}

std::uint64_t instance_count(const RunOptions& options, const Arguments& arguments) {
  const std::optional<std::uint64_t> by_arguments = arguments.count();
  if (options.count && by_arguments && *options.count != *by_arguments) {
    fail_usage("The count of -n ({}) differs from what {} gives ({}).", *options.count,
               options.arguments.file ? "--args-file" : "--args-from", *by_arguments);
  }
  return options.count ? *options.count : by_arguments.value_or(1);
}

void check_stdin_file(const std::string& path) {
  struct stat status = {};
  if (::stat(path.c_str(), &status) != 0 || ::access(path.c_str(), R_OK) != 0) {
    fail_host("The file of --stdin ({}) cannot be read: {}.", path, std::strerror(errno));
  }
  if (S_ISDIR(status.st_mode)) fail_host("The file of --stdin ({}) is a directory.", path);
}

void check_memory_options(const RunOptions& options, const Program& program,
                          std::uint32_t memory_pages) {
  if (!options.read_memory && !options.memory_hash) return;
  if (!program.has_memory()) {
    fail_usage("The program has no memory for {}.",
               options.read_memory ? "--read-memory" : "--memory-hash");
  }
  if (!options.read_memory) return;
  const std::uint64_t capacity = std::uint64_t{memory_pages} << 16;
  const std::uint64_t end = options.read_memory->address + options.read_memory->bytes;
  if (end > capacity) {
    fail_usage("The range of --read-memory ends at {}, beyond the memory's capacity ({} bytes).",
               end, capacity);
  }
}

/// Fills in what guests see and depends on the count of instances.
void complete_host_options(RunOptions& options, std::uint64_t instances) {
  const std::size_t slash = options.file.find_last_of('/');
  options.host.args = {options.file.substr(slash == std::string::npos ? 0 : slash + 1)};
  options.host.args.insert(options.host.args.end(), options.guest_args.begin(),
                           options.guest_args.end());
  options.host.pass_through = !options.invoke && instances == 1 && options.format == Format::text;
  if (options.stdin_path) {
    const std::uint64_t files = has_id(*options.stdin_path) ? instances : 1;
    for (std::uint64_t i = 0; i < files; ++i) check_stdin_file(with_id(*options.stdin_path, i));
    options.host.stdin_path = *options.stdin_path;
  } else if (instances == 1 && !options.repeat) {
    use_process_stdin(options.host);
  }
}

/// Sends this process's standard output to a file while it lives.
class StdoutRedirection {
 public:
  explicit StdoutRedirection(const std::string& path) {
    const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (file < 0) {
      fail_host("The file of --stdout ({}) cannot be written: {}.", path, std::strerror(errno));
    }
    (void)std::fflush(stdout);
    saved_ = ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    (void)::dup2(file, STDOUT_FILENO);
    (void)::close(file);
  }
  ~StdoutRedirection() {
    (void)std::fflush(stdout);
    (void)::dup2(saved_, STDOUT_FILENO);
    (void)::close(saved_);
  }
  StdoutRedirection(const StdoutRedirection&) = delete;
  StdoutRedirection& operator=(const StdoutRedirection&) = delete;

 private:
  int saved_ = -1;
};

/// Finds out before the run whether the file of --stdout can be written.
void check_stdout_file(const std::string& path) {
  const std::string name = with_id(path, 0);
  const int file = ::open(name.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  if (file < 0) {
    fail_host("The file of --stdout ({}) cannot be written: {}.", name, std::strerror(errno));
  }
  (void)::close(file);
}

bool runs_initialize(const RunOptions& options) {
  return options.invoke && *options.invoke != "_initialize";
}

/// Whether instances are looked at when they have run, or run more than once.
bool keeps_instances(const RunOptions& options, std::uint64_t instances) {
  return options.read_memory || options.memory_hash || options.repeat || instances == 1;
}

Result<Results> run_in_waves(Swarm& swarm, const RunOptions& options, const Program& program,
                             const Function& function, const Arguments& arguments,
                             std::uint64_t instances, bool& timed_out) {
  // Of arguments as they are and as slots; the results' own are looked at where they arise.
  const std::uint64_t each =
      1 + function.type.params.size() * (sizeof(Value) + sizeof(std::uint64_t));
  if (const std::uint64_t there = hal::cpu::available_memory_bytes();
      !arguments.shared() && instances > there / each) {
    return tl::unexpected(Error(
        ErrorCode::out_of_memory, ErrorPhase::spawn,
        fmt::format("The arguments of ({}) instances do not fit the host's memory.", instances)));
  }
  const std::vector<Value> values = arguments.rows(instances);
  Watcher watcher(swarm, options);
  Result<Results> results = swarm.map(program, function, instances, values,
                                      {.spawn = options.spawn,
                                       .fuel = options.fuel.value_or(unlimited_fuel),
                                       .run_initialize = runs_initialize(options),
                                       .wave = options.wave.value_or(0)});
  watcher.stop();
  timed_out = watcher.timed_out();
  return results;
}

Result<Results> dispatch(Swarm& swarm, const RunOptions& options, const Function& function,
                         const Arguments& arguments, std::span<const InstanceId> ids,
                         bool& timed_out) {
  const std::vector<Value> values = arguments.rows(ids.size());
  const std::size_t params = function.type.params.size();
  const std::size_t step = arguments.shared() ? 0 : params;
  if (step * ids.size() > 0xffff'ffff) {
    fail_usage("The arguments of all instances ({}) are more than one run can have ({}).",
               step * ids.size(), 0xffff'ffff);
  }
  std::vector<Call> calls(ids.size());
  for (std::size_t i = 0; i < ids.size(); ++i) {
    calls[i] = {ids[i], function.index, static_cast<std::uint32_t>(i * step)};
  }
  Batch batch;
  batch.calls = calls;
  batch.args = values;
  batch.fuel = options.fuel.value_or(unlimited_fuel);
  batch.run_initialize = runs_initialize(options);

  std::optional<StdoutRedirection> redirection;
  if (options.host.pass_through && options.stdout_path) redirection.emplace(*options.stdout_path);
  Watcher watcher(swarm, options);
  Result<Results> results = swarm.dispatch(batch);
  watcher.stop();
  timed_out = watcher.timed_out();
  return results;
}

Results results_of(Result<Results> results, bool timed_out) {
  if (!results && (timed_out || stop_signalled())) {
    // Nobody waits for a second attempt.
    throw Failure(status_of(results.error()), results.error().describe());
  }
  return or_fail(std::move(results));
}

/// Whether another device is chosen because of an error.
bool runs_elsewhere(const Error& error, const RunOptions& options, const Engine& engine) {
  return error.code() == ErrorCode::out_of_memory && options.engine.device == "auto" &&
         engine.device() != "cpu";
}
int run_on_cpu(RunOptions options) {
  options.engine.isolation = Isolation::none;
  options.engine.device = "cpu";
  return run(std::move(options));
}

/// Whether nobody could tell that a run was begun before.
bool leaves_no_trace(const RunOptions& options) {
  return !options.host.pass_through && !options.host.stdin_source &&
         options.host.stdin_path != "/dev/stdin";
}

void show(const Report& report) {
  const RunOptions& options = report.options;
  if (options.stdout_path && !options.host.pass_through) write_stdout_files(report);
  Output output;
  switch (options.format) {
    case Format::text:
      write_text(report, output);
      break;
    case Format::json:
      write_json(report, output);
      break;
    case Format::csv:
      write_csv(report, output);
      break;
  }
  write_failures(report);
  if (!options.quiet && options.format != Format::json) write_summary(report);
}

}  // namespace

std::string read_module_file(const std::string& path) {
  std::string bytes = read_file(path, ModuleLimits().module_bytes);
  constexpr std::string_view magic("\0asm", 4);
  if (bytes.starts_with(magic)) return bytes;
  const std::size_t first = bytes.find_first_not_of(" \t\r\n");
  const bool named_text = path.ends_with(".wat") || path.ends_with(".wast");
  const bool looks_text =
      first != std::string::npos && (bytes[first] == '(' || bytes.compare(first, 2, ";;") == 0);
  if (named_text || looks_text) {
    throw Failure(
        Status::bad_module,
        fmt::format("The file ({}) is WebAssembly text, which is not accepted: convert it "
                    "with wat2wasm first.",
                    path));
  }
  throw Failure(
      Status::bad_module,
      bytes.empty()
          ? fmt::format("The file ({}) is empty.", path)
          : fmt::format("The file ({}) is not WebAssembly: it does not begin with the bytes "
                        "00 61 73 6d.",
                        path));
}

Module load_module(const std::string& path, bool metered, double& read_seconds,
                   double& compile_seconds) {
  Stopwatch watch;
  const std::string bytes = read_module_file(path);
  read_seconds += watch.lap();
  ModuleOptions options;
  options.metered = metered;
  Result<Module> module = Module::from_bytes(std::as_bytes(std::span(bytes)), options);
  compile_seconds += watch.lap();
  return or_fail(std::move(module), path);
}

namespace {

int run_once(RunOptions& options, const RunOptions& as_given) {
  Stopwatch total;
  Stopwatch watch;
  check_run_options(options);
  Seconds seconds;
  const Engine engine = make_engine(options);
  const Program program = make_program(options, engine, seconds);
  const Function function = find_entry(options, program);
  const Arguments arguments =
      Arguments::parse(options.arguments, function.type, options.invoke.value_or("_start"));
  const std::uint64_t instances = instance_count(options, arguments);
  const std::uint32_t memory_pages =
      !program.has_memory() ? 0
                            : options.spawn.memory_pages.value_or(program.default_memory_pages());
  check_memory_options(options, program, memory_pages);
  complete_host_options(options, instances);
  if (options.stdout_path) check_stdout_file(*options.stdout_path);

  watch.lap();
  SwarmOptions swarm_options;
  swarm_options.host = options.host;
  Swarm swarm = or_fail(engine.create_swarm(swarm_options));
  const bool in_waves = !keeps_instances(options, instances);
  std::vector<InstanceId> ids;
  if (!in_waves) {
    Result<std::vector<InstanceId>> spawned = swarm.spawn(program, instances, options.spawn);
    if (!spawned && runs_elsewhere(spawned.error(), options, engine)) return run_on_cpu(as_given);
    ids = or_fail(std::move(spawned));
    seconds.spawn = watch.lap();
  }

  // Until here there is nothing to show: a signal just ends the command, also where it waits for
  // somebody to open a pipe.
  install_stop_signals();
  bool timed_out = false;
  const auto has_code = [&] {
    const TierStatus status = program.tier_status();
    return status.compiled && status.functions != 0;
  };
  bool starts_compiled = has_code();
  Result<Results> first =
      in_waves ? run_in_waves(swarm, options, program, function, arguments, instances, timed_out)
               : dispatch(swarm, options, function, arguments, ids, timed_out);
  if (!first && runs_elsewhere(first.error(), options, engine)) return run_on_cpu(as_given);
  Results results = results_of(std::move(first), timed_out);
  if (in_waves) seconds.spawn = in_seconds(results.spawn_time());
  for (std::uint64_t times = 1; times < options.repeat.value_or(1); ++times) {
    if (timed_out || stop_signalled()) break;
    watch.lap();
    or_fail(swarm.reset(ids));
    seconds.spawn = watch.lap();
    starts_compiled = has_code();
    results = results_of(dispatch(swarm, options, function, arguments, ids, timed_out), timed_out);
  }
  const TierStatus tier = program.tier_status();
  seconds.run = in_seconds(results.run_time());
  seconds.harvest = in_seconds(results.harvest_time());
  const Tally tally(results);
  seconds.total = total.lap();
  const Report report = {.options = options,
                         .swarm = swarm,
                         .results = results,
                         .tally = tally,
                         .ids = ids,
                         .signature = to_string(function.type),
                         .value_count = function.type.results.size(),
                         .device = engine.device(),
                         .tier = starts_compiled ? "jit"
                                 : has_code()    ? "interp+jit"
                                                 : "interp",
                         .compiled = tier,
                         .deterministic = swarm.deterministic(),
                         .memory_pages = memory_pages,
                         .seconds = seconds,
                         .timed_out = timed_out};
  show(report);
  return exit_status(tally, results);
}

}  // namespace

int run(RunOptions options) {
  const RunOptions as_given = options;
  try {
    return run_once(options, as_given);
  } catch (const DeviceLost& loss) {
    if (options.engine.isolation == Isolation::none || !leaves_no_trace(options)) throw;
    print_error(fmt::format("warphive: {} The run begins again in a new worker process.\n",
                            clean(loss.sentence())));
  }
  options = as_given;
  return run_once(options, as_given);
}

}  // namespace warphive::tools
