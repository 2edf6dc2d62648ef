// SPDX-License-Identifier: Apache-2.0
// FunctionLowering: one WebAssembly function body after another to IR.
//
// An abstract operand stack says where each operand is. Locals and constants stay where they are
// until something needs them in the operand's own slot, its temporary: `first temporary + height`.
// All paths into a label leave the label's values in their temporaries. Where a block writes a
// local that an operand below the block is, the operand's copy is inserted in front of the block,
// so that it is made on all paths.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "guest/wasm/lower.hpp"
#include "guest/wasm/lower_builder.hpp"
#include "guest/wasm/lower_operators.hpp"

namespace warphive::wasm {

/// The loop of a bulk operation whose range was checked: a charge and a chunk until slot `count` is
/// 0. `charge_bytes` is the size of an item; 0: the loop can be stopped, but costs nothing.
void emit_chunk_loop(FunctionBuilder& builder, ir::Op chunk, std::uint32_t a, std::uint32_t b,
                     std::uint32_t count, std::uint64_t imm, std::uint32_t charge_bytes);

/// The 16 bytes of a constant in the module.
ir::Vector read_vector(const std::byte* from);

enum class SimdOpcode : std::uint8_t;

class FunctionLowering {
 public:
  /// Memory and table facts go to `output`, whose tables of them are filled. `types` maps the
  /// module's types to the output's. All are borrowed.
  FunctionLowering(const Module& module, const LowerOptions& options,
                   std::span<const std::uint32_t> types, ir::Module& output);

  /// Fills code, source, blocks, branch tables and slots of `function`, lowered from
  /// `module.bodies[body]`. Errors: limit_exceeded.
  Status lower(std::uint32_t body, ir::Function& function);

 private:
  struct Entry {
    enum class Kind : std::uint8_t { temporary, local, constant };
    std::uint64_t bits = 0;  // the constant, or the local's slot
    Kind kind = Kind::temporary;
    bool wrapped = false;  // the value is the low half of the slot
    enum class Half : std::uint8_t { none, low, high } half = Half::none;  // of a vector
  };
  struct TypeSlots {
    std::uint32_t params = 0;
    std::uint32_t results = 0;
    bool has_vectors = false;
  };
  struct Frame {
    enum class Kind : std::uint8_t { function, block, loop, if_then, if_else };
    Kind kind = Kind::block;
    bool label_used = false;
    bool outer_loop = false;
    Label label = 0;
    Label else_label = 0;
    FunctionBuilder::Mark mark;             // in front of everything in it
    const FunctionType* vectors = nullptr;  // its type, where that has vectors
    std::uint32_t base = 0;                 // height below the parameters
    std::uint32_t params = 0;               // operands: two for a vector
    std::uint32_t results = 0;
    [[nodiscard]] std::uint32_t arity() const { return kind == Kind::loop ? params : results; }
  };
  /// A conditional branch without its target.
  struct Branch {
    ir::Op op = no_op;
    ir::Op inverse = no_op;
    std::uint16_t a = 0;
    std::uint16_t b = 0;
    std::uint16_t c = 0;
    bool swap = false;  // the inverse takes a and b swapped
  };
  struct Move {
    std::uint32_t to;
    std::uint32_t from;
  };

  // Decoding; the reader has validated every byte.
  std::uint8_t read_byte() { return static_cast<std::uint8_t>(*position_++); }
  std::uint32_t read_u32() {
    const std::uint32_t byte = read_byte();
    return byte < 0x80 ? byte : read_long_u32(byte);
  }
  std::uint32_t read_long_u32(std::uint32_t byte);
  std::uint64_t read_signed() {
    const std::uint64_t byte = read_byte();
    return byte < 0x80 ? (byte ^ 0x40) - 0x40 : read_long_signed(byte);  // extends bit 6
  }
  std::uint64_t read_long_signed(std::uint64_t byte);
  std::uint64_t read_fixed(std::uint32_t bytes);
  void read_block_type(Frame& frame);
  void skip_leb();
  void skip_immediates(Opcode code);

