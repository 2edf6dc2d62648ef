// SPDX-License-Identifier: Apache-2.0
// What an instance costs: items per second are instances. Instances have one page of memory with a
// data segment of 256 bytes, and 4,096 stack slots.
#include <benchmark/benchmark.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "base/check.hpp"
#include "hal/cpu/device.hpp"
#include "ir/text.hpp"
#include "ir/verify.hpp"
#include "runtime/swarm.hpp"

namespace warphive::runtime {
namespace {

ir::Function make_function(const ir::Module& module, std::uint32_t type,
                           std::vector<ir::Inst> body) {
  ir::Function function;
  function.type = type;
  const ir::FunctionType& signature = module.types[type];
  const auto params = static_cast<std::uint32_t>(signature.params.size());
  const auto results = static_cast<std::uint32_t>(signature.results.size());
  function.header_slot = std::max(params, results);
  function.frame_slots = function.header_slot + 4;
  const auto header = static_cast<std::uint16_t>(function.header_slot);
  function.code.push_back(
      {ir::Op::enter, header, static_cast<std::uint16_t>(header + 1), 0, function.frame_slots});
  function.code.insert(function.code.end(), body.begin(), body.end());
  function.code.push_back({ir::Op::ret, header, 0, 0, 0});
  function.source.assign(function.code.size(), 0);
  function.blocks = {0};
  return function;
}

/// add(x, y), and an init that writes 256 bytes at 1,024.
std::shared_ptr<const Program> make_test_program() {
  ir::Module module;
  module.types = {{{ir::ValueType::i32, ir::ValueType::i32}, {ir::ValueType::i32}}, {{}, {}}};
  ir::Memory memory;
  memory.min_pages = 1;
  module.memories.push_back(memory);
  module.functions.push_back(
      make_function(module, 0, {{ir::Op::charge, 0, 0, 0, 1}, {ir::Op::add32, 0, 0, 1, 0}}));
  std::vector<ir::Inst> stores;
  for (std::uint64_t i = 0; i < 32; ++i) {
    stores.push_back({ir::Op::const_k, 1, 0, 0, 1024 + 8 * i});
    stores.push_back({ir::Op::const_k, 2, 0, 0, 0x0123456789abcdefu + i});
    stores.push_back({ir::Op::store64, 1, 2, 0, 0});
  }
  module.functions.push_back(make_function(module, 1, stores));
  ir::Member member;
  member.init = 1;
  member.exports.push_back({"add", ir::EntityKind::function, 0});
  module.members.push_back(member);
  auto program = make_program(std::move(module));
  if (!program) std::fprintf(stderr, "%s\n", program.error().describe().c_str());
  WARPHIVE_CHECK(program.has_value());
  return *program;
}

double resident_bytes() {
  long pages = 0;
  long resident = 0;
  if (std::FILE* file = std::fopen("/proc/self/statm", "re")) {
    if (std::fscanf(file, "%ld %ld", &pages, &resident) != 2) resident = 0;
    std::fclose(file);
  }
  return static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE));
}

struct Fixture {
  std::shared_ptr<const Program> program = make_test_program();
  std::unique_ptr<Swarm> swarm;
  std::vector<InstanceId> ids;
  std::vector<SlotCall> calls;
  std::vector<std::uint64_t> args;

  explicit Fixture(std::uint64_t count, std::uint32_t threads = 0) {
    auto device = hal::cpu::create_device({.threads = threads});
    WARPHIVE_CHECK(device.has_value());
    auto made = Swarm::create(*device);
    WARPHIVE_CHECK(made.has_value());
    swarm = std::move(*made);
    if (count != 0) spawn(count);
  }
  void spawn(std::uint64_t count) {
    auto spawned = swarm->spawn(program, count);
    WARPHIVE_CHECK(spawned.has_value());
    ids = std::move(*spawned);
    calls.clear();
    for (std::uint32_t i = 0; i < ids.size(); ++i) calls.push_back({ids[i], 0, 2 * i});
    args.assign(2 * ids.size(), 3);
  }
};

