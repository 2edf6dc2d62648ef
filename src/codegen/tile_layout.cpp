// SPDX-License-Identifier: Apache-2.0
#include "codegen/tile_layout.hpp"

#include <llvm/Analysis/Utils/Local.h>
#include <llvm/Analysis/ValueTracking.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/Operator.h>
#include <llvm/IR/PatternMatch.h>
#include <llvm/Support/KnownBits.h>
#include <llvm/Transforms/Utils/BasicBlockUtils.h>
#include <llvm/Transforms/Utils/Local.h>

#include <algorithm>
#include <map>
#include <optional>
#include <vector>

#include "abi/tile.hpp"

namespace warphive::codegen {
namespace {

using llvm::Value;

/// Where a pointer points to in its region: variable (nullptr: 0) plus constant bytes.
struct Offset {
  Value* variable = nullptr;
  std::int64_t constant = 0;
};

unsigned space_of(const Value* value) {
  const auto* type = llvm::dyn_cast<llvm::PointerType>(value->getType());
  return type == nullptr ? 0 : type->getAddressSpace();
}
bool is_region_pointer(const Value* value) { return is_region(space_of(value)); }

/// An access of `bytes` to cells of `cell` bytes.
struct Access {
  llvm::Instruction* inst = nullptr;  // load or store
  const Region* region = nullptr;
  llvm::Type* type = nullptr;
  std::uint32_t bytes = 0;
  std::uint32_t cell = 0;
  [[nodiscard]] std::uint32_t part() const { return std::min(bytes, cell); }
  [[nodiscard]] std::uint32_t parts() const { return bytes / part(); }
};

class FunctionLayout {
 public:
  FunctionLayout(llvm::Function& function, const TileTarget& target)
      : function_(function),
        module_(*function.getParent()),
        layout_(module_.getDataLayout()),
        target_(target),
        lanes_(target.shape().lanes),
        data_(llvm::PointerType::get(function.getContext(), target.data_space())),
        i64_(llvm::Type::getInt64Ty(function.getContext())) {}

  /// Why it cannot be done; empty where it is.
  std::string run() {
    std::vector<llvm::Instruction*> accesses;
    for (llvm::Instruction& inst : llvm::instructions(function_)) {
      if (is_region_pointer(&inst) && !llvm::isa<llvm::GetElementPtrInst>(inst) &&
          !llvm::isa<llvm::PHINode>(inst) && !llvm::isa<llvm::SelectInst>(inst) &&
          !llvm::isa<llvm::FreezeInst>(inst)) {
        return std::string("an address by ") + inst.getOpcodeName();
      }
      const bool is_access = llvm::isa<llvm::LoadInst>(inst) || llvm::isa<llvm::StoreInst>(inst);
      if (is_access && is_region_pointer(llvm::getLoadStorePointerOperand(&inst))) {
        accesses.push_back(&inst);
      } else if (llvm::isa<llvm::CallBase>(inst)) {
        for (const Value* operand : inst.operands()) {
          if (is_region_pointer(operand)) return "an address is passed on";
        }
      }
    }
    for (llvm::Instruction* inst : accesses) {
      if (!rewrite(*inst)) return reason_;
    }
    for (llvm::Instruction* inst : accesses) {
      Value* pointer = llvm::getLoadStorePointerOperand(inst);
      inst->eraseFromParent();
      llvm::RecursivelyDeleteTriviallyDeadInstructions(pointer);
    }
    erase_dead_addresses();
    return verify();
  }

 private:
  using Builder = llvm::IRBuilder<>;

  // Addresses

