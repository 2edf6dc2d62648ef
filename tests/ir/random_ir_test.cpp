// SPDX-License-Identifier: Apache-2.0
// Random IR programs: every executor agrees with the reference executor, which runs the program as
// it was made, while the others run it as it was made and optimised, stopped and resumed or not.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "exec/testing.hpp"
#include "ir/testing/random_module.hpp"
#include "ir/text.hpp"
#include "ir/verify.hpp"
#include "opt/pipeline.hpp"

namespace warphive {
namespace {

using abi::Exit;
using exec::testing::Executor;
using exec::testing::HostView;
using exec::testing::Limits;
using exec::testing::Outcome;
using exec::testing::Subject;

constexpr std::uint64_t plenty_of_fuel = 30'000;
constexpr std::uint64_t little_fuel = 100;

Exit host(HostView& view) {
  view.values[0] = (view.values[0] & 0xffffffff) * 31 + view.values[1];
  return Exit::ready;
}

// All that a program may depend on; where it stopped as an offset, since optimised code has other
// instructions.
struct Seen {
  Exit exit = Exit::ready;
  abi::TrapKind trap = abi::TrapKind::none;
  std::vector<std::uint64_t> results;
  std::uint64_t fuel_used = 0;
  std::uint32_t function = ir::none;
  std::uint32_t offset = 0;
  std::vector<std::uint8_t> memory;
  std::vector<std::uint64_t> table;
  std::vector<std::uint64_t> globals;

  friend bool operator==(const Seen&, const Seen&) = default;
};

std::string text_of(const Seen& seen) {
  std::string text = std::string(abi::to_string(seen.exit)) + " " + abi::to_string(seen.trap) +
                     " fuel " + std::to_string(seen.fuel_used) + " at " +
                     std::to_string(seen.function) + ":" + std::to_string(seen.offset) + " results";
  for (const std::uint64_t value : seen.results) text += " " + std::to_string(value);
  text += " globals";
  for (const std::uint64_t value : seen.globals) text += " " + std::to_string(value);
  return text;
}

Seen look(const ir::Module& module, Subject& subject, const Outcome& outcome) {
  Seen seen{outcome.exit,      outcome.trap,     outcome.results,
            outcome.fuel_used, outcome.function, 0,
            subject.memory(0), subject.table(0), subject.globals()};
  if (outcome.function != ir::none) {
    seen.offset = module.functions[outcome.function].source[outcome.inst];
  }
  return seen;
}

// Calls every function of the program once, on one instance; what is seen after each call.
std::vector<Seen> run_all(const ir::Module& module, Executor executor, std::uint64_t slice,
                          std::uint64_t seed) {
  const std::uint64_t total_fuel = seed % 4 == 0 ? little_fuel : plenty_of_fuel;
  Limits limits;
  limits.fuel = total_fuel;
  limits.stack_slots = 600;
  limits.max_depth = 40;
  const auto subject = make_subject(executor, module, limits, host);
  std::vector<Seen> all;
  const Outcome init = subject->call(module.members[0].init, {});
  all.push_back(look(module, *subject, init));
  ir::testing::Choices choices(seed);
  for (const ir::Export& entry : module.members[0].exports) {
    if (entry.kind != ir::EntityKind::function) continue;
    std::vector<std::uint64_t> args;
    for (const ir::ValueType type : module.types[module.functions[entry.index].type].params) {
      const std::uint64_t value = choices.one_in(2) ? choices.bits() : choices.below(100);
      const bool narrow = type == ir::ValueType::i32 || type == ir::ValueType::f32;
      args.push_back(narrow ? value & 0xffffffff : value);
      if (type == ir::ValueType::v128) args.push_back(choices.bits());
    }
    std::uint64_t budget = total_fuel;
    const auto give = [&] {
      const std::uint64_t part = slice == 0 ? budget : std::min(slice, budget);
      budget -= part;
      return part;
    };
    std::uint64_t left = give();
    subject->set_fuel(left);
    Outcome outcome = subject->call(entry.index, args);
    while (outcome.exit == Exit::out_of_fuel && budget != 0) {
      left = outcome.fuel_left + give();
      subject->set_fuel(left);
      outcome = subject->resume();
    }
    all.push_back(look(module, *subject, outcome));
  }
  return all;
}

void expect_equal(const ir::Module& module, const std::vector<Seen>& expected,
                  const std::vector<Seen>& got, const std::string& what) {
  ASSERT_EQ(expected.size(), got.size()) << what;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    ASSERT_TRUE(expected[i] == got[i]) << what << ", call " << i << ":\n"
                                       << text_of(expected[i]) << "\n"
                                       << text_of(got[i]) << "\n"
                                       << ir::print(module);
  }
}

struct Totals {
  std::uint64_t returned = 0, trapped = 0, out_of_fuel = 0, fuel = 0;
};

void check_seed(std::uint64_t seed, Totals& totals) {
  ir::testing::Choices choices(seed);
  ir::testing::RandomOptions options;
  options.host_calls = seed % 2 == 0;
  const ir::Module module = ir::testing::random_module(choices, options);
  ir::Module optimised = module;
  opt::optimise(optimised);
  const Status status = ir::verify(optimised);
  ASSERT_TRUE(status) << status.error().describe() << ir::print(module) << ir::print(optimised);

  const std::vector<Seen> expected = run_all(module, Executor::ref, 0, seed);
  for (const Seen& seen : expected) {
    totals.returned += seen.exit == Exit::returned;
    totals.trapped += seen.exit == Exit::trapped;
    totals.fuel = std::max(totals.fuel, seen.fuel_used);
    totals.out_of_fuel += seen.exit == Exit::out_of_fuel;
  }
  const std::string name = "seed " + std::to_string(seed) + " on ";
  for (const Executor executor : exec::testing::all_executors()) {
    for (const bool optimise : {false, true}) {
      const ir::Module& program = optimise ? optimised : module;
      const std::uint64_t slice = 40 + choices.below(400);
      const std::string what =
          name + exec::testing::name(executor) + (optimise ? ", optimised" : "");
      expect_equal(program, expected, run_all(program, executor, 0, seed), what);
      if (::testing::Test::HasFatalFailure()) return;
      expect_equal(program, expected, run_all(program, executor, slice, seed),
                   what + ", in slices of " + std::to_string(slice));
      if (::testing::Test::HasFatalFailure()) return;
    }
  }
}

TEST(RandomIr, ExecutorsAgree) {
  // Compiled code is made anew for each run.
  const bool compiles = exec::testing::all_executors().front() == Executor::sim;
  const std::uint64_t seeds = compiles ? 30 : 300;
  Totals totals;
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    check_seed(seed, totals);
    if (HasFatalFailure()) return;
  }
  // The programs must be worth running.
  RecordProperty("returned", static_cast<int>(totals.returned));
  RecordProperty("trapped", static_cast<int>(totals.trapped));
  RecordProperty("out_of_fuel", static_cast<int>(totals.out_of_fuel));
  RecordProperty("fuel", static_cast<int>(totals.fuel));
  EXPECT_GT(totals.returned, seeds / 3);
  EXPECT_GT(totals.trapped, seeds / 15);
  EXPECT_GT(totals.out_of_fuel, seeds / 60);
}

}  // namespace
}  // namespace warphive
