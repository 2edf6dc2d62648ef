// SPDX-License-Identifier: Apache-2.0
#include "sys/service.hpp"

#include <algorithm>
#include <cstring>

#include "base/result.hpp"

namespace warphive::sys {
namespace {

bool inside(std::uint64_t address, std::uint64_t bytes, std::uint64_t size) {
  return bytes <= size && address <= size - bytes;
}

// What both output ranges share. The size counts kept bytes only, so it never passes the capacity.
void append(OutputRange range, std::uint32_t& size, std::uint8_t& truncated, std::uint8_t bit,
            std::span<const std::byte> bytes) {
  const std::size_t room = range.capacity - std::min(size, range.capacity);
  const std::size_t taken = std::min(room, bytes.size());
  if (taken != 0) {
    std::memcpy(range.base + size, bytes.data(), taken);
    size += static_cast<std::uint32_t>(taken);
  }
  if (taken != bytes.size()) truncated = static_cast<std::uint8_t>(truncated | bit);
}

}  // namespace

bool ContiguousMemory::read(std::uint64_t address, std::span<std::byte> to) const {
  if (!inside(address, to.size(), bytes_)) return false;
  if (!to.empty()) std::memcpy(to.data(), base_ + address, to.size());
  return true;
}

bool ContiguousMemory::write(std::uint64_t address, std::span<const std::byte> from) {
  if (!inside(address, from.size(), bytes_)) return false;
  // A caller may hand out bytes of this very memory.
  if (!from.empty()) std::memmove(base_ + address, from.data(), from.size());
  return true;
}

Status HostRegistry::add(HostEntry entry) {
  if (find(entry.module, entry.field) != nullptr) {
    return base::error(ErrorCode::invalid_input, ErrorPhase::link,
                       "Host function ({}.{}) is registered twice.", entry.module, entry.field);
  }
  entries_.push_back(std::move(entry));
  return {};
}

const HostEntry* HostRegistry::find(std::string_view module, std::string_view field) const {
  const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const HostEntry& entry) {
    return entry.field == field && entry.module == module;
  });
  return found == entries_.end() ? nullptr : &*found;
}

void append_out(HostCall& call, std::span<const std::byte> bytes) {
  append(call.out, call.header->out_size, call.header->truncated, truncated_out, bytes);
}

void append_err(HostCall& call, std::span<const std::byte> bytes) {
  append(call.err, call.header->err_size, call.header->truncated, truncated_err, bytes);
}

}  // namespace warphive::sys
