// SPDX-License-Identifier: Apache-2.0
// Uneven batches on a device that runs them in rounds: the stand-in driver.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "exec/testing.hpp"
#include "hal/cuda/device.hpp"
#include "runtime/slices.hpp"
#include "runtime/swarm.hpp"
#include "runtime/testing/results.hpp"

namespace warphive::runtime {
namespace {

using exec::testing::FunctionBuilder;
using ir::Op;
using testing::expect_equal;

/// Threads of each run kernel that the driver launched so far.
std::vector<std::uint32_t> launches() {
  void* library = dlopen(WARPHIVE_FAKE_CUDA_LIBRARY, RTLD_NOW | RTLD_NOLOAD);
  EXPECT_NE(library, nullptr);
  using Lanes = std::uint32_t (*)(std::size_t);
  const auto lanes = reinterpret_cast<Lanes>(dlsym(library, "warphive_fake_cuda_lanes"));
  EXPECT_NE(lanes, nullptr);
  std::vector<std::uint32_t> all;
  while (const std::uint32_t count = lanes(all.size())) all.push_back(count);
  dlclose(library);
  return all;
}

/// 0: twice(x); 1: work(n, times): n + the number of times that twice was called for it.
ir::Module work() {
  ir::Module module;
  FunctionBuilder twice(module, exec::testing::type(1, 1), 0, 0);
  twice.charge(3).op(Op::add64, 0, 0, 0).ret();
  FunctionBuilder main(module, exec::testing::type(2, 1), 1, 3);
  const std::uint16_t i = main.local(0);
  const std::uint16_t base = main.local(1);
  main.charge(2);
  main.block().charge(20).op(Op::const_k, base, 0, 0, 1).op(Op::call, base, 0, 0, 0);
  main.charge(5).op(Op::add64, 0, 0, base).op(Op::add64_k, i, i, 0, 1);
  main.op(Op::br_lt64_u, i, 1, 0, 1);
  main.block().charge(1).ret();
  return module;
}
constexpr std::uint32_t main_function = 1;

constexpr std::uint32_t count = 480;  // full warps, and too few to try fewer at a time
constexpr std::uint64_t short_times = 50;
constexpr std::uint64_t long_times = 60'000;
bool is_long(std::uint32_t i) { return i % 100 == 7; }
constexpr std::uint32_t long_count = 5;
/// Of the stand-in, which has four schedulers, two lanes in each warp.
constexpr std::uint32_t long_threads = 3 * 32;

class Rounds : public ::testing::TestWithParam<Tiers> {
 protected:
  void SetUp() override {
    auto device = hal::cuda::create_device({.library = WARPHIVE_FAKE_CUDA_LIBRARY});
    ASSERT_TRUE(device.has_value()) << device.error().describe();
    auto program = make_program(work(), {.tiers = GetParam(), .device = *device});
    ASSERT_TRUE(program.has_value()) << program.error().describe();
    program_ = *program;
    auto swarm = Swarm::create(*device, {}, runtime::Rounds::where_uneven);
    ASSERT_TRUE(swarm.has_value());
    swarm_ = std::move(*swarm);
    auto ids = swarm_->spawn(program_, count, {.stack_slots = 64});
    ASSERT_TRUE(ids.has_value()) << ids.error().describe();
    ids_ = *ids;
  }
  static std::vector<std::uint64_t> uneven() {
    std::vector<std::uint64_t> args;
    for (std::uint32_t i = 0; i < count; ++i) {
      args.insert(args.end(), {i, is_long(i) ? long_times : short_times + i % 7});
    }
    return args;
  }
  Results dispatch(const std::vector<std::uint64_t>& args,
                   std::uint64_t fuel = abi::unlimited_fuel) {
    EXPECT_TRUE(swarm_->reset(ids_));
    std::vector<SlotCall> calls;
    for (std::uint32_t i = 0; i < ids_.size(); ++i) {
      calls.push_back({ids_[i], main_function, 2 * i});
    }
    const std::size_t before = launches().size();
    auto results = swarm_->dispatch({.calls = calls, .args = args, .fuel = fuel});
    EXPECT_TRUE(results.has_value()) << results.error().describe();
    launched_ = launches();
    launched_.erase(launched_.begin(), launched_.begin() + static_cast<std::ptrdiff_t>(before));
    return std::move(*results);
  }

