// SPDX-License-Identifier: Apache-2.0
// What serving an array of host calls that waited needs on the host, kept for its capacity.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "runtime/distant_memory.hpp"

namespace warphive::runtime {

struct ParkedCalls {
  explicit ParkedCalls(Mover given) : mover(std::move(given)) {}

  struct Sizes {
    std::uint32_t out;
    std::uint32_t err;
  };

  /// Room for what the calls write out; undefined at first.
  void reserve_text(std::uint64_t bytes) {
    if (bytes <= text_size) return;
    text = std::make_unique_for_overwrite<std::byte[]>(bytes);
    text_size = bytes;
  }

  Mover mover;
  Scatter scatter{mover};
  DistantMemories memories{mover, scatter};
  std::vector<kernels::Move> moves;
  std::vector<std::uint32_t> asked;     // lanes that the device may serve
  std::vector<std::uint32_t> for_host;  // and those that it did not
  std::unique_ptr<std::byte[]> text;
  std::uint64_t text_size = 0;
  // One for each call; of values, as many as the import has.
  std::vector<std::uint32_t> lanes;  // of the inputs
  std::vector<abi::InstanceHeader> headers;
  std::vector<std::uint64_t> values;
  std::vector<std::uint32_t> pages;  // of the memory that the import sees
  std::vector<Sizes> before;         // of the outputs
  std::vector<sys::HostCall> calls;
  std::vector<sys::ContiguousMemory> nearby;  // on devices that read the host's memory
};

}  // namespace warphive::runtime
