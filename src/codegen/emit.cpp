// SPDX-License-Identifier: Apache-2.0
#include "codegen/emit.hpp"

#include <algorithm>
#include <cstddef>
#include <map>
#include <memory>
#include <optional>

#include "abi/state.hpp"
#include "base/check.hpp"
#include "codegen/emit_frame.hpp"
#include "codegen/float_ops.hpp"
#include "ir/operands.hpp"
#include "opt/edit.hpp"

namespace warphive::codegen {

using ir::Shape;

namespace {

constexpr std::uint64_t frame_overflow = 0x8000000080000000u;

}  // namespace

/// Makes a function's body, or a variant that starts inside.
class Emitter::FunctionEmitter : FunctionFrame {
 public:
  FunctionEmitter(Emitter& owner, std::uint32_t function, const FunctionAnalysis& analysis)
      : FunctionFrame(owner.source_, *owner.types_, function, analysis) {}

  void emit_body() {
    fn_ = types_.declare_guest(function_symbol(index_), types_.function(f_.type));
    begin();
    std::vector<llvm::Value*> params;
    params.reserve(type_.params.size());
    for (std::uint32_t i = 0; i < type_.params.size(); ++i) params.push_back(fn_->getArg(3 + i));
    // The frame's slots and its call: one subtraction, a sign bit in either half.
    llvm::Value* left = b_.CreateSub(frame_, b_.getInt64(f_.frame_slots));
    llvm::Value* over = b_.CreateICmpNE(b_.CreateAnd(left, frame_overflow), b_.getInt64(0));
    if (types_.target.checks_native_stack(*source_.module, index_)) {
      llvm::Value* sp = lane_->stack_pointer();
      llvm::Value* floor = lane_->field(Field::native_floor);
      over = b_.CreateOr(over, b_.CreateICmpULT(sp, floor));
    }
    llvm::BasicBlock* refuse = block("refuse");
    llvm::BasicBlock* enter = block("enter");
    b_.CreateCondBr(over, refuse, enter, types_.unlikely);
    b_.SetInsertPoint(refuse);
    llvm::Function* stub = types_.declare_guest(refuse_symbol(f_.type), types_.function(f_.type));
    std::vector<llvm::Value*> args{context_, frame_, fn_->getArg(2)};
    args.insert(args.end(), params.begin(), params.end());
    llvm::CallInst* refused = types_.call_guest(b_, stub->getFunctionType(), stub, args);
    refused->setTailCall();
    b_.CreateRet(refused);

    b_.SetInsertPoint(enter);
    set_fuel(fn_->getArg(2));
    write_typed(a_.range(a_.entry), type_.params, params);
    for (const SlotWeb& entry : a_.range(a_.zeroed)) write(entry.web, {b_.getInt32(0), &b_, false});
    if (a_.blocks[0].need != 0) check(a_.blocks[0].need, 1, a_.entry_live);
    b_.CreateBr(blocks_[0]);
    emit_blocks();
  }

  /// Whether code can go on there.
  [[nodiscard]] bool is_place(std::uint32_t inst) const {
    return checked_block(inst).has_value() || (inst != 0 && a_.sites[inst - 1] != ir::none &&
                                               a_.site_list[a_.sites[inst - 1]].checks_after);
  }

