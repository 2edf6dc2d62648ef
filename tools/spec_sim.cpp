// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>
#include <utility>

#include "base/result.hpp"
#include "codegen/device_compiler.hpp"
#include "exec/tile.hpp"
#include "ir/encode.hpp"
#include "runtime/layout.hpp"
#include "runtime/program.hpp"
#include "tools/spec_executor.hpp"

namespace warphive::tools::spec {
namespace {

using exec::TilePool;

class SimExecutor final : public Executor {
 public:
  static Result<std::unique_ptr<Executor>> make(ir::Module linked) {
    auto executor = std::make_unique<SimExecutor>();
    WARPHIVE_TRY(executor->set_up(std::move(linked)));
    return executor;
  }

  Result<Outcome> call(std::uint32_t function, std::span<const std::uint64_t> args,
                       std::uint64_t fuel) override {
    abi::InstanceHeader& header = pool_->header(slot);
    header.exit = abi::Exit::ready;
    header.trap = abi::TrapKind::none;
    header.fuel_left = fuel;
    if (exec::begin_tile_call(pool_->shape(), pool_->pool(), slot, function, args.data())) {
      const abi::LaneRef lane = {.pool = 0, .slot = slot};
      const std::uint32_t stop = 0;
      const abi::RunParams params = {.pools = &pool_->pool(),
                                     .lanes = &lane,
                                     .stop = &stop,
                                     .host_call = refuse_host_call,
                                     .host_context = nullptr,
                                     .quantum = 4096};
      exec::run_tile_lane(pool_->shape(), params, lane, library_->code());
    }
    Outcome outcome = {header.exit, header.trap, {}, header.fuel_used};
    if (header.exit == abi::Exit::trapped) {
      const ir::Location where = ir::locate(encoded_, header.pc);
      outcome.offset = source_offset(program_->module, where.function, where.inst);
    }
    if (header.exit == abi::Exit::returned) {
      for (std::uint64_t i = 0; i < program_->result_slots[function]; ++i) {
        outcome.values.push_back(read<std::uint64_t>(TilePool::Slab::stack, 8 * i));
      }
    }
    return outcome;
  }

  Result<std::vector<std::uint64_t>> global(std::uint32_t index) override {
    const std::vector<std::uint32_t> slots = ir::global_slots(program_->module);
    std::vector<std::uint64_t> values;
    for (std::uint32_t global = slots.at(index); global < slots.at(index + 1); ++global) {
      values.push_back(read<std::uint64_t>(TilePool::Slab::state,
                                           layout_.view.globals_at + std::uint64_t{8} * global));
    }
    return values;
  }

  Result<std::vector<std::byte>> memory(std::uint32_t index) override {
    const auto pages =
        read<std::uint32_t>(TilePool::Slab::state, layout_.view.memory_pages_at + 4 * index);
    std::vector<std::uint8_t> bytes(std::size_t{pages} * abi::page_bytes);
    pool_->read(TilePool::Slab::memory, slot, layout_.memories[index].at, bytes);
    std::vector<std::byte> result(bytes.size());
    std::ranges::transform(bytes, result.begin(),
                           [](std::uint8_t byte) { return std::byte{byte}; });
    return result;
  }

 private:
  static constexpr std::uint32_t slot = 5;  // not the first lane, whose addresses are the simplest
  // In each function of a small program places to go on at; a large one takes long enough.
  static constexpr std::uint32_t places = 4;
  static constexpr std::size_t small_program = 2'000;  // instructions

  Status set_up(ir::Module linked) {
    WARPHIVE_TRY_ASSIGN(program_, runtime::make_program(std::move(linked)));
    WARPHIVE_TRY(runtime::plan_layout(
        *program_, {.memory_pages = room_pages, .table_elements = room_elements}, layout_));
    WARPHIVE_TRY_ASSIGN(encoded_, ir::encode(program_->module));  // as devices get it: not fused
    codegen::DeviceOptions options;
    if (encoded_.insns.size() < small_program) options.resumes_per_function = places;
    WARPHIVE_TRY_ASSIGN(const auto objects,
                        codegen::compile_sim(program_->module, encoded_, options));
    WARPHIVE_TRY_ASSIGN(library_, codegen::NativeLibrary::load(objects, program_->module));
    code_ = encoded_.view();
    pool_ = std::make_unique<TilePool>(options.shape, code_, layout_.view, 1, true, 0);
    pool_->header(slot) = {};
    pool_->write(TilePool::Slab::state, slot, 0, runtime::initial_state(*program_, layout_));
    return {};
  }

  template <class T>
  [[nodiscard]] T read(TilePool::Slab slab, std::uint64_t at) const {
    std::uint8_t bytes[sizeof(T)];
    pool_->read(slab, slot, at, bytes);
    T value;
    std::memcpy(&value, bytes, sizeof(T));
    return value;
  }

  std::shared_ptr<const runtime::Program> program_;
  ir::EncodedProgram encoded_;
  runtime::Layout layout_;
  std::unique_ptr<codegen::NativeLibrary> library_;
  abi::Code code_ = {};
  std::unique_ptr<TilePool> pool_;
};

}  // namespace

Result<std::unique_ptr<Executor>> make_jit_sim_executor(ir::Module linked) {
  return SimExecutor::make(std::move(linked));
}

}  // namespace warphive::tools::spec
