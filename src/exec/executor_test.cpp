// SPDX-License-Identifier: Apache-2.0
// Memory, tables, bulk operations, calls and host calls, on every executor.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "exec/testing.hpp"

namespace warphive::exec::testing {
namespace {

using abi::Exit;
using abi::TrapKind;
using ir::Op;

class Exec : public ::testing::TestWithParam<Executor> {
 protected:
  std::unique_ptr<Subject> subject(const ir::Module& module, const Limits& limits = {},
                                   HostFunction host = {}) {
    return make_subject(GetParam(), module, limits, std::move(host));
  }
};

void expect_trap(const Outcome& outcome, TrapKind kind, std::uint32_t function,
                 std::uint32_t inst) {
  EXPECT_EQ(outcome.exit, Exit::trapped);
  EXPECT_EQ(outcome.trap, kind) << abi::to_string(outcome.trap);
  EXPECT_EQ(outcome.function, function);
  EXPECT_EQ(outcome.inst, inst);
}

ir::Module with_memories(const std::vector<std::uint32_t>& min_pages) {
  ir::Module module;
  for (const std::uint32_t pages : min_pages) {
    module.memories.push_back({.min_pages = pages, .max_pages = {}, .grows = true});
  }
  return module;
}

ir::Module with_tables(const std::vector<std::uint32_t>& sizes) {
  ir::Module module;
  for (const std::uint32_t size : sizes) {
    ir::Table table;
    table.min = size;
    table.changes = true;
    module.tables.push_back(table);
  }
  return module;
}

// Loads and stores

std::uint32_t add_load(ir::Module& module, Op op, std::uint32_t offset, std::uint32_t memory) {
  FunctionBuilder builder(module, type(1, 1), 0, 1);
  builder.op(op, builder.local(0), 0, 0, ir::imm_pair(offset, memory)).ret_mov(builder.local(0));
  return builder.index();
}
std::uint32_t add_store(ir::Module& module, Op op, std::uint32_t offset, std::uint32_t memory) {
  FunctionBuilder builder(module, type(2, 0), 0, 0);
  builder.op(op, 0, 1, 0, ir::imm_pair(offset, memory)).ret();
  return builder.index();
}

struct Access {
  Op op;
  std::uint32_t bytes;
  std::uint64_t loaded;  // from bytes 0x80 0x91 0xa2 0xb3 0xc4 0xd5 0xe6 0xf7
};
constexpr Access loads[] = {
    {Op::load8_u, 1, 0x80},
    {Op::load8_s32, 1, 0xffffff80},
    {Op::load8_s64, 1, 0xffffffffffffff80},
    {Op::load16_u, 2, 0x9180},
    {Op::load16_s32, 2, 0xffff9180},
    {Op::load16_s64, 2, 0xffffffffffff9180},
    {Op::load32_u, 4, 0xb3a29180},
    {Op::load32_s64, 4, 0xffffffffb3a29180},
    {Op::load64, 8, 0xf7e6d5c4b3a29180},
};
constexpr Access stores[] = {
    {Op::store8, 1, 0}, {Op::store16, 2, 0}, {Op::store32, 4, 0}, {Op::store64, 8, 0}};

TEST_P(Exec, LoadsReadEveryWidthUpToTheLastByte) {
  for (const std::uint32_t memory : {0u, 1u}) {
    for (const Access& access : loads) {
      SCOPED_TRACE(ir::info(access.op).name);
      ir::Module module = with_memories({1, 2});
      const std::uint64_t size = memory == 0 ? 65536 : 131072;
      add_load(module, access.op, 0, memory);
      add_load(module, access.op, 100, memory);
      add_load(module, access.op, 0xffffffff, memory);
      const auto lane = subject(module);
      const std::vector<std::uint8_t> bytes = {0x80, 0x91, 0xa2, 0xb3, 0xc4, 0xd5, 0xe6, 0xf7};
      for (const std::uint64_t at : {std::uint64_t{100}, std::uint64_t{333}, size - 8}) {
        lane->write_memory(memory, at, bytes);
        EXPECT_EQ(lane->call(0, {at}).results.at(0), access.loaded);
        // Only the low 32 bits of the address slot count.
        EXPECT_EQ(lane->call(1, {(at - 100) | (std::uint64_t{7} << 32)}).results.at(0),
                  access.loaded);
      }
      EXPECT_EQ(lane->call(0, {size - access.bytes}).exit, Exit::returned);
      for (std::uint64_t at = size - access.bytes + 1; at < size + 9; ++at) {
        expect_trap(lane->call(0, {at}), TrapKind::memory_out_of_bounds, 0, 1);
        expect_trap(lane->call(1, {at - 100}), TrapKind::memory_out_of_bounds, 1, 1);
      }
      expect_trap(lane->call(0, {0xffffffff}), TrapKind::memory_out_of_bounds, 0, 1);
      // Address and offset together pass 2^32 and must not wrap.
      expect_trap(lane->call(2, {0xffffffff}), TrapKind::memory_out_of_bounds, 2, 1);
      expect_trap(lane->call(2, {1}), TrapKind::memory_out_of_bounds, 2, 1);
    }
  }
}

TEST_P(Exec, StoresWriteTheirWidthAndNothingElse) {
  for (const std::uint32_t memory : {0u, 1u}) {
    for (const Access& access : stores) {
      SCOPED_TRACE(ir::info(access.op).name);
      ir::Module module = with_memories({1, 1});
      add_store(module, access.op, 3, memory);
      const auto lane = subject(module);
      EXPECT_EQ(lane->call(0, {1000, 0x8877665544332211}).exit, Exit::returned);
      std::vector<std::uint8_t> expected(65536);
      for (std::uint32_t i = 0; i < access.bytes; ++i) {
        expected[1003 + i] = static_cast<std::uint8_t>(0x11 * (i + 1));
      }
      EXPECT_EQ(lane->memory(memory), expected);
      EXPECT_EQ(lane->memory(1 - memory), std::vector<std::uint8_t>(65536));
      for (std::uint64_t at = 65536 - 3 - access.bytes + 1; at < 65536 + 8; ++at) {
        expect_trap(lane->call(0, {at, ~std::uint64_t{0}}), TrapKind::memory_out_of_bounds, 0, 1);
      }
      EXPECT_EQ(lane->memory(memory), expected);  // no partial write
    }
  }
}

TEST_P(Exec, MemoryOfZeroPagesHasNoByte) {
  ir::Module module = with_memories({0});
  add_load(module, Op::load8_u, 0, 0);
  add_load(module, Op::load64, 0, 0);
  add_store(module, Op::store64, 0, 0);
  const auto lane = subject(module);
  expect_trap(lane->call(0, {0}), TrapKind::memory_out_of_bounds, 0, 1);
  expect_trap(lane->call(1, {0}), TrapKind::memory_out_of_bounds, 1, 1);
  expect_trap(lane->call(1, {0xfffffffc}), TrapKind::memory_out_of_bounds, 1, 1);
  expect_trap(lane->call(2, {0, 0}), TrapKind::memory_out_of_bounds, 2, 1);
}

TEST_P(Exec, MemoryGrowsWithinMaximumAndCapacity) {
  ir::Module module = with_memories({1, 1});
  module.memories[1].max_pages = 2;
  for (const std::uint32_t memory : {0u, 1u}) {
    FunctionBuilder grow(module, type(1, 1), 0, 1);
    grow.op(Op::memory_grow, grow.local(0), 0, 0, memory).ret_mov(grow.local(0));
    FunctionBuilder size(module, type(0, 1), 0, 1);
    size.op(Op::memory_size, size.local(0), 0, 0, memory).ret_mov(size.local(0));
  }
  add_load(module, Op::load64, 0, 0);
  const auto lane = subject(module, {.memory_capacity = 3});
  EXPECT_EQ(lane->call(0, {0}).results.at(0), 1u);
  expect_trap(lane->call(4, {65536}), TrapKind::memory_out_of_bounds, 4, 1);
  EXPECT_EQ(lane->call(0, {1}).results.at(0), 1u);
  EXPECT_EQ(lane->call(1, {}).results.at(0), 2u);
  EXPECT_EQ(lane->call(4, {65536}).results.at(0), 0u);
  EXPECT_EQ(lane->call(4, {2 * 65536 - 8}).exit, Exit::returned);
  expect_trap(lane->call(4, {2 * 65536 - 7}), TrapKind::memory_out_of_bounds, 4, 1);
  EXPECT_EQ(lane->grow_refused(), 0u);
  EXPECT_EQ(lane->call(0, {2}).results.at(0), 0xffffffffu);  // beyond the capacity
  EXPECT_EQ(lane->grow_refused(), 1u);
  EXPECT_EQ(lane->call(0, {0xffffffff}).results.at(0), 0xffffffffu);  // beyond any memory
  EXPECT_EQ(lane->grow_refused(), 1u);
  EXPECT_EQ(lane->call(0, {1}).results.at(0), 2u);
  EXPECT_EQ(lane->call(0, {0}).results.at(0), 3u);
  EXPECT_EQ(lane->call(2, {2}).results.at(0), 0xffffffffu);  // beyond the declared maximum
  EXPECT_EQ(lane->call(2, {1}).results.at(0), 1u);
  EXPECT_EQ(lane->call(3, {}).results.at(0), 2u);
  EXPECT_EQ(lane->grow_refused(), 1u);
}

TEST_P(Exec, Globals) {
  ir::Module module;
  module.globals.resize(3, {.import = {}, .type = ir::ValueType::i64, .is_mutable = true});
  FunctionBuilder swap(module, type(1, 1), 0, 1);
  swap.op(Op::global_get, swap.local(0), 0, 0, 2);
  swap.op(Op::global_set, 0, 0, 0, 2).ret_mov(swap.local(0));
  const auto lane = subject(module);
  lane->set_global(2, 77);
  EXPECT_EQ(lane->call(0, {0x123456789abcdef0}).results.at(0), 77u);
  EXPECT_EQ(lane->globals(), (std::vector<std::uint64_t>{0, 0, 0x123456789abcdef0}));
}

// Bulk operations

/// A bulk operation as it is lowered: copied operands, check, chunk loop.
std::uint32_t add_bulk(ir::Module& module, Op check, Op chunk, std::uint32_t first,
                       std::uint32_t second, std::uint32_t bytes_per_item) {
  FunctionBuilder builder(module, type(3, 0), 0, 3);
  const std::uint16_t to = builder.local(0);
  const std::uint16_t from = builder.local(1);
  const std::uint16_t count = builder.local(2);
  const std::uint64_t imm = ir::imm_pair(first, second);
  builder.charge(4).op(Op::mov, to, 0).op(Op::mov, from, 1).op(Op::mov, count, 2);
  builder.op(check, to, from, count, imm);
  builder.block().charge(0).branch_k(Op::br_eq32_k, count, 0, 3);
  builder.block().op(Op::bulk_charge, count, 0, 0, bytes_per_item);
  builder.op(chunk, to, from, count, imm).op(Op::br, 0, 0, 0, 1);
  builder.block().ret();
  return builder.index();
}
constexpr std::uint32_t check_inst = 5;  // where add_bulk puts the check

std::vector<std::uint8_t> counting(std::size_t size) {
  std::vector<std::uint8_t> bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::uint8_t>(i * 7 + i / 256);
  return bytes;
}

TEST_P(Exec, MemoryFill) {
  ir::Module module = with_memories({1, 1});
  add_bulk(module, Op::memory_fill_check, Op::memory_fill_chunk, 0, 0, 1);
  add_bulk(module, Op::memory_fill_check, Op::memory_fill_chunk, 1, 0, 1);
  for (const std::uint32_t memory : {0u, 1u}) {
    for (const std::uint64_t count : {0u, 1u, 63u, 64u, 65u, 1023u, 1024u, 1025u, 5000u}) {
      const auto lane = subject(module);
      const Outcome outcome = lane->call(memory, {300, 0x1ab, count});
      ASSERT_EQ(outcome.exit, Exit::returned);
      std::vector<std::uint8_t> expected(65536);
      std::fill_n(expected.begin() + 300, count, std::uint8_t{0xab});
      EXPECT_EQ(lane->memory(memory), expected) << count;
      // One unit per started 64 bytes of each chunk; chunks are whole multiples but for the last.
      EXPECT_EQ(outcome.fuel_used, 4 + (count + 63) / 64) << count;
    }
    const auto lane = subject(module);
    EXPECT_EQ(lane->call(memory, {65536, 0, 0}).exit, Exit::returned);
    EXPECT_EQ(lane->call(memory, {65530, 1, 6}).exit, Exit::returned);
    expect_trap(lane->call(memory, {65537, 0, 0}), TrapKind::memory_out_of_bounds, memory,
                check_inst);
    expect_trap(lane->call(memory, {65531, 2, 6}), TrapKind::memory_out_of_bounds, memory,
                check_inst);
    expect_trap(lane->call(memory, {0xffffffff, 2, 0xffffffff}), TrapKind::memory_out_of_bounds,
                memory, check_inst);
    EXPECT_EQ(lane->memory(memory)[65535], 1);
    EXPECT_EQ(lane->memory(memory)[65531], 1);
  }
}

TEST_P(Exec, MemoryCopyOverlapsBothWays) {
  ir::Module module = with_memories({1, 1});
  add_bulk(module, Op::memory_copy_check, Op::memory_copy_chunk, 0, 0, 1);
  add_bulk(module, Op::memory_copy_check, Op::memory_copy_chunk, 1, 0, 1);
  const std::vector<std::uint8_t> start = counting(65536);
  struct Copy {
    std::size_t to, from, count;
  };
  for (const Copy& copy :
       {Copy{100, 100, 3000}, Copy{101, 100, 3000}, Copy{100, 101, 3000}, Copy{1124, 100, 3000},
        Copy{100, 1124, 3000}, Copy{2000, 100, 1500}, Copy{0, 1, 65535}, Copy{1, 0, 65535},
        Copy{50, 40, 1}, Copy{9, 10, 0}, Copy{5, 0, 1024}, Copy{5, 0, 1025}}) {
    const auto lane = subject(module);
    lane->write_memory(0, 0, start);
    const Outcome outcome = lane->call(0, {copy.to, copy.from, copy.count});
    ASSERT_EQ(outcome.exit, Exit::returned);
    EXPECT_EQ(outcome.fuel_used, 4 + (copy.count + 63) / 64);
    std::vector<std::uint8_t> expected = start;
    std::memmove(expected.data() + copy.to, start.data() + copy.from, copy.count);
    EXPECT_EQ(lane->memory(0), expected) << copy.to << " " << copy.from << " " << copy.count;

    const auto across = subject(module);
    across->write_memory(0, 0, start);
    ASSERT_EQ(across->call(1, {copy.to, copy.from, copy.count}).exit, Exit::returned);
    std::vector<std::uint8_t> other(65536);
    std::memmove(other.data() + copy.to, start.data() + copy.from, copy.count);
    EXPECT_EQ(across->memory(1), other);
    EXPECT_EQ(across->memory(0), start);
  }
  const auto lane = subject(module);
  lane->write_memory(0, 0, start);
  for (const Copy& copy :
       {Copy{65536, 0, 1}, Copy{0, 65536, 1}, Copy{65537, 0, 0}, Copy{0, 65537, 0},
        Copy{65000, 0, 537}, Copy{0, 65000, 537}, Copy{0xffffffff, 0xffffffff, 0xffffffff}}) {
    expect_trap(lane->call(0, {copy.to, copy.from, copy.count}), TrapKind::memory_out_of_bounds, 0,
                check_inst);
  }
  EXPECT_EQ(lane->call(0, {65536, 65536, 0}).exit, Exit::returned);
  EXPECT_EQ(lane->memory(0), start);
}

TEST_P(Exec, MemoryInitAndDataDrop) {
  ir::Module module = with_memories({1});
  for (int segment = 0; segment < 40; ++segment) module.data_segments.emplace_back();
  for (const std::uint8_t byte : counting(2500)) {
    module.data_segments[35].push_back(static_cast<std::byte>(byte));
  }
  module.data_segments[34] = {std::byte{1}, std::byte{2}};
  add_bulk(module, Op::memory_init_check, Op::memory_init_chunk, 0, 35, 1);
  FunctionBuilder drop(module, type(0, 0), 0, 0);
  drop.op(Op::data_drop, 0, 0, 0, 35).ret();
  add_bulk(module, Op::memory_init_check, Op::memory_init_chunk, 0, 34, 1);
  const auto lane = subject(module);
  EXPECT_EQ(lane->call(0, {10, 5, 2495}).exit, Exit::returned);
  std::vector<std::uint8_t> expected(65536);
  const std::vector<std::uint8_t> data = counting(2500);
  std::copy(data.begin() + 5, data.end(), expected.begin() + 10);
  EXPECT_EQ(lane->memory(0), expected);
  expect_trap(lane->call(0, {10, 6, 2495}), TrapKind::memory_out_of_bounds, 0, check_inst);
  expect_trap(lane->call(0, {65535, 0, 2}), TrapKind::memory_out_of_bounds, 0, check_inst);
  EXPECT_EQ(lane->call(0, {65536, 2500, 0}).exit, Exit::returned);
  expect_trap(lane->call(0, {0, 2501, 0}), TrapKind::memory_out_of_bounds, 0, check_inst);
  EXPECT_EQ(lane->call(1, {}).exit, Exit::returned);
  EXPECT_EQ(lane->call(1, {}).exit, Exit::returned);  // twice is fine
  EXPECT_EQ(lane->call(0, {0, 0, 0}).exit, Exit::returned);
  expect_trap(lane->call(0, {0, 0, 1}), TrapKind::memory_out_of_bounds, 0, check_inst);
  expect_trap(lane->call(0, {0, 1, 0}), TrapKind::memory_out_of_bounds, 0, check_inst);
  EXPECT_EQ(lane->call(2, {0, 0, 2}).exit, Exit::returned);  // the neighbour's bit is its own
}

TEST_P(Exec, TableFillCopyInit) {
  ir::Module module = with_tables({600, 600});
  module.globals.resize(2, {.import = {}, .type = ir::ValueType::funcref, .is_mutable = true});
  module.element_segments.resize(34);
  std::vector<ir::Element>& elements = module.element_segments[33];
  for (std::uint32_t i = 0; i < 300; ++i) {
    elements.push_back({.kind = i % 3 == 0   ? ir::Element::Kind::null
                                : i % 3 == 1 ? ir::Element::Kind::function
                                             : ir::Element::Kind::global,
                        .index = i % 3 == 1   ? 4u
                                 : i % 3 == 2 ? 1u
                                              : 0u});
  }
  add_bulk(module, Op::table_fill_check, Op::table_fill_chunk, 0, 0, 8);
  add_bulk(module, Op::table_copy_check, Op::table_copy_chunk, 0, 0, 8);
  add_bulk(module, Op::table_copy_check, Op::table_copy_chunk, 1, 0, 8);
  add_bulk(module, Op::table_init_check, Op::table_init_chunk, 0, 33, 8);
  FunctionBuilder drop(module, type(0, 0), 0, 0);
  drop.op(Op::elem_drop, 0, 0, 0, 33).ret();

  const auto lane = subject(module);
  lane->set_global(1, 99);
  Outcome outcome = lane->call(0, {10, 0x500000007, 300});
  ASSERT_EQ(outcome.exit, Exit::returned);
  EXPECT_EQ(outcome.fuel_used, 4u + 16 + 16 + 6);  // chunks of 128, 128 and 44 elements
  std::vector<std::uint64_t> expected(600);
  std::fill_n(expected.begin() + 10, 300, std::uint64_t{0x500000007});
  EXPECT_EQ(lane->table(0), expected);
  expect_trap(lane->call(0, {301, 1, 300}), TrapKind::table_out_of_bounds, 0, check_inst);

  ASSERT_EQ(lane->call(3, {20, 1, 299}).exit, Exit::returned);
  for (std::size_t i = 1; i < 300; ++i) {
    expected[20 + i - 1] = i % 3 == 0 ? 0 : i % 3 == 1 ? 5 : 99;
  }
  EXPECT_EQ(lane->table(0), expected);
  expect_trap(lane->call(3, {0, 2, 299}), TrapKind::table_out_of_bounds, 3, check_inst);
  expect_trap(lane->call(3, {302, 1, 299}), TrapKind::table_out_of_bounds, 3, check_inst);

  for (const auto& [to, from, count] :
       {std::array{21, 20, 500}, std::array{20, 21, 500}, std::array{300, 20, 128},
        std::array{10, 11, 129}, std::array{11, 10, 129}, std::array{600, 600, 0}}) {
    ASSERT_EQ(lane->call(1, {static_cast<std::uint64_t>(to), static_cast<std::uint64_t>(from),
                             static_cast<std::uint64_t>(count)})
                  .exit,
              Exit::returned);
    const std::vector<std::uint64_t> before = expected;
    std::copy_n(before.begin() + from, count, expected.begin() + to);
    EXPECT_EQ(lane->table(0), expected) << to << " " << from << " " << count;
  }
  expect_trap(lane->call(1, {0, 301, 300}), TrapKind::table_out_of_bounds, 1, check_inst);
  expect_trap(lane->call(1, {601, 0, 0}), TrapKind::table_out_of_bounds, 1, check_inst);
  ASSERT_EQ(lane->call(2, {5, 20, 400}).exit, Exit::returned);
  std::vector<std::uint64_t> second(600);
  std::copy_n(expected.begin() + 20, 400, second.begin() + 5);
  EXPECT_EQ(lane->table(1), second);

  EXPECT_EQ(lane->call(4, {}).exit, Exit::returned);
  EXPECT_EQ(lane->call(3, {0, 0, 0}).exit, Exit::returned);
  expect_trap(lane->call(3, {0, 0, 1}), TrapKind::table_out_of_bounds, 3, check_inst);
}

TEST_P(Exec, TableGetSetSizeGrow) {
  ir::Module module = with_tables({0, 3});
  module.tables[1].max = 6;
  FunctionBuilder get(module, type(1, 1), 0, 1);
  get.op(Op::table_get, get.local(0), 0, 0, 1).ret_mov(get.local(0));
  FunctionBuilder set(module, type(2, 0), 0, 0);
  set.op(Op::table_set, 0, 1, 0, 1).ret();
  FunctionBuilder size(module, type(0, 1), 0, 1);
  size.op(Op::table_size, size.local(0), 0, 0, 1).ret_mov(size.local(0));
  FunctionBuilder grow(module, type(1, 1), 0, 1);
  grow.op(Op::table_grow, grow.local(0), 0, 0, 1).ret_mov(grow.local(0));
  FunctionBuilder grow_first(module, type(1, 1), 0, 1);
  grow_first.op(Op::table_grow, grow_first.local(0), 0, 0, 0).ret_mov(grow_first.local(0));
  const auto lane = subject(module, {.table_capacity = 5});
  EXPECT_EQ(lane->call(1, {2, 42}).exit, Exit::returned);
  EXPECT_EQ(lane->call(0, {2}).results.at(0), 42u);
  expect_trap(lane->call(0, {3}), TrapKind::table_out_of_bounds, 0, 1);
  expect_trap(lane->call(1, {0xffffffff, 1}), TrapKind::table_out_of_bounds, 1, 1);
  EXPECT_EQ(lane->call(3, {0}).results.at(0), 3u);
  EXPECT_EQ(lane->call(3, {1}).results.at(0), 3u);
  EXPECT_EQ(lane->call(0, {3}).results.at(0), 0u);
  EXPECT_EQ(lane->call(2, {}).results.at(0), 4u);
  EXPECT_EQ(lane->call(3, {2}).results.at(0), 0xffffffffu);  // beyond the capacity
  EXPECT_EQ(lane->call(3, {3}).results.at(0), 0xffffffffu);  // beyond the maximum
  EXPECT_EQ(lane->call(3, {0xffffffff}).results.at(0), 0xffffffffu);
  EXPECT_EQ(lane->call(4, {5}).results.at(0), 0u);
  EXPECT_EQ(lane->call(4, {1}).results.at(0), 0xffffffffu);
  EXPECT_EQ(lane->table(1), (std::vector<std::uint64_t>{0, 0, 42, 0}));
}

// Control

TEST_P(Exec, BranchTableClampsToItsDefault) {
  ir::Module module;
  FunctionBuilder builder(module, type(1, 1), 0, 1);
  const std::uint16_t result = builder.local(0);
  builder.charge(1).branch_table(0, {1, 2, 1, 3});
  for (std::uint64_t block = 1; block <= 3; ++block) {
    builder.block();
    if (block != 2) builder.charge(block * 10);
    builder.op(Op::const_k, result, 0, 0, block).ret_mov(result);
  }
  FunctionBuilder only(module, type(1, 1), 0, 1);
  only.branch_table(0, {1});
  only.block().op(Op::const_k, only.local(0), 0, 0, 9).ret_mov(only.local(0));
  const auto lane = subject(module);
  std::uint64_t used = 0;
  for (const auto& [index, block] : std::vector<std::pair<std::uint64_t, std::uint64_t>>{
           {0, 1}, {1, 2}, {2, 1}, {3, 3}, {4, 3}, {0xffffffff, 3}, {std::uint64_t{1} << 32, 1}}) {
    const Outcome outcome = lane->call(0, {index});
    EXPECT_EQ(outcome.results.at(0), block) << index;
    used += 1 + (block == 2 ? 0 : block * 10);
    EXPECT_EQ(outcome.fuel_used, used);
  }
  EXPECT_EQ(lane->call(1, {0}).results.at(0), 9u);
  EXPECT_EQ(lane->call(1, {5}).results.at(0), 9u);
}

TEST_P(Exec, TrapOpNamesItsKind) {
  ir::Module module;
  for (const TrapKind kind : {TrapKind::unreachable, TrapKind::import_limits}) {
    FunctionBuilder builder(module, type(0, 0), 0, 0);
    builder.charge(3).op(Op::trap, 0, 0, 0, static_cast<std::uint64_t>(kind));
  }
  const auto lane = subject(module);
  const Outcome outcome = lane->call(0, {});
  expect_trap(outcome, TrapKind::unreachable, 0, 2);
  EXPECT_EQ(outcome.fuel_used, 3u);  // the block was charged whole
  expect_trap(lane->call(1, {}), TrapKind::import_limits, 1, 2);
}

/// f(n) = n == 0 ? 0 : f(n - 1) + 1. Frames are 4 slots, 3 apart; the call is inst 5.
ir::Module recursion() {
  ir::Module module;
  FunctionBuilder builder(module, type(1, 1), 0, 2);
  const std::uint16_t argument = builder.local(1);
  builder.charge(2).branch_k(Op::br_eq32_k, 0, 0, 2);
  builder.block().charge(3).op(Op::sub32_k, argument, 0, 0, 1).op(Op::call, argument, 0, 0, 0);
  builder.charge(1).op(Op::add32_k, 0, argument, 0, 1).ret();
  builder.block().charge(1).ret();
  return module;
}

TEST_P(Exec, RecursesToExactlyTheSlotLimit) {
  const ir::Module module = recursion();
  // The frame of call i starts at 3 i and ends at 3 i + 4.
  const auto lane = subject(module, {.stack_slots = 3 * 100 + 4});
  const Outcome fits = lane->call(0, {100});
  ASSERT_EQ(fits.exit, Exit::returned);
  EXPECT_EQ(fits.results.at(0), 100u);
  EXPECT_EQ(fits.fuel_used, 101u * 2 + 100 * 4 + 1);
  expect_trap(lane->call(0, {101}), TrapKind::stack_overflow, 0, 5);
  EXPECT_EQ(lane->call(0, {100}).results.at(0), 100u);

  const auto one_less = subject(module, {.stack_slots = 3 * 100 + 3});
  EXPECT_EQ(one_less->call(0, {99}).results.at(0), 99u);
  expect_trap(one_less->call(0, {100}), TrapKind::stack_overflow, 0, 5);
}

TEST_P(Exec, RecursesToExactlyTheDepthLimit) {
  const ir::Module module = recursion();
  const auto lane = subject(module, {.max_depth = 50});
  EXPECT_EQ(lane->call(0, {49}).results.at(0), 49u);
  expect_trap(lane->call(0, {50}), TrapKind::stack_overflow, 0, 5);
  EXPECT_EQ(lane->call(0, {49}).results.at(0), 49u);
  const auto single = subject(module, {.max_depth = 1});
  EXPECT_EQ(single->call(0, {0}).results.at(0), 0u);
  expect_trap(single->call(0, {1}), TrapKind::stack_overflow, 0, 5);
}

TEST_P(Exec, BottomFrameIsCheckedToo) {
  ir::Module module;
  FunctionBuilder builder(module, type(1, 1), 0, 10);
  builder.ret();
  const auto lane = subject(module, {.stack_slots = 11});
  const Outcome outcome = lane->call(0, {1});
  EXPECT_EQ(outcome.exit, Exit::trapped);
  EXPECT_EQ(outcome.trap, TrapKind::stack_overflow);
  EXPECT_EQ(outcome.function, 0u);
  const auto fits = subject(module, {.stack_slots = 12});
  EXPECT_EQ(fits->call(0, {1}).results.at(0), 1u);
}

TEST_P(Exec, CalleesSeeArgumentsAndZeroedLocals) {
  ir::Module module;
  // Returns (c, b, a + the sum of five locals), after writing garbage into the locals.
  FunctionBuilder callee(module, type(3, 3), 5, 2);
  const std::uint16_t sum = callee.local(5);
  callee.charge(1).op(Op::mov, sum, 0);
  for (std::uint32_t i = 0; i < 5; ++i) callee.op(Op::add64, sum, sum, callee.local(i));
  for (std::uint32_t i = 0; i < 5; ++i) callee.op(Op::const_k, callee.local(i), 0, 0, 1000 + i);
  callee.op(Op::mov, 0, 2).op(Op::mov, 2, sum).ret();
  // Calls it twice on the same slots; the second call gets the first one's results.
  FunctionBuilder caller(module, type(3, 3), 0, 11);
  const std::uint16_t base = caller.local(0);
  caller.charge(1);
  for (std::uint32_t i = 0; i < 3; ++i) caller.op(Op::mov, base + i, i);
  caller.op(Op::call, base, 0, 0, 0).charge(1);
  caller.op(Op::call, base, 0, 0, 0).charge(1);
  for (std::uint32_t i = 0; i < 3; ++i) caller.op(Op::mov, i, base + i);
  caller.ret();
  const auto lane = subject(module);
  EXPECT_EQ(lane->call(0, {1, 2, 3}).results, (std::vector<std::uint64_t>{3, 2, 1}));
  EXPECT_EQ(lane->call(1, {1, 2, 3}).results, (std::vector<std::uint64_t>{1, 2, 3}));
  EXPECT_EQ(lane->call(0, {1, 2, 3}).results, (std::vector<std::uint64_t>{3, 2, 1}));
}

TEST_P(Exec, CallIndirectTrapsInOrder) {
  ir::Module module = with_tables({4, 1});
  FunctionBuilder plus(module, type(1, 1), 0, 1);
  plus.charge(1).op(Op::add64_k, plus.local(0), 0, 0, 5).ret_mov(plus.local(0));
  FunctionBuilder other(module, type(0, 1), 0, 1);
  other.charge(1).op(Op::const_k, other.local(0), 0, 0, 1).ret_mov(other.local(0));
  FunctionBuilder caller(module, type(2, 1), 0, 10);
  const std::uint16_t base = caller.local(1);
  caller.charge(1).op(Op::mov, base, 1);
  caller.op(Op::call_indirect, base, 0, 0, ir::imm_pair(0, intern(module, type(1, 1))));
  caller.charge(1).op(Op::mov, 0, base).ret();
  const auto lane = subject(module, {.max_depth = 2});
  lane->set_element(0, 1, 1);  // plus
  lane->set_element(0, 2, 2);  // other
  lane->set_element(0, 3, 3);  // the caller itself, of another type
  const Outcome outcome = lane->call(2, {1, 10});
  EXPECT_EQ(outcome.results.at(0), 15u);
  EXPECT_EQ(outcome.fuel_used, 3u);
  expect_trap(lane->call(2, {4, 0}), TrapKind::undefined_element, 2, 3);
  expect_trap(lane->call(2, {0xffffffff, 0}), TrapKind::undefined_element, 2, 3);
  expect_trap(lane->call(2, {0, 0}), TrapKind::uninitialized_element, 2, 3);
  expect_trap(lane->call(2, {2, 0}), TrapKind::indirect_call_mismatch, 2, 3);
  expect_trap(lane->call(2, {3, 0}), TrapKind::indirect_call_mismatch, 2, 3);
  const auto shallow = subject(module, {.max_depth = 1});
  shallow->set_element(0, 1, 1);
  shallow->set_element(0, 2, 2);
  expect_trap(shallow->call(2, {2, 0}), TrapKind::indirect_call_mismatch, 2, 3);
  expect_trap(shallow->call(2, {1, 0}), TrapKind::stack_overflow, 2, 3);
}

// Host calls

/// g(x) = host(x + 1) * 2, the host call in a function of its own.
ir::Module host_module() {
  ir::Module module;
  module.host_imports.push_back({.module = "env", .field = "f", .type = 0});
  FunctionBuilder import(module, type(1, 1), 0, 0);
  import.charge(1).op(Op::host_call, 0, 0, 0, 0).ret();
  FunctionBuilder caller(module, type(1, 1), 0, 4);
  const std::uint16_t base = caller.local(1);
  caller.charge(5).op(Op::add64_k, base, 0, 0, 1).op(Op::call, base, 0, 0, 0);
  caller.charge(7).op(Op::mul64_k, 0, base, 0, 2).ret();
  return module;
}

TEST_P(Exec, HostCallIsServedWithExactFuel) {
  const ir::Module module = host_module();
  std::vector<std::uint64_t> seen;
  const auto lane = subject(module, {}, [&seen](HostView& view) {
    seen.push_back(view.fuel_used);
    EXPECT_EQ(view.import, 0u);
    EXPECT_EQ(view.values.size(), 1u);
    view.values[0] += 100;
    return Exit::ready;
  });
  const Outcome outcome = lane->call(1, {10});
  EXPECT_EQ(outcome.results.at(0), 222u);
  EXPECT_EQ(outcome.fuel_used, 13u);
  lane->call(1, {10});
  EXPECT_EQ(seen, (std::vector<std::uint64_t>{6, 19}));
}

TEST_P(Exec, HostCallParksAndGoesOn) {
  const ir::Module module = host_module();
  for (const bool with_function : {false, true}) {
    const auto lane = subject(
        module, {}, with_function ? [](HostView&) { return Exit::parked; } : HostFunction{});
    const Outcome parked = lane->call(1, {10});
    EXPECT_EQ(parked.exit, Exit::parked);
    EXPECT_EQ(parked.function, 0u);
    EXPECT_EQ(parked.inst, 3u);  // after the host_call
    EXPECT_EQ(parked.fuel_used, 6u);
    lane->answer(std::vector<std::uint64_t>{500});
    const Outcome done = lane->resume();
    EXPECT_EQ(done.exit, Exit::returned);
    EXPECT_EQ(done.results.at(0), 1000u);
    EXPECT_EQ(done.fuel_used, 13u);
  }
}

TEST_P(Exec, HostCallTrapsExitsAndCancels) {
  const ir::Module module = host_module();
  int calls = 0;
  const auto lane = subject(module, {}, [&calls](HostView& view) {
    switch (calls++) {
      case 0:
        view.trap = TrapKind::host;
        return Exit::trapped;
      case 1:
        return Exit::trapped;  // without a kind
      case 2:
        view.exit_code = -3;
        return Exit::exited;
      case 3:
        return Exit::cancelled;
      default:
        view.values[0] = 4;
        return Exit::ready;
    }
  });
  expect_trap(lane->call(1, {10}), TrapKind::host, 0, 2);
  expect_trap(lane->call(1, {10}), TrapKind::host, 0, 2);
  const Outcome exited = lane->call(1, {10});
  EXPECT_EQ(exited.exit, Exit::exited);
  EXPECT_EQ(exited.exit_code, -3);
  EXPECT_EQ(exited.fuel_used, 18u);
  const Outcome cancelled = lane->call(1, {10});
  EXPECT_EQ(cancelled.exit, Exit::cancelled);
  EXPECT_EQ(cancelled.inst, 2u);  // the call is still to be made
  EXPECT_EQ(lane->resume().results.at(0), 8u);
  EXPECT_EQ(calls, 5);
}

INSTANTIATE_TEST_SUITE_P(Executors, Exec, ::testing::ValuesIn(all_executors()),
                         [](const auto& parameter) { return name(parameter.param); });

}  // namespace
}  // namespace warphive::exec::testing
