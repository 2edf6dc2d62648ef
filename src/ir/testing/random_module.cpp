// SPDX-License-Identifier: Apache-2.0
#include "ir/testing/random_module.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "ir/testing/random_statements.hpp"

namespace warphive::ir::testing {

std::uint64_t Choices::bits() {
  if (from_bytes_) {
    std::uint64_t value = 0;
    for (int i = 0; i < 8; ++i) value = value << 8 | (at_ < bytes_.size() ? bytes_[at_++] : 0U);
    return value;
  }
  state_ += 0x9e3779b97f4a7c15U;
  std::uint64_t mixed = state_;
  mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9U;
  mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111ebU;
  return mixed ^ mixed >> 31;
}

std::uint32_t Choices::below(std::uint32_t count) {
  if (!from_bytes_) return static_cast<std::uint32_t>((bits() >> 32) * count >> 32);
  std::uint32_t value = 0;
  for (std::uint32_t limit = count - 1; limit != 0; limit >>= 8) {
    value = value << 8 | (at_ < bytes_.size() ? bytes_[at_++] : 0U);
  }
  return value % count;
}

bool Choices::one_in(std::uint32_t times) { return below(times) == times - 1; }

namespace {

class Generator : private RandomStatements {
 public:
  Generator(Choices& choices, const RandomOptions& options) : RandomStatements(choices, options) {}

  Module run() {
    module_.metered = options_.metered;
    module_.types.push_back({});
    const std::uint32_t type_count = 1 + choices_.below(4);
    for (std::uint32_t i = 0; i < type_count; ++i) add_type();
    if (options_.host_calls) {
      host_type_ = add({{ValueType::i32, ValueType::i64}, {ValueType::i64}});
      module_.host_imports.push_back({"env", "host", host_type_});
    }
    if (options_.memory) {
      module_.memories.push_back({{}, 1, 4, !options_.wild || choices_.below(2) == 0});
      if (options_.wild) module_.memories.push_back({{}, choices_.below(2), 2, true});
      auto& bytes = module_.data_segments.emplace_back();
      for (std::uint32_t i = choices_.below(200); i-- > 0;) {
        bytes.push_back(static_cast<std::byte>(choices_.below(256)));
      }
    }
    const std::uint32_t globals = 1 + choices_.below(3);
    for (std::uint32_t i = 0; i < globals; ++i) {
      const bool vector = options_.vectors && choices_.one_in(3);
      module_.globals.push_back({{}, vector ? ValueType::v128 : ValueType::i64, true});
    }
    for (std::uint32_t i = 0; options_.vectors && i < 4; ++i) {
      module_.vectors.push_back({value() | value() << 32, value()});
    }

    const std::uint32_t count = function_count_ = 1 + choices_.below(options_.functions);
    for (std::uint32_t i = 0; i < count; ++i) {
      module_.functions.emplace_back().type =
          choices_.below(static_cast<std::uint32_t>(module_.types.size()));
    }
    if (options_.tables) {
      module_.tables.push_back({{}, ValueType::funcref, 8, 12, true});
      auto& segment = module_.element_segments.emplace_back();
      for (std::uint32_t i = 0; i < 6; ++i) {
        if (choices_.one_in(5)) {
          segment.push_back({Element::Kind::null, 0});
        } else {
          segment.push_back({Element::Kind::function, choices_.below(callable())});
        }
      }
      if (options_.wild) module_.tables.push_back({{}, ValueType::funcref, 6, 6, false});
    }
    window_ = 0;
    for (const FunctionType& type : module_.types) {
      window_ = std::max({window_, param_slots(type), result_slots(type)});
    }
    if (options_.wild) window_ += spare_slots + 1;
    for (std::uint32_t i = 0; i < count; ++i) write_function(i);
    if (options_.host_calls) write_stub();
    Member& member = module_.members.emplace_back();
    member.name = "m";
    member.init = write_init();
    for (std::uint32_t i = 0; i < count; ++i) {
      member.exports.push_back({"f" + std::to_string(i), EntityKind::function, i});
    }
    if (options_.memory) member.exports.push_back({"memory", EntityKind::memory, 0});
    for (std::uint32_t i = 0; i < globals; ++i) {
      member.exports.push_back({"g" + std::to_string(i), EntityKind::global, i});
    }
    return std::move(module_);
  }

