// SPDX-License-Identifier: Apache-2.0
// What the code of a function is made with: values of webs and slots, and the ways out of a
// function. Private to codegen/emit.cpp.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "abi/native.hpp"
#include "codegen/analysis.hpp"
#include "codegen/emit.hpp"
#include "codegen/emit_types.hpp"
#include "codegen/exit_tree.hpp"
#include "codegen/scalar.hpp"
#include "codegen/target.hpp"
#include "codegen/vectors.hpp"

namespace warphive::codegen {

using abi::TrapKind;
using ir::Inst;
using ir::Op;
using scalar::Scalar;

/// One llvm::Function while it is made.
class FunctionFrame {
 protected:
  FunctionFrame(const Source& source, EmitTypes& types, std::uint32_t function,
                const FunctionAnalysis& analysis)
      : source_(source),
        types_(types),
        b_(types.context),
        index_(function),
        f_(source_.module->functions[function]),
        type_(source_.module->types[f_.type]),
        a_(analysis),
        exits_(analysis),
        base_(source_.encoded->functions[function].entry) {}
  ~FunctionFrame() = default;

  llvm::BasicBlock* block(const char* name) {
    return llvm::BasicBlock::Create(types_.context, name, fn_);
  }

  void begin() {
    fn_->addFnAttr(llvm::Attribute::NoUnwind);
    context_ = fn_->getArg(0);
    frame_ = fn_->getArg(1);
    b_.opaque_bits = types_.target.has_opaque_bits();
    lane_ = types_.target.lane(types_, b_, fn_);
    b_.SetInsertPoint(block("entry"));
    if (types_.offsets != nullptr) {
      fn_->setSubprogram(llvm::DISubprogram::getDistinct(
          types_.context, types_.offsets, fn_->getName(), fn_->getName(), types_.offsets, 0,
          llvm::DISubroutineType::get(types_.context, llvm::DINode::FlagZero, 0, nullptr), 0,
          nullptr, 0, 0, llvm::DINode::FlagZero, llvm::DISubprogram::SPFlagDefinition,
          types_.compile_unit));
      mark(0);
    }
    fuel_ = b_.CreateAlloca(types_.i64, nullptr, "fuel");
    webs_.resize(a_.webs.size());
    for (std::size_t i = 0; i < webs_.size(); ++i) {
      if (a_.webs[i].type == WebType::v128_high) continue;  // in the low half's
      webs_[i] = b_.CreateAlloca(variable_type(a_.webs[i]));
    }
    blocks_.resize(f_.blocks.size());
    for (std::size_t i = 0; i < blocks_.size(); ++i) blocks_[i] = block("b");
  }

  // The frame and the fuel

  /// What is made from here on comes from the guest's instruction `inst`.
  void mark(std::uint32_t inst) {
    if (fn_->getSubprogram() == nullptr) return;
    const std::uint32_t offset = inst < f_.source.size() ? f_.source[inst] : 0;
    b_.SetCurrentDebugLocation(
        llvm::DILocation::get(types_.context, offset, 0, fn_->getSubprogram()));
  }

  llvm::Value* fuel() { return b_.CreateLoad(types_.i64, fuel_); }
  void set_fuel(llvm::Value* value) { b_.CreateStore(value, fuel_); }

  llvm::StoreInst* store_slot(std::uint32_t slot, llvm::Value* bits) {
    llvm::StoreInst* store = b_.CreateAlignedStore(bits, lane_->slot(frame_, slot), llvm::Align(8));
    store->setMetadata(llvm::LLVMContext::MD_tbaa, types_.frame);
    return store;
  }
  void store_live(SlotRange range) {
    for (const SlotWeb& entry : a_.range(range)) {
      store_slot(entry.slot, scalar::integer_of(read(entry.web), 64).value);
    }
  }
  Scalar load_slot(const SlotWeb& entry) {
    llvm::LoadInst* load =
        b_.CreateAlignedLoad(types_.i64, lane_->slot(frame_, entry.slot), llvm::Align(8));
    load->setMetadata(llvm::LLVMContext::MD_tbaa, types_.frame);
    return {load, &b_, false};
  }

  // Values

