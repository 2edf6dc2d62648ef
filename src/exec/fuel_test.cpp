// SPDX-License-Identifier: Apache-2.0
// Budgets, stops and resumption: an instance may stop at any charge, and where it stopped must
// never show in what it computes.
#include <gtest/gtest.h>

#include "exec/interp.hpp"
#include "exec/testing.hpp"

namespace warphive::exec::testing {
namespace {

using abi::Exit;
using ir::Op;

/// A bit of everything that charges: a loop, calls, indirect calls, a bulk copy and fill, a branch
/// table, a host call, and recursion.
ir::Module everything() {
  ir::Module module;
  module.memories.push_back({.import = {}, .min_pages = 1, .max_pages = {}, .grows = true});
  ir::Table table;
  table.min = 2;
  module.tables.push_back(table);
  module.globals.push_back({.import = {}, .type = ir::ValueType::i64, .is_mutable = true});
  module.host_imports.push_back({.module = "env", .field = "f", .type = 0});

  // 0: the host function
  FunctionBuilder host(module, type(1, 1), 0, 0);
  host.charge(1).op(Op::host_call, 0, 0, 0, 0).ret();

  // 1: fib(n)
  FunctionBuilder fib(module, type(1, 1), 1, 4);
  const std::uint16_t first = fib.local(0);
  const std::uint16_t base = fib.local(3);
  fib.charge(3).branch_k(Op::br_lt32_s_k, 0, 2, 2);
  fib.block().charge(4).op(Op::sub32_k, base, 0, 0, 1).op(Op::call, base, 0, 0, 1);
  fib.charge(4).op(Op::mov, first, base).op(Op::sub32_k, base, 0, 0, 2).op(Op::call, base, 0, 0, 1);
  fib.charge(2).op(Op::add32, 0, base, first).ret();
  fib.block().charge(1).ret();

  // 2: f(to, from, count): fills, then copies over itself
  FunctionBuilder bulk(module, type(3, 0), 0, 6);
  const auto copied = [&bulk](std::uint32_t i) { return bulk.local(i); };
  bulk.charge(7);
  for (std::uint32_t i = 0; i < 3; ++i)
    bulk.op(Op::mov, copied(i), i).op(Op::mov, copied(3 + i), i);
  bulk.op(Op::memory_fill_check, copied(0), copied(1), copied(2));
  bulk.block().branch_k(Op::br_eq32_k, copied(2), 0, 3);
  bulk.block().op(Op::bulk_charge, copied(2), 0, 0, 1);
  bulk.op(Op::memory_fill_chunk, copied(0), copied(1), copied(2)).op(Op::br, 0, 0, 0, 1);
  bulk.block().op(Op::memory_copy_check, copied(3), copied(4), copied(5));
  bulk.block().branch_k(Op::br_eq32_k, copied(5), 0, 6);
  bulk.block().op(Op::bulk_charge, copied(5), 0, 0, 1);
  bulk.op(Op::memory_copy_chunk, copied(3), copied(4), copied(5)).op(Op::br, 0, 0, 0, 4);
  bulk.block().ret();

  // 3: main(n): n times { mixes fib(i & 7), the host's answer and a branch table into the global
  // and memory }, then bulk
  FunctionBuilder main(module, type(1, 1), 2, 8);
  const std::uint16_t i = main.local(0);
  const std::uint16_t sum = main.local(1);
  const std::uint16_t temp = main.local(2);
  const std::uint16_t index = main.local(3);
  const std::uint16_t args = main.local(5);
  main.charge(2);
  main.block().charge(0).op(Op::ge32_u_k, temp, i, 0, 1000).branch_k(Op::br_ne32_k, temp, 0, 6);
  main.block().charge(9).op(Op::and32_k, args, i, 0, 7).op(Op::const_k, index, 0, 0, 1);
  main.op(Op::call_indirect, args, index, 0, ir::imm_pair(0, module.functions[1].type));
  main.charge(3).op(Op::add64, sum, sum, args).op(Op::mov, args, sum).op(Op::call, args, 0, 0, 0);
  main.charge(4).op(Op::xor64, sum, sum, args).op(Op::shl32_k, temp, i, 0, 3);
  main.op(Op::store64, temp, sum, 0, 16).op(Op::global_set, sum).branch_table(i, {3, 4, 3, 5});
  main.block().charge(1).op(Op::add64_k, sum, sum, 0, 1);
  main.block().charge(2).op(Op::add64_k, sum, sum, 0, 2);
  main.block().op(Op::add32_k, i, i, 0, 1).op(Op::br_lt32_u, i, 0, 0, 1);
  main.block().charge(5).op(Op::const_k, args, 0, 0, 100).op(Op::const_k, args + 1u, 0, 0, 7);
  main.op(Op::const_k, args + 2u, 0, 0, 2500).op(Op::call, args, 0, 0, 2);
  main.charge(1).op(Op::mov, 0, sum).ret();
  return module;
}
constexpr std::uint32_t main_function = 3;

Exit answer(HostView& view) {
  view.values[0] = view.values[0] * 3 + view.fuel_used;
  return Exit::ready;
}

struct End {
  Outcome outcome;
  std::vector<std::uint8_t> memory;
  std::vector<std::uint64_t> globals;

