// SPDX-License-Identifier: Apache-2.0
// States of instances, refused calls, cancelling, start functions.
#include <atomic>
#include <chrono>
#include <thread>

#include "api/testing.hpp"

namespace warphive::testing {
namespace {

class Lifecycle : public SwarmTest {};

TEST_F(Lifecycle, a_stopped_instance_refuses_calls_and_names_its_state) {
  const auto ids = spawn(3);
  call(std::span(ids).first(1), "trap");
  call(std::span(ids).subspan(1, 1), "forever", {}, 100);
  const auto trapped = swarm.dispatch(std::span(ids).first(1), function("bump"));
  ASSERT_TRUE(fails_with(trapped, ErrorCode::busy));
  EXPECT_TRUE(contains(message_of(trapped), "trapped") &&
              contains(message_of(trapped), "unreachable"))
      << message_of(trapped);
  const auto stopped = swarm.dispatch(ids, function("bump"));
  ASSERT_TRUE(fails_with(stopped, ErrorCode::busy));
  // Nothing ran: not even the one that could have.
  std::vector<Value> counter(1);
  ASSERT_TRUE(swarm.read_global(std::span(ids).last(1), "counter", counter).has_value());
  EXPECT_EQ(counter[0], Value::i32(7));
  const auto fuel = swarm.dispatch(std::span(ids).subspan(1, 1), function("bump"));
  EXPECT_TRUE(contains(message_of(fuel), "out_of_fuel")) << message_of(fuel);
}

TEST_F(Lifecycle, only_stopped_instances_resume) {
  const auto ids = spawn(2);
  const auto ready = swarm.resume(ids);
  ASSERT_TRUE(fails_with(ready, ErrorCode::busy));
  EXPECT_TRUE(contains(message_of(ready), "ready")) << message_of(ready);
  call(ids, "bump");
  EXPECT_TRUE(contains(message_of(swarm.resume(ids)), "returned"));
  call(ids, "trap");
  EXPECT_TRUE(contains(message_of(swarm.resume(ids)), "trapped"));
}

TEST_F(Lifecycle, resume_goes_on_in_slices) {
  const auto ids = spawn(3);
  Results results = call(ids, "sum", {Value::i32(500)}, 10);
  std::uint64_t total = results.instructions();
  int rounds = 0;
  while (results.count(Exit::out_of_fuel) != 0) {
    results = must(swarm.resume(ids, 100));
    total += results.instructions();
    ++rounds;
  }
  EXPECT_GT(rounds, 10);
  EXPECT_EQ(results[2].values[0], Value::i32(125250));
  EXPECT_GT(total, 0u);
  EXPECT_EQ(total, 3 * results[0].instructions.value_or(0));
}

TEST_F(Lifecycle, reset_brings_back_the_spawned_state) {
  const auto ids = spawn(4);
  const auto clean = must(swarm.memory_hashes(ids));
  call(ids, "grow", {Value::i32(3)});
  call(ids, "fill", {Value::i32(9)});
  call(ids, "bump");
  call(ids, "trap");
  ASSERT_TRUE(swarm.reset(ids).has_value());
  EXPECT_EQ(must(swarm.memory_hashes(ids)), clean);
  EXPECT_EQ(must(swarm.memory_sizes(ids))[3], 65536u);
  EXPECT_EQ(must(swarm.state(ids[0])), Exit::ready);
  EXPECT_EQ(must(swarm.ordinal(ids[2])), 2u);
  const Results results = call(ids, "bump");
  EXPECT_EQ(results[3].values[0], Value::i32(8));
  EXPECT_EQ(results[3].grow_refused, 0u);
  ASSERT_TRUE(swarm.reset({}).has_value());
}

TEST_F(Lifecycle, an_id_given_twice_is_refused_everywhere) {
  const auto ids = spawn(2);
  const std::vector<InstanceId> twice = {ids[0], ids[1], ids[0]};
  const auto refused = swarm.dispatch(twice, function("bump"));
  ASSERT_TRUE(fails_with(refused, ErrorCode::invalid_input));
  EXPECT_TRUE(contains(message_of(refused), "twice"));
  EXPECT_TRUE(fails_with(swarm.resume(twice), ErrorCode::invalid_input));
  EXPECT_TRUE(fails_with(swarm.reset(twice), ErrorCode::invalid_input));
  EXPECT_TRUE(fails_with(swarm.kill(twice), ErrorCode::invalid_input));
  EXPECT_EQ(swarm.size(), 2u);
  EXPECT_EQ(call(ids, "bump")[0].values[0], Value::i32(8)) << "the refused batch ran nothing";
}

TEST_F(Lifecycle, arguments_are_checked_by_number_and_type) {
  const auto ids = spawn(2);
  const auto wrong_type = swarm.dispatch(ids, function("add"), {{Value::i32(1), Value::i64(2)}});
  ASSERT_TRUE(fails_with(wrong_type, ErrorCode::invalid_input));
  EXPECT_TRUE(contains(message_of(wrong_type), "i64") && contains(message_of(wrong_type), "i32"))
      << message_of(wrong_type);
  EXPECT_TRUE(fails_with(swarm.dispatch(ids, function("add"), {{Value::i32(1)}}),
                         ErrorCode::invalid_input));
  EXPECT_TRUE(fails_with(
      swarm.dispatch(ids, function("add"), {{Value::i32(1), Value::i32(1), Value::i32(1)}}),
      ErrorCode::invalid_input));
  EXPECT_TRUE(fails_with(swarm.dispatch(ids, function("bump"), {{Value::i32(1)}}),
                         ErrorCode::invalid_input));
  const Call beyond{ids[0], function("add").index, 0xffff'ffff};
  const std::vector<Value> args = {Value::i32(1), Value::i32(2)};
  EXPECT_TRUE(
      fails_with(swarm.dispatch({.calls = {&beyond, 1}, .args = args}), ErrorCode::invalid_input));
  const Call unknown{ids[0], 0xffff'ffff, 0};
  EXPECT_TRUE(fails_with(swarm.dispatch({.calls = {&unknown, 1}}), ErrorCode::invalid_input));
}

TEST_F(Lifecycle, upper_bits_of_narrow_arguments_are_cleared) {
  const auto ids = spawn(1);
  const std::vector<Value> args = {{ValueType::i32, 0xdeadbeef'00000005u},
                                   {ValueType::i32, 0xffffffff'00000001u}};
  EXPECT_EQ(call(ids, "add", args)[0].values[0], Value::i32(6));
}

TEST_F(Lifecycle, function_references_from_outside_must_exist) {
  const Program bounded = program_of(engine, modules::bounded_wasm);
  const auto ids = must(swarm.spawn(bounded, 1));
  const Function take = must(bounded.find_function("take_ref"));
  const auto bad = swarm.dispatch(ids, take, {{Value{ValueType::funcref, 1'000'000}}});
  EXPECT_TRUE(fails_with(bad, ErrorCode::invalid_input)) << message_of(bad);
  const Value good{ValueType::funcref, must(bounded.find_function("f")).index + std::uint64_t{1}};
  EXPECT_EQ(must(swarm.dispatch(ids, take, {{good}}))[0].values[0], Value::i32(42));
  const Results null = must(swarm.dispatch(ids, take, {{Value{ValueType::funcref, 0}}}));
  EXPECT_EQ(null[0].trap, TrapKind::uninitialized_element);
}

TEST_F(Lifecycle, start_functions_and_initialize_run_before_the_first_entry) {
  const Program started = program_of(engine, modules::started_wasm);
  const Function entry = must(started.find_function("entry"));
  const auto ids = must(swarm.spawn(started, 2));
  std::vector<Value> log(2);
  ASSERT_TRUE(swarm.read_global(ids, "log", log).has_value());
  EXPECT_EQ(log[0], Value::i32(0)) << "not at spawn";
  const std::vector<Value> args = {Value::i32(3)};
  std::vector<Call> calls = {{ids[0], entry.index, 0}, {ids[1], entry.index, 0}};
  const Results first =
      must(swarm.dispatch({.calls = calls, .args = args, .run_initialize = true}));
  EXPECT_EQ(first[0].values[0], Value::i32(123));
  const Results second =
      must(swarm.dispatch({.calls = calls, .args = args, .run_initialize = true}));
  EXPECT_EQ(second[1].values[0], Value::i32(1233)) << "once each";

  const auto plain = must(swarm.spawn(started, 1));
  EXPECT_EQ(must(swarm.dispatch(plain, entry, args))[0].values[0], Value::i32(13));
  calls = {{plain[0], entry.index, 0}};
  EXPECT_EQ(
      must(swarm.dispatch({.calls = calls, .args = args, .run_initialize = true}))[0].values[0],
      Value::i32(1323));
  // Calling it by name counts.
  const auto by_name = must(swarm.spawn(started, 1));
  calls = {{by_name[0], must(started.find_function("_initialize")).index, 0}};
  EXPECT_EQ(must(swarm.dispatch({.calls = calls, .run_initialize = true})).count(Exit::returned),
            1u);
  calls = {{by_name[0], entry.index, 0}};
  EXPECT_EQ(
      must(swarm.dispatch({.calls = calls, .args = args, .run_initialize = true}))[0].values[0],
      Value::i32(123));
}

TEST_F(Lifecycle, running_out_of_fuel_in_a_start_function_keeps_the_call_waiting) {
  const Program started = program_of(engine, modules::started_wasm);
  const Function entry = must(started.find_function("entry"));
  const auto whole = must(swarm.spawn(started, 1));
  std::vector<Value> args = {Value::i32(5), Value::i32(6), Value::i32(7)};
  std::vector<Call> calls = {{whole[0], entry.index, 2}};
  const Results expected =
      must(swarm.dispatch({.calls = calls, .args = args, .run_initialize = true}));
  ASSERT_EQ(expected[0].values[0], Value::i32(127));

  const auto ids = must(swarm.spawn(started, 3));
  calls.clear();
  for (std::uint32_t i = 0; i < 3; ++i) calls.push_back({ids[i], entry.index, i});
  Results results =
      must(swarm.dispatch({.calls = calls, .args = args, .fuel = 50, .run_initialize = true}));
  EXPECT_EQ(results.count(Exit::out_of_fuel), 3u);
  EXPECT_TRUE(results[0].values.empty());
  args = {Value::i32(9), Value::i32(9), Value::i32(9)};  // the caller's array is its own again
  std::vector<InstanceId> left(ids.begin(), ids.begin() + 2);
  int rounds = 0;
  do {
    results = must(swarm.resume(left, 17));
    ++rounds;
  } while (results.count(Exit::out_of_fuel) != 0);
  EXPECT_GT(rounds, 5);
  EXPECT_EQ(results[0].values[0], Value::i32(125));
  EXPECT_EQ(results[1].values[0], Value::i32(126));
  EXPECT_EQ(results[0].instructions, expected[0].instructions);
  // The third one's call is forgotten with a reset.
  ASSERT_TRUE(swarm.reset(std::span(ids).last(1)).has_value());
  EXPECT_TRUE(fails_with(swarm.resume(std::span(ids).last(1)), ErrorCode::busy));
  const std::vector<Value> one = {Value::i32(4)};
  EXPECT_EQ(must(swarm.dispatch(std::span(ids).last(1), entry, one))[0].values[0], Value::i32(14));
}

TEST_F(Lifecycle, a_module_whose_instantiation_traps_reports_it_as_a_result) {
  const Program broken = program_of(engine, modules::broken_wasm);
  const auto ids = must(swarm.spawn(broken, 2));
  EXPECT_EQ(must(swarm.state(ids[0])), Exit::trapped);
  const Results results = must(swarm.dispatch(ids, must(broken.find_function("peek"))));
  EXPECT_EQ(results.count(Exit::trapped), 2u);
  EXPECT_EQ(results[0].trap, TrapKind::memory_out_of_bounds);
  const auto again = swarm.dispatch(ids, must(broken.find_function("peek")));
  EXPECT_TRUE(fails_with(again, ErrorCode::busy));
}

TEST_F(Lifecycle, cancel_stops_a_dispatch_from_another_thread) {
  for (const bool metered : {true, false}) {
    const Program endless = program_of(engine, modules::basic_wasm, metered);
    const auto ids = must(swarm.spawn(endless, 3000));
    const Function forever = must(endless.find_function("forever"));
    swarm.cancel();  // without a dispatch it does nothing
    std::atomic<bool> over{false};
    std::thread canceller([&] {
      while (swarm.progress().instances_total == 0 && !over) std::this_thread::yield();
      EXPECT_EQ(swarm.progress().instances_total, 3000u);
      swarm.cancel();
    });
    const Results results = must(swarm.dispatch(ids, forever));
    over = true;
    canceller.join();
    EXPECT_EQ(results.count(Exit::cancelled), 3000u);
    EXPECT_EQ(swarm.progress().instances_total, 0u) << "nothing runs now";
    const auto refused = swarm.dispatch(ids, forever);
    EXPECT_TRUE(contains(message_of(refused), "cancelled")) << message_of(refused);
  }
}

TEST_F(Lifecycle, cancelled_calls_finish_after_resume_begun_or_not) {
  const auto ids = spawn(500);
  std::vector<Value> args;
  args.reserve(500);
  for (std::int32_t i = 0; i < 500; ++i) args.push_back(Value::i32(200'000 + i));
  std::thread canceller([&] {
    while (swarm.progress().instances_done < 3) std::this_thread::yield();
    swarm.cancel();
  });
  Results results = call(ids, "sum", args);
  canceller.join();
  EXPECT_EQ(results.count(Exit::cancelled) + results.count(Exit::returned), 500u);
  EXPECT_GE(results.count(Exit::returned), 3u);
  std::vector<std::uint32_t> sums(500);
  std::vector<InstanceId> left;
  for (std::size_t i = 0; i < 500; ++i) {
    if (results[i].exit == Exit::returned) {
      sums[i] = static_cast<std::uint32_t>(results[i].values[0].bits);
    } else {
      left.push_back(ids[i]);
    }
  }
  if (!left.empty()) {
    const Results rest = must(swarm.resume(left));
    ASSERT_EQ(rest.count(Exit::returned), left.size());
    for (std::size_t i = 0; i < rest.size(); ++i) {
      sums[rest[i].ordinal] = static_cast<std::uint32_t>(rest[i].values[0].bits);
    }
  }
  for (std::uint64_t i = 0; i < 500; ++i) {
    const std::uint64_t n = 200'000 + i;
    EXPECT_EQ(sums[i], static_cast<std::uint32_t>(n * (n + 1) / 2)) << i;
  }
}

TEST_F(Lifecycle, results_outlive_their_swarm) {
  std::optional<Results> kept;
  {
    Swarm other = must(engine.create_swarm());
    const auto ids = must(other.spawn(program, 2));
    kept = must(other.dispatch(ids, function("bump")));
  }
  EXPECT_EQ((*kept)[1].values[0], Value::i32(8));
  EXPECT_EQ(kept->hash(), kept->hash());
}

}  // namespace
}  // namespace warphive::testing