  // The operand stack.
  [[nodiscard]] std::uint32_t height() const { return static_cast<std::uint32_t>(stack_.size()); }
  std::uint32_t temporary(std::uint32_t at) {
    const std::uint32_t slot = first_temporary_ + at;
    use_slots_to(slot + 1);
    return slot;
  }
  void use_slots_to(std::uint32_t end) { frame_slots_ = std::max(frame_slots_, end); }
  [[gnu::always_inline]] void push_temporary() { stack_.push_back({}); }
  void push_temporaries(std::uint32_t count) { stack_.resize(stack_.size() + count); }
  void push_params(const Frame& frame) {
    if (frame.vectors == nullptr) [[likely]]
      return push_temporaries(frame.params);
    push_typed_temporaries(frame.vectors->params);
  }
  void push_results(const Frame& frame) {
    if (frame.vectors == nullptr) [[likely]]
      return push_temporaries(frame.results);
    push_typed_temporaries(frame.vectors->results);
  }
  [[gnu::always_inline]] void push_constant(std::uint64_t bits) {
    stack_.push_back({bits, Entry::Kind::constant, false});
  }
  [[gnu::always_inline]] void push_local(std::uint32_t slot) {
    stack_.push_back({slot, Entry::Kind::local, false});
    ++references_[slot];
    ++local_operands_;
  }
  void forget(const Entry& entry) {
    if (entry.kind != Entry::Kind::local) return;
    --references_[entry.bits];
    --local_operands_;
  }
  void pop() {
    forget(stack_.back());
    stack_.pop_back();
  }
  void truncate(std::uint32_t to) {
    while (height() > to) pop();
  }
  std::uint32_t operand(std::uint32_t at, std::uint32_t bits = 64);
  void materialise(std::uint32_t at);
  void materialise_top(std::uint32_t count, bool wrapped_only = false);
  [[nodiscard]] bool top_in_temporaries(std::uint32_t count) const;
  void move_to(std::uint32_t slot, const Entry& entry, std::uint32_t at);
  void move_top(std::uint32_t to_height, std::uint32_t count);
  void save_local(std::uint32_t at);
  void save_all_locals();
  void preserve_local(std::uint32_t slot);
  [[nodiscard]] std::uint32_t local_slot(std::uint32_t local) const {
    return local < params_ ? local : local + local_shift_;
  }

  // Vectors, in lower_simd.cpp.
  struct SlotRun {
    std::uint32_t end;    // local after its last
    std::uint32_t first;  // local
    std::uint32_t slot;   // of that
    bool is_vector;
  };
  struct LocalPlace {
    std::uint32_t slot;
    bool is_vector;
  };
  static TypeSlots slots_of(const FunctionType& type);
  void find_local_runs(const FunctionType& type, const FunctionBody& body);
  [[nodiscard]] LocalPlace place_of_local(std::uint32_t local) const;
  void get_local_of_runs(std::uint32_t local);
  void set_local_of_runs(std::uint32_t local, bool keep);
  void push_vector_local(std::uint32_t slot);
  std::uint32_t vector_temporary(std::uint32_t at);
  void push_vector_temporary();
  void push_vector_constant(const ir::Vector& vector);
  void push_typed_temporaries(std::span<const ValueType> types);
  std::uint32_t vector_index(const ir::Vector& vector);
  void move_vector(std::uint32_t slot, const Entry& low, std::uint32_t at);
  void materialise_vector(std::uint32_t at);
  void forget_vector(std::uint32_t at);
  std::uint32_t vector_operand(std::uint32_t at);
  void drop_vector();
  void select_vector();
  void get_vector_global(std::uint32_t index);
  void set_vector_global(std::uint32_t index);
  void lower_simd();
  void binary_vector(ir::Op op, bool swap, std::uint64_t imm);
  void access_lane(SimdOpcode code, ir::Op op);
  bool retarget_vector(std::uint32_t to_height);