  /// Goes on at any of these places, which are not none.
  void emit_resume(const std::string& symbol, std::span<const std::uint32_t> insts) {
    is_resume_ = true;
    fn_ = types_.declare(symbol, types_.resume());
    begin();
    set_fuel(fn_->getArg(2));
    llvm::BasicBlock* nowhere = block("nowhere");
    llvm::SwitchInst* where = b_.CreateSwitch(fn_->getArg(3), nowhere);
    b_.SetInsertPoint(nowhere);
    b_.CreateUnreachable();
    for (const std::uint32_t inst : insts) {
      llvm::BasicBlock* load = block("load");
      where->addCase(b_.getInt32(base_ + inst), load);
      b_.SetInsertPoint(load);
      const std::optional<std::uint32_t> at_block = checked_block(inst);
      const SlotRange live =
          at_block ? a_.blocks[*at_block].live_in : a_.site_list[a_.sites[inst - 1]].live_after;
      for (const SlotWeb& entry : a_.range(live)) write(entry.web, load_slot(entry));
      llvm::BasicBlock* go_on =
          at_block ? blocks_[*at_block] : resume_blocks_[inst - 1] = block("resume");
      b_.CreateBr(go_on);
    }
    emit_blocks();
  }

 private:
  /// The block that begins there, if fuel is checked in it.
  [[nodiscard]] std::optional<std::uint32_t> checked_block(std::uint32_t inst) const {
    const auto found = std::lower_bound(f_.blocks.begin(), f_.blocks.end(), inst);
    const auto index = static_cast<std::uint32_t>(found - f_.blocks.begin());
    const bool is_one = found != f_.blocks.end() && *found == inst && a_.blocks[index].is_check;
    return is_one ? std::optional(index) : std::nullopt;
  }

  // Blocks and instructions

  [[nodiscard]] std::size_t end_of(std::uint32_t index) const {
    return index + 1 < f_.blocks.size() ? f_.blocks[index + 1] : f_.code.size();
  }

  void emit_blocks() {
    std::vector<bool> is_joined(f_.blocks.size());  // come to from elsewhere than the block before
    for (std::uint32_t i = 0; i < f_.blocks.size(); ++i) {
      opt::for_each_successor(f_, i, [&](std::uint32_t next) {
        if (next != i + 1) is_joined[next] = true;
      });
    }
    for (std::uint32_t i = 0; i < f_.blocks.size(); ++i) {
      b_.SetInsertPoint(blocks_[i]);
      if (is_joined[i]) in_bounds_.clear();
      const BlockFacts& facts = a_.blocks[i];
      if (facts.is_check && i != 0) check(facts.need, f_.blocks[i], facts.live_in);
      bool open = true;
      for (std::size_t k = f_.blocks[i]; k < end_of(i); ++k) {
        emit(static_cast<std::uint32_t>(k), i);
        open = !ir::ends_block(f_.code[k].op);
      }
      if (open) b_.CreateBr(blocks_[i + 1]);
    }
    if (trap_block_ != nullptr) {
      b_.SetInsertPoint(trap_block_);
      helper(Helper::trap, {context_, frame_, trap_fuel_, trap_insn_, trap_kind_});
      b_.CreateBr(exit_with({}));
    }
    emit_exits();
  }

  void branch(llvm::Value* condition, std::uint32_t target, std::uint32_t next) {
    b_.CreateCondBr(condition, blocks_[target], blocks_[next]);
  }

