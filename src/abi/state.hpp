// SPDX-License-Identifier: Apache-2.0
// The state of instances in device memory, and what a dispatch passes to kernels.
//
// A pool holds the instances of one program with one set of capacities. Instance `slot` owns
// headers[slot] and, in each slab, the range that starts at slot * stride:
//   state     globals, memory and table sizes, table elements, dropped-segment bits (ProgramLayout)
//   stack     stack_slots 64-bit slots
//   memory    all linear memories, each at its capacity
//   out, err  what it wrote to standard output and error
// On CPU devices an instance's range is contiguous; other devices interleave (architecture section
// 6).
#pragma once

#include <stdint.h>

#include "abi/code.hpp"
#include "abi/exit.hpp"
#include "abi/native.hpp"

namespace warphive::abi {

inline constexpr uint32_t page_bytes = 65536;
inline constexpr uint64_t unlimited_fuel = uint64_t{1} << 62;

struct MemoryLayout {
  uint64_t at;        // byte in the memory range
  uint32_t capacity;  // pages it can grow to on this pool
  uint32_t max;       // pages it may grow to by its declaration
};
struct TableLayout {
  uint32_t at;  // byte in the state range; elements are 64-bit
  uint32_t capacity;
  uint32_t max;
  uint32_t reserved;
};

/// Where things lie in the state range; offsets in bytes, all 8-aligned.
struct ProgramLayout {
  const MemoryLayout* memories;
  const TableLayout* tables;
  uint32_t memory_count;
  uint32_t main_memory;  // what the embedder sees
  uint32_t table_count;
  uint32_t globals_at;       // uint64_t slots: one each, two for a v128
  uint32_t memory_pages_at;  // uint32_t each: current size
  uint32_t table_sizes_at;   // uint32_t each: current size
  uint32_t data_dropped_at;  // uint32_t words, one bit per data segment
  uint32_t elem_dropped_at;
  uint32_t state_bytes;
  uint32_t stack_slots;  // limit counted at calls
  uint32_t max_depth;
  uint64_t memory_bytes;
};

/// The fixed part of an instance. Everything an interrupted instance needs to go on is here and in
/// its stack.
struct InstanceHeader {
  uint64_t
      fuel_used;  // units charged since spawn or reset; kept when metering is off, then meaningless
  uint64_t fuel_left;       // of the current budget; unlimited_fuel means no budget
  uint64_t ordinal;         // the instance's id in its swarm: seeds random, names it in results
  uint64_t clock_ns;        // added to the virtual clock by sleeps and, unmetered, by readings
  uint64_t random_counter;  // random words drawn so far
  uint32_t pc;              // where to go on, instruction index
  uint32_t base;            // current frame: slot index in the stack
  uint32_t depth;           // frames on the stack
  Exit exit;
  TrapKind trap;
  uint8_t phase;         // runtime: which of the pending calls runs (start, _initialize, entry)
  uint8_t truncated;     // bit 0: out, bit 1: err was cut at its capacity
  int32_t exit_code;     // with Exit::exited
  uint32_t entry;        // function of the current call
  uint32_t host_import;  // with Exit::parked: which one waits
  uint32_t out_size;     // bytes in the out range
  uint32_t err_size;
  uint32_t
      grow_refused;  // memory.grow calls refused by the pool's capacity, not by the declaration
  uint32_t generation;
  uint32_t in_read;  // bytes of its input already read
};
static_assert(sizeof(InstanceHeader) == 88);

struct Pool {
  const Code* code;
  const ProgramLayout* layout;
  InstanceHeader* headers;
  uint8_t* state;
  uint64_t* stack;
  uint8_t* memory;
  uint8_t* out;
  uint8_t* err;
  uint64_t memory_stride;
  uint32_t state_stride;
  uint32_t stack_stride;     // slots
  uint32_t out_capacity;     // bytes per instance, for each of out and err
  uint32_t metered;          // 0: charges only poll
  const NativeSlot* native;  // host devices: the program's compiled code; nullptr: interpret
};

struct LaneRef {
  uint32_t pool;
  uint32_t slot;
  friend bool operator==(const LaneRef&, const LaneRef&) = default;
};

struct RunParams;
/// Serves one host call of one instance at once. Arguments are in `values`, results go there.
/// Returns Exit::ready to go on at once; any other value stops the instance with that exit
/// (trapped: header->trap is set; exited: header->exit_code; parked: results come later).
using HostCallFunction = Exit (*)(const RunParams* params, const Pool* pool, LaneRef lane,
                                  uint32_t host_import, uint64_t* values);

/// RunParams::stop, else 0.
inline constexpr uint32_t stop_now = 1;    // they end as cancelled
inline constexpr uint32_t stop_round = 2;  // devices with rounds: they are left for the next one

/// What the `run` kernel gets: each lane goes on from its header's pc until it stops.
struct RunParams {
  const Pool* pools;
  const LaneRef* lanes;
  const uint32_t* stop;  // what lanes do at their next poll. In device memory, written by the host
  HostCallFunction host_call;  // nullptr: every host call parks
  void* host_context;
  uint64_t quantum;  // charge units between polls; on devices the least of them
};

}  // namespace warphive::abi
