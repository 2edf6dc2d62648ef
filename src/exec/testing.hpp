// SPDX-License-Identifier: Apache-2.0
// For tests: building small programs by hand, and one instance of one on each executor behind one
// interface.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "abi/native.hpp"
#include "abi/state.hpp"
#include "abi/tile.hpp"
#include "exec/tile.hpp"
#include "ir/encode.hpp"
#include "ir/module.hpp"

namespace warphive::exec::testing {

/// Appends one function to a module. Blocks are numbered in the order of block(); the first exists.
class FunctionBuilder {
 public:
  /// Slots: params, results below the header, then `locals` zeroed ones, then `temporaries`.
  FunctionBuilder(ir::Module& module, const ir::FunctionType& type, std::uint32_t locals,
                  std::uint32_t temporaries);

  [[nodiscard]] std::uint32_t index() const { return index_; }
  [[nodiscard]] std::uint16_t header() const { return header_; }
  /// Slot of local or temporary `i`, counted from the header.
  [[nodiscard]] std::uint16_t local(std::uint32_t i) const {
    return static_cast<std::uint16_t>(header_ + 1 + i);
  }

  FunctionBuilder& op(ir::Op op, std::uint32_t a = 0, std::uint32_t b = 0, std::uint32_t c = 0,
                      std::uint64_t imm = 0);
  FunctionBuilder& charge(std::uint64_t units) { return op(ir::Op::charge, 0, 0, 0, units); }
  /// A br_ak op with its constant.
  FunctionBuilder& branch_k(ir::Op op, std::uint32_t a, std::int32_t constant, std::uint32_t block);
  FunctionBuilder& block();
  FunctionBuilder& branch_table(std::uint32_t a, std::vector<std::uint32_t> blocks);
  FunctionBuilder& ret() { return op(ir::Op::ret, header_); }
  FunctionBuilder& ret_mov(std::uint32_t slot) { return op(ir::Op::ret_mov, header_, slot); }

 private:
  [[nodiscard]] ir::Function& function();

  ir::Module& module_;
  std::uint32_t index_;
  std::uint16_t header_;
};

/// `count` parameters and `results` results of type i64.
ir::FunctionType type(std::uint32_t count, std::uint32_t results);
/// The index of a type in the module, added if it is new.
std::uint32_t intern(ir::Module& module, const ir::FunctionType& type);

/// fused and fused_loop are threaded and loop on a program that went through fuse(). tile and
/// tile_wide are the interpreter on the layouts of exec::tile_shapes. sim and sim_wide are compiled
/// code for these, where a test's binary links it (exec::testing::compile_tile).
enum class Executor : std::uint8_t {
  ref,
  threaded,
  loop,
  fused,
  fused_loop,
  tile,
  tile_wide,
  sim,
  sim_wide
};
/// Those that this binary is for: the interpreters, or compiled code.
std::span<const Executor> all_executors();
std::string name(Executor executor);

struct Limits {
  std::uint32_t memory_capacity = 4;  // pages
  std::uint32_t table_capacity = 1024;
  std::uint32_t stack_slots = 4096;
  std::uint32_t max_depth = 1024;
  std::uint64_t fuel = abi::unlimited_fuel;
  std::uint64_t quantum = 4096;             // the reference executor has none
  std::uint64_t slice = ~std::uint64_t{0};  // of lanes in tiles
};

/// What a host function sees and decides; the same for all executors.
struct HostView {
  std::uint32_t import = 0;
  std::span<std::uint64_t> values;
  std::uint64_t fuel_used = 0;
  std::int32_t exit_code = 0;                // with Exit::exited
  abi::TrapKind trap = abi::TrapKind::none;  // with Exit::trapped
};
using HostFunction = std::function<abi::Exit(HostView& view)>;

struct Outcome {
  abi::Exit exit = abi::Exit::ready;
  abi::TrapKind trap = abi::TrapKind::none;
  std::vector<std::uint64_t> results;  // with Exit::returned
  std::uint64_t fuel_used = 0;
  std::uint64_t fuel_left = 0;
  std::uint32_t function = ir::none;  // where it stopped, with trapped and resumable exits
  std::uint32_t inst = 0;
  std::int32_t exit_code = 0;

