// SPDX-License-Identifier: Apache-2.0
// poll_oneoff: sleeping, and files that are always ready.
#include <algorithm>

#include "sys/wasi/call.hpp"

namespace warphive::sys::wasi {
namespace {

struct Subscription {
  std::uint64_t userdata;
  std::uint8_t type;
  Errno error = Errno::success;  // known before anything waits
  std::uint64_t wait = 0;        // nanoseconds until a clock's event
  std::uint64_t bytes = 0;
};

constexpr bool is_clock(const Subscription& subscription) {
  return subscription.type == event_clock && subscription.error == Errno::success;
}

void read_clock(Call& call, const Record<subscription_bytes>& record, Subscription& result) {
  const auto id = record.pick<std::uint32_t>(16);
  if (id >= clock_count) {
    result.error = Errno::inval;
  } else if (id > static_cast<std::uint32_t>(ClockId::monotonic)) {
    result.error = Errno::notsup;  // the time that it waits for does not pass while it sleeps
  } else {
    const auto timeout = record.pick<std::uint64_t>(24);
    if ((record.pick<std::uint16_t>(40) & subclock_abstime) != 0) {
      const std::uint64_t now = call.world.now(call.host, static_cast<ClockId>(id));
      result.wait = timeout - std::min(timeout, now);
    } else {
      result.wait = timeout - std::min(timeout, call.world.waited(call.host));
    }
  }
}

void read_file(Call& call, const Record<subscription_bytes>& record, Subscription& result) {
  const Opened file = opened(call, record.pick<std::uint32_t>(16), 0);
  if (file.error != Errno::success) {
    result.error = file.error;
    return;
  }
  const Descriptor::Kind kind = file.descriptor->kind;
  const bool reads = result.type == event_fd_read;
  if (kind == Descriptor::Kind::node) {
    std::uint64_t size = 0;
    if (file.descriptor->node->kind() != NodeKind::file || !reads) {
      result.error = Errno::badf;
    } else {
      result.error = from_host_errno(file.descriptor->node->size(size));
      result.bytes = size - std::min(size, file.descriptor->position);
    }
  } else if ((kind == Descriptor::Kind::input) != reads) {
    result.error = Errno::badf;
  } else {
    result.bytes = 1;
  }
}

Errno load(Call& call, std::uint64_t address, Subscription& result) {
  Record<subscription_bytes> record;
  if (const Errno error = call.load_bytes(address, record.span()); error != Errno::success) {
    return error;
  }
  result = {};
  result.userdata = record.pick<std::uint64_t>(0);
  result.type = record.pick<std::uint8_t>(8);
  switch (result.type) {
    case event_clock:
      read_clock(call, record, result);
      break;
    case event_fd_read:
    case event_fd_write:
      read_file(call, record, result);
      break;
    default:
      return Errno::inval;
  }
  return Errno::success;
}

}  // namespace

Errno poll_oneoff(Call& call) {
  const std::uint64_t in = call.u32(0);
  const std::uint64_t out = call.u32(1);
  const std::uint32_t count = call.u32(2);
  if (count == 0) return Errno::inval;
  if (!call.covers(in, std::uint64_t{count} * subscription_bytes) ||
      !call.covers(out, std::uint64_t{count} * event_bytes) || !call.covers(call.u32(3), 4)) {
    return Errno::fault;
  }
  if (count > Vectors::max_count) return Errno::inval;

  // Everything is read before anything is written: the guest's arrays may overlap.
  std::array<Subscription, Vectors::max_count> subscriptions;
  std::uint64_t wait = std::numeric_limits<std::uint64_t>::max();
  for (std::uint32_t i = 0; i < count; ++i) {
    const Errno error = load(call, in + std::uint64_t{i} * subscription_bytes, subscriptions[i]);
    if (error != Errno::success) return error;
    wait = std::min(wait, subscriptions[i].wait);
  }
  // Only clocks wait at all. A parked call comes back here until a clock's time has come.
  if (wait != 0 && !call.world.sleep(call.host, wait)) return Errno::success;
  call.world.end_wait(call.host);

  std::uint32_t events = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    const Subscription& subscription = subscriptions[i];
    if (is_clock(subscription) && subscription.wait > wait) continue;
    Record<event_bytes> record;
    record.put(0, subscription.userdata);
    record.put(8, subscription.error);
    record.put(10, subscription.type);
    record.put(16, subscription.bytes);
    const Errno error = call.store_bytes(out + std::uint64_t{events} * event_bytes, record.view());
    if (error != Errno::success) return error;
    ++events;
  }
  return call.store(call.u32(3), events);
}

}  // namespace warphive::sys::wasi
