// SPDX-License-Identifier: Apache-2.0
#include "tools/arguments.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "tools/failure.hpp"
#include "tools/format.hpp"
#include "tools/values.hpp"

namespace warphive::tools {

namespace {

constexpr std::uint64_t most_instances = 0xffff'ffff;

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r");
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

std::vector<std::string_view> split_list(std::string_view text) {
  std::vector<std::string_view> items;
  if (trimmed(text).empty()) return items;
  for (;;) {
    const std::size_t comma = text.find(',');
    items.push_back(trimmed(text.substr(0, comma)));
    if (comma == text.npos) return items;
    text.remove_prefix(comma + 1);
  }
}

void check_value_count(std::size_t given, const FunctionType& type, std::string_view function,
                       std::string_view hint) {
  if (given == type.params.size()) return;
  fail_usage("The function {} has the signature {} and takes {}, but {} given{}.", function,
             to_string(type), counted(type.params.size(), "argument"),
             given == 1 ? "1 was" : fmt::format("{} were", given), hint);
}

}  // namespace

Range parse_range(std::string_view text) {
  const std::size_t dots = text.find("..");
  const auto first = parse_signed(text.substr(0, dots));
  const auto last = dots == text.npos ? std::nullopt : parse_signed(text.substr(dots + 2));
  if (!first || !last) {
    fail_usage("The value of --args-from ({}) is not a range a..b of integers.", text);
  }
  if (*first > *last) {
    fail_usage("The range of --args-from ({}) is empty: its first integer is above its last.",
               text);
  }
  const Range range{*first, *last};
  if (range.count() == 0 || range.count() > most_instances) {
    fail_usage("The range of --args-from ({}) has more integers than there can be instances ({}).",
               text, most_instances);
  }
  return range;
}

std::vector<std::string> split_csv_line(std::string_view line, std::string_view place) {
  std::vector<std::string> fields;
  for (;;) {
    const std::size_t start = line.find_first_not_of(" \t\r");
    line.remove_prefix(start == line.npos ? line.size() : start);
    if (line.empty() || line.front() != '"') {
      const std::size_t comma = line.find(',');
      fields.emplace_back(trimmed(line.substr(0, comma)));
      if (comma == line.npos) return fields;
      line.remove_prefix(comma + 1);
      continue;
    }
    std::string field;
    line.remove_prefix(1);
    for (;;) {
      const std::size_t quote = line.find('"');
      if (quote == line.npos) fail_usage("{} has a double quote that is not closed.", place);
      field += line.substr(0, quote);
      line.remove_prefix(quote + 1);
      if (line.empty() || line.front() != '"') break;
      field += '"';
      line.remove_prefix(1);
    }
    fields.push_back(std::move(field));
    const std::size_t comma = line.find(',');
    if (!trimmed(line.substr(0, comma)).empty()) {
      fail_usage("{} has text after a closing double quote.", place);
    }
    if (comma == line.npos) return fields;
    line.remove_prefix(comma + 1);
  }
}

Arguments Arguments::parse(const ArgumentOptions& options, const FunctionType& type,
                           std::string_view function) {
  Arguments result;
  const std::size_t params = type.params.size();
  if (options.file) {
    if (options.list || options.range) {
      fail_usage("--args-file gives all arguments and cannot be used with --args or --args-from.");
    }
    const std::string text = read_file(*options.file);
    std::string_view rest = text;
    if (rest.starts_with("\xef\xbb\xbf")) rest.remove_prefix(3);  // byte order mark
    std::uint64_t rows = 0;
    for (std::uint64_t line_number = 1; !rest.empty(); ++line_number) {
      const std::size_t end = rest.find('\n');
      const std::string_view line = rest.substr(0, end);
      rest.remove_prefix(end == rest.npos ? rest.size() : end + 1);
      const std::string place = fmt::format("Line {} of {}", line_number, *options.file);
      if (trimmed(line).empty() && params != 0) {
        if (trimmed(rest).find_first_not_of("\n\r\t ") == rest.npos)
          break;  // blank lines at the end
        fail_usage("{} is empty.", place);
      }
      const std::vector<std::string> fields =
          trimmed(line).empty() ? std::vector<std::string>{} : split_csv_line(line, place);
      if (fields.size() != params) {
        fail_usage("{} has {}, but the function {} has the signature {}.", place,
                   counted(fields.size(), "field"), function, to_string(type));
      }
      for (std::size_t i = 0; i < params; ++i) {
        result.values_.push_back(
            parse_value(fields[i], type.params[i], fmt::format("{}, field {}", place, i + 1)));
      }
      if (++rows > most_instances) {
        fail_usage("{} has more rows than there can be instances ({}).", *options.file,
                   most_instances);
      }
    }
    if (rows == 0) fail_usage("{} has no row of arguments.", *options.file);
    result.count_ = rows;
    return result;
  }

  std::size_t next = 0;
  if (options.range) {
    const Range range = parse_range(*options.range);
    if (params == 0) check_value_count(1, type, function, " (--args-from gives one)");
    result.range_ = range;
    result.range_type_ = type.params[0];
    result.count_ = range.count();
    // Every type's numbers are one interval, so the ends stand for what lies between.
    (void)integer_value(range.first, type.params[0], "The first integer of --args-from");
    (void)integer_value(range.last, type.params[0], "The last integer of --args-from");
    next = 1;
  }
  const std::vector<std::string_view> items =
      options.list ? split_list(*options.list) : std::vector<std::string_view>{};
  check_value_count(next + items.size(), type, function,
                    options.range  ? " (--args-from gives the first, --args the rest)"
                    : options.list ? ""
                                   : " (--args gives them)");
  for (const std::string_view item : items) {
    const std::string place = fmt::format("Argument {}", next + 1);
    result.values_.push_back(parse_value(item, type.params[next], place));
    ++next;
  }
  return result;
}

std::vector<Value> Arguments::rows(std::uint64_t instances) const {
  if (!range_) return values_;
  std::vector<Value> rows;
  rows.reserve(instances * (1 + values_.size()));
  for (std::uint64_t i = 0; i < instances; ++i) {
    const auto number = static_cast<std::int64_t>(static_cast<std::uint64_t>(range_->first) + i);
    rows.push_back(integer_value(number, range_type_, "The integer"));
    rows.insert(rows.end(), values_.begin(), values_.end());
  }
  return rows;
}

std::string read_file(const std::string& path, std::uint64_t most_bytes) {
  struct Close {
    void operator()(std::FILE* file) const { (void)std::fclose(file); }
  };
  const std::unique_ptr<std::FILE, Close> file(std::fopen(path.c_str(), "rb"));
  if (!file) fail_host("The file ({}) cannot be opened: {}.", path, std::strerror(errno));
  struct stat status = {};
  if (::fstat(::fileno(file.get()), &status) == 0 && S_ISDIR(status.st_mode)) {
    fail_host("The file ({}) is a directory.", path);
  }
  std::string text;
  char buffer[1 << 16];
  for (;;) {
    const std::size_t bytes = std::fread(buffer, 1, sizeof buffer, file.get());
    text.append(buffer, bytes);
    if (text.size() > most_bytes) {
      fail_host("The file ({}) is larger than the limit ({} bytes).", path, most_bytes);
    }
    if (bytes < sizeof buffer) break;
  }
  if (std::ferror(file.get()) != 0) {
    fail_host("The file ({}) cannot be read: {}.", path, std::strerror(errno));
  }
  return text;
}

}  // namespace warphive::tools
