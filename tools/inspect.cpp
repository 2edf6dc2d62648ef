// SPDX-License-Identifier: Apache-2.0
#include "tools/inspect.hpp"

#include <CLI/CLI.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/append.hpp"
#include "base/byte_reader.hpp"
#include "base/check.hpp"
#include "codegen/compiler.hpp"
#include "codegen/device_compiler.hpp"
#include "guest/wasm/lower.hpp"
#include "guest/wasm/reader.hpp"
#include "ir/encode.hpp"
#include "ir/link.hpp"
#include "ir/text.hpp"
#include "opt/pipeline.hpp"
#include "tools/disassemble.hpp"
#include "tools/failure.hpp"
#include "tools/format.hpp"
#include "tools/report.hpp"
#include "tools/run.hpp"
#include "tools/values.hpp"

namespace warphive::tools {

namespace {

wasm::Module read(const std::string& path) {
  const std::string text = read_module_file(path);
  const auto bytes = std::as_bytes(std::span(text));
  return or_fail(wasm::read_module({bytes.begin(), bytes.end()}), path);
}

std::string limits_text(const wasm::SizeLimits& limits, std::string_view unit) {
  if (!limits.max) return counted(limits.min, unit) + " or more";
  return fmt::format("{} to {}", grouped(limits.min), counted(*limits.max, unit));
}

std::string entity_text(const wasm::Module& module, ir::EntityKind kind, std::uint32_t index) {
  switch (kind) {
    case ir::EntityKind::function:
      return "function " + ir::to_string(module.types[module.functions[index]]);
    case ir::EntityKind::table: {
      const wasm::TableType& table = module.tables[index];
      return fmt::format("table of {}, {}", ir::to_string(table.element),
                         limits_text(table.limits, "element"));
    }
    case ir::EntityKind::memory:
      return "memory, " + limits_text(module.memories[index].limits, "page");
    case ir::EntityKind::global: {
      const wasm::GlobalType& global = module.globals[index];
      return fmt::format("{}global {}", global.is_mutable ? "mutable " : "",
                         ir::to_string(global.type));
    }
  }
  WARPHIVE_UNREACHABLE();
}

/// Sections by id, from bytes that the reader has accepted.
std::string section_sizes(const wasm::Module& module) {
  constexpr std::string_view names[] = {"custom", "type",   "import",    "function", "table",
                                        "memory", "global", "export",    "start",    "element",
                                        "code",   "data",   "data count"};
  std::map<std::uint8_t, std::uint64_t> bytes_by_id;
  base::ByteReader reader(module.bytes);
  WARPHIVE_CHECK(reader.skip(8));
  std::vector<std::uint8_t> order;
  while (!reader.at_end()) {
    std::uint8_t id = 0;
    std::uint32_t bytes = 0;
    WARPHIVE_CHECK(reader.read_u8(id) && reader.read_leb_u32(bytes) && reader.skip(bytes));
    if (!bytes_by_id.contains(id)) order.push_back(id);
    bytes_by_id[id] += bytes;
  }
  std::string text;
  for (const std::uint8_t id : order) {
    const std::string_view name = id < std::size(names) ? names[id] : "unknown";
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", name, grouped(bytes_by_id[id]));
  }
  return text;
}

ir::Module lower(const wasm::Module& module, const std::string& path) {
  return or_fail(wasm::lower(module), path);
}

/// What runs, where the module needs nothing but functions; else the IR as lowered.
ir::Module optimised(const wasm::Module& module, const std::string& path) {
  ir::Module lowered = lower(module, path);
  const bool linkable = std::ranges::all_of(module.imports, [](const wasm::ImportedEntity& entity) {
    return entity.kind == ir::EntityKind::function;
  });
  if (!linkable) return lowered;
  std::map<std::pair<std::string, std::string>, ir::FunctionType> types;
  for (const wasm::ImportedEntity& entity : module.imports) {
    types[{entity.module, entity.field}] = module.types[module.functions[entity.index]];
  }
  ir::LinkOptions options;
  options.host_function = [&](std::string_view from,
                              std::string_view field) -> std::optional<ir::FunctionType> {
    const auto found = types.find({std::string(from), std::string(field)});
    if (found == types.end()) return std::nullopt;
    return found->second;
  };
  const ir::LinkInput input = {&lowered, ""};
  Result<ir::Module> linked = ir::link(std::span(&input, 1), options);
  if (!linked) return lowered;  // one name imported with two types: nothing can run it either
  opt::optimise(*linked);
  return std::move(*linked);
}

std::uint64_t instruction_count(const ir::Module& module) {
  std::uint64_t count = 0;
  for (const ir::Function& function : module.functions) count += function.code.size();
  return count;
}

void write_summary(const wasm::Module& module, const std::string& path, std::string& text) {
  base::append(text, "{}{}{}: {}\n", path, module.module_name.empty() ? "" : ", module ",
               clean(module.module_name), counted(module.bytes.size(), "byte"));
  base::append(text, "sections (bytes): {}\n", section_sizes(module));
  base::append(text, "functions: {} and {} imported; tables {}, memories {}, globals {}\n",
               grouped(module.bodies.size()), grouped(module.imported_functions),
               module.tables.size(), module.memories.size(), grouped(module.globals.size()));
  std::uint64_t data = 0;
  for (const wasm::DataSegment& segment : module.data_segments) data += segment.bytes.size();
  base::append(text, "data: {} in {}\n", counted(data, "byte"),
               counted(module.data_segments.size(), "segment"));
  for (const wasm::MemoryType& memory : module.memories) {
    base::append(text, "memory: {} of 64 KiB\n", limits_text(memory.limits, "page"));
  }
  if (module.start) {
    const std::string name = function_name(module, *module.start);
    base::append(text, "start: function {}{}{}\n", *module.start, name.empty() ? "" : " ",
                 clean(name));
  }
  const std::uint64_t guest = module.operator_count;
  const std::uint64_t ir = instruction_count(optimised(module, path));
  base::append(text, "instructions: {} in the guest, {} in the IR", grouped(guest), grouped(ir));
  if (guest != 0) {
    base::append(text, " ({:.2f} each)", static_cast<double>(ir) / static_cast<double>(guest));
  }
  base::append(text, "\nimports: {}\n", grouped(module.imports.size()));
  for (const wasm::ImportedEntity& entity : module.imports) {
    base::append(text, "  {}.{}: {}\n", clean(entity.module), clean(entity.field),
                 entity_text(module, entity.kind, entity.index));
  }
  base::append(text, "exports: {}\n", grouped(module.exports.size()));
  for (const ir::Export& exported : module.exports) {
    base::append(text, "  {}: {}\n", clean(exported.name),
                 entity_text(module, exported.kind, exported.index));
  }
}

struct InspectOptions {
  std::string file;
  bool summary = false;
  bool wasm = false;
  bool llvm = false;
  bool assembly = false;
  bool ptx = false;
  std::string function;
  bool ir = false;
};

std::uint32_t find_function(const ir::Module& module, const std::string& name) {
  if (const ir::Export* item = ir::find_export(module, name, ir::EntityKind::function)) {
    return item->index;
  }
  const std::optional<std::uint64_t> index = parse_unsigned(name);
  if (index && *index < module.functions.size()) return static_cast<std::uint32_t>(*index);
  if (name.empty()) throw Failure(Status::usage, "Name a function with --function.");
  throw Failure(Status::usage,
                fmt::format("There is no function ({}): neither exported so nor an index below {}.",
                            clean(name), module.functions.size()));
}

/// All units, and as comments what is not in them.
std::string ptx_text(const ir::Module& module, const ir::EncodedProgram& encoded,
                     const std::string& path) {
  codegen::DeviceOptions options;
  options.lists_offsets = true;
  const codegen::PtxProgram program = or_fail(compile_ptx(module, encoded, options), path);
  std::string text;
  for (std::size_t i = 0; i < program.units.size(); ++i) {
    base::append(text, "// unit {} of {}\n{}", i + 1, program.units.size(), program.units[i]);
  }
  for (const std::string& reason : program.reasons) {
    base::append(text, "// interpreted: {}\n", reason);
  }
  return text;
}

std::string compiled_text(const wasm::Module& guest, const InspectOptions& options) {
  const ir::Module module = optimised(guest, options.file);
  if (!ir::is_linked(module)) {
    throw Failure(Status::usage,
                  "The module imports more than functions: it cannot be compiled "
                  "without what it is linked with.");
  }
  const ir::EncodedProgram encoded = or_fail(ir::encode(module), options.file);
  if (options.ptx && options.function.empty()) return ptx_text(module, encoded, options.file);
  const std::uint32_t function = find_function(module, options.function);
  if (options.ptx) return or_fail(codegen::list_ptx(module, encoded, function), options.file);
  return or_fail(
      codegen::list_function(module, encoded, function,
                             options.llvm ? codegen::Listing::llvm : codegen::Listing::assembly),
      options.file);
}

void inspect(const InspectOptions& options) {
  if (!options.function.empty() && !options.llvm && !options.assembly && !options.ptx) {
    fail_usage("The option --function goes with --llvm, --asm or --ptx.");
  }
  const wasm::Module module = read(options.file);
  Output output;
  if (options.wasm) {
    disassemble(module, [&](std::string& text) {
      output.text() += text;
      output.flush_if_large();
    });
  } else if (options.ir) {
    output.text() = ir::print(optimised(module, options.file));
  } else if (options.llvm || options.assembly || options.ptx) {
    output.text() = compiled_text(module, options);
  } else {
    write_summary(module, options.file, output.text());
  }
  output.flush();
}

}  // namespace

void add_inspect_command(CLI::App& app) {
  auto options = std::make_shared<InspectOptions>();
  CLI::App* command = app.add_subcommand("inspect", "Show what a module holds and what it becomes");
  command->add_option("FILE.wasm", options->file, "The WebAssembly module")
      ->type_name("")
      ->required();
  CLI::Option* summary = command->add_flag("--summary", options->summary,
                                           "Sections, imports, exports, sizes. The default");
  CLI::Option* wasm =
      command->add_flag("--wasm", options->wasm, "The functions' operators with byte offsets");
  CLI::Option* ir = command->add_flag("--ir", options->ir,
                                      "The functions' IR as it runs (as lowered, if the module "
                                      "imports anything but functions)");
  CLI::Option* llvm =
      command->add_flag("--llvm", options->llvm, "LLVM IR of one function as it is compiled");
  CLI::Option* assembly = command->add_flag(
      "--asm", options->assembly, "This machine's code of one function as it is compiled");
  CLI::Option* ptx = command->add_flag(
      "--ptx", options->ptx,
      "PTX for GPUs, with the guest's byte offsets as comments: of one function, or of all");
  CLI::Option* function =
      command
          ->add_option(
              "--function", options->function,
              "With --llvm, --asm and --ptx: an exported function, or an index in the program as "
              "--ir shows it")
          ->type_name("NAME");
  const std::vector<CLI::Option*> forms = {summary, wasm, ir, llvm, assembly, ptx};
  for (CLI::Option* one : forms) {
    for (CLI::Option* other : forms) {
      if (one != other) one->excludes(other);
    }
  }
  command->callback([options, function] {
    if (*function && options->function.empty()) fail_usage("The name of --function is empty.");
    inspect(*options);
  });
}

}  // namespace warphive::tools
