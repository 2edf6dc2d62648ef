// SPDX-License-Identifier: Apache-2.0
// Any bytes: what the reader accepts must lower, link, verify and encode, metered or not.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/check.hpp"
#include "guest/wasm/lower.hpp"
#include "guest/wasm/reader.hpp"
#include "ir/encode.hpp"
#include "ir/link.hpp"
#include "ir/verify.hpp"

namespace warphive::wasm {
namespace {

// Small enough that a module cannot take long by its mere size.
const Limits limits{.types = 100,
                    .functions = 100,
                    .table_elements = 1000,
                    .params = 100,
                    .results = 100,
                    .locals = 70'000,
                    .nesting = 100,
                    .br_table_targets = 100};

void check_module(const Module& module, bool metered) {
  const Result<ir::Module> lowered = lower(module, LowerOptions{.metered = metered});
  if (!lowered) {
    WARPHIVE_CHECK(lowered.error().code() == ErrorCode::limit_exceeded);
    return;
  }
  WARPHIVE_CHECK(lowered->metered == metered);
  WARPHIVE_CHECK(ir::verify(*lowered).has_value());

  // Every function that is imported exists; memories, tables and globals do not.
  ir::LinkOptions options;
  options.host_function = [&module](std::string_view from,
                                    std::string_view field) -> std::optional<FunctionType> {
    for (const ImportedEntity& entity : module.imports) {
      if (entity.kind == EntityKind::function && entity.module == from && entity.field == field) {
        return module.types[module.functions[entity.index]];
      }
    }
    return std::nullopt;
  };
  const ir::LinkInput input{&*lowered, "guest"};
  const Result<ir::Module> linked = ir::link(std::span(&input, 1), options);
  if (!linked) {
    WARPHIVE_CHECK(linked.error().phase() == ErrorPhase::link);
    return;
  }
  WARPHIVE_CHECK(ir::verify(*linked).has_value());
  WARPHIVE_CHECK(ir::encode(*linked).has_value());
}

}  // namespace
}  // namespace warphive::wasm

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace wasm = warphive::wasm;
  const std::span<const std::byte> bytes = std::as_bytes(std::span(data, size));
  const warphive::Result<wasm::Module> module =
      wasm::read_module(std::vector<std::byte>(bytes.begin(), bytes.end()), wasm::limits);
  if (module) {
    wasm::check_module(*module, true);
    wasm::check_module(*module, false);
  }
  return 0;
}
