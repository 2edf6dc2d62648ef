// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "exec/ref.hpp"
#include "tools/spec_executor.hpp"

namespace warphive::tools::spec {
namespace {

class RefExecutor final : public Executor {
 public:
  explicit RefExecutor(ir::Module linked)
      : module_(std::move(linked)),
        instance_(exec::ref_spawn(module_, room_pages, room_elements)) {}

  Result<Outcome> call(std::uint32_t function, std::span<const std::uint64_t> args,
                       std::uint64_t fuel) override {
    instance_.fuel_left = fuel;
    exec::ref_call(module_, instance_, function, args, refuse);
    Outcome outcome = {instance_.exit, instance_.trap, instance_.results, instance_.fuel_used};
    if (instance_.exit == abi::Exit::trapped) {
      outcome.offset = source_offset(module_, instance_.trap_function, instance_.trap_inst);
    }
    return outcome;
  }

  Result<std::vector<std::uint64_t>> global(std::uint32_t index) override {
    const std::vector<std::uint32_t> slots = ir::global_slots(module_);
    const auto first = instance_.globals.begin();
    return std::vector(first + slots.at(index), first + slots.at(index + 1));
  }

  Result<std::vector<std::byte>> memory(std::uint32_t index) override {
    const std::vector<std::uint8_t>& bytes = instance_.memories.at(index);
    const auto* first = reinterpret_cast<const std::byte*>(bytes.data());
    return std::vector<std::byte>(first, first + bytes.size());
  }

 private:
  static abi::Exit refuse(exec::RefInstance& instance, std::uint32_t, std::span<std::uint64_t>) {
    instance.trap = abi::TrapKind::host;
    return abi::Exit::trapped;
  }

  ir::Module module_;
  exec::RefInstance instance_;
};

}  // namespace

Result<std::unique_ptr<Executor>> make_ref_executor(ir::Module linked) {
  return std::make_unique<RefExecutor>(std::move(linked));
}

}  // namespace warphive::tools::spec
