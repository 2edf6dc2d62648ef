// SPDX-License-Identifier: Apache-2.0
// Types, declarations and metadata that all functions of a module use. Private to the emitter and
// its targets.
#pragma once

#include <string>
#include <vector>

#include "codegen/analysis.hpp"
#include "codegen/emit.hpp"
#include "codegen/target.hpp"

namespace warphive::codegen {

struct EmitTypes {
  EmitTypes(llvm::Module& m, const Source& source, const Target& t)
      : context(m.getContext()),
        module(m),
        program(*source.module),
        target(t),
        global_slots(ir::global_slots(program)) {
    i32 = llvm::Type::getInt32Ty(context);
    i64 = llvm::Type::getInt64Ty(context);
    pointer = llvm::PointerType::get(context, 0);
    context_pointer = llvm::PointerType::get(context, target.context_space());
    data_pointer = llvm::PointerType::get(context, target.data_space());
    llvm::MDBuilder md(context);
    llvm::MDNode* root = md.createTBAARoot("warphive");
    const auto tag = [&](const char* name) {
      llvm::MDNode* node = md.createTBAAScalarTypeNode(name, root);
      return md.createTBAAStructTagNode(node, node, 0);
    };
    guest = tag("guest memory");
    frame = tag("frame");
    fields = tag("context");
    limit = tag("limit");
    global = tag("global");
    table = tag("table");
    unlikely = md.createBranchWeights(1, 4000);
  }

  [[nodiscard]] llvm::Type* of(ir::ValueType type) const {
    switch (type) {
      case ir::ValueType::i32:
        return i32;
      case ir::ValueType::f32:
        return llvm::Type::getFloatTy(context);
      case ir::ValueType::f64:
        return llvm::Type::getDoubleTy(context);
      case ir::ValueType::v128:
        return llvm::FixedVectorType::get(i64, 2);
      default:
        return i64;
    }
  }
  [[nodiscard]] llvm::Type* of(WebType type) const {
    switch (type) {
      case WebType::i32:
        return i32;
      case WebType::f32:
        return llvm::Type::getFloatTy(context);
      case WebType::f64:
        return llvm::Type::getDoubleTy(context);
      default:
        return i64;
    }
  }
  /// {fuel, result} where there is exactly one; more results are in the frame.
  [[nodiscard]] llvm::Type* result(const ir::FunctionType& type) const {
    if (type.results.size() != 1) return i64;
    return llvm::StructType::get(context, {i64, of(type.results[0])});
  }
  [[nodiscard]] llvm::FunctionType* function(std::uint32_t type_index) const {
    const ir::FunctionType& type = program.types[type_index];
    std::vector<llvm::Type*> params{context_pointer, i64, i64};
    for (const ir::ValueType param : type.params) params.push_back(of(param));
    return llvm::FunctionType::get(result(type), params, false);
  }
  [[nodiscard]] llvm::FunctionType* thunk() const {
    return llvm::FunctionType::get(i64, {context_pointer, i64, i64, pointer}, false);
  }
  [[nodiscard]] llvm::FunctionType* resume() const {
    return llvm::FunctionType::get(i64, {context_pointer, i64, i64, i32}, false);
  }
  llvm::Function* declare(const std::string& name, llvm::FunctionType* type) {
    if (llvm::Function* found = module.getFunction(name)) return found;
    auto* f = llvm::Function::Create(type, llvm::Function::ExternalLinkage, name, module);
    f->setDoesNotThrow();
    f->getArg(0)->addAttr(llvm::Attribute::NoAlias);
    target.describe(*f);
    return f;
  }
  llvm::Function* declare_guest(const std::string& name, llvm::FunctionType* type) {
    llvm::Function* f = declare(name, type);
    target.describe_guest(*f);
    return f;
  }
  llvm::CallInst* call_guest(Builder& b, llvm::FunctionType* type, llvm::Value* code,
                             llvm::ArrayRef<llvm::Value*> args) const {
    llvm::CallInst* call = b.CreateCall(type, code, args);
    call->setDoesNotThrow();
    target.describe_guest_call(*call);
    return call;
  }
  [[nodiscard]] llvm::MDNode* empty() const { return llvm::MDNode::get(context, {}); }

  llvm::LLVMContext& context;
  llvm::Module& module;
  const ir::Module& program;
  const Target& target;
  const std::vector<std::uint32_t> global_slots;
  llvm::DIFile* offsets = nullptr;  // instructions get the guest's offsets as lines of it
  llvm::DICompileUnit* compile_unit = nullptr;
  llvm::Type* i32;
  llvm::Type* i64;
  llvm::PointerType* pointer;          // to code
  llvm::PointerType* context_pointer;  // a function's first parameter
  llvm::PointerType* data_pointer;     // to what the context names
  llvm::MDNode *guest, *frame, *fields, *limit, *global, *table, *unlikely;
};

}  // namespace warphive::codegen