  /// The offset of a pointer, as code before the instructions that make the pointer.
  std::optional<Offset> offset(Value* pointer) {
    if (llvm::isa<llvm::GlobalVariable>(pointer)) return Offset{};
    if (auto* constant = llvm::dyn_cast<llvm::Constant>(pointer)) {
      if (llvm::isa<llvm::UndefValue>(constant)) return Offset{};  // nothing runs that uses it
      llvm::APInt bytes(64, 0);
      const Value* base = constant->stripAndAccumulateConstantOffsets(layout_, bytes, true);
      if (!llvm::isa<llvm::GlobalVariable>(base)) return fail("an address that is a constant");
      return Offset{nullptr, bytes.getSExtValue()};
    }
    const auto known = offsets_.find(pointer);
    if (known != offsets_.end()) return known->second;
    if (auto* gep = llvm::dyn_cast<llvm::GetElementPtrInst>(pointer)) {
      std::optional<Offset> base = offset(gep->getPointerOperand());
      if (!base) return std::nullopt;
      Builder b(gep);
      return offsets_[pointer] = plus(b, *base, llvm::emitGEPOffset(&b, layout_, gep, true));
    }
    if (auto* phi = llvm::dyn_cast<llvm::PHINode>(pointer)) {
      Builder b(phi);
      llvm::PHINode* merged = b.CreatePHI(i64_, phi->getNumIncomingValues());
      offsets_[pointer] = {merged, 0};
      for (unsigned i = 0; i < phi->getNumIncomingValues(); ++i) {
        llvm::BasicBlock* before = phi->getIncomingBlock(i);
        const int same = merged->getBasicBlockIndex(before);  // of a switch's several edges
        if (same >= 0) {
          merged->addIncoming(merged->getIncomingValue(static_cast<unsigned>(same)), before);
          continue;
        }
        const std::optional<Offset> from = offset(phi->getIncomingValue(i));
        if (!from) return std::nullopt;
        Builder at(before->getTerminator());
        merged->addIncoming(whole(at, *from), before);
      }
      return Offset{merged, 0};
    }
    if (auto* select = llvm::dyn_cast<llvm::SelectInst>(pointer)) {
      const std::optional<Offset> x = offset(select->getTrueValue());
      const std::optional<Offset> y = offset(select->getFalseValue());
      if (!x || !y) return std::nullopt;
      Builder b(select);
      return offsets_[pointer] =
                 Offset{b.CreateSelect(select->getCondition(), whole(b, *x), whole(b, *y)), 0};
    }
    if (auto* freeze = llvm::dyn_cast<llvm::FreezeInst>(pointer)) {
      const std::optional<Offset> x = offset(freeze->getOperand(0));
      if (!x) return std::nullopt;
      Builder b(freeze);
      return offsets_[pointer] = Offset{b.CreateFreeze(whole(b, *x)), 0};
    }
    return fail("an address of unknown making");
  }
  std::nullopt_t fail(const char* reason) {
    reason_ = reason;
    return std::nullopt;
  }
  Offset plus(Builder& b, Offset base, Value* more) {
    using namespace llvm::PatternMatch;  // NOLINT(google-build-using-namespace)
    for (;;) {
      Value* rest = nullptr;
      const llvm::APInt* constant = nullptr;
      if (match(more, m_APInt(constant))) {
        base.constant += constant->getSExtValue();
        return base;
      }
      if (match(more, m_AddLike(m_Value(rest), m_APInt(constant)))) {
        more = rest;
      } else if (match(more, m_Sub(m_APInt(constant), m_Value(rest))) && !constant->isZero()) {
        more = b.CreateNeg(rest);
      } else {
        break;
      }
      base.constant += constant->getSExtValue();
    }
    base.variable = base.variable == nullptr ? more : b.CreateAdd(base.variable, more);
    return base;
  }
  Value* whole(Builder& b, const Offset& offset) {
    if (offset.variable == nullptr) return b.getInt64(static_cast<std::uint64_t>(offset.constant));
    if (offset.constant == 0) return offset.variable;
    return b.CreateAdd(offset.variable, b.getInt64(static_cast<std::uint64_t>(offset.constant)));
  }
  /// The lane's first cell of a region. Pointers to cold ones are loaded where they are used.
  Value* base_of(Builder& b, const Region& region) {
    llvm::BasicBlock* block = region.is_hot ? &function_.getEntryBlock() : b.GetInsertBlock();
    Value*& value = bases_[{&region, block}];
    if (value == nullptr) {
      Builder at(block, region.is_hot ? block->getFirstNonPHIOrDbgOrAlloca() : b.GetInsertPoint());
      Value* field = at.CreateConstInBoundsGEP1_64(at.getInt8Ty(), function_.getArg(0),
                                                   target_.offset(region.base));
      llvm::LoadInst* load = at.CreateAlignedLoad(data_, field, llvm::Align(8));
      load->setMetadata(llvm::LLVMContext::MD_invariant_load,
                        llvm::MDNode::get(function_.getContext(), {}));
      value = load;
    }
    return value;
  }
  Value* advance(Builder& b, Value* pointer, Value* bytes) {
    return b.CreateGEP(b.getInt8Ty(), pointer, bytes);
  }
  Value* advance(Builder& b, Value* pointer, std::int64_t bytes) {
    if (bytes == 0) return pointer;
    return b.CreateGEP(b.getInt8Ty(), pointer, b.getInt64(static_cast<std::uint64_t>(bytes)));
  }
  /// Of an offset that is a multiple of the access's part.
  Value* place(Builder& b, const Access& access, const Offset& offset) {
    const std::int64_t cell = access.cell;
    const std::int64_t lanes = lanes_;
    Value* pointer = base_of(b, *access.region);
    if (access.bytes >= access.cell) {
      if (offset.variable != nullptr) {
        pointer = advance(b, pointer, b.CreateMul(offset.variable, b.getInt64(lanes_)));
      }
      return advance(b, pointer, offset.constant * lanes);
    }
    // Within a cell, which constants of whole cells do not change.
    const std::int64_t inner = offset.constant & (cell - 1);
    const std::int64_t outer = offset.constant - inner;
    if (offset.variable == nullptr) return advance(b, pointer, outer * lanes + inner);
    Value* at = inner == 0
                    ? offset.variable
                    : b.CreateAdd(offset.variable, b.getInt64(static_cast<std::uint64_t>(inner)));
    Value* low = b.CreateAnd(at, static_cast<std::uint64_t>(cell - 1));
    Value* high = b.CreateAnd(at, ~static_cast<std::uint64_t>(cell - 1));
    pointer = advance(b, pointer, b.CreateMul(high, b.getInt64(lanes_)));
    return advance(b, advance(b, pointer, low), outer * lanes);
  }

