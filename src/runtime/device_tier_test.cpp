// SPDX-License-Identifier: Apache-2.0
// Programs that are compiled for a device in the background: the stand-in driver.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "exec/testing.hpp"
#include "hal/cuda/device.hpp"
#include "runtime/swarm.hpp"
#include "runtime/testing/results.hpp"

namespace warphive::runtime {
namespace {

namespace fs = std::filesystem;
using exec::testing::FunctionBuilder;
using ir::Op;
using testing::expect_equal;

/// A function of the stand-in driver that is not the driver's.
template <class Function>
Function* driver(const char* name) {
  static void* const library = dlopen(WARPHIVE_FAKE_CUDA_LIBRARY, RTLD_NOW);
  auto* const function = reinterpret_cast<Function*>(dlsym(library, name));
  EXPECT_NE(function, nullptr) << name;
  return function;
}
std::uint64_t calls(const char* symbol) {
  return driver<std::uint64_t(const char*)>("warphive_fake_cuda_calls")(symbol);
}
/// Calls of a function wait from the next one on, or the one after so many more.
void hold(const char* symbol, std::uint64_t skipped = 0) {
  driver<void(const char*, std::uint64_t)>("warphive_fake_cuda_hold")(symbol,
                                                                      calls(symbol) + skipped + 1);
}
void let_go() { driver<void(const char*, std::uint64_t)>("warphive_fake_cuda_hold")(nullptr, 0); }
void await(const char* symbol, std::uint64_t count) {
  driver<void(const char*, std::uint64_t)>("warphive_fake_cuda_await")(symbol, count);
}
/// What interprets a program takes until lanes are told to leave.
class HeldRuns {
 public:
  HeldRuns() { hold_runs(true); }
  ~HeldRuns() { hold_runs(false); }
  HeldRuns(const HeldRuns&) = delete;
  HeldRuns& operator=(const HeldRuns&) = delete;

 private:
  static void hold_runs(bool holds) { driver<void(bool)>("warphive_fake_cuda_hold_runs")(holds); }
};

/// Function 0: twice(x). `main_function`(n, times): n + the number of times that twice was called
/// for it. So many others in between, which nobody calls.
constexpr std::uint32_t twice_function = 0;
ir::Module work(std::uint32_t others = 0) {
  ir::Module module;
  FunctionBuilder twice(module, exec::testing::type(1, 1), 0, 0);
  twice.charge(3).op(Op::add64, 0, 0, 0).ret();
  for (std::uint32_t i = 0; i < others; ++i) {
    FunctionBuilder other(module, exec::testing::type(1, 1), 0, 0);
    other.charge(1);
    for (int k = 0; k < 40; ++k) other.op(Op::add64_k, 0, 0, 0, i);
    other.ret();
  }
  FunctionBuilder main(module, exec::testing::type(2, 1), 1, 3);
  const std::uint16_t i = main.local(0);
  const std::uint16_t base = main.local(1);
  main.charge(2);
  main.block().charge(20).op(Op::const_k, base, 0, 0, 1).op(Op::call, base, 0, 0, twice_function);
  main.charge(5).op(Op::add64, 0, 0, base).op(Op::add64_k, i, i, 0, 1);
  main.op(Op::br_lt64_u, i, 1, 0, 1);
  main.block().charge(1).ret();
  return module;
}
constexpr std::uint64_t units_each = 28;  // of a time
constexpr std::uint64_t long_times = 3 * DeviceTier::hot_units / units_each;
constexpr std::uint32_t lanes = 40;

class DeviceTierTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto device = hal::cuda::create_device({.library = WARPHIVE_FAKE_CUDA_LIBRARY});
    ASSERT_TRUE(device.has_value()) << device.error().describe();
    device_ = *device;
  }
  void TearDown() override { let_go(); }

  std::shared_ptr<const Program> link(Tiers tiers, ir::Module module = work(),
                                      const codegen::CompileLimits& limits = {}) {
    auto program = make_program(std::move(module),
                                {.optimise = false,
                                 .tiers = tiers,
                                 .device = device_,
                                 .services = {.cache = cache, .queue = queue, .limits = limits}});
    EXPECT_TRUE(program.has_value()) << program.error().describe();
    return *program;
  }

