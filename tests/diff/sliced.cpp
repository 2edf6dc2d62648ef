// SPDX-License-Identifier: Apache-2.0
#include "tests/diff/sliced.hpp"

#include <algorithm>
#include <random>
#include <utility>

#include "base/result.hpp"
#include "hal/cpu/device.hpp"
#include "runtime/program.hpp"
#include "runtime/swarm.hpp"

namespace warphive::tests {
namespace {

using tools::spec::Executor;
using tools::spec::Outcome;

class SlicedExecutor final : public Executor {
 public:
  SlicedExecutor(std::unique_ptr<runtime::Swarm> swarm, InstanceId id, std::uint64_t seed)
      : swarm_(std::move(swarm)), ids_{id}, numbers_(seed) {}

  Result<Outcome> call(std::uint32_t function, std::span<const std::uint64_t> args,
                       std::uint64_t fuel) override {
    const runtime::SlotCall call = {.id = ids_[0], .function = function, .first_arg = 0};
    std::uint64_t left = fuel;
    std::uint64_t budget = std::min(left, slice());
    WARPHIVE_TRY_ASSIGN(runtime::Results results,
                        swarm_->dispatch({.calls = {&call, 1},
                                          .args = args,
                                          .fuel = budget,
                                          .any_state = runtime::AnyState::yes}));
    while (results.outcome(0).exit == abi::Exit::out_of_fuel && budget < left) {
      const std::uint64_t spent = results.outcome(0).fuel_spent;
      left -= spent;
      // A block is charged whole: where a slice bought nothing the next one has to be larger.
      budget = std::min(left, spent == 0 ? 2 * budget : slice());
      WARPHIVE_TRY_ASSIGN(results, swarm_->resume(ids_, budget));
    }
    const kernels::Outcome& outcome = results.outcome(0);
    const std::span<const std::uint64_t> values = results.values(0);
    return Outcome{outcome.exit, outcome.trap, {values.begin(), values.end()}, outcome.fuel_used};
  }

  Result<std::uint64_t> global(std::uint32_t index) override {
    std::uint64_t value = 0;
    WARPHIVE_TRY(swarm_->read_global(ids_, index, {&value, 1}));
    return value;
  }

  Result<std::vector<std::byte>> memory(std::uint32_t index) override {
    return swarm_->memory_bytes(ids_[0], index);
  }

 private:
  /// Mostly short ones, so that every block is a place to stop at; longer ones that long loops end.
  std::uint64_t slice() {
    const std::uint64_t number = numbers_();
    const std::uint64_t longest = number % 16 == 0 ? 20'000 : 60;
    return 1 + (number >> 8) % longest;
  }

  std::unique_ptr<runtime::Swarm> swarm_;
  InstanceId ids_[1];
  std::mt19937_64 numbers_;
};

}  // namespace

Result<std::unique_ptr<Executor>> make_sliced_executor(ir::Module linked) {
  const std::uint64_t seed = linked.functions.size() + linked.types.size() * 1'000'003;
  WARPHIVE_TRY_ASSIGN(const std::shared_ptr<hal::Device> device,
                      hal::cpu::create_device({.threads = 1}));
  WARPHIVE_TRY_ASSIGN(const auto program, runtime::make_program(std::move(linked)));
  WARPHIVE_TRY_ASSIGN(auto swarm, runtime::Swarm::create(device));
  WARPHIVE_TRY_ASSIGN(const std::vector<InstanceId> ids,
                      swarm->spawn(program, 1,
                                   {.memory_pages = tools::spec::room_pages,
                                    .table_elements = tools::spec::room_elements},
                                   runtime::Instantiate::raw));
  return std::make_unique<SlicedExecutor>(std::move(swarm), ids.front(), seed);
}

}  // namespace warphive::tests
