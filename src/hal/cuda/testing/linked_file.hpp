// SPDX-License-Identifier: Apache-2.0
// The smallest file that looks like linked code: for tests, and for the stand-in driver.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>

namespace warphive::hal::cuda::testing {

/// An ELF file whose section .nv.info says that a function has a frame of so many bytes.
inline std::string linked_file(std::uint32_t frame_bytes) {
  constexpr std::uint32_t header = 64;
  constexpr std::uint32_t section = 64;
  const std::string names("\0.names\0.nv.info\0", 17);
  std::string info("\x03\x20\0\0\x04\x11\x08\0\x01\0\0\0", 12);
  info.append(reinterpret_cast<const char*>(&frame_bytes), sizeof frame_bytes);
  std::string file(header + 3 * section, '\0');
  const auto put = [&]<class T>(std::size_t at, T value) {
    std::memcpy(file.data() + at, &value, sizeof value);
  };
  put(0, std::uint32_t{0x464c457f});
  put(0x28, std::uint64_t{header});
  put(0x3c, std::uint16_t{3});
  put(0x3e, std::uint16_t{1});
  const auto add = [&](std::size_t i, std::uint32_t name, const std::string& bytes) {
    const std::size_t at = header + i * section;
    put(at, name);
    put(at + 24, std::uint64_t{file.size()});
    put(at + 32, std::uint64_t{bytes.size()});
    file += bytes;
  };
  add(1, 1, names);
  add(2, 8, info);
  return file;
}

}  // namespace warphive::hal::cuda::testing