 private:
  std::uint32_t add(FunctionType type) {
    const auto found = std::find(module_.types.begin(), module_.types.end(), type);
    if (found != module_.types.end()) {
      return static_cast<std::uint32_t>(found - module_.types.begin());
    }
    module_.types.push_back(std::move(type));
    return static_cast<std::uint32_t>(module_.types.size() - 1);
  }

  void add_type() {
    constexpr std::array<ValueType, 5> kinds = {ValueType::i32, ValueType::i64, ValueType::f32,
                                                ValueType::f64, ValueType::v128};
    const std::uint32_t count = options_.vectors ? 5 : 4;
    FunctionType type;
    for (std::uint32_t i = choices_.below(options_.wild ? 8 : 4); i-- > 0;) {
      type.params.push_back(kinds[choices_.below(count)]);
    }
    for (std::uint32_t i = choices_.below(options_.wild ? 6 : 3); i-- > 0;) {
      type.results.push_back(kinds[choices_.below(count)]);
    }
    add(std::move(type));
  }

  void write_function(std::uint32_t index) {
    function_ = index;
    const std::uint32_t type = module_.functions[index].type;
    begin(type);
    if (options_.metered || choices_.one_in(2)) charge(true);
    budget_ = options_.statements;
    for (std::uint32_t i = choices_.below(options_.statements); i-- > 0;) {
      statement(options_.nesting);
    }
    leave();
    Function function = end(type);
    function.guest_index = index;
    function.name = "f" + std::to_string(index);
    module_.functions[index] = std::move(function);
  }

  void write_stub() {
    const FunctionType& type = module_.types[host_type_];
    Function stub;
    stub.type = host_type_;
    stub.header_slot = std::max(param_slots(type), result_slots(type));
    stub.frame_slots = stub.header_slot + 1;
    const auto header = static_cast<std::uint16_t>(stub.header_slot);
    stub.code = {{Op::enter, header, 0, 0, stub.frame_slots},
                 {Op::host_call, 0, 0, 0, 0},
                 {Op::ret, header, 0, 0, 0}};
    stub.source.assign(3, 0);
    stub.blocks = {0};
    stub.name = "env.host";
    module_.functions.push_back(std::move(stub));
  }

  // Writes the data segment to address 8 and the elements to the table's start, then drops them
  // or not.
  std::uint32_t write_init() {
    begin(0);
    const std::uint32_t count = protect_slot();
    const std::uint32_t from = protect_slot();
    const std::uint32_t to = protect_slot();
    const auto segment = [&](Op check, Op chunk, std::uint64_t at, std::uint64_t size,
                             std::uint32_t into = 0) {
      writer_.emit(Op::const_k, to, 0, 0, at);
      writer_.emit(Op::const_k, from, 0, 0, 0);
      writer_.emit(Op::const_k, count, 0, 0, size);
      writer_.emit(check, to, from, count, into);
      const Label header = writer_.label();
      const Label done = writer_.label();
      writer_.bind(header);
      writer_.emit(Op::charge);
      writer_.branch_k(Op::br_eq32_k, count, 0, done);
      writer_.emit(chunk, to, from, count, into);
      writer_.emit(Op::br, 0, 0, 0, header);
      writer_.bind(done);
    };
    if (options_.memory) {
      segment(Op::memory_init_check, Op::memory_init_chunk, 8, module_.data_segments[0].size());
      if (choices_.below(2) == 0) writer_.emit(Op::data_drop);
    }
    if (options_.tables) {
      for (std::uint32_t table = 0; table < module_.tables.size(); ++table) {
        segment(Op::table_init_check, Op::table_init_chunk, 0, module_.element_segments[0].size(),
                table);
      }
      if (choices_.below(2) == 0) writer_.emit(Op::elem_drop);
    }
    writer_.emit(Op::ret, header_);
    module_.functions.push_back(end(0));
    module_.functions.back().name = "init";
    return static_cast<std::uint32_t>(module_.functions.size() - 1);
  }
};

}  // namespace

Module random_module(Choices& choices, const RandomOptions& options) {
  return Generator(choices, options).run();
}

}  // namespace warphive::ir::testing
