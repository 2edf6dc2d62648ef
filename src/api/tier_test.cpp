// SPDX-License-Identifier: Apache-2.0
// Compiled code and the interpreter take over from each other without anyone being able to tell.
#include <filesystem>
#include <string>

#include "api/data.hpp"
#include "api/testing.hpp"
#include "guest/wasm/testing/module_builder.hpp"

namespace warphive::testing {
namespace {

/// `run(seed, n)` of a guest program that the build compiles from C; small enough that every budget
/// up to its cost can be tried.
struct Guest {
  const char* name;
  std::int32_t n;
};
void PrintTo(const Guest& guest, std::ostream* to) { *to << guest.name; }

Engine engine_of(Tier tier) {
  return must(Engine::create({.device = "cpu", .threads = 1, .tier = tier, .cache = false}));
}

Program guest_program(const Engine& engine, const std::string& name, bool metered = true) {
  const std::string path = std::string(WARPHIVE_GUESTS) + "/" + name + ".wasm";
  return must(engine.link(must(Module::from_file(path, {.metered = metered}))));
}

/// What a run leaves behind.
struct End {
  Exit exit = Exit::ready;
  std::vector<Value> values;
  std::uint64_t instructions = 0;
  std::uint64_t memory = 0;
  friend bool operator==(const End&, const End&) = default;
};
void PrintTo(const End& end, std::ostream* to) {
  *to << to_string(end.exit) << ", " << end.instructions << " instructions, memory " << end.memory;
}

End end_of(Swarm& swarm, const Results& results) {
  const InstanceResult result = results[0];
  return {result.exit,
          {result.values.begin(), result.values.end()},
          result.instructions.value_or(0),
          must(swarm.memory_hashes({&result.id, 1}))[0]};
}

/// Both tiers, an instance of the program in each.
class TierTest : public ::testing::TestWithParam<Guest> {
 protected:
  struct Side {
    explicit Side(Tier tier, const Guest& guest, bool metered = true)
        : engine(engine_of(tier)),
          program(guest_program(engine, guest.name, metered)),
          swarm(must(engine.create_swarm())),
          run(must(program.find_function("run"))),
          ids(must(swarm.spawn(program, 1))),
          args{Value::i32(1), Value::i32(guest.n)} {}
    End start(std::uint64_t fuel) {
      return end_of(swarm, must(swarm.dispatch(ids, run, args, fuel)));
    }
    End resume(std::uint64_t fuel) { return end_of(swarm, must(swarm.resume(ids, fuel))); }
    void reset() { ASSERT_TRUE(swarm.reset(ids)); }
    /// Until code is there for every place where the instance was stopped.
    void wait() const { program.data()->program->tier->wait_until_idle(); }

