// SPDX-License-Identifier: Apache-2.0
#include "codegen/llvm_tools.hpp"

#include <llvm/IR/DiagnosticInfo.h>
#include <llvm/IR/DiagnosticPrinter.h>

#include <mutex>

namespace warphive::codegen {

void initialise_llvm() {
  static std::once_flag once;
  std::call_once(once, [] {
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
    // With the first heap sort is 1.8x slower (architecture section 5); the second takes a sixth of
    // the time of code generation, mostly to compare the ways out of functions with each other.
    const char* arguments[] = {"warphive", "-x86-cmov-converter=false", "-enable-tail-merge=false"};
    llvm::cl::ParseCommandLineOptions(3, arguments);
  });
}

tl::unexpected<Error> codegen_error(std::string_view what) {
  return base::error(ErrorCode::internal, ErrorPhase::codegen, "Code generation failed ({}).",
                     what);
}

Result<std::unique_ptr<llvm::TargetMachine>> make_machine(const MachineChoice& choice) {
  initialise_llvm();
  std::string message;
  const llvm::Target* target = llvm::TargetRegistry::lookupTarget(choice.triple, message);
  if (target == nullptr) return codegen_error(message);
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Strict;
  std::unique_ptr<llvm::TargetMachine> machine(target->createTargetMachine(
      choice.triple, choice.processor, choice.features, options, llvm::Reloc::PIC_,
      llvm::CodeModel::Small, choice.level, choice.is_jit));
  if (machine == nullptr) return codegen_error("no target machine");
  return machine;
}

void set_machine(llvm::Module& module, const llvm::TargetMachine& machine) {
  module.setTargetTriple(machine.getTargetTriple().str());
  module.setDataLayout(machine.createDataLayout());
}

void set_processor(llvm::Module& module, const llvm::TargetMachine& machine) {
  const bool x86 = machine.getTargetTriple().isX86();
  for (llvm::Function& f : module) {
    std::string features = machine.getTargetFeatureString().str();
    // LLVM 19 ends functions that use wide registers with `vzeroupper`, also one that has just
    // restored them for its caller: what the caller had in their upper halves would be gone.
    if (x86 && f.getCallingConv() == llvm::CallingConv::PreserveAll) features += ",-vzeroupper";
    f.addFnAttr("target-cpu", machine.getTargetCPU());
    f.addFnAttr("target-features", features);
  }
}

Status verify(const llvm::Module& module) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  if (llvm::verifyModule(module, &stream)) return codegen_error(text);
  return {};
}

Result<std::vector<char>> generate(llvm::Module& module, llvm::TargetMachine& machine,
                                   llvm::CodeGenFileType type) {
  std::string message;
  module.getContext().setDiagnosticHandlerCallBack(
      [](const llvm::DiagnosticInfo* info, void* to) {
        if (info->getSeverity() != llvm::DS_Error) return;
        llvm::raw_string_ostream stream(*static_cast<std::string*>(to));
        llvm::DiagnosticPrinterRawOStream printer(stream);
        info->print(printer);
      },
      &message);
  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream stream(bytes);
  llvm::legacy::PassManager passes;
  if (machine.addPassesToEmitFile(passes, stream, nullptr, type)) {
    return codegen_error("the target emits no such file");
  }
  passes.run(module);
  module.getContext().setDiagnosticHandlerCallBack(nullptr);
  if (!message.empty()) return codegen_error(message);
  return std::vector<char>(bytes.begin(), bytes.end());
}

PassRunner::PassRunner(llvm::TargetMachine& machine, const llvm::PipelineTuningOptions& tuning)
    : builder_(&machine, tuning) {
  builder_.registerModuleAnalyses(modules_);
  builder_.registerCGSCCAnalyses(components_);
  builder_.registerFunctionAnalyses(functions_);
  builder_.registerLoopAnalyses(loops_);
  builder_.crossRegisterProxies(loops_, functions_, components_, modules_);
}

void PassRunner::run(llvm::ModulePassManager& passes, llvm::Module& module) {
  passes.run(module, modules_);
  modules_.clear();
}

}  // namespace warphive::codegen
