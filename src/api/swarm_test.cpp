// SPDX-License-Identifier: Apache-2.0
// Capabilities of the swarm; a test's name holds the capability's id.
#include "warphive/swarm.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <random>

#include "api/testing.hpp"

namespace warphive::testing {
namespace {

class SwarmCapability : public SwarmTest {};

TEST_F(SwarmCapability, c003_01_and_c003_12_1024_agents_in_one_dispatch) {
  const auto ids = spawn(1024);
  std::vector<Value> args;
  for (std::int32_t i = 0; i < 1024; ++i) {
    args.push_back(Value::i32(i));
    args.push_back(Value::i32(1000));
  }
  const Results results = call(ids, "add", args);
  ASSERT_EQ(results.size(), 1024u);
  for (std::size_t i = 0; i < 1024; ++i) {
    EXPECT_EQ(results[i].id, ids[i]);
    EXPECT_EQ(results[i].ordinal, i);
    ASSERT_EQ(results[i].exit, Exit::returned);
    ASSERT_EQ(results[i].values.size(), 1u);
    EXPECT_EQ(results[i].values[0], Value::i32(static_cast<std::int32_t>(i) + 1000));
  }
  EXPECT_EQ(results.count(Exit::returned), 1024u);
}

TEST_F(SwarmCapability, c003_03_each_agent_has_a_page_of_its_own) {
  const auto ids = spawn(16, {.memory_pages = 1});
  for (const std::uint64_t size : must(swarm.memory_sizes(ids))) EXPECT_EQ(size, 65536u);
}

TEST_F(SwarmCapability, c003_04_globals_are_per_agent) {
  const auto ids = spawn(20);
  call(std::span(ids).first(10), "bump");
  call(std::span(ids).first(5), "bump");
  std::vector<Value> counters(20);
  ASSERT_TRUE(swarm.read_global(ids, "counter", counters).has_value());
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(counters[static_cast<std::size_t>(i)], Value::i32(i < 5 ? 9 : i < 10 ? 8 : 7)) << i;
  }
}

TEST_F(SwarmCapability, c003_06_the_program_is_shared_between_agents_and_swarms) {
  Swarm other = must(engine.create_swarm());
  const auto here = spawn(3);
  const auto there = must(other.spawn(program, 3));
  EXPECT_EQ(call(here, "bump")[2].values[0], Value::i32(8));
  EXPECT_EQ(must(other.dispatch(there, function("bump")))[2].values[0], Value::i32(8));
  EXPECT_EQ(other.size(), 3u);
}

TEST_F(SwarmCapability, c003_07_entry_and_limit_are_per_dispatch) {
  const auto ids = spawn(4);
  EXPECT_EQ(call(ids, "sum", {Value::i32(10)}, 20).count(Exit::out_of_fuel), 4u);
  ASSERT_TRUE(swarm.reset(ids).has_value());
  EXPECT_EQ(call(ids, "sum", {Value::i32(10)}, 1000).count(Exit::returned), 4u);
}

TEST_F(SwarmCapability, c003_10_and_c003_11_a_spawned_agent_takes_memory_and_arguments) {
  const auto ids = spawn(2);
  const std::vector<std::byte> data(8, std::byte{0x11});
  ASSERT_TRUE(swarm.write_memory(ids, 100, 4, data).has_value());
  EXPECT_EQ(call(ids, "load", {Value::i32(100)})[1].values[0], Value::i32(0x11111111));
  EXPECT_EQ(call(ids, "load", {Value::i32(16)})[0].values[0], Value::i32(0x6c6c6568));  // "hell"
}

TEST_F(SwarmCapability, c003_13_a_part_of_the_swarm_can_run) {
  const auto ids = spawn(10);
  const std::vector<InstanceId> some = {ids[7], ids[2], ids[9]};
  const Results results = call(some, "bump");
  ASSERT_EQ(results.size(), 3u);
  EXPECT_EQ(results[0].ordinal, 7u);
  EXPECT_EQ(results[1].ordinal, 2u);
  EXPECT_EQ(results[2].ordinal, 9u);
  std::vector<Value> counters(10);
  ASSERT_TRUE(swarm.read_global(ids, "counter", counters).has_value());
  for (std::size_t i = 0; i < 10; ++i) {
    EXPECT_EQ(counters[i].as_i32(), i == 7 || i == 2 || i == 9 ? 8 : 7);
  }
}

TEST_F(SwarmCapability, c003_14_results_carry_values_of_every_type) {
  const auto ids = spawn(2);
  const Results results = call(ids, "mix", {Value::i64(5), Value::f32(1.5f), Value::f64(2.0)});
  const auto values = results[1].values;
  ASSERT_EQ(values.size(), 3u);
  EXPECT_EQ(values[0], Value::f64(3.0));
  EXPECT_EQ(values[1], Value::i64(4));
  EXPECT_EQ(values[2], Value::f32(-1.5f));
}

TEST_F(SwarmCapability, c003_16_instruction_counts_are_exact_and_add_up) {
  const auto ids = spawn(3);
  // add: entry, two local.get, i32.add.
  const Results first = call(ids, "add", {Value::i32(1), Value::i32(2)});
  EXPECT_EQ(first[0].instructions, 4u);
  EXPECT_EQ(first.instructions(), 12u);
  const Results second = call(ids, "add", {Value::i32(1), Value::i32(2)});
  EXPECT_EQ(second[0].instructions, 8u) << "since spawn";
  EXPECT_EQ(second.instructions(), 12u) << "of this dispatch";
  ASSERT_TRUE(swarm.reset(ids).has_value());
  EXPECT_EQ(call(ids, "add", {Value::i32(1), Value::i32(2)})[0].instructions, 4u);
}

TEST_F(SwarmCapability, c003_16_without_metering_there_are_no_counts) {
  const Program unmetered = program_of(engine, modules::basic_wasm, false);
  const auto ids = must(swarm.spawn(unmetered, 1));
  const Results results =
      must(swarm.dispatch(ids, must(unmetered.find_function("sum")), {{Value::i32(5)}}, 1));
  EXPECT_EQ(results[0].exit, Exit::returned) << "fuel does not limit";
  EXPECT_FALSE(results[0].instructions.has_value());
}

TEST_F(SwarmCapability, c003_17_results_carry_times) {
  const Results results = call(spawn(100), "sum", {Value::i32(1000)});
  EXPECT_GT(results.run_time().count(), 0);
  EXPECT_GT(results.harvest_time().count(), 0);
}

TEST_F(SwarmCapability, c003_18_memory_moves_in_rows) {
  const auto ids = spawn(100);
  std::vector<std::byte> rows(100 * 7);
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<std::byte>(i * 13);
  ASSERT_TRUE(swarm.write_memory(ids, 65536 - 7, 7, rows).has_value());
  std::vector<std::byte> back(rows.size());
  ASSERT_TRUE(swarm.read_memory(ids, 65536 - 7, 7, back).has_value());
  EXPECT_EQ(back, rows);
  const std::vector<InstanceId> reversed(ids.rbegin(), ids.rend());
  ASSERT_TRUE(swarm.read_memory(reversed, 65536 - 7, 7, back).has_value());
  EXPECT_TRUE(std::equal(back.end() - 7, back.end(), rows.begin()));
}

TEST_F(SwarmCapability, c003_18_memory_transfers_are_all_or_nothing) {
  const auto ids = spawn(3);
  EXPECT_EQ(call(std::span(ids).subspan(1, 1), "grow", {Value::i32(1)})[0].values[0],
            Value::i32(1));
  std::vector<std::byte> rows(3 * 16, std::byte{0xff});
  const auto beyond = swarm.write_memory(ids, 65536, 16, rows);  // inside of ids[1] only
  EXPECT_TRUE(fails_with(beyond, ErrorCode::invalid_input));
  std::vector<std::byte> one(16, std::byte{0x55});
  ASSERT_TRUE(swarm.read_memory(std::span(ids).subspan(1, 1), 65536, 16, one).has_value());
  EXPECT_TRUE(std::all_of(one.begin(), one.end(), [](std::byte b) { return b == std::byte{0}; }));
  const std::uint64_t huge = std::numeric_limits<std::uint64_t>::max();
  EXPECT_TRUE(fails_with(swarm.read_memory(ids, huge, 16, rows), ErrorCode::invalid_input));
  EXPECT_TRUE(fails_with(swarm.read_memory(ids, huge - 7, 16, rows), ErrorCode::invalid_input));
  EXPECT_TRUE(fails_with(swarm.read_memory(ids, 0, huge, rows), ErrorCode::invalid_input));
  EXPECT_TRUE(fails_with(swarm.read_memory(ids, 0, 15, rows), ErrorCode::invalid_input));
  EXPECT_TRUE(swarm.read_memory(ids, 65536, 0, {}).has_value());
  EXPECT_FALSE(swarm.read_memory(ids, 65537, 0, {}).has_value());
}

TEST_F(SwarmCapability, c003_18_globals_move_by_type) {
  const auto ids = spawn(2);
  std::vector<Value> values = {Value::f64(1.25), Value::f64(-0.0)};
  ASSERT_TRUE(swarm.write_global(ids, "wide_global", values).has_value());
  std::vector<Value> back(2);
  ASSERT_TRUE(swarm.read_global(ids, "wide_global", back).has_value());
  EXPECT_EQ(back, values);
  EXPECT_TRUE(fails_with(swarm.write_global(ids, "counter", values), ErrorCode::invalid_input));
  std::vector<Value> fixed = {Value::i64(0), Value::i64(0)};
  EXPECT_TRUE(fails_with(swarm.write_global(ids, "fixed", fixed), ErrorCode::invalid_input));
  ASSERT_TRUE(swarm.read_global(ids, "fixed", fixed).has_value());
  EXPECT_EQ(fixed[1], Value::i64(-5));
  EXPECT_TRUE(fails_with(swarm.read_global(ids, "missing", fixed), ErrorCode::not_found));
  EXPECT_TRUE(fails_with(swarm.read_global(ids, "fixed", std::span(fixed).first(1)),
                         ErrorCode::invalid_input));
}

TEST_F(SwarmCapability, c003_19_a_killed_agents_slot_and_not_its_id_is_used_again) {
  const auto ids = spawn(8);
  ASSERT_TRUE(swarm.kill(std::span(ids).subspan(3, 2)).has_value());
  EXPECT_EQ(swarm.size(), 6u);
  const auto fresh = spawn(2);
  EXPECT_EQ(swarm.size(), 8u);
  for (const InstanceId id : fresh) {
    EXPECT_TRUE(id.index == 3 || id.index == 4) << id.index;
    EXPECT_NE(id.generation, ids[3].generation);
    EXPECT_GE(must(swarm.ordinal(id)), 8u) << "ordinals go on counting";
  }
  for (const InstanceId gone : {ids[3], ids[4]}) {
    EXPECT_TRUE(fails_with(swarm.state(gone), ErrorCode::not_found));
    EXPECT_TRUE(fails_with(swarm.kill({&gone, 1}), ErrorCode::not_found));
    EXPECT_TRUE(fails_with(swarm.reset({&gone, 1}), ErrorCode::not_found));
    EXPECT_TRUE(fails_with(swarm.resume({&gone, 1}), ErrorCode::not_found));
    EXPECT_TRUE(fails_with(swarm.memory_sizes({&gone, 1}), ErrorCode::not_found));
    EXPECT_TRUE(fails_with(swarm.dispatch({&gone, 1}, function("bump")), ErrorCode::not_found));
  }
  const InstanceId never{1'000'000, 1};
  EXPECT_TRUE(fails_with(swarm.state(never), ErrorCode::not_found));
  EXPECT_TRUE(fails_with(swarm.state(InstanceId{}), ErrorCode::not_found));
}

TEST(SwarmOfLinkedModules, memory_is_that_of_the_last_module) {
  const Engine engine = make_engine();
  const Module module = module_of(modules::basic_wasm);
  const std::vector<LinkItem> items = {{module, "library"}, {module, "main"}};
  const Program program = must(engine.link(items));
  Swarm swarm = must(engine.create_swarm());
  const auto ids = must(swarm.spawn(program, 3, {.memory_pages = 4}));
  const auto call = [&](std::string_view name, std::int32_t argument) {
    const Function function = must(program.find_function(name));
    const std::vector<Value> args = {Value::i32(argument)};
    return must(swarm.dispatch(ids, function, args)).count(Exit::returned);
  };
  const auto untouched = must(swarm.memory_hashes(ids));
  ASSERT_EQ(call("grow", 2), 3u);
  EXPECT_EQ(must(swarm.memory_sizes(ids)), std::vector<std::uint64_t>(3, 3 * 65536));
  ASSERT_EQ(call("fill", 0xa5), 3u);
  std::vector<std::byte> last(3);
  ASSERT_TRUE(swarm.read_memory(ids, 3 * 65536 - 1, 1, last).has_value());
  EXPECT_EQ(last, std::vector<std::byte>(3, std::byte{0xa5}));
  EXPECT_NE(must(swarm.memory_hashes(ids)), untouched);
  EXPECT_FALSE(swarm.read_memory(ids, 3 * 65536, 1, last).has_value());
}

TEST_F(SwarmCapability, c003_19_a_reused_slot_shows_nothing_of_its_past) {
  // Poison memory to the last byte, grown pages, globals and stack, then look at every byte again.
  const auto poisoned = spawn(5, {.memory_pages = 3});
  call(poisoned, "grow", {Value::i32(2)});
  call(poisoned, "fill", {Value::i32(0xa5)});
  call(poisoned, "bump");
  call(poisoned, "depth", {Value::i32(100)}, 500);  // stopped: its stack is saved
  const std::vector<InstanceId> dead = {poisoned[1], poisoned[3], poisoned[4]};
  ASSERT_TRUE(swarm.kill(dead).has_value());
  const auto fresh = spawn(3, {.memory_pages = 3});
  const auto clean = spawn(1, {.memory_pages = 2});  // another pool: never used before
  EXPECT_EQ(must(swarm.memory_sizes(fresh))[0], 65536u);
  const auto expected = must(swarm.memory_hashes(clean))[0];
  for (const std::uint64_t hash : must(swarm.memory_hashes(fresh))) EXPECT_EQ(hash, expected);
  std::vector<Value> counters(3);
  ASSERT_TRUE(swarm.read_global(fresh, "counter", counters).has_value());
  for (const Value& counter : counters) EXPECT_EQ(counter, Value::i32(7));
  // Pages that come by growing are zero too.
  const auto grown = call(fresh, "grow", {Value::i32(2)});
  EXPECT_EQ(grown.count(Exit::returned), 3u);
  std::vector<std::byte> all(3 * 3 * 65536);
  ASSERT_TRUE(swarm.read_memory(fresh, 0, 3 * 65536, all).has_value());
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::size_t at = i % (3 * 65536);
    const bool data = at >= 16 && at < 21;
    ASSERT_EQ(all[i], data ? static_cast<std::byte>("hello"[at - 16]) : std::byte{0}) << at;
  }
  // The survivors kept everything.
  std::vector<std::byte> kept(65536);
  ASSERT_TRUE(swarm.read_memory(std::span(poisoned).first(1), 65536, 65536, kept).has_value());
  EXPECT_TRUE(std::all_of(kept.begin(), kept.end(), [](auto b) { return b == std::byte{0xa5}; }));
}

