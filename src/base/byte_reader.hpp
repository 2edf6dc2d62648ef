// SPDX-License-Identifier: Apache-2.0
// ByteReader: a cursor over untrusted bytes that never passes their end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "warphive/error.hpp"

namespace warphive::base {

/// Reads numbers and runs of bytes. A read that fails returns false, leaves the cursor at the item
/// and keeps the reason for failure(). Borrows the bytes. Offsets count from `origin`.
class ByteReader {
 public:
  ByteReader() = default;
  explicit ByteReader(std::span<const std::byte> bytes, std::uint64_t origin = 0)
      : begin_(bytes.data()), cursor_(begin_), end_(begin_ + bytes.size()), origin_(origin) {}

  [[nodiscard]] bool at_end() const { return cursor_ == end_; }
  [[nodiscard]] std::size_t remaining() const { return static_cast<std::size_t>(end_ - cursor_); }
  /// Of the next byte.
  [[nodiscard]] std::uint64_t offset() const {
    return origin_ + static_cast<std::uint64_t>(cursor_ - begin_);
  }
  /// What has not been read yet.
  [[nodiscard]] std::span<const std::byte> rest() const { return {cursor_, remaining()}; }

  [[nodiscard]] bool read_u8(std::uint8_t& value) {
    if (cursor_ == end_) [[unlikely]]
      return end_of_bytes(1);
    value = static_cast<std::uint8_t>(*cursor_++);
    return true;
  }
  /// Little-endian, any alignment.
  [[nodiscard]] bool read_u32(std::uint32_t& value);
  [[nodiscard]] bool read_u64(std::uint64_t& value);
  [[nodiscard]] bool read_bytes(std::uint64_t count, std::span<const std::byte>& bytes);
  [[nodiscard]] bool skip(std::uint64_t count) {
    std::span<const std::byte> skipped;
    return read_bytes(count, skipped);
  }

  /// LEB128 as strict as WebAssembly's: no byte more than the width needs, no unused bit set that
  /// is not a copy of the sign.
  [[nodiscard]] bool read_leb_u32(std::uint32_t& value) {
    if (cursor_ != end_ && static_cast<std::uint8_t>(*cursor_) < 0x80) [[likely]] {
      value = static_cast<std::uint8_t>(*cursor_++);
      return true;
    }
    return read_long_leb_u32(value);
  }
  [[nodiscard]] bool read_leb_s32(std::int32_t& value) {
    return read_short_signed(value) || read_long_leb_s32(value);
  }
  [[nodiscard]] bool read_leb_s33(std::int64_t& value);
  [[nodiscard]] bool read_leb_s64(std::int64_t& value) {
    return read_short_signed(value) || read_long_leb_s64(value);
  }

  /// About the last read that failed: invalid_input in phase parse, with the offset. `what` names
  /// the item and starts the sentence.
  [[nodiscard]] Error failure(std::string_view what) const;

 private:
  enum class Fault : std::uint8_t { none, end, too_long, too_large };

  bool end_of_bytes(std::uint64_t wanted);
  template <class T>
  bool read_short_signed(T& value) {
    if (cursor_ == end_) return false;
    const auto byte = static_cast<std::uint8_t>(*cursor_);
    if (byte >= 0x80) return false;
    value = static_cast<T>(byte ^ 0x40) - 0x40;  // extends bit 6
    ++cursor_;
    return true;
  }
  bool read_long_leb_u32(std::uint32_t& value);
  bool read_long_leb_s32(std::int32_t& value);
  bool read_long_leb_s64(std::int64_t& value);
  template <class T, unsigned bits>
  bool read_leb(T& value);

  const std::byte* begin_ = nullptr;
  const std::byte* cursor_ = nullptr;
  const std::byte* end_ = nullptr;
  std::uint64_t origin_ = 0;
  std::uint64_t wanted_ = 0;  // by the failed read: bytes, or bits of the integer
  Fault fault_ = Fault::none;
};

/// Whether the bytes are UTF-8: no overlong form, no surrogate, nothing above U+10FFFF.
[[nodiscard]] bool is_utf8(std::span<const std::byte> bytes);

}  // namespace warphive::base