  void emit(std::uint32_t at, std::uint32_t block_index) {
    const Inst& inst = f_.code[at];
    const InstWebs& webs = a_.insts[at];
    mark(at);
    if (is_out_of_line(inst)) {
      emit_step(at);
      return;
    }
    switch (inst.op) {
#define WARPHIVE_X(src, web) \
  [[maybe_unused]] const Scalar x = operand(webs.reads[web], src, float_operand(inst.op))
#define WARPHIVE_EMIT_d_a(name, dst, src, result, trap)                \
  case Op::name: {                                                     \
    WARPHIVE_X(src, 1);                                                \
    using namespace scalar; /* NOLINT(google-build-using-namespace) */ \
    trap_on(trap, at);                                                 \
    write(webs.writes[0], extended(result));                           \
    break;                                                             \
  }
#define WARPHIVE_EMIT_d_ab(name, dst, src, result, trap)                  \
  case Op::name: {                                                        \
    WARPHIVE_X(src, 1);                                                   \
    const Scalar y = operand(webs.reads[2], src, float_operand(inst.op)); \
    using namespace scalar; /* NOLINT(google-build-using-namespace) */    \
    trap_on(trap, at);                                                    \
    write(webs.writes[0], extended(result));                              \
    break;                                                                \
  }
#define WARPHIVE_EMIT_d_ak(name, dst, src, result, trap)               \
  case Op::name: {                                                     \
    WARPHIVE_X(src, 1);                                                \
    const Scalar y = integer_constant(inst.imm, src);                  \
    using namespace scalar; /* NOLINT(google-build-using-namespace) */ \
    trap_on(trap, at);                                                 \
    write(webs.writes[0], extended(result));                           \
    break;                                                             \
  }
#define WARPHIVE_EMIT_br_ab(name, dst, src, result, trap)                 \
  case Op::name: {                                                        \
    WARPHIVE_X(src, 0);                                                   \
    const Scalar y = operand(webs.reads[1], src, float_operand(inst.op)); \
    using namespace scalar; /* NOLINT(google-build-using-namespace) */    \
    branch((result).value, ir::imm_low(inst), block_index + 1);           \
    break;                                                                \
  }
#define WARPHIVE_EMIT_br_ak(name, dst, src, result, trap)                                          \
  case Op::name: {                                                                                 \
    WARPHIVE_X(src, 0);                                                                            \
    const Scalar y = integer_constant(static_cast<std::uint64_t>(ir::branch_constant(inst)), src); \
    using namespace scalar; /* NOLINT(google-build-using-namespace) */                             \
    branch((result).value, ir::imm_low(inst), block_index + 1);                                    \
    break;                                                                                         \
  }
// All other shapes have arms below; a new shape does not compile until it has one here.
#define WARPHIVE_EMIT_d_k(...)
#define WARPHIVE_EMIT_d_abc(...)
#define WARPHIVE_EMIT_d_g(...)
#define WARPHIVE_EMIT_g_a(...)
#define WARPHIVE_EMIT_d_ag(...)
#define WARPHIVE_EMIT_ab_g(...)
#define WARPHIVE_EMIT_a_g(...)
#define WARPHIVE_EMIT_g(...)
#define WARPHIVE_EMIT_load(...)
#define WARPHIVE_EMIT_store(...)
#define WARPHIVE_EMIT_bulk(...)
#define WARPHIVE_EMIT_br(...)
#define WARPHIVE_EMIT_br_table(...)
#define WARPHIVE_EMIT_enter(...)
#define WARPHIVE_EMIT_call(...)
#define WARPHIVE_EMIT_call_indirect(...)
#define WARPHIVE_EMIT_ret(...)
#define WARPHIVE_EMIT_ret_mov(...)
#define WARPHIVE_OP(name, shape, dst, src, traits, result, trap) \
  WARPHIVE_EMIT_##shape(name, dst, src, result, trap)
#define WARPHIVE_WITHOUT_VECTORS  // codegen/emit_simd.cpp has them
#include "ir/ops.inc"
#undef WARPHIVE_WITHOUT_VECTORS
      default:
        emit_other(at, inst, webs);
        break;
    }
  }

  static FloatKind float_operand(Op op) {
    return shows_bits(op) || op == Op::mov ? FloatKind::none : float_operands(op);
  }
  Scalar operand(WebId web, unsigned bits, FloatKind kind) {
    const Scalar x = read(web);
    if (kind == FloatKind::f32) return scalar::as_f32(x);
    if (kind == FloatKind::f64) return scalar::as_f64(x);
    return bits == 0 ? x : scalar::integer_of(x, bits);
  }
  static Scalar extended(const Scalar& x) { return x.bits() == 1 ? scalar::integer_of(x, 32) : x; }

