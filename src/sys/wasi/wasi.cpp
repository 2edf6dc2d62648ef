// SPDX-License-Identifier: Apache-2.0
// Registration of the table of calls, and what the functions share.
#include <cerrno>
#include <string_view>

#include "base/result.hpp"
#include "sys/wasi/call.hpp"

namespace warphive::sys {
namespace wasi {

Errno from_host_errno(int host_errno) {
  switch (host_errno) {
    case 0:
      return Errno::success;
    case EACCES:
      return Errno::acces;
    case EAGAIN:
      return Errno::again;
    case EBADF:
      return Errno::badf;
    case EEXIST:
      return Errno::exist;
    case EFAULT:
      return Errno::fault;
    case EINTR:
      return Errno::intr;
    case EINVAL:
      return Errno::inval;
    case EISDIR:
      return Errno::isdir;
    case ELOOP:
      return Errno::loop;
    case EMFILE:
    case ENFILE:
      return Errno::nfile;  // the host's limit, not the instance's
    case ENAMETOOLONG:
      return Errno::nametoolong;
    case ENOENT:
      return Errno::noent;
    case ENOMEM:
      return Errno::nomem;
    case ENOSPC:
      return Errno::nospc;
    case ENOTDIR:
      return Errno::notdir;
    case EOVERFLOW:
      return Errno::overflow;
    case EPERM:
      return Errno::perm;
    case EPIPE:
      return Errno::pipe;
    case EROFS:
      return Errno::rofs;
    case ESPIPE:
      return Errno::spipe;
    case EXDEV:
      return Errno::notcapable;  // walk(): the path leaves its tree
    default:
      return Errno::io;
  }
}

Opened opened(const Call& call, std::uint32_t fd, Rights needed) {
  const Descriptor* descriptor = call.world.find(call.host, fd);
  if (descriptor == nullptr) return {Errno::badf, nullptr};
  if ((descriptor->rights & needed) != needed) return {Errno::notcapable, descriptor};
  return {Errno::success, descriptor};
}

Errno load_path(const Call& call, std::uint64_t address, std::uint64_t bytes, std::string& path) {
  if (!call.covers(address, bytes)) return Errno::fault;
  if (bytes > max_path_bytes) return Errno::nametoolong;
  path.resize(static_cast<std::size_t>(bytes));
  return call.load_bytes(address, std::as_writable_bytes(std::span(path)));
}

Errno load_vectors(const Call& call, std::uint64_t address, std::uint32_t count, Vectors& vectors) {
  static_assert(sizeof(Vectors::Range) == iovec_bytes);
  if (count > Vectors::max_count) return Errno::inval;
  const auto ranges = std::span(vectors.ranges).first(count);
  if (const Errno error = call.load_bytes(address, std::as_writable_bytes(ranges));
      error != Errno::success) {
    return error;
  }
  vectors.count = count;
  vectors.total = 0;
  for (const Vectors::Range& range : ranges) {
    if (!call.covers(range.address, range.bytes)) return Errno::fault;
    vectors.total += range.bytes;
  }
  // The count of bytes is returned in 32 bits.
  return vectors.total > std::numeric_limits<std::uint32_t>::max() ? Errno::inval : Errno::success;
}

FileType type_of(NodeKind kind) {
  switch (kind) {
    case NodeKind::file:
      return FileType::regular_file;
    case NodeKind::directory:
      return FileType::directory;
    case NodeKind::link:
      return FileType::symbolic_link;
    case NodeKind::other:
      return FileType::unknown;
  }
  return FileType::unknown;
}

FileType type_of(const World& world, const Descriptor& descriptor) {
  switch (descriptor.kind) {
    case Descriptor::Kind::node:
      return type_of(descriptor.node->kind());
    case Descriptor::Kind::output:
      return world.is_terminal[0] ? FileType::character_device : FileType::unknown;
    case Descriptor::Kind::error:
      return world.is_terminal[1] ? FileType::character_device : FileType::unknown;
    case Descriptor::Kind::input:
    case Descriptor::Kind::closed:
      return FileType::unknown;
  }
  return FileType::unknown;
}

Errno store_filestat(Call& call, std::uint64_t address, FileType type, std::uint64_t number,
                     std::uint64_t size) {
  Record<filestat_bytes> record;
  record.put(8, number);
  record.put(16, type);
  record.put(24, std::uint64_t{1});  // links
  record.put(32, size);
  for (const std::size_t time : {40u, 48u, 56u})
    record.put(time, call.world.options.clock_start_ns);
  return call.store_bytes(address, record.view());
}

Errno store_filestat(Call& call, std::uint64_t address, const Node& node) {
  std::uint64_t size = 0;
  if (const int error = node.size(size)) return from_host_errno(error);
  return store_filestat(call, address, type_of(node.kind()), node.number(), size);
}

namespace {

using Function = Errno (*)(Call&);

Errno refused(Call&) { return Errno::nosys; }

struct Row {
  std::string_view name;
  std::string_view parameters;
  Function function;
  GuestReads reads;
};

constexpr GuestReads reads_items(std::uint8_t pointer, std::uint8_t count, std::uint16_t bytes) {
  return {pointer, count, bytes, false};
}
constexpr GuestReads reads_vectors(std::uint8_t pointer, std::uint8_t count) {
  return {pointer, count, iovec_bytes, true};
}

constexpr Row rows[] = {
#define WARPHIVE_WASI(name, parameters, ...) {#name, parameters, name, GuestReads{__VA_ARGS__}},
#define WARPHIVE_WASI_REFUSED(name, parameters) {#name, parameters, refused, {}},
#include "sys/wasi/calls.inc"
};

ir::FunctionType signature_of(const Row& row) {
  ir::FunctionType type;
  for (const char letter : row.parameters) {
    type.params.push_back(letter == 'I' ? ir::ValueType::i64 : ir::ValueType::i32);
  }
  if (row.function != proc_exit) type.results.push_back(ir::ValueType::i32);
  return type;
}

}  // namespace
}  // namespace wasi

namespace {

DeviceService device_service(const World& world, wasi::Function function) {
  if (function == wasi::clock_time_get) {
    return world.device_service(kernels::Service::clock_time_get);
  }
  if (function == wasi::random_get) return world.device_service(kernels::Service::random_get);
  if (function == wasi::fd_write) return world.device_service(kernels::Service::fd_write);
  return {};
}

}  // namespace

Status register_wasi(World& world, HostRegistry& registry) {
  for (const wasi::Row& row : wasi::rows) {
    const wasi::Function function = row.function;
    const auto serve = [&world, function](std::span<HostCall> calls) {
      for (HostCall& host : calls) {
        wasi::Call call(world, host);
        const wasi::Errno error = function(call);
        if (host.verdict == abi::Exit::ready) host.values[0] = static_cast<std::uint64_t>(error);
      }
    };
    WARPHIVE_TRY(
        registry.add({"wasi_snapshot_preview1", std::string(row.name), wasi::signature_of(row),
                      serve, row.reads, device_service(world, function)}));
  }
  return {};
}

}  // namespace warphive::sys
