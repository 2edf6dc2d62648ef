// SPDX-License-Identifier: Apache-2.0
// Where compiled code can be left, and that it is entered again.
#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "abi/native.hpp"
#include "api/data.hpp"
#include "api/testing.hpp"
#include "exec/native.hpp"
#include "hal/cpu/device.hpp"

namespace warphive::testing {
namespace {

struct Guest {
  const char* name;
  std::int32_t n;
};
void PrintTo(const Guest& guest, std::ostream* to) { *to << guest.name; }

struct Stop {
  kernels::Outcome outcome;
  std::uint64_t result = 0;
  std::vector<std::byte> memory;
};
bool same(const Stop& a, const Stop& b) {
  return a.outcome.exit == b.outcome.exit && a.outcome.pc == b.outcome.pc &&
         a.outcome.depth == b.outcome.depth && a.outcome.fuel_used == b.outcome.fuel_used &&
         a.result == b.result && a.memory.size() == b.memory.size() &&
         std::memcmp(a.memory.data(), b.memory.data(), a.memory.size()) == 0;
}

/// One instance of a guest program on one thread, as the runtime has it.
class Lane {
 public:
  Lane(Tier tier, const Guest& guest)
      : engine_(
            must(Engine::create({.device = "cpu", .threads = 1, .tier = tier, .cache = false}))),
        program_(must(engine_.link(
            must(Module::from_file(std::string(WARPHIVE_GUESTS) + "/" + guest.name + ".wasm"))))),
        swarm_(must(runtime::Swarm::create(must(hal::cpu::create_device({.threads = 1}))))),
        ids_(must(swarm_->spawn(program_.data()->program, 1))),
        args_{1, static_cast<std::uint64_t>(guest.n)},
        call_{ids_[0], must(program_.find_function("run")).index, 0} {}

  Stop start(std::uint64_t fuel) {
    EXPECT_TRUE(swarm_->reset(ids_).has_value());
    return stop_of(must(swarm_->dispatch({.calls = {&call_, 1}, .args = args_, .fuel = fuel})));
  }
  Stop resume(std::uint64_t fuel) { return stop_of(must(swarm_->resume(ids_, fuel))); }
  /// As resume, without a look at the result and the memory.
  kernels::Outcome step(std::uint64_t fuel) { return must(swarm_->resume(ids_, fuel)).outcome(0); }
  codegen::ProgramTier& tier() { return *program_.data()->program->tier; }

 private:
  Stop stop_of(const runtime::Results& results) {
    Stop stop;
    stop.outcome = results.outcome(0);
    if (stop.outcome.exit == abi::Exit::returned) stop.result = results.values(0)[0];
    stop.memory.resize(std::uint64_t{stop.outcome.memory_pages} << 16);
    if (!stop.memory.empty()) {
      EXPECT_TRUE(swarm_->read_memory(ids_, 0, stop.memory.size(), stop.memory).has_value());
    }
    return stop;
  }

