// SPDX-License-Identifier: Apache-2.0
#include "guest/wasm/reader.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>

#include "base/check.hpp"
#include "base/result.hpp"
#include "guest/wasm/reader_impl.hpp"

namespace warphive::wasm {
namespace {

struct SectionInfo {
  std::string_view name;
  std::uint32_t rank;  // place in the file, from 1; 0: anywhere
};
constexpr std::array<SectionInfo, 14> section_table = {{{"custom", 0},
                                                        {"type", 1},
                                                        {"import", 2},
                                                        {"function", 3},
                                                        {"table", 4},
                                                        {"memory", 5},
                                                        {"global", 6},
                                                        {"export", 7},
                                                        {"start", 8},
                                                        {"element", 9},
                                                        {"code", 11},
                                                        {"data", 12},
                                                        {"data count", 10},
                                                        {"tag", 0}}};

std::string hex(std::span<const std::byte> bytes) {
  std::string text;
  for (std::byte byte : bytes) text += fmt::format("{:02x} ", static_cast<unsigned>(byte));
  if (!text.empty()) text.pop_back();
  return text;
}

}  // namespace

Result<Module> read_module(std::vector<std::byte> bytes, const Limits& limits) {
  return ModuleReader(std::move(bytes), limits).read();
}

ModuleReader::ModuleReader(std::vector<std::byte> bytes, const Limits& limits) : limits_(limits) {
  module_.bytes = std::move(bytes);
  file_ = base::ByteReader(module_.bytes);
}

Result<Module> ModuleReader::read() {
  // Offsets are kept in 32 bits, whatever the option says.
  const std::uint64_t size_limit =
      std::min<std::uint64_t>(limits_.module_bytes, std::numeric_limits<std::uint32_t>::max());
  if (module_.bytes.size() > size_limit) {
    return fail(beyond_limit(0, "Module size in bytes", module_.bytes.size(), size_limit));
  }
  WARPHIVE_TRY(header());
  while (!file_.at_end()) WARPHIVE_TRY(section());
  WARPHIVE_TRY(finish());
  return std::move(module_);
}

Status ModuleReader::header() {
  constexpr std::array<std::uint8_t, 4> magic = {0x00, 0x61, 0x73, 0x6d};
  const std::span<const std::byte> start =
      file_.rest().first(std::min<std::size_t>(file_.remaining(), 4));
  if (start.size() < 4 || std::memcmp(start.data(), magic.data(), 4) != 0) {
    return fail(malformed(0,
                          "File is not a WebAssembly module: it starts with ({}), expected "
                          "(00 61 73 6d).",
                          hex(start)));
  }
  std::uint32_t version;
  if (!file_.skip(4) || !file_.read_u32(version)) return fail(file_.failure("Version"));
  if (version == 1) return {};
  if (version >> 16 == 1) {
    return fail(unsupported(4, "component model", fmt::format("Version ({:#x})", version)));
  }
  return fail(malformed(4, "Version of the binary format is ({}), expected (1).", version));
}

Status ModuleReader::section() {
  const std::uint64_t offset = file_.offset();
  std::uint8_t id;
  std::uint32_t size;
  if (!file_.read_u8(id)) return fail(file_.failure("Section identifier"));
  if (id >= section_table.size()) {
    return fail(malformed(offset, "Section identifier is ({}), expected (0) to (12).", id));
  }
  const SectionInfo& info = section_table[id];
  if (static_cast<SectionId>(id) == SectionId::tag) {
    return fail(unsupported(offset, "exception handling", "Section (tag)"));
  }
  if (info.rank != 0) {
    if (info.rank <= last_rank_) {
      return fail(malformed(offset,
                            "Section ({}) comes twice or after a section that it should "
                            "precede.",
                            info.name));
    }
    last_rank_ = info.rank;
  }
  if (!file_.read_leb_u32(size)) return fail(file_.failure("Section size"));
  const std::uint64_t contents_offset = file_.offset();
  std::span<const std::byte> contents;
  if (!file_.read_bytes(size, contents)) {
    return fail(malformed(offset, "Section ({}) has a size of ({}) bytes, but ({}) are left.",
                          info.name, size, file_.remaining()));
  }
  in_ = base::ByteReader(contents, contents_offset);
  Status status = section_contents(static_cast<SectionId>(id));
  if (status && !in_.at_end()) {
    status = fail(malformed(in_.offset(),
                            "Section ({}) has ({}) bytes after its contents, "
                            "expected (0).",
                            info.name, in_.remaining()));
  }
  if (!status) {
    return fail(
        std::move(status).error().context(fmt::format("While reading the {} section.", info.name)));
  }
  return {};
}

Status ModuleReader::section_contents(SectionId id) {
  switch (id) {
    case SectionId::custom:
      return custom_section();
    case SectionId::type:
      return type_section();
    case SectionId::import:
      return import_section();
    case SectionId::function:
      return function_section();
    case SectionId::table:
      return table_section();
    case SectionId::memory:
      return memory_section();
    case SectionId::global:
      return global_section();
    case SectionId::exports:
      return export_section();
    case SectionId::start:
      return start_section();
    case SectionId::element:
      return element_section();
    case SectionId::code:
      return code_section();
    case SectionId::data:
      return data_section();
    case SectionId::data_count:
      return data_count_section();
    case SectionId::tag:
      break;
  }
  WARPHIVE_UNREACHABLE();
}

Status ModuleReader::custom_section() {
  WARPHIVE_TRY_ASSIGN(const std::string section_name, name("Name of a custom section"));
  if (section_name == "name" && !has_names_) {
    has_names_ = true;
    name_section(in_);
  }
  if (!in_.skip(in_.remaining())) return fail(in_.failure("Custom section"));
  return {};
}

Status ModuleReader::finish() {
  const std::size_t own_functions = module_.functions.size() - module_.imported_functions;
  if (!has_code_ && own_functions != 0) {
    return fail(malformed(file_.offset(),
                          "Function section declares ({}) functions, but there is "
                          "no code section.",
                          own_functions));
  }
  if (!has_data_ && data_count_.value_or(0) != 0) {
    return fail(malformed(file_.offset(),
                          "Data count section announces ({}) segments, but there "
                          "is no data section.",
                          *data_count_));
  }
  return {};
}

Result<std::uint8_t> ModuleReader::byte(std::string_view what) {
  std::uint8_t value = 0;
  if (!in_.read_u8(value)) return fail(in_.failure(what));
  return value;
}

Result<std::uint32_t> ModuleReader::number(std::string_view what) {
  std::uint32_t value = 0;
  if (!in_.read_leb_u32(value)) return fail(in_.failure(what));
  return value;
}

Result<std::uint32_t> ModuleReader::count(std::string_view what, std::uint32_t limit,
                                          std::size_t already, std::size_t bytes_each) {
  const std::uint64_t offset = in_.offset();
  WARPHIVE_TRY_ASSIGN(const std::uint32_t value, number(what));
  if (std::uint64_t{value} * bytes_each > in_.remaining()) {
    return fail(malformed(offset, "{} ({}) is more than the remaining ({}) bytes can hold.", what,
                          value, in_.remaining()));
  }
  if (already + std::uint64_t{value} > limit) {
    return fail(beyond_limit(offset, what, already + std::uint64_t{value}, limit));
  }
  return value;
}

Result<std::uint32_t> ModuleReader::index(std::string_view what, std::size_t size) {
  const std::uint64_t offset = in_.offset();
  WARPHIVE_TRY_ASSIGN(const std::uint32_t value, number(what));
  if (value >= size) {
    return fail(invalid(offset, "{} ({}) is unknown: there are ({}).", what, value, size));
  }
  return value;
}

Result<std::string> ModuleReader::name(std::string_view what) {
  const std::uint64_t offset = in_.offset();
  WARPHIVE_TRY_ASSIGN(const std::uint32_t size, number(what));
  std::span<const std::byte> bytes;
  if (!in_.read_bytes(size, bytes)) {
    return fail(
        malformed(offset, "{} has ({}) bytes, but ({}) are left.", what, size, in_.remaining()));
  }
  if (size > limits_.name_bytes) {
    return fail(beyond_limit(offset, fmt::format("{}, bytes", what), size, limits_.name_bytes));
  }
  if (!base::is_utf8(bytes)) {
    return fail(malformed(offset, "{} is not UTF-8: ({}).", what,
                          hex(bytes.first(std::min<std::size_t>(bytes.size(), 16)))));
  }
  return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

}  // namespace warphive::wasm
