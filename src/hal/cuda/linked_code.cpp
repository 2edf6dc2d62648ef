// SPDX-License-Identifier: Apache-2.0
#include "hal/cuda/linked_code.hpp"

#include <algorithm>
#include <cstring>
#include <string_view>

namespace warphive::hal::cuda {
namespace {

/// Reads that fail outside of the bytes.
class Bytes {
 public:
  explicit Bytes(std::span<const std::byte> bytes) : bytes_(bytes) {}
  template <class T>
  [[nodiscard]] std::optional<T> at(std::uint64_t offset) const {
    if (offset > bytes_.size() || bytes_.size() - offset < sizeof(T)) return std::nullopt;
    T value;
    std::memcpy(&value, bytes_.data() + offset, sizeof value);
    return value;
  }
  [[nodiscard]] std::optional<Bytes> part(std::uint64_t offset, std::uint64_t size) const {
    if (offset > bytes_.size() || bytes_.size() - offset < size) return std::nullopt;
    return Bytes(bytes_.subspan(offset, size));
  }
  /// Whether a text that ends with a zero is there.
  [[nodiscard]] bool has_text(std::uint64_t offset, std::string_view text) const {
    const auto there = part(offset, text.size() + 1);
    return there && std::memcmp(there->bytes_.data(), text.data(), text.size()) == 0 &&
           there->bytes_.back() == std::byte{0};
  }
  [[nodiscard]] std::uint64_t size() const { return bytes_.size(); }

 private:
  std::span<const std::byte> bytes_;
};

struct Section {
  std::uint32_t name;
  std::uint32_t type;
  std::uint64_t flags, address, offset, size;
  std::uint32_t link, info;
  std::uint64_t alignment, entry_size;
};
static_assert(sizeof(Section) == 64);

// ELF-64, little-endian.
constexpr std::uint32_t elf_magic = 0x464c457f;
constexpr std::uint64_t sections_at = 0x28;
constexpr std::uint64_t section_count_at = 0x3c;
constexpr std::uint64_t name_section_at = 0x3e;

std::optional<Bytes> find_section(const Bytes& file, std::string_view name) {
  const auto first = file.at<std::uint64_t>(sections_at);
  const auto count = file.at<std::uint16_t>(section_count_at);
  const auto name_section = file.at<std::uint16_t>(name_section_at);
  if (file.at<std::uint32_t>(0) != elf_magic || !first || !count || !name_section) {
    return std::nullopt;
  }
  if (*first > file.size()) return std::nullopt;
  const auto section = [&](std::uint64_t i) {
    return file.at<Section>(*first + i * sizeof(Section));
  };
  const auto names = section(*name_section);
  if (!names) return std::nullopt;
  const auto texts = file.part(names->offset, names->size);
  for (std::uint16_t i = 0; texts && i < *count; ++i) {
    const auto found = section(i);
    if (found && texts->has_text(found->name, name)) return file.part(found->offset, found->size);
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::uint32_t> largest_frame(std::span<const std::byte> cubin) {
  constexpr std::uint8_t sized = 4;  // the format of an attribute whose value follows its size
  constexpr std::uint8_t frame_size = 0x11;
  const auto info = find_section(Bytes(cubin), ".nv.info");
  if (!info) return std::nullopt;
  std::optional<std::uint32_t> largest;
  for (std::uint64_t at = 0; at < info->size();) {
    const auto format = info->at<std::uint8_t>(at);
    const auto attribute = info->at<std::uint8_t>(at + 1);
    const auto size = info->at<std::uint16_t>(at + 2);
    if (!format || !attribute || !size) return std::nullopt;
    at += 4;
    if (*format != sized) continue;
    if (*attribute == frame_size) {
      const auto bytes = info->at<std::uint32_t>(at + 4);  // behind the function's symbol
      if (!bytes) return std::nullopt;
      largest = std::max(largest.value_or(0), *bytes);
    }
    at += *size;
  }
  return largest;
}

}  // namespace warphive::hal::cuda
