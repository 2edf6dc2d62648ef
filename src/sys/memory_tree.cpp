// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>

#include "sys/tree.hpp"

namespace warphive::sys {
namespace {

/// Built by make_memory_tree, then read-only.
class MemoryNode final : public Node {
 public:
  MemoryNode(NodeKind kind, std::uint64_t number, std::uint64_t parent, std::string contents)
      : Node(kind, number), parent_(parent), contents_(std::move(contents)) {}

  int size(std::uint64_t& bytes) const override {
    bytes = contents_.size();
    return 0;
  }
  int read(std::uint64_t at, std::span<std::byte> to, std::size_t& count) const override {
    count = 0;
    if (kind() == NodeKind::directory) return EISDIR;
    if (at >= contents_.size()) return 0;
    count = std::min(to.size(), contents_.size() - static_cast<std::size_t>(at));
    if (count != 0) std::memcpy(to.data(), contents_.data() + at, count);
    return 0;
  }
  int child(std::string_view name, NodePointer& found) const override {
    const auto known = children_.find(name);
    if (known == children_.end()) return ENOENT;
    found = known->second;
    return 0;
  }
  int entries(std::shared_ptr<const std::vector<DirectoryEntry>>& list) const override {
    if (kind() != NodeKind::directory) return ENOTDIR;
    list = entries_;
    return 0;
  }

  /// The child directory of that name, made if needed; null where the name is a file's.
  std::shared_ptr<MemoryNode> make_directory(std::string_view name) {
    const auto known = children_.find(name);
    if (known != children_.end()) {
      return known->second->kind() == NodeKind::directory ? known->second : nullptr;
    }
    return add(NodeKind::directory, name, {});
  }
  /// False where the name is taken.
  bool add_file(std::string_view name, std::string contents) {
    if (children_.contains(name)) return false;
    add(NodeKind::file, name, std::move(contents));
    return true;
  }
  void list_children() {
    auto list = std::make_shared<std::vector<DirectoryEntry>>();
    list->push_back({".", NodeKind::directory, number()});
    list->push_back({"..", NodeKind::directory, parent_});
    for (const auto& [name, node] : children_) {
      list->push_back({name, node->kind(), node->number()});
      if (node->kind() == NodeKind::directory) node->list_children();
    }
    entries_ = std::move(list);
  }

 private:
  std::shared_ptr<MemoryNode> add(NodeKind kind, std::string_view name, std::string contents) {
    auto made = std::make_shared<MemoryNode>(kind, number_of(number(), name), number(),
                                             std::move(contents));
    children_.emplace(std::string(name), made);
    return made;
  }

  std::uint64_t parent_;  // its number
  std::string contents_;
  std::map<std::string, std::shared_ptr<MemoryNode>, std::less<>> children_;
  std::shared_ptr<const std::vector<DirectoryEntry>> entries_;
};

}  // namespace

NodePointer make_memory_tree(std::vector<TreeFile> files, std::uint64_t number,
                             std::string& fault) {
  auto root = std::make_shared<MemoryNode>(NodeKind::directory, number, number, std::string());
  for (TreeFile& file : files) {
    std::string_view rest = file.path;
    const auto refuse = [&](std::string_view why) {
      fault = fmt::format("Path of the in-memory file ({}) {}.", file.path, why);
      return NodePointer();
    };
    if (!rest.starts_with('/')) return refuse("is not absolute");
    if (rest.size() > max_path_bytes) return refuse("is longer than 4096 bytes");
    if (rest.find('\0') != std::string_view::npos) return refuse("has a zero byte");
    std::shared_ptr<MemoryNode> at = root;
    rest.remove_prefix(1);
    while (true) {
      const std::size_t slash = rest.find('/');
      const std::string_view name = rest.substr(0, slash);
      if (name.empty() || name == "." || name == "..") {
        return refuse("has an empty, \".\" or \"..\" component");
      }
      if (name.size() > max_name_bytes) return refuse("has a name longer than 255 bytes");
      if (slash == std::string_view::npos) {
        if (!at->add_file(name, std::move(file.contents))) return refuse("is taken");
        break;
      }
      at = at->make_directory(name);
      if (!at) return refuse("goes through a file");
      rest.remove_prefix(slash + 1);
    }
  }
  root->list_children();
  return root;
}

}  // namespace warphive::sys