  friend bool operator==(const Outcome&, const Outcome&) = default;
};
void PrintTo(const Outcome& outcome, std::ostream* out);

/// One instance of a linked module.
class Subject {
 public:
  virtual ~Subject() = default;
  virtual Outcome call(std::uint32_t function, std::vector<std::uint64_t> args) = 0;
  virtual Outcome resume() = 0;
  virtual void set_fuel(std::uint64_t fuel) = 0;
  /// Writes results of a parked call.
  virtual void answer(std::span<const std::uint64_t> values) = 0;
  virtual std::vector<std::uint8_t> memory(std::uint32_t index) = 0;
  virtual void write_memory(std::uint32_t index, std::uint64_t at,
                            std::span<const std::uint8_t> bytes) = 0;
  virtual std::vector<std::uint64_t> table(std::uint32_t index) = 0;
  virtual void set_element(std::uint32_t table, std::uint32_t index, std::uint64_t value) = 0;
  virtual std::vector<std::uint64_t> globals() = 0;
  virtual void set_global(std::uint32_t index, std::uint64_t value) = 0;
  virtual std::uint32_t grow_refused() = 0;
  /// What its runs so far did; nothing where lanes do not lie in tiles.
  [[nodiscard]] virtual TileRun tile_run() const { return {}; }
};

/// Code of a program for lanes in tiles; `owner` keeps it.
struct TileCode {
  std::shared_ptr<const void> owner;
  const abi::NativeCode* code = nullptr;
};
using CompileTile = TileCode (*)(const ir::Module& module, const ir::EncodedProgram& encoded,
                                 const abi::TileShape& shape);
/// Defined, and set before main, by what a test links to have sim and sim_wide.
extern CompileTile compile_tile;

/// `module` is verified here and must outlive the subject.
std::unique_ptr<Subject> make_subject(Executor executor, const ir::Module& module,
                                      const Limits& limits = {}, HostFunction host = {});

/// A pool of a few instances for the interpreter, of which the middle one is used; its neighbours
/// are filled with a pattern.
class TestPool {
 public:
  TestPool(const ir::Module& module, const Limits& limits, bool fused = false);

  static constexpr std::uint32_t slot = 1;
  static constexpr std::uint8_t pattern = 0xa5;

  [[nodiscard]] abi::InstanceHeader& header() { return headers_[slot]; }
  [[nodiscard]] const abi::Pool& pool() const { return pool_; }
  [[nodiscard]] abi::Pool& pool() { return pool_; }
  [[nodiscard]] const ir::EncodedProgram& program() const { return program_; }
  [[nodiscard]] const abi::ProgramLayout& layout() const { return layout_; }
  [[nodiscard]] const abi::Code& code() const { return code_; }
  [[nodiscard]] std::uint64_t* stack() { return stack_.data() + std::size_t{slot} * stack_stride_; }
  [[nodiscard]] std::uint8_t* memory(std::uint32_t index);
  [[nodiscard]] std::uint64_t* table(std::uint32_t index);
  [[nodiscard]] std::uint64_t* globals();
  [[nodiscard]] std::uint32_t memory_pages(std::uint32_t index);
  [[nodiscard]] std::uint32_t table_size(std::uint32_t index);
  /// Whether everything outside the middle instance still holds the pattern.
  [[nodiscard]] bool neighbours_untouched() const;

 private:
  [[nodiscard]] std::uint8_t* state() {
    return state_.data() + std::size_t{slot} * layout_.state_bytes;
  }

  static constexpr std::uint32_t instances = 3;
  ir::EncodedProgram program_;
  abi::Code code_{};
  std::vector<abi::MemoryLayout> memories_;
  std::vector<abi::TableLayout> tables_;
  abi::ProgramLayout layout_{};
  std::uint32_t stack_stride_ = 0;
  std::vector<abi::InstanceHeader> headers_;
  std::vector<std::uint8_t> state_;
  std::vector<std::uint64_t> stack_;
  std::vector<std::uint8_t> memory_;
  abi::Pool pool_{};
};

/// An instance of a TestPool; how it runs is up to derived classes.
class PoolSubject : public Subject {
 public:
  PoolSubject(const ir::Module& module, const Limits& limits, HostFunction host, bool fused);
  ~PoolSubject() override;

  Outcome call(std::uint32_t function, std::vector<std::uint64_t> args) override;
  Outcome resume() override;
  void set_fuel(std::uint64_t fuel) override { pool_.header().fuel_left = fuel; }
  void answer(std::span<const std::uint64_t> values) override;
  std::vector<std::uint8_t> memory(std::uint32_t index) override;
  void write_memory(std::uint32_t index, std::uint64_t at,
                    std::span<const std::uint8_t> bytes) override;
  std::vector<std::uint64_t> table(std::uint32_t index) override;
  void set_element(std::uint32_t table, std::uint32_t index, std::uint64_t value) override;
  std::vector<std::uint64_t> globals() override;
  void set_global(std::uint32_t index, std::uint64_t value) override;
  std::uint32_t grow_refused() override { return pool_.header().grow_refused; }

 protected:
  /// Runs lane_ with params_ until it leaves.
  virtual void run() = 0;
  /// A host function has decided.
  virtual void served(abi::Exit /*exit*/) {}

  const ir::Module& module_;
  TestPool pool_;
  const abi::LaneRef lane_{.pool = 0, .slot = TestPool::slot};
  std::uint32_t stop_ = 0;
  abi::RunParams params_{};

 private:
  static abi::Exit serve(const abi::RunParams* params, const abi::Pool* pool, abi::LaneRef lane,
                         std::uint32_t import, std::uint64_t* values);
  [[nodiscard]] Outcome outcome();

  HostFunction host_;
};

}  // namespace warphive::exec::testing
