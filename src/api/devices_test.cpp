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
  const std::uint64_t many = calls_of("calls", 1, 3000, 10);
  EXPECT_EQ(calls_of("calls", 1, 8000, 10), many);
  const std::uint64_t a_round = (calls_of("calls", 1, 3000, 12) - many) / 2;
  EXPECT_LE(a_round, 14u);
  EXPECT_EQ(calls_of("poke", 2, 5000, 64), calls_of("poke", 2, 3000, 64));
  // Few need no copies: kernels use the host's memory.
  const std::uint64_t few = calls_of("calls", 1, 3, 10);
  EXPECT_LT(few, many);
  EXPECT_LT((calls_of("calls", 1, 3, 12) - few) / 2, a_round);
}

TEST(Devices, AnEmptyDispatchIsOneLaunch) {
  ASSERT_EQ(setenv("WARPHIVE_CUDA_LIBRARY", WARPHIVE_FAKE_CUDA_LIBRARY, 1), 0);
  for (const Tier tier : {Tier::interp, Tier::jit}) {
    const Engine engine = engine_of("cuda", tier);
    const Program program = program_of(engine, modules::basic_wasm);
    Swarm swarm = must(engine.create_swarm());
    const auto ids = must(swarm.spawn(program, 1));
    const Value args[] = {Value::i32(40), Value::i32(2)};
    for (const std::uint64_t expected :
         {3u, 1u}) {  // the first one finds words to zero, and code to load
      const std::uint64_t before = driver_calls();
      const Results results = must(swarm.dispatch(ids, must(program.find_function("add")), args));
      EXPECT_EQ(results[0].values[0], Value::i32(42));
      EXPECT_LE(driver_calls() - before, expected);
    }
  }
}

TEST(Devices, OnlyWhatMayHaveBeenWrittenIsWiped) {
  ASSERT_EQ(setenv("WARPHIVE_CUDA_LIBRARY", WARPHIVE_FAKE_CUDA_LIBRARY, 1), 0);
  const Engine engine = engine_of("cuda", Tier::interp);
  const Program program = program_of(engine, modules::basic_wasm);
  Swarm swarm = must(engine.create_swarm());
  const auto ids = must(swarm.spawn(program, 3));
  const auto calls_of_reset = [&] {
    const std::uint64_t before = driver_calls();
    EXPECT_TRUE(swarm.reset(ids).has_value());
    return driver_calls() - before;
  };
  const auto call = [&](const char* name, std::vector<Value> args) {
    (void)must(swarm.dispatch(ids, must(program.find_function(name)), args));
  };
  const auto is_zero = [&] {
    std::vector<std::byte> bytes(3 * 8);
    EXPECT_TRUE(swarm.read_memory(ids, 4096, 8, bytes).has_value());
    return std::ranges::all_of(bytes, [](std::byte byte) { return byte == std::byte{0}; });
  };
  const std::uint64_t unwritten = calls_of_reset();
  call("add", {Value::i32(1), Value::i32(2)});
  call("bump", {});
  EXPECT_EQ(calls_of_reset(), unwritten);
  call("store", {Value::i32(4096), Value::i32(77)});
  call("add", {Value::i32(1), Value::i32(2)});
  EXPECT_FALSE(is_zero());
  EXPECT_EQ(calls_of_reset(), unwritten + 1);
  EXPECT_TRUE(is_zero());
  EXPECT_EQ(calls_of_reset(), unwritten);
  const std::vector<std::byte> some(8, std::byte{1});
  EXPECT_TRUE(swarm.write_memory(std::span(ids).last(1), 4096, 8, some).has_value());
  EXPECT_EQ(calls_of_reset(), unwritten + 1);
  EXPECT_TRUE(is_zero());
  EXPECT_EQ(calls_of_reset(), unwritten);
}

/// What many instances do that one after the other takes too long for; equal on all devices.
std::vector<std::uint64_t> histories(const char* device) {
  constexpr std::int32_t count = 20'000;
  const Engine engine = engine_of(device, Tier::interp);
  const Program program = program_of(engine, modules::basic_wasm);
  const auto function = [&](const char* name) { return must(program.find_function(name)); };
  Swarm swarm = must(engine.create_swarm());
  const SpawnOptions small = {.memory_pages = 1, .stack_slots = 64, .output_bytes = 0};
  auto ids = must(swarm.spawn(program, count, small));
  std::vector<Value> numbers;
  numbers.reserve(count);
  for (std::int32_t i = 0; i < count; ++i) numbers.push_back(Value::i32(i % 50 + 1));
  std::vector<std::uint64_t> seen;
  const auto look = [&](const Results& results) {
    seen.push_back(results.hash());
    seen.push_back(results.instructions());
    for (const std::size_t i : {0u, 1u, 7777u, 16384u, 19999u}) {
      seen.push_back(results[i].instructions.value_or(0));
      seen.push_back(results[i].ordinal);
    }
  };
  const auto call = [&](const char* name, std::span<const Value> args) {
    look(must(swarm.dispatch(ids, function(name), args)));
  };
  call("sum", numbers);
  call("sum", numbers);  // counts go on
  call("bump", {});
  std::reverse(ids.begin(), ids.end());
  call("sum", numbers);
  // Where one is named twice nothing runs, and that one is named.
  auto twice = ids;
  twice[19'990] = twice[17'000] = ids[5];
  const auto refused = swarm.dispatch(twice, function("bump"), {});
  EXPECT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().message().find("Instance (19994) is named twice."), std::string::npos)
      << refused.error().message();
  EXPECT_FALSE(swarm.kill(twice).has_value());
  EXPECT_EQ(swarm.size(), static_cast<std::uint64_t>(count));
  // Half of them anew, among the others, and some that trap.
  const std::vector<InstanceId> gone(ids.begin() + 3'000, ids.begin() + 13'000);
  EXPECT_TRUE(swarm.kill(gone).has_value());
  EXPECT_FALSE(swarm.dispatch(ids, function("bump"), {}).has_value());
  const auto born = must(swarm.spawn(program, gone.size(), small));
  std::copy(born.begin(), born.end(), ids.begin() + 3'000);
  call("bump", {});
  EXPECT_TRUE(swarm.reset(std::span(ids).subspan(1000, 17000)).has_value());
  call("bump", {});
  call("only_even", numbers);
  for (const std::uint64_t hash : must(swarm.memory_hashes(std::span(ids).last(100)))) {
    seen.push_back(hash);
  }
  return seen;
}

TEST(Devices, ManyInstancesDoTheSameEverywhere) {
  ASSERT_EQ(setenv("WARPHIVE_CUDA_LIBRARY", WARPHIVE_FAKE_CUDA_LIBRARY, 1), 0);
  EXPECT_EQ(histories("cuda"), histories("cpu"));
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
