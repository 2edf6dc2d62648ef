// SPDX-License-Identifier: Apache-2.0
// What calls, instances and host calls cost on a device, beside what is done with them, one line of
// JSON each.
//   dispatch_bench GUESTS [--device cuda] [--tier jit] [--instances 1048576] [--runs 7]
//                  [--only empty fresh swarm mixed host stop]
// empty: a dispatch of one instance, and on CUDA devices the driver's own launch and wait; fresh:
// new instances, a tiny call in each, results on the host (bench/peers/wasmtime_peer.cpp --mode
// fresh is the peer); swarm: spawn, reset and harvest beside the bytes that they move; mixed: 32
// programs in one dispatch, over each alone; host: rounds of calls of a host function; stop: from
// cancel() to the results, of instances that run for ever.
#include <warphive/warphive.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "hal/cts/word_kernels.hpp"
#include "hal/cuda/device.hpp"

namespace {

using warphive::Engine;
using warphive::Exit;
using warphive::Program;
using warphive::Swarm;
using warphive::Value;
using Clock = std::chrono::steady_clock;

constexpr std::uint64_t page_bytes = 65'536;

double since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}
double seconds(std::chrono::nanoseconds time) {
  return std::chrono::duration<double>(time).count();
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

/// The value that a share of all is not above.
double quantile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  const auto at = static_cast<std::size_t>(share * static_cast<double>(values.size()));
  return values[std::min(at, values.size() - 1)];
}
double median(std::vector<double> values) { return quantile(std::move(values), 0.5); }

struct Options {
  std::string guests;
  std::string device = "cuda";
  warphive::Tier tier = warphive::Tier::jit;
  std::uint64_t instances = 1 << 20;
  int runs = 7;
  std::vector<std::string> only;
};

Program guest(const Engine& engine, const Options& options, const std::string& name) {
  return must(
      engine.link(must(warphive::Module::from_file(options.guests + "/" + name + ".wasm"))));
}

/// `seed` 0, 1, … and the same second argument.
std::vector<Value> arguments(std::uint64_t count, std::int32_t size) {
  std::vector<Value> args;
  args.reserve(2 * count);
  for (std::uint64_t i = 0; i < count; ++i) {
    args.push_back(Value::i32(static_cast<std::int32_t>(i)));
    args.push_back(Value::i32(size));
  }
  return args;
}

/// Seconds of a kernel that does nothing, from the launch until the host knows that it ended.
std::vector<double> bare_launches(int count) {
  namespace hal = warphive::hal;
  const auto device = must(hal::cuda::create_device());
  hal::KernelImage image;
  image.ptx = hal::cts::word_kernels_ptx;
  const auto executable = must(device->load(image));
  const auto queue = must(device->create_queue());
  const hal::Buffer words = must(device->allocate(4096, hal::Placement::device));
  const hal::cts::WordParams params{words.device_pointer<std::uint32_t>(), 1};
  std::vector<double> taken;
  for (int i = 0; i < count; ++i) {
    const auto start = Clock::now();
    must(queue->dispatch(*executable, hal::KernelId::run, hal::params_of(params), 1));
    must(queue->synchronise());
    taken.push_back(since(start));
  }
  return taken;
}

void empty(const Engine& engine, const Options& options) {
  constexpr int count = 5000;
  const Program program = guest(engine, options, "tiny");
  const auto run = must(program.find_function("run"));
  Swarm swarm = must(engine.create_swarm());
  const auto ids = must(swarm.spawn(program, 1));
  const std::vector<Value> args = arguments(1, 0);
  std::vector<double> taken;
  for (int i = 0; i < count; ++i) {
    const auto start = Clock::now();
    (void)must(swarm.dispatch(ids, run, args));
    taken.push_back(since(start));
  }
  std::printf("{\"case\": \"empty\", \"median_us\": %.2f, \"p99_us\": %.2f", 1e6 * median(taken),
              1e6 * quantile(taken, 0.99));
  if (options.device != "cpu") {
    const std::vector<double> bare = bare_launches(count);
    std::printf(", \"driver_median_us\": %.2f, \"driver_p99_us\": %.2f, \"over_driver\": %.2f",
                1e6 * median(bare), 1e6 * quantile(bare, 0.99), median(taken) / median(bare));
  }
  std::printf("}\n");
}

