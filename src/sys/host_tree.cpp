// SPDX-License-Identifier: Apache-2.0
// A directory of the host as a tree. Only single components are ever handed to the kernel, relative
// to an open directory and without following links, so that nothing outside can be reached.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <limits>
#include <map>
#include <mutex>

#include "sys/tree.hpp"

namespace warphive::sys {
namespace {

NodeKind kind_of(mode_t mode) {
  if (S_ISREG(mode)) return NodeKind::file;
  if (S_ISDIR(mode)) return NodeKind::directory;
  if (S_ISLNK(mode)) return NodeKind::link;
  return NodeKind::other;
}

/// Opened on first use and shared: thousands of instances that read one file hold one descriptor.
class HostNode final : public Node, public std::enable_shared_from_this<HostNode> {
 public:
  HostNode(std::shared_ptr<const HostNode> parent, std::string name, NodeKind kind,
           std::uint64_t number, std::uint64_t bytes, std::string target)
      : Node(kind, number),
        parent_(std::move(parent)),
        name_(std::move(name)),
        bytes_(bytes),
        target_(std::move(target)) {}
  HostNode(int descriptor, std::uint64_t number)
      : Node(NodeKind::directory, number), descriptor_(descriptor) {}
  ~HostNode() override {
    const int descriptor = descriptor_.load(std::memory_order_relaxed);
    if (descriptor >= 0) ::close(descriptor);
  }

  int size(std::uint64_t& bytes) const override {
    bytes = 0;
    if (kind() == NodeKind::link) bytes = target_.size();
    if (kind() != NodeKind::file) return 0;
    bytes = bytes_;
    const int descriptor = descriptor_.load(std::memory_order_acquire);
    struct stat now{};
    if (descriptor >= 0 && ::fstat(descriptor, &now) == 0) {
      bytes = static_cast<std::uint64_t>(std::max<off_t>(now.st_size, 0));
    }
    return 0;
  }

  int read(std::uint64_t at, std::span<std::byte> to, std::size_t& count) const override {
    count = 0;
    if (kind() == NodeKind::directory) return EISDIR;
    if (kind() != NodeKind::file) return EACCES;
    int descriptor = -1;
    if (const int error = open(descriptor)) return error;
    while (count < to.size()) {
      constexpr auto last = static_cast<std::uint64_t>(std::numeric_limits<off_t>::max());
      if (at > last - count) break;
      const ssize_t got =
          ::pread(descriptor, to.data() + count, to.size() - count, static_cast<off_t>(at + count));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return errno;
      if (got == 0) break;
      count += static_cast<std::size_t>(got);
    }
    return 0;
  }

