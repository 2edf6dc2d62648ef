// SPDX-License-Identifier: Apache-2.0
#include "tools/spec_script.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

#include "tools/failure.hpp"

namespace warphive::tools::spec {
namespace {

using nlohmann::json;

constexpr std::array<std::pair<std::string_view, CommandKind>, 10> command_names = {{
    {"module", CommandKind::module},
    {"register", CommandKind::register_as},
    {"action", CommandKind::action},
    {"assert_return", CommandKind::assert_return},
    {"assert_trap", CommandKind::assert_trap},
    {"assert_exhaustion", CommandKind::assert_exhaustion},
    {"assert_invalid", CommandKind::assert_invalid},
    {"assert_malformed", CommandKind::assert_malformed},
    {"assert_uninstantiable", CommandKind::assert_uninstantiable},
    {"assert_unlinkable", CommandKind::assert_unlinkable},
}};

constexpr std::array<std::pair<std::string_view, ir::ValueType>, 7> type_names = {{
    {"i32", ir::ValueType::i32},
    {"i64", ir::ValueType::i64},
    {"f32", ir::ValueType::f32},
    {"f64", ir::ValueType::f64},
    {"v128", ir::ValueType::v128},
    {"funcref", ir::ValueType::funcref},
    {"externref", ir::ValueType::externref},
}};

template <class Table>
auto look_up(const Table& table, std::string_view name) {
  for (const auto& [key, value] : table) {
    if (key == name) return value;
  }
  throw Failure(Status::bad_module, fmt::format("Unknown word ({}).", name));
}

std::uint64_t parse_bits(const std::string& text) {
  std::uint64_t bits = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), bits);
  if (problem != std::errc{} || end != text.data() + text.size()) {
    throw Failure(Status::bad_module, fmt::format("The value ({}) is not a number.", text));
  }
  return bits;
}

Value parse_lane(ir::ValueType type, const std::string& text) {
  Value lane;
  lane.type = type;
  if (text == "nan:canonical") {
    lane.kind = Value::Kind::nan_canonical;
  } else if (text == "nan:arithmetic") {
    lane.kind = Value::Kind::nan_arithmetic;
  } else {
    lane.bits = parse_bits(text);
  }
  return lane;
}

Value parse_vector(const json& from) {
  const std::string lane_type = from.at("lane_type").get<std::string>();
  const bool narrow = lane_type == "i8" || lane_type == "i16";
  const ir::ValueType type = narrow ? ir::ValueType::i32 : look_up(type_names, lane_type);
  Value value;
  value.type = ir::ValueType::v128;
  value.kind = Value::Kind::lanes;
  for (const json& lane : from.at("value")) {
    value.lanes.push_back(parse_lane(type, lane.get<std::string>()));
  }
  const std::size_t count = value.lanes.size();
  if (count != 2 && count != 4 && count != 8 && count != 16) {
    throw Failure(Status::bad_module, fmt::format("A vector of ({}) lanes.", count));
  }
  return value;
}

Value parse_value(const json& from) {
  Value value;
  value.type = look_up(type_names, from.at("type").get<std::string>());
  const bool is_reference =
      value.type == ir::ValueType::funcref || value.type == ir::ValueType::externref;
  if (value.type == ir::ValueType::v128) return parse_vector(from);
  if (!from.contains("value")) {
    if (!is_reference) throw Failure(Status::bad_module, "A value without bits.");
    value.kind = Value::Kind::some_reference;
    return value;
  }
  const std::string text = from.at("value").get<std::string>();
  if (text == "nan:canonical") {
    value.kind = Value::Kind::nan_canonical;
  } else if (text == "nan:arithmetic") {
    value.kind = Value::Kind::nan_arithmetic;
  } else if (is_reference && text == "null") {
    value.bits = 0;
  } else {
    value.bits = parse_bits(text);
    if (is_reference) ++value.bits;
  }
  return value;
}

std::vector<Value> parse_values(const json& from) {
  std::vector<Value> values;
  for (const json& value : from) values.push_back(parse_value(value));
  return values;
}

Command parse_command(const json& from) {
  Command command;
  command.kind = look_up(command_names, from.at("type").get<std::string>());
  command.line = from.at("line").get<std::uint32_t>();
  command.filename = from.value("filename", "");
  command.is_text = from.value("module_type", "") == "text";
  if (from.contains("name")) command.name = from.at("name").get<std::string>();
  command.as = from.value("as", "");
  command.text = from.value("text", "");
  if (from.contains("action")) {
    const json& action = from.at("action");
    command.action.is_get = action.at("type").get<std::string>() == "get";
    if (action.contains("module")) command.action.module = action.at("module").get<std::string>();
    command.action.field = action.at("field").get<std::string>();
    if (action.contains("args")) command.action.args = parse_values(action.at("args"));
  }
  // Of a trap `expected` holds the types that would have been returned.
  if (command.kind == CommandKind::assert_return)
    command.expected = parse_values(from.at("expected"));
  return command;
}