void fresh(const Engine& engine, const Options& options) {
  const Program program = guest(engine, options, "tiny");
  const auto run = must(program.find_function("run"));
  for (const std::uint64_t count :
       {std::uint64_t{1024}, options.instances / 8, options.instances, options.instances * 8}) {
    Swarm swarm = must(engine.create_swarm());
    const std::vector<Value> args = arguments(count, 17);
    std::vector<double> all;
    std::vector<double> spawn;
    std::vector<double> running;
    std::vector<double> harvest;
    for (int i = 0; i <= options.runs; ++i) {
      const auto start = Clock::now();
      const auto results =
          must(swarm.map(program, run, count, args, {.spawn = {.output_bytes = 0}}));
      const double taken = since(start);
      const bool is_right =
          results.count(Exit::returned) == count &&
          results[count - 1].values[0].as_i32() == static_cast<std::int32_t>(count - 1) + 2;
      if (!is_right) {
        std::fprintf(stderr, "Wrong results.\n");
        std::exit(1);
      }
      if (i == 0) continue;  // makes the slots
      all.push_back(taken);
      spawn.push_back(seconds(results.spawn_time()));
      running.push_back(seconds(results.run_time()));
      harvest.push_back(seconds(results.harvest_time()));
    }
    std::printf(
        "{\"case\": \"fresh\", \"instances\": %llu, \"seconds\": %.6f, \"per_second\": %.0f, "
        "\"spawn\": %.6f, \"run\": %.6f, \"harvest\": %.6f}\n",
        static_cast<unsigned long long>(count), median(all),
        static_cast<double>(count) / median(all), median(spawn), median(running), median(harvest));
    std::fflush(stdout);
  }
}

/// Bytes per second that a device writes.
double fill_rate(const Options& options) {
  namespace hal = warphive::hal;
  if (options.device == "cpu") return 0;
  const auto device = must(hal::cuda::create_device());
  const auto queue = must(device->create_queue());
  const std::uint64_t bytes =
      std::min<std::uint64_t>(device->available_bytes() / 2, std::uint64_t{16} << 30);
  hal::Buffer buffer = must(device->allocate(bytes, hal::Placement::device));
  std::vector<double> taken;
  for (int i = 0; i < 5; ++i) {
    const auto start = Clock::now();
    must(queue->fill(buffer, 0, bytes, 1));
    must(queue->synchronise());
    taken.push_back(since(start));
  }
  return static_cast<double>(bytes) / median(taken);
}

void whole_swarm(const Engine& engine, const Options& options) {
  const double rate = fill_rate(options);
  // One that writes its memory, which must be wiped whole then.
  const Program program = guest(engine, options, "lev");
  const auto run = must(program.find_function("run"));
  Swarm swarm = must(engine.create_swarm());
  auto start = Clock::now();
  const auto ids = must(swarm.spawn(program, options.instances, {.output_bytes = 0}));
  const double first_spawn = since(start);
  const std::vector<Value> args = arguments(options.instances, 1);
  std::vector<double> reset;
  std::vector<double> harvest;
  for (int i = 0; i <= options.runs; ++i) {
    const auto results = must(swarm.dispatch(ids, run, args));
    start = Clock::now();
    must(swarm.reset(ids));
    if (i == 0) continue;
    reset.push_back(since(start));
    harvest.push_back(seconds(results.harvest_time()));
  }
  const double bytes = static_cast<double>(options.instances) * page_bytes;
  const double taken = median(reset) + median(harvest);
  std::printf(
      "{\"case\": \"swarm\", \"instances\": %llu, \"first_spawn\": %.6f, \"reset\": %.6f, "
      "\"harvest\": %.6f, \"fill_bytes_per_second\": %.4g, \"over_bytes\": %.3f}\n",
      static_cast<unsigned long long>(options.instances), first_spawn, median(reset),
      median(harvest), rate, rate == 0 ? 0 : taken * rate / bytes);
}