  // Accesses

  bool rewrite(llvm::Instruction& inst) {
    Value* pointer = llvm::getLoadStorePointerOperand(&inst);
    Access access;
    access.inst = &inst;
    access.region = &region_of(space_of(pointer));
    access.type = llvm::getLoadStoreType(&inst);
    const std::uint64_t bits = layout_.getTypeSizeInBits(access.type).getFixedValue();
    access.bytes = static_cast<std::uint32_t>(bits / 8);
    access.cell =
        access.region->is_memory ? target_.shape().memory_cell : std::uint32_t{abi::value_cell};
    if (access.type->isPtrOrPtrVectorTy() || bits % 8 != 0 || !llvm::isPowerOf2_32(access.bytes) ||
        inst.isVolatile() || inst.isAtomic()) {
      reason_ = "an access of unknown kind";
      return false;
    }
    const std::optional<Offset> at = offset(pointer);
    if (!at) return false;
    if (is_aligned(access, *at)) {
      Builder b(&inst);
      replace(access, fast(b, access, *at));
      return true;
    }
    Builder b(&inst);
    Value* low = b.CreateAnd(b.CreateTrunc(whole(b, *at), b.getInt32Ty()), access.part() - 1);
    llvm::Instruction *then = nullptr, *otherwise = nullptr;
    llvm::SplitBlockAndInsertIfThenElse(
        b.CreateICmpEQ(low, b.getInt32(0)), &inst, &then, &otherwise,
        llvm::MDBuilder(inst.getContext()).createBranchWeights(4000, 1));
    Builder aligned(then);
    Value* x = fast(aligned, access, *at);
    Builder misaligned(otherwise);
    Value* y = slow(misaligned, access, *at);
    if (x != nullptr) {
      Builder join(&inst);
      llvm::PHINode* merged = join.CreatePHI(access.type, 2);
      merged->addIncoming(x, then->getParent());
      merged->addIncoming(y, otherwise->getParent());
      x = merged;
    }
    replace(access, x);
    return true;
  }
  bool is_aligned(const Access& access, const Offset& at) {
    const auto part = access.part();
    if (part == 1 || llvm::getLoadStoreAlignment(access.inst).value() >= part) return true;
    if (static_cast<std::uint64_t>(at.constant) % part != 0) {
      // The variable would have to make up for it, which nothing proves but its exact low bits.
      return false;
    }
    if (at.variable == nullptr) return true;
    const llvm::KnownBits known = llvm::computeKnownBits(at.variable, layout_);
    return (std::uint64_t{1} << known.countMinTrailingZeros()) >= part;
  }
  static void replace(const Access& access, Value* value) {
    if (value != nullptr) access.inst->replaceAllUsesWith(value);
  }
  static void copy_facts(llvm::Instruction* to, const llvm::Instruction& from) {
    to->setMetadata(llvm::LLVMContext::MD_tbaa, from.getMetadata(llvm::LLVMContext::MD_tbaa));
    to->setDebugLoc(from.getDebugLoc());
  }
  /// The value that is loaded; nullptr of stores.
  Value* fast(Builder& b, const Access& access, const Offset& at) {
    b.SetCurrentDebugLocation(access.inst->getDebugLoc());
    Value* pointer = place(b, access, at);
    const auto* store = llvm::dyn_cast<llvm::StoreInst>(access.inst);
    const llvm::Align align(access.part());
    if (access.parts() == 1) {
      llvm::Instruction* done = nullptr;
      if (store != nullptr) {
        done = b.CreateAlignedStore(store->getOperand(0), pointer, align);
      } else {
        done = b.CreateAlignedLoad(access.type, pointer, align);
      }
      copy_facts(done, *access.inst);
      return store != nullptr ? nullptr : done;
    }
    llvm::Type* part = b.getIntNTy(8 * access.part());
    auto* vector = llvm::FixedVectorType::get(part, access.parts());
    Value* value = store != nullptr ? b.CreateBitCast(store->getOperand(0), vector)
                                    : llvm::PoisonValue::get(vector);
    for (std::uint32_t i = 0; i < access.parts(); ++i) {
      Value* cell = advance(b, pointer, std::int64_t{i} * access.cell * lanes_);
      if (store != nullptr) {
        copy_facts(b.CreateAlignedStore(b.CreateExtractElement(value, i), cell, align),
                   *access.inst);
      } else {
        llvm::LoadInst* load = b.CreateAlignedLoad(part, cell, align);
        copy_facts(load, *access.inst);
        value = b.CreateInsertElement(value, load, i);
      }
    }
    return store != nullptr ? nullptr : b.CreateBitCast(value, access.type);
  }
  Value* slow(Builder& b, const Access& access, const Offset& at) {
    b.SetCurrentDebugLocation(access.inst->getDebugLoc());
    Value* base = base_of(b, *access.region);
    llvm::Type* bits = b.getIntNTy(8 * access.bytes);
    if (const auto* store = llvm::dyn_cast<llvm::StoreInst>(access.inst)) {
      b.CreateCall(slow_function(access, true),
                   {base, whole(b, at), b.CreateBitCast(store->getOperand(0), bits)});
      return nullptr;
    }
    return b.CreateBitCast(b.CreateCall(slow_function(access, false), {base, whole(b, at)}),
                           access.type);
  }
  /// Byte by byte.
  llvm::Function* slow_function(const Access& access, bool stores) {
    const std::string name = (stores ? "store_misaligned" : "load_misaligned") +
                             std::to_string(access.bytes) + "_" + std::to_string(access.cell);
    if (llvm::Function* found = module_.getFunction(name)) return found;
    Builder b(module_.getContext());
    llvm::Type* bits = b.getIntNTy(8 * access.bytes);
    llvm::FunctionType* type =
        stores ? llvm::FunctionType::get(b.getVoidTy(), {data_, i64_, bits}, false)
               : llvm::FunctionType::get(bits, {data_, i64_}, false);
    auto* f = llvm::Function::Create(type, llvm::Function::InternalLinkage, name, module_);
    f->addFnAttr(llvm::Attribute::NoInline);
    f->addFnAttr(llvm::Attribute::Cold);
    f->setDoesNotThrow();
    f->setMemoryEffects(
        llvm::MemoryEffects::argMemOnly(stores ? llvm::ModRefInfo::Mod : llvm::ModRefInfo::Ref));
    b.SetInsertPoint(llvm::BasicBlock::Create(module_.getContext(), "entry", f));
    Value* value = b.getIntN(8 * access.bytes, 0);
    if (stores) value = f->getArg(2);
    for (std::uint64_t i = 0; i < access.bytes; ++i) {
      Value* at = b.CreateAdd(f->getArg(1), b.getInt64(i));
      Value* low = b.CreateAnd(at, std::uint64_t{access.cell} - 1);
      Value* high = b.CreateMul(b.CreateSub(at, low), b.getInt64(lanes_));
      Value* byte = advance(b, advance(b, f->getArg(0), high), low);
      if (stores) {
        b.CreateStore(b.CreateTrunc(b.CreateLShr(value, 8 * i), b.getInt8Ty()), byte);
      } else {
        Value* loaded = b.CreateZExt(b.CreateLoad(b.getInt8Ty(), byte), bits);
        value = b.CreateOr(value, b.CreateShl(loaded, 8 * i));
      }
    }
    if (stores) {
      b.CreateRetVoid();
    } else {
      b.CreateRet(value);
    }
    return f;
  }

