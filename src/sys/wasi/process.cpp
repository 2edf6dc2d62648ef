// SPDX-License-Identifier: Apache-2.0
// Arguments, environment, exit, yield, clocks and random numbers.
#include <algorithm>

#include "sys/random.hpp"
#include "sys/wasi/call.hpp"

namespace warphive::sys::wasi {
namespace {

// The strings go to `texts`, pointers to them to `pointers`.
Errno store_strings(Call& call, const Strings& strings) {
  const std::uint32_t pointers = call.u32(0);
  const std::uint32_t texts = call.u32(1);
  if (!call.covers(pointers, std::uint64_t{4} * strings.offsets.size()) ||
      !call.covers(texts, strings.bytes.size())) {
    return Errno::fault;
  }
  std::array<std::uint32_t, 256> piece;
  for (std::size_t i = 0; i < strings.offsets.size(); i += piece.size()) {
    const std::size_t count = std::min(piece.size(), strings.offsets.size() - i);
    for (std::size_t k = 0; k < count; ++k) piece[k] = texts + strings.offsets[i + k];
    const auto bytes = std::as_bytes(std::span(piece).first(count));
    if (const Errno error = call.store_bytes(pointers + 4 * i, bytes); error != Errno::success) {
      return error;
    }
  }
  return call.store_bytes(texts, std::as_bytes(std::span(strings.bytes)));
}

Errno store_sizes(Call& call, const Strings& strings) {
  if (!call.covers(call.u32(0), 4)) return Errno::fault;
  if (const Errno error = call.store(call.u32(1), static_cast<std::uint32_t>(strings.bytes.size()));
      error != Errno::success) {
    return error;
  }
  return call.store(call.u32(0), static_cast<std::uint32_t>(strings.offsets.size()));
}

}  // namespace

Errno args_get(Call& call) {
  Strings scratch;
  return store_strings(call, call.world.args_of(call.host.header->ordinal, scratch));
}

Errno args_sizes_get(Call& call) {
  Strings scratch;
  return store_sizes(call, call.world.args_of(call.host.header->ordinal, scratch));
}

Errno environ_get(Call& call) {
  Strings scratch;
  return store_strings(call, call.world.env_of(call.host.header->ordinal, scratch));
}

Errno environ_sizes_get(Call& call) {
  Strings scratch;
  return store_sizes(call, call.world.env_of(call.host.header->ordinal, scratch));
}

Errno clock_res_get(Call& call) {
  if (call.u32(0) >= clock_count) return Errno::inval;
  return call.store(call.u32(1), call.world.resolution(static_cast<ClockId>(call.u32(0))));
}

Errno clock_time_get(Call& call) {
  if (call.u32(0) >= clock_count) return Errno::inval;
  if (!call.covers(call.u32(2), 8)) return Errno::fault;  // must not move the clock
  return call.store(call.u32(2),
                    call.world.read_clock(call.host, static_cast<ClockId>(call.u32(0))));
}

Errno random_get(Call& call) {
  const std::uint32_t address = call.u32(0);
  const std::uint32_t length = call.u32(1);
  if (!call.covers(address, length)) return Errno::fault;
  // Cannot be short, and a host call cannot be stopped midway.
  if (length > transfer_bytes) return Errno::inval;
  abi::InstanceHeader& header = *call.host.header;
  std::array<std::uint64_t, 512> words;
  for (std::uint32_t done = 0; done < length;) {
    const std::uint32_t bytes =
        std::min<std::uint32_t>(length - done, static_cast<std::uint32_t>(sizeof words));
    const std::size_t count = (bytes + 7) / 8;
    for (std::size_t i = 0; i < count; ++i) {
      words[i] = random_word(call.world.options.seed, header.ordinal, header.random_counter++);
    }
    const auto piece = std::as_bytes(std::span(words)).first(bytes);
    if (const Errno error = call.store_bytes(std::uint64_t{address} + done, piece);
        error != Errno::success) {
      return error;
    }
    done += bytes;
  }
  return Errno::success;
}

Errno proc_exit(Call& call) {
  call.host.header->exit_code = static_cast<std::int32_t>(call.u32(0));
  call.host.verdict = abi::Exit::exited;
  return Errno::success;
}

Errno sched_yield(Call&) { return Errno::success; }

}  // namespace warphive::sys::wasi
