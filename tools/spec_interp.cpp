// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "base/result.hpp"
#include "hal/cpu/device.hpp"
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

class InterpExecutor final : public Executor {
 public:
  static Result<std::unique_ptr<Executor>> make(ir::Module linked) {
    auto executor = std::make_unique<InterpExecutor>();
    WARPHIVE_TRY(executor->set_up(std::move(linked)));
    return executor;
  }

  Result<Outcome> call(std::uint32_t function, std::span<const std::uint64_t> args,
                       std::uint64_t fuel) override {
    const runtime::SlotCall call = {.id = ids_[0], .function = function, .first_arg = 0};
    const runtime::SlotBatch batch = {
        .calls = {&call, 1}, .args = args, .fuel = fuel, .any_state = runtime::AnyState::yes};
    WARPHIVE_TRY_ASSIGN(const runtime::Results results, swarm_->dispatch(batch));
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
  Status set_up(ir::Module linked) {
    WARPHIVE_TRY_ASSIGN(const std::shared_ptr<hal::Device> device,
                        hal::cpu::create_device({.threads = 1}));
    WARPHIVE_TRY_ASSIGN(const auto program, runtime::make_program(std::move(linked)));
    for (const ir::HostImport& host : program->module.host_imports) {
      WARPHIVE_TRY(
          registry_.add({host.module, host.field, program->module.types[host.type], refuse}));
    }
    WARPHIVE_TRY_ASSIGN(swarm_, runtime::Swarm::create(device, {.registry = &registry_}));
    WARPHIVE_TRY_ASSIGN(
        ids_,
        swarm_->spawn(program, 1, {.memory_pages = room_pages, .table_elements = room_elements},
                      runtime::Instantiate::raw));
    return {};
  }

  sys::HostRegistry registry_;
  std::unique_ptr<runtime::Swarm> swarm_;  // uses the registry
  std::vector<InstanceId> ids_;            // one
};

}  // namespace

Result<std::unique_ptr<Executor>> make_interp_cpu_executor(ir::Module linked) {
  return InterpExecutor::make(std::move(linked));
}

}  // namespace warphive::tools::spec
