// SPDX-License-Identifier: Apache-2.0
// The same swarm gives the same bits for every thread count, order, batch split and fuel slicing.
#include <algorithm>
#include <map>
#include <random>

#include "api/testing.hpp"

namespace warphive::testing {
namespace {

constexpr std::uint64_t count = 300;

struct Plan {
  std::uint32_t threads = 1;
  bool shuffle = false;
  bool slices = false;
  std::size_t batch = count;
};

struct Outcome {
  std::map<std::uint64_t, std::pair<Exit, std::vector<Value>>> results;
  std::map<std::uint64_t, std::uint64_t> instructions;
  std::vector<std::uint64_t> memory;
};

Outcome run(const Plan& plan, std::uint32_t seed) {
  std::mt19937 random(seed);
  const Engine engine = make_engine(plan.threads);
  const Program program = program_of(engine, modules::basic_wasm);
  Swarm swarm = must(engine.create_swarm());
  const auto ids = must(swarm.spawn(program, count));
  std::vector<Value> args;
  std::vector<Call> calls;
  const char* names[] = {"sum", "only_even", "store", "grow", "depth", "bump"};
  for (std::uint32_t i = 0; i < count; ++i) {
    calls.push_back({ids[i], must(program.find_function(names[i % 6])).index, 2 * i});
    args.push_back(Value::i32(static_cast<std::int32_t>(i * 37 + 1)));
    args.push_back(Value::i32(static_cast<std::int32_t>(i)));
  }
  if (plan.shuffle) std::shuffle(calls.begin(), calls.end(), random);
  Outcome outcome;
  const auto note = [&](const Results& results) {
    for (std::size_t i = 0; i < results.size(); ++i) {
      const InstanceResult r = results[i];
      outcome.results[r.ordinal] = {r.exit, {r.values.begin(), r.values.end()}};
      outcome.instructions[r.ordinal] = *r.instructions;
    }
  };
  for (std::size_t first = 0; first < count; first += plan.batch) {
    const std::size_t n = std::min<std::size_t>(plan.batch, count - first);
    const std::uint64_t fuel = plan.slices ? random() % 2000 : unlimited_fuel;
    Results results = must(
        swarm.dispatch({.calls = std::span(calls).subspan(first, n), .args = args, .fuel = fuel}));
    note(results);
    for (;;) {
      std::vector<InstanceId> open;
      for (std::size_t i = 0; i < results.size(); ++i) {
        if (results[i].exit == Exit::out_of_fuel) open.push_back(results[i].id);
      }
      if (open.empty()) break;
      results = must(swarm.resume(open, random() % 5000));
      note(results);
    }
  }
  outcome.memory = must(swarm.memory_hashes(ids));
  return outcome;
}

TEST(Determinism, results_memory_and_counts_do_not_depend_on_how_the_work_was_split) {
  const Outcome expected = run({}, 0);
  ASSERT_EQ(expected.results.size(), count);
  const Plan plans[] = {
      {.threads = 4},
      {.threads = 2, .shuffle = true},
      {.threads = 3, .batch = 7},
      {.threads = 1, .slices = true},
      {.threads = 4, .shuffle = true, .slices = true, .batch = 41},
  };
  std::uint32_t seed = 1;
  for (const Plan& plan : plans) {
    const Outcome outcome = run(plan, seed++);
    EXPECT_EQ(outcome.results, expected.results) << seed;
    EXPECT_EQ(outcome.instructions, expected.instructions) << seed;
    EXPECT_EQ(outcome.memory, expected.memory) << seed;
  }
}

TEST(Determinism, the_hash_goes_by_ordinal) {
  const auto hash_of = [](std::uint32_t threads, bool reversed) {
    const Engine engine = make_engine(threads);
    const Program program = program_of(engine, modules::basic_wasm);
    Swarm swarm = must(engine.create_swarm());
    auto ids = must(swarm.spawn(program, 100));
    std::vector<Call> calls;
    std::vector<Value> args;
    for (std::uint32_t i = 0; i < 100; ++i) {
      calls.push_back({ids[i], must(program.find_function("only_even")).index, i});
      args.push_back(Value::i32(static_cast<std::int32_t>(i)));
    }
    if (reversed) std::reverse(calls.begin(), calls.end());
    return must(swarm.dispatch({.calls = calls, .args = args})).hash();
  };
  const std::uint64_t expected = hash_of(1, false);
  EXPECT_EQ(hash_of(4, false), expected);
  EXPECT_EQ(hash_of(2, true), expected);
  // The bytes that are hashed are part of the interface: exit, trap, count, 8 bytes a value.
  const Engine engine = make_engine();
  const Program program = program_of(engine, modules::basic_wasm);
  Swarm swarm = must(engine.create_swarm());
  const auto ids = must(swarm.spawn(program, 1));
  EXPECT_EQ(must(swarm.dispatch(ids, must(program.find_function("bump")))).hash(),
            0xf2154997d40fea74u);  // XXH64 of 01 00 01, 08 00 00 00 00 00 00 00
}

TEST(Determinism, the_slot_does_not_matter) {
  const Engine engine = make_engine();
  const Program program = program_of(engine, modules::basic_wasm);
  Swarm swarm = must(engine.create_swarm());
  const auto first = must(swarm.spawn(program, 10));
  ASSERT_TRUE(swarm.kill(std::span(first).first(5)).has_value());
  const auto reused = must(swarm.spawn(program, 3));
  Swarm fresh = must(engine.create_swarm());
  const auto other = must(fresh.spawn(program, 13));
  const Function bump = must(program.find_function("bump"));
  EXPECT_EQ(must(swarm.dispatch(reused, bump)).hash(),
            must(fresh.dispatch(std::span(other).last(3), bump)).hash());
}

}  // namespace
}  // namespace warphive::testing
