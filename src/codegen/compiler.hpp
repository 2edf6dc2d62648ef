// SPDX-License-Identifier: Apache-2.0
// Programs to host objects, and objects to callable code.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "abi/native.hpp"
#include "codegen/analysis.hpp"
#include "ir/encode.hpp"
#include "ir/module.hpp"
#include "warphive/error.hpp"

namespace warphive::codegen {

struct CompileLimits {
  AnalysisLimits function;
  std::uint64_t program_instructions = 1'000'000;  // beyond, the later functions stay interpreted
  const std::atomic<bool>* stop = nullptr;         // looked at every 20,000 instructions
};

/// How a function was compiled: NativeTarget::compiled.
enum class Compiled : std::uint8_t {
  no = 0,
  yes = 1,
  by_call = 2,  // and entered at its start by calls only: a loop begins there
};

/// Position-independent objects (ELF) of this machine's kind.
struct HostObjects {
  std::vector<std::vector<char>> objects;
  std::vector<Compiled> functions;     // by function; empty for variants
  std::vector<std::uint32_t> resumes;  // instructions at which variants go on
  std::vector<std::string> reasons;    // why functions stay interpreted, "function N: …"
};

/// `module` is linked, optimised and verified, `encoded` was made from it. Thread-safe. Errors:
/// internal, cancelled (limits.stop).
Result<HostObjects> compile_host(const ir::Module& module, const ir::EncodedProgram& encoded,
                                 const CompileLimits& limits = {});

/// A variant that goes on at `insn` or, where none can, at the header of the loop around it.
/// Nothing in `resumes` where there is no such place.
Result<HostObjects> compile_resume(const ir::Module& module, const ir::EncodedProgram& encoded,
                                   std::uint32_t insn, const CompileLimits& limits = {});

/// LLVM IR or assembly of one function, after optimisation.
enum class Listing : std::uint8_t { llvm, assembly };
Result<std::string> list_function(const ir::Module& module, const ir::EncodedProgram& encoded,
                                  std::uint32_t function, Listing listing);

/// Describes the machine that code is made for: part of a cache's key.
std::string host_target();

/// Code of one program in this process. Not thread-safe but for code().
class NativeLibrary {
 public:
  /// Errors: internal, out_of_memory.
  static Result<std::unique_ptr<NativeLibrary>> load(const HostObjects& objects,
                                                     const ir::Module& module);
  ~NativeLibrary();
  NativeLibrary(const NativeLibrary&) = delete;
  NativeLibrary& operator=(const NativeLibrary&) = delete;

  /// Adds variants; code() is another one then, and what it was before stays valid.
  Status add(const HostObjects& variants);
  [[nodiscard]] const abi::NativeCode* code() const;

 private:
  struct Data;
  explicit NativeLibrary(std::unique_ptr<Data> data);
  std::unique_ptr<Data> data_;
};

}  // namespace warphive::codegen
