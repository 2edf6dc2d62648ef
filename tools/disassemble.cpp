// SPDX-License-Identifier: Apache-2.0
#include "tools/disassemble.hpp"

#include <algorithm>
#include <bit>

#include "base/append.hpp"
#include "base/byte_reader.hpp"
#include "base/check.hpp"
#include "guest/wasm/opcodes.hpp"
#include "guest/wasm/simd_opcodes.hpp"
#include "tools/format.hpp"
#include "tools/values.hpp"
#include "warphive/types.hpp"

namespace warphive::tools {

namespace {

using wasm::Immediate;
using wasm::Opcode;

/// Reads operators of a body that the reader has accepted.
class Listing {
 public:
  Listing(const wasm::Module& module, std::string& to) : module_(module), to_(to) {}

  void body(const wasm::FunctionBody& body) {
    code_ = base::ByteReader(body.code, body.offset);
    std::size_t depth = 1;
    while (!code_.at_end()) {
      const std::uint64_t offset = code_.offset();
      const std::uint8_t byte = u8();
      const auto opcode = static_cast<Opcode>(byte);
      const wasm::OpcodeInfo& info = opcode == Opcode::misc_prefix   ? misc_info(u32())
                                     : opcode == Opcode::simd_prefix ? simd_info(u32())
                                                                     : wasm::info(opcode);
      WARPHIVE_CHECK(info.text != nullptr);
      const bool closes = opcode == Opcode::end || opcode == Opcode::else_;
      if (closes && depth > 0) --depth;
      base::append(to_, "  {:06x}  {:{}}{}", offset, "", 2 * std::min<std::size_t>(depth, 40),
                   info.text);
      immediate(info);
      to_ += '\n';
      if (opcode == Opcode::block || opcode == Opcode::loop || opcode == Opcode::if_ ||
          opcode == Opcode::else_) {
        ++depth;
      }
    }
  }

 private:
  static const wasm::OpcodeInfo& misc_info(std::uint32_t number) {
    WARPHIVE_CHECK(number < wasm::misc_opcode_count);
    return wasm::misc_opcode_table[number];
  }
  static const wasm::OpcodeInfo& simd_info(std::uint32_t number) {
    WARPHIVE_CHECK(wasm::is_simd_opcode(number));
    return wasm::simd_opcode_table[number].info;
  }
  std::uint8_t u8() {
    std::uint8_t value = 0;
    WARPHIVE_CHECK(code_.read_u8(value));
    return value;
  }
  std::uint32_t u32() {
    std::uint32_t value = 0;
    WARPHIVE_CHECK(code_.read_leb_u32(value));
    return value;
  }
  static std::string_view value_type(std::uint8_t byte) {
    switch (byte) {
      case 0x7f:
        return "i32";
      case 0x7e:
        return "i64";
      case 0x7d:
        return "f32";
      case 0x7c:
        return "f64";
      case 0x7b:
        return "v128";
      case 0x70:
        return "funcref";
      case 0x6f:
        return "externref";
      default:
        return "unknown";
    }
  }
  void index() { base::append(to_, " {}", u32()); }

