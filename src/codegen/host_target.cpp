// SPDX-License-Identifier: Apache-2.0
// Host code: a lane's state is contiguous, the context is exec::HostContext.
#include <cstddef>
#include <string>
#include <vector>

#include "abi/state.hpp"
#include "base/check.hpp"
#include "codegen/emit_types.hpp"
#include "codegen/target.hpp"
#include "exec/host_machine.hpp"
#include "exec/native.hpp"
#include "opt/edit.hpp"

namespace warphive::codegen {
namespace {

using exec::HostContext;
using exec::NativeHelpers;

// Frames with more slots than this check the native stack even in functions that call nobody.
constexpr std::uint32_t small_frame = 128;

class HostLane final : public LaneAccess {
 public:
  using LaneAccess::LaneAccess;

  llvm::Value* memory(std::uint32_t index, llvm::Value* at) override {
    return b_.CreateInBoundsGEP(b_.getInt8Ty(), memory_base(index), at);
  }
  llvm::Value* global(std::uint32_t slot) override {
    return b_.CreateConstInBoundsGEP1_64(types_.i64, entry_field(Field::globals), slot);
  }
  llvm::Value* slot(llvm::Value* frame, std::uint32_t slot) override {
    if (frame_block_ != b_.GetInsertBlock() || frame_ != frame) {
      llvm::Value* end = field(Field::stack_end);
      llvm::Value* left = b_.CreateNeg(b_.CreateAnd(frame, 0xffffffffu));
      frame_pointer_ = b_.CreateGEP(types_.i64, end, left);
      frame_block_ = b_.GetInsertBlock();
      frame_ = frame;
    }
    return b_.CreateConstInBoundsGEP1_64(types_.i64, frame_pointer_, slot);
  }
  llvm::Value* element(std::uint32_t table, llvm::Value* index) override {
    llvm::Value* elements = entry_field(Field::table0);
    if (table != 0) elements = table_elements(table);
    return b_.CreateInBoundsGEP(types_.i64, elements, b_.CreateZExt(index, types_.i64));
  }
  llvm::Value* table_size(std::uint32_t table) override {
    return b_.CreateConstInBoundsGEP1_64(types_.i32, entry_field(Field::table_sizes), table);
  }
  llvm::Value* memory_pages(std::uint32_t index) override {
    llvm::Value* at = layout_field(offsetof(abi::ProgramLayout, memory_pages_at), types_.i32);
    llvm::Value* pages = b_.CreateInBoundsGEP(b_.getInt8Ty(), entry_field(Field::state),
                                              b_.CreateZExt(at, types_.i64));
    return byte(pages, 4 * std::uint64_t{index});
  }
  llvm::Value* stack_pointer() override {
    const bool x86 = types_.module.getTargetTriple().rfind("x86_64", 0) == 0;
    llvm::MDNode* name =
        llvm::MDNode::get(types_.context, llvm::MDString::get(types_.context, x86 ? "rsp" : "sp"));
    return b_.CreateIntrinsic(llvm::Intrinsic::read_register, {types_.i64},
                              {llvm::MetadataAsValue::get(types_.context, name)});
  }
  llvm::CallInst* call(Helper helper, llvm::ArrayRef<llvm::Value*> args) override {
    std::vector<llvm::Type*> params;
    for (llvm::Value* arg : args) params.push_back(arg->getType());
    auto* type = llvm::FunctionType::get(types_.i64, params, false);
    if (helper != Helper::refill && helper != Helper::behind_call) {
      return b_.CreateCall(type, address(b_, args[0], helper), args);
    }
    llvm::Function* cold = cold_call(type, helper);
    llvm::CallInst* call = b_.CreateCall(cold, args);
    call->setCallingConv(cold->getCallingConv());
    call->addParamAttr(0, llvm::Attribute::SwiftSelf);
    return call;
  }