  void emit_other(std::uint32_t at, const Inst& inst, const InstWebs& webs) {
    if (webs.vectors != ir::none) {
      const Shape shape = info(inst.op).shape;
      llvm::Value* pointer = nullptr;
      if (shape == Shape::load_v || shape == Shape::store_v) {
        const WebId address_web = webs.reads[shape == Shape::load_v ? 1 : 0];
        pointer = address(at, address_web, inst, ir::info(Op{inst.op}).src_bits / 8);
      }
      emit_vector(inst, webs, pointer);
      return;
    }
    switch (info(inst.op).shape) {
      case Shape::d_k:
        write(webs.writes[0], integer_constant(inst.imm, 64));
        break;
      case Shape::d_a:
        break;
      case Shape::d_abc: {
        llvm::Value* condition =
            b_.CreateICmpNE(read_integer(webs.reads[3], 32).value, b_.getInt32(0));
        Scalar x = read(webs.reads[1]);
        Scalar y = read(webs.reads[2]);
        if (x.value->getType() != y.value->getType()) {
          x = scalar::integer_of(x, 64);
          y = scalar::integer_of(y, 64);
        } else if (x.raw != y.raw) {
          x = scalar::canonical(x);
          y = scalar::canonical(y);
        }
        write(webs.writes[0], {b_.CreateSelect(condition, x.value, y.value), &b_, x.raw});
        break;
      }
      case Shape::d_g:
        emit_get(inst, webs);
        break;
      case Shape::g_a: {
        llvm::StoreInst* store = b_.CreateAlignedStore(read_integer(webs.reads[0], 64).value,
                                                       global_pointer(inst), llvm::Align(8));
        store->setMetadata(llvm::LLVMContext::MD_tbaa, types_.global);
        break;
      }
      case Shape::load:
        emit_load(at, inst, webs);
        break;
      case Shape::store:
        emit_store(at, inst, webs);
        break;
      case Shape::g:
        if (inst.op == Op::charge) {
          set_fuel(b_.CreateSub(fuel(), b_.getInt64(inst.imm)));
        } else {
          trap_if(nullptr, static_cast<TrapKind>(inst.imm), at);
        }
        break;
      case Shape::br:
        b_.CreateBr(blocks_[ir::imm_low(inst)]);
        break;
      case Shape::br_table: {
        const auto& table = f_.branch_tables[ir::imm_low(inst)];
        const auto count = static_cast<unsigned>(table.size() - 1);
        llvm::SwitchInst* jump =
            b_.CreateSwitch(read_integer(webs.reads[0], 32).value, blocks_[table.back()], count);
        for (unsigned i = 0; i < count; ++i) jump->addCase(b_.getInt32(i), blocks_[table[i]]);
        break;
      }
      case Shape::enter:
        break;
      case Shape::call:
      case Shape::call_indirect:
        emit_call(at, inst, webs);
        break;
      case Shape::ret: {
        const auto inputs = a_.range(a_.site_list[a_.sites[at]].inputs);
        if (returns_value()) {
          emit_return(read_typed(inputs, type_.results)[0]);
          break;
        }
        for (std::uint32_t i = 0; i < inputs.size(); ++i) {
          store_slot(i, read_integer(inputs[i].web, 64).value);
        }
        b_.CreateRet(fuel());
        break;
      }
      case Shape::ret_mov:
        if (returns_value()) {
          emit_return(typed(read(webs.reads[1]), type_.results[0]));
          break;
        }
        store_slot(0, read_integer(webs.reads[1], 64).value);
        b_.CreateRet(fuel());
        break;
      default:
        WARPHIVE_CHECK(false);
    }
  }

