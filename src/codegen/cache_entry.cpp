// SPDX-License-Identifier: Apache-2.0
#include "codegen/cache_entry.hpp"

#include <algorithm>
#include <cstddef>
#include <span>

#include "base/byte_reader.hpp"
#include "base/sha256.hpp"

namespace warphive::codegen {
namespace {

constexpr std::string_view magic = "wph-code";
constexpr std::size_t checksum_at = 56;
constexpr std::size_t payload_at = 88;

void append(std::string& to, std::uint64_t value, unsigned bytes) {
  for (unsigned i = 0; i < bytes; ++i) to += static_cast<char>(value >> (8 * i));
}

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Over the header before the checksum, and the payload.
Digest checksum(std::string_view header, std::string_view payload) {
  base::Sha256 hash;
  hash.update(header.data(), header.size());
  hash.update(payload.data(), payload.size());
  return hash.finish();
}

std::string make_header(const Digest& key, std::uint64_t payload_bytes) {
  std::string bytes(magic);
  append(bytes, cache_format_version, 4);
  append(bytes, 0, 4);
  bytes.append(key.begin(), key.end());
  append(bytes, payload_bytes, 8);
  return bytes;
}

std::string encode_payload(const HostObjects& objects) {
  std::string bytes;
  std::size_t size = 64;
  for (const auto& object : objects.objects) size += object.size() + 8;
  bytes.reserve(size + objects.functions.size() + 4 * objects.resumes.size());
  append(bytes, objects.objects.size(), 4);
  for (const std::vector<char>& object : objects.objects) {
    append(bytes, object.size(), 8);
    bytes.append(object.data(), object.size());
  }
  append(bytes, objects.functions.size(), 4);
  for (const Compiled how : objects.functions) append(bytes, static_cast<std::uint64_t>(how), 1);
  append(bytes, objects.resumes.size(), 4);
  for (const std::uint32_t insn : objects.resumes) append(bytes, insn, 4);
  append(bytes, objects.reasons.size(), 4);
  for (const std::string& reason : objects.reasons) {
    append(bytes, reason.size(), 8);
    bytes += reason;
  }
  return bytes;
}

/// Each count is checked against what is left before anything of its size is made.
bool decode_payload(base::ByteReader reader, HostObjects& objects) {
  std::uint32_t count = 0;
  std::uint64_t size = 0;
  std::span<const std::byte> bytes;
  if (!reader.read_u32(count)) return false;
  for (std::uint32_t i = 0; i < count; ++i) {
    if (!reader.read_u64(size) || !reader.read_bytes(size, bytes)) return false;
    const std::string_view text = text_of(bytes);
    objects.objects.emplace_back(text.begin(), text.end());
  }
  if (!reader.read_u32(count) || !reader.read_bytes(count, bytes)) return false;
  objects.functions.reserve(count);
  for (const std::byte how : bytes) {
    if (how > std::byte{static_cast<std::uint8_t>(Compiled::by_call)}) return false;
    objects.functions.push_back(static_cast<Compiled>(how));
  }
  if (!reader.read_u32(count) || count > reader.remaining() / 4) return false;
  objects.resumes.resize(count);
  for (std::uint32_t& insn : objects.resumes) {
    if (!reader.read_u32(insn)) return false;
  }
  if (!reader.read_u32(count)) return false;
  for (std::uint32_t i = 0; i < count; ++i) {
    if (!reader.read_u64(size) || !reader.read_bytes(size, bytes)) return false;
    objects.reasons.emplace_back(text_of(bytes));
  }
  return reader.at_end();
}

}  // namespace

std::string encode_entry(const Digest& key, const HostObjects& objects) {
  const std::string payload = encode_payload(objects);
  std::string bytes = make_header(key, payload.size());
  const Digest sum = checksum(bytes, payload);
  bytes.append(sum.begin(), sum.end());
  bytes += payload;
  return bytes;
}

std::optional<HostObjects> decode_entry(const Digest& key, std::string_view bytes) {
  if (bytes.size() < payload_at) return std::nullopt;
  const std::string_view payload = bytes.substr(payload_at);
  // All of the header is known beforehand.
  const std::string header = make_header(key, payload.size());
  if (bytes.substr(0, checksum_at) != header) return std::nullopt;
  const Digest sum = checksum(header, payload);
  const std::string_view stated = bytes.substr(checksum_at, sum.size());
  if (!std::equal(sum.begin(), sum.end(), stated.begin(),
                  [](std::uint8_t a, char b) { return a == static_cast<std::uint8_t>(b); })) {
    return std::nullopt;
  }
  HostObjects objects;
  if (!decode_payload(base::ByteReader(std::as_bytes(std::span(payload))), objects)) {
    return std::nullopt;
  }
  return objects;
}

}  // namespace warphive::codegen