void per_instance(benchmark::State& state) {
  const auto items = state.iterations() * state.range(0);
  state.SetItemsProcessed(items);
  state.counters["ns_per_instance"] = benchmark::Counter(
      static_cast<double>(items) / 1e9, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void spawn_fresh(benchmark::State& state) {
  double bytes = 0;
  for (auto _ : state) {
    state.PauseTiming();
    {
      Fixture fixture(0);
      const double before = resident_bytes();
      state.ResumeTiming();
      auto ids = fixture.swarm->spawn(fixture.program, static_cast<std::uint64_t>(state.range(0)));
      benchmark::DoNotOptimize(ids);
      state.PauseTiming();
      bytes = (resident_bytes() - before) / static_cast<double>(state.range(0));
    }
    state.ResumeTiming();
  }
  per_instance(state);
  state.counters["resident_bytes_per_instance"] = bytes;
}

void spawn_into_used_slots(benchmark::State& state) {
  Fixture fixture(static_cast<std::uint64_t>(state.range(0)));
  for (auto _ : state) {
    state.PauseTiming();
    WARPHIVE_CHECK(fixture.swarm->kill(fixture.ids).has_value());
    state.ResumeTiming();
    auto ids = fixture.swarm->spawn(fixture.program, static_cast<std::uint64_t>(state.range(0)));
    fixture.ids = std::move(*ids);
  }
  per_instance(state);
}

void kill(benchmark::State& state) {
  Fixture fixture(static_cast<std::uint64_t>(state.range(0)));
  for (auto _ : state) {
    const auto status = fixture.swarm->kill(fixture.ids);
    benchmark::DoNotOptimize(status);
    state.PauseTiming();
    fixture.spawn(static_cast<std::uint64_t>(state.range(0)));
    state.ResumeTiming();
  }
  per_instance(state);
}

void reset(benchmark::State& state) {
  Fixture fixture(static_cast<std::uint64_t>(state.range(0)));
  for (auto _ : state) {
    const auto status = fixture.swarm->reset(fixture.ids);
    benchmark::DoNotOptimize(status);
  }
  per_instance(state);
}

void dispatch(benchmark::State& state, std::uint32_t threads) {
  Fixture fixture(static_cast<std::uint64_t>(state.range(0)), threads);
  double run = 0;
  double harvest = 0;
  for (auto _ : state) {
    auto results = fixture.swarm->dispatch({.calls = fixture.calls, .args = fixture.args});
    WARPHIVE_CHECK(results.has_value() && results->count(abi::Exit::returned) == results->size());
    run += static_cast<double>(results->run_time().count());
    harvest += static_cast<double>(results->harvest_time().count());
  }
  per_instance(state);
  const double items = static_cast<double>(state.iterations() * state.range(0));
  state.counters["run_ns_per_instance"] = run / items;
  state.counters["harvest_ns_per_instance"] = harvest / items;
}

BENCHMARK(spawn_fresh)->Arg(100'000)->Unit(benchmark::kMillisecond)->Iterations(5)->UseRealTime();
BENCHMARK(spawn_into_used_slots)
    ->Arg(100'000)
    ->Unit(benchmark::kMillisecond)
    ->Iterations(5)
    ->UseRealTime();
BENCHMARK(kill)->Arg(1)->Arg(100'000)->Unit(benchmark::kMicrosecond)->UseRealTime();
BENCHMARK(reset)->Arg(1)->Arg(100'000)->Unit(benchmark::kMicrosecond)->UseRealTime();
BENCHMARK_CAPTURE(dispatch, one_thread, 1)
    ->Arg(1)
    ->Arg(1024)
    ->Arg(100'000)
    ->Unit(benchmark::kMicrosecond)
    ->UseRealTime();
BENCHMARK_CAPTURE(dispatch, all_cores, 0)
    ->Arg(1)
    ->Arg(1024)
    ->Arg(100'000)
    ->Unit(benchmark::kMicrosecond)
    ->UseRealTime();

}  // namespace
}  // namespace warphive::runtime

BENCHMARK_MAIN();