  void emit_get(const Inst& inst, const InstWebs& webs) {
    if (inst.op == Op::ref_func) {
      write(webs.writes[0], integer_constant(inst.imm + 1, 64));
      return;
    }
    if (inst.op == Op::memory_size) {
      write(webs.writes[0], {b_.CreateLShr(memory_limit(ir::imm_low(inst)), 16), &b_, false});
      return;
    }
    WARPHIVE_CHECK(inst.op == Op::global_get);
    llvm::Type* type = types_.of(source_.module->globals[ir::imm_low(inst)].type);
    if (types_.target.has_opaque_bits()) type = b_.getIntNTy(type->getScalarSizeInBits());
    llvm::LoadInst* load = b_.CreateAlignedLoad(type, global_pointer(inst), llvm::Align(8));
    load->setMetadata(llvm::LLVMContext::MD_tbaa, types_.global);
    write(webs.writes[0], {load, &b_, false});
  }

  // Memories

  /// Bytes that a memory has now.
  llvm::Value* memory_limit(std::uint32_t index) {
    const ir::Memory& memory = source_.module->memories[index];
    if (!memory.grows) return b_.getInt64(std::uint64_t{memory.min_pages} * abi::page_bytes);
    llvm::LoadInst* load =
        index == 0
            ? b_.CreateAlignedLoad(types_.i64, lane_->field_pointer(Field::limit0), llvm::Align(8))
            : b_.CreateAlignedLoad(types_.i32, lane_->memory_pages(index), llvm::Align(4));
    load->setMetadata(llvm::LLVMContext::MD_tbaa, types_.limit);
    if (index == 0) return load;
    return b_.CreateShl(b_.CreateZExt(load, types_.i64), 16);
  }
  llvm::Value* address(std::uint32_t at, WebId web, const Inst& inst, std::uint64_t bytes) {
    llvm::Value* start = b_.CreateZExt(read_integer(web, 32).value, types_.i64);
    llvm::Value* where = b_.CreateAdd(start, b_.getInt64(ir::imm_low(inst)), "", true, true);
    std::uint64_t& known = in_bounds_[{web, ir::imm_high(inst)}];
    if (known >= std::uint64_t{ir::imm_low(inst)} + bytes) {
      return lane_->memory(ir::imm_high(inst), where);
    }
    known = std::uint64_t{ir::imm_low(inst)} + bytes;
    llvm::Value* limit = memory_limit(ir::imm_high(inst));
    if (const auto* fixed = llvm::dyn_cast<llvm::ConstantInt>(limit)) {
      const std::uint64_t beyond = std::uint64_t{ir::imm_low(inst)} + bytes;
      if (fixed->getZExtValue() < beyond) {
        trap_if(b_.getTrue(), TrapKind::memory_out_of_bounds, at);
      } else {
        trap_if(b_.CreateICmpUGT(start, b_.getInt64(fixed->getZExtValue() - beyond)),
                TrapKind::memory_out_of_bounds, at);
      }
    } else {
      trap_if(b_.CreateICmpUGT(b_.CreateAdd(where, b_.getInt64(bytes), "", true, true), limit),
              TrapKind::memory_out_of_bounds, at);
    }
    return lane_->memory(ir::imm_high(inst), where);
  }
  void emit_load(std::uint32_t at, const Inst& inst, const InstWebs& webs) {
    const unsigned bits = ir::info(inst.op).src_bits;
    llvm::Value* from = address(at, webs.reads[1], inst, bits / 8);
    const WebType want = webs.writes[0] == no_web ? WebType::i64 : a_.webs[webs.writes[0]].type;
    llvm::Type* type = b_.getIntNTy(bits);
    if (!types_.target.has_opaque_bits()) {
      if (inst.op == Op::load32_u && want == WebType::f32) type = b_.getFloatTy();
      if (inst.op == Op::load64 && want == WebType::f64) type = b_.getDoubleTy();
    }
    llvm::LoadInst* load = b_.CreateAlignedLoad(type, from, llvm::Align(1));
    load->setMetadata(llvm::LLVMContext::MD_tbaa, types_.guest);
    llvm::Value* value = load;
    switch (inst.op) {
      case Op::load8_s32:
      case Op::load16_s32:
        value = b_.CreateSExt(value, types_.i32);
        break;
      case Op::load8_s64:
      case Op::load16_s64:
      case Op::load32_s64:
        value = b_.CreateSExt(value, types_.i64);
        break;
      case Op::load8_u:
      case Op::load16_u:
        value = b_.CreateZExt(value, types_.i32);
        break;
      default:
        break;
    }
    write(webs.writes[0], {value, &b_, false});
  }
  void emit_store(std::uint32_t at, const Inst& inst, const InstWebs& webs) {
    const unsigned bits = ir::info(Op{inst.op}).src_bits;
    llvm::Value* to = address(at, webs.reads[0], inst, bits / 8);
    const Scalar x = scalar::canonical(read(webs.reads[1]));
    llvm::Value* value = x.value;
    if (!x.is_float() || x.bits() != bits || types_.target.has_opaque_bits())
      value = scalar::integer_of(x, bits).value;
    llvm::StoreInst* store = b_.CreateAlignedStore(value, to, llvm::Align(1));
    store->setMetadata(llvm::LLVMContext::MD_tbaa, types_.guest);
  }

