// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <optional>
#include <random>
#include <utility>

#include "base/result.hpp"
#include "hal/cpu/device.hpp"
#include "hal/cuda/device.hpp"
#include "runtime/program.hpp"
#include "runtime/swarm.hpp"
#include "tools/spec_executor.hpp"

namespace warphive::tools::spec {
namespace {

void refuse(std::span<sys::HostCall> calls) {
  for (sys::HostCall& call : calls) {
    call.header->trap = abi::TrapKind::host;
    call.verdict = abi::Exit::trapped;
  }
}

class SwarmExecutor final : public Executor {
 public:
  enum class Slices : std::uint8_t { one, many };
  using OpenDevice = Result<std::shared_ptr<hal::Device>> (*)();

  static Result<std::unique_ptr<Executor>> make(ir::Module linked, runtime::Tiers tiers,
                                                Slices slices, OpenDevice open = open_cpu) {
    auto executor = std::make_unique<SwarmExecutor>();
    WARPHIVE_TRY_ASSIGN(executor->device_, open());
    if (slices == Slices::many) executor->slices_.emplace(linked.functions.size());
    WARPHIVE_TRY(executor->set_up(std::move(linked), tiers));
    return executor;
  }

  Result<Outcome> call(std::uint32_t function, std::span<const std::uint64_t> args,
                       std::uint64_t fuel) override {
    const runtime::SlotCall call = {.id = ids_[0], .function = function, .first_arg = 0};
    std::uint64_t left = fuel;
    std::uint64_t budget = next_slice(left);
    const runtime::SlotBatch batch = {
        .calls = {&call, 1}, .args = args, .fuel = budget, .any_state = runtime::AnyState::yes};
    WARPHIVE_TRY_ASSIGN(runtime::Results results, swarm_->dispatch(batch));
    while (results.outcome(0).exit == abi::Exit::out_of_fuel && budget < left) {
      const std::uint64_t spent = results.outcome(0).fuel_spent;
      left -= spent;
      // A block is charged whole: where a slice bought nothing the next one has to be larger.
      budget = spent == 0 ? std::min(left, 2 * budget) : next_slice(left);
      // Let code that goes on from here appear now and then, so that both tiers do.
      if (program_->tier != nullptr && budget % 16 == 0) program_->tier->wait_until_idle();
      WARPHIVE_TRY_ASSIGN(results, swarm_->resume(ids_, budget));
    }
    const kernels::Outcome& outcome = results.outcome(0);
    const std::span<const std::uint64_t> values = results.values(0);
    Outcome copy = {outcome.exit, outcome.trap, {values.begin(), values.end()}, outcome.fuel_used};
    if (const std::optional<ir::Location> where = results.location(0)) {
      copy.offset = source_offset(results.program(0).module, where->function, where->inst);
    }
    return copy;
  }

  Result<std::vector<std::uint64_t>> global(std::uint32_t index) override {
    std::vector<std::uint64_t> values(ir::slots(program_->module.globals.at(index).type));
    WARPHIVE_TRY(swarm_->read_global(ids_, index, values));
    return values;
  }

  Result<std::vector<std::byte>> memory(std::uint32_t index) override {
    return swarm_->memory_bytes(ids_[0], index);
  }

 private:
  static Result<std::shared_ptr<hal::Device>> open_cpu() {
    return hal::cpu::create_device({.threads = 1});
  }
  Status set_up(ir::Module linked, runtime::Tiers tiers) {
    WARPHIVE_TRY_ASSIGN(
        program_,
        runtime::make_program(std::move(linked),
                              {.tiers = tiers, .device = device_, .services = {nullptr, queue_}}));
    for (const ir::HostImport& host : program_->module.host_imports) {
      WARPHIVE_TRY(
          registry_.add({host.module, host.field, program_->module.types[host.type], refuse}));
    }
    WARPHIVE_TRY_ASSIGN(swarm_, runtime::Swarm::create(device_, {.registry = &registry_}));
    WARPHIVE_TRY_ASSIGN(
        ids_,
        swarm_->spawn(program_, 1, {.memory_pages = room_pages, .table_elements = room_elements},
                      runtime::Instantiate::raw));
    return {};
  }

  /// Mostly short, so that every block is a place to stop at; some are long, so that loops end.
  std::uint64_t next_slice(std::uint64_t left) {
    if (!slices_) return left;
    const std::uint64_t number = (*slices_)();
    return std::min(left, 1 + (number >> 8) % (number % 16 == 0 ? 20'000 : 60));
  }

  std::shared_ptr<hal::Device> device_;
  std::optional<std::mt19937_64> slices_;
  std::shared_ptr<codegen::CompileQueue> queue_ = std::make_shared<codegen::CompileQueue>();
  std::shared_ptr<const runtime::Program> program_;
  sys::HostRegistry registry_;
  std::unique_ptr<runtime::Swarm> swarm_;  // uses the registry
  std::vector<InstanceId> ids_;            // one
};

}  // namespace

Result<std::unique_ptr<Executor>> make_interp_cpu_executor(ir::Module linked) {
  return SwarmExecutor::make(std::move(linked), runtime::Tiers::interp, SwarmExecutor::Slices::one);
}

Result<std::unique_ptr<Executor>> make_interp_sliced_executor(ir::Module linked) {
  return SwarmExecutor::make(std::move(linked), runtime::Tiers::interp,
                             SwarmExecutor::Slices::many);
}

Result<std::unique_ptr<Executor>> make_interp_cuda_executor(ir::Module linked) {
  return SwarmExecutor::make(std::move(linked), runtime::Tiers::interp, SwarmExecutor::Slices::one,
                             [] { return hal::cuda::create_device(); });
}

Result<std::unique_ptr<Executor>> make_jit_cuda_executor(ir::Module linked) {
  return SwarmExecutor::make(std::move(linked), runtime::Tiers::jit, SwarmExecutor::Slices::one,
                             [] { return hal::cuda::create_device(); });
}

Result<std::unique_ptr<Executor>> make_jit_cpu_executor(ir::Module linked) {
  return SwarmExecutor::make(std::move(linked), runtime::Tiers::jit, SwarmExecutor::Slices::one);
}

Result<std::unique_ptr<Executor>> make_jit_sliced_executor(ir::Module linked) {
  return SwarmExecutor::make(std::move(linked), runtime::Tiers::jit, SwarmExecutor::Slices::many);
}

}  // namespace warphive::tools::spec
