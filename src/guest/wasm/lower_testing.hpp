// SPDX-License-Identifier: Apache-2.0
// For tests of the lowering: operators as bytes, and IR as short text.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "guest/wasm/lower.hpp"
#include "guest/wasm/opcodes.hpp"
#include "guest/wasm/reader.hpp"
#include "guest/wasm/testing/module_builder.hpp"
#include "ir/operands.hpp"
#include "ir/verify.hpp"

namespace warphive::wasm::testing {

inline Bytes op(Opcode opcode) { return {static_cast<std::uint8_t>(opcode)}; }
inline Bytes op(Opcode opcode, std::uint32_t immediate) { return op(opcode) + leb(immediate); }
inline Bytes op(Opcode opcode, std::uint32_t first, std::uint32_t second) {
  return op(opcode) + leb(first) + leb(second);
}
inline Bytes op(MiscOpcode opcode) { return {0xfc, static_cast<std::uint8_t>(opcode)}; }
inline Bytes op(MiscOpcode opcode, std::uint32_t immediate) { return op(opcode) + leb(immediate); }
inline Bytes op(MiscOpcode opcode, std::uint32_t first, std::uint32_t second) {
  return op(opcode) + leb(first) + leb(second);
}
inline Bytes get(std::uint32_t local) { return op(Opcode::local_get, local); }
inline Bytes set(std::uint32_t local) { return op(Opcode::local_set, local); }
inline Bytes tee(std::uint32_t local) { return op(Opcode::local_tee, local); }
inline Bytes c32(std::int32_t value) { return i32_const(value); }
inline Bytes c64(std::int64_t value) { return i64_const(value); }
inline Bytes cf64(double value) {
  Bytes bytes(8);
  std::memcpy(bytes.data(), &value, 8);
  return op(Opcode::f64_const) + bytes;
}
/// `type`: empty, a value type, or a type index below 64.
inline Bytes block(std::uint8_t type, const Bytes& body) {
  return op(Opcode::block) + Bytes{type} + body + op(Opcode::end);
}
inline Bytes loop(std::uint8_t type, const Bytes& body) {
  return op(Opcode::loop) + Bytes{type} + body + op(Opcode::end);
}
inline Bytes if_(std::uint8_t type, const Bytes& body) {
  return op(Opcode::if_) + Bytes{type} + body + op(Opcode::end);
}
inline Bytes if_else(std::uint8_t type, const Bytes& body, const Bytes& otherwise) {
  return op(Opcode::if_) + Bytes{type} + body + op(Opcode::else_) + otherwise + op(Opcode::end);
}

inline ir::Module lower_valid(const ModuleBuilder& builder, const LowerOptions& options = {}) {
  Result<Module> module = read_module(builder.module());
  if (!module) {
    ADD_FAILURE() << module.error().describe();
    return {};
  }
  Result<ir::Module> lowered = lower(*module, options);
  if (!lowered) {
    ADD_FAILURE() << lowered.error().describe();
    return {};
  }
  if (const Status status = ir::verify(*lowered); !status)
    ADD_FAILURE() << status.error().describe();
  return std::move(*lowered);
}

/// Lines such as "add32 s3 s0 s1", "br_lt32_s_k s0 7 -> 2"; before each block its number.
inline std::string listing(const ir::Function& function) {
  std::string text;
  std::size_t block = 0;
  for (std::size_t i = 0; i < function.code.size(); ++i) {
    if (block < function.blocks.size() && function.blocks[block] == i) {
      text += fmt::format("{}:\n", block++);
    }
    const ir::Inst& inst = function.code[i];
    const ir::Operands& use = ir::operands(inst.op);
    const int fields = use.reads | use.writes | use.raw;
    text += fmt::format("  {}", ir::info(inst.op).name);
    if (ir::info(inst.op).shape == ir::Shape::br_ak) {
      text += fmt::format(" s{} {} -> {}\n", inst.a, ir::branch_constant(inst), inst.imm);
      continue;
    }
    if ((fields & ir::field::a) != 0) text += fmt::format(" s{}", inst.a);
    if ((fields & ir::field::b) != 0) text += fmt::format(" s{}", inst.b);
    if ((fields & ir::field::c) != 0) text += fmt::format(" s{}", inst.c);
    if ((fields & ir::field::imm) != 0) {
      text += fmt::format(" s{}", inst.imm);
    } else if (use.low == ir::Space::block) {
      text += fmt::format(" -> {}", inst.imm);
    } else if (use.low == ir::Space::branch_table) {
      for (const std::uint32_t target : function.branch_tables[inst.imm]) {
        text += fmt::format(" -> {}", target);
      }
    } else if (use.low != ir::Space::unused) {
      text += fmt::format(" {}", ir::imm_low(inst));
      if (use.high != ir::Space::unused && ir::imm_high(inst) != 0) {
        text += fmt::format(" {}", ir::imm_high(inst));
      }
    }
    text += '\n';
  }
  return text;
}

/// The listing of a function of that type and body, without `enter` and the first line.
inline std::string lowered_body(
    const Bytes& params, const Bytes& results, const Bytes& code,
    const std::vector<std::pair<std::uint32_t, std::uint8_t>>& locals = {},
    const LowerOptions& options = {}) {
  ModuleBuilder builder;
  builder.memory(limits(1));
  builder.function(builder.type(params, results), code, locals);
  const ir::Module module = lower_valid(builder, options);
  if (module.functions.empty()) return {};
  const std::string text = listing(module.functions[0]);
  return "\n" + text.substr(text.find('\n', text.find('\n') + 1) + 1);
}

}  // namespace warphive::wasm::testing