 private:
  llvm::Value* address(Builder& b, llvm::Value* context, Helper helper) {
    const auto load = [&](llvm::Value* from, std::size_t offset) {
      llvm::LoadInst* value = b.CreateAlignedLoad(
          types_.pointer, b.CreateConstInBoundsGEP1_64(b.getInt8Ty(), from, offset),
          llvm::Align(8));
      value->setMetadata(llvm::LLVMContext::MD_invariant_load, types_.empty());
      return value;
    };
    return load(load(context, offsetof(HostContext, helpers)), address_of(helper));
  }
  /// What calls a helper that hardly ever is: it keeps all registers, so that what lives across
  /// costs nothing where it is not called.
  llvm::Function* cold_call(llvm::FunctionType* type, Helper helper) {
    const std::string name = "cold" + std::to_string(address_of(helper));
    if (llvm::Function* found = types_.module.getFunction(name)) return found;
    auto* f = llvm::Function::Create(type, llvm::Function::InternalLinkage, name, types_.module);
    f->setCallingConv(llvm::CallingConv::PreserveAll);
    f->addFnAttr(llvm::Attribute::Cold);
    f->addFnAttr(llvm::Attribute::NoInline);
    f->addFnAttr(llvm::Attribute::NoUnwind);
    f->addParamAttr(0, llvm::Attribute::SwiftSelf);
    Builder b(llvm::BasicBlock::Create(types_.context, "entry", f));
    std::vector<llvm::Value*> args;
    for (llvm::Argument& arg : f->args()) args.push_back(&arg);
    b.CreateRet(b.CreateCall(type, address(b, args[0], helper), args));
    return f;
  }
  static std::size_t address_of(Helper helper) {
    switch (helper) {
      case Helper::refill:
        return offsetof(NativeHelpers, refill);
      case Helper::step:
        return offsetof(NativeHelpers, step);
      case Helper::trap:
        return offsetof(NativeHelpers, trap);
      case Helper::behind_call:
        return offsetof(NativeHelpers, behind_call);
    }
    WARPHIVE_UNREACHABLE();
  }
  llvm::Value* memory_base(std::uint32_t index) {
    if (index == 0) return entry_field(Field::memory0);
    llvm::Value* memories = layout_field(offsetof(abi::ProgramLayout, memories), types_.pointer);
    llvm::Value* at = constant_load(
        types_.i64, memories, sizeof(abi::MemoryLayout) * index + offsetof(abi::MemoryLayout, at));
    return b_.CreateInBoundsGEP(b_.getInt8Ty(), entry_field(Field::memory), at);
  }
  /// Where the elements of a table other than 0 lie in this instance's state.
  llvm::Value* table_elements(std::uint32_t table) {
    llvm::Value* tables = layout_field(offsetof(abi::ProgramLayout, tables), types_.pointer);
    llvm::Value* at = constant_load(
        types_.i32, tables, sizeof(abi::TableLayout) * table + offsetof(abi::TableLayout, at));
    return b_.CreateInBoundsGEP(b_.getInt8Ty(), entry_field(Field::state),
                                b_.CreateZExt(at, types_.i64));
  }

  llvm::Value* frame_ = nullptr;
  llvm::Value* frame_pointer_ = nullptr;  // of slot 0, valid in the next
  llvm::BasicBlock* frame_block_ = nullptr;
};

class HostCode final : public Target {
 public:
  [[nodiscard]] std::size_t offset(Field field) const override {
    switch (field) {
      case Field::stack_end:
        return offsetof(HostContext, stack_end);
      case Field::globals:
        return offsetof(HostContext, globals);
      case Field::state:
        return offsetof(HostContext, state);
      case Field::layout:
        return offsetof(HostContext, layout);
      case Field::memory:
        return offsetof(HostContext, memory);
      case Field::memory0:
        return offsetof(HostContext, memory0);
      case Field::limit0:
        return offsetof(HostContext, limit0);
      case Field::table0:
        return offsetof(HostContext, table0);
      case Field::table_sizes:
        return offsetof(HostContext, table_sizes);
      case Field::targets:
        return offsetof(HostContext, targets);
      case Field::helpers:
        return offsetof(HostContext, helpers);
      case Field::native_floor:
        return offsetof(HostContext, native_floor);
      case Field::refused_fuel:
        return offsetof(HostContext, refused_fuel);
    }
    WARPHIVE_UNREACHABLE();
  }
  [[nodiscard]] bool checks_native_stack(const ir::Module& module,
                                         std::uint32_t function) const override {
    const ir::Function& f = module.functions[function];
    if (f.frame_slots > small_frame) return true;
    for (const ir::Inst& inst : f.code) {
      if (opt::is_call(inst.op) || inst.op == ir::Op::host_call) return true;
    }
    return false;
  }
  void describe(llvm::Function& function) const override {
    function.setVisibility(llvm::GlobalValue::HiddenVisibility);
    function.setDSOLocal(true);
  }
  // A register that calls leave as it is: nobody has to save or move the context.
  void describe_guest(llvm::Function& function) const override {
    function.addParamAttr(0, llvm::Attribute::SwiftSelf);
  }
  void describe_guest_call(llvm::CallInst& call) const override {
    call.addParamAttr(0, llvm::Attribute::SwiftSelf);
  }
  [[nodiscard]] std::unique_ptr<LaneAccess> lane(EmitTypes& types, Builder& builder,
                                                 llvm::Function* function) const override {
    return std::make_unique<HostLane>(types, builder, function);
  }
};

}  // namespace

const Target& host_code() {
  static const HostCode code;
  return code;
}

}  // namespace warphive::codegen
