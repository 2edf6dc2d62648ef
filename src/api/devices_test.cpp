// SPDX-License-Identifier: Apache-2.0
// Programs in swarms of another device than the one that they were linked for.
#include <cstdlib>

#include "api/testing.hpp"

namespace warphive::testing {
namespace {

Engine engine_of(const char* device, Tier tier) {
  return must(Engine::create({.device = device, .threads = 1, .tier = tier, .cache = false}));
}

std::vector<std::int32_t> sums(const Engine& engine, const Program& program) {
  Swarm swarm = must(engine.create_swarm());
  const std::vector<InstanceId> ids = must(swarm.spawn(program, 40));
  std::vector<Value> args;
  for (std::int32_t i = 0; i < 40; ++i)
    args.insert(args.end(), {Value::i32(i), Value::i32(i * 1000)});
  const Results results = must(swarm.dispatch(ids, must(program.find_function("add")), args));
  std::vector<std::int32_t> values;
  values.reserve(results.size());
  for (std::size_t i = 0; i < results.size(); ++i) {
    values.push_back(results[i].values[0].as_i32());
  }
  return values;
}

TEST(Devices, CompiledCodeOfAnotherDeviceIsNotRun) {
  ASSERT_EQ(setenv("WARPHIVE_CUDA_LIBRARY", WARPHIVE_FAKE_CUDA_LIBRARY, 1), 0);
  const Engine engines[] = {engine_of("cpu", Tier::jit), engine_of("cuda", Tier::jit),
                            engine_of("cuda", Tier::jit), engine_of("cuda", Tier::interp)};
  std::vector<std::int32_t> expected;
  expected.reserve(40);
  for (std::int32_t i = 0; i < 40; ++i) expected.push_back(i * 1001);
  for (const Engine& linker : engines) {
    const Program program = program_of(linker, modules::basic_wasm);
    for (const Engine& runner : engines) EXPECT_EQ(sums(runner, program), expected);
  }
}

TEST(Devices, AutoIsTheGpuWhereThereIsOne) {
  ASSERT_EQ(setenv("WARPHIVE_CUDA_LIBRARY", WARPHIVE_FAKE_CUDA_LIBRARY, 1), 0);
  EXPECT_EQ(must(Engine::create()).device(), "cuda");
  ASSERT_EQ(setenv("WARPHIVE_CUDA_LIBRARY", "/nowhere/libcuda.so", 1), 0);
  EXPECT_EQ(must(Engine::create()).device(), "cpu");
}

}  // namespace
}  // namespace warphive::testing
