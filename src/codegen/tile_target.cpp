// SPDX-License-Identifier: Apache-2.0
#include "codegen/tile_target.hpp"

#include <algorithm>
#include <cstddef>
#include <string>

#include "abi/state.hpp"
#include "base/check.hpp"
#include "codegen/emit_types.hpp"
#include "exec/native.hpp"
#include "exec/tile_machine.hpp"

namespace warphive::codegen {
namespace {

using exec::TileContext;

/// Functions from which calls lead back to themselves, among direct calls: Tarjan's components,
/// without recursion of its own.
class CallCycles {
 public:
  explicit CallCycles(const ir::Module& module)
      : in_cycle(module.functions.size()),
        callees_(module.functions.size()),
        number_(module.functions.size()),
        lowest_(module.functions.size()),
        on_stack_(module.functions.size()) {
    for (std::uint32_t i = 0; i < callees_.size(); ++i) {
      for (const ir::Inst& inst : module.functions[i].code) {
        if (inst.op != ir::Op::call) continue;
        callees_[i].push_back(ir::imm_low(inst));
        if (ir::imm_low(inst) == i) in_cycle[i] = true;
      }
    }
    for (std::uint32_t i = 0; i < callees_.size(); ++i) {
      if (number_[i] == 0) search(i);
    }
  }

  std::vector<bool> in_cycle;

 private:
  struct Visit {
    std::uint32_t function;
    std::size_t next;
  };
  void open(std::uint32_t function) {
    number_[function] = lowest_[function] = ++last_;
    stack_.push_back(function);
    on_stack_[function] = true;
    visits_.push_back({function, 0});
  }
  void search(std::uint32_t root) {
    open(root);
    while (!visits_.empty()) {
      Visit& visit = visits_.back();
      const std::uint32_t function = visit.function;
      if (visit.next < callees_[function].size()) {
        const std::uint32_t callee = callees_[function][visit.next++];
        if (number_[callee] == 0) {
          open(callee);
        } else if (on_stack_[callee]) {
          lowest_[function] = std::min(lowest_[function], number_[callee]);
        }
        continue;
      }
      visits_.pop_back();
      if (!visits_.empty()) {
        std::uint32_t& above = lowest_[visits_.back().function];
        above = std::min(above, lowest_[function]);
      }
      if (lowest_[function] == number_[function]) close(function);
    }
  }
  void close(std::uint32_t first) {
    const bool alone = stack_.back() == first;
    std::uint32_t function = 0;
    do {
      function = stack_.back();
      stack_.pop_back();
      on_stack_[function] = false;
      if (!alone) in_cycle[function] = true;
    } while (function != first);
  }

  std::vector<std::vector<std::uint32_t>> callees_;
  std::vector<std::uint32_t> number_, lowest_, stack_;
  std::vector<bool> on_stack_;
  std::vector<Visit> visits_;
  std::uint32_t last_ = 0;
};

class TileLane : public LaneAccess {
 public:
  using LaneAccess::LaneAccess;

  llvm::Value* memory(std::uint32_t index, llvm::Value* at) override {
    if (index == 0) return place(RegionId::memory0, at);
    llvm::Value* memories =
        layout_field(offsetof(abi::ProgramLayout, memories), types_.data_pointer);
    llvm::Value* start = constant_load(
        types_.i64, memories, sizeof(abi::MemoryLayout) * index + offsetof(abi::MemoryLayout, at));
    return place(RegionId::memory, b_.CreateAdd(start, at));
  }
  llvm::Value* global(std::uint32_t slot) override {
    return place(RegionId::globals, b_.getInt64(8 * std::uint64_t{slot}));
  }
  llvm::Value* slot(llvm::Value* frame, std::uint32_t slot) override {
    llvm::Value* left = b_.CreateShl(b_.CreateAnd(frame, 0xffffffffu), 3);
    return place(RegionId::stack,
                 b_.CreateAdd(b_.CreateNeg(left), b_.getInt64(8 * std::uint64_t{slot})));
  }
  llvm::Value* element(std::uint32_t table, llvm::Value* index) override {
    llvm::Value* at = b_.CreateShl(b_.CreateZExt(index, types_.i64), 3);
    if (table == 0) return place(RegionId::table0, at);
    llvm::Value* tables = layout_field(offsetof(abi::ProgramLayout, tables), types_.data_pointer);
    llvm::Value* start = constant_load(
        types_.i32, tables, sizeof(abi::TableLayout) * table + offsetof(abi::TableLayout, at));
    return place(RegionId::state, b_.CreateAdd(b_.CreateZExt(start, types_.i64), at));
  }
  llvm::Value* table_size(std::uint32_t table) override {
    return place(RegionId::table_sizes, b_.getInt64(4 * std::uint64_t{table}));
  }
  llvm::Value* memory_pages(std::uint32_t index) override {
    llvm::Value* at = layout_field(offsetof(abi::ProgramLayout, memory_pages_at), types_.i32);
    return place(RegionId::state, b_.CreateAdd(b_.CreateZExt(at, types_.i64),
                                               b_.getInt64(4 * std::uint64_t{index})));
  }

