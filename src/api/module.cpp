// SPDX-License-Identifier: Apache-2.0
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <system_error>

#include "api/data.hpp"
#include "base/result.hpp"
#include "guest/wasm/lower.hpp"
#include "guest/wasm/reader.hpp"
#include "warphive/program.hpp"

namespace warphive {
namespace {

Result<Module> make_module(std::vector<std::byte> bytes, const ModuleOptions& options) {
  wasm::Limits limits;
  limits.module_bytes = options.limits.module_bytes;
  limits.functions = options.limits.functions;
  limits.locals = options.limits.locals;
  limits.function_bytes = options.limits.function_bytes;
  limits.nesting = options.limits.nesting;
  limits.tables = options.limits.tables;
  limits.table_elements = options.limits.table_elements;
  auto data = std::make_shared<detail::ModuleData>();
  WARPHIVE_TRY_ASSIGN(data->guest, wasm::read_module(std::move(bytes), limits));
  WARPHIVE_TRY_ASSIGN(data->lowered, wasm::lower(data->guest, {.metered = options.metered}));
  return Module(std::shared_ptr<const detail::ModuleData>(std::move(data)));
}

tl::unexpected<Error> file_error(ErrorCode code, const char* verb, const std::string& path,
                                 int number) {
  return base::error(code, ErrorPhase::none, "Cannot {} file ({}): {}.", verb, path,
                     std::generic_category().message(number));
}

}  // namespace

Result<Module> Module::from_bytes(std::span<const std::byte> bytes, const ModuleOptions& options) {
  if (bytes.size() > options.limits.module_bytes) {
    return base::error(ErrorCode::limit_exceeded, ErrorPhase::parse,
                       "The module's size ({} bytes) exceeds the limit ({}).", bytes.size(),
                       options.limits.module_bytes);
  }
  return make_module({bytes.begin(), bytes.end()}, options);
}

Result<Module> Module::from_file(const std::string& path, const ModuleOptions& options) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rbe"),
                                                             &std::fclose);
  if (file == nullptr) {
    return file_error(errno == ENOENT ? ErrorCode::not_found : ErrorCode::io, "open", path, errno);
  }
  std::vector<std::byte> bytes;
  constexpr std::size_t first_read = std::size_t{1} << 16;
  std::size_t filled = 0;
  for (;;) {
    if (filled > options.limits.module_bytes) {
      return base::error(ErrorCode::limit_exceeded, ErrorPhase::parse,
                         "File ({}) is larger than a module may be ({} bytes).", path,
                         options.limits.module_bytes);
    }
    bytes.resize(bytes.empty() ? first_read : bytes.size() * 2);
    const std::size_t room = bytes.size() - filled;
    const std::size_t n = std::fread(bytes.data() + filled, 1, room, file.get());
    filled += n;
    if (n < room) break;
  }
  if (std::ferror(file.get()) != 0) return file_error(ErrorCode::io, "read", path, errno);
  bytes.resize(filled);
  auto module = make_module(std::move(bytes), options);
  if (!module) {
    return fail(std::move(module).error().context(fmt::format("While loading file ({}).", path)));
  }
  return module;
}

std::vector<Module::Import> Module::imports() const {
  std::vector<Import> result;
  for (const wasm::ImportedEntity& item : data_->guest.imports) {
    result.push_back({item.module, item.field, static_cast<EntityKind>(item.kind)});
  }
  return result;
}

std::vector<Module::Export> Module::exports() const {
  std::vector<Export> result;
  for (const ir::Export& item : data_->guest.exports) {
    result.push_back({item.name, static_cast<EntityKind>(item.kind)});
  }
  return result;
}

std::uint64_t Module::guest_instructions() const { return data_->guest.operator_count; }

std::uint64_t Module::ir_instructions() const {
  std::uint64_t count = 0;
  for (const ir::Function& function : data_->lowered.functions) count += function.code.size();
  return count;
}

static_assert(static_cast<int>(EntityKind::function) == static_cast<int>(ir::EntityKind::function));
static_assert(static_cast<int>(EntityKind::table) == static_cast<int>(ir::EntityKind::table));
static_assert(static_cast<int>(EntityKind::memory) == static_cast<int>(ir::EntityKind::memory));
static_assert(static_cast<int>(EntityKind::global) == static_cast<int>(ir::EntityKind::global));

}  // namespace warphive
