// SPDX-License-Identifier: Apache-2.0
// IR to LLVM IR, for compiled code as abi/native.hpp describes it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "codegen/analysis.hpp"
#include "codegen/llvm.hpp"
#include "codegen/target.hpp"
#include "ir/encode.hpp"
#include "ir/module.hpp"

namespace warphive::codegen {

/// The program being compiled; borrowed.
struct Source {
  const ir::Module* module = nullptr;
  const ir::EncodedProgram* encoded = nullptr;
  /// Functions that are called by their symbols, the others through abi::NativeTarget; nullptr:
  /// all.
  const std::vector<bool>* linked = nullptr;
};

/// Symbols in the objects.
std::string function_symbol(std::uint32_t function);
std::string resume_symbol(std::uint32_t insn);
std::string thunk_symbol(std::uint32_t type);
std::string refuse_symbol(std::uint32_t type);

struct EmitTypes;

/// Makes one llvm::Module. Functions that it does not define are declared.
class Emitter {
 public:
  /// `target` is borrowed.
  Emitter(const Source& source, llvm::LLVMContext& context, const std::string& name,
          const Target& target = host_code());
  ~Emitter();
  Emitter(const Emitter&) = delete;
  Emitter& operator=(const Emitter&) = delete;

  /// From here on code says where it comes from: lines of debug information are the guest's byte
  /// offsets.
  void mark_offsets();
  /// What calls through slots and what stands for a function without code, for a type.
  void add_stubs(std::uint32_t type);
  void add_function(std::uint32_t function, const FunctionAnalysis& analysis);
  /// A variant of a function that goes on at `inst`: the start of a block where fuel is checked,
  /// or what follows an instruction behind which it is. False where there is no such place.
  bool add_resume(std::uint32_t function, std::uint32_t inst, const FunctionAnalysis& analysis);
  /// One variant for all places among `insts`, which are returned: lanes that go on at several of
  /// them stay in the same code. `named`: each has its resume_symbol, else all have one symbol.
  std::vector<std::uint32_t> add_resumes(std::uint32_t function,
                                         std::span<const std::uint32_t> insts,
                                         const FunctionAnalysis& analysis, bool named);
  /// A function that is never compiled: calls of it refuse.
  void add_refusal(std::uint32_t function);
  // Code of other modules, with the types that it has there: linkers look at them.
  llvm::Function* declare_function(std::uint32_t function);
  llvm::Function* declare_refusal(std::uint32_t type);  // what stands for functions without code
  llvm::Function* declare_thunk(std::uint32_t type);
  llvm::Function* declare_resumes(std::uint32_t function);  // of add_resumes
  [[nodiscard]] llvm::Module& module() { return *module_; }

 private:
  class FunctionEmitter;
  const Source source_;
  llvm::LLVMContext& context_;
  std::unique_ptr<llvm::Module> module_;
  std::unique_ptr<EmitTypes> types_;
};

/// Whether code may be entered at inst 1 of a function only by calls: its first loop begins there.
bool starts_in_loop(const ir::Function& function, const FunctionAnalysis& analysis);

/// The instruction at which a lane that is stopped at `inst` should be given code to go on: itself
/// where code can, else the header of a loop around it; ir::none if there is none.
std::uint32_t resume_place(const ir::Function& function, const FunctionAnalysis& analysis,
                           std::uint32_t inst);

}  // namespace warphive::codegen
