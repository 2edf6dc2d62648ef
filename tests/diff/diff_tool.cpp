// SPDX-License-Identifier: Apache-2.0
// Loads modules and calls every exported function with fixed arguments on the executors, for
// comparison with each other and with other engines (run.py).
//
// usage: diff_tool --executors ref,interp.cpu --fuel N --support FILE.wasm
//                  --values i32=HEX,…:i64=HEX,…:f32=HEX,…:f64=HEX,… --vectors N [--] FILE.wasm…
//
// --support is a module that is linked before, as "fuzzing-support"; other imported functions trap
// when they are called.
//
// Prints one JSON line per file: {"file", "executors": {NAME: {"error"} or {"instantiate", "calls":
// [[function, vector, outcome, instructions, byte offset where it trapped]…], "digest", "memory":
// [bytes, crc32]}}}. After a call that ran out of fuel or stack, no more is called and there is
// neither digest nor memory.
#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "guest/wasm/lower.hpp"
#include "guest/wasm/reader.hpp"
#include "ir/link.hpp"
#include "tools/spec_executor.hpp"

namespace warphive {
namespace {

using nlohmann::json;
using tools::spec::Executor;
using tools::spec::Outcome;

struct Options {
  std::vector<std::string> executors;
  std::uint64_t fuel = 0;
  std::uint32_t vectors = 1;
  std::string support;
  std::map<std::string, std::vector<std::uint64_t>> values;  // by type
  std::vector<std::string> files;
};

[[noreturn]] void die(const std::string& sentence) {
  fmt::print(stderr, "diff_tool: {}\n", sentence);
  std::exit(2);
}

std::vector<std::string> split(std::string_view text, char at) {
  std::vector<std::string> parts;
  while (true) {
    const std::size_t end = text.find(at);
    parts.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::uint64_t number(const std::string& text, int base) {
  std::uint64_t value = 0;
  const char* end = text.data() + text.size();
  if (std::from_chars(text.data(), end, value, base).ptr != end) {
    die(fmt::format("({}) is not a number.", text));
  }
  return value;
}

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (!word.starts_with("--")) {
      options.files.push_back(word);
      continue;
    }
    if (word == "--") continue;
    if (++i == argc) die(fmt::format("({}) needs a value.", word));
    const std::string value = argv[i];
    if (word == "--executors") {
      options.executors = split(value, ',');
    } else if (word == "--fuel") {
      options.fuel = number(value, 10);
    } else if (word == "--vectors") {
      options.vectors = static_cast<std::uint32_t>(number(value, 10));
    } else if (word == "--support") {
      options.support = value;
    } else if (word == "--values") {
      for (const std::string& type : split(value, ':')) {
        const std::vector<std::string> halves = split(type, '=');
        for (const std::string& bits : split(halves.at(1), ',')) {
          options.values[halves[0]].push_back(number(bits, 16));
        }
      }
    } else {
      die(fmt::format("There is no option ({}).", word));
    }
  }
  return options;
}

Result<ir::Module> load(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) die(fmt::format("Cannot open ({}).", path));
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const auto* first = reinterpret_cast<const std::byte*>(text.data());
  Result<wasm::Module> module =
      wasm::read_module(std::vector<std::byte>(first, first + text.size()));
  if (!module) return fail(std::move(module).error());
  return wasm::lower(*module);
}

/// CRC-32 as zlib has it, eight bytes at a time.
std::uint32_t crc32(const std::byte* bytes, std::size_t count) {
  static const auto tables = [] {
    std::array<std::array<std::uint32_t, 256>, 8> made{};
    for (std::uint32_t i = 0; i < 256; ++i) {
      std::uint32_t value = i;
      for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? 0xedb88320U : 0);
      made[0][i] = value;
    }
    for (std::uint32_t i = 0; i < 256; ++i) {
      for (std::size_t t = 1; t < 8; ++t) {
        made[t][i] = (made[t - 1][i] >> 8) ^ made[0][made[t - 1][i] & 0xff];
      }
    }
    return made;
  }();
  std::uint32_t crc = ~std::uint32_t{0};
  for (; count >= 8; count -= 8, bytes += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes, 8);
    word ^= crc;
    crc = 0;
    for (std::size_t t = 0; t < 8; ++t) crc ^= tables[7 - t][(word >> (8 * t)) & 0xff];
  }
  for (; count > 0; --count, ++bytes) {
    crc = (crc >> 8) ^ tables[0][(crc ^ static_cast<std::uint32_t>(*bytes)) & 0xff];
  }
  return ~crc;
}

std::string describe(const Outcome& outcome, const ir::FunctionType& type) {
  if (outcome.exit == abi::Exit::trapped)
    return fmt::format("trap {}", abi::to_string(outcome.trap));
  std::string text = abi::to_string(outcome.exit);
  auto slot = outcome.values.begin();
  for (const ir::ValueType value :
       outcome.values.empty() ? std::vector<ir::ValueType>{} : type.results) {
    if (value == ir::ValueType::funcref || value == ir::ValueType::externref) {
      text += *slot == 0 ? " null" : " reference";
    } else if (value == ir::ValueType::v128) {
      text += fmt::format(" v128:{:016x}{:016x}", slot[1], slot[0]);
    } else {
      text += fmt::format(" {}:{:x}", ir::to_string(value), *slot);
    }
    slot += ir::slots(value);
  }
  return text;
}

