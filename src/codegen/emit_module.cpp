// SPDX-License-Identifier: Apache-2.0
// What a module has beside the bodies of functions: symbols, declarations, stubs.
#include <memory>
#include <string>
#include <vector>

#include "abi/native.hpp"
#include "codegen/emit.hpp"
#include "codegen/emit_types.hpp"
#include "codegen/scalar.hpp"
#include "codegen/target.hpp"

namespace warphive::codegen {

std::string function_symbol(std::uint32_t function) { return "f" + std::to_string(function); }
std::string resume_symbol(std::uint32_t insn) { return "r" + std::to_string(insn); }
std::string thunk_symbol(std::uint32_t type) { return "t" + std::to_string(type); }
std::string refuse_symbol(std::uint32_t type) { return "n" + std::to_string(type); }

Emitter::Emitter(const Source& source, llvm::LLVMContext& context, const std::string& name,
                 const Target& target)
    : source_(source),
      context_(context),
      module_(std::make_unique<llvm::Module>(name, context)),
      types_(std::make_unique<EmitTypes>(*module_, source, target)) {}

Emitter::~Emitter() = default;

void Emitter::mark_offsets() {
  types_->offsets = llvm::DIFile::get(context_, "guest", "");
  types_->compile_unit = llvm::DICompileUnit::getDistinct(
      context_, llvm::dwarf::DW_LANG_C99, types_->offsets, "", true, "", 0, "",
      llvm::DICompileUnit::DebugDirectivesOnly, nullptr, nullptr, nullptr, nullptr, nullptr, 0,
      false, false, llvm::DICompileUnit::DebugNameTableKind::None, false, "", "");
  module_->getOrInsertNamedMetadata("llvm.dbg.cu")->addOperand(types_->compile_unit);
  module_->addModuleFlag(llvm::Module::Warning, "Debug Info Version", llvm::DEBUG_METADATA_VERSION);
}

void Emitter::add_refusal(std::uint32_t function) {
  const std::uint32_t type = source_.module->functions[function].type;
  llvm::Function* f = declare_function(function);
  llvm::Function* refuse = types_->declare_guest(refuse_symbol(type), types_->function(type));
  Builder b(llvm::BasicBlock::Create(context_, "entry", f));
  std::vector<llvm::Value*> args;
  for (llvm::Argument& arg : f->args()) args.push_back(&arg);
  b.CreateRet(types_->call_guest(b, refuse->getFunctionType(), refuse, args));
}

void Emitter::add_stubs(std::uint32_t type_index) {
  EmitTypes& t = *types_;
  const ir::FunctionType& type = source_.module->types[type_index];
  Builder b(context_);
  b.opaque_bits = t.target.has_opaque_bits();
  const auto to_bits = [&](llvm::Value* value) {
    if (value->getType()->isVectorTy()) return value;
    return scalar::integer_of({value, &b, false}, 64).value;
  };

  llvm::Function* refuse = t.declare_guest(refuse_symbol(type_index), t.function(type_index));
  b.SetInsertPoint(llvm::BasicBlock::Create(context_, "entry", refuse));
  std::unique_ptr<LaneAccess> lane = t.target.lane(t, b, refuse);
  std::uint32_t place = 0;
  for (std::uint32_t i = 0; i < type.params.size(); ++i) {
    b.CreateAlignedStore(to_bits(refuse->getArg(3 + i)), lane->slot(refuse->getArg(1), place),
                         llvm::Align(8));
    place += ir::slots(type.params[i]);
  }
  b.CreateAlignedStore(refuse->getArg(2), lane->field_pointer(Field::refused_fuel), llvm::Align(8));
  llvm::Value* code = b.getInt64(static_cast<std::uint64_t>(abi::native_refused));
  if (type.results.size() == 1) {
    code = b.CreateInsertValue(llvm::PoisonValue::get(t.result(type)), code, {0});
  }
  b.CreateRet(code);

  llvm::Function* thunk = t.declare(thunk_symbol(type_index), t.thunk());
  b.SetInsertPoint(llvm::BasicBlock::Create(context_, "entry", thunk));
  std::vector<llvm::Value*> args{thunk->getArg(0), thunk->getArg(1), thunk->getArg(2)};
  lane = t.target.lane(t, b, thunk);
  place = 0;
  for (const ir::ValueType param : type.params) {
    const bool is_vector = param == ir::ValueType::v128;
    const scalar::Scalar bits = {
        b.CreateAlignedLoad(is_vector ? t.of(param) : t.i64, lane->slot(thunk->getArg(1), place),
                            llvm::Align(8)),
        &b, false};
    place += ir::slots(param);
    if (is_vector) {
      args.push_back(bits.value);
    } else if (param == ir::ValueType::f32) {
      args.push_back(scalar::as_f32(bits).value);
    } else if (param == ir::ValueType::f64) {
      args.push_back(scalar::as_f64(bits).value);
    } else {
      args.push_back(b.CreateTrunc(bits.value, t.of(param)));
    }
  }
  llvm::CallInst* call = t.call_guest(b, t.function(type_index), thunk->getArg(3), args);
  if (t.target.is_divergent()) call->setConvergent();
  llvm::Value* left = call;
  if (type.results.size() == 1) {
    left = b.CreateExtractValue(call, {0});
    llvm::BasicBlock* returned = llvm::BasicBlock::Create(context_, "returned", thunk);
    llvm::BasicBlock* done = llvm::BasicBlock::Create(context_, "done", thunk);
    b.CreateCondBr(b.CreateICmpSLT(left, b.getInt64(0)), done, returned);
    b.SetInsertPoint(returned);
    b.CreateAlignedStore(to_bits(b.CreateExtractValue(call, {1})), lane->slot(thunk->getArg(1), 0),
                         llvm::Align(8));
    b.CreateBr(done);
    b.SetInsertPoint(done);
  }
  b.CreateRet(left);
}

llvm::Function* Emitter::declare_function(std::uint32_t function) {
  const std::uint32_t type = source_.module->functions[function].type;
  return types_->declare_guest(function_symbol(function), types_->function(type));
}
llvm::Function* Emitter::declare_refusal(std::uint32_t type) {
  return types_->declare_guest(refuse_symbol(type), types_->function(type));
}
llvm::Function* Emitter::declare_thunk(std::uint32_t type) {
  return types_->declare(thunk_symbol(type), types_->thunk());
}
llvm::Function* Emitter::declare_resumes(std::uint32_t function) {
  return types_->declare(resume_symbol(source_.encoded->functions[function].entry),
                         types_->resume());
}

}  // namespace warphive::codegen
