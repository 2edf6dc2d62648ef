// SPDX-License-Identifier: Apache-2.0
// Calls about paths. The tree is read-only: what would change it gets EROFS once its arguments make
// sense.
#include <algorithm>
#include <cerrno>

#include "sys/wasi/call.hpp"

namespace warphive::sys::wasi {
namespace {

// A directory that paths can be resolved in.
Errno open_base(const Call& call, std::uint32_t fd, Rights needed, NodePointer& base) {
  const Opened directory = opened(call, fd, 0);
  if (directory.error != Errno::success) return directory.error;
  if (directory.descriptor->kind != Descriptor::Kind::node ||
      directory.descriptor->node->kind() != NodeKind::directory) {
    return Errno::notdir;
  }
  if ((directory.descriptor->rights & needed) != needed) return Errno::notcapable;
  base = directory.descriptor->node;
  return Errno::success;
}

// For calls whose first arguments are a directory, [flags,] a path and its length.
Errno resolve(const Call& call, std::size_t path_argument, Rights needed, LastLink last,
              NodePointer& found) {
  NodePointer base;
  if (const Errno error = open_base(call, call.u32(0), needed, base); error != Errno::success) {
    return error;
  }
  std::string path;
  if (const Errno error =
          load_path(call, call.u32(path_argument), call.u32(path_argument + 1), path);
      error != Errno::success) {
    return error;
  }
  return from_host_errno(walk(base, path, last, found));
}

LastLink last_link(std::uint32_t lookup_flags) {
  return (lookup_flags & lookup_symlink_follow) != 0 ? LastLink::follow : LastLink::keep;
}

// A path that names what a call would change.
Errno refuse_change(const Call& call, std::uint32_t fd, std::size_t path_argument) {
  NodePointer base;
  if (const Errno error = open_base(call, fd, 0, base); error != Errno::success) return error;
  std::string path;
  return load_path(call, call.u32(path_argument), call.u32(path_argument + 1), path);
}

Errno or_rofs(Errno error) { return error == Errno::success ? Errno::rofs : error; }

}  // namespace

Errno path_open(Call& call) {
  const std::uint32_t oflags = call.u32(4);
  const Rights wanted = call.u64(5);
  const Rights wanted_inheriting = call.u64(6);
  const std::uint32_t fdflags = call.u32(7);
  if (!call.covers(call.u32(8), 4)) return Errno::fault;

  NodePointer node;
  const Errno resolved = resolve(call, 2, rights::path_open, last_link(call.u32(1)), node);
  if ((oflags & ~oflags_all) != 0 || (fdflags & ~fdflags_all) != 0) return Errno::inval;
  if (resolved == Errno::noent && (oflags & oflag_creat) != 0) return Errno::rofs;
  if (resolved != Errno::success) return resolved;
  if ((oflags & oflag_creat) != 0 && (oflags & oflag_excl) != 0) return Errno::exist;
  const bool modifies = (wanted & rights::that_modify) != 0 || (oflags & oflag_trunc) != 0;
  switch (node->kind()) {
    case NodeKind::directory:
      if (modifies) return Errno::isdir;
      break;
    case NodeKind::file:
      if ((oflags & oflag_directory) != 0) return Errno::notdir;
      if (modifies) return Errno::rofs;
      break;
    case NodeKind::link:
      return (oflags & oflag_directory) != 0 ? Errno::notdir : Errno::loop;
    case NodeKind::other:
      return Errno::acces;  // opening a pipe or device could wait or act
  }
  // A file that the host does not let us read must fail here, not at the first read.
  std::size_t none = 0;
  if (node->kind() == NodeKind::file) {
    std::byte probe[1];
    if (const int error = node->read(0, std::span(probe).first(0), none)) {
      return from_host_errno(error);
    }
  }

  const Rights inherited = call.world.find(call.host, call.u32(0))->inheriting;
  Descriptor opened_file;
  opened_file.kind = Descriptor::Kind::node;
  opened_file.flags = static_cast<std::uint16_t>(fdflags);
  const bool is_directory = node->kind() == NodeKind::directory;
  opened_file.rights = wanted & inherited & (is_directory ? rights::of_directory : rights::of_file);
  opened_file.inheriting = is_directory ? wanted_inheriting & inherited : 0;
  opened_file.node = std::move(node);

  std::vector<Descriptor>& table = call.world.descriptors(call.host);
  const auto free = std::find_if(table.begin(), table.end(), [](const Descriptor& descriptor) {
    return descriptor.kind == Descriptor::Kind::closed;
  });
  const auto fd = static_cast<std::uint32_t>(free - table.begin());
  if (free != table.end()) {
    *free = std::move(opened_file);
  } else if (table.size() < max_descriptors) {
    table.push_back(std::move(opened_file));
  } else {
    return Errno::mfile;
  }
  return call.store(call.u32(8), fd);
}

Errno path_filestat_get(Call& call) {
  NodePointer node;
  const Errno error = resolve(call, 2, rights::path_filestat_get, last_link(call.u32(1)), node);
  return error == Errno::success ? store_filestat(call, call.u32(4), *node) : error;
}

Errno path_readlink(Call& call) {
  NodePointer node;
  const Errno error = resolve(call, 1, rights::path_readlink, LastLink::keep, node);
  if (error != Errno::success) return error;
  if (node->kind() != NodeKind::link) return Errno::inval;
  const std::string_view target = node->target();
  const auto bytes =
      std::as_bytes(std::span(target)).first(std::min<std::size_t>(target.size(), call.u32(4)));
  if (!call.covers(call.u32(5), 4)) return Errno::fault;
  if (const Errno stored = call.store_bytes(call.u32(3), bytes); stored != Errno::success) {
    return stored;
  }
  return call.store(call.u32(5), static_cast<std::uint32_t>(bytes.size()));
}

Errno path_create_directory(Call& call) { return or_rofs(refuse_change(call, call.u32(0), 1)); }

Errno path_remove_directory(Call& call) { return or_rofs(refuse_change(call, call.u32(0), 1)); }

Errno path_unlink_file(Call& call) { return or_rofs(refuse_change(call, call.u32(0), 1)); }

Errno path_filestat_set_times(Call& call) { return or_rofs(refuse_change(call, call.u32(0), 2)); }

Errno path_link(Call& call) {
  const Errno error = refuse_change(call, call.u32(0), 2);
  return error == Errno::success ? or_rofs(refuse_change(call, call.u32(4), 5)) : error;
}

Errno path_rename(Call& call) {
  const Errno error = refuse_change(call, call.u32(0), 1);
  return error == Errno::success ? or_rofs(refuse_change(call, call.u32(3), 4)) : error;
}

Errno path_symlink(Call& call) {
  std::string target;
  const Errno error = load_path(call, call.u32(0), call.u32(1), target);
  return error == Errno::success ? or_rofs(refuse_change(call, call.u32(2), 3)) : error;
}

}  // namespace warphive::sys::wasi
