// SPDX-License-Identifier: Apache-2.0
// What the op bodies (exec/bodies.hpp) ask of a machine, and the steps that all machines share:
// charging, stopping, trapping, entering functions.
//
// A machine M is one lane's registers and its view of slots, state and memory; a small class that a
// dispatcher keeps in registers, so its member functions must inline. It provides
//
//   insn() index() insn_at(i)         the instruction that runs, its index, any instruction
//   advance() jump(i)                 sets what runs next
//   slot(i) set_slot(i, v) clear_slots(i, n)   slots of the current frame
//   push_frame(n) pop_frame(n)        moves the frame by n slots and counts depth
//   frame_fits(n, slots)              whether a callee's frame fits n slots further, also in depth
//   fuel() granted()                  what is left of the current grant, and its size
//   limit() load<T>(a) store<T>(a, v) memory 0: size in bytes, unaligned accesses at any address
//   memory_load<T>(m, a) memory_store<T>(m, a, v) memory_fill(m, a, byte, n)
//   memory_move(to, a, from, b, n) memory_init(m, a, first, n)   any memory; ranges are checked
//   state32(at) set_state32 state64(at) set_state64 global(i) set_global   the state range
//   function(i) branch_target(i)      entries of the program's arrays
//   code() layout() pool() header() params()
//   save(i)                           pc = i, frame and depth to the header
//   stop_raised() quantum()           the stop word; charge units until it is looked at again
//   slice_ended()                     whether the lane shall be left as ready for another run
//   serve(import)                     one host call at once
//   switch_wanted(i) hunts()          whether another tier shall go on at instruction i, may soon
//   reload()                          re-reads sizes that it keeps, after what may change them
//
// A machine for devices also has fetch(), which reads the instruction that runs next; their
// dispatcher begins each step with it.
#pragma once

#include <stdint.h>

#include "abi/code.hpp"
#include "abi/exit.hpp"
#include "abi/state.hpp"
#include "ir/op.hpp"

