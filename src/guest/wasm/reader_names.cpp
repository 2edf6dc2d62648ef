// SPDX-License-Identifier: Apache-2.0
// The name section: names of the module and its functions, for messages.
#include "guest/wasm/reader_impl.hpp"

namespace warphive::wasm {
namespace {

bool read_name(base::ByteReader& in, std::uint32_t limit, std::string& name) {
  std::uint32_t size = 0;
  std::span<const std::byte> bytes;
  if (!in.read_leb_u32(size) || size > limit || !in.read_bytes(size, bytes)) return false;
  if (!base::is_utf8(bytes)) return false;
  name.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return true;
}

// Whether the section starts with the name "name"; leaves the cursor after it.
bool is_name_section(base::ByteReader& in) {
  std::string name;
  return read_name(in, 4, name) && name == "name";
}

}  // namespace

void ModuleReader::name_section(base::ByteReader section) {
  std::string module_name;
  std::vector<std::string> function_names;
  while (!section.at_end()) {
    std::uint8_t id = 0;
    std::uint32_t size = 0;
    const std::uint64_t offset = section.offset();
    std::span<const std::byte> contents;
    if (!section.read_u8(id) || !section.read_leb_u32(size) ||
        !section.read_bytes(size, contents)) {
      return;
    }
    base::ByteReader in(contents, offset);
    if (id == 0) {
      if (!read_name(in, limits_.name_bytes, module_name)) return;
    } else if (id == 1) {
      std::uint32_t names;
      if (!in.read_leb_u32(names)) return;
      for (std::uint32_t i = 0; i < names; ++i) {
        std::uint32_t function;
        std::string name;
        if (!in.read_leb_u32(function) || !read_name(in, limits_.name_bytes, name)) return;
        if (function >= module_.functions.size()) return;
        if (function >= function_names.size()) function_names.resize(function + std::size_t{1});
        function_names[function] = std::move(name);
      }
    }
  }
  module_.module_name = std::move(module_name);
  module_.function_names = std::move(function_names);
}

// The name section follows the code, so it has not been read when a body turns out wrong.
std::string ModuleReader::function_label(std::uint32_t function) {
  base::ByteReader rest = file_;
  std::uint8_t id = 0;
  std::uint32_t size = 0;
  std::span<const std::byte> contents;
  while (rest.read_u8(id) && rest.read_leb_u32(size) && rest.read_bytes(size, contents)) {
    base::ByteReader section(contents);
    if (id == 0 && is_name_section(section)) {
      name_section(section);
      break;
    }
  }
  std::string name;
  if (function < module_.function_names.size()) name = module_.function_names[function];
  for (const ir::Export& entry : module_.exports) {
    if (!name.empty()) break;
    if (entry.kind == EntityKind::function && entry.index == function) name = entry.name;
  }
  return name.empty() ? fmt::format("{}", function)
                      : fmt::format("{} ({})", function, printable(name));
}

}  // namespace warphive::wasm