  /// Addresses in phis that only feed each other.
  void erase_dead_addresses() {
    std::vector<llvm::PHINode*> phis;
    for (llvm::Instruction& inst : llvm::instructions(function_)) {
      auto* phi = llvm::dyn_cast<llvm::PHINode>(&inst);
      if (phi != nullptr && is_region_pointer(phi)) phis.push_back(phi);
    }
    std::vector<llvm::WeakTrackingVH> handles(phis.begin(), phis.end());
    for (llvm::WeakTrackingVH& handle : handles) {
      if (auto* phi = llvm::dyn_cast_or_null<llvm::PHINode>(handle)) {
        llvm::RecursivelyDeleteDeadPHINode(phi);
      }
    }
    llvm::SmallVector<llvm::WeakTrackingVH> rest;
    for (llvm::Instruction& inst : llvm::instructions(function_)) {
      if (is_region_pointer(&inst)) rest.emplace_back(&inst);
    }
    llvm::RecursivelyDeleteTriviallyDeadInstructionsPermissive(rest);
  }

  std::string verify() {
    for (const llvm::Instruction& inst : llvm::instructions(function_)) {
      if (is_region_pointer(&inst)) return "an address is left";
      for (const Value* operand : inst.operands()) {
        if (is_region_pointer(operand)) return "an address is left";
      }
    }
    return {};
  }

  llvm::Function& function_;
  llvm::Module& module_;
  const llvm::DataLayout& layout_;
  const TileTarget& target_;
  const std::uint32_t lanes_;
  llvm::PointerType* data_;
  llvm::Type* i64_;
  std::map<Value*, Offset> offsets_;
  std::map<std::pair<const Region*, llvm::BasicBlock*>, Value*> bases_;
  std::string reason_;
};

}  // namespace

std::string lay_out(llvm::Module& module, const TileTarget& target) {
  std::vector<llvm::Function*> functions;
  for (llvm::Function& f : module) {
    if (!f.isDeclaration()) functions.push_back(&f);
  }
  for (llvm::Function* f : functions) {
    const std::string reason = FunctionLayout(*f, target).run();
    if (!reason.empty()) return f->getName().str() + ": " + reason;
  }
  for (const Region& region : regions) {
    llvm::GlobalVariable* start = module.getGlobalVariable(region.symbol);
    if (start == nullptr) continue;
    start->removeDeadConstantUsers();
    if (!start->use_empty()) return std::string(region.symbol) + " is left";
    start->eraseFromParent();
  }
  return {};
}

}  // namespace warphive::codegen
