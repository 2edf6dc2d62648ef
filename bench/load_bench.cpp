// SPDX-License-Identifier: Apache-2.0
// How fast modules become programs: decode + validate + lower, then link + optimise + encode, on
// one core; and what a user waits for a large module: from its bytes to the end of its first
// instructions in this process (`first_instruction`), and a whole run of the command beside this
// one (`process`). Inputs: a module of 1 MB that this file makes, and the largest guest programs.
#include <benchmark/benchmark.h>
#include <unistd.h>
#include <warphive/warphive.hpp>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace {

using Bytes = std::vector<std::byte>;

void put(Bytes& out, std::initializer_list<unsigned> bytes) {
  for (const unsigned byte : bytes) out.push_back(static_cast<std::byte>(byte));
}

void put_leb(Bytes& out, std::size_t value) {
  do {
    const std::size_t low = value & 0x7f;
    value >>= 7;
    out.push_back(static_cast<std::byte>(low | (value != 0 ? 0x80 : 0)));
  } while (value != 0);
}

void put_section(Bytes& out, unsigned id, const Bytes& body) {
  put(out, {id});
  put_leb(out, body.size());
  out.insert(out.end(), body.begin(), body.end());
}

// (func (param i32 i32) (result i32) (local i32 i64): a counted loop with loads, stores, a compare,
// a 64-bit mix and a call of the function before it: the usual diet of compiled C.
Bytes function_body(std::size_t index) {
  Bytes body;
  put(body, {2, 1, 0x7f, 1, 0x7e});                           // locals: i32, i64
  put(body, {0x02, 0x40, 0x03, 0x40});                        // block loop
  put(body, {0x20, 0, 0x45, 0x0d, 1});                        // local.get 0, i32.eqz, br_if 1
  put(body, {0x20, 1, 0x28, 2, 16, 0x20, 2, 0x6a, 0x22, 2});  // load, add, local.tee 2
  put(body, {0x41, 0xff, 0x01, 0x71, 0x20, 2, 0x36, 2, 8});   // and 255, store
  put(body, {0x20, 3, 0x42, 0x0d, 0x7e, 0x20, 2, 0xad, 0x85, 0x21, 3});  // i64 mul, xor
  put(body, {0x20, 0, 0x41, 1, 0x6b, 0x21, 0, 0x0c, 0, 0x0b, 0x0b});     // decrement, br 0, end end
  put(body, {0x20, 2, 0x20, 3, 0xa7, 0x6a, 0x20, 1, 0x10});              // combine, call
  put_leb(body, index == 0 ? 0 : index - 1);
  put(body, {0x0b});
  return body;
}

Bytes synthetic_module(std::size_t target_bytes) {
  Bytes code;
  std::size_t count = 0;
  Bytes bodies;
  while (bodies.size() < target_bytes) {
    const Bytes body = function_body(count++);
    put_leb(bodies, body.size());
    bodies.insert(bodies.end(), body.begin(), body.end());
  }
  put(bodies, {4, 0, 0x20, 0, 0x0b});  // `run` returns its first argument
  const std::size_t run = count++;
  Bytes module;
  put(module, {0, 'a', 's', 'm', 1, 0, 0, 0});
  Bytes types;
  put(types, {1, 0x60, 2, 0x7f, 0x7f, 1, 0x7f});
  put_section(module, 1, types);
  Bytes functions;
  put_leb(functions, count);
  functions.resize(functions.size() + count, std::byte{0});
  put_section(module, 3, functions);
  Bytes memory;
  put(memory, {1, 0, 1});
  put_section(module, 5, memory);
  Bytes exports;
  put(exports, {1, 3, 'r', 'u', 'n', 0});
  put_leb(exports, run);
  put_section(module, 7, exports);
  put_leb(code, count);
  code.insert(code.end(), bodies.begin(), bodies.end());
  put_section(module, 10, code);
  return module;
}

std::filesystem::path here() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path();
}

Bytes read_guest(const char* name) {
  std::ifstream file(here() / ".." / "guests" / (std::string(name) + ".wasm"), std::ios::binary);
  const std::vector<char> text{std::istreambuf_iterator<char>(file), {}};
  Bytes bytes(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) bytes[i] = static_cast<std::byte>(text[i]);
  return bytes;
}

void load(benchmark::State& state, const Bytes& bytes) {
  if (bytes.empty()) return state.SkipWithError("the guest program was not built");
  double ratio = 0;
  for (auto _ : state) {
    auto module = warphive::Module::from_bytes(bytes);
    if (!module) return state.SkipWithError(module.error().message().c_str());
    ratio = static_cast<double>(module->ir_instructions()) /
            static_cast<double>(module->guest_instructions());
    benchmark::DoNotOptimize(module);
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes.size()) * state.iterations());
  state.counters["ir_per_guest"] = ratio;
}

void link(benchmark::State& state, const Bytes& bytes) {
  if (bytes.empty()) return state.SkipWithError("the guest program was not built");
  auto engine = warphive::Engine::create({.device = "cpu"});
  auto module = warphive::Module::from_bytes(bytes);
  if (!engine || !module) return state.SkipWithError("no engine or module");
  for (auto _ : state) {
    auto program = engine->link(*module);
    if (!program) return state.SkipWithError(program.error().message().c_str());
    benchmark::DoNotOptimize(program);
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes.size()) * state.iterations());
}

// Everything of a run but the process around it. What was made goes outside of the time.
void first_instruction(benchmark::State& state, const Bytes& bytes) {
  const std::vector<warphive::Value> args{warphive::Value::i32(1), warphive::Value::i32(2)};
  for (auto _ : state) {
    auto engine = warphive::Engine::create({.device = "cpu"});
    auto module = warphive::Module::from_bytes(bytes);
    if (!engine || !module) return state.SkipWithError("no engine or module");
    auto program = engine->link(*module);
    auto swarm = engine->create_swarm();
    if (!program || !swarm) return state.SkipWithError("no program or swarm");
    auto run = program->find_function("run");
    auto ids = swarm->spawn(*program, 1);
    if (!run || !ids) return state.SkipWithError("no function or instance");
    auto results = swarm->dispatch(*ids, *run, args);
    if (!results || (*results)[0].exit != warphive::Exit::returned) {
      return state.SkipWithError("the run failed");
    }
    state.PauseTiming();
    {
      const auto ended = std::tuple(std::move(results), std::move(ids), std::move(swarm),
                                    std::move(program), std::move(module), std::move(engine));
    }
    state.ResumeTiming();
  }
}

// From the start of the process to its end, which lies some milliseconds behind the guest's.
void process(benchmark::State& state, const Bytes& bytes) {
  const std::filesystem::path file =
      std::filesystem::temp_directory_path() / ("load_bench_" + std::to_string(::getpid()));
  std::ofstream(file, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
  const std::string command = "\"" + (here() / "warphive").string() + "\" run \"" + file.string() +
                              "\" --invoke run --args 1,2 --quiet > /dev/null";
  for (auto _ : state) {
    if (std::system(command.c_str()) != 0) {
      state.SkipWithError("the command failed");
      break;
    }
  }
  std::filesystem::remove(file);
}

const Bytes synthetic = synthetic_module(1'000'000);
const Bytes json = read_guest("json");
const Bytes text = read_guest("text");

BENCHMARK_CAPTURE(load, synthetic_1mb, synthetic)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(load, json, json)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(load, text, text)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(link, synthetic_1mb, synthetic)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(link, text, text)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(first_instruction, synthetic_1mb, synthetic)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK_CAPTURE(process, synthetic_1mb, synthetic)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
