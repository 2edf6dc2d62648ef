// SPDX-License-Identifier: Apache-2.0
#include "base/sha256.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace warphive::base {
namespace {

std::string hex(const Sha256::Digest& digest) {
  std::string text;
  for (const std::uint8_t byte : digest) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

std::string hash_of(Sha256::Means means, std::string_view text) {
  Sha256 hash(means);
  hash.update(text.data(), text.size());
  return hex(hash.finish());
}

/// By each means that this processor has.
std::vector<Sha256::Means> all_means() {
  std::vector<Sha256::Means> means = {Sha256::Means::portable};
  if (Sha256::best() != Sha256::Means::portable) means.push_back(Sha256::best());
  return means;
}

TEST(Sha256, GivesThePublishedDigests) {
  for (const Sha256::Means means : all_means()) {
    EXPECT_EQ(hash_of(means, ""),
              "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    EXPECT_EQ(hash_of(means, "abc"),
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    EXPECT_EQ(hash_of(means, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
              "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    EXPECT_EQ(hash_of(means, std::string(1'000'000, 'a')),
              "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  }
}

TEST(Sha256, DoesNotDependOnHowTheBytesAreCut) {
  std::string text;
  for (int i = 0; i < 300; ++i) text += static_cast<char>(i * 7);
  for (std::size_t size = 0; size < text.size(); ++size) {
    const std::string_view part = std::string_view(text).substr(0, size);
    const std::string whole = hash_of(Sha256::Means::portable, part);
    for (const Sha256::Means means : all_means()) {
      EXPECT_EQ(hash_of(means, part), whole) << size;
      Sha256 hash(means);
      std::size_t at = 0;
      for (std::size_t step = 0; at < size; ++step) {
        const std::size_t taken = std::min(size - at, step * 13 % 70);
        hash.update(part.data() + at, taken);
        at += taken;
      }
      EXPECT_EQ(hex(hash.finish()), whole) << size;
    }
  }
}

}  // namespace
}  // namespace warphive::base
