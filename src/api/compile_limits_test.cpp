// SPDX-License-Identifier: Apache-2.0
// Modules that are dear to compile: limits keep the cost bounded, results stay the same.
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "api/testing.hpp"
#include "guest/wasm/testing/module_builder.hpp"

namespace warphive::testing {
namespace {

namespace build = wasm::testing;
using build::Bytes;
// NOLINTNEXTLINE(misc-unused-using-decls): operators are not looked at
using build::operator+;

constexpr std::uint8_t local_get = 0x20, local_set = 0x21, call = 0x10, block = 0x02, if_ = 0x04,
                       br_table = 0x0e, end = 0x0b, add = 0x6a, mul = 0x6c, return_ = 0x0f;

/// A function (i32) -> (i32) named `run`, after whatever else `more` makes of the type's index.
template <class More>
Bytes module_with(More more) {
  build::ModuleBuilder module;
  const std::uint32_t type = module.type({build::i32}, {build::i32});
  module.export_function("run", more(module, type));
  return module.build();
}

Bytes long_functions(int count, int steps) {
  Bytes code;
  for (int i = 0; i < steps; ++i) {
    code = std::move(code) + Bytes{local_get, 0} + build::i32_const(i * 7 + 3) + Bytes{mul} +
           build::i32_const(i) + Bytes{add, local_set, 0};
  }
  code = std::move(code) + Bytes{local_get, 0};
  return module_with([&](build::ModuleBuilder& module, std::uint32_t type) {
    std::uint32_t last = 0;
    for (int i = 0; i < count; ++i) last = module.function(type, code);
    return last;
  });
}

Bytes many_functions(int count) {
  return module_with([&](build::ModuleBuilder& module, std::uint32_t type) {
    std::uint32_t last =
        module.function(type, Bytes{local_get, 0} + build::i32_const(1) + Bytes{add});
    for (int i = 1; i < count; ++i) {
      last = module.function(type, Bytes{local_get, 0} + build::i32_const(i) + Bytes{add, call} +
                                       build::leb(i % 16 == 0 ? 0 : last));
    }
    return last;
  });
}

Bytes wide_switch(int targets) {
  constexpr int blocks = 100;
  Bytes code;
  for (int i = 0; i < blocks; ++i) code = std::move(code) + Bytes{block, build::empty};
  code =
      std::move(code) + Bytes{local_get, 0, br_table} + build::leb(static_cast<unsigned>(targets));
  for (int i = 0; i <= targets; ++i) {
    code = std::move(code) + build::leb(static_cast<unsigned>(i * 13 % blocks));
  }
  for (int i = 0; i < blocks; ++i) {
    code = std::move(code) + Bytes{end} + build::i32_const(i * 17) + Bytes{return_};
  }
  code = std::move(code) + build::i32_const(0);
  return module_with([&](build::ModuleBuilder& module, std::uint32_t type) {
    return module.function(type, code);
  });
}

Bytes deep_nest(int depth) {
  Bytes code;
  for (int i = 0; i < depth; ++i) {
    code = std::move(code) + Bytes{local_get, 0, if_, build::empty, local_get, 0} +
           build::i32_const(3) + Bytes{mul, local_set, 0};
  }
  for (int i = 0; i < depth; ++i) code = std::move(code) + Bytes{end};
  code = std::move(code) + Bytes{local_get, 0};
  return module_with([&](build::ModuleBuilder& module, std::uint32_t type) {
    return module.function(type, code);
  });
}

Program link(const Engine& engine, const Bytes& bytes) {
  return must(engine.link(must(Module::from_bytes(std::as_bytes(std::span(bytes))))));
}

std::vector<Value> run(const Engine& engine, const Program& program, std::int32_t argument) {
  Swarm swarm = must(engine.create_swarm());
  const auto ids = must(swarm.spawn(program, 1));
  const std::vector<Value> args{Value::i32(argument)};
  const Results results =
      must(swarm.dispatch(ids, must(program.find_function("run")), args, unlimited_fuel));
  EXPECT_EQ(results[0].exit, Exit::returned);
  return {results[0].values.begin(), results[0].values.end()};
}

struct Hostile {
  const char* name;
  Bytes bytes;
  CompileLimits limits;  // which it exceeds
  const char* reason;    // for what then stays interpreted
};
void PrintTo(const Hostile& hostile, std::ostream* to) { *to << hostile.name; }

class CompileLimitsTest : public ::testing::TestWithParam<Hostile> {};

TEST_P(CompileLimitsTest, what_is_beyond_a_limit_stays_interpreted) {
  const Hostile& hostile = GetParam();
  const Engine interp =
      must(Engine::create({.device = "cpu", .threads = 1, .tier = Tier::interp, .cache = false}));
  const Engine jit = must(Engine::create({.device = "cpu",
                                          .threads = 1,
                                          .tier = Tier::jit,
                                          .cache = false,
                                          .compile = hostile.limits}));
  const Program program = link(jit, hostile.bytes);
  const TierStatus status = program.tier_status();
  EXPECT_EQ(status.state, "ready") << status.failure;
  EXPECT_GT(status.interpreted, 0u);
  ASSERT_FALSE(status.reasons.empty());
  EXPECT_TRUE(contains(status.reasons[0], hostile.reason)) << status.reasons[0];
  const Program plain = link(interp, hostile.bytes);
  for (const int argument : {0, 1, 99}) {
    EXPECT_EQ(run(jit, program, argument), run(interp, plain, argument)) << argument;
  }
}

TEST_P(CompileLimitsTest, below_the_limits_it_is_compiled) {
  const Hostile& hostile = GetParam();
  const Engine interp =
      must(Engine::create({.device = "cpu", .threads = 1, .tier = Tier::interp, .cache = false}));
  const Engine jit =
      must(Engine::create({.device = "cpu", .threads = 1, .tier = Tier::jit, .cache = false}));
  const Program program = link(jit, hostile.bytes);
  EXPECT_EQ(program.tier_status().interpreted, 0u);
  const Program plain = link(interp, hostile.bytes);
  EXPECT_EQ(run(jit, program, 5), run(interp, plain, 5));
}

TEST_P(CompileLimitsTest, automatic_leaves_it_to_the_background) {
  const Engine engine = must(Engine::create({.device = "cpu", .threads = 1, .cache = false}));
  const Program program = link(engine, GetParam().bytes);
  EXPECT_EQ(program.tier_status().state, "cold");
  EXPECT_EQ(run(engine, program, 5).size(), 1u);
  EXPECT_EQ(program.tier_status().functions, 0u);
}

INSTANTIATE_TEST_SUITE_P(Hostile, CompileLimitsTest,
                         ::testing::Values(Hostile{"long_function",
                                                   long_functions(1, 1500),
                                                   {.function_instructions = 1000},
                                                   "it has more instructions than the limit"},
                                           Hostile{"many_functions",
                                                   many_functions(150),
                                                   {.instructions = 300},
                                                   "the program is larger than the limit"},
                                           Hostile{"much_code",
                                                   long_functions(4, 1000),
                                                   {.code_bytes = 1000},
                                                   "the program's code is larger than the limit"},
                                           Hostile{"wide_switch",
                                                   wide_switch(5000),
                                                   {.function_instructions = 5000},
                                                   "it has more instructions than the limit"},
                                           Hostile{"deep_nest",
                                                   deep_nest(300),
                                                   {.function_instructions = 500},
                                                   "it has more instructions than the limit"}),
                         [](const auto& parameter) { return std::string(parameter.param.name); });

}  // namespace
}  // namespace warphive::testing
