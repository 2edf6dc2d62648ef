// SPDX-License-Identifier: Apache-2.0
// Module `warphive`: an instance's own input and output, for guests without WASI.
#include <algorithm>

#include "base/result.hpp"
#include "sys/world.hpp"

namespace warphive::sys {
namespace {

void trap(HostCall& call, abi::TrapKind kind) {
  call.header->trap = kind;
  call.verdict = abi::Exit::trapped;
}

void input(World& world, HostCall& call) {
  const auto address = static_cast<std::uint32_t>(call.values[0]);
  const auto length = static_cast<std::uint32_t>(call.values[1]);
  if (!in_range(address, length, call.memory->size())) {
    return trap(call, abi::TrapKind::memory_out_of_bounds);
  }
  std::byte piece[piece_bytes];
  std::uint64_t done = 0;
  const std::uint64_t wanted = std::min<std::uint64_t>(length, transfer_bytes);
  while (done < wanted) {
    const auto part = std::span(piece).first(
        static_cast<std::size_t>(std::min<std::uint64_t>(wanted - done, piece_bytes)));
    std::size_t count = 0;
    if (world.read_input(call, part, count) != 0) return trap(call, abi::TrapKind::host);
    if (!call.memory->write(address + done, part.first(count))) {
      return trap(call, abi::TrapKind::memory_out_of_bounds);
    }
    done += count;
    if (count != part.size()) break;
  }
  call.values[0] = done;
}

void output(World& world, HostCall& call) {
  const auto address = static_cast<std::uint32_t>(call.values[0]);
  const auto length = static_cast<std::uint32_t>(call.values[1]);
  if (!in_range(address, length, call.memory->size())) {
    return trap(call, abi::TrapKind::memory_out_of_bounds);
  }
  const std::uint64_t offered =
      world.options.pass_through ? std::min<std::uint64_t>(length, transfer_bytes) : length;
  std::uint64_t taken = 0;
  if (world.emit_guest(call, Stream::out, address, offered, taken) != 0 && taken == 0) {
    return trap(call, abi::TrapKind::host);
  }
  call.values[0] = taken;
}

}  // namespace

Status register_warphive(World& world, HostRegistry& registry) {
  const ir::FunctionType type{{ir::ValueType::i32, ir::ValueType::i32}, {ir::ValueType::i32}};
  const auto serve = [&world](void (*function)(World&, HostCall&)) {
    return [&world, function](std::span<HostCall> calls) {
      for (HostCall& call : calls) function(world, call);
    };
  };
  WARPHIVE_TRY(registry.add({"warphive", "input", type, serve(input)}));
  return registry.add({"warphive", "output", type, serve(output), reads_bytes(0, 1)});
}

}  // namespace warphive::sys
