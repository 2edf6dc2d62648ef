// SPDX-License-Identifier: Apache-2.0
// Uneven batches and stops on a device, one line of JSON each.
//   rounds_bench GUESTS [--device cuda] [--instances 1048576] [--runs 5]
//                [--only uneven even second stops] [--programs alu …]
// uneven: 1 % of the instances run about 100 times longer, in one grid and in rounds, end to end
// (dispatch to results); even: all run equally long, likewise; second: what a small batch of
// another swarm takes that is submitted meanwhile, and alone; stops: the same work stopped every 5
// ms and resumed, and through.
#include <warphive/warphive.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using warphive::Exit;
using warphive::Value;
using Clock = std::chrono::steady_clock;

double since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

template <class T>
T must(warphive::Result<T> result) {
  if (result) return std::move(*result);
  std::fprintf(stderr, "%s\n", result.error().message().c_str());
  std::exit(1);
}
void must(const warphive::Status& status) {
  if (status) return;
  std::fprintf(stderr, "%s\n", status.error().message().c_str());
  std::exit(1);
}

/// A guest with the second argument of most instances, of 1 % of them, and of those that are
/// stopped.
struct Case {
  std::string name;
  std::int32_t usual;
  std::int32_t large;
  std::int32_t through;
};
const std::vector<Case> cases = {{"alu", 2'000, 200'000, 40'000'000},
                                 {"collatz", 100, 10'000, 200'000},
                                 {"sieve", 500, 47'000, 60'000},
                                 {"sort", 20, 1'000, 8'000},
                                 {"fibr", 12, 22, 30}};

struct Options {
  std::string guests;
  std::string device = "cuda";
  std::size_t instances = 1 << 20;
  int runs = 5;
  std::vector<std::string> only;
  std::vector<std::string> programs;
};

bool is_wanted(const std::vector<std::string>& names, const std::string& name) {
  return names.empty() || std::find(names.begin(), names.end(), name) != names.end();
}

/// A program, and instances of it.
struct Batch {
  Batch(const warphive::Engine& engine, const warphive::Program& program, std::size_t count,
        bool rounds)
      : swarm(must(engine.create_swarm({.host = {}, .rounds = rounds}))),
        run(must(program.find_function("run"))),
        ids(must(swarm.spawn(program, count, {.stack_slots = 512, .output_bytes = 64}))) {}

  /// Each instance once more; seconds from the call to the results.
  double dispatch(const std::vector<Value>& args) {
    must(swarm.reset(ids));
    const auto start = Clock::now();
    const auto results = must(swarm.dispatch(ids, run, args));
    const double seconds = since(start);
    if (results.count(Exit::returned) != ids.size()) {
      std::fprintf(stderr, "Not all instances returned.\n");
      std::exit(1);
    }
    instructions = results.instructions();
    return seconds;
  }

  warphive::Swarm swarm;
  warphive::Function run;
  std::vector<warphive::InstanceId> ids;
  std::uint64_t instructions = 0;
};

std::vector<Value> arguments(std::size_t count, std::int32_t usual, std::int32_t large) {
  constexpr std::size_t one_of = 100;
  std::vector<Value> args;
  args.reserve(2 * count);
  for (std::size_t i = 0; i < count; ++i) {
    // Equally many in each warp would be an easy case.
    const bool is_long = i * 2'654'435'761u % 4'294'967'296u % one_of == 0;
    args.push_back(Value::i32(static_cast<std::int32_t>(i)));
    args.push_back(Value::i32(is_long ? large : usual));
  }
  return args;
}

double median(std::vector<double> seconds) {
  std::sort(seconds.begin(), seconds.end());
  return seconds[seconds.size() / 2];
}

/// In one grid and in rounds, in turns.
void compare(const char* what, const warphive::Engine& engine, const warphive::Program& program,
             const Options& options, const Case& it, std::int32_t usual, std::int32_t large) {
  const std::vector<Value> args = arguments(options.instances, usual, large);
  std::vector<double> seconds[2];
  double first[2] = {};
  std::uint64_t instructions[2] = {};
  for (const bool rounds : {false, true}) {
    Batch batch(engine, program, options.instances, rounds);
    first[rounds] = batch.dispatch(args);
    for (int i = 0; i < options.runs; ++i) seconds[rounds].push_back(batch.dispatch(args));
    instructions[rounds] = batch.instructions;
  }
  std::printf(
      "{\"case\": \"%s\", \"program\": \"%s\", \"instances\": %zu, \"one_grid\": %.6f, "
      "\"rounds\": %.6f, \"speedup\": %.3f, \"first_one_grid\": %.6f, \"first_rounds\": %.6f, "
      "\"same_instructions\": %s}\n",
      what, it.name.c_str(), options.instances, median(seconds[0]), median(seconds[1]),
      median(seconds[0]) / median(seconds[1]), first[0], first[1],
      instructions[0] == instructions[1] ? "true" : "false");
  std::fflush(stdout);
}

