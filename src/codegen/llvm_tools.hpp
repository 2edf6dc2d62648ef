// SPDX-License-Identifier: Apache-2.0
// From an LLVM module to code: what host and device compiler share.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "codegen/llvm_jit.hpp"

namespace warphive::codegen {

/// Makes LLVM ready for this machine and for PTX. Thread-safe; the first call does the work.
void initialise_llvm();

tl::unexpected<Error> codegen_error(std::string_view what);

struct MachineChoice {
  std::string triple;
  std::string processor;
  std::string features;
  llvm::CodeGenOptLevel level = llvm::CodeGenOptLevel::Default;
  bool is_jit = false;
};
/// Floats are never contracted.
Result<std::unique_ptr<llvm::TargetMachine>> make_machine(const MachineChoice& choice);

void set_machine(llvm::Module& module, const llvm::TargetMachine& machine);

/// Function attributes by which the code generator, and the inliner, know the processor.
void set_processor(llvm::Module& module, const llvm::TargetMachine& machine);

/// An error if the module is not valid LLVM IR, which would be a bug of ours.
Status verify(const llvm::Module& module);

/// What LLVM cannot generate is an error that carries its message.
Result<std::vector<char>> generate(llvm::Module& module, llvm::TargetMachine& machine,
                                   llvm::CodeGenFileType type);

/// Runs passes, with the analyses that they ask for.
class PassRunner {
 public:
  explicit PassRunner(llvm::TargetMachine& machine, const llvm::PipelineTuningOptions& tuning = {});
  PassRunner(const PassRunner&) = delete;
  PassRunner& operator=(const PassRunner&) = delete;

  [[nodiscard]] llvm::PassBuilder& builder() { return builder_; }
  void run(llvm::ModulePassManager& passes, llvm::Module& module);

 private:
  llvm::LoopAnalysisManager loops_;
  llvm::FunctionAnalysisManager functions_;
  llvm::CGSCCAnalysisManager components_;
  llvm::ModuleAnalysisManager modules_;
  llvm::PassBuilder builder_;
};

}  // namespace warphive::codegen
