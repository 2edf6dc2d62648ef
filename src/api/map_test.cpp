// SPDX-License-Identifier: Apache-2.0
// Batches that keep no state, in waves.
#include <atomic>
#include <cstdlib>
#include <thread>

#include "api/testing.hpp"

namespace warphive::testing {
namespace {

class Map : public ::testing::TestWithParam<const char*> {
 protected:
  static Engine engine_of(const char* device) {
    EXPECT_EQ(setenv("WARPHIVE_CUDA_LIBRARY", WARPHIVE_FAKE_CUDA_LIBRARY, 1), 0);
    return must(Engine::create({.device = device, .threads = 2, .cache = false}));
  }
  Function function(const char* name) { return must(program.find_function(name)); }
  static std::vector<Value> numbers(std::int32_t count) {
    std::vector<Value> args;
    args.reserve(static_cast<std::size_t>(count));
    for (std::int32_t i = 0; i < count; ++i) args.push_back(Value::i32(i));
    return args;
  }

  Engine engine = engine_of(GetParam());
  Program program = program_of(engine, modules::basic_wasm);
  Swarm swarm = must(engine.create_swarm());
};

TEST_P(Map, WavesOfAnySizeGiveWhatOneDispatchGives) {
  constexpr std::int32_t count = 101;
  const std::vector<Value> args = numbers(count);
  const auto ids = must(swarm.spawn(program, count));
  const Results whole = must(swarm.dispatch(ids, function("only_even"), args));
  for (const std::uint64_t wave : {0u, 1u, 7u, 100u, 101u, 1000u}) {
    Swarm fresh = must(engine.create_swarm());
    const Results waves =
        must(fresh.map(program, function("only_even"), count, args, {.wave = wave}));
    ASSERT_EQ(waves.size(), whole.size());
    EXPECT_EQ(waves.hash(), whole.hash()) << wave;
    EXPECT_EQ(waves.instructions(), whole.instructions());
    EXPECT_EQ(waves.count(Exit::returned), 51u);
    EXPECT_EQ(waves.count(Exit::trapped), 50u);
    for (std::size_t i = 0; i < waves.size(); ++i) {
      EXPECT_EQ(waves[i].ordinal, i);
      EXPECT_EQ(waves[i].instructions, whole[i].instructions);
      ASSERT_EQ(waves[i].values.size(), whole[i].values.size());
      EXPECT_EQ(waves.trap_site(i).has_value(), i % 2 == 1);
    }
    EXPECT_EQ(fresh.size(), 0u) << "they are gone";
  }
}

TEST_P(Map, EachCallFindsANewInstance) {
  for (const std::uint64_t wave : {1u, 3u}) {
    const Results bumps = must(swarm.map(program, function("bump"), 10, {}, {.wave = wave}));
    for (std::size_t i = 0; i < 10; ++i) EXPECT_EQ(bumps[i].values[0], Value::i32(8)) << i;
    // Memory that an earlier wave wrote and grew.
    (void)must(swarm.map(program, function("fill"), 5, std::vector{Value::i32(0x77)},
                         {.spawn = {.memory_pages = 3}, .wave = wave}));
    std::vector<Value> addresses;
    addresses.reserve(9);
    for (std::int32_t i = 0; i < 9; ++i) addresses.push_back(Value::i32(i * 7000 + 100));
    const Results loads = must(swarm.map(program, function("load"), 9, addresses,
                                         {.spawn = {.memory_pages = 3}, .wave = wave}));
    for (std::size_t i = 0; i < 9; ++i) EXPECT_EQ(loads[i].values[0], Value::i32(0)) << i;
  }
}

TEST_P(Map, OrdinalsGoOnCounting) {
  (void)must(swarm.spawn(program, 4));
  const Results first = must(swarm.map(program, function("bump"), 5, {}, {.wave = 2}));
  const Results second = must(swarm.map(program, function("bump"), 2));
  EXPECT_EQ(first[0].ordinal, 4u);
  EXPECT_EQ(first[4].ordinal, 8u);
  EXPECT_EQ(second[0].ordinal, 9u);
  EXPECT_EQ(swarm.size(), 4u);
}

TEST_P(Map, ArgumentsAreChecked) {
  const auto refused = [&](const char* name, std::uint64_t count, std::vector<Value> args) {
    return fails_with(swarm.map(program, function(name), count, args), ErrorCode::invalid_input);
  };
  EXPECT_TRUE(refused("load", 3, numbers(2)));
  EXPECT_TRUE(refused("load", 3, numbers(4)));
  EXPECT_TRUE(refused("load", 3, {}));
  EXPECT_TRUE(refused("load", 2, {Value::i32(1), Value::i64(2)}));
  EXPECT_TRUE(refused("bump", 2, numbers(2)));
  EXPECT_EQ(must(swarm.map(program, function("load"), 0)).size(), 0u);
  Function beyond = function("bump");
  beyond.index = 1000;
  EXPECT_TRUE(fails_with(swarm.map(program, beyond, 1), ErrorCode::invalid_input));
}

TEST_P(Map, StopsWithTheFuel) {
  const Results results =
      must(swarm.map(program, function("forever"), 5, {}, {.fuel = 1000, .wave = 2}));
  EXPECT_EQ(results.count(Exit::out_of_fuel), 5u);
}

TEST_P(Map, ACancelEndsTheWaveAndAllAfterIt) {
  std::atomic<bool> over = false;
  std::thread canceller([&] {
    while (!over) {
      swarm.cancel();
      std::this_thread::yield();
    }
  });
  const Results results = must(swarm.map(program, function("forever"), 9, {}, {.wave = 2}));
  over = true;
  canceller.join();
  EXPECT_EQ(results.size(), 9u);
  EXPECT_EQ(results.count(Exit::cancelled), 9u);
  for (std::size_t i = 0; i < 9; ++i) {
    EXPECT_EQ(results[i].exit, Exit::cancelled);
    EXPECT_EQ(results[i].ordinal, i);
    if (i >= 2) EXPECT_EQ(results[i].instructions, 0u);
  }
  EXPECT_EQ(swarm.size(), 0u);
  // It does not outlast the call.
  EXPECT_EQ(must(swarm.map(program, function("bump"), 3)).count(Exit::returned), 3u);
}

TEST_P(Map, WhatDoesNotFitAtAllIsRefused) {
  const auto refused = swarm.map(program, function("bump"), 10, {},
                                 {.spawn = {.stack_slots = 0xffff'fff0}, .wave = 0xffff'ffff});
  EXPECT_FALSE(refused.has_value());
  EXPECT_EQ(swarm.size(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Devices, Map, ::testing::Values("cpu", "cuda"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace warphive::testing