  int child(std::string_view name, NodePointer& found) const override {
    std::string key(name);
    {
      const std::scoped_lock lock(mutex_);
      const auto known = children_.find(key);
      if (known != children_.end()) {
        found = known->second.lock();
        if (found) return 0;
      }
    }
    int descriptor = -1;
    if (const int error = open(descriptor)) return error;
    struct stat status{};
    if (::fstatat(descriptor, key.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return errno;
    const NodeKind kind = kind_of(status.st_mode);
    std::string target;
    if (kind == NodeKind::link) {
      target.resize(max_path_bytes + 1);
      const ssize_t length = ::readlinkat(descriptor, key.c_str(), target.data(), target.size());
      if (length < 0) return errno;
      if (static_cast<std::size_t>(length) > max_path_bytes) return ENAMETOOLONG;
      target.resize(static_cast<std::size_t>(length));
    }
    auto made = std::make_shared<const HostNode>(
        shared_from_this(), key, kind, number_of(number(), name),
        static_cast<std::uint64_t>(std::max<off_t>(status.st_size, 0)), std::move(target));

    const std::scoped_lock lock(mutex_);
    if (children_.size() >= prune_at_) {
      std::erase_if(children_, [](const auto& entry) { return entry.second.expired(); });
      prune_at_ = std::max<std::size_t>(64, 2 * children_.size());
    }
    std::weak_ptr<const HostNode>& place = children_[std::move(key)];
    const auto earlier = place.lock();  // another thread may have been faster
    if (!earlier) place = made;
    found = earlier ? earlier : made;
    return 0;
  }

  int entries(std::shared_ptr<const std::vector<DirectoryEntry>>& list) const override {
    if (kind() != NodeKind::directory) return ENOTDIR;
    int descriptor = -1;
    if (const int error = open(descriptor)) return error;
    const std::scoped_lock lock(mutex_);
    if (!entries_) {
      auto made = std::make_shared<std::vector<DirectoryEntry>>();
      if (const int error = list_into(descriptor, *made)) return error;
      entries_ = std::move(made);
    }
    list = entries_;
    return 0;
  }

  std::string_view target() const override { return target_; }

 private:
  int open(int& descriptor) const {
    descriptor = descriptor_.load(std::memory_order_acquire);
    if (descriptor >= 0) return 0;
    int directory = -1;
    if (const int error = parent_->open(directory)) return error;
    const std::scoped_lock lock(mutex_);
    descriptor = descriptor_.load(std::memory_order_relaxed);
    if (descriptor >= 0) return 0;
    // O_NONBLOCK: should the file have become a pipe meanwhile, opening it must not wait.
    const int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY |
                      (kind() == NodeKind::directory ? O_DIRECTORY : 0);
    const int opened = ::openat(directory, name_.c_str(), flags);
    if (opened < 0) return errno;
    struct stat status{};
    if (::fstat(opened, &status) != 0 || kind_of(status.st_mode) != kind()) {
      ::close(opened);
      return EIO;
    }
    descriptor_.store(opened, std::memory_order_release);
    descriptor = opened;
    return 0;
  }

  int list_into(int descriptor, std::vector<DirectoryEntry>& list) const {
    const int own = ::openat(descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (own < 0) return errno;
    DIR* stream = ::fdopendir(own);
    if (stream == nullptr) {
      const int error = errno;
      ::close(own);
      return error;
    }
    int error = 0;
    while (true) {
      errno = 0;
      const dirent* entry = ::readdir(stream);
      if (entry == nullptr) {
        error = errno;
        break;
      }
      const std::string_view name = entry->d_name;
      if (name == "." || name == "..") continue;
      NodeKind kind = NodeKind::other;
      switch (entry->d_type) {
        case DT_REG:
          kind = NodeKind::file;
          break;
        case DT_DIR:
          kind = NodeKind::directory;
          break;
        case DT_LNK:
          kind = NodeKind::link;
          break;
        case DT_UNKNOWN: {
          struct stat status{};
          if (::fstatat(descriptor, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0) {
            kind = kind_of(status.st_mode);
          }
          break;
        }
        default:
          break;
      }
      list.push_back({std::string(name), kind, number_of(number(), name)});
    }
    ::closedir(stream);
    // The order of the file system differs between machines.
    std::sort(list.begin(), list.end(),
              [](const DirectoryEntry& a, const DirectoryEntry& b) { return a.name < b.name; });
    const std::uint64_t above = parent_ ? parent_->number() : number();
    list.insert(list.begin(),
                {{".", NodeKind::directory, number()}, {"..", NodeKind::directory, above}});
    return error;
  }

  std::shared_ptr<const HostNode> parent_;  // null for the root
  std::string name_;
  std::uint64_t bytes_ = 0;  // when it was found
  std::string target_;
  mutable std::atomic<int> descriptor_ = -1;
  mutable std::mutex mutex_;  // guards what follows, and opening
  mutable std::map<std::string, std::weak_ptr<const HostNode>> children_;
  mutable std::size_t prune_at_ = 64;
  mutable std::shared_ptr<const std::vector<DirectoryEntry>> entries_;
};

}  // namespace

int open_host_tree(const std::string& path, std::uint64_t number, NodePointer& root) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return errno;
  root = std::make_shared<const HostNode>(descriptor, number);
  return 0;
}

}  // namespace warphive::sys
