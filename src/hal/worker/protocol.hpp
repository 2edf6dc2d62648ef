// SPDX-License-Identifier: Apache-2.0
// What a front process and its worker process tell each other: datagrams over pairs of sockets, and
// an area of memory that both have at the same address.
//
// There is a channel for the device, one for code that is loaded, one for what overtakes queues,
// and one for each queue and each linker; the worker serves each by a thread, in the order of its
// requests. Requests that have no reply must not fail: what goes wrong is kept, the queue's
// requests are passed over, and the next reply of that channel tells.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "hal/device.hpp"

namespace warphive::hal::worker {

/// Counted up with each change of what follows, of hal::KernelId or of kernels' parameters.
inline constexpr std::uint32_t protocol_version = 1;

/// Where a worker finds its channel of the device.
inline constexpr int worker_socket = 3;

enum class Op : std::uint8_t {
  // Of the device.
  open,           // text: the driver's library; descriptor: the area, which is at `to`; from: most
                  // that may be allocated; replies DeviceReply, texts
  add_channel,    // descriptor: of the channel
  create_queue,   // descriptor: of the queue's channel; replies the queue's number
  allocate,       // replies the address
  adopt,          //
  release,        // payload: Fence…
  load,           // a packed image in the area; replies number, kernels (bits)
  create_linker,  // value: registers; replies its number
  add_part,       // text in the area
  finish_link,    // replies bytes of the binary
  read_binary,    // to the area
  drop_linker,    //
  find_variable,  // text: its name; replies its address
  unload,         // payload: Fence…
  available,      // replies bytes available, bytes reservable
  // That overtake queues.
  read_now,   // replies the word
  interrupt,  //
  // Of queues, without a reply.
  copy,
  fill,
  discard,
  dispatch,  // payload: the parameters
  // Of queues, with one.
  signal,  // replies queue, value
  wait,
  synchronise,
  close,
};
inline constexpr Op first_of_queues = Op::copy;
inline constexpr Op last_without_reply = Op::dispatch;

/// Which fields count depends on the operation. Buffers are named by their addresses.
struct Request {
  Op op = Op::open;
  KernelId kernel = KernelId::spawn;
  std::uint16_t payload = 0;  // bytes behind it
  std::uint32_t value = 0;    // lanes; byte; word; ordinal of the device
  std::uint64_t object = 0;   // executable, linker or queue; a point's value; protocol's version
  std::uint64_t to = 0;
  std::uint64_t to_offset = 0;
  std::uint64_t from = 0;
  std::uint64_t from_offset = 0;
  std::uint64_t bytes = 0;
};

/// What a queue must have taken in before something that its requests name goes away.
struct Fence {
  std::uint64_t queue;
  std::uint64_t requests;  // without replies, since its beginning
};

struct Reply {
  std::uint8_t ok = 1;
  ErrorCode code = ErrorCode::internal;  // if not ok; text: the message
  ErrorPhase phase = ErrorPhase::none;
  std::uint8_t is_lost = 0;   // the device takes no more calls
  std::uint32_t payload = 0;  // bytes behind it
  std::uint64_t values[3] = {};
};

/// The numbers of a DeviceInfo; its texts follow, each with a zero behind it.
struct DeviceReply {
  std::uint32_t workers, tile_lanes, schedulers, lane_stack_bytes, reads_host_memory, reserved;
  std::uint64_t memory_bytes, reserve_bytes;
};

/// An image in the area: this, the binary, and PTX with its zero.
struct PackedImage {
  std::uint64_t registers, binary_bytes, ptx_bytes;  // ptx_bytes: 0 where there is none
};

inline constexpr std::size_t most_payload = 60'000;
static_assert(std::is_trivially_copyable_v<Request> && std::is_trivially_copyable_v<Reply> &&
              std::is_trivially_copyable_v<Fence> && std::is_trivially_copyable_v<DeviceReply>);

}  // namespace warphive::hal::worker
