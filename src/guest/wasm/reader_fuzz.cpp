// SPDX-License-Identifier: Apache-2.0
// Any bytes: read, and if accepted, what the reader promises must hold.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/check.hpp"
#include "guest/wasm/reader.hpp"

namespace warphive::wasm {
namespace {

void check_inside(const Module& module, std::span<const std::byte> part) {
  if (part.empty()) return;
  WARPHIVE_CHECK(part.data() >= module.bytes.data());
  WARPHIVE_CHECK(part.data() + part.size() <= module.bytes.data() + module.bytes.size());
}

void check_const_expr(const Module& module, const ConstExpr& expr) {
  std::size_t height = 0;
  for (const ConstOp& op : expr) {
    switch (op.kind) {
      case ConstOp::Kind::constant:
      case ConstOp::Kind::null:
        ++height;
        break;
      case ConstOp::Kind::vector:
        WARPHIVE_CHECK(op.bits + 16 <= module.bytes.size());
        ++height;
        break;
      case ConstOp::Kind::function:
        WARPHIVE_CHECK(op.bits < module.functions.size());
        ++height;
        break;
      case ConstOp::Kind::global:
        WARPHIVE_CHECK(op.bits < module.imported_globals);
        WARPHIVE_CHECK(!module.globals[static_cast<std::size_t>(op.bits)].is_mutable);
        ++height;
        break;
      default:
        WARPHIVE_CHECK(height >= 2);
        --height;
    }
  }
  WARPHIVE_CHECK(height == 1);
}

void check_module(const Module& module, const Limits& limits) {
  WARPHIVE_CHECK(module.types.size() <= limits.types);
  WARPHIVE_CHECK(module.functions.size() <= limits.functions);
  WARPHIVE_CHECK(module.functions.size() == module.imported_functions + module.bodies.size());
  WARPHIVE_CHECK(module.globals.size() == module.imported_globals + module.global_entries.size());
  WARPHIVE_CHECK(module.memories.size() <= 1);
  WARPHIVE_CHECK(module.function_names.size() <= module.functions.size());
  WARPHIVE_CHECK(!module.start || *module.start < module.functions.size());
  for (std::uint32_t type : module.functions) WARPHIVE_CHECK(type < module.types.size());
  for (const FunctionBody& body : module.bodies) {
    check_inside(module, body.code);
    WARPHIVE_CHECK(!body.code.empty() && body.code.back() == std::byte{0x0b});
    WARPHIVE_CHECK(body.code.data() == module.bytes.data() + body.offset);
    std::uint64_t locals = 0;
    for (const LocalRun& run : body.locals) locals += run.count;
    WARPHIVE_CHECK(locals <= limits.locals);
  }
  for (const GlobalEntry& entry : module.global_entries) check_const_expr(module, entry.init);
  for (const DataSegment& segment : module.data_segments) {
    check_inside(module, segment.bytes);
    if (segment.mode != SegmentMode::active) continue;
    WARPHIVE_CHECK(segment.memory < module.memories.size());
    check_const_expr(module, segment.start);
  }
  for (const ElementSegment& segment : module.element_segments) {
    for (const ConstExpr& item : segment.items) check_const_expr(module, item);
    if (segment.mode != SegmentMode::active) continue;
    WARPHIVE_CHECK(segment.table < module.tables.size());
    check_const_expr(module, segment.start);
  }
  for (const ir::Export& entry : module.exports) {
    const std::size_t size = entry.kind == EntityKind::function ? module.functions.size()
                             : entry.kind == EntityKind::table  ? module.tables.size()
                             : entry.kind == EntityKind::memory ? module.memories.size()
                                                                : module.globals.size();
    WARPHIVE_CHECK(entry.index < size);
  }
}

}  // namespace
}  // namespace warphive::wasm

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace wasm = warphive::wasm;
  const wasm::Limits limits{.types = 100,
                            .functions = 100,
                            .table_elements = 1000,
                            .locals = 1000,
                            .nesting = 50,
                            .operands = 1000,
                            .br_table_targets = 100,
                            .name_bytes = 100};
  const std::span<const std::byte> bytes = std::as_bytes(std::span(data, size));
  const warphive::Result<wasm::Module> module =
      wasm::read_module(std::vector<std::byte>(bytes.begin(), bytes.end()), limits);
  if (module) {
    wasm::check_module(*module, limits);
  } else {
    const warphive::Error& error = module.error();
    WARPHIVE_CHECK(error.offset() <= size);
    WARPHIVE_CHECK(!error.message().empty() && error.message().back() == '.');
    WARPHIVE_CHECK(!error.describe().empty());
  }
  return 0;
}
