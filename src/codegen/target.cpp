// SPDX-License-Identifier: Apache-2.0
#include "codegen/target.hpp"

#include "abi/state.hpp"
#include "codegen/emit_types.hpp"

namespace warphive::codegen {

llvm::Value* LaneAccess::field_pointer(Field field) {
  return byte(context_, types_.target.offset(field));
}

llvm::Value* LaneAccess::field(Field field) {
  llvm::Type* type = field == Field::native_floor ? types_.i64 : types_.data_pointer;
  llvm::LoadInst* load = b_.CreateAlignedLoad(type, field_pointer(field), llvm::Align(8));
  load->setMetadata(llvm::LLVMContext::MD_tbaa, types_.fields);
  load->setMetadata(llvm::LLVMContext::MD_invariant_load, types_.empty());
  return load;
}

llvm::Value* LaneAccess::entry_field(Field which) {
  llvm::Value*& value = entry_fields_[which];
  if (value == nullptr) {
    llvm::IRBuilderBase::InsertPointGuard guard(b_);
    llvm::BasicBlock& entry = fn_->getEntryBlock();
    b_.SetInsertPoint(&entry, entry.getFirstNonPHIOrDbgOrAlloca());
    value = field(which);
  }
  return value;
}

llvm::Value* LaneAccess::constant_load(llvm::Type* type, llvm::Value* from, std::uint64_t offset) {
  llvm::LoadInst* load = b_.CreateAlignedLoad(type, byte(from, offset), llvm::Align(4));
  load->setMetadata(llvm::LLVMContext::MD_invariant_load, types_.empty());
  return load;
}

llvm::Value* LaneAccess::layout_field(std::size_t offset, llvm::Type* type) {
  return constant_load(type, field(Field::layout), offset);
}

}  // namespace warphive::codegen