  /// Instances of a program that call its last function.
  struct Runner {
    Runner(const std::shared_ptr<hal::Device>& device, const std::shared_ptr<LoadGate>& gate,
           std::shared_ptr<const Program> of)
        : program(std::move(of)) {
      auto made = Swarm::create(device, {}, Rounds::never, gate);
      EXPECT_TRUE(made.has_value());
      swarm = std::move(*made);
      auto spawned = swarm->spawn(program, lanes, {.stack_slots = 64});
      EXPECT_TRUE(spawned.has_value()) << spawned.error().describe();
      ids = *spawned;
    }
    Results run(std::uint64_t times, std::uint64_t fuel = abi::unlimited_fuel) {
      EXPECT_TRUE(swarm->reset(ids));
      std::vector<SlotCall> calls;
      std::vector<std::uint64_t> args;
      const auto function = static_cast<std::uint32_t>(program->module.functions.size()) - 1;
      for (std::uint32_t i = 0; i < lanes; ++i) {
        calls.push_back({ids[i], function, 2 * i});
        args.insert(args.end(), {i, times + i});
      }
      auto results = swarm->dispatch({.calls = calls, .args = args, .fuel = fuel});
      EXPECT_TRUE(results.has_value()) << results.error().describe();
      return std::move(*results);
    }
    std::shared_ptr<const Program> program;
    std::unique_ptr<Swarm> swarm;
    std::vector<InstanceId> ids;
  };
  Runner runner(const std::shared_ptr<const Program>& program) { return {device_, gate_, program}; }

  static codegen::TierStatus status(const std::shared_ptr<const Program>& program) {
    return program->device_tiers->latest()->status();
  }

  std::shared_ptr<hal::Device> device_;
  std::shared_ptr<LoadGate> gate_ = std::make_shared<LoadGate>();
  std::shared_ptr<codegen::CodeCache> cache;
  std::shared_ptr<codegen::CompileQueue> queue = std::make_shared<codegen::CompileQueue>();
};

