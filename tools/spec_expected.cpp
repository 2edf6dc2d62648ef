// SPDX-License-Identifier: Apache-2.0
#include "tools/spec_expected.hpp"

#include <fstream>

#include "tools/failure.hpp"

namespace warphive::tools::spec {

bool glob_matches(std::string_view pattern, std::string_view text) {
  std::size_t p = 0;
  std::size_t t = 0;
  std::size_t star = std::string_view::npos;  // the latest `*`, and where its text may end
  std::size_t resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

ExpectedFailures ExpectedFailures::read(const std::filesystem::path& path) {
  std::ifstream file(path);
  if (!file) fail_host("Cannot open ({}).", path.string());
  ExpectedFailures failures;
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    const std::size_t start = line.find_first_not_of(" \t");
    if (start == std::string::npos || line[start] == '#') continue;
    const std::size_t end = line.find_first_of(" \t", start);
    const std::size_t reason = end == std::string::npos ? end : line.find_first_not_of(" \t", end);
    if (reason == std::string::npos) {
      fail_usage("{}:{}: The pattern ({}) has no reason.", path.string(), number,
                 line.substr(start));
    }
    failures.entries_.push_back({line.substr(start, end - start), line.substr(reason)});
  }
  return failures;
}

const std::string* ExpectedFailures::find(std::string_view place) {
  const std::string* reason = nullptr;
  for (Entry& entry : entries_) {
    if (!glob_matches(entry.pattern, place)) continue;
    entry.used = true;
    if (reason == nullptr) reason = &entry.reason;
  }
  return reason;
}

std::vector<std::string> ExpectedFailures::unused(std::string_view source) const {
  std::vector<std::string> patterns;
  for (const Entry& entry : entries_) {
    const std::string_view file =
        std::string_view(entry.pattern).substr(0, entry.pattern.find(':'));
    if (!entry.used && glob_matches(file, source)) patterns.push_back(entry.pattern);
  }
  return patterns;
}

}  // namespace warphive::tools::spec