 private:
  llvm::Value* place(RegionId id, llvm::Value* at) {
    const Region& region = regions[static_cast<std::size_t>(id)];
    llvm::GlobalVariable* start = types_.module.getGlobalVariable(region.symbol);
    if (start == nullptr) {
      start =
          new llvm::GlobalVariable(types_.module, llvm::ArrayType::get(b_.getInt8Ty(), 0), false,
                                   llvm::GlobalValue::ExternalLinkage, nullptr, region.symbol,
                                   nullptr, llvm::GlobalValue::NotThreadLocal, region.space);
    }
    return b_.CreateGEP(b_.getInt8Ty(), start, at);
  }
};

class SimLane final : public TileLane {
 public:
  SimLane(EmitTypes& types, Builder& builder, llvm::Function* function)
      : TileLane(types, builder, function), host_(host_code().lane(types, builder, function)) {}

  llvm::Value* stack_pointer() override { return host_->stack_pointer(); }
  llvm::CallInst* call(Helper helper, llvm::ArrayRef<llvm::Value*> args) override {
    return host_->call(helper, args);
  }

 private:
  std::unique_ptr<LaneAccess> host_;
};

class NvptxLane final : public TileLane {
 public:
  using TileLane::TileLane;

  llvm::Value* stack_pointer() override {
    llvm::InlineAsm* read = llvm::InlineAsm::get(llvm::FunctionType::get(types_.i64, false),
                                                 "stacksave.u64 $0;", "=l", /*sideeffect=*/true);
    return b_.CreateCall(read, {});
  }
  llvm::CallInst* call(Helper helper, llvm::ArrayRef<llvm::Value*> args) override {
    std::vector<llvm::Value*> passed(args.begin(), args.end());
    passed[0] = b_.CreateAddrSpaceCast(passed[0], types_.pointer);
    std::vector<llvm::Type*> params;
    params.reserve(passed.size());
    for (llvm::Value* arg : passed) params.push_back(arg->getType());
    return b_.CreateCall(types_.module.getOrInsertFunction(
                             name(helper), llvm::FunctionType::get(types_.i64, params, false)),
                         passed);
  }

 private:
  static const char* name(Helper helper) {
    switch (helper) {
      case Helper::refill:
        return "warphive_refill";
      case Helper::step:
        return "warphive_step";
      case Helper::trap:
        return "warphive_trap";
      case Helper::behind_call:
        return "warphive_behind_call";
    }
    WARPHIVE_UNREACHABLE();
  }
};

}  // namespace

TileTarget::TileTarget(const ir::Module& program, const abi::TileShape& shape)
    : shape_(shape), in_cycle_(CallCycles(program).in_cycle) {
  for (const ir::Function& function : program.functions) {
    calls_.push_back(
        std::any_of(function.code.begin(), function.code.end(), [](const ir::Inst& inst) {
          return inst.op == ir::Op::call || inst.op == ir::Op::call_indirect;
        }));
  }
}

std::size_t TileTarget::offset(Field field) const {
  switch (field) {
    case Field::stack_end:
      return offsetof(TileContext, stack_end);
    case Field::globals:
      return offsetof(TileContext, globals);
    case Field::state:
      return offsetof(TileContext, state);
    case Field::layout:
      return offsetof(TileContext, layout);
    case Field::memory:
      return offsetof(TileContext, memory);
    case Field::memory0:
      return offsetof(TileContext, memory0);
    case Field::limit0:
      return offsetof(TileContext, limit0);
    case Field::table0:
      return offsetof(TileContext, table0);
    case Field::table_sizes:
      return offsetof(TileContext, table_sizes);
    case Field::targets:
      return offsetof(TileContext, targets);
    case Field::helpers:
      return offsetof(TileContext, helpers);
    case Field::native_floor:
      return offsetof(TileContext, native_floor);
    case Field::refused_fuel:
      return offsetof(TileContext, refused_fuel);
  }
  WARPHIVE_UNREACHABLE();
}

bool TileTarget::checks_native_stack(const ir::Module&, std::uint32_t function) const {
  return calls_[function];
}

void SimTarget::describe(llvm::Function& function) const { host_code().describe(function); }

std::unique_ptr<LaneAccess> SimTarget::lane(EmitTypes& types, Builder& builder,
                                            llvm::Function* function) const {
  return std::make_unique<SimLane>(types, builder, function);
}

void NvptxTarget::describe(llvm::Function&) const {}

std::unique_ptr<LaneAccess> NvptxTarget::lane(EmitTypes& types, Builder& builder,
                                              llvm::Function* function) const {
  return std::make_unique<NvptxLane>(types, builder, function);
}

}  // namespace warphive::codegen
