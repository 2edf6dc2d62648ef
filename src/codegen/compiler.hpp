// SPDX-License-Identifier: Apache-2.0
// Programs to host objects, and objects to callable code.
#pragma once

#include <atomic>
#include <cstddef>
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
  // Beyond these, the functions that are left stay interpreted.
  std::uint64_t program_instructions = 1'000'000;
  double seconds = 60;                      // looked at between parts; 0: no limit
  std::uint64_t code_bytes = 256ull << 20;  // of objects; likewise
  const std::atomic<bool>* stop = nullptr;  // looked at between parts
};
/// LLVM gets so many instructions of a program at a time, or one function.
inline constexpr std::uint64_t part_instructions = 4000;

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
  bool ran_out = false;                // of time: another try might compile more
};

/// By function: whether objects that are loaded already define it.
using LinkedFunctions = std::vector<bool>;

/// Functions 0 to count - 1, those of `first` before the others.
std::vector<std::uint32_t> in_order(const std::vector<std::uint32_t>& first, std::size_t count);

/// Compiles a program part by part. What a part calls that neither it nor an earlier one defines is
/// called through abi::NativeTarget, so each part can be used as soon as it is there. `module` is
/// linked, optimised and verified, `encoded` was made from it; both are borrowed, as is
/// limits.stop.
class PartCompiler {
 public:
  /// `first`: functions in the order in which code is wanted; the others follow.
  static Result<std::unique_ptr<PartCompiler>> create(const ir::Module& module,
                                                      const ir::EncodedProgram& encoded,
                                                      const CompileLimits& limits,
                                                      const std::vector<std::uint32_t>& first);
  ~PartCompiler();
  PartCompiler(const PartCompiler&) = delete;
  PartCompiler& operator=(const PartCompiler&) = delete;

  [[nodiscard]] bool done() const;
  /// The next functions, as many as have `instructions`, but at least one. Says of functions of
  /// other parts that they are not compiled. Errors: internal, cancelled (limits.stop).
  Result<HostObjects> next(std::uint64_t instructions);
  /// What the parts so far define.
  [[nodiscard]] const LinkedFunctions& linked() const;

 private:
  class Parts;
  friend Result<HostObjects> compile_host(const ir::Module& module,
                                          const ir::EncodedProgram& encoded,
                                          const CompileLimits& limits);
  explicit PartCompiler(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

/// Adds a part to those before it.
void append(HostObjects& objects, HostObjects part);

/// All parts, calling each other directly. Thread-safe. Errors as PartCompiler::next().
Result<HostObjects> compile_host(const ir::Module& module, const ir::EncodedProgram& encoded,
                                 const CompileLimits& limits = {});

/// A variant that goes on at `insn` or, where none can, at the header of the loop around it.
/// Nothing in `resumes` where there is no such place. `linked`: as far as the program is compiled;
/// nullptr: all of it.
Result<HostObjects> compile_resume(const ir::Module& module, const ir::EncodedProgram& encoded,
                                   std::uint32_t insn, const LinkedFunctions* linked = nullptr,
                                   const CompileLimits& limits = {});

/// LLVM IR or assembly of one function, after optimisation.
enum class Listing : std::uint8_t { llvm, assembly };
Result<std::string> list_function(const ir::Module& module, const ir::EncodedProgram& encoded,
                                  std::uint32_t function, Listing listing);

/// Describes the machine that code is made for: part of a cache's key.
std::string host_target();

/// Code of one program in this process. Not thread-safe but for code().
class NativeLibrary {
 public:
  /// `objects`: a whole program's, or its first part. Errors: internal, out_of_memory.
  static Result<std::unique_ptr<NativeLibrary>> load(const HostObjects& objects,
                                                     const ir::Module& module);
  ~NativeLibrary();
  NativeLibrary(const NativeLibrary&) = delete;
  NativeLibrary& operator=(const NativeLibrary&) = delete;

  /// Adds a part, or variants; code() is another one then, and what it was before stays valid.
  Status add(const HostObjects& objects);
  [[nodiscard]] const abi::NativeCode* code() const;

 private:
  struct Data;
  explicit NativeLibrary(std::unique_ptr<Data> data);
  std::unique_ptr<Data> data_;
};

}  // namespace warphive::codegen
