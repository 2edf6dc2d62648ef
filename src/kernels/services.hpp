// SPDX-License-Identifier: Apache-2.0
// Host calls that devices serve themselves, and what they share with the host's functions.
// Freestanding: device programs include it.
#pragma once

#include <stdint.h>

#include "abi/state.hpp"
#include "kernels/params.hpp"

namespace warphive::kernels {

constexpr uint64_t saturating_add(uint64_t a, uint64_t b) {
  return a + b < a ? ~uint64_t{0} : a + b;
}

/// Of WASI: what a reading of a virtual clock gives. `clock` is below clock_count.
inline constexpr uint32_t clock_count = 4;
constexpr uint64_t virtual_time(uint32_t clock, const ServiceWorld& world,
                                const abi::InstanceHeader& header) {
  const uint64_t used = world.metered != 0 ? header.fuel_used : 0;
  if (clock == 0) {
    return saturating_add(world.clock_start_ns, saturating_add(used, header.clock_ns));
  }
  if (clock == 1) return saturating_add(used, header.clock_ns);
  return world.metered != 0 ? used : header.clock_ns;  // CPU time
}
/// Without metering a reading moves the clock.
inline constexpr uint64_t unmetered_reading_ns = 1000;
constexpr void note_reading(const ServiceWorld& world, abi::InstanceHeader& header) {
  if (world.metered == 0) {
    header.clock_ns = saturating_add(header.clock_ns, unmetered_reading_ns);
  }
}

struct PhiloxBlock {
  uint64_t low;
  uint64_t high;
};

/// 64 x 64 -> 128 bits, in steps that need no wider type.
constexpr PhiloxBlock multiply_wide(uint64_t a, uint64_t b) {
  constexpr uint64_t mask = 0xffffffff;
  const uint64_t low_low = (a & mask) * (b & mask);
  const uint64_t high_low = (a >> 32) * (b & mask);
  const uint64_t low_high = (a & mask) * (b >> 32);
  const uint64_t middle = (low_low >> 32) + (high_low & mask) + low_high;
  const uint64_t high = (a >> 32) * (b >> 32) + (high_low >> 32) + (middle >> 32);
  return {a * b, high};
}

/// Philox2x64 with ten rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3").
/// A bijection of the 128-bit counter for each key: streams of different instances never overlap.
constexpr PhiloxBlock philox2x64(uint64_t counter_low, uint64_t counter_high, uint64_t key) {
  constexpr uint64_t multiplier = 0xd2b74407b1ce6e93;
  constexpr uint64_t weyl = 0x9e3779b97f4a7c15;
  PhiloxBlock block{counter_low, counter_high};
  for (int round = 0; round < 10; ++round) {
    const PhiloxBlock product = multiply_wide(multiplier, block.low);
    block = {product.high ^ key ^ block.high, product.low};
    key += weyl;
  }
  return block;
}

/// Word number `counter` of instance `ordinal`: a half of block counter / 2.
constexpr uint64_t random_word(uint64_t seed, uint64_t ordinal, uint64_t counter) {
  const PhiloxBlock block = philox2x64(counter / 2, ordinal, seed);
  return counter % 2 == 0 ? block.low : block.high;
}

/// A WASI call that waits. Each service returns false, and has changed nothing, where the host
/// shall look: at all that is an error, and at what is long.
template <class Ranges>
struct WaitingCall {
  const ServeLanes& params;
  const abi::Pool& pool;
  uint32_t slot;
  abi::InstanceHeader header;
  uint64_t memory_bytes;

  [[nodiscard]] uint64_t value(uint32_t i) const {
    uint64_t slot_value = 0;
    Ranges::copy_out(pool, slot, Range::stack, (uint64_t{header.base} + i) * 8,
                     reinterpret_cast<uint8_t*>(&slot_value), 8);
    return slot_value;
  }
  [[nodiscard]] uint32_t word(uint32_t i) const { return static_cast<uint32_t>(value(i)); }
  [[nodiscard]] bool covers(uint64_t address, uint64_t n) const {
    return n <= memory_bytes && address <= memory_bytes - n;
  }
  void load(uint64_t address, void* to, uint64_t n) const {
    Ranges::copy_out(pool, slot, Range::memory, params.memory_at + address,
                     static_cast<uint8_t*>(to), n);
  }
  void store(uint64_t address, const void* from, uint64_t n) const {
    Ranges::copy_in(pool, slot, Range::memory, params.memory_at + address,
                    static_cast<const uint8_t*>(from), n);
  }

