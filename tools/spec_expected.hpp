// SPDX-License-Identifier: Apache-2.0
// A file of expected failures. Each line is a pattern and a reason:
//
//   # comment
//   FILE.wast:LINE  why it fails here
//
// `*` in the pattern stands for any text, `?` for one character. What a pattern matches must fail.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace warphive::tools::spec {

class ExpectedFailures {
 public:
  /// Throws Failure where the file cannot be read or a line has no reason.
  static ExpectedFailures read(const std::filesystem::path& path);

  /// The reason of the first pattern that matches "FILE.wast:LINE", or nullptr.
  const std::string* find(std::string_view place);
  /// Patterns that have matched nothing so far and name this file.
  [[nodiscard]] std::vector<std::string> unused(std::string_view source) const;

 private:
  struct Entry {
    std::string pattern;
    std::string reason;
    bool used = false;
  };
  std::vector<Entry> entries_;
};

bool glob_matches(std::string_view pattern, std::string_view text);

}  // namespace warphive::tools::spec
