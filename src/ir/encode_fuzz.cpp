// SPDX-License-Identifier: Apache-2.0
// Input: a letter, then text to parse (`t`), or bytes that decide on a random module (any other).
// What verifies must encode to a program that its module describes.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/check.hpp"
#include "ir/encode.hpp"
#include "ir/link.hpp"
#include "ir/testing/encoded_checks.hpp"
#include "ir/testing/random_module.hpp"
#include "ir/text.hpp"
#include "ir/verify.hpp"

namespace {

using namespace warphive;  // NOLINT(google-build-using-namespace): a fuzz target's own file

void check_encoding(const ir::Module& module) {
  const auto program = ir::encode(module);
  WARPHIVE_CHECK(program.has_value());
  WARPHIVE_CHECK(ir::testing::encoding_fault(module, *program).empty());
}

void from_text(std::string_view text) {
  const auto module = ir::parse(text);
  if (!module || !ir::verify(*module)) return;
  const auto again = ir::parse(ir::print(*module));
  WARPHIVE_CHECK(again.has_value() && *again == *module);
  ir::LinkOptions options;
  options.host_function = [](std::string_view, std::string_view) { return ir::FunctionType{}; };
  const ir::LinkInput members[] = {{&*module, "a"}, {&*module, "b"}};
  const auto linked = ir::link(members, options);
  if (linked) {
    WARPHIVE_CHECK(ir::verify(*linked).has_value());
    check_encoding(*linked);
  }
  if (ir::is_linked(*module)) check_encoding(*module);
}

void from_decisions(std::span<const std::uint8_t> bytes) {
  ir::testing::Choices choices(bytes);
  ir::testing::RandomOptions options;
  options.host_calls = choices.below(2) == 0;
  options.metered = choices.below(2) == 0;
  const ir::Module module = ir::testing::random_module(choices, options);
  WARPHIVE_CHECK(ir::verify(module).has_value());
  check_encoding(module);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  if (data[0] == 't') {
    from_text({reinterpret_cast<const char*>(data) + 1, size - 1});
  } else {
    from_decisions({data + 1, size - 1});
  }
  return 0;
}