  bool clock_time_get() {
    const uint32_t clock = word(0);
    const uint32_t address = word(2);
    if (clock >= clock_count || !covers(address, 8)) return false;
    const uint64_t time = virtual_time(clock, params.world, header);
    note_reading(params.world, header);
    store(address, &time, 8);
    return true;
  }

  bool random_get() {
    constexpr uint32_t most_bytes = 4096;
    const uint64_t address = word(0);
    const uint32_t bytes = word(1);
    if (bytes > most_bytes || !covers(address, bytes)) return false;
    for (uint32_t done = 0; done < bytes; done += 8) {
      const uint64_t next = random_word(params.world.seed, header.ordinal, header.random_counter++);
      store(address + done, &next, bytes - done < 8 ? bytes - done : 8);
    }
    return true;
  }

  /// To descriptors 1 and 2 as they are at first.
  bool fd_write() {
    constexpr uint32_t most_ranges = 16;
    constexpr uint64_t most_bytes = 65536;
    struct Vector {
      uint32_t address;
      uint32_t bytes;
    };
    const uint32_t descriptor = word(0);
    const uint64_t list = word(1);
    const uint32_t count = word(2);
    const uint32_t total_at = word(3);
    if (descriptor != 1 && descriptor != 2) return false;
    if (count > most_ranges || !covers(list, count * sizeof(Vector)) || !covers(total_at, 4)) {
      return false;
    }
    Vector vector = {};
    uint64_t total = 0;
    for (uint32_t i = 0; i < count; ++i) {
      load(list + i * sizeof vector, &vector, sizeof vector);
      if (!covers(vector.address, vector.bytes)) return false;
      total += vector.bytes;
    }
    if (total > most_bytes) return false;
    const bool is_out = descriptor == 1;
    uint32_t& size = is_out ? header.out_size : header.err_size;
    for (uint32_t i = 0; i < count; ++i) {
      load(list + i * sizeof vector, &vector, sizeof vector);
      const uint32_t room = pool.out_capacity - size;
      const uint32_t kept = vector.bytes < room ? vector.bytes : room;
      for (uint32_t done = 0; done < kept;) {
        uint8_t piece[64];
        const uint32_t part = kept - done < sizeof piece ? kept - done : sizeof piece;
        load(uint64_t{vector.address} + done, piece, part);
        Ranges::copy_in(pool, slot, is_out ? Range::out : Range::err, size, piece, part);
        size += part;
        done += part;
      }
      if (kept != vector.bytes) {
        header.truncated = static_cast<uint8_t>(header.truncated | (is_out ? 1 : 2));
      }
    }
    const auto written = static_cast<uint32_t>(total);
    store(total_at, &written, 4);
    return true;
  }

  bool serve() {
    switch (params.service) {
      case Service::clock_time_get:
        return clock_time_get();
      case Service::random_get:
        return random_get();
      case Service::fd_write:
        return fd_write();
      case Service::none:
        break;
    }
    return false;
  }
};

template <class Ranges>
void serve_lane(const ServeLanes& params, uint32_t lane) {
  const abi::LaneRef ref = params.lanes[lane];
  const abi::Pool& pool = params.pools[ref.pool];
  const abi::ProgramLayout& layout = *pool.layout;
  WaitingCall<Ranges> call = {params, pool, ref.slot, pool.headers[ref.slot], 0};
  params.served[lane] = 0;
  constexpr uint32_t most_values = 4;
  const bool is_sound = call.header.exit == abi::Exit::parked &&
                        uint64_t{call.header.base} + most_values <= layout.stack_slots &&
                        call.header.out_size <= pool.out_capacity &&
                        call.header.err_size <= pool.out_capacity;
  if (!is_sound || params.memory >= layout.memory_count) return;
  uint32_t pages = 0;
  Ranges::copy_out(pool, ref.slot, Range::state, layout.memory_pages_at + 4 * params.memory,
                   reinterpret_cast<uint8_t*>(&pages), 4);
  call.memory_bytes = uint64_t{pages} * abi::page_bytes;
  if (!call.serve()) return;
  const uint64_t success = 0;
  Ranges::copy_in(pool, ref.slot, Range::stack, uint64_t{call.header.base} * 8,
                  reinterpret_cast<const uint8_t*>(&success), 8);
  call.header.exit = abi::Exit::ready;
  pool.headers[ref.slot] = call.header;
  params.served[lane] = 1;
}

}  // namespace warphive::kernels
