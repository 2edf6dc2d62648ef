// SPDX-License-Identifier: Apache-2.0
#include <cstring>
#include <utility>

#include "base/result.hpp"
#include "exec/interp.hpp"
#include "hal/cpu/device.hpp"
#include "runtime/layout.hpp"
#include "runtime/program.hpp"
#include "tools/spec_executor.hpp"

namespace warphive::tools::spec {
namespace {

class LoopExecutor final : public Executor {
 public:
  static Result<std::unique_ptr<Executor>> make(ir::Module linked) {
    auto executor = std::make_unique<LoopExecutor>();
    WARPHIVE_TRY(executor->set_up(std::move(linked)));
    return executor;
  }

  Result<Outcome> call(std::uint32_t function, std::span<const std::uint64_t> args,
                       std::uint64_t fuel) override {
    header_.exit = abi::Exit::ready;
    header_.trap = abi::TrapKind::none;
    header_.fuel_left = fuel;
    if (exec::begin_call(pool_, 0, function, args.data())) {
      constexpr abi::LaneRef lane = {.pool = 0, .slot = 0};
      const std::uint32_t stop = 0;
      const abi::RunParams params = {.pools = &pool_,
                                     .lanes = &lane,
                                     .stop = &stop,
                                     .host_call = refuse_host_call,
                                     .host_context = nullptr,
                                     .quantum = 4096};
      exec::run_lane_with(exec::Dispatch::loop, params, lane);
    }
    Outcome outcome = {header_.exit, header_.trap, {}, header_.fuel_used};
    if (header_.exit == abi::Exit::trapped) {
      const ir::Location where = ir::locate(program_->encoded, header_.pc);
      outcome.offset = source_offset(program_->module, where.function, where.inst);
    }
    if (header_.exit == abi::Exit::returned) {
      outcome.values.assign(stack_.begin(), stack_.begin() + program_->result_slots[function]);
    }
    return outcome;
  }

  Result<std::vector<std::uint64_t>> global(std::uint32_t index) override {
    const std::vector<std::uint32_t> slots = ir::global_slots(program_->module);
    std::vector<std::uint64_t> values;
    for (std::uint32_t slot = slots.at(index); slot < slots.at(index + 1); ++slot) {
      values.push_back(read<std::uint64_t>(layout_.view.globals_at, slot));
    }
    return values;
  }

  Result<std::vector<std::byte>> memory(std::uint32_t index) override {
    const auto pages = read<std::uint32_t>(layout_.view.memory_pages_at, index);
    const auto* first = memory_.device_pointer<std::byte>() + layout_.memories[index].at;
    return std::vector<std::byte>(first, first + std::size_t{pages} * abi::page_bytes);
  }

 private:
  Status set_up(ir::Module linked) {
    WARPHIVE_TRY_ASSIGN(program_, runtime::make_program(std::move(linked)));
    WARPHIVE_TRY(runtime::plan_layout(
        *program_, {.memory_pages = room_pages, .table_elements = room_elements}, layout_));
    state_ = runtime::initial_state(*program_, layout_);
    stack_.resize(layout_.stack_stride);
    WARPHIVE_TRY_ASSIGN(device_, hal::cpu::create_device({.threads = 1}));
    WARPHIVE_TRY_ASSIGN(memory_, device_->allocate(layout_.memory_stride + abi::page_bytes,
                                                   hal::Placement::device));
    code_ = program_->encoded.view();
    pool_ = {.code = &code_,
             .layout = &layout_.view,
             .headers = &header_,
             .state = state_.data(),
             .stack = stack_.data(),
             .memory = memory_.device_pointer<std::uint8_t>(),
             .out = nullptr,
             .err = nullptr,
             .memory_stride = layout_.memory_stride,
             .state_stride = layout_.state_stride,
             .stack_stride = layout_.stack_stride,
             .out_capacity = 0,
             .metered = 1};
    return {};
  }

  template <class T>
  [[nodiscard]] T read(std::uint32_t at, std::uint32_t index) const {
    T value;
    std::memcpy(&value, state_.data() + at + std::size_t{index} * sizeof(T), sizeof(T));
    return value;
  }

  std::shared_ptr<const runtime::Program> program_;
  runtime::Layout layout_;
  std::vector<std::uint8_t> state_;
  std::vector<std::uint64_t> stack_;
  std::shared_ptr<hal::Device> device_;
  hal::Buffer memory_;
  abi::Code code_ = {};
  abi::InstanceHeader header_ = {};
  abi::Pool pool_ = {};
};

}  // namespace

Result<std::unique_ptr<Executor>> make_interp_loop_executor(ir::Module linked) {
  return LoopExecutor::make(std::move(linked));
}

}  // namespace warphive::tools::spec