  friend bool operator==(const End&, const End&) = default;
};
End end_of(Subject& subject, Outcome outcome) {
  outcome.fuel_left = 0;  // depends on how it was handed out
  return {.outcome = std::move(outcome), .memory = subject.memory(0), .globals = subject.globals()};
}

std::unique_ptr<Subject> fresh(Executor executor, const ir::Module& module, std::uint64_t fuel,
                               std::uint64_t quantum = 4096) {
  auto subject = make_subject(executor, module, {.fuel = fuel, .quantum = quantum}, answer);
  subject->set_element(0, 1, 2);
  return subject;
}

class Fuel : public ::testing::TestWithParam<Executor> {};
class SlicedFuel : public Fuel {};      // of executors whose runs have slices
class EveryPlaceFuel : public Fuel {};  // of those whose code goes on wherever a lane was left

TEST_P(Fuel, StopsAtEveryBudgetAndGoesOnToTheSameEnd) {
  const ir::Module module = everything();
  const auto whole = fresh(Executor::ref, module, abi::unlimited_fuel);
  const End expected = end_of(*whole, whole->call(main_function, {5}));
  ASSERT_EQ(expected.outcome.exit, Exit::returned);
  const std::uint64_t total = expected.outcome.fuel_used;
  ASSERT_GT(total, 300u);
  for (std::uint64_t budget = 0; budget <= total + 1; ++budget) {
    SCOPED_TRACE(budget);
    const auto reference = fresh(Executor::ref, module, budget);
    const Outcome stopped = reference->call(main_function, {5});
    for (const std::uint64_t quantum : {1u, 5u, 4096u}) {
      const auto lane = fresh(GetParam(), module, budget, quantum);
      Outcome outcome = lane->call(main_function, {5});
      ASSERT_EQ(outcome, stopped);
      ASSERT_EQ(outcome.fuel_used + outcome.fuel_left, budget);
      ASSERT_EQ(outcome.exit, budget < total ? Exit::out_of_fuel : Exit::returned);
      if (budget >= total) continue;
      // Nothing more fits into what is left: the same place again, and nothing charged.
      ASSERT_EQ(lane->resume(), stopped);
      lane->set_fuel(abi::unlimited_fuel);
      outcome = lane->resume();
      ASSERT_EQ(outcome.fuel_left, abi::unlimited_fuel);
      ASSERT_EQ(end_of(*lane, outcome), expected);
    }
  }
}

TEST_P(Fuel, ManySmallBudgetsGiveTheSameEnd) {
  const ir::Module module = everything();
  const auto whole = fresh(Executor::ref, module, abi::unlimited_fuel);
  const End expected = end_of(*whole, whole->call(main_function, {40}));
  for (const std::uint64_t portion : {17u, 40u, 1000u}) {
    const auto lane = fresh(GetParam(), module, portion);
    Outcome outcome = lane->call(main_function, {40});
    std::uint64_t rounds = 0;
    while (outcome.exit == Exit::out_of_fuel) {
      lane->set_fuel(portion);
      outcome = lane->resume();
      ASSERT_LT(++rounds, 100000u);
    }
    EXPECT_GT(rounds, 3u);
    EXPECT_EQ(end_of(*lane, outcome), expected);
  }
}

TEST_P(EveryPlaceFuel, GoesOnInCompiledCodeWhereASliceEnded) {
  const ir::Module module = everything();
  const auto whole = fresh(Executor::ref, module, abi::unlimited_fuel);
  const End expected = end_of(*whole, whole->call(main_function, {40}));
  for (const std::uint64_t slice : {1u, 7u, 100u, 3000u}) {
    SCOPED_TRACE(slice);
    const auto lane = make_subject(
        GetParam(), module, {.fuel = abi::unlimited_fuel, .quantum = 5, .slice = slice}, answer);
    lane->set_element(0, 1, 2);
    EXPECT_EQ(end_of(*lane, lane->call(main_function, {40})), expected);
    // Between two checks more than a slice may be spent.
    EXPECT_GE(lane->tile_run().slices, expected.outcome.fuel_used / (slice + 200));
    // At the charges of bulk operations, which are served out of line.
    EXPECT_LE(lane->tile_run().interpreted, 6u);
  }
}

TEST_P(EveryPlaceFuel, GoesOnInCompiledCodeSoonAfterABudgetEnded) {
  const ir::Module module = everything();
  const auto whole = fresh(Executor::ref, module, abi::unlimited_fuel);
  const End expected = end_of(*whole, whole->call(main_function, {40}));
  for (std::uint64_t budget = 1; budget < expected.outcome.fuel_used; budget += 97) {
    SCOPED_TRACE(budget);
    const auto lane = fresh(GetParam(), module, budget);
    ASSERT_EQ(lane->call(main_function, {40}).exit, Exit::out_of_fuel);
    const TileRun before = lane->tile_run();
    lane->set_fuel(abi::unlimited_fuel);
    ASSERT_EQ(end_of(*lane, lane->resume()), expected);
    // From the block of the stop to the next check, in the frame itself and where it returns.
    EXPECT_LE(lane->tile_run().interpreted - before.interpreted, 1u);
    EXPECT_LE(lane->tile_run().interpreted_units - before.interpreted_units, 100u);
  }
}

TEST_P(SlicedFuel, SlicesOfAnySizeGiveTheSameEnd) {
  const ir::Module module = everything();
  const auto whole = fresh(Executor::ref, module, abi::unlimited_fuel);
  const std::uint64_t total = whole->call(main_function, {5}).fuel_used;
  for (std::uint64_t slice = 1; slice <= total + 1; slice += 3) {
    SCOPED_TRACE(slice);
    for (const std::uint64_t budget : {total / 3, total - 1, total, abi::unlimited_fuel}) {
      const auto reference = fresh(Executor::ref, module, budget);
      const auto lane =
          make_subject(GetParam(), module, {.fuel = budget, .quantum = 50, .slice = slice}, answer);
      lane->set_element(0, 1, 2);
      ASSERT_EQ(lane->call(main_function, {5}), reference->call(main_function, {5}));
    }
  }
}

TEST_P(Fuel, UnlimitedBudgetStaysUnlimited) {
  const ir::Module module = everything();
  const auto lane = fresh(GetParam(), module, abi::unlimited_fuel);
  const Outcome outcome = lane->call(main_function, {3});
  EXPECT_EQ(outcome.fuel_left, abi::unlimited_fuel);
  EXPECT_GT(outcome.fuel_used, 0u);
}

TEST_P(Fuel, CountsTrappedBlocksWhole) {
  ir::Module module;
  FunctionBuilder builder(module, type(2, 1), 0, 1);
  builder.charge(50).op(Op::div32_u, builder.local(0), 0, 1).ret_mov(builder.local(0));
  const auto lane = make_subject(GetParam(), module, {.fuel = 60});
  const Outcome outcome = lane->call(0, {1, 0});
  EXPECT_EQ(outcome.trap, abi::TrapKind::integer_divide_by_zero);
  EXPECT_EQ(outcome.fuel_used, 50u);
  EXPECT_EQ(outcome.fuel_left, 10u);
}

TEST_P(Fuel, ProgramsWithoutMeteringIgnoreTheBudget) {
  ir::Module module = everything();
  module.metered = false;
  const auto lane = fresh(GetParam(), module, 10);
  EXPECT_EQ(lane->call(main_function, {5}).exit, Exit::returned);
}

TEST_P(Fuel, ChargesBeyondAnyQuantumAndBudget) {
  ir::Module module;
  FunctionBuilder builder(module, type(0, 0), 0, 0);
  builder.charge(std::uint64_t{1} << 40).ret();
  const std::uint64_t units = std::uint64_t{1} << 40;
  const auto enough = make_subject(GetParam(), module, {.fuel = units, .quantum = 1});
  EXPECT_EQ(enough->call(0, {}).exit, Exit::returned);
  const auto short_of_one = make_subject(GetParam(), module, {.fuel = units - 1});
  const Outcome outcome = short_of_one->call(0, {});
  EXPECT_EQ(outcome.exit, Exit::out_of_fuel);
  EXPECT_EQ(outcome.inst, 1u);
  EXPECT_EQ(outcome.fuel_used, 0u);
  const auto huge = make_subject(GetParam(), module,
                                 {.fuel = ~std::uint64_t{0} - 5, .quantum = ~std::uint64_t{0}});
  EXPECT_EQ(huge->call(0, {}).fuel_used, units);
}

std::vector<Executor> executors_from(Executor first, Executor last) {
  std::vector<Executor> found;
  for (const Executor executor : all_executors()) {
    if (first <= executor && executor <= last) found.push_back(executor);
  }
  return found;
}
std::string name_of(const ::testing::TestParamInfo<Executor>& info) { return name(info.param); }

INSTANTIATE_TEST_SUITE_P(Executors, Fuel, ::testing::ValuesIn(all_executors()), name_of);
INSTANTIATE_TEST_SUITE_P(Executors, SlicedFuel,
                         ::testing::ValuesIn(executors_from(Executor::tile, Executor::sim_wide)),
                         name_of);
INSTANTIATE_TEST_SUITE_P(Executors, EveryPlaceFuel,
                         ::testing::ValuesIn(executors_from(Executor::sim, Executor::sim)),
                         name_of);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(EveryPlaceFuel);  // in the interpreters' binary

// The stop word, which only the interpreter has.

class Stop : public ::testing::TestWithParam<Dispatch> {};

TEST_P(Stop, StopsAtTheNextPollAndGoesOn) {
  ir::Module module;
  FunctionBuilder builder(module, type(1, 1), 1, 0);
  const std::uint16_t i = builder.local(0);
  builder.charge(1);
  builder.block().charge(3).op(Op::add64_k, i, i, 0, 1).op(Op::br_lt64_u, i, 0, 0, 1);
  builder.block().ret_mov(i);
  TestPool pool(module, {});
  const abi::LaneRef lane{.pool = 0, .slot = TestPool::slot};
  std::uint32_t word = 1;
  abi::RunParams params{.pools = &pool.pool(),
                        .lanes = &lane,
                        .stop = &word,
                        .host_call = nullptr,
                        .host_context = nullptr,
                        .quantum = 100};
  abi::InstanceHeader& header = pool.header();
  header.fuel_left = abi::unlimited_fuel;
  const std::uint64_t count = 1000;
  ASSERT_TRUE(begin_call(pool.pool(), TestPool::slot, 0, &count));
  run_lane_with(GetParam(), params, lane);
  EXPECT_EQ(header.exit, Exit::cancelled);  // before anything was charged
  EXPECT_EQ(header.fuel_used, 0u);
  EXPECT_EQ(header.pc, 2u);
  EXPECT_EQ(header.depth, 1u);

  // Each round runs until the stop word is seen again: it is raised by a budget here.
  header.fuel_left = 301;
  word = 0;
  run_lane_with(GetParam(), params, lane);
  EXPECT_EQ(header.exit, Exit::out_of_fuel);
  EXPECT_EQ(header.fuel_used, 301u);
  word = 1;
  run_lane_with(GetParam(), params, lane);
  EXPECT_EQ(header.exit, Exit::cancelled);  // wins over the budget
  EXPECT_EQ(header.fuel_used, 301u);
  word = 0;
  header.fuel_left = abi::unlimited_fuel;
  run_lane_with(GetParam(), params, lane);
  EXPECT_EQ(header.exit, Exit::returned);
  EXPECT_EQ(header.fuel_used, 3001u);
  EXPECT_EQ(pool.stack()[0], 1000u);
  EXPECT_TRUE(pool.neighbours_untouched());
}

struct Raiser {
  std::uint32_t word = 0;
  std::uint32_t calls = 0;
};

TEST_P(Stop, IsPolledOncePerQuantum) {
  ir::Module module;
  module.host_imports.push_back({.module = "env", .field = "raise", .type = 0});
  FunctionBuilder host(module, type(0, 0), 0, 0);
  host.charge(1).op(Op::host_call, 0, 0, 0, 0).ret();
  FunctionBuilder builder(module, type(0, 0), 1, 2);
  const std::uint16_t i = builder.local(0);
  builder.charge(1).op(Op::call, builder.local(1), 0, 0, 0);
  builder.block().charge(1).op(Op::add64_k, i, i, 0, 1).op(Op::br, 0, 0, 0, 1);
  TestPool pool(module, {});
  const abi::LaneRef lane{.pool = 0, .slot = TestPool::slot};
  Raiser raiser;
  abi::RunParams params{.pools = &pool.pool(),
                        .lanes = &lane,
                        .stop = &raiser.word,
                        .host_call =
                            [](const abi::RunParams* run, const abi::Pool*, abi::LaneRef,
                               std::uint32_t, std::uint64_t*) {
                              auto* state = static_cast<Raiser*>(run->host_context);
                              ++state->calls;
                              state->word = 1;
                              return Exit::ready;
                            },
                        .host_context = &raiser,
                        .quantum = 1000};
  pool.header().fuel_left = abi::unlimited_fuel;
  ASSERT_TRUE(begin_call(pool.pool(), TestPool::slot, 1, nullptr));
  run_lane_with(GetParam(), params, lane);  // an endless loop, were it not stopped
  EXPECT_EQ(pool.header().exit, Exit::cancelled);
  EXPECT_EQ(raiser.calls, 1u);
  EXPECT_LE(pool.header().fuel_used, 2u + params.quantum);
}

TEST_P(Stop, HeaderIsValidDuringHostCalls) {
  ir::Module module;
  module.host_imports.push_back({.module = "env", .field = "look", .type = 0});
  FunctionBuilder host(module, type(1, 1), 0, 0);
  host.charge(1).op(Op::host_call, 0, 0, 0, 0).ret();
  FunctionBuilder builder(module, type(1, 1), 0, 3);
  const std::uint16_t base = builder.local(1);
  builder.charge(10).op(Op::mov, base, 0).op(Op::call, base, 0, 0, 0);
  builder.charge(10).op(Op::mov, 0, base).ret();
  TestPool pool(module, {});
  const abi::LaneRef lane{.pool = 0, .slot = TestPool::slot};
  abi::RunParams params{
      .pools = &pool.pool(),
      .lanes = &lane,
      .stop = nullptr,
      .host_call =
          [](const abi::RunParams*, const abi::Pool* called, abi::LaneRef ref, std::uint32_t import,
             std::uint64_t* values) {
            abi::InstanceHeader& header = called->headers[ref.slot];
            EXPECT_EQ(header.fuel_used, 11u);
            EXPECT_EQ(header.fuel_left, 89u);
            EXPECT_EQ(header.pc, 3u);
            EXPECT_EQ(header.base, 3u);
            EXPECT_EQ(header.depth, 2u);
            EXPECT_EQ(import, 0u);
            EXPECT_EQ(values, called->stack + std::uint64_t{ref.slot} * called->stack_stride + 3);
            header.fuel_used += 20;  // a host function may charge for what it moves
            header.fuel_left -= 20;
            values[0] *= 2;
            return Exit::ready;
          },
      .host_context = nullptr,
      .quantum = 4096};
  pool.header().fuel_left = 100;
  const std::uint64_t argument = 21;
  ASSERT_TRUE(begin_call(pool.pool(), TestPool::slot, 1, &argument));
  run_lane_with(GetParam(), params, lane);
  EXPECT_EQ(pool.header().exit, Exit::returned);
  EXPECT_EQ(pool.stack()[0], 42u);
  EXPECT_EQ(pool.header().fuel_used, 41u);
  EXPECT_EQ(pool.header().fuel_left, 59u);
}

INSTANTIATE_TEST_SUITE_P(Dispatchers, Stop, ::testing::Values(Dispatch::threaded, Dispatch::loop),
                         [](const auto& parameter) {
                           return parameter.param == Dispatch::threaded ? "threaded" : "loop";
                         });

}  // namespace
}  // namespace warphive::exec::testing