    Engine engine;
    Program program;
    Swarm swarm;
    Function run;
    std::vector<InstanceId> ids;
    std::vector<Value> args;
  };
};

TEST_P(TierTest, stopped_anywhere_and_resumed) {
  Side interp(Tier::interp, GetParam());
  Side jit(Tier::jit, GetParam());
  ASSERT_TRUE(jit.program.tier_status().compiled);
  const End whole = interp.start(unlimited_fuel);
  ASSERT_EQ(whole.exit, Exit::returned);
  ASSERT_EQ(jit.start(unlimited_fuel), whole);
  constexpr std::uint64_t most_budgets = 300;
  const std::uint64_t step = whole.instructions / most_budgets + 1;
  for (std::uint64_t fuel = 0; fuel <= whole.instructions; fuel += step) {
    interp.reset();
    jit.reset();
    const End stopped = interp.start(fuel);
    ASSERT_EQ(jit.start(fuel), stopped) << "with a budget of " << fuel;
    if (stopped.exit != Exit::out_of_fuel) continue;
    // Now and then with code that goes on from there, else interpreted until it comes.
    if (fuel % 13 == 0) jit.wait();
    ASSERT_EQ(jit.resume(unlimited_fuel), whole) << "resumed after a budget of " << fuel;
  }
  EXPECT_GT(jit.program.tier_status().variants, 0u);
}

TEST_P(TierTest, in_many_slices) {
  Side interp(Tier::interp, GetParam());
  Side jit(Tier::jit, GetParam());
  const End whole = interp.start(unlimited_fuel);
  for (const std::uint64_t slice : {6000u, 50'000u}) {
    jit.reset();
    End end = jit.start(slice);
    for (int i = 0; end.exit == Exit::out_of_fuel; ++i) {
      if (i % 16 == 0) jit.wait();
      end = jit.resume(slice);
    }
    EXPECT_EQ(end, whole) << "in slices of " << slice;
  }
}

TEST_P(TierTest, unmetered) {
  Side interp(Tier::interp, GetParam(), false);
  Side jit(Tier::jit, GetParam(), false);
  EXPECT_EQ(jit.start(unlimited_fuel), interp.start(unlimited_fuel));
}

INSTANTIATE_TEST_SUITE_P(Guests, TierTest,
                         ::testing::Values(Guest{"alu", 300}, Guest{"collatz", 40},
                                           Guest{"coremark_like", 1}, Guest{"fibr", 12},
                                           Guest{"json", 1}, Guest{"lev", 12}, Guest{"mandel", 4},
                                           Guest{"queens", 5}, Guest{"sha", 2}, Guest{"sieve", 300},
                                           Guest{"sort", 60}, Guest{"lanes", 1}),
                         [](const auto& parameter) { return std::string(parameter.param.name); });

TEST(Tiers, automatic_goes_over_to_compiled_code_while_a_call_runs) {
  const Engine engine = engine_of(Tier::automatic);
  const Program program = guest_program(engine, "alu");
  Swarm swarm = must(engine.create_swarm());
  const Function run = must(program.find_function("run"));
  EXPECT_FALSE(program.tier_status().compiled);
  const std::vector<Value> args{Value::i32(1), Value::i32(2'000'000'000)};
  const auto ids = must(swarm.spawn(program, 1));
  // Long enough for code to come; how long that takes is the machine's affair.
  std::uint64_t slices = 0;
  Results results = must(swarm.dispatch(ids, run, args, 50'000'000));
  while (!program.tier_status().compiled && results[0].exit == Exit::out_of_fuel) {
    results = must(swarm.resume(ids, 50'000'000));
    ++slices;
  }
  EXPECT_TRUE(program.tier_status().compiled);
  EXPECT_EQ(program.tier_status().state, "ready");
  EXPECT_LT(slices, 1000u);
}

TEST(Tiers, code_that_appears_part_by_part_changes_nothing) {
  for (const char* name : {"json", "coremark_like", "queens"}) {
    const Engine engine = engine_of(Tier::automatic);
    const Engine interp = engine_of(Tier::interp);
    const auto run = [&](const Engine& on, const Program& program) {
      Swarm swarm = must(on.create_swarm());
      const auto ids = must(swarm.spawn(program, 1));
      const std::vector<Value> args{Value::i32(1), Value::i32(6)};
      return end_of(swarm, must(swarm.dispatch(ids, must(program.find_function("run")), args)));
    };
    const Program program = guest_program(engine, name);
    const End whole = run(interp, guest_program(interp, name));
    ASSERT_EQ(whole.exit, Exit::returned);
    bool was_partial = false;
    while (program.tier_status().state != "ready") {
      ASSERT_EQ(run(engine, program), whole) << name;
      const TierStatus status = program.tier_status();
      ASSERT_NE(status.state, "failed") << status.failure;
      was_partial |= status.state == "compiling" && status.functions > 0;
    }
    EXPECT_EQ(run(engine, program), whole) << name;
    EXPECT_EQ(program.tier_status().interpreted, 0u);
    if (std::string(name) == "json") EXPECT_TRUE(was_partial);
  }
}

// LLVM keeps the constants of such a loop in wide registers, also across polls.
TEST(Tiers, wide_registers_survive_polls) {
  using wasm::testing::Bytes;
  using wasm::testing::i32_const;
  using wasm::testing::leb;
  using wasm::testing::operator+;  // NOLINT(misc-unused-using-decls): operators are not looked at
  Bytes code{0x03, 0x40};          // loop
  for (std::uint32_t i = 0; i < 16; ++i) {
    // data[(n & 255) * 64 + i * 4] = a constant of its own
    code = std::move(code) + Bytes{0x20, 0} + i32_const(255) + Bytes{0x71} + i32_const(6) +
           Bytes{0x74} + i32_const(static_cast<std::int32_t>(0x1234'5671 * (i + 1))) +
           Bytes{0x36, 0x02} + leb(i * 4);
  }
  code = std::move(code) + Bytes{0x20, 0} + i32_const(1) + Bytes{0x6b, 0x22, 0, 0x0d, 0, 0x0b};
  wasm::testing::ModuleBuilder module;
  const std::uint32_t type = module.type({wasm::testing::i32}, {});
  module.memory(Bytes{0, 1});
  module.export_function("run", module.function(type, code));
  const Bytes bytes = module.build();
  const auto end_in = [&](Tier tier) {
    const Engine engine = engine_of(tier);
    const Program program =
        must(engine.link(must(Module::from_bytes(std::as_bytes(std::span(bytes))))));
    Swarm swarm = must(engine.create_swarm());
    const std::vector<InstanceId> ids = must(swarm.spawn(program, 1));
    return end_of(swarm, must(swarm.dispatch(ids, must(program.find_function("run")),
                                             std::vector<Value>{Value::i32(1000)})));
  };
  EXPECT_EQ(end_in(Tier::jit), end_in(Tier::interp));
}

TEST(Tiers, host_calls_in_compiled_code) {
  std::string outs[2];
  std::uint64_t instructions[2] = {};
  for (const Tier tier : {Tier::interp, Tier::jit}) {
    const Engine engine = engine_of(tier);
    const Program program = guest_program(engine, "hello");
    Swarm swarm = must(engine.create_swarm({.host = {.args = {"hello", "a", "b"}}}));
    const auto ids = must(swarm.spawn(program, 3));
    const Results results = must(swarm.dispatch(ids, must(program.find_function("_start"))));
    const std::size_t side = tier == Tier::jit ? 1 : 0;
    for (std::size_t i = 0; i < results.size(); ++i) {
      outs[side] += std::string(to_string(results[i].exit)) + ": " + std::string(results[i].out);
      instructions[side] += results[i].instructions.value_or(0);
    }
  }
  EXPECT_EQ(outs[1], outs[0]);
  EXPECT_EQ(instructions[1], instructions[0]);
  EXPECT_TRUE(contains(outs[0], "hello"));
}

TEST(Tiers, recursion_beyond_the_native_stack_goes_on) {
  constexpr std::uint32_t deep = 1'000'000;
  const SpawnOptions options{.stack_slots = 16'000'000, .max_depth = deep};
  End ends[2];
  for (const Tier tier : {Tier::interp, Tier::jit}) {
    const Engine engine = engine_of(tier);
    const Program program = program_of(engine, modules::basic_wasm);
    Swarm swarm = must(engine.create_swarm());
    const auto ids = must(swarm.spawn(program, 1, options));
    const std::vector<Value> args{Value::i32(deep - 10)};
    ends[tier == Tier::jit] =
        end_of(swarm, must(swarm.dispatch(ids, must(program.find_function("depth")), args)));
    EXPECT_EQ(ends[tier == Tier::jit].exit, Exit::returned);
  }
  EXPECT_EQ(ends[1], ends[0]);
  EXPECT_GT(ends[1].instructions, deep);
}

}  // namespace
}  // namespace warphive::testing
