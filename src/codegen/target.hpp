// SPDX-License-Identifier: Apache-2.0
// What differs between the targets of code generation: where a lane's state lies and how it is
// reached, how helpers are called, and what functions look like from outside. All else of the code
// (emit.cpp) is the same for every target.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>

#include "codegen/scalar.hpp"
#include "ir/module.hpp"

namespace warphive::codegen {

using scalar::Builder;
struct EmitTypes;

/// What compiled code finds in its context, by offset.
enum class Field : std::uint8_t {
  stack_end,
  globals,
  state,
  layout,  // abi::ProgramLayout
  memory,  // the whole range
  memory0,
  limit0,  // changes where memory 0 grows
  table0,
  table_sizes,
  targets,       // abi::NativeTarget by function
  helpers,       // exec::NativeHelpers; only where helpers are called by address
  native_floor,  // integer
  refused_fuel,  // written
};

/// Functions that compiled code calls: see exec/native.hpp.
enum class Helper : std::uint8_t { refill, step, trap, behind_call };

/// The state of a lane, as the code of one function reaches it: pointers that EmitTypes' metadata
/// describes. `frame` is that of abi/native.hpp.
class LaneAccess {
 public:
  LaneAccess(EmitTypes& types, Builder& builder, llvm::Function* function)
      : types_(types), b_(builder), fn_(function), context_(function->getArg(0)) {}
  virtual ~LaneAccess() = default;
  LaneAccess(const LaneAccess&) = delete;
  LaneAccess& operator=(const LaneAccess&) = delete;

  /// Byte `at` (i64) of a memory, which has passed its bounds check.
  virtual llvm::Value* memory(std::uint32_t index, llvm::Value* at) = 0;
  /// A slot of the globals' range.
  virtual llvm::Value* global(std::uint32_t slot) = 0;
  virtual llvm::Value* slot(llvm::Value* frame, std::uint32_t slot) = 0;
  /// An element, by an index (i32) below the table's size.
  virtual llvm::Value* element(std::uint32_t table, llvm::Value* index) = 0;
  virtual llvm::Value* table_size(std::uint32_t table) = 0;
  virtual llvm::Value* memory_pages(std::uint32_t index) = 0;
  virtual llvm::Value* stack_pointer() = 0;
  virtual llvm::CallInst* call(Helper helper, llvm::ArrayRef<llvm::Value*> args) = 0;

  /// A field that never changes while compiled code runs.
  llvm::Value* field(Field field);
  /// As field(), loaded once at the entry.
  llvm::Value* entry_field(Field field);
  llvm::Value* field_pointer(Field field);
  /// Of what never changes while the pool lives.
  llvm::Value* constant_load(llvm::Type* type, llvm::Value* from, std::uint64_t offset);
  llvm::Value* layout_field(std::size_t offset, llvm::Type* type);
  llvm::Value* byte(llvm::Value* from, std::uint64_t offset) {
    return b_.CreateConstInBoundsGEP1_64(b_.getInt8Ty(), from, offset);
  }

 protected:
  EmitTypes& types_;
  Builder& b_;
  llvm::Function* fn_;
  llvm::Value* context_;

 private:
  std::map<Field, llvm::Value*> entry_fields_;
};

/// Immutable; one may serve any number of modules and threads.
class Target {
 public:
  Target() = default;
  virtual ~Target() = default;
  Target(const Target&) = delete;
  Target& operator=(const Target&) = delete;

  /// Address spaces of the context, and of what it points to.
  [[nodiscard]] virtual unsigned context_space() const { return 0; }
  [[nodiscard]] virtual unsigned data_space() const { return 0; }
  /// Whether LLVM must not see floats as integers: values in memory are then integers, and a
  /// float's bits are taken by an operation that LLVM cannot look into.
  [[nodiscard]] virtual bool has_opaque_bits() const { return false; }
  /// Whether lanes that run together may call different functions at one place, which code must
  /// then say.
  [[nodiscard]] virtual bool is_divergent() const { return false; }
  /// Whether a direct call of one function in another must be made through abi::NativeTarget.
  [[nodiscard]] virtual bool calls_by_table(std::uint32_t /*caller*/,
                                            std::uint32_t /*callee*/) const {
    return false;
  }
  /// Whether there is code for ops on vectors; values of that type pass through signatures anyway.
  [[nodiscard]] virtual bool has_vectors() const { return true; }
  [[nodiscard]] virtual std::size_t offset(Field field) const = 0;
  /// Whether a function looks at the native stack when it is entered.
  [[nodiscard]] virtual bool checks_native_stack(const ir::Module& module,
                                                 std::uint32_t function) const = 0;
  /// Linkage and attributes of a function of the program, defined or not.
  virtual void describe(llvm::Function& function) const = 0;
  /// How guest functions, which compiled code alone calls, get their context: on each of them and
  /// on each call of one.
  virtual void describe_guest(llvm::Function&) const {}
  virtual void describe_guest_call(llvm::CallInst&) const {}
  [[nodiscard]] virtual std::unique_ptr<LaneAccess> lane(EmitTypes& types, Builder& builder,
                                                         llvm::Function* function) const = 0;
};

/// This machine's code, for abi/native.hpp.
const Target& host_code();

}  // namespace warphive::codegen