TEST_F(SwarmCapability, c003_20_state_and_ordinal_can_be_asked) {
  const auto ids = spawn(2);
  EXPECT_EQ(must(swarm.state(ids[0])), Exit::ready);
  call(std::span(ids).first(1), "bump");
  EXPECT_EQ(must(swarm.state(ids[0])), Exit::returned);
  EXPECT_EQ(must(swarm.state(ids[1])), Exit::ready);
  EXPECT_EQ(must(swarm.ordinal(ids[1])), 1u);
}

TEST_F(SwarmCapability, c003_21_an_endless_agent_stops_at_its_limit_and_others_do_not) {
  const auto ids = spawn(6);
  std::vector<Call> calls;
  calls.reserve(6);
  for (std::size_t i = 0; i < 6; ++i) {
    calls.push_back({ids[i], function(i % 2 == 0 ? "forever" : "bump").index, 0});
  }
  const Results results = must(swarm.dispatch({.calls = calls, .fuel = 10'000}));
  for (std::size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(results[i].exit, i % 2 == 0 ? Exit::out_of_fuel : Exit::returned);
    EXPECT_LE(results[i].instructions.value_or(unlimited_fuel), 10'000u);
  }
}

TEST_F(SwarmCapability, c003_22_accesses_outside_of_memory_trap_that_agent_only) {
  const auto ids = spawn(4, {.memory_pages = 1});
  const std::vector<Value> args = {Value::i32(65532), Value::i32(65533), Value::i32(-1),
                                   Value::i32(65536)};
  const Results results = call(ids, "load", args);
  EXPECT_EQ(results[0].exit, Exit::returned);
  for (std::size_t i = 1; i < 4; ++i) {
    EXPECT_EQ(results[i].exit, Exit::trapped);
    EXPECT_EQ(results[i].trap, TrapKind::memory_out_of_bounds);
    const auto site = results.trap_site(i);
    if (!site) FAIL() << "no trap site";
    EXPECT_EQ(site->function, function("load").index);
    EXPECT_EQ(site->function_name, "load");
    EXPECT_GT(site->offset, 0u);
  }
  EXPECT_FALSE(results.trap_site(0).has_value());
}

TEST_F(SwarmCapability, c003_23_capacity_error_says_what_would_fit) {
  const auto too_many = swarm.spawn(program, std::uint64_t{1} << 31);
  ASSERT_TRUE(fails_with(too_many, ErrorCode::out_of_memory)) << message_of(too_many);
  EXPECT_TRUE(contains(message_of(too_many), "2147483648"));
  EXPECT_TRUE(contains(message_of(too_many), "would"));
  const auto absurd = swarm.spawn(program, std::numeric_limits<std::uint64_t>::max());
  EXPECT_TRUE(fails_with(absurd, ErrorCode::limit_exceeded)) << message_of(absurd);
  EXPECT_EQ(swarm.size(), 0u) << "nothing is spawned on an error";
  EXPECT_EQ(must(swarm.ordinal(spawn(1)[0])), 0u);
}

TEST_F(SwarmCapability, c003_24_too_much_initial_memory_is_an_error) {
  const auto ids = spawn(1);
  std::vector<std::byte> data(65537);
  EXPECT_TRUE(fails_with(swarm.write_memory(ids, 0, data.size(), data), ErrorCode::invalid_input));
}

TEST_F(SwarmCapability, c003_25_an_agent_that_writes_everywhere_leaves_its_neighbours_alone) {
  const auto ids = spawn(33, {.memory_pages = 1});
  std::vector<std::byte> pattern(33 * 65536);
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    pattern[i] = static_cast<std::byte>(i / 65536 * 7 + i % 251);
  }
  ASSERT_TRUE(swarm.write_memory(ids, 0, 65536, pattern).has_value());
  const auto before = must(swarm.memory_hashes(ids));
  // One fills itself; others try each boundary, also with addresses that wrap.
  call(std::span(ids).subspan(16, 1), "fill", {Value::i32(0xff)});
  for (const std::int32_t address : {-4, -1, 65533, 65535, 65536, 131072, 0x7fffffff}) {
    const InstanceId id = ids[17];
    const Results results = call({&id, 1}, "store", {Value::i32(address), Value::i32(-1)});
    EXPECT_EQ(results[0].trap, TrapKind::memory_out_of_bounds) << address;
    ASSERT_TRUE(swarm.reset({&id, 1}).has_value());
    ASSERT_TRUE(
        swarm.write_memory({&id, 1}, 0, 65536, std::span(pattern).subspan(17 * 65536, 65536))
            .has_value());
  }
  const auto after = must(swarm.memory_hashes(ids));
  for (std::size_t i = 0; i < 33; ++i) {
    if (i == 16) {
      EXPECT_NE(after[i], before[i]);
    } else {
      EXPECT_EQ(after[i], before[i]) << i;
    }
  }
  // The neighbours' first and last words, read by themselves.
  const Results low = call(std::span(ids).subspan(17, 1), "load", {Value::i32(0)});
  std::int32_t word = 0;
  std::memcpy(&word, &pattern[17 * 65536], 4);
  EXPECT_EQ(low[0].values[0], Value::i32(word));
}

TEST_F(SwarmCapability, c003_26_state_persists_across_dispatches) {
  const auto ids = spawn(3);
  for (std::int32_t round = 0; round < 5; ++round) {
    EXPECT_EQ(call(ids, "bump")[2].values[0], Value::i32(8 + round));
    call(ids, "store", {Value::i32(round * 4), Value::i32(round)});
  }
  EXPECT_EQ(call(ids, "load", {Value::i32(12)})[0].values[0], Value::i32(3));
}

TEST_F(SwarmCapability, c003_37_different_programs_in_one_dispatch) {
  const Program other = program_of(engine, modules::other_wasm);
  const Program bounded = program_of(engine, modules::bounded_wasm);
  const auto a = spawn(10);
  const auto b = must(swarm.spawn(other, 10));
  const auto c = must(swarm.spawn(bounded, 10));
  const std::uint32_t add = function("add").index;
  const std::uint32_t twice = must(other.find_function("twice")).index;
  const std::uint32_t size = must(bounded.find_function("size")).index;
  std::vector<Call> calls;
  for (std::size_t i = 0; i < 10; ++i) {
    calls.push_back({b[i], twice, static_cast<std::uint32_t>(i)});
    calls.push_back({a[9 - i], add, static_cast<std::uint32_t>(i)});
    calls.push_back({c[i], size, 0});
  }
  std::vector<Value> args;
  args.reserve(11);
  for (std::int32_t i = 0; i < 11; ++i) args.push_back(Value::i32(i));
  const Results results = must(swarm.dispatch({.calls = calls, .args = args}));
  for (std::size_t i = 0; i < 10; ++i) {
    const auto n = static_cast<std::int32_t>(i);
    EXPECT_EQ(results[3 * i].id, b[i]);
    EXPECT_EQ(results[3 * i].values[0], Value::i32(2 * n));
    EXPECT_EQ(results[3 * i + 1].id, a[9 - i]);
    EXPECT_EQ(results[3 * i + 1].values[0], Value::i32(2 * n + 1));
    EXPECT_EQ(results[3 * i + 2].values[0], Value::i32(2));
  }
}

TEST_F(SwarmCapability, c000_28_memory_pages_per_spawn) {
  for (const std::uint32_t pages : {1u, 2u, 17u, 100u}) {
    const auto ids = spawn(1, {.memory_pages = pages});
    const Results grown = call(ids, "grow", {Value::i32(static_cast<std::int32_t>(pages) - 1)});
    EXPECT_EQ(grown[0].values[0], Value::i32(1));
    EXPECT_EQ(grown[0].grow_refused, 0u);
    EXPECT_EQ(must(swarm.memory_sizes(ids))[0], std::uint64_t{pages} * 65536);
    const Results refused = call(ids, "grow", {Value::i32(1)});
    EXPECT_EQ(refused[0].values[0], Value::i32(-1));
    EXPECT_EQ(refused[0].grow_refused, 1u);
  }
}

TEST_F(SwarmCapability, c000_28_capacities_follow_the_declaration) {
  EXPECT_EQ(program.default_memory_pages(), 17u) << "grows, no maximum: minimum + 16";
  const Program bounded = program_of(engine, modules::bounded_wasm);
  EXPECT_EQ(bounded.default_memory_pages(), 4u) << "grows, maximum up to 256";
  EXPECT_EQ(program_of(engine, modules::broken_wasm).default_memory_pages(), 1u) << "does not grow";
  const auto low = swarm.spawn(bounded, 1, {.memory_pages = 1});
  ASSERT_TRUE(fails_with(low, ErrorCode::invalid_input));
  EXPECT_TRUE(contains(message_of(low), "in pages (1)") && contains(message_of(low), "minimum (2)"))
      << message_of(low);
  EXPECT_TRUE(
      fails_with(swarm.spawn(bounded, 1, {.memory_pages = 65537}), ErrorCode::limit_exceeded));
  // Beyond the declared maximum memory.grow fails by the declaration, not by the capacity.
  const auto ids = must(swarm.spawn(bounded, 1, {.memory_pages = 100}));
  const Results refused =
      must(swarm.dispatch(ids, must(bounded.find_function("grow")), {{Value::i32(3)}}));
  EXPECT_EQ(refused[0].values[0], Value::i32(-1));
  EXPECT_EQ(refused[0].grow_refused, 0u);
}

TEST_F(SwarmCapability, c000_29_a_budget_per_dispatch_stops_and_resumes_exactly) {
  const auto ids = spawn(1);
  const Results whole = call(ids, "sum", {Value::i32(1000)});
  const std::uint64_t cost = whole[0].instructions.value_or(0);
  for (const std::uint64_t budget : {std::uint64_t{0}, std::uint64_t{1}, cost - 1, cost}) {
    const auto fresh = spawn(1);
    const Results results = call(fresh, "sum", {Value::i32(1000)}, budget);
    EXPECT_EQ(results[0].exit, budget == cost ? Exit::returned : Exit::out_of_fuel) << budget;
    EXPECT_LE(results[0].instructions.value_or(unlimited_fuel), budget);
    if (budget == cost) continue;
    const Results rest = must(swarm.resume(fresh));
    ASSERT_EQ(rest[0].exit, Exit::returned);
    EXPECT_EQ(rest[0].values[0], whole[0].values[0]);
    EXPECT_EQ(rest[0].instructions, cost);
  }
}

TEST_F(SwarmCapability, c000_30_the_cpu_device_needs_no_gpu) { EXPECT_EQ(engine.device(), "cpu"); }

TEST_F(SwarmCapability, c000_31_nothing_that_a_guest_does_is_an_error_of_the_host) {
  const auto ids = spawn(4);
  std::vector<Call> calls = {{ids[0], function("trap").index, 0},
                             {ids[1], function("depth").index, 0},
                             {ids[2], function("load").index, 1},
                             {ids[3], function("bump").index, 0}};
  const std::vector<Value> args = {Value::i32(1'000'000), Value::i32(-1)};
  const Results results = must(swarm.dispatch({.calls = calls, .args = args}));
  EXPECT_EQ(results[0].trap, TrapKind::unreachable);
  EXPECT_EQ(results[1].trap, TrapKind::stack_overflow);
  EXPECT_EQ(results[2].trap, TrapKind::memory_out_of_bounds);
  EXPECT_EQ(results[3].exit, Exit::returned);
  EXPECT_TRUE(results[0].values.empty());
  EXPECT_EQ(results.count(Exit::trapped), 3u);
}

TEST_F(SwarmCapability, c000_32_smaller_requests_work_after_one_that_did_not_fit) {
  const auto refused = swarm.spawn(program, std::uint64_t{1} << 31, {.memory_pages = 65536});
  ASSERT_TRUE(fails_with(refused, ErrorCode::out_of_memory)) << message_of(refused);
  const auto ids = spawn(2, {.memory_pages = 65536});  // 4 GiB each, hardly touched
  EXPECT_EQ(call(ids, "bump").count(Exit::returned), 2u);
}

TEST_F(SwarmCapability, idle_instances_by_the_ten_thousand) {
  const auto ids = spawn(20'000);
  EXPECT_EQ(swarm.size(), 20'000u);
  const Results results = call(ids, "bump");
  EXPECT_EQ(results.count(Exit::returned), 20'000u);
  const Results again = call(ids, "bump");
  EXPECT_EQ(again[19'999].values[0], Value::i32(9));
  ASSERT_TRUE(swarm.kill(ids).has_value());
  EXPECT_EQ(swarm.size(), 0u);
}

}  // namespace
}  // namespace warphive::testing
