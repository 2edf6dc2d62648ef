// SPDX-License-Identifier: Apache-2.0
#include "sys/tree.hpp"

#include <cerrno>

namespace warphive::sys {

std::uint64_t Node::number_of(std::uint64_t parent, std::string_view name) {
  constexpr std::uint64_t prime = 0x100000001b3;  // FNV-1a
  std::uint64_t hash = (parent ^ '/') * prime;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * prime;
  return hash == 0 ? 1 : hash;  // libraries take 0 for "unknown"
}

int walk(const NodePointer& root, std::string_view path, LastLink last, NodePointer& found) {
  if (path.empty()) return ENOENT;
  if (path.size() > max_path_bytes) return ENAMETOOLONG;
  if (path.find('\0') != std::string_view::npos) return EINVAL;
  if (path.front() == '/') return EXDEV;

  std::vector<NodePointer> chain{root};  // from the root to where we are
  std::string expanded;                  // what is left of the path once a link was followed
  std::string_view rest = path;
  std::uint32_t links = 0;
  while (!rest.empty()) {
    const std::size_t slash = rest.find('/');
    const std::string_view name = rest.substr(0, slash);
    const bool must_be_directory = slash != std::string_view::npos;
    const std::string_view after = must_be_directory ? rest.substr(slash + 1) : std::string_view{};
    const bool is_last = after.find_first_not_of('/') == std::string_view::npos;

    if (chain.back()->kind() != NodeKind::directory) return ENOTDIR;
    if (name.empty() || name == ".") {
      rest = after;
      continue;
    }
    if (name == "..") {
      if (chain.size() == 1) return EXDEV;
      chain.pop_back();
      rest = after;
      continue;
    }
    if (name.size() > max_name_bytes) return ENAMETOOLONG;
    NodePointer node;
    if (const int error = chain.back()->child(name, node)) return error;
    if (node->kind() == NodeKind::link &&
        (!is_last || must_be_directory || last == LastLink::follow)) {
      if (++links > max_links_followed) return ELOOP;
      const std::string_view target = node->target();
      if (target.empty()) return ENOENT;
      if (target.front() == '/') return EXDEV;
      std::string next(target);
      if (must_be_directory) next.append("/").append(after);
      if (next.size() > 2 * max_path_bytes) return ENAMETOOLONG;
      expanded = std::move(next);  // `rest` may lie in the old string, which is no longer needed
      rest = expanded;
      continue;
    }
    if (must_be_directory && node->kind() != NodeKind::directory) return ENOTDIR;
    chain.push_back(std::move(node));
    rest = after;
  }
  found = std::move(chain.back());
  return 0;
}

}  // namespace warphive::sys
