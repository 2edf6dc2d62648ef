// SPDX-License-Identifier: Apache-2.0
// Programs in swarms of another device than the one that they were linked for.
#include <dlfcn.h>

#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "api/testing.hpp"

namespace warphive::testing {
namespace {

Engine engine_of(const char* device, Tier tier) {
  return must(Engine::create({.device = device, .threads = 1, .tier = tier, .cache = false}));
}

std::vector<std::int32_t> sums(const Engine& engine, const Program& program) {
  Swarm swarm = must(engine.create_swarm());
  const std::vector<InstanceId> ids = must(swarm.spawn(program, 40));
  std::vector<Value> args;
  for (std::int32_t i = 0; i < 40; ++i)
    args.insert(args.end(), {Value::i32(i), Value::i32(i * 1000)});
  const Results results = must(swarm.dispatch(ids, must(program.find_function("add")), args));
  std::vector<std::int32_t> values;
  values.reserve(results.size());
  for (std::size_t i = 0; i < results.size(); ++i) {
    values.push_back(results[i].values[0].as_i32());
  }
  return values;
}

/// Copies and launches that the stand-in driver was asked for in this process.
std::uint64_t driver_calls() {
  void* const library = dlopen(WARPHIVE_FAKE_CUDA_LIBRARY, RTLD_NOW | RTLD_NOLOAD);
  if (library == nullptr) throw std::runtime_error("the stand-in driver is not there");
  using Calls = std::uint64_t (*)(const char*);
  const auto calls = reinterpret_cast<Calls>(dlsym(library, "warphive_fake_cuda_calls"));
  const std::uint64_t count = calls("cuMemcpyAsync") + calls("cuLaunchKernel");
  dlclose(library);
  return count;
}

/// The module `hosted` on one device. `twice` doubles, but refuses 13 and throws at 113; `poke`
/// writes a word, and before that reads it and its neighbours.
class HostedDevice {
 public:
  explicit HostedDevice(const char* device) : engine_(engine_of(device, Tier::interp)) {
    const FunctionType one_to_one{{ValueType::i32}, {ValueType::i32}};
    const FunctionType two_to_none{{ValueType::i32, ValueType::i32}, {}};
    EXPECT_TRUE(engine_
                    .define("test", "twice", one_to_one,
                            [](std::span<HostCall* const> calls) {
                              for (HostCall* call : calls) {
                                const std::int32_t value = call->arg(0).as_i32();
                                if (value == 113) throw std::runtime_error("113");
                                call->set_result(0, Value::i32(2 * value));
                                if (value == 13) call->trap();
                              }
                            })
                    .has_value());
    EXPECT_TRUE(engine_.define("test", "poke", two_to_none, poke).has_value());
    program_.emplace(program_of(engine_, modules::hosted_wasm));
    swarm_.emplace(must(engine_.create_swarm()));
  }
  static void poke(std::span<HostCall* const> calls) {
    for (HostCall* call : calls) {
      const auto address = static_cast<std::uint32_t>(call->arg(0).as_i32());
      std::int32_t words[3] = {call->arg(1).as_i32(), 0, 0};
      const auto all = std::as_writable_bytes(std::span(words));
      const bool is_inside = call->write_memory(address, all.first(4)) &&
                             call->write_memory(std::uint64_t{address} + 2, all.first(4)) &&
                             call->read_memory(address, all) &&
                             call->write_memory(std::uint64_t{address} + 4, all.first(8));
      if (!is_inside) call->trap();
    }
  }
  /// Exits, values and memories of a dispatch over new instances.
  std::vector<std::string> run(const char* function, const std::vector<Value>& args,
                               std::size_t arguments) {
    const std::size_t count = args.size() / arguments;
    const auto ids = must(swarm_->spawn(*program_, count));
    const std::uint64_t before = driver_calls();
    const Results results =
        must(swarm_->dispatch(ids, must(program_->find_function(function)), args));
    calls = driver_calls() - before;
    const auto hashes = must(swarm_->memory_hashes(ids));
    std::vector<std::string> lines;
    for (std::size_t i = 0; i < count; ++i) {
      const InstanceResult result = results[i];
      std::string line = std::to_string(static_cast<int>(result.exit)) + " " +
                         std::to_string(static_cast<int>(result.trap)) + " " +
                         std::to_string(hashes[i]);
      for (const Value& value : result.values) line += " " + std::to_string(value.as_i32());
      lines.push_back(std::move(line));
    }
    return lines;
  }
  std::uint64_t calls = 0;  // of the driver in the last dispatch

