// SPDX-License-Identifier: Apache-2.0
// What open files are: closing, renumbering, their kinds and rights, pre-opened names, listings.
#include <algorithm>

#include "sys/wasi/call.hpp"

namespace warphive::sys::wasi {

Errno fd_close(Call& call) {
  Descriptor* descriptor = call.world.find_mutable(call.host, call.u32(0));
  if (descriptor == nullptr) return Errno::badf;
  *descriptor = {};
  return Errno::success;
}

Errno fd_renumber(Call& call) {
  const std::uint32_t from = call.u32(0);
  const std::uint32_t to = call.u32(1);
  if (call.world.find(call.host, from) == nullptr || call.world.find(call.host, to) == nullptr) {
    return Errno::badf;
  }
  if (from == to) return Errno::success;
  std::vector<Descriptor>& table = call.world.descriptors(call.host);
  table[to] = std::move(table[from]);
  table[from] = {};
  return Errno::success;
}

Errno fd_fdstat_get(Call& call) {
  const Opened file = opened(call, call.u32(0), 0);
  if (file.error != Errno::success) return file.error;
  Record<fdstat_bytes> record;
  record.put(0, type_of(call.world, *file.descriptor));
  record.put(2, file.descriptor->flags);
  record.put(8, file.descriptor->rights);
  record.put(16, file.descriptor->inheriting);
  return call.store_bytes(call.u32(1), record.view());
}

Errno fd_fdstat_set_flags(Call& call) {
  const Opened file = opened(call, call.u32(0), rights::fd_fdstat_set_flags);
  if (file.error != Errno::success) return file.error;
  const std::uint32_t flags = call.u32(1);
  if ((flags & ~fdflags_all) != 0) return Errno::inval;
  if ((flags & ~(fdflag_append | fdflag_nonblock)) != 0) return Errno::notsup;
  // Reported back and without effect: nothing appends, and what blocks is the host's business.
  if (flags != file.descriptor->flags) {
    call.world.find_mutable(call.host, call.u32(0))->flags = static_cast<std::uint16_t>(flags);
  }
  return Errno::success;
}

Errno fd_fdstat_set_rights(Call& call) {
  const Opened file = opened(call, call.u32(0), 0);
  if (file.error != Errno::success) return file.error;
  const Rights base = call.u64(1);
  const Rights inheriting = call.u64(2);
  if ((base & ~file.descriptor->rights) != 0 || (inheriting & ~file.descriptor->inheriting) != 0) {
    return Errno::notcapable;
  }
  Descriptor& descriptor = *call.world.find_mutable(call.host, call.u32(0));
  descriptor.rights = base;
  descriptor.inheriting = inheriting;
  return Errno::success;
}

Errno fd_filestat_get(Call& call) {
  const Opened file = opened(call, call.u32(0), rights::fd_filestat_get);
  if (file.error != Errno::success) return file.error;
  if (file.descriptor->kind == Descriptor::Kind::node) {
    return store_filestat(call, call.u32(1), *file.descriptor->node);
  }
  return store_filestat(call, call.u32(1), type_of(call.world, *file.descriptor), 0, 0);
}

Errno fd_prestat_get(Call& call) {
  const Opened file = opened(call, call.u32(0), 0);
  if (file.error != Errno::success) return file.error;
  if (file.descriptor->preopen >= call.world.preopens.size()) return Errno::badf;
  Record<prestat_bytes> record;  // tag 0: a directory
  record.put(4, static_cast<std::uint32_t>(call.world.preopens[file.descriptor->preopen].size()));
  return call.store_bytes(call.u32(1), record.view());
}

Errno fd_prestat_dir_name(Call& call) {
  const Opened file = opened(call, call.u32(0), 0);
  if (file.error != Errno::success) return file.error;
  if (file.descriptor->preopen >= call.world.preopens.size()) return Errno::badf;
  const std::string& name = call.world.preopens[file.descriptor->preopen];
  if (call.u32(2) < name.size()) return Errno::nametoolong;
  return call.store_bytes(call.u32(1), std::as_bytes(std::span(name)));
}

Errno fd_readdir(Call& call) {
  const Opened file = opened(call, call.u32(0), 0);
  if (file.error != Errno::success) return file.error;
  if (file.descriptor->kind != Descriptor::Kind::node ||
      file.descriptor->node->kind() != NodeKind::directory) {
    return Errno::notdir;
  }
  if ((file.descriptor->rights & rights::fd_readdir) == 0) return Errno::notcapable;
  const std::uint64_t buffer = call.u32(1);
  const std::uint32_t capacity = call.u32(2);
  const std::uint64_t cookie = call.u64(3);
  if (!call.covers(buffer, capacity) || !call.covers(call.u32(4), 4)) return Errno::fault;

  std::shared_ptr<const std::vector<DirectoryEntry>> list;
  if (const int error = file.descriptor->node->entries(list)) return from_host_errno(error);
  std::uint32_t used = 0;
  // A full buffer says that there is more, even if the last entry was cut: the guest then asks
  // again from that entry's cookie.
  for (std::uint64_t i = cookie; i < list->size() && used < capacity; ++i) {
    const DirectoryEntry& entry = (*list)[static_cast<std::size_t>(i)];
    Record<dirent_bytes> record;
    record.put(0, i + 1);
    record.put(8, entry.number);
    record.put(16, static_cast<std::uint32_t>(entry.name.size()));
    record.put(20, type_of(entry.kind));
    for (const auto bytes : {record.view(), std::as_bytes(std::span(entry.name))}) {
      const auto part = bytes.first(std::min<std::size_t>(bytes.size(), capacity - used));
      const Errno error = call.store_bytes(buffer + used, part);
      if (error != Errno::success) return error;
      used += static_cast<std::uint32_t>(part.size());
    }
  }
  return call.store(call.u32(4), used);
}

}  // namespace warphive::sys::wasi