  // Calls, and ops served out of line

  struct Callee {
    llvm::FunctionType* type;
    llvm::Value* code;
    const ir::FunctionType* signature;
    std::uint32_t header_slot;
  };

  llvm::Value* callee_code(std::uint32_t function, llvm::FunctionType* type) {
    const bool is_linked = source_.linked == nullptr || (*source_.linked)[function];
    if (is_linked && !types_.target.calls_by_table(index_, function)) {
      return types_.declare_guest(function_symbol(function), type);
    }
    const std::uint64_t at =
        sizeof(abi::NativeTarget) * std::uint64_t{function} + offsetof(abi::NativeTarget, code);
    llvm::LoadInst* code = b_.CreateAlignedLoad(
        types_.pointer, lane_->byte(lane_->entry_field(Field::targets), at), llvm::Align(8));
    code->setMetadata(llvm::LLVMContext::MD_tbaa, types_.table);
    return code;
  }
  Callee resolve(std::uint32_t at, const Inst& inst, const InstWebs& webs) {
    const ir::Module& module = *source_.module;
    if (inst.op == Op::call) {
      const ir::Function& f = module.functions[ir::imm_low(inst)];
      llvm::FunctionType* type = types_.function(f.type);
      return {type, callee_code(ir::imm_low(inst), type), &module.types[f.type], f.header_slot};
    }
    const std::uint32_t table = ir::imm_low(inst);
    const std::uint32_t type_index = ir::imm_high(inst);
    llvm::Value* index = read_integer(webs.reads[1], 32).value;
    llvm::Value* size = nullptr;
    if (module.tables[table].changes) {
      llvm::LoadInst* load =
          b_.CreateAlignedLoad(types_.i32, lane_->table_size(table), llvm::Align(4));
      load->setMetadata(llvm::LLVMContext::MD_tbaa, types_.table);
      size = load;
    } else {
      size = b_.getInt32(module.tables[table].min);
    }
    trap_if(b_.CreateICmpUGE(index, size), TrapKind::undefined_element, at);
    llvm::LoadInst* element =
        b_.CreateAlignedLoad(types_.i64, lane_->element(table, index), llvm::Align(8));
    element->setMetadata(llvm::LLVMContext::MD_tbaa, types_.table);
    trap_if(b_.CreateICmpEQ(element, b_.getInt64(0)), TrapKind::uninitialized_element, at);
    llvm::Value* targets = lane_->entry_field(Field::targets);
    llvm::Value* target =
        b_.CreateInBoundsGEP(b_.getInt8Ty(), targets,
                             b_.CreateMul(b_.CreateSub(element, b_.getInt64(1)),
                                          b_.getInt64(sizeof(abi::NativeTarget))));
    llvm::LoadInst* type = b_.CreateAlignedLoad(
        types_.i32,
        b_.CreateConstInBoundsGEP1_64(b_.getInt8Ty(), target, offsetof(abi::NativeTarget, type)),
        llvm::Align(4));
    type->setMetadata(llvm::LLVMContext::MD_invariant_load, types_.empty());
    trap_if(b_.CreateICmpNE(type, b_.getInt32(type_index)), TrapKind::indirect_call_mismatch, at);
    llvm::LoadInst* code = b_.CreateAlignedLoad(
        types_.pointer,
        b_.CreateConstInBoundsGEP1_64(b_.getInt8Ty(), target, offsetof(abi::NativeTarget, code)),
        llvm::Align(8));
    code->setMetadata(llvm::LLVMContext::MD_invariant_load, types_.empty());
    const ir::FunctionType& signature = module.types[type_index];
    return {types_.function(type_index), code, &signature,
            std::max(ir::param_slots(signature), ir::result_slots(signature))};
  }

