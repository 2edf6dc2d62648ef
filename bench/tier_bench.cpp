// SPDX-License-Identifier: Apache-2.0
// What going in and out of running code costs: instances stopped every 5 ms, and host functions
// called from an inner loop.
#include <benchmark/benchmark.h>
#include <warphive/warphive.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace {

using Bytes = std::vector<std::byte>;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// (import "host" "add" (func (param i32 i32) (result i32)))
// (func (export "run") (param i32) (result i32) (local i32): calls it so many times, and sums.
Bytes calling_module() {
  Bytes module;
  for (const unsigned byte : std::initializer_list<unsigned>{
           0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00,        //
           0x01, 0x0c, 0x02, 0x60, 0x02, 0x7f, 0x7f, 0x01, 0x7f,  // types
           0x60, 0x01, 0x7f, 0x01, 0x7f,                          //
           0x02, 0x0c, 0x01, 0x04, 'h',  'o',  's',  't',  0x03, 'a',
           'd',  'd',                                                   // import
           0x00, 0x00,                                                  //
           0x03, 0x02, 0x01, 0x01,                                      // function
           0x07, 0x07, 0x01, 0x03, 'r',  'u',  'n',  0x00, 0x01,        // export
           0x0a, 0x1c, 0x01, 0x1a, 0x01, 0x01, 0x7f,                    // code, one local
           0x03, 0x40, 0x20, 0x01, 0x20, 0x00, 0x10, 0x00, 0x21, 0x01,  // loop, call
           0x20, 0x00, 0x41, 0x01, 0x6b, 0x22, 0x00, 0x0d, 0x00, 0x0b,
           0x20, 0x01,  // decrement, br_if
           0x0b}) {
    module.push_back(static_cast<std::byte>(byte));
  }
  return module;
}

/// Ends the benchmark where something fails.
template <class T>
std::optional<T> take(benchmark::State& state, warphive::Result<T> result) {
  if (result) return std::move(*result);
  state.SkipWithError(result.error().message().c_str());
  return std::nullopt;
}

std::filesystem::path guest(const char* name) {
  const std::filesystem::path here = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  return here / ".." / "guests" / (std::string(name) + ".wasm");
}

/// One long loop (the guest program `alu`), run through and stopped some 5 ms apart, in turns.
void stops(benchmark::State& state, warphive::Tier tier) {
  constexpr double slice_seconds = 0.005;
  constexpr std::int32_t rounds = 20'000'000;
  auto engine =
      take(state,
           warphive::Engine::create({.device = "cpu", .threads = 1, .tier = tier, .cache = false}));
  auto module = take(state, warphive::Module::from_file(guest("alu").string()));
  if (!engine || !module) return;
  auto program = take(state, engine->link(*module));
  auto swarm = take(state, engine->create_swarm());
  if (!program || !swarm) return;
  auto function = take(state, program->find_function("run"));
  auto ids = take(state, swarm->spawn(*program, 1));
  if (!function || !ids) return;
  const std::vector<warphive::Value> args{warphive::Value::i32(1), warphive::Value::i32(rounds)};
  const auto run = [&](std::uint64_t slice, double& seconds) -> std::uint64_t {
    if (!swarm->reset(*ids)) return 0;
    const auto start = Clock::now();
    auto results = swarm->dispatch(*ids, *function, args, slice);
    while (results && (*results)[0].exit == warphive::Exit::out_of_fuel) {
      results = swarm->resume(*ids, slice);
    }
    seconds = seconds_since(start);
    return results ? (*results)[0].instructions.value_or(0) : 0;
  };
  double through = 0;
  std::uint64_t instructions = 0;
  // Until code has come, where it comes in the background.
  for (int i = 0; i < 200; ++i) {
    instructions = run(warphive::unlimited_fuel, through);
    if (tier == warphive::Tier::interp || program->tier_status().state == "ready") break;
  }
  if (instructions == 0) return state.SkipWithError("the program did not run");
  run(warphive::unlimited_fuel, through);
  const auto slice =
      static_cast<std::uint64_t>(static_cast<double>(instructions) * slice_seconds / through);
  double stopped = 0;
  run(slice, stopped);
  double best_through = through;
  double best_stopped = stopped;
  for (auto _ : state) {
    run(warphive::unlimited_fuel, through);
    run(slice, stopped);
    best_through = std::min(best_through, through);
    best_stopped = std::min(best_stopped, stopped);
    state.SetIterationTime(stopped);
  }
  state.counters["stops"] = static_cast<double>(instructions / slice);
  state.counters["stopped/through"] = best_stopped / best_through;
  state.counters["variants"] = program->tier_status().variants;
}

void host_calls(benchmark::State& state, warphive::Tier tier) {
  constexpr std::int32_t calls = 1'000'000;
  auto engine =
      take(state,
           warphive::Engine::create({.device = "cpu", .threads = 1, .tier = tier, .cache = false}));
  if (!engine) return;
  const warphive::HostFunction add = [](std::span<warphive::HostCall* const> group) {
    for (warphive::HostCall* call : group) {
      call->set_result(0, warphive::Value::i32(call->arg(0).as_i32() + call->arg(1).as_i32()));
    }
  };
  const auto value = warphive::ValueType::i32;
  if (!engine->define("host", "add", {{value, value}, {value}}, add)) {
    return state.SkipWithError("the host function cannot be defined");
  }
  auto module = take(state, warphive::Module::from_bytes(calling_module()));
  if (!module) return;
  auto program = take(state, engine->link(*module));
  auto swarm = take(state, engine->create_swarm());
  if (!program || !swarm) return;
  auto function = take(state, program->find_function("run"));
  auto ids = take(state, swarm->spawn(*program, 1));
  if (!function || !ids) return;
  const std::vector<warphive::Value> args{warphive::Value::i32(calls)};
  double best = 1e9;
  for (auto _ : state) {
    const auto start = Clock::now();
    auto results = swarm->dispatch(*ids, *function, args);
    const double seconds = seconds_since(start);
    if (!results || (*results)[0].exit != warphive::Exit::returned) {
      return state.SkipWithError("the program did not return");
    }
    best = std::min(best, seconds);
    state.SetIterationTime(seconds);
  }
  state.counters["ns_per_call"] = 1e9 * best / calls;
}

using warphive::Tier;
BENCHMARK_CAPTURE(stops, interp, Tier::interp)->UseManualTime()->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(stops, jit, Tier::jit)->UseManualTime()->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(stops, automatic, Tier::automatic)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(host_calls, interp, Tier::interp)->UseManualTime()->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(host_calls, jit, Tier::jit)->UseManualTime()->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