  // Charges.
  void begin_guest_block(bool loop_header);
  void end_guest_block();

  // Operators.
  void lower_operator(Opcode code);
  void lower_other(Opcode code);
  void lower_misc();
  void lower_unreachable(Opcode code);
  void binary(Opcode code);
  void unary(Opcode code, ir::Op op, std::uint32_t bits);
  void unary_with_index(ir::Op op, std::uint32_t index);
  void load(ir::Op op);
  void store(ir::Op op, std::uint32_t bits);
  void equal_zero(bool wide);
  void select();
  void drop();
  void set_local(std::uint32_t slot, bool keep);
  void get_global(std::uint32_t index);
  void bulk(ir::Op check, ir::Op chunk, std::uint64_t imm, std::uint32_t charge_bytes);
  void grow_table(std::uint32_t table);

  // Control.
  void begin_block(Frame::Kind kind);
  void begin_if();
  void begin_else();
  void end_block();
  void end_function();
  void branch(std::uint32_t depth);
  void branch_if(std::uint32_t depth);
  void branch_table();
  void return_values();
  void return_from_temporaries();
  void move_to_front(std::uint32_t count);
  void call(std::uint32_t function);
  void call_indirect(std::uint32_t type, std::uint32_t table);
  void start_again();
  void finish_call(std::uint32_t type, ir::Op op, std::uint32_t index_slot, std::uint64_t imm);
  void leave() {
    end_guest_block();
    reachable_ = false;
  }
  Branch take_condition();
  void emit_branch(const Branch& branch, bool inverse, Label target);
  Frame& frame_at(std::uint32_t depth) { return frames_[frames_.size() - 1 - depth]; }

  const Module& module_;
  const LowerOptions& options_;
  std::span<const std::uint32_t> types_;
  ir::Module& output_;
  std::vector<TypeSlots> type_slots_;  // of the module's types
  std::uint64_t budget_;               // instructions that the rest of the module may become

  FunctionBuilder builder_;
  std::vector<Entry> stack_;
  std::vector<Frame> frames_;
  std::vector<std::uint32_t>
      references_;  // by slot: operands that are that local; all 0 between functions
  std::uint32_t local_operands_ = 0;  // their sum
  std::vector<std::uint32_t> readers_;
  std::vector<Move> moves_;
  std::vector<std::uint32_t> ready_;
  std::vector<Label> targets_;          // of a branch table, in its order
  std::vector<Label> target_of_depth_;  // ir::none between branch tables
  std::vector<std::uint32_t> depths_;   // distinct ones of a branch table
  std::vector<SlotRun> local_runs_;     // of functions that have vectors among their locals
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::uint32_t> vector_indices_;

  const std::byte* position_ = nullptr;
  std::uint32_t function_ = 0;  // the module's index of what is lowered
  Label start_ = 0;             // behind `enter`, if jumps_to_start_
  std::uint32_t params_ = 0;    // slots
  std::uint32_t results_ = 0;   // slots
  std::uint32_t local_shift_ = 0;
  std::uint32_t header_slot_ = 0;
  std::uint32_t first_temporary_ = 0;
  std::uint32_t frame_slots_ = 0;
  std::uint32_t skipped_ = 0;  // blocks opened in unreachable code
  std::uint32_t loops_ = 0;    // open ones
  std::uint32_t charge_ = ir::none;
  std::uint64_t units_ = 0;
  bool charge_required_ = false;
  bool reachable_ = true;
  bool too_many_slots_ = false;
  bool too_long_ = false;
  bool has_vector_locals_ = false;  // or parameters
  bool jumps_to_start_ = false;     // to call itself in place of a return
};

}  // namespace warphive::wasm