  std::shared_ptr<const Program> program_;
  std::unique_ptr<Swarm> swarm_;
  std::vector<InstanceId> ids_;
  std::vector<std::uint32_t> launched_;  // threads of each launch of the last dispatch
};

TEST_P(Rounds, UnevenBatchesGoOnWithWhatIsLeft) {
  const Results plain = dispatch(uneven());
  for (std::uint32_t i = 0; i < count; ++i) {
    ASSERT_EQ(plain.outcome(i).exit, abi::Exit::returned);
    const std::uint64_t times = is_long(i) ? long_times : short_times + i % 7;
    ASSERT_EQ(plain.values(i)[0], i + 2 * times) << i;
  }
  if (GetParam() == Tiers::interp) {
    EXPECT_EQ(launched_, std::vector<std::uint32_t>{count}) << "nothing is known of it yet";
  }
  const Results rounds = dispatch(uneven());
  expect_equal(rounds, plain);
  EXPECT_EQ(launched_.front(), count);
  const std::size_t kernels = GetParam() == Tiers::interp ? 1 : 2;
  ASSERT_GT(launched_.size(), kernels);
  for (std::size_t i = kernels; i < launched_.size(); ++i) ASSERT_EQ(launched_[i], long_threads);
  // Few rounds do. What stands in for compiled code leaves for the interpreter again and again.
  if (GetParam() == Tiers::interp) EXPECT_LE(launched_.size(), 12u);
}

TEST_P(Rounds, BudgetsEndWhereTheyEndWithoutRounds) {
  const std::vector<std::uint64_t> args = uneven();
  const Results plain = dispatch(args);
  for (const std::uint64_t budget : {500u, 100'000u, 1'000'001u}) {
    const Results rounds = dispatch(args, budget);
    std::uint64_t stopped = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
      const bool ends = plain.outcome(i).fuel_used <= budget;
      ASSERT_EQ(rounds.outcome(i).exit, ends ? abi::Exit::returned : abi::Exit::out_of_fuel) << i;
      ASSERT_LE(rounds.outcome(i).fuel_used, budget);
      stopped += ends ? 0 : 1;
    }
    ASSERT_GE(stopped, long_count);
    std::vector<InstanceId> rest;
    for (std::uint32_t i = 0; i < count; ++i) {
      if (rounds.outcome(i).exit == abi::Exit::out_of_fuel) rest.push_back(ids_[i]);
    }
    const auto end = swarm_->resume(rest);
    ASSERT_TRUE(end.has_value());
    for (std::size_t k = 0; k < end->size(); ++k) {
      const auto i = static_cast<std::size_t>(
          std::find_if(ids_.begin(), ids_.end(), [&](auto id) { return id == end->id(k); }) -
          ids_.begin());
      ASSERT_EQ(end->outcome(k).fuel_used, plain.outcome(i).fuel_used);
      ASSERT_TRUE(std::ranges::equal(end->values(k), plain.values(i)));
    }
  }
}

TEST_P(Rounds, EvenBatchesStayOneLaunch) {
  std::vector<std::uint64_t> args;
  for (std::uint32_t i = 0; i < count; ++i) args.insert(args.end(), {i, 2000});
  for (int i = 0; i < 3; ++i) {
    const Results results = dispatch(args);
    EXPECT_EQ(results.count(abi::Exit::returned), count);
    if (GetParam() == Tiers::interp) EXPECT_EQ(launched_, std::vector<std::uint32_t>{count});
  }
}

TEST_P(Rounds, LargeBatchesAreTriedWithFewerAtATime) {
  constexpr std::uint32_t large = 2000;
  constexpr std::uint32_t at_a_time = 4 * 4 * 32;
  const auto more = swarm_->spawn(program_, large - count, {.stack_slots = 64});
  ASSERT_TRUE(more.has_value()) << more.error().describe();
  ids_.insert(ids_.end(), more->begin(), more->end());
  std::vector<std::uint64_t> args;
  for (std::uint32_t i = 0; i < large; ++i) args.insert(args.end(), {i, 2000});
  const Results first = dispatch(args);
  if (GetParam() == Tiers::interp) EXPECT_EQ(launched_, (std::vector<std::uint32_t>{2016}));
  expect_equal(dispatch(args), first);
  // The batch that tries it, whatever is found to be faster then.
  expect_equal(dispatch(args), first);
  if (GetParam() == Tiers::interp) {
    EXPECT_EQ(launched_, (std::vector<std::uint32_t>{at_a_time, at_a_time, at_a_time, 480}));
  }
}

INSTANTIATE_TEST_SUITE_P(Tiers, Rounds, ::testing::Values(Tiers::interp, Tiers::jit),
                         [](const auto& info) {
                           return info.param == Tiers::interp ? "interp" : "jit";
                         });

TEST(Slices, BucketsCoverEverything) {
  for (std::uint64_t units : {0ull, 1ull, 3ull, 4ull, 7ull, 8ull, 9ull, 10ull, 1000ull, 123'456ull,
                              1ull << 40, (1ull << 62) + 5}) {
    const std::size_t bucket = Histogram::bucket_of(units);
    ASSERT_LT(bucket, Histogram::buckets);
    EXPECT_LT(units, Histogram::end_of(bucket));
    if (bucket != 0) EXPECT_GE(units, Histogram::end_of(bucket - 1));
  }
  EXPECT_EQ(Histogram::bucket_of(~std::uint64_t{0}), Histogram::buckets - 1);
}

TEST(Slices, AreForLanesThatHoldOthersUp) {
  const auto slice_of = [](auto units_of) {
    Histogram lanes;
    Histogram warps;
    for (std::uint32_t warp = 0; warp < 1000; ++warp) {
      std::uint64_t longest = 0;
      for (std::uint32_t lane = 0; lane < 32; ++lane) {
        const std::uint64_t units = units_of(32 * warp + lane);
        lanes.add(units);
        longest = std::max(longest, units);
      }
      warps.add(longest);
    }
    return best_slice(lanes, warps);
  };
  constexpr std::uint64_t usual = 1'000'000;
  constexpr std::uint64_t large = 100 * usual;
  EXPECT_EQ(slice_of([](std::uint32_t) { return usual; }), no_slice);
  EXPECT_EQ(slice_of([](std::uint32_t i) { return usual + i % 1000 * 300; }), no_slice);
  // All lanes of a warp, so none holds another one up.
  EXPECT_EQ(slice_of([](std::uint32_t i) { return i / 32 % 100 == 7 ? large : usual; }), no_slice);
  const std::uint64_t rare = slice_of([](std::uint32_t i) { return i % 100 == 7 ? large : usual; });
  EXPECT_GE(rare, 1'000'000u);
  EXPECT_LE(rare, 3'000'000u);
}

}  // namespace
}  // namespace warphive::runtime
