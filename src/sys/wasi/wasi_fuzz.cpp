// SPDX-License-Identifier: Apache-2.0
// A hostile guest: sequences of host calls with arbitrary arguments, over memory that the input
// fills. Nothing may crash, leave the instance's ranges, or change the header beyond its limits.
#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <vector>

#include "base/check.hpp"
#include "sys/environment.hpp"

namespace {

using namespace warphive;

constexpr std::uint32_t memory_bytes = 8192;
constexpr std::uint32_t capacity = 256;
constexpr std::size_t guard_bytes = 64;

struct Shared {
  Shared() : environment(options()) { WARPHIVE_CHECK(environment.register_into(registry)); }
  static sys::EnvironmentOptions options() {
    sys::EnvironmentOptions made;
    made.args = {"program", "{id}"};
    made.env = {"A=B"};
    made.files = {{"/a/b", "contents"}, {"/a/c/d", "more"}, {"/e", std::string(3000, 'e')}};
    made.stdin_source = [](std::uint64_t) { return std::string(100, 'i'); };
    made.seed_host = true;
    made.seed_map = {5, 4, std::vector<std::uint8_t>(80, 7)};
    return made;
  }
  sys::Environment environment;
  sys::HostRegistry registry;
};

class Cursor {
 public:
  Cursor(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}
  bool at_end() const { return size_ == 0; }
  std::uint64_t bytes(std::size_t count) {
    std::uint64_t value = 0;
    const std::size_t taken = std::min(count, size_);
    std::memcpy(&value, data_, taken);
    data_ += taken;
    size_ -= taken;
    return value;
  }

 private:
  const std::uint8_t* data_;
  std::size_t size_;
};

// Mostly small numbers, addresses inside and values at the edges; sometimes anything.
std::uint64_t argument(Cursor& input) {
  const std::uint64_t kind = input.bytes(1);
  switch (kind % 8) {
    case 0:
      return input.bytes(8);
    case 1:
      return memory_bytes - kind / 8;
    case 2:
      return 0 - kind / 8;
    case 3:
    case 4:
      return input.bytes(2) % memory_bytes;
    default:
      return kind / 8;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Shared shared;
  static std::uint32_t next_index = 0;
  const std::uint32_t index = next_index++ % 4096;

  std::vector<std::byte> memory(memory_bytes + 2 * guard_bytes, std::byte{0xa5});
  std::vector<std::byte> out(capacity + guard_bytes, std::byte{0xa5});
  std::vector<std::byte> err(capacity + guard_bytes, std::byte{0xa5});
  std::fill_n(memory.begin() + guard_bytes, memory_bytes, std::byte{0});
  const std::size_t filled = std::min<std::size_t>(size / 2, memory_bytes);
  if (filled != 0) std::memcpy(memory.data() + guard_bytes, data, filled);

  Cursor input(data + filled, size - filled);
  sys::ContiguousMemory guest(memory.data() + guard_bytes, memory_bytes);
  abi::InstanceHeader header{};
  header.ordinal = index;
  const auto entries = shared.registry.entries();
  for (int calls = 0; calls < 64 && !input.at_end(); ++calls) {
    const sys::HostEntry& entry = entries[input.bytes(1) % entries.size()];
    std::array<std::uint64_t, 16> values{};
    for (std::size_t i = 0; i < entry.type.params.size(); ++i) {
      values[i] = argument(input);
      if (entry.type.params[i] != ir::ValueType::i64) values[i] &= 0xffffffff;
    }
    sys::HostCall call{
        &header,
        &guest,
        std::span(values).first(std::max(entry.type.params.size(), entry.type.results.size())),
        {out.data(), capacity},
        {err.data(), capacity},
        index};
    entry.function(std::span(&call, 1));
    WARPHIVE_CHECK(header.out_size <= capacity && header.err_size <= capacity);
    WARPHIVE_CHECK(header.in_read <= 100);
    if (call.verdict == abi::Exit::exited || call.verdict == abi::Exit::trapped) break;
    WARPHIVE_CHECK(call.verdict == abi::Exit::ready);
    if (!entry.type.results.empty()) WARPHIVE_CHECK(values[0] <= 0xffffffff);
  }
  shared.environment.release(index);

  const auto untouched = [](std::byte byte) { return byte == std::byte{0xa5}; };
  WARPHIVE_CHECK(std::all_of(memory.begin(), memory.begin() + guard_bytes, untouched));
  WARPHIVE_CHECK(std::all_of(memory.end() - guard_bytes, memory.end(), untouched));
  WARPHIVE_CHECK(std::all_of(out.begin() + capacity, out.end(), untouched));
  WARPHIVE_CHECK(std::all_of(err.begin() + capacity, err.end(), untouched));
  return 0;
}
