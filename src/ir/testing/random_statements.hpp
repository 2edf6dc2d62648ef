// SPDX-License-Identifier: Apache-2.0
// What the functions of random modules do. Private to random_module.cpp.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "abi/exit.hpp"
#include "ir/operands.hpp"
#include "ir/testing/random_module.hpp"
#include "ir/testing/random_writer.hpp"

namespace warphive::ir::testing {

/// Writes one function at a time, as decided, into a module whose types, memories, tables, globals
/// and function types are there.
class RandomStatements {
 protected:
  RandomStatements(Choices& choices, const RandomOptions& options)
      : choices_(choices), options_(options), ops_(list_ops(options.floats)) {}
  ~RandomStatements() = default;

  // --- Slots. Parameters and locals can be read anywhere; the window above them belongs to calls.

  std::uint32_t source_slot() {
    const std::uint32_t index = choices_.below(params_ + locals_);
    return index < params_ ? index : header_ + 1 + index - params_;
  }
  std::uint32_t target_slot() {
    if (options_.wild && params_ != 0 && choices_.one_in(4)) return choices_.below(params_);
    const std::uint32_t free = locals_ - protected_;
    return header_ + 1 + choices_.below(free);
  }
  // The first of two neighbours.
  std::uint32_t vector_source() {
    const std::uint32_t in_params = params_ < 2 ? 0 : params_ - 1;
    const std::uint32_t index = choices_.below(in_params + locals_ - 1);
    return index < in_params ? index : header_ + 1 + index - in_params;
  }
  std::uint32_t vector_target() {
    if (options_.wild && params_ > 1 && choices_.one_in(4)) return choices_.below(params_ - 1);
    return header_ + 1 + choices_.below(locals_ - protected_ - 1);
  }
  // The topmost local, out of reach of target_slot until it is given back.
  std::uint32_t protect_slot() { return header_ + 1 + locals_ - ++protected_; }

  std::uint64_t value() {
    switch (choices_.below(4)) {
      case 0:
        return choices_.below(16);
      case 1:
        return interesting[choices_.below(interesting.size())];
      case 2:
        return choices_.below(0x10000);
      default:
        return choices_.bits();
    }
  }

  template <class T>
  T pick(const std::vector<T>& list) {
    return list[choices_.below(static_cast<std::uint32_t>(list.size()))];
  }