  void immediate(const wasm::OpcodeInfo& info) {
    switch (info.immediate) {
      case Immediate::none:
        return;
      case Immediate::block_type:
        block_type();
        return;
      case Immediate::label:
      case Immediate::local:
      case Immediate::global:
      case Immediate::table:
      case Immediate::memory:
      case Immediate::data:
      case Immediate::element:
        index();
        return;
      case Immediate::data_and_memory:
      case Immediate::memory_and_memory:
      case Immediate::element_and_table:
      case Immediate::table_and_table:
        index();
        index();
        return;
      case Immediate::label_table: {
        const std::uint32_t count = u32();
        for (std::uint32_t i = 0; i <= count; ++i) index();  // the default label is last
        return;
      }
      case Immediate::function: {
        const std::uint32_t function = u32();
        base::append(to_, " {}", function);
        const std::string name = function_name(module_, function);
        if (!name.empty()) base::append(to_, " ({})", clean(name));
        return;
      }
      case Immediate::type_and_table: {
        const std::uint32_t type = u32();
        base::append(to_, " {} table {}", ir::to_string(module_.types[type]), u32());
        return;
      }
      case Immediate::value_types: {
        const std::uint32_t count = u32();
        for (std::uint32_t i = 0; i < count; ++i) base::append(to_, " {}", value_type(u8()));
        return;
      }
      case Immediate::reference_type:
        base::append(to_, " {}", value_type(u8()));
        return;
      case Immediate::lanes:
        for (int i = 0; i < 16; ++i) base::append(to_, " {}", u8());
        return;
      case Immediate::lane:
        base::append(to_, " {}", u8());
        return;
      case Immediate::vector: {
        Value value{ValueType::v128};
        WARPHIVE_CHECK(code_.read_u64(value.bits) && code_.read_u64(value.high));
        to_ += ' ';
        append_value(to_, value);
        return;
      }
      case Immediate::memory_lane:
      case Immediate::memory_argument: {
        const std::uint32_t alignment = u32();
        const std::uint32_t offset = u32();
        if (offset != 0) base::append(to_, " offset={}", offset);
        if (alignment != info.alignment) {
          base::append(to_, " align={}", std::uint64_t{1} << alignment);
        }
        if (info.immediate == Immediate::memory_lane) base::append(to_, " {}", u8());
        return;
      }
      case Immediate::i32: {
        std::int32_t value = 0;
        WARPHIVE_CHECK(code_.read_leb_s32(value));
        base::append(to_, " {}", value);
        return;
      }
      case Immediate::i64: {
        std::int64_t value = 0;
        WARPHIVE_CHECK(code_.read_leb_s64(value));
        base::append(to_, " {}", value);
        return;
      }
      case Immediate::f32: {
        std::uint32_t bits = 0;
        WARPHIVE_CHECK(code_.read_u32(bits));
        to_ += ' ';
        append_value(to_, {ValueType::f32, bits});
        return;
      }
      case Immediate::f64: {
        std::uint64_t bits = 0;
        WARPHIVE_CHECK(code_.read_u64(bits));
        to_ += ' ';
        append_value(to_, {ValueType::f64, bits});
        return;
      }
    }
  }

  void block_type() {
    std::int64_t type = 0;
    WARPHIVE_CHECK(code_.read_leb_s33(type));
    if (type >= 0) {
      base::append(to_, " {}", ir::to_string(module_.types[static_cast<std::size_t>(type)]));
    } else if (type != -64) {  // 0x40: neither parameters nor results
      base::append(to_, " {}", value_type(static_cast<std::uint8_t>(type & 0x7f)));
    }
  }

  const wasm::Module& module_;
  std::string& to_;
  base::ByteReader code_;
};

}  // namespace

std::string function_name(const wasm::Module& module, std::uint32_t function) {
  if (function < module.function_names.size() && !module.function_names[function].empty()) {
    return module.function_names[function];
  }
  for (const ir::Export& exported : module.exports) {
    if (exported.kind == ir::EntityKind::function && exported.index == function) {
      return exported.name;
    }
  }
  return {};
}

void disassemble(const wasm::Module& module, const std::function<void(std::string&)>& write) {
  std::string text;
  for (std::size_t i = 0; i < module.bodies.size(); ++i) {
    const auto index = static_cast<std::uint32_t>(module.imported_functions + i);
    const wasm::FunctionBody& body = module.bodies[i];
    const std::string name = function_name(module, index);
    base::append(text, "{}function {}{}{} {}\n", i == 0 ? "" : "\n", index, name.empty() ? "" : " ",
                 clean(name), ir::to_string(module.types[module.functions[index]]));
    for (const wasm::LocalRun& run : body.locals) {
      if (run.count == 0) continue;
      base::append(text, "  locals {} x {}\n", run.count, ir::to_string(run.type));
    }
    Listing(module, text).body(body);
    write(text);
    text.clear();
  }
}

}  // namespace warphive::tools