std::string read_text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) fail_host("Cannot open ({}).", path.string());
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (file.bad()) fail_host("Cannot read ({}).", path.string());
  return text;
}

}  // namespace

std::string_view to_string(CommandKind kind) {
  return command_names[static_cast<std::size_t>(kind)].first;
}

bool is_assertion(CommandKind kind) {
  return kind != CommandKind::module && kind != CommandKind::register_as &&
         kind != CommandKind::action;
}

std::string to_string(const Value& value) {
  const std::string_view type = ir::to_string(value.type);
  switch (value.kind) {
    case Value::Kind::bits:
      if (value.type == ir::ValueType::i32 || value.type == ir::ValueType::i64) {
        return fmt::format("{} {}", type, value.bits);
      }
      return fmt::format("{} 0x{:x}", type, value.bits);
    case Value::Kind::nan_canonical:
      return fmt::format("{} nan:canonical", type);
    case Value::Kind::nan_arithmetic:
      return fmt::format("{} nan:arithmetic", type);
    case Value::Kind::some_reference:
      return fmt::format("{} not null", type);
    case Value::Kind::lanes: {
      std::string text = fmt::format("{} x {}", type, value.lanes.size());
      for (const Value& lane : value.lanes) {
        text += lane.kind == Value::Kind::bits ? fmt::format(" 0x{:x}", lane.bits)
                                               : " " + to_string(lane);
      }
      return text;
    }
  }
  return std::string(type);
}

std::string to_string(std::span<const Value> values) {
  std::string text = "(";
  for (const Value& value : values) {
    if (text.size() > 1) text += ", ";
    text += to_string(value);
  }
  return text + ")";
}

std::vector<std::uint64_t> slots_of(const Value& value) {
  if (value.kind != Value::Kind::lanes) return {value.bits};
  std::vector<std::uint64_t> slots(2);
  const std::size_t bits = 128 / value.lanes.size();
  for (std::size_t i = 0; i < value.lanes.size(); ++i) {
    slots[i * bits / 64] |= value.lanes[i].bits << (i * bits % 64);
  }
  return slots;
}

bool matches(const Value& expected, ir::ValueType type, std::span<const std::uint64_t> slots) {
  if (expected.type != type || slots.size() != ir::slots(type)) return false;
  if (expected.kind == Value::Kind::lanes) {
    const std::size_t bits = 128 / expected.lanes.size();
    for (std::size_t i = 0; i < expected.lanes.size(); ++i) {
      const std::uint64_t lane =
          slots[i * bits / 64] >> (i * bits % 64) & (~std::uint64_t{0} >> (64 - bits));
      if (!matches(expected.lanes[i], expected.lanes[i].type, std::span(&lane, 1))) return false;
    }
    return true;
  }
  const std::uint64_t slot = slots[0];
  const bool is_f32 = type == ir::ValueType::f32;
  if (is_f32 && (slot >> 32) != 0) return false;
  switch (expected.kind) {
    case Value::Kind::bits:
      return slot == expected.bits;
    case Value::Kind::nan_canonical:
      return is_f32 ? (slot & 0x7fff'ffff) == 0x7fc0'0000
                    : (slot & 0x7fff'ffff'ffff'ffff) == 0x7ff8'0000'0000'0000;
    case Value::Kind::nan_arithmetic:
      return is_f32 ? (slot & 0x7fc0'0000) == 0x7fc0'0000
                    : (slot & 0x7ff8'0000'0000'0000) == 0x7ff8'0000'0000'0000;
    case Value::Kind::some_reference:
      return slot != 0;
    case Value::Kind::lanes:
      break;
  }
  return false;
}

Script read_script(const std::filesystem::path& path) {
  const std::string text = read_text(path);
  const json document = json::parse(text, nullptr, false);
  if (document.is_discarded()) {
    throw Failure(
        Status::bad_module,
        fmt::format("The file ({}) is not JSON: it must be what wast2json makes.", path.string()));
  }
  try {
    Script script;
    script.folder = path.parent_path();
    script.source =
        std::filesystem::path(document.at("source_filename").get<std::string>()).filename();
    for (const json& command : document.at("commands")) {
      script.commands.push_back(parse_command(command));
    }
    return script;
  } catch (const json::exception& problem) {
    throw Failure(Status::bad_module, fmt::format("The file ({}) is not what wast2json makes: {}.",
                                                  path.string(), problem.what()));
  } catch (const Failure& problem) {
    throw Failure(problem.status(), fmt::format("{}: {}", path.string(), problem.what()));
  }
}

std::vector<std::byte> read_bytes(const std::filesystem::path& path) {
  const std::string text = read_text(path);
  const auto* first = reinterpret_cast<const std::byte*>(text.data());
  return {first, first + text.size()};
}

}  // namespace warphive::tools::spec
