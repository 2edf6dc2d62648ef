// SPDX-License-Identifier: Apache-2.0
// Values of type v128 through the public interface.
#include "api/testing.hpp"

namespace warphive::testing {
namespace {

class Vectors : public SwarmTest {
 protected:
  Program vectors = program_of(engine, modules::vectors_wasm);
};

TEST_F(Vectors, AreArgumentsAndResultsBesideOthers) {
  const auto ids = must(swarm.spawn(vectors, 3));
  const Function mix = must(vectors.find_function("mix"));
  EXPECT_EQ(to_string(mix.type), "(i32, v128, v128) -> (v128, i32)");
  std::vector<Value> args;
  for (std::uint32_t i = 0; i < 3; ++i) {
    // 1.0, and a number that makes it 1.0 + i steps of the last place in one lane
    args.push_back(Value::i32(static_cast<std::int32_t>(i)));
    args.push_back(Value::v128(0x3f8000003f800000, 0x3f8000003f800000));
    args.push_back(Value::v128(0, std::uint64_t{i} << 32));
  }
  const Results results = must(swarm.dispatch(ids, mix, args));
  for (std::uint32_t i = 0; i < 3; ++i) {
    ASSERT_EQ(results[i].exit, Exit::returned);
    ASSERT_EQ(results[i].values.size(), 2u);
    EXPECT_EQ(results[i].values[0],
              Value::v128(0x3f8000003f800000, 0x3f8000003f800000 + (std::uint64_t{i} << 32)));
    EXPECT_EQ(results[i].values[1], Value::i32(static_cast<std::int32_t>(i + 7)));
  }
  // Calls name their first argument among values, not slots.
  const Function one = must(vectors.find_function("one"));
  const Call call{ids[1], one.index, 2};
  const Results second = must(swarm.dispatch({.calls = {&call, 1}, .args = args}));
  EXPECT_EQ(second[0].values[0], Value::v128(0, 0));
  const Call beyond{ids[1], one.index, 9};
  EXPECT_TRUE(
      fails_with(swarm.dispatch({.calls = {&beyond, 1}, .args = args}), ErrorCode::invalid_input));
}

TEST_F(Vectors, AreGlobals) {
  const auto ids = must(swarm.spawn(vectors, 2));
  std::vector<Value> values(2);
  ASSERT_TRUE(swarm.read_global(ids, "scale", values).has_value());
  EXPECT_EQ(values[1], Value::v128(0x3f8000003f800000, 0x3f8000003f800000));
  const std::vector<Value> twice = {Value::v128(1, 2), Value::v128(3, 0x4000000040000000)};
  ASSERT_TRUE(swarm.write_global(ids, "scale", twice).has_value());
  ASSERT_TRUE(swarm.read_global(ids, "scale", values).has_value());
  EXPECT_EQ(values, twice);
  ASSERT_TRUE(swarm.read_global(ids, "after", values).has_value());
  EXPECT_EQ(values[0], Value::i32(7)) << "its neighbour is untouched";
  const std::vector<Value> wrong(2, Value::i64(1));
  EXPECT_TRUE(fails_with(swarm.write_global(ids, "scale", wrong), ErrorCode::invalid_input));
}

TEST_F(Vectors, AreNothingForHostFunctions) {
  const auto status =
      engine.define("test", "lanes", {{ValueType::v128}, {}}, [](std::span<HostCall* const>) {});
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code(), ErrorCode::unsupported);
  EXPECT_TRUE(contains(status.error().describe(), "test.lanes"));
  EXPECT_TRUE(contains(status.error().describe(), "v128"));
}

}  // namespace
}  // namespace warphive::testing
