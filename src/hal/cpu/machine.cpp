// SPDX-License-Identifier: Apache-2.0
#include "hal/cpu/machine.hpp"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <memory>
#include <optional>
#include <string_view>
#include <thread>

namespace warphive::hal::cpu {
namespace {

std::string read_text(const char* path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path, "re"), &std::fclose);
  std::string text;
  char block[4096];
  while (file != nullptr) {
    const std::size_t n = std::fread(block, 1, sizeof block, file.get());
    text.append(block, n);
    if (n < sizeof block || text.size() > 65536) break;
  }
  return text;
}

std::optional<std::uint64_t> number_at(std::string_view text) {
  const std::size_t digit = text.find_first_not_of(" \t");
  if (digit == std::string_view::npos) return std::nullopt;
  std::uint64_t value = 0;
  const char* end = text.data() + text.size();
  if (std::from_chars(text.data() + digit, end, value).ec != std::errc{}) return std::nullopt;
  return value;
}

/// The rest of the line after `key`, in files of lines "key: value".
std::string_view value_of(std::string_view text, std::string_view key) {
  const std::size_t at = text.find(key);
  if (at == std::string_view::npos) return {};
  const std::string_view rest = text.substr(at + key.size());
  return rest.substr(0, rest.find('\n'));
}

/// The memory controller's numbers, version 2 as seen from inside of a container, or version 1.
std::optional<std::uint64_t> group_limit() {
  for (const char* path :
       {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
    if (const auto value = number_at(read_text(path))) return value;
  }
  return std::nullopt;
}
std::optional<std::uint64_t> group_usage() {
  for (const char* path :
       {"/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory/memory.usage_in_bytes"}) {
    if (const auto value = number_at(read_text(path))) return value;
  }
  return std::nullopt;
}

}  // namespace

std::string processor_name() {
  const std::string text = read_text("/proc/cpuinfo");
  std::string_view name = value_of(text, "model name");
  const std::size_t start = name.find_first_not_of(" \t:");
  return start == std::string_view::npos ? "CPU" : std::string(name.substr(start));
}

std::uint32_t usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0) {
    return static_cast<std::uint32_t>(CPU_COUNT(&set));
  }
  return std::max(1u, std::thread::hardware_concurrency());
}

std::uint64_t memory_bytes() {
  const std::uint64_t machine = static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES)) *
                                static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  return std::min(machine, group_limit().value_or(machine));
}

std::uint64_t available_memory_bytes() {
  const std::string text = read_text("/proc/meminfo");
  std::uint64_t available = memory_bytes();
  if (const auto kib = number_at(value_of(text, "MemAvailable:"))) {
    available = std::min(available, *kib * 1024);
  }
  const auto limit = group_limit();
  const auto usage = group_usage();
  if (limit && usage && *usage <= *limit) available = std::min(available, *limit - *usage);
  return available;
}

}  // namespace warphive::hal::cpu
