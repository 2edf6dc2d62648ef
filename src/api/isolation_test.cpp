// SPDX-License-Identifier: Apache-2.0
// Engines whose device is driven by a worker process: what remains when that dies or hangs.
#include <signal.h>

#include <atomic>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "api/testing.hpp"
#include "hal/worker/testing/processes.hpp"

namespace warphive::testing {
namespace {

using hal::worker::testing::children;
using hal::worker::testing::ScratchFile;

constexpr std::int32_t count = 5;

class IsolationTest : public ::testing::Test {
 protected:
  IsolationTest() { setenv("WARPHIVE_CUDA_LIBRARY", WARPHIVE_FAKE_CUDA_LIBRARY, 1); }
  ~IsolationTest() override { unsetenv("WARPHIVE_FAKE_CUDA"); }

  static Result<Engine> make_engine(Tier tier) {
    return Engine::create(
        {.device = "cuda", .tier = tier, .cache = false, .isolation = Isolation::worker});
  }
  static void set_faults(const std::string& faults) {
    setenv("WARPHIVE_FAKE_CUDA", faults.c_str(), 1);
  }
  static std::vector<std::int32_t> expected() {
    std::vector<std::int32_t> sums;
    for (std::int32_t i = 0; i < count; ++i) sums.push_back(i * 1001);
    return sums;
  }
  /// What `add` of module `basic` returns on new instances; or the error of the first call that
  /// has one.
  static Result<std::vector<std::int32_t>> sums(const Engine& engine, const Program& program) {
    auto swarm = engine.create_swarm();
    if (!swarm) return fail(std::move(swarm).error());
    // The stand-in's memory is not zero at first: little of it.
    auto ids = swarm->spawn(program, count, {.memory_pages = 1, .stack_slots = 64});
    if (!ids) return fail(std::move(ids).error());
    std::vector<Value> args;
    for (std::int32_t i = 0; i < count; ++i) {
      args.insert(args.end(), {Value::i32(i), Value::i32(i * 1000)});
    }
    auto results = swarm->dispatch(*ids, must(program.find_function("add")), args);
    if (!results) {
      for (const InstanceId id : *ids) EXPECT_EQ(must(swarm->state(id)), Exit::device_lost);
      return fail(std::move(results).error());
    }
    std::vector<std::int32_t> values;
    for (std::size_t i = 0; i < results->size(); ++i) {
      values.push_back((*results)[i].values[0].as_i32());
    }
    return values;
  }
};

TEST_F(IsolationTest, ProgramsRunAsInThisProcess) {
  for (const Tier tier : {Tier::interp, Tier::jit}) {
    const Engine engine = must(make_engine(tier));
    EXPECT_EQ(engine.device(), "cuda");
    EXPECT_EQ(children().size(), 1u);
    EXPECT_EQ(must(sums(engine, program_of(engine, modules::basic_wasm))), expected());
  }
  EXPECT_TRUE(children().empty());
}

TEST_F(IsolationTest, AWorkerMayDieInAnyCallOfTheDriver) {
  int call = 0;
  for (bool has_died = true; has_died;) {
    const ScratchFile died("died");
    call += 1 + call / 30;  // each of the first 30, and then some of them
    set_faults("fail=*:" + std::to_string(call) + ":kill,once=" + died.path());
    auto engine = make_engine(Tier::jit);
    if (!engine) {
      EXPECT_EQ(engine.error().code(), ErrorCode::unavailable);
      EXPECT_TRUE(contains(message_of(engine), "was killed by signal 9")) << message_of(engine);
      engine = make_engine(Tier::jit);
      ASSERT_TRUE(engine.has_value()) << call;
    }
    const Module module = module_of(modules::basic_wasm);
    auto program = engine->link(module);
    if (!program) {
      EXPECT_TRUE(fails_with(program, ErrorCode::device_lost)) << message_of(program);
      program = engine->link(module);
      ASSERT_TRUE(program.has_value()) << call;
    }
    const auto first = sums(*engine, *program);
    has_died = died.exists();
    if (first) {
      EXPECT_EQ(*first, expected()) << call;
    } else {
      EXPECT_TRUE(fails_with(first, ErrorCode::device_lost)) << message_of(first);
      EXPECT_TRUE(has_died);
    }
    if (!has_died) break;
    // The engine and its program are as good as ever.
    EXPECT_EQ(must(sums(*engine, *program)), expected()) << call;
    EXPECT_EQ(children().size(), 1u);
  }
  EXPECT_GT(call, 150);
}

TEST_F(IsolationTest, CompiledCodeIsLoadedAgain) {
  const ScratchFile trace("trace");
  set_faults("trace=" + trace.path());
  const Engine engine = must(make_engine(Tier::jit));
  const Program program = program_of(engine, modules::basic_wasm);
  EXPECT_EQ(trace.lines("cuLinkComplete"), 1u);
  ASSERT_EQ(::kill(children().front(), SIGKILL), 0);
  EXPECT_TRUE(fails_with(sums(engine, program), ErrorCode::device_lost));
  for (int i = 0; i < 2; ++i) EXPECT_EQ(must(sums(engine, program)), expected());
  // The trace is of the last worker, which found the program linked, and loaded it once.
  EXPECT_EQ(trace.lines("cuLinkComplete"), 0u);
  EXPECT_EQ(trace.lines("cuModuleGetGlobal_v2"), 1u);
  EXPECT_TRUE(program.tier_status().compiled);
}

TEST_F(IsolationTest, InstancesOfALostDeviceStayLost) {
  const Engine engine = must(make_engine(Tier::interp));
  const Program program = program_of(engine, modules::basic_wasm);
  Swarm swarm = must(engine.create_swarm());
  const auto ids = must(swarm.spawn(program, 3));
  const Function bump = must(program.find_function("bump"));
  const Results before = must(swarm.dispatch(ids, bump, {}));
  EXPECT_EQ(must(swarm.state(ids[0])), Exit::returned);
  ASSERT_EQ(::kill(children().front(), SIGKILL), 0);
  EXPECT_TRUE(fails_with(swarm.dispatch(ids, bump, {}), ErrorCode::device_lost));
  EXPECT_EQ(must(sums(engine, program)), expected());
  EXPECT_TRUE(fails_with(swarm.dispatch(ids, bump, {}), ErrorCode::device_lost));
  EXPECT_TRUE(fails_with(swarm.reset(ids), ErrorCode::device_lost));
  EXPECT_TRUE(fails_with(swarm.spawn(program, 1), ErrorCode::device_lost));
  EXPECT_EQ(must(swarm.state(ids[0])), Exit::device_lost);
  // What was harvested is the front's.
  EXPECT_EQ(before[2].values[0].as_i32(), 8);
}

TEST_F(IsolationTest, AKernelThatDoesNotStopIsGivenUp) {
  const ScratchFile trace("trace");
  const ScratchFile hung("hung");
  std::size_t launches = 0;
  const auto spawn = [&](Swarm& swarm, const Program& program) {
    auto ids = must(swarm.spawn(program, 3));
    launches = trace.lines("cuLaunchKernel");
    return ids;
  };
  set_faults("trace=" + trace.path());
  {
    const Engine engine = must(make_engine(Tier::interp));
    Swarm swarm = must(engine.create_swarm());
    (void)spawn(swarm, program_of(engine, modules::basic_wasm));
  }
  set_faults("fail=cuLaunchKernel:" + std::to_string(launches + 1) + ":hang,once=" + hung.path());
  const Engine engine = must(make_engine(Tier::interp));
  const Program program = program_of(engine, modules::basic_wasm);
  Swarm swarm = must(engine.create_swarm());
  const auto ids = spawn(swarm, program);
  std::atomic<bool> done{false};
  std::thread stops([&] {
    while (!done) {
      swarm.cancel();
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  });
  const auto results = swarm.dispatch(ids, must(program.find_function("bump")), {});
  done = true;
  stops.join();
  EXPECT_TRUE(hung.exists());
  EXPECT_TRUE(fails_with(results, ErrorCode::device_lost));
  EXPECT_TRUE(contains(message_of(results), "it did not stop within (2000) ms"))
      << message_of(results);
  EXPECT_EQ(must(swarm.state(ids[0])), Exit::device_lost);
  EXPECT_EQ(must(sums(engine, program)), expected());
}

TEST_F(IsolationTest, KernelsThatStopAreNotGivenUp) {
  const Engine engine = must(make_engine(Tier::interp));
  const Program program = program_of(engine, modules::basic_wasm);
  Swarm swarm = must(engine.create_swarm());
  const auto ids = must(swarm.spawn(program, 3));
  for (int i = 0; i < 3; ++i) {
    std::atomic<bool> done{false};
    std::thread stops([&] {
      while (!done) {
        swarm.cancel();
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
      }
    });
    const Results results = must(swarm.dispatch(ids, must(program.find_function("forever")), {}));
    done = true;
    stops.join();
    EXPECT_EQ(results[0].exit, Exit::cancelled);
    ASSERT_TRUE(swarm.reset(ids).has_value());
  }
  EXPECT_EQ(must(swarm.dispatch(ids, must(program.find_function("bump")), {})).size(), 3u);
}

TEST_F(IsolationTest, WithoutAProgramForTheWorkerThereIsAnError) {
  for (const char* device : {"cuda", "auto"}) {
    const auto engine = Engine::create(
        {.device = device, .isolation = Isolation::worker, .worker_program = "/nowhere/warphive"});
    EXPECT_TRUE(fails_with(engine, ErrorCode::not_found));
    EXPECT_TRUE(contains(message_of(engine), "/nowhere/warphive")) << message_of(engine);
  }
  EXPECT_EQ(must(Engine::create({.device = "cpu", .isolation = Isolation::worker})).device(),
            "cpu");
}

}  // namespace
}  // namespace warphive::testing
