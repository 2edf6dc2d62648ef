// SPDX-License-Identifier: Apache-2.0
// Random IR programs through the runtime: compiled and interpreted, stopped all the time or not,
// they do what the reference executor does.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "ir/testing/random_module.hpp"
#include "ir/text.hpp"
#include "tools/spec_executor.hpp"

namespace warphive {
namespace {

using tools::spec::Executor;
using tools::spec::Outcome;

constexpr std::uint64_t fuel = 20'000;

std::string describe(const Outcome& outcome) {
  std::string text = std::string(abi::to_string(outcome.exit)) + " " +
                     abi::to_string(outcome.trap) + " fuel " + std::to_string(outcome.instructions);
  for (const std::uint64_t value : outcome.values) text += " " + std::to_string(value);
  return text;
}

/// What each exported function gave, then every global and the memory.
std::vector<std::string> run_all(const ir::Module& module, Executor& executor, std::uint64_t seed) {
  std::vector<std::string> all;
  const auto call = [&](std::uint32_t function, const std::vector<std::uint64_t>& args) {
    const Result<Outcome> outcome = executor.call(function, args, fuel);
    all.push_back(outcome ? describe(*outcome) : outcome.error().describe());
  };
  call(module.members[0].init, {});
  ir::testing::Choices choices(seed);
  for (const ir::Export& entry : module.members[0].exports) {
    if (entry.kind != ir::EntityKind::function) continue;
    std::vector<std::uint64_t> args;
    for (const ir::ValueType type : module.types[module.functions[entry.index].type].params) {
      const bool narrow = type == ir::ValueType::i32 || type == ir::ValueType::f32;
      args.push_back(narrow ? choices.bits() >> 32 : choices.bits());
      if (type == ir::ValueType::v128) args.push_back(choices.bits());
    }
    call(entry.index, args);
  }
  for (std::uint32_t i = 0; i < module.globals.size(); ++i) {
    std::string text = "global";
    const auto slots = executor.global(i);
    for (const std::uint64_t slot : *slots) text += " " + std::to_string(slot);
    all.push_back(text);
  }
  std::uint64_t sum = 0;
  const auto bytes = executor.memory(0);
  for (const std::byte byte : *bytes) sum = sum * 31 + std::to_integer<std::uint64_t>(byte);
  all.push_back("memory " + std::to_string(sum));
  return all;
}

TEST(RandomTiers, AgreeWithTheReference) {
  constexpr std::uint64_t seeds = 60;
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    ir::testing::Choices choices(seed + 1'000);
    ir::testing::RandomOptions options;
    options.statements = 16;
    const ir::Module module = ir::testing::random_module(choices, options);
    std::vector<std::string> expected;
    for (const char* name : {"ref", "interp.cpu", "interp.sliced", "jit.cpu", "jit.sliced"}) {
      auto executor = tools::spec::find_executor(name)->make(module);
      ASSERT_TRUE(executor) << executor.error().describe();
      std::vector<std::string> got = run_all(module, **executor, seed);
      if (expected.empty()) expected = got;
      ASSERT_EQ(expected, got) << "seed " << seed << " on " << name << ":\n" << ir::print(module);
    }
  }
}

}  // namespace
}  // namespace warphive
