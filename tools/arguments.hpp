// SPDX-License-Identifier: Apache-2.0
// Arguments of the invoked function: --args, --args-from and --args-file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>
#include <warphive/types.hpp>

namespace warphive::tools {

/// As given on the command line.
struct ArgumentOptions {
  std::optional<std::string> list;   // "V,V": for every instance
  std::optional<std::string> range;  // "a..b": one integer per instance, before the list
  std::optional<std::string> file;   // CSV: a row per instance
};

/// Integers from first to last, both included.
struct Range {
  std::int64_t first = 0;
  std::int64_t last = 0;
  [[nodiscard]] std::uint64_t count() const {
    return static_cast<std::uint64_t>(last) - static_cast<std::uint64_t>(first) + 1;
  }
};
/// Throws Failure (usage) unless it is a..b with a <= b and fewer than 2^32 integers.
Range parse_range(std::string_view text);

/// Fields of one line of CSV: separated by commas, blanks around them dropped, double quotes taken
/// off. Throws Failure (usage) that names `place`.
std::vector<std::string> split_csv_line(std::string_view line, std::string_view place);

/// Checked arguments for a function.
class Arguments {
 public:
  /// Parses everything but makes no row yet. Throws Failure: usage for a value, a count of values
  /// or a combination that is wrong, host for a file that cannot be read.
  static Arguments parse(const ArgumentOptions& options, const FunctionType& type,
                         std::string_view function);

  /// How many instances the arguments are for; none where all get the same.
  [[nodiscard]] std::optional<std::uint64_t> count() const { return count_; }
  /// One row for all, or `instances` rows.
  [[nodiscard]] bool shared() const { return !count_; }
  [[nodiscard]] std::vector<Value> rows(std::uint64_t instances) const;

 private:
  std::optional<std::uint64_t> count_;
  std::optional<Range> range_;
  ValueType range_type_ = ValueType::i32;
  std::vector<Value> values_;  // rows of the file, or what follows the range in each row
};

/// The whole file. Throws Failure (host) with the reason of the operating system, or where there
/// are more than `most_bytes`.
std::string read_file(const std::string& path, std::uint64_t most_bytes = std::uint64_t{1} << 40);

}  // namespace warphive::tools