/// A small even batch while an uneven one runs.
void second(const warphive::Engine& engine, const warphive::Program& program,
            const Options& options, const Case& it) {
  const std::size_t few = std::max<std::size_t>(1, options.instances / 16);
  const std::vector<Value> args = arguments(options.instances, it.usual, it.large);
  const std::vector<Value> small = arguments(few, it.usual, it.usual);
  double held[2] = {};
  double alone = 0;
  double whole[2] = {};
  for (const bool rounds : {false, true}) {
    Batch large(engine, program, options.instances, rounds);
    Batch other(engine, program, few, rounds);
    whole[rounds] = large.dispatch(args);  // and what is known of it then
    std::vector<double> seconds;
    std::vector<double> seconds_alone;
    for (int i = 0; i < options.runs; ++i) {
      seconds_alone.push_back(other.dispatch(small));
      must(large.swarm.reset(large.ids));
      must(other.swarm.reset(other.ids));
      std::thread thread([&] {
        const auto start = Clock::now();
        (void)must(large.swarm.dispatch(large.ids, large.run, args));
        whole[rounds] = since(start);
      });
      // When the large one is running for certain, and its first slice is over.
      std::this_thread::sleep_for(std::chrono::duration<double>(whole[rounds] / 2));
      const auto start = Clock::now();
      (void)must(other.swarm.dispatch(other.ids, other.run, small));
      seconds.push_back(since(start));
      thread.join();
    }
    held[rounds] = median(seconds);
    alone = median(seconds_alone);
  }
  std::printf(
      "{\"case\": \"second\", \"program\": \"%s\", \"instances\": [%zu, %zu], \"alone\": %.6f, "
      "\"beside_one_grid\": %.6f, \"beside_rounds\": %.6f, \"one_grid\": %.6f, \"rounds\": %.6f}\n",
      it.name.c_str(), options.instances, few, alone, held[0], held[1], whole[0], whole[1]);
  std::fflush(stdout);
}

/// Few instances, so that all run at once, and long ones.
void stops(const warphive::Engine& engine, const warphive::Program& program, const Case& it) {
  constexpr std::size_t count = 1024;
  constexpr auto every = std::chrono::milliseconds(5);
  const std::vector<Value> args = arguments(count, it.through, it.through);
  Batch batch(engine, program, count, true);
  batch.dispatch(args);
  const double through = batch.dispatch(args);
  const std::uint64_t expected = batch.instructions;
  must(batch.swarm.reset(batch.ids));
  std::uint64_t instructions = 0;
  int stopped = 0;
  std::vector<warphive::InstanceId> rest = batch.ids;
  const auto start = Clock::now();
  for (bool first = true; !rest.empty(); first = false) {
    std::atomic<bool> done = false;
    std::thread stopper([&] {
      const auto end = Clock::now() + every;
      while (!done && Clock::now() < end) std::this_thread::sleep_for(every / 50);
      if (!done) batch.swarm.cancel();
    });
    const auto results =
        first ? must(batch.swarm.dispatch(rest, batch.run, args)) : must(batch.swarm.resume(rest));
    done = true;
    stopper.join();
    instructions += results.instructions();
    rest.clear();
    for (std::size_t i = 0; i < results.size(); ++i) {
      if (results[i].exit == Exit::cancelled) rest.push_back(results[i].id);
    }
    stopped += rest.empty() ? 0 : 1;
  }
  const double seconds = since(start);
  std::printf(
      "{\"case\": \"stops\", \"program\": \"%s\", \"instances\": %zu, \"through\": %.6f, "
      "\"stopped\": %.6f, \"stops\": %d, \"lost\": %.4f, \"same_instructions\": %s}\n",
      it.name.c_str(), count, through, seconds, stopped, seconds / through - 1,
      instructions == expected ? "true" : "false");
  std::fflush(stdout);
}

Options parse(int argc, char** argv) {
  Options options;
  std::vector<std::string>* list = nullptr;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const bool has_value = i + 1 < argc;
    if (word == "--only") {
      list = &options.only;
    } else if (word == "--programs") {
      list = &options.programs;
    } else if (word == "--device" && has_value) {
      options.device = argv[++i];
    } else if (word == "--instances" && has_value) {
      options.instances = std::strtoull(argv[++i], nullptr, 10);
    } else if (word == "--runs" && has_value) {
      options.runs = std::max(1, std::atoi(argv[++i]));
    } else if (list != nullptr) {
      list->push_back(word);
    } else {
      options.guests = word;
    }
  }
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  if (options.guests.empty()) {
    std::fprintf(stderr, "usage: rounds_bench GUESTS [options, see rounds_bench.cpp]\n");
    return 2;
  }
  const auto engine = must(warphive::Engine::create(
      {.device = options.device, .tier = warphive::Tier::jit, .cache = false}));
  for (const Case& it : cases) {
    if (!is_wanted(options.programs, it.name)) continue;
    const auto module = must(warphive::Module::from_file(options.guests + "/" + it.name + ".wasm"));
    const auto program = must(engine.link(module));
    if (is_wanted(options.only, "uneven")) {
      compare("uneven", engine, program, options, it, it.usual, it.large);
    }
    if (is_wanted(options.only, "even")) {
      // So long that a grid takes as long as an uneven one.
      const std::int32_t size = it.name == "fibr" ? it.usual + 4 : it.usual * 8;
      compare("even", engine, program, options, it, size, size);
    }
    if (is_wanted(options.only, "second")) second(engine, program, options, it);
    if (is_wanted(options.only, "stops")) stops(engine, program, it);
  }
}
