// SPDX-License-Identifier: Apache-2.0
#include "runtime/layout.hpp"

#include <algorithm>
#include <cstring>

#include "base/result.hpp"

namespace warphive::runtime {
namespace {

constexpr std::uint32_t max_pages = 65536;
constexpr std::uint32_t max_stack_slots = std::uint32_t{1} << 24;
constexpr std::uint32_t max_depth = std::uint32_t{1} << 24;
constexpr std::uint32_t max_output_bytes = std::uint32_t{1} << 30;
constexpr std::uint64_t max_state_bytes = std::uint64_t{1} << 31;
constexpr std::uint32_t system_page = 4096;

constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t unit) {
  return (value + unit - 1) / unit * unit;
}

Status check_limit(const char* what, std::uint64_t value, std::uint64_t limit) {
  if (value <= limit) return {};
  return base::error(ErrorCode::limit_exceeded, ErrorPhase::spawn,
                     "{} ({}) exceeds the limit ({}).", what, value, limit);
}

Result<std::uint32_t> capacity_of(const ir::Memory& memory, const Capacities& capacities) {
  std::uint32_t pages = default_memory_pages(memory);
  if (capacities.memory_pages) {
    if (*capacities.memory_pages < memory.min_pages) {
      return base::error(
          ErrorCode::invalid_input, ErrorPhase::spawn,
          "The memory capacity in pages ({}) is below the program's declared minimum "
          "({}).",
          *capacities.memory_pages, memory.min_pages);
    }
    WARPHIVE_TRY(check_limit("The memory capacity in pages", *capacities.memory_pages, max_pages));
    if (memory.grows) pages = *capacities.memory_pages;
  }
  return std::min({pages, memory.max_pages.value_or(max_pages), max_pages});
}

}  // namespace

std::uint64_t Layout::reserved_bytes() const {
  return sizeof(abi::InstanceHeader) + state_stride + std::uint64_t{stack_stride} * 8 +
         memory_stride + std::uint64_t{out_capacity} * 2;
}

Status plan_layout(const Program& program, const Capacities& capacities, Layout& layout) {
  const ir::Module& module = program.module;
  WARPHIVE_TRY(check_limit("The stack size in slots", capacities.stack_slots, max_stack_slots));
  WARPHIVE_TRY(check_limit("The call depth", capacities.max_depth, max_depth));
  WARPHIVE_TRY(check_limit("The output size in bytes", capacities.output_bytes, max_output_bytes));

  std::uint64_t memory_bytes = 0;
  for (const ir::Memory& memory : module.memories) {
    WARPHIVE_TRY_ASSIGN(const std::uint32_t capacity, capacity_of(memory, capacities));
    layout.memories.push_back(
        {.at = memory_bytes, .capacity = capacity, .max = memory.max_pages.value_or(max_pages)});
    memory_bytes += std::uint64_t{capacity} * abi::page_bytes;
  }

  std::uint64_t at = 0;  // sizes are checked at the end; no count is above 2^32, so it cannot wrap
  const auto take = [&](std::uint64_t bytes) {
    const std::uint64_t start = at;
    at += round_up(bytes, 8);
    return static_cast<std::uint32_t>(start);
  };
  abi::ProgramLayout& view = layout.view;
  view.globals_at = take(std::uint64_t{ir::global_slots(module).back()} * 8);
  view.memory_pages_at = take(module.memories.size() * 4);
  view.table_sizes_at = take(module.tables.size() * 4);
  view.data_dropped_at = take(round_up(module.data_segments.size(), 32) / 8);
  view.elem_dropped_at = take(round_up(module.element_segments.size(), 32) / 8);
  for (const ir::Table& table : module.tables) {
    const std::uint64_t wanted =
        std::uint64_t{table.min} + (table.changes ? capacities.table_elements : 0);
    const std::uint32_t max = table.max.value_or(~std::uint32_t{0});
    const auto capacity = static_cast<std::uint32_t>(
        std::max<std::uint64_t>(table.min, std::min<std::uint64_t>(wanted, max)));
    const std::uint32_t start = take(std::uint64_t{capacity} * 8);
    WARPHIVE_TRY(
        check_limit("The size of an instance's tables and globals in bytes", at, max_state_bytes));
    layout.tables.push_back({.at = start, .capacity = capacity, .max = max, .reserved = 0});
  }
  WARPHIVE_TRY(
      check_limit("The size of an instance's tables and globals in bytes", at, max_state_bytes));

  view.memories = layout.memories.data();
  view.tables = layout.tables.data();
  view.memory_count = static_cast<std::uint32_t>(layout.memories.size());
  view.main_memory = module.main_memory;
  view.table_count = static_cast<std::uint32_t>(layout.tables.size());
  view.state_bytes = static_cast<std::uint32_t>(at);
  view.stack_slots = capacities.stack_slots;
  view.max_depth = capacities.max_depth;
  view.memory_bytes = memory_bytes;
  layout.memory_stride = memory_bytes;
  layout.state_stride = view.state_bytes;
  // Whole pages, so that a slot's stack can be given back on its own.
  layout.stack_stride =
      static_cast<std::uint32_t>(round_up(capacities.stack_slots, system_page / 8));
  // Only host functions write output.
  layout.out_capacity = module.host_imports.empty() ? 0 : capacities.output_bytes;
  return {};
}

std::vector<std::uint8_t> initial_state(const Program& program, const Layout& layout) {
  std::vector<std::uint8_t> state(layout.view.state_bytes);
  const auto put = [&](std::uint64_t at, std::uint32_t value) {
    std::memcpy(state.data() + at, &value, sizeof value);
  };
  const ir::Module& module = program.module;
  for (std::size_t i = 0; i < module.memories.size(); ++i) {
    put(layout.view.memory_pages_at + 4 * i, module.memories[i].min_pages);
  }
  for (std::size_t i = 0; i < module.tables.size(); ++i) {
    put(layout.view.table_sizes_at + 4 * i, module.tables[i].min);
  }
  return state;
}

}  // namespace warphive::runtime