  Scalar read(WebId web) {
    const Web& w = a_.webs[web];
    if (is_vector(w.type)) return read_half(web);
    return {b_.CreateLoad(types_.of(w.type), webs_[web]), &b_, w.raw};
  }
  Scalar read_integer(WebId web, unsigned bits) { return scalar::integer_of(read(web), bits); }
  void write(WebId web, Scalar value) {
    if (web == no_web) return;
    const Web& w = a_.webs[web];
    if (!w.raw) value = scalar::canonical(value);
    switch (w.type) {
      case WebType::i32:
        value = scalar::integer_of(value, 32);
        break;
      case WebType::i64:
        value = scalar::integer_of(value, 64);
        break;
      case WebType::f32:
        value = scalar::as_f32(value);
        break;
      case WebType::f64:
        value = scalar::as_f64(value);
        break;
      case WebType::v128:
      case WebType::v128_high:
        write_half(web, value);
        return;
    }
    b_.CreateStore(value.value, webs_[web]);
    forget_bounds(web);
  }
  void forget_bounds(WebId web) {
    in_bounds_.erase(in_bounds_.lower_bound({web, 0}), in_bounds_.lower_bound({web + 1, 0}));
  }

  // Vectors, in emit_simd.cpp

  llvm::Type* variable_type(const Web& web);
  vectors::Lanes read_variable(WebId low);
  void write_variable(WebId low, const vectors::Lanes& value);
  Scalar read_half(WebId web);
  void write_half(WebId web, const Scalar& value);
  vectors::Lanes read_vector(WebId low, WebId high);
  void write_vector(WebId low, WebId high, const vectors::Lanes& value);
  /// Values of these types, which lie in the slots of a range.
  void write_typed(std::span<const SlotWeb> slots, const std::vector<ir::ValueType>& types,
                   llvm::ArrayRef<llvm::Value*> values);
  std::vector<llvm::Value*> read_typed(std::span<const SlotWeb> slots,
                                       const std::vector<ir::ValueType>& types);
  /// On the way to `exit`: what a call returned is put away, as its helper does with results of one
  /// slot. Where the callee stopped (`left`) there is none.
  llvm::BasicBlock* keep_vector(llvm::Value* left, std::uint32_t slot, llvm::Value* value,
                                llvm::BasicBlock* exit);
  template <unsigned Bits>
  auto load_bits(llvm::Value* pointer);
  /// `pointer`, of a load or store, is checked.
  void emit_vector(const Inst& inst, const InstWebs& webs, llvm::Value* pointer);

  llvm::Value* global_pointer(const Inst& inst) {
    return lane_->global(types_.global_slots[ir::imm_low(inst)]);
  }

  /// As the machine type of a parameter or result.
  llvm::Value* typed(const Scalar& x, ir::ValueType type) {
    const Scalar exact = scalar::canonical(x);
    switch (type) {
      case ir::ValueType::i32:
        return scalar::integer_of(exact, 32).value;
      case ir::ValueType::f32:
        return scalar::as_f32(exact).value;
      case ir::ValueType::f64:
        return scalar::as_f64(exact).value;
      default:
        return scalar::integer_of(exact, 64).value;
    }
  }
  Scalar integer_constant(std::uint64_t value, unsigned bits) {
    return {llvm::ConstantInt::get(b_.getIntNTy(bits),
                                   value & (bits == 64 ? ~std::uint64_t{0} : 0xffffffffu)),
            &b_, false};
  }

  // Ways out

  /// The only result, in registers; more are left in the frame.
  [[nodiscard]] bool returns_value() const { return !is_resume_ && type_.results.size() == 1; }
  void emit_return(llvm::Value* value) {
    llvm::Value* result = llvm::PoisonValue::get(types_.result(type_));
    result = b_.CreateInsertValue(result, fuel(), {0});
    b_.CreateRet(b_.CreateInsertValue(result, value, {1}));
  }
  llvm::Value* helper(Helper which, llvm::ArrayRef<llvm::Value*> args) {
    llvm::CallInst* call = lane_->call(which, args);
    call->setDoesNotThrow();
    if (which == Helper::refill || which == Helper::trap) {
      // They touch nothing that compiled code reads: not memory, nor sizes, nor slots.
      call->setMemoryEffects(llvm::MemoryEffects::inaccessibleMemOnly());
    }
    return call;
  }
  /// Where the function ends with a lane that stopped, once these values are in the frame.
  llvm::BasicBlock* exit_with(SlotRange live) { return exit_block(exits_.add(a_.range(live))); }
  llvm::BasicBlock* exit_block(std::uint32_t node) {
    llvm::BasicBlock*& made = exit_blocks_[node];
    if (made == nullptr) made = block("stopped");
    return made;
  }
  void emit_exits() {
    for (std::uint32_t node = 1; node < exits_.nodes().size(); ++node) {
      if (!exits_.is_met(node)) continue;
      b_.SetInsertPoint(exit_block(node));
      std::uint32_t at = node;
      do {
        const SlotWeb& value = exits_.nodes()[at].value;
        store_slot(value.slot, scalar::integer_of(read(value.web), 64).value);
        at = exits_.nodes()[at].parent;
      } while (at != ExitTree::root && !exits_.is_met(at));
      b_.CreateBr(exit_block(at));
    }
    if (exit_blocks_.empty()) return;
    b_.SetInsertPoint(exit_block(ExitTree::root));
    llvm::Value* stopped = b_.getInt64(static_cast<std::uint64_t>(abi::native_stopped));
    if (!is_resume_ && type_.results.size() == 1) {
      stopped = b_.CreateInsertValue(llvm::PoisonValue::get(types_.result(type_)), stopped, {0});
    }
    b_.CreateRet(stopped);
  }

