// SPDX-License-Identifier: Apache-2.0
// FunctionFrame's vectors: where their values live, and the code of ops on them.
#include <type_traits>

#include "base/check.hpp"
#include "codegen/emit_frame.hpp"
#include "ir/operands.hpp"

namespace warphive::codegen {

using vectors::Lanes;

namespace {

llvm::Type* lane_type(Builder& b, RawLanes lanes) {
  switch (lanes) {
    case RawLanes::f32x4:
      return b.getFloatTy();
    case RawLanes::f64x2:
      return b.getDoubleTy();
    case RawLanes::none:
      break;
  }
  return b.getInt64Ty();
}

}  // namespace

// Values

llvm::Type* FunctionFrame::variable_type(const Web& web) {
  if (web.type != WebType::v128) return types_.of(web.type);
  llvm::Type* lane = lane_type(b_, web.raw_lanes);
  return llvm::FixedVectorType::get(lane,
                                    128 / static_cast<unsigned>(lane->getPrimitiveSizeInBits()));
}

Lanes FunctionFrame::read_variable(WebId low) {
  const Web& web = a_.webs[low];
  return {b_.CreateLoad(variable_type(web), webs_[low]), &b_, web.raw_lanes != RawLanes::none};
}

void FunctionFrame::write_variable(WebId low, const Lanes& value) {
  const Web& web = a_.webs[low];
  llvm::Type* lane = lane_type(b_, web.raw_lanes);
  const Lanes exact = web.raw_lanes == RawLanes::none ? vectors::canonical(value) : value;
  b_.CreateStore(vectors::as(exact, lane).value, webs_[low]);
  forget_bounds(low);
  if (web.other != no_web) forget_bounds(web.other);
}

Scalar FunctionFrame::read_half(WebId web) {
  const bool is_high = a_.webs[web].type == WebType::v128_high;
  const Lanes whole = vectors::as(read_variable(is_high ? a_.webs[web].other : web), types_.i64);
  return {b_.CreateExtractElement(whole.value, is_high ? 1 : 0), &b_, false};
}

void FunctionFrame::write_half(WebId web, const Scalar& value) {
  const bool is_high = a_.webs[web].type == WebType::v128_high;
  const WebId low = is_high ? a_.webs[web].other : web;
  // What the other half is does not matter here, not even whether it is a NaN.
  Lanes whole = read_variable(low);
  whole.raw = false;
  llvm::Value* lanes =
      b_.CreateInsertElement(vectors::as(whole, types_.i64).value,
                             scalar::integer_of(value, 64).value, std::uint64_t{is_high});
  write_variable(low, {lanes, &b_, false});
}

Lanes FunctionFrame::read_vector(WebId low, WebId high) {
  if (a_.webs[low].type == WebType::v128 && a_.webs[low].other == high) return read_variable(low);
  llvm::Value* value = llvm::PoisonValue::get(llvm::FixedVectorType::get(types_.i64, 2));
  value = b_.CreateInsertElement(value, read_integer(low, 64).value, std::uint64_t{0});
  value = b_.CreateInsertElement(value, read_integer(high, 64).value, std::uint64_t{1});
  return {value, &b_, false};
}

void FunctionFrame::write_vector(WebId low, WebId high, const Lanes& value) {
  if (low != no_web && a_.webs[low].type == WebType::v128 && a_.webs[low].other == high) {
    write_variable(low, value);
    return;
  }
  const Lanes halves = vectors::as(value, types_.i64);
  write(low, {b_.CreateExtractElement(halves.value, std::uint64_t{0}), &b_, false});
  write(high, {b_.CreateExtractElement(halves.value, std::uint64_t{1}), &b_, false});
}

void FunctionFrame::write_typed(std::span<const SlotWeb> slots,
                                const std::vector<ir::ValueType>& types,
                                llvm::ArrayRef<llvm::Value*> values) {
  std::size_t slot = 0;
  for (std::size_t i = 0; i < types.size() && slot < slots.size(); ++i) {
    const WebId low = slots[slot].web;
    if (types[i] != ir::ValueType::v128) {
      write(low, {values[i], &b_, false});
      ++slot;
      continue;
    }
    const WebId high = slots[slot + 1].web;
    if (low != no_web || high != no_web) write_vector(low, high, {values[i], &b_, false});
    slot += 2;
  }
}

std::vector<llvm::Value*> FunctionFrame::read_typed(std::span<const SlotWeb> slots,
                                                    const std::vector<ir::ValueType>& types) {
  std::vector<llvm::Value*> values;
  std::size_t slot = 0;
  for (const ir::ValueType type : types) {
    if (type != ir::ValueType::v128) {
      values.push_back(typed(read(slots[slot++].web), type));
      continue;
    }
    const Lanes value = read_vector(slots[slot].web, slots[slot + 1].web);
    values.push_back(vectors::as(vectors::canonical(value), types_.i64).value);
    slot += 2;
  }
  return values;
}

llvm::BasicBlock* FunctionFrame::keep_vector(llvm::Value* left, std::uint32_t slot,
                                             llvm::Value* value, llvm::BasicBlock* exit) {
  const llvm::IRBuilderBase::InsertPointGuard guard(b_);
  llvm::BasicBlock* stopped = block("stopped_behind");
  llvm::BasicBlock* keep = block("keep");
  b_.SetInsertPoint(stopped);
  b_.CreateCondBr(b_.CreateICmpSLT(left, b_.getInt64(0)), exit, keep);
  b_.SetInsertPoint(keep);
  store_slot(slot, value);
  b_.CreateBr(exit);
  return stopped;
}

// Ops

template <unsigned Bits>
auto FunctionFrame::load_bits(llvm::Value* pointer) {
  constexpr bool whole = Bits == 128;
  llvm::LoadInst* load = b_.CreateAlignedLoad(
      whole ? types_.of(ir::ValueType::v128) : b_.getIntNTy(Bits), pointer, llvm::Align(1));
  load->setMetadata(llvm::LLVMContext::MD_tbaa, types_.guest);
  using Loaded = std::conditional_t<whole, Lanes, Scalar>;
  return Loaded{load, &b_, false};
}

#define WARPHIVE_WRITE(dst, result) write_vector(out, high.write, vectors::as<vectors::dst>(result))
#define WARPHIVE_X(src) \
  const Lanes x = vectors::as<vectors::src>(read_vector(webs.reads[1], high.reads[1]))
#define WARPHIVE_Y(src) \
  const Lanes y = vectors::as<vectors::src>(read_vector(webs.reads[2], high.reads[2]))
#define WARPHIVE_ARM(name, ...)                                         \
  case Op::name: {                                                      \
    using namespace vectors; /* NOLINT(google-build-using-namespace) */ \
    __VA_ARGS__;                                                        \
    break;                                                              \
  }
#define WARPHIVE_EMIT_v_v(name, dst, src, result) \
  WARPHIVE_ARM(name, WARPHIVE_X(src); WARPHIVE_WRITE(dst, result))
#define WARPHIVE_EMIT_v_vv(name, dst, src, result) \
  WARPHIVE_ARM(name, WARPHIVE_X(src); WARPHIVE_Y(src); WARPHIVE_WRITE(dst, result))
#define WARPHIVE_EMIT_v_vvv(name, dst, src, result)                                \
  WARPHIVE_ARM(name, WARPHIVE_X(src); WARPHIVE_Y(src);                             \
               const Lanes z = as<src>(read_vector(webs.reads[3], high.reads[3])); \
               WARPHIVE_WRITE(dst, result))
#define WARPHIVE_EMIT_v_va(name, dst, src, result)                          \
  WARPHIVE_ARM(name, WARPHIVE_X(src); const Scalar y = read(webs.reads[2]); \
               WARPHIVE_WRITE(dst, result))
#define WARPHIVE_EMIT_v_a(name, dst, src, result) \
  WARPHIVE_ARM(name, const Scalar x = read(webs.reads[1]); WARPHIVE_WRITE(dst, result))
#define WARPHIVE_EMIT_d_v(name, dst, src, result) \
  WARPHIVE_ARM(name, WARPHIVE_X(src); write(out, scalar::integer_of(result, dst)))
#define WARPHIVE_EMIT_d_vk(name, dst, src, result) \
  WARPHIVE_ARM(name, WARPHIVE_X(src); const std::uint64_t k = inst.imm; write(out, result))
#define WARPHIVE_EMIT_v_vak(name, dst, src, result)                     \
  WARPHIVE_ARM(name, WARPHIVE_X(src); const std::uint64_t k = inst.imm; \
               const Scalar y = read(webs.reads[2]); WARPHIVE_WRITE(dst, result))
// Each of these has arms below.
#define WARPHIVE_EMIT_v_vva(...)
#define WARPHIVE_EMIT_v_vvg(...)
#define WARPHIVE_EMIT_v_g(...)
#define WARPHIVE_EMIT_g_v(...)
#define WARPHIVE_EMIT_load_v(name, dst, src, result) \
  WARPHIVE_ARM(name, const auto x = load_bits<src>(pointer); WARPHIVE_WRITE(dst, result))
#define WARPHIVE_EMIT_store_v(...)

void FunctionFrame::emit_vector(const Inst& inst, const InstWebs& webs, llvm::Value* pointer) {
  const HighWebs& high = a_.vectors[webs.vectors];
  const WebId out = webs.writes[0];
  switch (inst.op) {
#define WARPHIVE_OP(name, shape, dst, src, traits, result, trap) \
  WARPHIVE_EMIT_##shape(name, dst, src, result)
#define OK
#include "ir/ops_simd.inc"
#undef OK
#undef WARPHIVE_OP
    case Op::select128: {
      llvm::Value* condition =
          b_.CreateICmpNE(read_integer(webs.reads[3], 32).value, b_.getInt32(0));
      Lanes x = read_vector(webs.reads[1], high.reads[1]);
      Lanes y = read_vector(webs.reads[2], high.reads[2]);
      if (x.value->getType() != y.value->getType() || x.raw != y.raw) {
        x = vectors::as(vectors::canonical(x), types_.i64);
        y = vectors::as(vectors::canonical(y), types_.i64);
      }
      write_vector(out, high.write, {b_.CreateSelect(condition, x.value, y.value), &b_, x.raw});
      break;
    }
    case Op::shuffle8x16: {
      const Lanes x = vectors::as<vectors::i8x16>(read_vector(webs.reads[1], high.reads[1]));
      const Lanes y = vectors::as<vectors::i8x16>(read_vector(webs.reads[2], high.reads[2]));
      const ir::Vector& from = source_.module->vectors[ir::imm_low(inst)];
      llvm::SmallVector<int, 16> lanes;
      for (const std::uint64_t half : {from.low, from.high}) {
        for (int i = 0; i < 8; ++i) lanes.push_back(static_cast<int>(half >> (8 * i) & 0xff));
      }
      write_vector(out, high.write, vectors::shuffled(x, y, lanes));
      break;
    }
    case Op::const128: {
      const ir::Vector& vector = source_.module->vectors[ir::imm_low(inst)];
      write_vector(out, high.write,
                   {llvm::ConstantVector::get({b_.getInt64(vector.low), b_.getInt64(vector.high)}),
                    &b_, false});
      break;
    }
    case Op::global_get128: {
      llvm::LoadInst* load = b_.CreateAlignedLoad(types_.of(ir::ValueType::v128),
                                                  global_pointer(inst), llvm::Align(8));
      load->setMetadata(llvm::LLVMContext::MD_tbaa, types_.global);
      write_vector(out, high.write, {load, &b_, false});
      break;
    }
    case Op::global_set128: {
      const Lanes value = vectors::canonical(read_vector(webs.reads[0], high.reads[0]));
      llvm::StoreInst* store = b_.CreateAlignedStore(vectors::as(value, types_.i64).value,
                                                     global_pointer(inst), llvm::Align(8));
      store->setMetadata(llvm::LLVMContext::MD_tbaa, types_.global);
      break;
    }
    case Op::store128: {
      const Lanes value = vectors::canonical(read_vector(webs.reads[1], high.reads[1]));
      llvm::StoreInst* store = b_.CreateAlignedStore(value.value, pointer, llvm::Align(1));
      store->setMetadata(llvm::LLVMContext::MD_tbaa, types_.guest);
      break;
    }
    default:
      WARPHIVE_CHECK(false);
  }
}

}  // namespace warphive::codegen