namespace warphive::exec {

/// How a body ended. `next` and `jump` both go on at the machine's instruction; that they differ
/// gives the two ways out of a conditional branch a dispatch each. `slow`: it changed nothing and
/// its out-of-line form must run instead.
enum class Step : uint8_t { next, jump, slow, stop };

/// What all ops share and few calls reach is not repeated in device programs, whose assembler takes
/// longer for larger functions; nor in what sanitizers make larger.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define WARPHIVE_SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define WARPHIVE_SANITIZED
#endif
#endif
#if defined(__NVPTX__) || defined(WARPHIVE_SANITIZED)
#define WARPHIVE_INLINE inline
#define WARPHIVE_OUTLINE __attribute__((noinline))
#else
#define WARPHIVE_INLINE __attribute__((always_inline)) inline
#define WARPHIVE_OUTLINE
#endif

/// Accounts what was spent of the current grant, so that the header's fuel is exact.
template <class M>
void settle(M& m) {
  abi::InstanceHeader& header = m.header();
  const uint64_t spent = m.granted() - static_cast<uint64_t>(m.fuel());
  header.fuel_used += spent;
  if (header.fuel_left != abi::unlimited_fuel && m.pool().metered != 0) header.fuel_left -= spent;
  m.granted() = static_cast<uint64_t>(m.fuel());
}

template <class M>
Step stop(M& m, abi::Exit exit, uint32_t at) {
  settle(m);
  m.header().exit = exit;
  m.header().trap = abi::TrapKind::none;
  m.save(at);
  return Step::stop;
}

/// Stops at the current instruction; frames stay for a backtrace.
template <class M>
WARPHIVE_OUTLINE Step trap(M& m, abi::TrapKind kind) {
  stop(m, abi::Exit::trapped, m.index());
  m.header().trap = kind;
  return Step::stop;
}

/// Pays a charge that the grant does not cover: polls, then takes a new grant, or stops at `at`.
template <class M>
WARPHIVE_OUTLINE Step pay_slow(M& m, uint64_t units, uint32_t at) {
  settle(m);
  if (m.stop_raised()) return stop(m, abi::Exit::cancelled, at);
  if (m.switch_wanted(at)) return stop(m, abi::Exit::ready, at);
  const uint64_t left = m.pool().metered != 0 ? m.header().fuel_left : abi::unlimited_fuel;
  if (left < units) return stop(m, abi::Exit::out_of_fuel, at);
  uint64_t grant = m.hunts() ? units : m.quantum();
  if (grant < units) grant = units;
  if (grant > left) grant = left;
  if (grant > abi::unlimited_fuel) grant = abi::unlimited_fuel;  // it must fit a signed register
  m.granted() = grant;
  m.fuel() = static_cast<int64_t>(grant - units);
  return Step::next;
}

template <class M>
Step pay(M& m, uint64_t units, uint32_t at) {
  const int64_t left = m.fuel() - static_cast<int64_t>(units);
  if (left < 0) return pay_slow(m, units, at);
  m.fuel() = left;
  return Step::next;
}

/// Branches to `target`, an instruction with the charge before it in the high half.
template <class M>
WARPHIVE_INLINE Step branch(M& m, uint64_t target) {
  const int64_t left = m.fuel() - static_cast<int64_t>(target >> 32);
  if (left < 0) [[unlikely]]
    return Step::slow;
  m.fuel() = left;
  m.jump(static_cast<uint32_t>(target));
  return Step::jump;
}

template <class M>
WARPHIVE_OUTLINE Step branch_slow(M& m, uint64_t target) {
  const uint32_t index = static_cast<uint32_t>(target);
  const uint64_t units = target >> 32;
  if (units != 0) {
    const Step step = pay(m, units, index - 1);
    if (step != Step::next) return step;
  }
  m.jump(index);
  return Step::next;
}

/// Makes the frame that an `enter` describes the current one.
template <class M>
WARPHIVE_INLINE void open_frame(M& m, const abi::Insn& enter, uint32_t distance,
                                uint32_t return_insn) {
  m.push_frame(distance);
  m.set_slot(enter.a, abi::pack_header(return_insn, distance));
  m.clear_slots(enter.b, enter.c);
}

template <class M>
WARPHIVE_INLINE Step call(M& m, uint32_t function, uint32_t distance) {
  const uint32_t entry = m.function(function).entry;
  const abi::Insn& enter = m.insn_at(entry);
  const uint64_t charge = enter.imm >> 32;
  const int64_t left = m.fuel() - static_cast<int64_t>(charge);
  if (!m.frame_fits(distance, static_cast<uint32_t>(enter.imm)) || left < 0) [[unlikely]]
    return Step::slow;
  m.fuel() = left;
  open_frame(m, enter, distance, m.index() + 1);
  m.jump(entry + (charge != 0 ? 2 : 1));
  return Step::next;
}

template <class M>
WARPHIVE_OUTLINE Step call_slow(M& m, uint32_t function, uint32_t distance) {
  const uint32_t entry = m.function(function).entry;
  const abi::Insn& enter = m.insn_at(entry);
  if (!m.frame_fits(distance, static_cast<uint32_t>(enter.imm))) {
    return trap(m, abi::TrapKind::stack_overflow);
  }
  open_frame(m, enter, distance, m.index() + 1);
  const uint64_t charge = enter.imm >> 32;
  if (charge != 0) {
    const Step step = pay(m, charge, entry + 1);
    if (step != Step::next) return step;
  }
  m.jump(entry + (charge != 0 ? 2 : 1));
  return Step::next;
}

// Sizes of memories, tables and segments

template <class M>
uint32_t memory_pages(M& m, uint32_t memory) {
  return m.state32(m.layout().memory_pages_at + 4 * memory);
}
template <class M>
uint64_t memory_bytes(M& m, uint32_t memory) {
  return uint64_t{memory_pages(m, memory)} * abi::page_bytes;
}
template <class M>
uint32_t table_size(M& m, uint32_t table) {
  return m.state32(m.layout().table_sizes_at + 4 * table);
}
template <class M>
uint64_t table_element(M& m, uint32_t table, uint32_t index) {
  return m.state64(m.layout().tables[table].at + 8 * index);
}
template <class M>
void set_table_element(M& m, uint32_t table, uint32_t index, uint64_t value) {
  m.set_state64(m.layout().tables[table].at + 8 * index, value);
}
/// Whether bit `index` of the words at `at` is set.
template <class M>
bool dropped(M& m, uint32_t at, uint32_t index) {
  return ((m.state32(at + 4 * (index / 32)) >> (index % 32)) & 1) != 0;
}
template <class M>
void drop(M& m, uint32_t at, uint32_t index) {
  const uint32_t word = at + 4 * (index / 32);
  m.set_state32(word, m.state32(word) | (uint32_t{1} << (index % 32)));
}

}  // namespace warphive::exec