  /// Fuel for `need` units, or the lane stops at `inst`.
  void check(std::uint64_t need, std::uint32_t inst, SlotRange live) {
    llvm::Value* have = fuel();
    llvm::BasicBlock* low = block("low");
    llvm::BasicBlock* enough = block("enough");
    llvm::Value* is_low = b_.CreateICmpSLT(have, b_.getInt64(need));
    b_.CreateCondBr(is_low, low, enough, types_.unlikely);
    b_.SetInsertPoint(low);
    refill(have, need, inst, live, enough);
    b_.SetInsertPoint(enough);
  }
  void refill(llvm::Value* have, std::uint64_t need, std::uint32_t inst, SlotRange live,
              llvm::BasicBlock* enough) {
    llvm::Value* more = helper(
        Helper::refill, {context_, frame_, have, b_.getInt32(static_cast<std::uint32_t>(need)),
                         b_.getInt32(base_ + inst)});
    set_fuel(more);
    b_.CreateCondBr(b_.CreateICmpSLT(more, b_.getInt64(0)), exit_with(live), enough,
                    types_.unlikely);
  }

  /// One block for all traps of the function.
  void trap_if(llvm::Value* condition, llvm::Value* kind, std::uint32_t inst) {
    if (trap_block_ == nullptr) {
      trap_block_ = block("trap");
      Builder t(trap_block_);
      trap_fuel_ = t.CreatePHI(types_.i64, 8);
      trap_insn_ = t.CreatePHI(types_.i32, 8);
      trap_kind_ = t.CreatePHI(types_.i32, 8);
    }
    trap_fuel_->addIncoming(fuel(), b_.GetInsertBlock());
    trap_insn_->addIncoming(b_.getInt32(base_ + inst), b_.GetInsertBlock());
    trap_kind_->addIncoming(kind, b_.GetInsertBlock());
    if (condition == nullptr) {
      b_.CreateBr(trap_block_);
      return;
    }
    llvm::BasicBlock* next = block("ok");
    b_.CreateCondBr(condition, trap_block_, next, types_.unlikely);
    b_.SetInsertPoint(next);
  }
  void trap_if(llvm::Value* condition, TrapKind kind, std::uint32_t inst) {
    trap_if(condition, scalar::kind(b_, kind), inst);
  }
  void trap_on(TrapKind, std::uint32_t) {}  // the table's rows that cannot trap
  void trap_on(const scalar::Traps& traps, std::uint32_t inst) {
    for (const auto& [condition, kind] : traps.tests) trap_if(condition, kind, inst);
  }

  const Source& source_;
  EmitTypes& types_;
  Builder b_;
  std::uint32_t index_;
  const ir::Function& f_;
  const ir::FunctionType& type_;
  const FunctionAnalysis& a_;
  ExitTree exits_;
  std::map<std::uint32_t, llvm::BasicBlock*> exit_blocks_;  // by node
  std::uint32_t base_;  // index of the function's first instruction in the encoded program
  bool is_resume_ = false;
  llvm::Function* fn_ = nullptr;
  llvm::Value* context_ = nullptr;
  llvm::Value* frame_ = nullptr;
  llvm::Value* fuel_ = nullptr;
  std::unique_ptr<LaneAccess> lane_;
  std::vector<llvm::Value*> webs_;
  /// By web and memory: bytes behind that address which were found to be inside of the memory, on
  /// every way to where code is made. Memories never shrink, so it stays true of a lane that comes
  /// in from the interpreter.
  std::map<std::pair<WebId, std::uint32_t>, std::uint64_t> in_bounds_;
  std::vector<llvm::BasicBlock*> blocks_;
  llvm::BasicBlock* trap_block_ = nullptr;
  llvm::PHINode *trap_fuel_ = nullptr, *trap_insn_ = nullptr, *trap_kind_ = nullptr;
};

}  // namespace warphive::codegen
