// SPDX-License-Identifier: Apache-2.0
#include "codegen/ptx_text.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>

#include "base/append.hpp"

namespace warphive::codegen {
namespace {

/// The line of `\t.loc\tFILE LINE COLUMN…`; 0 where there is none.
std::uint32_t line_of(std::string_view directive) {
  const std::size_t file = directive.find_first_of("0123456789");
  const std::size_t gap = directive.find(' ', file);
  if (file == std::string_view::npos || gap == std::string_view::npos) return 0;
  std::uint32_t line = 0;
  std::from_chars(directive.data() + gap + 1, directive.data() + directive.size(), line);
  return line;
}

}  // namespace

std::string listed_ptx(std::string_view ptx) {
  std::string text;
  std::uint32_t shown = 0;
  while (!ptx.empty()) {
    const std::size_t end = std::min(ptx.find('\n'), ptx.size() - 1);
    const std::string_view line = ptx.substr(0, end + 1);
    ptx.remove_prefix(end + 1);
    const std::size_t first = line.find_first_not_of(" \t");
    const std::string_view word = first == std::string_view::npos ? "" : line.substr(first);
    if (word.starts_with(".loc")) {
      const std::uint32_t offset = line_of(word.substr(4));
      if (offset != shown && offset != 0) {
        base::append(text, "\t// 0x{:x}\n", offset);
      }
      shown = offset;
    } else if (!word.starts_with(".file") && !word.starts_with(".section") &&
               !word.starts_with("$L__func_begin") && !word.starts_with("$L__func_end") &&
               !word.starts_with("$L__tmp")) {
      text += line;
    }
  }
  return text;
}

}  // namespace warphive::codegen
