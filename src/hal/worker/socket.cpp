// SPDX-License-Identifier: Apache-2.0
#include "hal/worker/socket.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "hal/worker/protocol.hpp"

namespace warphive::hal::worker {

Descriptor::~Descriptor() {
  if (number_ >= 0) (void)::close(number_);
}

std::pair<Socket, Socket> Socket::pair() {
  int ends[2] = {};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return {};
  return {Socket(Descriptor(ends[0])), Socket(Descriptor(ends[1]))};
}

Socket::Outcome Socket::wait(short events, Time until) const {
  using std::chrono::milliseconds;
  int time = -1;
  if (until != never) {
    const auto left =
        std::chrono::ceil<milliseconds>(until - std::chrono::steady_clock::now()).count();
    if (left <= 0) return Outcome::timed_out;
    time = static_cast<int>(std::min<std::int64_t>(left, 1 << 20));
  }
  pollfd waited = {descriptor_.get(), events, 0};
  (void)::poll(&waited, 1, time);
  return Outcome::done;
}

Socket::Outcome Socket::send(std::span<const std::byte> head, std::span<const std::byte> payload,
                             Time until, int passed) {
  iovec parts[2] = {{const_cast<std::byte*>(head.data()), head.size()},
                    {const_cast<std::byte*>(payload.data()), payload.size()}};
  msghdr message = {};
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof passed)] = {};
  if (passed >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof passed);
    std::memcpy(CMSG_DATA(header), &passed, sizeof passed);
  }
  for (;;) {
    if (::sendmsg(descriptor_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) {
      return Outcome::done;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return Outcome::closed;
    if (wait(POLLOUT, until) == Outcome::timed_out) return Outcome::timed_out;
  }
}

Socket::Outcome Socket::receive(Message& message, Time until, Descriptor* passed) {
  constexpr std::size_t most_head = std::max(sizeof(Request), sizeof(Reply));
  message.storage.resize(most_head + most_payload);
  iovec part = {message.storage.data(), message.storage.size()};
  for (;;) {
    msghdr header = {};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    const ssize_t bytes = ::recvmsg(descriptor_.get(), &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (bytes > 0) {
      message.bytes = static_cast<std::size_t>(bytes);
      const cmsghdr* const rights = CMSG_FIRSTHDR(&header);
      if (rights != nullptr && rights->cmsg_type == SCM_RIGHTS) {
        int number = -1;
        std::memcpy(&number, CMSG_DATA(rights), sizeof number);
        Descriptor taken(number);
        if (passed != nullptr) *passed = std::move(taken);
      }
      return Outcome::done;
    }
    if (bytes == 0) return Outcome::closed;
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return Outcome::closed;
    if (wait(POLLIN, until) == Outcome::timed_out) return Outcome::timed_out;
  }
}

bool Socket::is_closed_within(std::chrono::milliseconds time) const {
  pollfd waited = {descriptor_.get(), 0, 0};
  return ::poll(&waited, 1, static_cast<int>(time.count())) > 0;
}

}  // namespace warphive::hal::worker
