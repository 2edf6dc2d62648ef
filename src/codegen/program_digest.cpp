// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "abi/native.hpp"
#include "base/sha256.hpp"
#include "codegen/cache.hpp"
#include "exec/host_machine.hpp"
#include "exec/native.hpp"

namespace warphive::codegen {
namespace {

using exec::HostContext;
using exec::NativeHelpers;

/// Layouts that compiled code has built in: what emit.cpp finds by offset.
constexpr std::size_t layouts[] = {
    sizeof(HostContext),
    offsetof(HostContext, stack_end),
    offsetof(HostContext, globals),
    offsetof(HostContext, state),
    offsetof(HostContext, layout),
    offsetof(HostContext, memory),
    offsetof(HostContext, memory0),
    offsetof(HostContext, limit0),
    offsetof(HostContext, table0),
    offsetof(HostContext, table_sizes),
    offsetof(HostContext, targets),
    offsetof(HostContext, helpers),
    offsetof(HostContext, native_floor),
    offsetof(HostContext, refused_fuel),
    sizeof(NativeHelpers),
    offsetof(NativeHelpers, refill),
    offsetof(NativeHelpers, step),
    offsetof(NativeHelpers, trap),
    offsetof(NativeHelpers, behind_call),
    sizeof(abi::NativeTarget),
    offsetof(abi::NativeTarget, code),
    offsetof(abi::NativeTarget, type),
    sizeof(abi::ProgramLayout),
    offsetof(abi::ProgramLayout, memories),
    offsetof(abi::ProgramLayout, tables),
    offsetof(abi::ProgramLayout, memory_pages_at),
    sizeof(abi::MemoryLayout),
    offsetof(abi::MemoryLayout, at),
    sizeof(abi::TableLayout),
    offsetof(abi::TableLayout, at),
    abi::page_bytes,
};

/// Every list and text is preceded by its length, so that no two inputs make the same bytes.
class Hasher {
 public:
  void number(std::uint64_t value) {
    std::array<std::uint8_t, 8> bytes;
    for (std::size_t i = 0; i < 8; ++i) bytes[i] = static_cast<std::uint8_t>(value >> (8 * i));
    raw(bytes.data(), bytes.size());
  }
  void text(std::string_view text) {
    number(text.size());
    raw(text.data(), text.size());
  }
  template <class T>
  void numbers(const std::vector<T>& list) {
    static_assert(std::has_unique_object_representations_v<T>);
    number(list.size());
    raw(list.data(), list.size() * sizeof(T));
  }
  Digest finish() {
    flush();
    return hash_.finish();
  }

 private:
  void raw(const void* data, std::size_t bytes) {
    if (bytes > buffer_.size() - filled_) flush();
    if (bytes > buffer_.size()) {
      hash_.update(data, bytes);
    } else if (bytes != 0) {
      std::memcpy(buffer_.data() + filled_, data, bytes);
      filled_ += bytes;
    }
  }
  void flush() { hash_.update(buffer_.data(), std::exchange(filled_, 0)); }

  base::Sha256 hash_;
  std::array<std::uint8_t, 4096> buffer_;
  std::size_t filled_ = 0;
};

// The structures are taken apart by name, so that one which gets a new field does not compile here
// before somebody has decided whether code depends on it.

void add(Hasher& hash, const ir::FunctionType& type) {
  const auto& [params, results] = type;
  hash.numbers(params);
  hash.numbers(results);
}

void add(Hasher& hash, const ir::Function& function) {
  [[maybe_unused]] const auto& [type, import, frame_slots, header_slot, code, source, blocks,
                                branch_tables, member, guest_index, name] = function;
  hash.number(type);
  hash.number(frame_slots);
  hash.number(header_slot);
  hash.numbers(code);
  hash.numbers(blocks);
  hash.number(branch_tables.size());
  for (const auto& table : branch_tables) hash.numbers(table);
}

void add(Hasher& hash, const ir::Memory& memory) {
  [[maybe_unused]] const auto& [import, min_pages, max_pages, grows] = memory;
  hash.number(min_pages);
  hash.number(max_pages.has_value());
  hash.number(max_pages.value_or(0));
  hash.number(grows);
}

void add(Hasher& hash, const ir::Table& table) {
  [[maybe_unused]] const auto& [import, element, min, max, changes] = table;
  hash.number(static_cast<std::uint64_t>(element));
  hash.number(min);
  hash.number(max.has_value());
  hash.number(max.value_or(0));
  hash.number(changes);
}

void add(Hasher& hash, const ir::Global& global) {
  [[maybe_unused]] const auto& [import, type, is_mutable] = global;
  hash.number(static_cast<std::uint64_t>(type));
  hash.number(is_mutable);
}

template <class T>
void add(Hasher& hash, const std::vector<T>& list) {
  hash.number(list.size());
  for (const T& item : list) add(hash, item);
}

void add(Hasher& hash, const ir::Module& module) {
  [[maybe_unused]] const auto& [types, functions, memories, tables, globals, data_segments,
                                element_segments, host_imports, members, vectors, main_memory,
                                metered] = module;
  add(hash, types);
  add(hash, functions);
  add(hash, memories);
  add(hash, tables);
  add(hash, globals);
  hash.numbers(vectors);
  hash.number(metered);
}

void add(Hasher& hash, const abi::FunctionEntry& function) {
  [[maybe_unused]] const auto& [entry, type, param_slots, result_slots, header_slot, reserved] =
      function;
  hash.number(entry);
  hash.number(type);
  hash.number(param_slots);
  hash.number(result_slots);
  hash.number(header_slot);
}

// Code names instructions by their number in the program. What they encode is in the module.
void add(Hasher& hash, const ir::EncodedProgram& program) {
  [[maybe_unused]] const auto& [insns, functions, branches, data, elements, vectors, data_segments,
                                element_segments, function_of_block, origin] = program;
  add(hash, functions);
}

}  // namespace

Digest program_digest(const ir::Module& module, const ir::EncodedProgram& encoded,
                      std::string_view options) {
  Hasher hash;
  hash.text("warphive code");
  hash.number(ir_code_version);
  hash.number(abi::native_abi_version);
  hash.text(sources_digest);
  hash.text(host_target());
  hash.text(options);
  hash.number(std::size(layouts));
  for (const std::size_t layout : layouts) hash.number(layout);
  add(hash, module);
  add(hash, encoded);
  return hash.finish();
}

}  // namespace warphive::codegen