 private:
  Engine engine_;
  std::optional<Program> program_;
  std::optional<Swarm> swarm_;
};

TEST(Devices, HostCallsCostTheSameForManyLanesAsForFew) {
  ASSERT_EQ(setenv("WARPHIVE_CUDA_LIBRARY", WARPHIVE_FAKE_CUDA_LIBRARY, 1), 0);
  HostedDevice cuda("cuda");
  const auto calls_of = [&](const char* function, std::size_t arguments, std::size_t lanes,
                            std::int32_t value) {
    (void)cuda.run(function, std::vector<Value>(arguments * lanes, Value::i32(value)), arguments);
    return cuda.calls;
  };
  const std::uint64_t few = calls_of("calls", 1, 3, 10);
  EXPECT_EQ(calls_of("calls", 1, 2000, 10), few);
  // One round more: a gather and a scatter of three each, the run, and the count of who is left.
  EXPECT_EQ(calls_of("calls", 1, 2000, 12), few + 2 * 14);
  EXPECT_EQ(calls_of("poke", 2, 2000, 64), calls_of("poke", 2, 3, 64));
}

TEST(Devices, HostCallsDoTheSameOnAllDevices) {
  ASSERT_EQ(setenv("WARPHIVE_CUDA_LIBRARY", WARPHIVE_FAKE_CUDA_LIBRARY, 1), 0);
  HostedDevice cpu("cpu");
  HostedDevice cuda("cuda");
  std::vector<Value> numbers;
  for (std::int32_t i = 0; i < 100; ++i) numbers.push_back(Value::i32(i));
  EXPECT_EQ(cuda.run("call", numbers, 1), cpu.run("call", numbers, 1));
  for (std::int32_t i = 1; i < 50; ++i) numbers[static_cast<std::size_t>(i)] = Value::i32(50 - i);
  numbers[0] = Value::i32(1);
  EXPECT_EQ(cuda.run("calls", numbers, 1), cpu.run("calls", numbers, 1));
  const std::vector<Value> all_throw(20, Value::i32(113));
  EXPECT_EQ(cuda.run("call", all_throw, 1), cpu.run("call", all_throw, 1));
  std::vector<Value> pokes;
  for (std::int32_t i = 0; i < 200; ++i) {
    // Around both ends of the memory, and far behind it.
    const std::int32_t address = i < 100 ? i : i < 160 ? 65536 - 130 + i : -i;
    pokes.insert(pokes.end(), {Value::i32(address), Value::i32(i * 1'000'003)});
  }
  EXPECT_EQ(cuda.run("poke", pokes, 2), cpu.run("poke", pokes, 2));
}

TEST(Devices, CompiledCodeOfAnotherDeviceIsNotRun) {
  ASSERT_EQ(setenv("WARPHIVE_CUDA_LIBRARY", WARPHIVE_FAKE_CUDA_LIBRARY, 1), 0);
  const Engine engines[] = {engine_of("cpu", Tier::jit), engine_of("cuda", Tier::jit),
                            engine_of("cuda", Tier::jit), engine_of("cuda", Tier::interp)};
  std::vector<std::int32_t> expected;
  expected.reserve(40);
  for (std::int32_t i = 0; i < 40; ++i) expected.push_back(i * 1001);
  for (const Engine& linker : engines) {
    const Program program = program_of(linker, modules::basic_wasm);
    for (const Engine& runner : engines) EXPECT_EQ(sums(runner, program), expected);
  }
}

TEST(Devices, AutoIsTheGpuWhereThereIsOne) {
  ASSERT_EQ(setenv("WARPHIVE_CUDA_LIBRARY", WARPHIVE_FAKE_CUDA_LIBRARY, 1), 0);
  EXPECT_EQ(must(Engine::create()).device(), "cuda");
  ASSERT_EQ(setenv("WARPHIVE_CUDA_LIBRARY", "/nowhere/libcuda.so", 1), 0);
  EXPECT_EQ(must(Engine::create()).device(), "cpu");
}

}  // namespace
}  // namespace warphive::testing