  void emit_call(std::uint32_t at, const Inst& inst, const InstWebs& webs) {
    const Site& site = a_.site_list[a_.sites[at]];
    const Callee callee = resolve(at, inst, webs);
    const ir::FunctionType& signature = *callee.signature;
    llvm::Value* frame = b_.CreateSub(frame_, b_.getInt64((std::uint64_t{1} << 32) + inst.a));
    std::vector<llvm::Value*> args{context_, frame, fuel()};
    for (llvm::Value* value : read_typed(a_.range(site.inputs), signature.params)) {
      args.push_back(value);
    }
    llvm::CallInst* call = types_.call_guest(b_, callee.type, callee.code, args);
    const bool is_direct = llvm::isa<llvm::Function>(callee.code);
    if (!is_direct && types_.target.is_divergent()) call->setConvergent();
    llvm::Value* left = call;
    const auto outputs = a_.range(site.outputs);
    if (signature.results.size() == 1) {
      left = b_.CreateExtractValue(call, {0});
      write_typed(outputs, signature.results, b_.CreateExtractValue(call, {1}));
    }
    set_fuel(left);
    llvm::BasicBlock* low = block("behind_low");
    llvm::BasicBlock* after = block("behind");
    // A callee that stopped returns less than any need.
    b_.CreateCondBr(b_.CreateICmpSLT(left, b_.getInt64(site.need_after)), low, after,
                    types_.unlikely);
    b_.SetInsertPoint(low);
    llvm::Value* none = llvm::PoisonValue::get(types_.i64);
    llvm::Value* value = none;
    const bool one_vector = outputs.size() == 2 && signature.results.size() == 1;
    if (signature.results.size() == 1 && !one_vector) {
      value = scalar::integer_of({b_.CreateExtractValue(call, {1}), &b_, false}, 64).value;
    }
    llvm::Value* index = none;
    if (inst.op == Op::call_indirect) index = read_integer(webs.reads[1], 64).value;
    llvm::Value* more =
        helper(Helper::behind_call,
               {context_, frame_, left, b_.getInt32(static_cast<std::uint32_t>(site.need_after)),
                b_.getInt32(base_ + at), value, index});
    set_fuel(more);
    llvm::BasicBlock* stopped = exit_with(site.live);
    if (one_vector) stopped = keep_vector(left, inst.a, b_.CreateExtractValue(call, {1}), stopped);
    b_.CreateCondBr(b_.CreateICmpSLT(more, b_.getInt64(0)), stopped, after, types_.unlikely);
    continue_behind(at, site, after);
    if (signature.results.size() > 1) {
      for (const SlotWeb& entry : outputs) write(entry.web, load_slot(entry));
    }
  }