void mixed(const Engine& engine, const Options& options) {
  // Sizes with which one takes about as long as the other.
  const std::vector<std::pair<std::string, std::int32_t>> kinds = {
      {"alu", 15'000}, {"collatz", 60}, {"fibr", 20},     {"mandel", 5}, {"queens", 8},
      {"lev", 80},     {"sort", 80},    {"sieve", 8'000}, {"sha", 30}};
  constexpr std::size_t programs = 32;
  const std::uint64_t each = options.instances / 8 / programs;
  Swarm swarm = must(engine.create_swarm());
  std::vector<warphive::Call> calls;
  std::vector<Value> args;
  double alone = 0;
  std::string each_alone;
  for (std::size_t p = 0; p < programs; ++p) {
    const auto& [name, size] = kinds[p % kinds.size()];
    const Program program = guest(engine, options, name);
    const auto run = must(program.find_function("run"));
    const auto ids = must(swarm.spawn(program, each, {.output_bytes = 0}));
    for (std::uint64_t i = 0; i < each; ++i) {
      calls.push_back({ids[i], run.index, static_cast<std::uint32_t>(args.size())});
      args.push_back(Value::i32(static_cast<std::int32_t>(i)));
      args.push_back(Value::i32(size));
    }
    if (p >= kinds.size()) continue;
    // As many instances as the mixture has, for the share of time that this one takes.
    Swarm other = must(engine.create_swarm());
    const auto all = must(other.spawn(program, each * programs, {.output_bytes = 0}));
    const std::vector<Value> all_args = arguments(each * programs, size);
    std::vector<double> taken;
    for (int i = 0; i <= options.runs; ++i) {
      const auto results = must(other.dispatch(all, run, all_args));
      if (i != 0) taken.push_back(seconds(results.run_time()));
    }
    const std::size_t copies = programs / kinds.size() + (p < programs % kinds.size() ? 1 : 0);
    alone += median(taken) * static_cast<double>(copies) / programs;
    each_alone +=
        (each_alone.empty() ? "\"" : ", \"") + name + "\": " + std::to_string(median(taken));
  }
  std::vector<double> taken;
  for (int i = 0; i <= options.runs; ++i) {
    const auto results = must(swarm.dispatch({.calls = calls, .args = args}));
    if (i != 0) taken.push_back(seconds(results.run_time()));
  }
  std::printf(
      "{\"case\": \"mixed\", \"programs\": %zu, \"instances_each\": %llu, \"alone\": %.6f, "
      "\"mixed\": %.6f, \"share_of_speed\": %.3f, \"each_alone\": {%s}}\n",
      programs, static_cast<unsigned long long>(each), alone, median(taken), alone / median(taken),
      each_alone.c_str());
}

// (module
//   (import "bench" "step" (func $step (param i32) (result i32)))
//   (func (export "run") (param $n i32) (result i32) (local $x i32)
//     (loop $again
//       (local.set $x (call $step (local.get $x)))
//       (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
//     (local.get $x)))
constexpr std::uint8_t stepper[] = {
    0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x06, 0x01, 0x60, 0x01, 0x7f, 0x01,
    0x7f, 0x02, 0x0e, 0x01, 0x05, 0x62, 0x65, 0x6e, 0x63, 0x68, 0x04, 0x73, 0x74, 0x65, 0x70,
    0x00, 0x00, 0x03, 0x02, 0x01, 0x00, 0x07, 0x07, 0x01, 0x03, 0x72, 0x75, 0x6e, 0x00, 0x01,
    0x0a, 0x1a, 0x01, 0x18, 0x01, 0x01, 0x7f, 0x03, 0x40, 0x20, 0x01, 0x10, 0x00, 0x21, 0x01,
    0x20, 0x00, 0x41, 0x01, 0x6b, 0x22, 0x00, 0x0d, 0x00, 0x0b, 0x20, 0x01, 0x0b};

void host_calls(Engine& engine, const Options& options) {
  std::vector<Clock::time_point> served;
  std::uint64_t count = 0;
  must(engine.define("bench", "step", {{warphive::ValueType::i32}, {warphive::ValueType::i32}},
                     [&](std::span<warphive::HostCall* const> calls) {
                       for (warphive::HostCall* call : calls) {
                         call->set_result(0, Value::i32(call->arg(0).as_i32() + 1));
                         if (call->ordinal() == 0) served.push_back(Clock::now());
                       }
                     }));
  const Program program =
      must(engine.link(must(warphive::Module::from_bytes(std::as_bytes(std::span(stepper))))));
  const auto run = must(program.find_function("run"));
  constexpr std::int32_t steps = 200;
  for (const std::uint64_t instances :
       {std::uint64_t{1}, std::uint64_t{1024}, options.instances / 8}) {
    Swarm swarm = must(engine.create_swarm());
    const auto ids = must(swarm.spawn(program, instances, {.output_bytes = 0}));
    const Value n = Value::i32(instances > 1024 ? 10 : steps);
    (void)must(swarm.dispatch(ids, run, {&n, 1}));
    served.clear();
    count = instances * static_cast<std::uint64_t>(n.as_i32());
    const auto start = Clock::now();
    (void)must(swarm.dispatch(ids, run, {&n, 1}));
    const double taken = since(start);
    std::vector<double> rounds;
    for (std::size_t i = 1; i < served.size(); ++i) {
      rounds.push_back(std::chrono::duration<double>(served[i] - served[i - 1]).count());
    }
    std::printf(
        "{\"case\": \"host\", \"instances\": %llu, \"round_p50_us\": %.1f, \"round_p99_us\": %.1f, "
        "\"calls_per_second\": %.0f}\n",
        static_cast<unsigned long long>(instances), 1e6 * median(rounds),
        1e6 * quantile(rounds, 0.99), static_cast<double>(count) / taken);
  }
}

void stops(const Engine& engine, const Options& options) {
  constexpr std::int32_t endless = 2'000'000'000;
  constexpr int count = 20;
  const Program program = guest(engine, options, "alu");
  const auto run = must(program.find_function("run"));
  for (const std::uint64_t instances : {std::uint64_t{1024}, options.instances}) {
    Swarm swarm = must(engine.create_swarm());
    const auto ids = must(swarm.spawn(program, instances, {.output_bytes = 0}));
    const std::vector<Value> args = arguments(instances, endless);
    std::vector<double> whole;
    std::vector<double> device;
    for (int i = 0; i < count; ++i) {
      Clock::time_point cancelled;
      std::thread canceller([&] {
        while (swarm.progress().instances_total == 0) std::this_thread::yield();
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        cancelled = Clock::now();
        swarm.cancel();
      });
      const auto results = i == 0 ? must(swarm.dispatch(ids, run, args)) : must(swarm.resume(ids));
      const double taken = since(cancelled);
      canceller.join();
      if (results.count(Exit::cancelled) != instances) std::exit(1);
      whole.push_back(taken);
      device.push_back(taken - seconds(results.harvest_time()));
    }
    std::printf(
        "{\"case\": \"stop\", \"instances\": %llu, \"p50_ms\": %.3f, \"p99_ms\": %.3f, "
        "\"without_harvest_p50_ms\": %.3f, \"without_harvest_p99_ms\": %.3f}\n",
        static_cast<unsigned long long>(instances), 1e3 * median(whole),
        1e3 * quantile(whole, 0.99), 1e3 * median(device), 1e3 * quantile(device, 0.99));
    std::fflush(stdout);
  }
}

Options parse(int argc, char** argv) {
  Options options;
  bool lists = false;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const bool has_value = i + 1 < argc;
    if (word == "--only") {
      lists = true;
    } else if (word == "--device" && has_value) {
      options.device = argv[++i];
    } else if (word == "--tier" && has_value) {
      options.tier =
          std::string(argv[++i]) == "interp" ? warphive::Tier::interp : warphive::Tier::jit;
    } else if (word == "--instances" && has_value) {
      options.instances = std::strtoull(argv[++i], nullptr, 10);
    } else if (word == "--runs" && has_value) {
      options.runs = std::max(1, std::atoi(argv[++i]));
    } else if (lists) {
      options.only.push_back(word);
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
    std::fprintf(stderr, "usage: dispatch_bench GUESTS [options, see dispatch_bench.cpp]\n");
    return 2;
  }
  auto engine =
      must(Engine::create({.device = options.device, .tier = options.tier, .cache = false}));
  const auto wants = [&](const char* name) {
    return options.only.empty() ||
           std::find(options.only.begin(), options.only.end(), name) != options.only.end();
  };
  if (wants("host")) host_calls(engine, options);  // first: functions are defined before links
  if (wants("empty")) empty(engine, options);
  if (wants("fresh")) fresh(engine, options);
  if (wants("swarm")) whole_swarm(engine, options);
  if (wants("mixed")) mixed(engine, options);
  if (wants("stop")) stops(engine, options);
}
