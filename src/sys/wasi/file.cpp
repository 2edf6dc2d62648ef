// SPDX-License-Identifier: Apache-2.0
// Reading, writing and positions of open files.
#include <algorithm>
#include <cerrno>

#include "sys/wasi/call.hpp"

namespace warphive::sys::wasi {
namespace {

constexpr std::uint64_t max_position = std::numeric_limits<std::int64_t>::max();

bool is_file(const Descriptor& descriptor) {
  return descriptor.kind == Descriptor::Kind::node && descriptor.node->kind() == NodeKind::file;
}

// What a call that needs a regular file answers for anything else.
Errno refuse_non_file(const Descriptor& descriptor, Errno for_directory) {
  if (descriptor.kind != Descriptor::Kind::node) return Errno::spipe;
  return descriptor.node->kind() == NodeKind::directory ? for_directory : Errno::inval;
}

// Fills the vectors from `read(at, to, count)`, piece by piece, until one comes back short.
template <class Read>
Errno scatter(Call& call, const Vectors& vectors, Read read, std::uint32_t& total) {
  total = 0;
  std::byte piece[piece_bytes];
  std::uint64_t left = std::min<std::uint64_t>(vectors.total, transfer_bytes);
  for (std::uint32_t i = 0; i < vectors.count && left != 0; ++i) {
    const Vectors::Range range = vectors.ranges[i];
    for (std::uint32_t done = 0; done < range.bytes && left != 0;) {
      const auto wanted = std::span(piece).first(static_cast<std::size_t>(
          std::min({left, std::uint64_t{range.bytes} - done, std::uint64_t{piece_bytes}})));
      std::size_t count = 0;
      if (const int error = read(total, wanted, count)) {
        return total == 0 ? from_host_errno(error) : Errno::success;
      }
      const Errno error =
          call.store_bytes(std::uint64_t{range.address} + done, wanted.first(count));
      if (error != Errno::success) return error;
      total += static_cast<std::uint32_t>(count);
      done += static_cast<std::uint32_t>(count);
      left -= count;
      if (count != wanted.size()) return Errno::success;
    }
  }
  return Errno::success;
}

Errno scatter_file(Call& call, const Vectors& vectors, const Node& node, std::uint64_t position,
                   std::uint32_t& total) {
  return scatter(
      call, vectors,
      [&](std::uint64_t done, std::span<std::byte> to, std::size_t& count) {
        return node.read(position + done, to, count);
      },
      total);
}

}  // namespace

Errno fd_read(Call& call) {
  const Opened file = opened(call, call.u32(0), 0);
  if (file.error != Errno::success) return file.error;
  const Descriptor::Kind kind = file.descriptor->kind;
  if (kind == Descriptor::Kind::output || kind == Descriptor::Kind::error) return Errno::badf;
  if (kind == Descriptor::Kind::node && !is_file(*file.descriptor)) return Errno::isdir;
  if ((file.descriptor->rights & rights::fd_read) == 0) return Errno::notcapable;
  Vectors vectors;
  if (const Errno error = load_vectors(call, call.u32(1), call.u32(2), vectors);
      error != Errno::success) {
    return error;
  }
  if (!call.covers(call.u32(3), 4)) return Errno::fault;

  std::uint32_t total = 0;
  if (kind == Descriptor::Kind::input) {
    const auto read = [&](std::uint64_t done, std::span<std::byte> to, std::size_t& count) {
      // Once there is something, a terminal is not waited for again.
      if (done != 0 && call.world.input_is_terminal()) return 0;
      return call.world.read_input(call.host, to, count);
    };
    if (const Errno error = scatter(call, vectors, read, total); error != Errno::success) {
      return error;
    }
  } else {
    const Errno error =
        scatter_file(call, vectors, *file.descriptor->node, file.descriptor->position, total);
    if (error != Errno::success) return error;
    if (total != 0) call.world.find_mutable(call.host, call.u32(0))->position += total;
  }
  return call.store(call.u32(3), total);
}

Errno fd_pread(Call& call) {
  const Opened file = opened(call, call.u32(0), 0);
  if (file.error != Errno::success) return file.error;
  if (!is_file(*file.descriptor)) return refuse_non_file(*file.descriptor, Errno::isdir);
  if ((file.descriptor->rights & rights::fd_read) == 0) return Errno::notcapable;
  const std::uint64_t position = call.u64(3);
  Vectors vectors;
  if (const Errno error = load_vectors(call, call.u32(1), call.u32(2), vectors);
      error != Errno::success) {
    return error;
  }
  if (!call.covers(call.u32(4), 4)) return Errno::fault;
  if (position > max_position) return Errno::inval;
  std::uint32_t total = 0;
  if (const Errno error = scatter_file(call, vectors, *file.descriptor->node, position, total);
      error != Errno::success) {
    return error;
  }
  return call.store(call.u32(4), total);
}

Errno fd_write(Call& call) {
  const Opened file = opened(call, call.u32(0), 0);
  if (file.error != Errno::success) return file.error;
  const Descriptor::Kind kind = file.descriptor->kind;
  if (kind == Descriptor::Kind::node) {
    return file.descriptor->node->kind() == NodeKind::directory ? Errno::isdir : Errno::rofs;
  }
  if (kind == Descriptor::Kind::input) return Errno::badf;
  if ((file.descriptor->rights & rights::fd_write) == 0) return Errno::notcapable;
  Vectors vectors;
  if (const Errno error = load_vectors(call, call.u32(1), call.u32(2), vectors);
      error != Errno::success) {
    return error;
  }
  if (!call.covers(call.u32(3), 4)) return Errno::fault;

  const Stream stream = kind == Descriptor::Kind::output ? Stream::out : Stream::err;
  // What does not fit into an output range is dropped, which costs nothing; a real write may block.
  std::uint64_t left = call.world.options.pass_through
                           ? std::min<std::uint64_t>(vectors.total, transfer_bytes)
                           : vectors.total;
  std::uint64_t total = 0;
  for (std::uint32_t i = 0; i < vectors.count && left != 0; ++i) {
    const Vectors::Range range = vectors.ranges[i];
    const std::uint64_t bytes = std::min<std::uint64_t>(left, range.bytes);
    std::uint64_t taken = 0;
    if (const int error = call.world.emit_guest(call.host, stream, range.address, bytes, taken)) {
      total += taken;
      if (total == 0) return from_host_errno(error);
      break;
    }
    total += bytes;  // also what was dropped: the guest goes on as if it were written
    left -= bytes;
  }
  return call.store(call.u32(3), static_cast<std::uint32_t>(total));
}

Errno fd_pwrite(Call& call) {
  const Opened file = opened(call, call.u32(0), 0);
  if (file.error != Errno::success) return file.error;
  return is_file(*file.descriptor) ? Errno::rofs : refuse_non_file(*file.descriptor, Errno::isdir);
}

Errno fd_seek(Call& call) {
  const Opened file = opened(call, call.u32(0), 0);
  if (file.error != Errno::success) return file.error;
  if (!is_file(*file.descriptor)) return refuse_non_file(*file.descriptor, Errno::badf);
  // Without the right to move, a file may still be asked where it is.
  const std::uint32_t whence = call.u32(2);
  const bool asks = whence == whence_cur && call.u64(1) == 0;
  const Rights needed = asks ? rights::fd_tell : rights::fd_seek;
  if ((file.descriptor->rights & needed) == 0) return Errno::notcapable;
  if (!call.covers(call.u32(3), 8)) return Errno::fault;

  std::uint64_t from = 0;
  switch (whence) {
    case whence_set:
      break;
    case whence_cur:
      from = file.descriptor->position;
      break;
    case whence_end:
      if (const int error = file.descriptor->node->size(from)) return from_host_errno(error);
      break;
    default:
      return Errno::inval;
  }
  // Both are below 2^63, so their sum fits 64 bits without a sign: negative sums look too large.
  const std::uint64_t position = std::min(from, max_position) + call.u64(1);
  if (position > max_position) return Errno::inval;
  if (!asks) call.world.find_mutable(call.host, call.u32(0))->position = position;
  return call.store(call.u32(3), position);
}

Errno fd_tell(Call& call) {
  const Opened file = opened(call, call.u32(0), 0);
  if (file.error != Errno::success) return file.error;
  if (!is_file(*file.descriptor)) return refuse_non_file(*file.descriptor, Errno::badf);
  if ((file.descriptor->rights & rights::fd_tell) == 0) return Errno::notcapable;
  return call.store(call.u32(1), file.descriptor->position);
}

Errno fd_advise(Call& call) {
  const Opened file = opened(call, call.u32(0), 0);
  if (file.error != Errno::success) return file.error;
  if (!is_file(*file.descriptor)) return refuse_non_file(*file.descriptor, Errno::badf);
  if (call.u32(3) >= advice_count) return Errno::inval;
  return Errno::success;
}

Errno fd_sync(Call& call) { return opened(call, call.u32(0), 0).error; }

Errno fd_datasync(Call& call) { return opened(call, call.u32(0), 0).error; }

Errno fd_allocate(Call& call) {
  const Opened file = opened(call, call.u32(0), 0);
  if (file.error != Errno::success) return file.error;
  return is_file(*file.descriptor) ? Errno::rofs : refuse_non_file(*file.descriptor, Errno::badf);
}

Errno fd_filestat_set_size(Call& call) {
  const Opened file = opened(call, call.u32(0), 0);
  if (file.error != Errno::success) return file.error;
  return is_file(*file.descriptor) ? Errno::rofs : Errno::inval;
}

Errno fd_filestat_set_times(Call& call) {
  const Opened file = opened(call, call.u32(0), 0);
  if (file.error != Errno::success) return file.error;
  return file.descriptor->kind == Descriptor::Kind::node ? Errno::rofs : Errno::inval;
}

}  // namespace warphive::sys::wasi
