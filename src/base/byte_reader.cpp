// SPDX-License-Identifier: Apache-2.0
#include "base/byte_reader.hpp"

#include <fmt/format.h>

#include <type_traits>

#include "base/check.hpp"

namespace warphive::base {
namespace {

template <class T>
T little_endian(std::span<const std::byte> bytes) {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    value |= static_cast<T>(static_cast<T>(bytes[i]) << (8 * i));
  }
  return value;
}

}  // namespace

bool ByteReader::end_of_bytes(std::uint64_t wanted) {
  fault_ = Fault::end;
  wanted_ = wanted;
  return false;
}

bool ByteReader::read_bytes(std::uint64_t count, std::span<const std::byte>& bytes) {
  if (count > remaining()) return end_of_bytes(count);
  bytes = {cursor_, static_cast<std::size_t>(count)};
  cursor_ += count;
  return true;
}

bool ByteReader::read_u32(std::uint32_t& value) {
  std::span<const std::byte> bytes;
  if (!read_bytes(4, bytes)) return false;
  value = little_endian<std::uint32_t>(bytes);
  return true;
}

bool ByteReader::read_u64(std::uint64_t& value) {
  std::span<const std::byte> bytes;
  if (!read_bytes(8, bytes)) return false;
  value = little_endian<std::uint64_t>(bytes);
  return true;
}

template <class T, unsigned bits>
bool ByteReader::read_leb(T& value) {
  constexpr unsigned max_bytes = (bits + 6) / 7;
  constexpr unsigned last_bits = bits - 7 * (max_bytes - 1);  // used bits of the longest form's end
  std::uint64_t result = 0;
  const std::byte* next = cursor_;
  for (unsigned i = 0; i < max_bytes; ++i) {
    if (next == end_) return end_of_bytes(remaining() + 1);
    const auto byte = static_cast<std::uint8_t>(*next++);
    const unsigned payload = byte & 0x7fu;
    result |= std::uint64_t{payload} << (7 * i);
    const bool is_last = i + 1 == max_bytes;
    if ((byte & 0x80) != 0) {
      if (!is_last) continue;
      fault_ = Fault::too_long;
      wanted_ = bits;
      return false;
    }
    if (is_last) {
      bool fits;
      if constexpr (std::is_signed_v<T>) {
        const unsigned copies = payload >> (last_bits - 1);  // the sign and the unused bits
        fits = copies == 0 || copies == (0x7fu >> (last_bits - 1));
      } else {
        fits = payload >> last_bits == 0;
      }
      if (!fits) {
        fault_ = Fault::too_large;
        wanted_ = bits;
        return false;
      }
    }
    if constexpr (std::is_signed_v<T>) {
      const unsigned width = 7 * (i + 1);
      if ((byte & 0x40) != 0 && width < 64) result |= ~std::uint64_t{0} << width;
    }
    cursor_ = next;
    value = static_cast<T>(result);
    return true;
  }
  WARPHIVE_UNREACHABLE();
}

bool ByteReader::read_long_leb_u32(std::uint32_t& value) {
  return read_leb<std::uint32_t, 32>(value);
}
bool ByteReader::read_long_leb_s32(std::int32_t& value) {
  return read_leb<std::int32_t, 32>(value);
}
bool ByteReader::read_leb_s33(std::int64_t& value) { return read_leb<std::int64_t, 33>(value); }
bool ByteReader::read_long_leb_s64(std::int64_t& value) {
  return read_leb<std::int64_t, 64>(value);
}

Error ByteReader::failure(std::string_view what) const {
  std::string message;
  switch (fault_) {
    case Fault::none:
      WARPHIVE_UNREACHABLE();
    case Fault::end:
      message = fmt::format("{} is cut short: ({}) bytes are left, at least ({}) expected.", what,
                            remaining(), wanted_);
      break;
    case Fault::too_long:
      message = fmt::format("{} is an integer of more than ({}) bytes, too long for ({}) bits.",
                            what, (wanted_ + 6) / 7, wanted_);
      break;
    case Fault::too_large:
      message =
          fmt::format("{} is an integer too large for ({}) bits: its last byte is (0x{:02x}).",
                      what, wanted_, static_cast<unsigned>(cursor_[(wanted_ + 6) / 7 - 1]));
      break;
  }
  return Error(ErrorCode::invalid_input, ErrorPhase::parse, std::move(message)).at_offset(offset());
}

bool is_utf8(std::span<const std::byte> bytes) {
  const std::size_t size = bytes.size();
  const auto at = [&](std::size_t i) { return static_cast<std::uint8_t>(bytes[i]); };
  std::size_t i = 0;
  while (i < size) {
    const std::uint8_t lead = at(i);
    if (lead < 0x80) {
      ++i;
      continue;
    }
    std::size_t length;
    std::uint8_t low = 0x80, high = 0xbf;  // of the second byte
    if (lead >= 0xc2 && lead <= 0xdf) {
      length = 2;
    } else if (lead >= 0xe0 && lead <= 0xef) {
      length = 3;
      if (lead == 0xe0) low = 0xa0;
      if (lead == 0xed) high = 0x9f;
    } else if (lead >= 0xf0 && lead <= 0xf4) {
      length = 4;
      if (lead == 0xf0) low = 0x90;
      if (lead == 0xf4) high = 0x8f;
    } else {
      return false;
    }
    if (length > size - i || at(i + 1) < low || at(i + 1) > high) return false;
    for (std::size_t k = 2; k < length; ++k) {
      if ((at(i + k) & 0xc0) != 0x80) return false;
    }
    i += length;
  }
  return true;
}

}  // namespace warphive::base
