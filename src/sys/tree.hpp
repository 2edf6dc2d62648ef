// SPDX-License-Identifier: Apache-2.0
// Read-only file trees that guests see: directories of the host and files in memory, behind one
// interface, and the walk that resolves a guest's path inside one of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace warphive::sys {

enum class NodeKind : std::uint8_t { file, directory, link, other };

struct DirectoryEntry {
  std::string name;
  NodeKind kind = NodeKind::other;
  std::uint64_t number = 0;  // its Node::number
};

class Node;
using NodePointer = std::shared_ptr<const Node>;

/// A file, directory or symbolic link. Shared by all instances that have it open; thread-safe.
/// Functions return 0 or an errno of the host.
class Node {
 public:
  Node(NodeKind kind, std::uint64_t number) : kind_(kind), number_(number) {}
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;
  virtual ~Node() = default;

  [[nodiscard]] NodeKind kind() const { return kind_; }
  /// Stands for the inode number. A function of the path in the tree, so that guests see the same
  /// on every machine; hard links have different numbers.
  [[nodiscard]] std::uint64_t number() const { return number_; }

  /// Bytes of a file or of a link's target; 0 for others.
  virtual int size(std::uint64_t& bytes) const = 0;
  /// Of a file. Fewer bytes than asked for only at its end.
  virtual int read(std::uint64_t at, std::span<std::byte> to, std::size_t& count) const = 0;
  /// Of a directory: ENOENT where there is no such name. `name` is one component, not "." or "..".
  virtual int child(std::string_view name, NodePointer& found) const = 0;
  /// Of a directory: sorted by name, with "." and ".." first. The list is read once.
  virtual int entries(std::shared_ptr<const std::vector<DirectoryEntry>>& list) const = 0;
  /// Of a link.
  [[nodiscard]] virtual std::string_view target() const { return {}; }

  /// The number of a child: a hash of the path.
  static std::uint64_t number_of(std::uint64_t parent, std::string_view name);

 private:
  NodeKind kind_;
  std::uint64_t number_;
};

/// Opens a directory of the host as the root of a tree.
int open_host_tree(const std::string& path, std::uint64_t number, NodePointer& root);

struct TreeFile {
  std::string path;  // absolute
  std::string contents;
};
/// Makes a tree of files in memory; parents arise by themselves. `fault` says what is wrong where
/// the result is null.
NodePointer make_memory_tree(std::vector<TreeFile> files, std::uint64_t number, std::string& fault);

inline constexpr std::size_t max_path_bytes = 4096;
inline constexpr std::size_t max_name_bytes = 255;
inline constexpr std::uint32_t max_links_followed = 40;

enum class LastLink : std::uint8_t { follow, keep };

/// Resolves `path` below `root`, component by component. Links are followed where their target
/// stays below the root. EXDEV for what would leave it: absolute paths and targets, too many "..".
int walk(const NodePointer& root, std::string_view path, LastLink last, NodePointer& found);

}  // namespace warphive::sys