/// References are null; numbers depend on position and vector.
std::vector<std::uint64_t> arguments(const ir::FunctionType& type, std::uint32_t vector,
                                     const Options& options) {
  std::vector<std::uint64_t> args;
  for (std::size_t i = 0; i < type.params.size(); ++i) {
    const auto found = options.values.find(std::string(ir::to_string(type.params[i])));
    const std::vector<std::uint64_t> none = {0};
    const std::vector<std::uint64_t>& values = found == options.values.end() ? none : found->second;
    args.push_back(values[(i + vector) % values.size()]);
    if (type.params[i] == ir::ValueType::v128) {
      args.push_back(values[(i + vector + 1) % values.size()]);
    }
  }
  return args;
}

const ir::Export* find(const ir::Member& member, std::string_view name, ir::EntityKind kind) {
  for (const ir::Export& entry : member.exports) {
    if (entry.kind == kind && entry.name == name) return &entry;
  }
  return nullptr;
}

const ir::FunctionType& type_of(const ir::Module& program, std::uint32_t function) {
  return program.types[program.functions[function].type];
}

void run(const ir::Module& program, Executor& executor, const Options& options, json& to) {
  const auto call = [&](std::uint32_t function, std::span<const std::uint64_t> args) {
    Result<Outcome> outcome = executor.call(function, args, options.fuel);
    if (!outcome) die(outcome.error().describe());
    return std::move(*outcome);
  };
  const auto instantiate = [&](std::size_t member) {
    const Result<Outcome> outcome = executor.instantiate(program.members[member]);
    if (!outcome) die(outcome.error().describe());
    return *outcome;
  };
  instantiate(0);
  const ir::Member& member = program.members[1];
  const Outcome started = instantiate(1);
  to["instantiate"] = describe(started, {});
  json& calls = to["calls"] = json::array();
  if (started.exit != abi::Exit::returned) return;
  std::uint64_t before = started.instructions;

  const ir::Export* limit = find(member, "hangLimitInitializer", ir::EntityKind::function);
  if (limit != nullptr && !type_of(program, limit->index).params.empty()) limit = nullptr;
  for (const ir::Export& entry : member.exports) {
    if (entry.kind != ir::EntityKind::function) continue;
    const ir::FunctionType& type = type_of(program, entry.index);
    const std::uint32_t vectors = type.params.empty() ? 1 : options.vectors;
    for (std::uint32_t vector = 0; vector < vectors; ++vector) {
      if (limit != nullptr) before = call(limit->index, {}).instructions;
      const Outcome outcome = call(entry.index, arguments(type, vector, options));
      calls.push_back({entry.name, vector, describe(outcome, type), outcome.instructions - before,
                       outcome.offset == ir::none ? json() : json(outcome.offset)});
      before = outcome.instructions;
      const bool has_trapped = outcome.exit == abi::Exit::trapped;
      if (outcome.exit != abi::Exit::returned &&
          (!has_trapped || outcome.trap == abi::TrapKind::stack_overflow)) {
        return;
      }
    }
  }
  const ir::Export* digest = find(program.members[0], "digest", ir::EntityKind::function);
  if (digest != nullptr) {
    to["digest"] = describe(call(digest->index, {}), type_of(program, digest->index));
  }
  const ir::Export* memory = find(member, "memory", ir::EntityKind::memory);
  if (memory == nullptr) return;
  const Result<std::vector<std::byte>> bytes = executor.memory(memory->index);
  if (!bytes) die(bytes.error().describe());
  to["memory"] = {bytes->size(), crc32(bytes->data(), bytes->size())};
}

/// Whatever a module imports exists; executors refuse calls of it.
auto hosts_of(const ir::Module& module) {
  return [&module](std::string_view from,
                   std::string_view field) -> std::optional<ir::FunctionType> {
    for (const ir::Function& function : module.functions) {
      if (function.import && function.import->module == from && function.import->field == field) {
        return module.types[function.type];
      }
    }
    return std::nullopt;
  };
}

json run_file(const std::string& file, const ir::Module& support, const Options& options) {
  json line = {{"file", file}};
  const Result<ir::Module> module = load(file);
  for (const std::string& name : options.executors) {
    json& to = line["executors"][name] = json::object();
    if (!module) {
      to["error"] = module.error().describe();
      continue;
    }
    const std::array<ir::LinkInput, 2> inputs = {
        {{&support, "fuzzing-support"}, {&*module, "main"}}};
    Result<ir::Module> program = ir::link(inputs, {.host_function = hosts_of(*module)});
    if (!program) {
      to["error"] = program.error().describe();
      continue;
    }
    const tools::spec::ExecutorKind* kind = tools::spec::find_executor(name);
    if (kind == nullptr) die(fmt::format("There is no executor ({}).", name));
    const Result<std::unique_ptr<Executor>> executor = kind->make(*program);
    if (!executor) {
      to["error"] = executor.error().describe();
      continue;
    }
    run(*program, **executor, options, to);
  }
  return line;
}

}  // namespace
}  // namespace warphive

int main(int argc, char** argv) {
  try {
    const warphive::Options options = warphive::parse(argc, argv);
    const warphive::Result<warphive::ir::Module> support = warphive::load(options.support);
    if (!support) warphive::die(support.error().describe());
    for (const std::string& file : options.files) {
      fmt::print("{}\n", warphive::run_file(file, *support, options)
                             .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
      std::fflush(stdout);
    }
    return 0;
  } catch (const std::exception& problem) {
    warphive::die(problem.what());
  }
}
