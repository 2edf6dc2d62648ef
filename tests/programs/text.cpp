// SPDX-License-Identifier: Apache-2.0
// Counts the words of n generated sentences with standard containers and virtual calls; returns a
// checksum over the words in order.
#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "guest.h"

namespace {

class Filter {
 public:
  virtual ~Filter() = default;
  virtual void apply(std::string& word) const = 0;
};
class Lower final : public Filter {
 public:
  void apply(std::string& word) const override {
    for (char& c : word) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    }
  }
};
class Stem final : public Filter {
 public:
  void apply(std::string& word) const override {
    if (word.size() > 4 && word.compare(word.size() - 3, 3, "ing") == 0)
      word.resize(word.size() - 3);
  }
};

std::string sentence(uint32_t& state) {
  static const char* const syllables[] = {"Lan", "warp", "hi", "ve",   "swarm",
                                          "ing", "Bat",  "ch", "tier", "s"};
  std::string text;
  const uint32_t words = 4 + next_random(&state) % 12;
  for (uint32_t i = 0; i < words; ++i) {
    if (i != 0) text += next_random(&state) % 8 == 0 ? ", " : " ";
    const uint32_t parts = 1 + next_random(&state) % 3;
    for (uint32_t j = 0; j < parts; ++j) text += syllables[next_random(&state) % 10];
  }
  return text + ".";
}

}  // namespace

int32_t run(int32_t seed, int32_t n) {
  uint32_t state = seeded(seed) | 1u;
  std::vector<std::unique_ptr<Filter>> filters;
  filters.push_back(std::make_unique<Lower>());
  filters.push_back(std::make_unique<Stem>());
  std::unordered_map<std::string, uint32_t> counts;
  for (int32_t i = 0; i < n; ++i) {
    const std::string text = sentence(state);
    std::string word;
    for (const char c : text) {
      if (c != ' ' && c != ',' && c != '.') {
        word += c;
        continue;
      }
      if (word.empty()) continue;
      for (const auto& filter : filters) filter->apply(word);
      ++counts[word];
      word.clear();
    }
  }
  const std::map<std::string, uint32_t> ordered(counts.begin(), counts.end());
  std::vector<std::pair<uint32_t, std::string>> ranked;
  // NOLINTNEXTLINE(performance-inefficient-vector-operation): growing is a part of the load
  for (const auto& [word, count] : ordered) ranked.emplace_back(count, word);
  std::sort(ranked.begin(), ranked.end(), [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first > b.first : a.second < b.second;
  });
  uint32_t sum = 0;
  for (const auto& [count, word] : ranked) {
    sum = sum * 31u + count;
    for (const char c : word) sum = sum * 31u + static_cast<uint8_t>(c);
  }
  return static_cast<int32_t>(sum);
}

GUEST_MAIN