TEST_F(DeviceTierTest, GoesOverInTheMiddleOfACall) {
  Runner interp = runner(link(Tiers::interp));
  for (const std::uint64_t fuel : {std::uint64_t{abi::unlimited_fuel}, 2 * DeviceTier::hot_units,
                                   2 * DeviceTier::hot_units + 12'345}) {
    const auto program = link(Tiers::automatic);
    Runner automatic = runner(program);
    EXPECT_EQ(status(program).state, codegen::TierState::cold);
    std::optional<Results> results;
    {
      const HeldRuns held;
      results = automatic.run(long_times, fuel);
    }
    const codegen::TierStatus made = status(program);
    EXPECT_EQ(made.state, codegen::TierState::ready) << made.reason;
    EXPECT_EQ(made.functions, 2U);
    EXPECT_EQ(made.interpreted, 0U);
    EXPECT_FALSE(made.from_cache);
    expect_equal(*results, interp.run(long_times, fuel));
    const abi::Exit end =
        fuel == abi::unlimited_fuel ? abi::Exit::returned : abi::Exit::out_of_fuel;
    EXPECT_EQ(results->count(end), lanes);
    // And once more with code from the beginning.
    expect_equal(automatic.run(long_times, fuel), interp.run(long_times, fuel));
  }
}

TEST_F(DeviceTierTest, ShortCallsAddUp) {
  const auto program = link(Tiers::automatic);
  Runner automatic = runner(program);
  Runner interp = runner(link(Tiers::interp));
  constexpr std::uint64_t times = 1000;
  // Lane i does i more.
  constexpr std::uint64_t all =
      lanes * (times * units_each + 3) + lanes * (lanes - 1) / 2 * units_each;
  constexpr std::uint64_t enough = (DeviceTier::hot_units - 1) / (all / lanes) + 1;
  const Results expected = interp.run(times);
  for (std::uint64_t i = 0; i < enough; ++i) {
    ASSERT_EQ(status(program).state, codegen::TierState::cold) << i;
    expect_equal(automatic.run(times), expected);
  }
  EXPECT_FALSE(program->device_tiers->latest()->is_cold());
  program->device_tiers->latest()->wait_until_idle();
  EXPECT_EQ(status(program).state, codegen::TierState::compiling) << "until lanes run it";
  expect_equal(automatic.run(times), expected);
  EXPECT_EQ(status(program).state, codegen::TierState::ready);
  EXPECT_TRUE(program->device_tiers->latest()->is_settled());
}

TEST_F(DeviceTierTest, AllSwarmsOfAProgramGoOverAndItIsLoadedOnce) {
  const auto program = link(Tiers::automatic);
  Runner runners[] = {runner(program), runner(program)};
  Runner interp = runner(link(Tiers::interp));
  const std::uint64_t loads = calls("cuModuleLoadDataEx");
  std::optional<Results> results[2];
  {
    const HeldRuns held;
    std::thread other([&] { results[1] = runners[1].run(long_times); });
    results[0] = runners[0].run(long_times);
    other.join();
  }
  EXPECT_EQ(calls("cuModuleLoadDataEx"), loads + 1);
  EXPECT_EQ(status(program).state, codegen::TierState::ready);
  const Results expected = interp.run(long_times);
  for (const auto& result : results) expect_equal(*result, expected);
}

TEST_F(DeviceTierTest, LoadingHasTheLanesOfOtherSwarmsLeave) {
  const std::shared_ptr<const Program> plain = link(Tiers::interp);
  Runner other = runner(plain);
  const std::uint64_t launches = calls("cuLaunchKernel");
  std::optional<Results> results;
  {
    const HeldRuns held;
    std::thread thread([&] { results = other.run(long_times); });
    await("cuLaunchKernel", launches + 2);  // that writes images, and the run
    // It would run until it is told to leave, and once more; a swarm has kernels of its own.
    (void)runner(plain);
    other.swarm->cancel();
    thread.join();
  }
  EXPECT_EQ(results->count(abi::Exit::cancelled), lanes);
}

TEST_F(DeviceTierTest, ACancelIsNotTakenForCode) {
  const auto program = link(Tiers::automatic);
  Runner automatic = runner(program);
  Runner interp = runner(link(Tiers::interp));
  const std::uint64_t links = calls("cuLinkCreate_v2");
  hold("cuLinkCreate_v2");
  std::optional<Results> results;
  {
    const HeldRuns held;
    std::thread other([&] { results = automatic.run(long_times); });
    await("cuLinkCreate_v2", links + 1);
    automatic.swarm->cancel();
    other.join();
  }
  EXPECT_EQ(results->count(abi::Exit::cancelled), lanes);
  let_go();
  program->device_tiers->latest()->wait_until_idle();
  const auto rest = automatic.swarm->resume(automatic.ids);
  ASSERT_TRUE(rest.has_value());
  EXPECT_EQ(status(program).state, codegen::TierState::ready);
  const Results expected = interp.run(long_times);
  for (std::size_t i = 0; i < lanes; ++i) {
    ASSERT_EQ(rest->outcome(i).exit, abi::Exit::returned);
    ASSERT_EQ(rest->outcome(i).fuel_used, expected.outcome(i).fuel_used);
    ASSERT_TRUE(std::ranges::equal(rest->values(i), expected.values(i)));
  }
}

TEST_F(DeviceTierTest, ALargeProgramsHotFunctionsComeFirst) {
  constexpr std::uint32_t others = 300;
  const auto program = link(Tiers::automatic, work(others));
  Runner automatic = runner(program);
  Runner interp = runner(link(Tiers::interp, work(others)));
  const std::uint64_t links = calls("cuLinkCreate_v2");
  hold("cuLinkCreate_v2", 1);
  std::optional<Results> results;
  {
    const HeldRuns held;
    results = automatic.run(long_times);
  }
  await("cuLinkCreate_v2", links + 2);
  const codegen::TierStatus part = status(program);
  EXPECT_EQ(part.state, codegen::TierState::ready);
  EXPECT_GE(part.functions, 2U);
  EXPECT_LT(part.functions, others);
  EXPECT_EQ(part.interpreted, 0U) << "they may be compiled later";
  EXPECT_FALSE(program->device_tiers->latest()->is_settled());
  const Results expected = interp.run(long_times);
  expect_equal(*results, expected);
  expect_equal(automatic.run(long_times), expected);
  let_go();
  program->device_tiers->latest()->wait_until_idle();
  expect_equal(automatic.run(long_times), expected);
  EXPECT_EQ(status(program).functions, others + 2);
  EXPECT_TRUE(program->device_tiers->latest()->is_settled());
}

TEST_F(DeviceTierTest, WhatIsBeyondALimitStaysInterpreted) {
  Runner interp = runner(link(Tiers::interp));
  const Results expected = interp.run(long_times);
  struct Case {
    codegen::CompileLimits limits;
    const char* reason;
  };
  std::vector<Case> cases(3);
  cases[0].limits.seconds = 1e-9;
  cases[0].reason = "compiling the program takes longer than the limit";
  cases[1].limits.code_bytes = 100;
  cases[1].reason = "the program's code is larger than the limit";
  cases[2].limits.program_instructions = 1;
  cases[2].reason = "the program is larger than the limit";
  for (const Case& limited : cases) {
    for (const Tiers tiers : {Tiers::automatic, Tiers::jit}) {
      const auto program = link(tiers, work(), limited.limits);
      Runner compiled = runner(program);
      if (tiers == Tiers::automatic) {
        const HeldRuns held;
        expect_equal(compiled.run(long_times), expected);
      }
      expect_equal(compiled.run(long_times), expected);
      const codegen::TierStatus made = status(program);
      EXPECT_EQ(made.functions, 0U);
      EXPECT_EQ(made.interpreted, 2U);
      ASSERT_EQ(made.reasons.size(), 2U);
      EXPECT_NE(made.reasons[0].find(limited.reason), std::string::npos) << made.reasons[0];
    }
  }
}

TEST_F(DeviceTierTest, WhatTheBackgroundMadeIsKept) {
  std::string name = (fs::temp_directory_path() / "warphive_device_tier_XXXXXX").string();
  ASSERT_NE(::mkdtemp(name.data()), nullptr);
  auto opened = codegen::CodeCache::open({.directory = name});
  ASSERT_TRUE(opened);
  cache = std::move(*opened);
  codegen::CompileLimits late;
  late.seconds = 1e-9;
  for (const codegen::CompileLimits& limits : {late, codegen::CompileLimits{}}) {
    const auto program = link(Tiers::automatic, work(), limits);
    // Without what ran out of time: another try might compile more.
    ASSERT_EQ(status(program).state, codegen::TierState::cold);
    const HeldRuns held;
    (void)runner(program).run(long_times);
  }
  const auto program = link(Tiers::automatic);
  EXPECT_TRUE(status(program).from_cache);
  EXPECT_EQ(status(program).functions, 2U);
  EXPECT_FALSE(program->device_tiers->latest()->is_cold());
  fs::remove_all(name);
}

TEST_F(DeviceTierTest, AProgramMayBeDroppedWhileItIsCompiled) {
  const std::uint64_t links = calls("cuLinkCreate_v2");
  hold("cuLinkCreate_v2");
  auto program = link(Tiers::automatic);
  const std::weak_ptr<const Program> left = program;
  (void)runner(program).run(long_times);
  await("cuLinkCreate_v2", links + 1);
  program.reset();
  EXPECT_FALSE(left.expired()) << "what is compiled is kept";
  let_go();
  queue.reset();
  EXPECT_TRUE(left.expired());
}

TEST_F(DeviceTierTest, TheQueueMayEndWhileAProgramIsCompiled) {
  const std::uint64_t links = calls("cuLinkCreate_v2");
  hold("cuLinkCreate_v2");
  const auto program = link(Tiers::automatic);
  Runner automatic = runner(program);
  (void)automatic.run(long_times);
  await("cuLinkCreate_v2", links + 1);
  const std::weak_ptr<codegen::CompileQueue> ending = queue;
  std::thread other([&] { queue.reset(); });
  while (!ending.expired()) std::this_thread::yield();
  let_go();
  other.join();
  // Made or stopped: instances run on.
  EXPECT_EQ(automatic.run(1000).count(abi::Exit::returned), lanes);
}

TEST_F(DeviceTierTest, WhereThereIsNoMemoryForStacksItStaysInterpreted) {
  const auto program = link(Tiers::automatic);
  Runner automatic = runner(program);
  Runner interp = runner(link(Tiers::interp));
  const Results expected = interp.run(long_times);
  expect_equal(automatic.run(1000), interp.run(1000));  // buffers are there
  constexpr std::uint64_t room = 8u << 20;
  const auto rest = device_->allocate(device_->available_bytes() - room, hal::Placement::device);
  ASSERT_TRUE(rest.has_value());
  expect_equal(automatic.run(long_times), expected);
  program->device_tiers->latest()->wait_until_idle();
  expect_equal(automatic.run(long_times), expected);
  EXPECT_EQ(status(program).state, codegen::TierState::failed);
  EXPECT_TRUE(program->device_tiers->latest()->is_settled());
  EXPECT_EQ(status(program).reason.find("Stacks for compiled code"), 0U) << status(program).reason;
}

TEST_F(DeviceTierTest, WithoutAQueueNothingIsCompiled) {
  queue.reset();
  const auto program = link(Tiers::automatic);
  EXPECT_TRUE(program->device_tiers->latest()->is_settled());
  const std::uint64_t links = calls("cuLinkCreate_v2");
  EXPECT_EQ(runner(program).run(long_times).count(abi::Exit::returned), lanes);
  EXPECT_EQ(calls("cuLinkCreate_v2"), links);
  EXPECT_EQ(status(program).state, codegen::TierState::cold);
}

}  // namespace
}  // namespace warphive::runtime