  // Functions that may be called in any way: those written, and the stub of the host's.
  std::uint32_t callable() const {
    return function_count_ + (options_.wild && options_.host_calls ? 1 : 0);
  }
  std::uint32_t memory_index() { return options_.wild && choices_.one_in(6) ? 1 : 0; }
  std::uint32_t table_index() { return options_.wild && choices_.one_in(3) ? 1 : 0; }
  // Keeps values in range, or most of them.
  std::uint64_t mask(std::uint64_t usual) {
    if (!options_.wild || !choices_.one_in(12)) return usual;
    return choices_.below(2) == 0 ? usual * 2 + 1 : 0xffff'ffff;
  }
  std::uint64_t place_in_memory() {
    constexpr std::array<std::uint64_t, 7> edges = {0xfff0,      0xffff,      0x10000,    0x1fff8,
                                                    0x7fff'ffff, 0xffff'fff8, 0xffff'ffff};
    if (!options_.wild) return choices_.below(56);
    const std::uint64_t offset =
        choices_.one_in(16) ? edges[choices_.below(7)] : choices_.below(56);
    return imm_pair(static_cast<std::uint32_t>(offset), memory_index());
  }

  void charge(bool for_loop = false) {
    if (options_.metered && (for_loop || !choices_.one_in(8))) {
      writer_.emit(Op::charge, 0, 0, 0, 1 + choices_.below(20));
    } else if (for_loop) {
      writer_.emit(Op::charge);
    }
  }

  // Sets the slots of a value of that type; returns how many.
  std::uint32_t pass_value(ValueType type, std::uint32_t to) {
    if (type == ValueType::v128) {
      writer_.emit(Op::mov128, to, vector_source());
    } else {
      typed_move(type, to, source_slot());
    }
    return slots(type);
  }
  void typed_move(ValueType type, std::uint32_t to, std::uint32_t from) {
    const bool narrow = type == ValueType::i32 || type == ValueType::f32;
    writer_.emit(narrow ? Op::wrap64 : Op::mov, to, from);
  }

  // --- Statements

  void scalar(Op op) {
    const OpInfo& facts = info(op);
    const std::uint32_t to = target_slot();
    switch (facts.shape) {
      case Shape::d_a:
        writer_.emit(op, to, source_slot());
        break;
      case Shape::d_ab:
        writer_.emit(op, to, source_slot(), source_slot());
        break;
      case Shape::d_ak: {
        std::uint64_t constant = value();
        if (facts.src_bits == 32) constant &= 0xffffffff;
        writer_.emit(op, to, source_slot(), 0, constant);
        break;
      }
      default:
        writer_.emit(op, to, source_slot(), source_slot(), source_slot());
        break;
    }
  }

  void vector(Op op) {
    if (locals_ - protected_ < 2) return;
    const std::uint32_t lanes = lane_count(op);
    switch (info(op).shape) {
      case Shape::v_v:
        return writer_.emit(op, vector_target(), vector_source());
      case Shape::v_vv:
        return writer_.emit(op, vector_target(), vector_source(), vector_source());
      case Shape::v_vvv:
        return writer_.emit(op, vector_target(), vector_source(), vector_source(), vector_source());
      case Shape::v_vva:
        return writer_.emit(op, vector_target(), vector_source(), vector_source(), source_slot());
      case Shape::v_va:
        return writer_.emit(op, vector_target(), vector_source(), source_slot());
      case Shape::v_a:
        return writer_.emit(op, vector_target(), source_slot());
      case Shape::d_v:
        return writer_.emit(op, target_slot(), vector_source());
      case Shape::d_vk:
        return writer_.emit(op, target_slot(), vector_source(), 0, choices_.below(lanes));
      case Shape::v_vak:
        return writer_.emit(op, vector_target(), vector_source(), source_slot(),
                            choices_.below(lanes));
      case Shape::v_vvg: {
        constexpr std::uint64_t lane_bits = 0x1f1f'1f1f'1f1f'1f1f;
        module_.vectors.push_back({choices_.bits() & lane_bits, choices_.bits() & lane_bits});
        return writer_.emit(op, vector_target(), vector_source(), vector_source(),
                            module_.vectors.size() - 1);
      }
      case Shape::load_v:
        if (!options_.memory) return;
        return vector_access(op);
      case Shape::store_v:
        if (!options_.memory) return;
        return vector_access(op);
      default:
        break;
    }
    if (op == Op::const128) {
      return writer_.emit(op, vector_target(), 0, 0, choices_.below(4));
    }
    for (std::uint32_t i = 0; i < module_.globals.size(); ++i) {
      if (module_.globals[i].type != ValueType::v128) continue;
      if (op == Op::global_get128) return writer_.emit(op, vector_target(), 0, 0, i);
      return writer_.emit(op, vector_source(), 0, 0, i);
    }
  }

  void vector_access(Op op) {
    const std::uint32_t at = address();
    const std::uint64_t offset = place_in_memory();
    if (info(op).shape == Shape::load_v) return writer_.emit(op, vector_target(), at, 0, offset);
    writer_.emit(op, at, vector_source(), 0, offset);
  }

  // A slot with an address that is nearly always inside of the memory.
  std::uint32_t address() {
    if (choices_.one_in(24)) return source_slot();
    const std::uint32_t slot = target_slot();
    const bool exact = options_.wild && choices_.one_in(4);
    writer_.emit(Op::and32_k, slot, source_slot(), 0, exact ? 0xffff : 0xffc0);
    return slot;
  }

  void memory_access() {
    const std::uint32_t at = address();
    const std::uint64_t offset = place_in_memory();
    if (choices_.below(2) == 0) {
      writer_.emit(pick(ops_.loads), target_slot(), at, 0, offset);
    } else {
      writer_.emit(pick(ops_.stores), at, source_slot(), 0, offset);
    }
  }

  void bulk() {
    struct Kind {
      Op check, chunk;
      bool table;
    };
    std::vector<Kind> kinds;
    if (options_.memory) {
      kinds.push_back({Op::memory_fill_check, Op::memory_fill_chunk, false});
      kinds.push_back({Op::memory_copy_check, Op::memory_copy_chunk, false});
      kinds.push_back({Op::memory_init_check, Op::memory_init_chunk, false});
    }
    if (options_.tables) {
      kinds.push_back({Op::table_copy_check, Op::table_copy_chunk, true});
      kinds.push_back({Op::table_init_check, Op::table_init_chunk, true});
      if (options_.wild) kinds.push_back({Op::table_fill_check, Op::table_fill_chunk, true});
    }
    if (kinds.empty()) return;
    bulk(pick(kinds).check);
  }

  // Three fresh slots, the check, and the loop of chunks.
  void bulk(Op check) {
    const Op chunk = static_cast<Op>(static_cast<std::uint16_t>(check) +
                                     (static_cast<std::uint16_t>(Op::memory_fill_chunk) -
                                      static_cast<std::uint16_t>(Op::memory_fill_check)));
    const bool table = operands(check).low == Space::table;
    const bool from_segment =
        operands(check).high == Space::data || operands(check).high == Space::elem;
    if (locals_ - protected_ < 4) return;
    const std::uint32_t count = protect_slot();
    const std::uint32_t from = protect_slot();
    const std::uint32_t to = protect_slot();
    writer_.emit(Op::and32_k, to, source_slot(), 0, mask(table ? 3 : 0x7fff));
    if (check == Op::table_fill_check) {
      any_function(from);
    } else {
      writer_.emit(Op::and32_k, from, source_slot(), 0,
                   mask(from_segment ? 7 : (table ? 3 : 0x7fff)));
    }
    writer_.emit(Op::and32_k, count, source_slot(), 0, mask(from_segment || table ? 3 : 0xfff));
    const std::uint64_t between = bulk_indices(check);
    writer_.emit(check, to, from, count, between);
    bulk_loop(chunk, to, from, count, between, table ? 8 : 1);
    protected_ -= 3;
  }

  // What a bulk operation works on; the first table alone may change.
  std::uint64_t bulk_indices(Op check) {
    if (!options_.wild) return 0;
    const std::uint32_t to = operands(check).low == Space::table ? 0 : memory_index();
    std::uint32_t from = 0;
    if (operands(check).high == Space::table) from = table_index();
    if (operands(check).high == Space::memory) from = memory_index();
    return imm_pair(to, from);
  }

  void any_function(std::uint32_t to) {
    if (choices_.one_in(4)) return writer_.emit(Op::const_k, to);
    writer_.emit(Op::ref_func, to, 0, 0, choices_.below(callable()));
  }

  void bulk_loop(Op chunk, std::uint32_t to, std::uint32_t from, std::uint32_t count,
                 std::uint64_t indices, std::uint32_t item_bytes) {
    const Label header = writer_.label();
    const Label done = writer_.label();
    writer_.bind(header);
    writer_.branch_k(Op::br_eq32_k, count, 0, done);
    writer_.emit(Op::bulk_charge, count, 0, 0, item_bytes);
    writer_.emit(chunk, to, from, count, indices);
    writer_.emit(Op::br, 0, 0, 0, header);
    writer_.bind(done);
    charge();
  }

  void state_access() {
    const auto global = choices_.below(static_cast<std::uint32_t>(module_.globals.size()));
    const bool is_vector = module_.globals[global].type == ValueType::v128;
    const std::uint32_t kind = choices_.below(8);
    switch (is_vector && kind < 4 ? 4 : kind) {
      case 0:
      case 1:
        writer_.emit(Op::global_get, target_slot(), 0, 0, global);
        break;
      case 2:
      case 3:
        writer_.emit(Op::global_set, source_slot(), 0, 0, global);
        break;
      case 4:
        if (options_.memory) writer_.emit(Op::memory_size, target_slot(), 0, 0, memory_index());
        break;
      case 5:
        if (options_.memory && choices_.one_in(4)) grow_memory();
        break;
      case 6:
        if (options_.wild && choices_.one_in(8)) return drop();
        if (options_.tables) writer_.emit(Op::table_size, target_slot(), 0, 0, table_index());
        break;
      default:
        table_access();
        break;
    }
  }

  void grow_memory() {
    const std::uint32_t memory = memory_index();
    if (!module_.memories[memory].grows) return;
    const std::uint32_t delta = target_slot();
    if (!options_.wild || !choices_.one_in(6)) {
      writer_.emit(Op::const_k, delta, 0, 0, choices_.below(3));
    }
    writer_.emit(Op::memory_grow, target_slot(), delta, 0, memory);
  }

  void drop() {
    if (options_.memory && choices_.below(2) == 0) {
      writer_.emit(Op::data_drop);
    } else if (options_.tables) {
      writer_.emit(Op::elem_drop);
    }
  }

  void table_access() {
    if (!options_.tables || locals_ - protected_ < 3) return;
    const std::uint32_t at = protect_slot();
    writer_.emit(Op::and32_k, at, source_slot(), 0, mask(7));
    switch (choices_.below(3)) {
      case 0:
        writer_.emit(Op::table_get, target_slot(), at, 0, table_index());
        break;
      case 1: {
        const std::uint32_t value = target_slot();
        writer_.emit(Op::ref_func, value, 0, 0, choices_.below(function_count_));
        writer_.emit(Op::table_set, at, value);
        break;
      }
      default: {
        writer_.emit(Op::const_k, at, 0, 0, choices_.below(2));
        writer_.emit(Op::table_grow, target_slot(), at);
        break;
      }
    }
    --protected_;
  }

  void pass_arguments(const FunctionType& type) {
    argument_base_ = base_ + (options_.wild ? choices_.below(spare_slots + 1) : 0);
    std::uint32_t slot = argument_base_;
    for (const ValueType param : type.params) slot += pass_value(param, slot);
  }
  void take_results(const FunctionType& type) {
    charge();
    std::uint32_t slot = argument_base_;
    for (const ValueType result : type.results) {
      const bool fits = slots(result) == 1 || locals_ - protected_ >= 2;
      if (fits && !choices_.one_in(4)) {
        if (slots(result) == 2) {
          writer_.emit(Op::mov128, vector_target(), slot);
        } else {
          writer_.emit(Op::mov, target_slot(), slot);
        }
      }
      slot += slots(result);
    }
  }

  void call() {
    const std::uint32_t count = function_count_;
    if (options_.host_calls && choices_.one_in(4)) {
      const FunctionType& type = module_.types[host_type_];
      pass_arguments(type);
      writer_.emit(Op::call, argument_base_, 0, 0, count);  // the stub, written last
      take_results(type);
      return;
    }
    if (options_.tables && choices_.one_in(3)) {
      const auto type = choices_.below(static_cast<std::uint32_t>(module_.types.size()));
      std::uint32_t index = target_slot();
      pass_arguments(module_.types[type]);
      // Behind the arguments, as a stack machine has it.
      if (options_.wild && choices_.one_in(2)) {
        index = argument_base_ + param_slots(module_.types[type]);
      }
      writer_.emit(Op::and32_k, index, source_slot(), 0, mask(7));
      writer_.emit(Op::call_indirect, argument_base_, index, 0, imm_pair(table_index(), type));
      take_results(module_.types[type]);
      return;
    }
    const bool anyone = options_.wild && choices_.one_in(2);
    if (!anyone && function_ + 1 >= count) return;
    const std::uint32_t callee =
        anyone ? choices_.below(count) : function_ + 1 + choices_.below(count - function_ - 1);
    const FunctionType& type = module_.types[module_.functions[callee].type];
    pass_arguments(type);
    writer_.emit(Op::call, argument_base_, 0, 0, callee);
    take_results(type);
  }

  void branch(Label to) {
    if (choices_.below(2) == 0) {
      writer_.emit(pick(ops_.branches_ab), source_slot(), source_slot(), 0, to);
    } else {
      writer_.branch_k(pick(ops_.branches_ak), source_slot(), static_cast<std::int32_t>(value()),
                       to);
    }
  }

  void condition(std::uint32_t depth) {
    const Label otherwise = writer_.label();
    const Label join = writer_.label();
    branch(otherwise);
    charge();
    body(depth);
    if (choices_.one_in(8)) {
      leave();
    } else {
      writer_.emit(Op::br, 0, 0, 0, join);
    }
    writer_.bind(otherwise);
    charge();
    body(depth);
    writer_.bind(join);
    charge();
  }

  void loop(std::uint32_t depth) {
    if (locals_ - protected_ < 3) return;
    const std::uint32_t counter = protect_slot();
    writer_.emit(Op::const_k, counter, 0, 0, 1 + choices_.below(8));
    const Label header = writer_.label();
    const Label exit = writer_.label();
    if (options_.wild && choices_.one_in(4)) {  // without the counter
      --protected_;
      writer_.bind(header);
      charge(true);
      body(depth);
      branch(header);
      charge();
      return;
    }
    writer_.bind(header);
    charge(true);
    body(depth);
    if (choices_.one_in(3)) {
      branch(exit);
      charge();
      body(depth);
    }
    writer_.emit(Op::sub32_k, counter, counter, 0, 1);
    writer_.branch_k(Op::br_ne32_k, counter, 0, header);
    writer_.bind(exit);
    charge();
    --protected_;
  }

  void switch_table(std::uint32_t depth) {
    std::vector<Label> arms(1 + choices_.below(4));
    for (Label& arm : arms) arm = writer_.label();
    const Label join = writer_.label();
    std::vector<Label> targets;
    for (std::uint32_t i = 1 + choices_.below(6); i-- > 0;) targets.push_back(pick(arms));
    const std::uint32_t index = target_slot();
    writer_.emit(Op::and32_k, index, source_slot(), 0, mask(7));
    writer_.branch_table(index, std::move(targets));
    for (const Label arm : arms) {
      writer_.bind(arm);
      charge();
      body(depth);
      if (choices_.below(2) == 0) writer_.emit(Op::br, 0, 0, 0, join);
    }
    writer_.bind(join);
    charge();
  }

  // Writes results from locals and returns.
  void leave() {
    const FunctionType& type = module_.types[module_.functions[function_].type];
    const bool plain = type.results.size() == 1 && slots(type.results[0]) == 1;
    if (plain && choices_.below(2) == 0) {
      const std::uint32_t slot = target_slot();
      typed_move(type.results[0], slot, slot);
      writer_.emit(Op::ret_mov, header_, slot);
      return;
    }
    std::uint32_t slot = 0;
    for (const ValueType result : type.results) {
      if (result == ValueType::v128) {
        writer_.emit(Op::mov128, slot, header_ + 1 + choices_.below(locals_ - 1));
      } else {
        typed_move(result, slot, header_ + 1 + choices_.below(locals_));
      }
      slot += slots(result);
    }
    writer_.emit(Op::ret, header_);
  }

  void body(std::uint32_t depth) {
    for (std::uint32_t i = choices_.below(4); i-- > 0 && budget_ > 0;) statement(depth);
  }

  void statement(std::uint32_t depth) {
    if (budget_ == 0) return;
    --budget_;
    if (options_.vectors && choices_.one_in(4)) return vector(pick(ops_.vectors));
    const std::uint32_t kind = choices_.below(32);
    if (kind < 12) return scalar(pick(ops_.safe));
    if (kind < 14) return writer_.emit(Op::const_k, target_slot(), 0, 0, value());
    if (kind < 15) return scalar(pick(ops_.trapping));
    if (kind < 18) return options_.memory ? memory_access() : scalar(pick(ops_.safe));
    if (kind < 21) return state_access();
    if (kind < 22) return bulk();
    if (kind < 25) return call();
    if (depth == 0) return scalar(pick(ops_.safe));
    if (kind < 28) return condition(depth - 1);
    if (kind < 30) return loop(depth - 1);
    if (kind < 31) return switch_table(depth - 1);
    if (choices_.one_in(16)) {
      const Label skip = writer_.label();
      branch(skip);
      writer_.emit(Op::trap, 0, 0, 0, 1 + choices_.below(abi::trap_count - 1));
      writer_.bind(skip);
    }
  }

  void begin(std::uint32_t type) {
    params_ = param_slots(module_.types[type]);
    header_ = std::max(params_, result_slots(module_.types[type]));
    locals_ = 6 + choices_.below(6);
    protected_ = 0;
    base_ = header_ + 1 + locals_;
    writer_ = {};
    writer_.emit(Op::enter, header_, header_ + 1, locals_, base_ + window_);
  }

  Function end(std::uint32_t type) {
    Function function = writer_.finish();
    function.type = type;
    function.header_slot = header_;
    function.frame_slots = base_ + window_;
    return function;
  }

  Choices& choices_;
  const RandomOptions& options_;
  OpLists ops_;
  Module module_;
  std::uint32_t host_type_ = 0;
  std::uint32_t function_count_ = 0;
  static constexpr std::uint32_t spare_slots = 2;  // by which calls of wild programs lie apart
  std::uint32_t window_ = 0;                       // slots that any call needs at most

  // Of the function that is being written.
  Writer writer_;
  std::uint32_t function_ = 0;
  std::uint32_t params_ = 0;
  std::uint32_t header_ = 0;
  std::uint32_t locals_ = 0;
  std::uint32_t protected_ = 0;      // topmost locals that statements must not write
  std::uint32_t base_ = 0;           // of the window for calls
  std::uint32_t argument_base_ = 0;  // of the latest call
  std::uint32_t budget_ = 0;         // statements left

 private:
  static constexpr std::array<std::uint64_t, 14> interesting = {0,
                                                                1,
                                                                2,
                                                                31,
                                                                64,
                                                                0x7f,
                                                                0x7fffffff,
                                                                0x80000000,
                                                                0xffffffff,
                                                                0x7fc00000,
                                                                0x8000000000000000,
                                                                0x7fffffffffffffff,
                                                                0x7ff8000000000000,
                                                                0xffffffffffffffff};
};

}  // namespace warphive::ir::testing