  void refill_behind(std::uint32_t at, const Site& site, llvm::BasicBlock* after) {
    refill(fuel(), site.need_after, at + 1, site.live_after, after);
  }
  /// What runs behind a site; a variant that begins here comes in before the check.
  void continue_behind(std::uint32_t at, const Site& site, llvm::BasicBlock* after) {
    if (const auto found = resume_blocks_.find(at); found != resume_blocks_.end()) {
      b_.SetInsertPoint(found->second);
      llvm::Value* have = fuel();
      llvm::BasicBlock* poor = block("resume_low");
      b_.CreateCondBr(b_.CreateICmpSLT(have, b_.getInt64(site.need_after)), poor, after,
                      types_.unlikely);
      b_.SetInsertPoint(poor);
      refill_behind(at, site, after);
    }
    b_.SetInsertPoint(after);
  }

  void emit_step(std::uint32_t at) {
    const Site& site = a_.site_list[a_.sites[at]];
    store_live(site.inputs);
    llvm::Value* left = helper(Helper::step, {context_, frame_, fuel(), b_.getInt32(base_ + at)});
    llvm::BasicBlock* done = block("done");
    b_.CreateCondBr(b_.CreateICmpSLT(left, b_.getInt64(0)), exit_with(site.live), done,
                    types_.unlikely);
    b_.SetInsertPoint(done);
    set_fuel(left);
    for (const SlotWeb& entry : a_.range(site.outputs)) write(entry.web, load_slot(entry));
    if (!site.checks_after) return;
    llvm::BasicBlock* low = block("low");
    llvm::BasicBlock* after = block("behind");
    b_.CreateCondBr(b_.CreateICmpSLT(left, b_.getInt64(site.need_after)), low, after,
                    types_.unlikely);
    b_.SetInsertPoint(low);
    refill_behind(at, site, after);
    continue_behind(at, site, after);
  }

  std::map<std::uint32_t, llvm::BasicBlock*> resume_blocks_;  // by the instruction before them
};

void Emitter::add_function(std::uint32_t function, const FunctionAnalysis& analysis) {
  FunctionEmitter(*this, function, analysis).emit_body();
}

bool Emitter::add_resume(std::uint32_t function, std::uint32_t inst,
                         const FunctionAnalysis& analysis) {
  FunctionEmitter emitter(*this, function, analysis);
  if (!emitter.is_place(inst)) return false;
  emitter.emit_resume(resume_symbol(source_.encoded->functions[function].entry + inst), {&inst, 1});
  return true;
}

std::vector<std::uint32_t> Emitter::add_resumes(std::uint32_t function,
                                                std::span<const std::uint32_t> insts,
                                                const FunctionAnalysis& analysis, bool named) {
  FunctionEmitter emitter(*this, function, analysis);
  const std::uint32_t entry = source_.encoded->functions[function].entry;
  std::vector<std::uint32_t> places;
  for (const std::uint32_t inst : insts) {
    if (emitter.is_place(inst)) places.push_back(inst);
  }
  if (places.empty()) return places;
  emitter.emit_resume(resume_symbol(entry), places);
  for (const std::uint32_t inst : places) {
    if (!named || inst == 0) continue;
    llvm::GlobalAlias::create(resume_symbol(entry + inst), declare_resumes(function));
  }
  return places;
}

bool starts_in_loop(const ir::Function& function, const FunctionAnalysis& analysis) {
  return function.blocks.size() > 1 && function.blocks[1] == 1 && analysis.blocks[1].is_check;
}

std::uint32_t resume_place(const ir::Function& function, const FunctionAnalysis& analysis,
                           std::uint32_t inst) {
  if (inst != 0 && inst <= function.code.size() && analysis.sites[inst - 1] != ir::none &&
      analysis.site_list[analysis.sites[inst - 1]].checks_after) {
    return inst;
  }
  // Blocks lie in the order of the guest's text: the last check at or before it.
  std::uint32_t found = ir::none;
  for (std::uint32_t i = 1; i < function.blocks.size() && function.blocks[i] <= inst; ++i) {
    if (analysis.blocks[i].is_check) found = function.blocks[i];
  }
  return found;
}

}  // namespace warphive::codegen