  Engine engine_;
  Program program_;
  std::unique_ptr<runtime::Swarm> swarm_;
  std::vector<InstanceId> ids_;
  std::vector<std::uint64_t> args_;
  runtime::SlotCall call_;
};

/// The smallest budgets that end a run at each place, and there at each depth of calls.
std::vector<std::uint64_t> budgets_of_all_places(Lane& lane) {
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint64_t> budgets;
  kernels::Outcome stop = lane.start(0).outcome;
  while (stop.exit == abi::Exit::out_of_fuel) {
    budgets.try_emplace({stop.pc, stop.depth}, stop.fuel_used);
    // As little more as there must be for the next charge.
    const std::uint64_t before = stop.fuel_used;
    for (std::uint64_t slice = 1; stop.exit == abi::Exit::out_of_fuel; ++slice) {
      stop = lane.step(slice);
      if (stop.fuel_used != before) break;
    }
  }
  EXPECT_EQ(stop.exit, abi::Exit::returned);
  std::vector<std::uint64_t> all;
  for (const auto& [place, budget] : budgets) all.push_back(budget);
  return all;
}

class Places : public ::testing::TestWithParam<Guest> {};

TEST_P(Places, compiled_code_is_left_everywhere) {
  Lane interp(Tier::interp, GetParam());
  Lane jit(Tier::jit, GetParam());
  const std::vector<std::uint64_t> budgets = budgets_of_all_places(interp);
  EXPECT_GT(budgets.size(), 3u);
  const Stop whole = interp.start(abi::unlimited_fuel);
  ASSERT_EQ(whole.outcome.exit, abi::Exit::returned);
  for (const std::uint64_t budget : budgets) {
    ASSERT_TRUE(same(jit.start(budget), interp.start(budget))) << "with a budget of " << budget;
    ASSERT_TRUE(same(jit.resume(abi::unlimited_fuel), whole)) << "resumed after " << budget;
  }
  // Now there is code for many of the places, or soon will be where they are hundreds.
  if (budgets.size() < 100) {
    jit.tier().wait_until_idle();
    EXPECT_GT(jit.tier().status().variants, 0u);
  }
  for (const std::uint64_t budget : budgets) {
    jit.start(budget);
    ASSERT_TRUE(same(jit.resume(abi::unlimited_fuel), whole)) << "in code after " << budget;
  }
}

INSTANTIATE_TEST_SUITE_P(Guests, Places,
                         ::testing::Values(Guest{"alu", 30}, Guest{"collatz", 10},
                                           Guest{"coremark_like", 1}, Guest{"fibr", 8},
                                           Guest{"json", 1}, Guest{"lev", 6}, Guest{"mandel", 3},
                                           Guest{"queens", 4}, Guest{"sha", 1}, Guest{"sieve", 60},
                                           Guest{"sort", 20}),
                         [](const auto& parameter) { return std::string(parameter.param.name); });

// Stands in front of code that goes on inside of functions, and counts.
constexpr std::size_t most_resumes = 32;
std::array<abi::NativeResumeCode, most_resumes> originals;
int entered = 0;

template <std::size_t i>
WARPHIVE_CALLS_NATIVE std::int64_t counted(void* context, std::uint64_t frame, std::int64_t fuel,
                                           std::uint32_t insn) {
  ++entered;
  return originals[i](context, frame, fuel, insn);
}
template <std::size_t... i>
constexpr std::array<abi::NativeResumeCode, sizeof...(i)> make_counted(std::index_sequence<i...>) {
  return {counted<i>...};
}

TEST(Reentry, every_slice_of_a_stopped_loop_runs_in_compiled_code) {
  Lane lane(Tier::jit, {"alu", 100'000});
  constexpr std::uint64_t slice = 50'000;
  const Stop whole = lane.start(abi::unlimited_fuel);
  Stop stop = lane.start(slice);
  for (int i = 0; i < 4; ++i) {
    ASSERT_EQ(stop.outcome.exit, abi::Exit::out_of_fuel);
    lane.tier().wait_until_idle();
    stop = lane.resume(slice);
  }
  auto* const slot = const_cast<abi::NativeSlot*>(lane.tier().slot());
  const abi::NativeCode* const code = slot->code;
  ASSERT_GT(code->resume_count, 0u);
  ASSERT_LE(code->resume_count, most_resumes);
  std::vector<abi::NativeResume> resumes(code->resumes, code->resumes + code->resume_count);
  constexpr auto counting = make_counted(std::make_index_sequence<most_resumes>());
  for (std::size_t i = 0; i < resumes.size(); ++i) {
    originals[i] = std::exchange(resumes[i].code, counting[i]);
  }
  abi::NativeCode wrapped = *code;
  wrapped.resumes = resumes.data();
  slot->code = &wrapped;
  int slices = 0;
  for (entered = 0; stop.outcome.exit == abi::Exit::out_of_fuel; ++slices) {
    stop = lane.resume(slice);
  }
  slot->code = code;
  EXPECT_TRUE(same(stop, whole));
  EXPECT_GT(slices, 20);
  EXPECT_EQ(entered, slices);
}

}  // namespace
}  // namespace warphive::testing
