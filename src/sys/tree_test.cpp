// SPDX-License-Identifier: Apache-2.0
#include "sys/tree.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>

#include "sys/fake_guest.hpp"

namespace warphive::sys {
namespace {

namespace fs = std::filesystem;

std::string read_all(const NodePointer& node) {
  std::uint64_t size = 0;
  EXPECT_EQ(node->size(size), 0);
  std::string text(size + 1, '?');
  std::size_t count = 0;
  EXPECT_EQ(node->read(0, std::as_writable_bytes(std::span(text)), count), 0);
  text.resize(count);
  return text;
}

std::vector<std::string> names_of(const NodePointer& node) {
  std::shared_ptr<const std::vector<DirectoryEntry>> list;
  EXPECT_EQ(node->entries(list), 0);
  std::vector<std::string> names;
  for (const DirectoryEntry& entry : *list) names.push_back(entry.name);
  return names;
}

// The same tree on the host and in memory: a/b/deep, a/note, top.
class Trees : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    directory_.file("a/b/deep", "deep\n");
    directory_.file("a/note", "a note");
    directory_.file("top", "");
    if (GetParam()) {
      ASSERT_EQ(open_host_tree(directory_.path(), 7, root_), 0);
    } else {
      std::string fault;
      root_ = make_memory_tree({{"/a/b/deep", "deep\n"}, {"/top", ""}, {"/a/note", "a note"}}, 7,
                               fault);
      ASSERT_NE(root_, nullptr) << fault;
    }
  }
  int walk_to(std::string_view path) { return walk(root_, path, LastLink::follow, found_); }

  TemporaryDirectory directory_;
  NodePointer root_;
  NodePointer found_;
};

TEST_P(Trees, ResolvesPaths) {
  for (const std::string_view path :
       {"a/b/deep", "./a//b/./deep", "a/b/../b/deep", "a/../a/b/deep", "a/b/../../a/b/deep"}) {
    ASSERT_EQ(walk_to(path), 0) << path;
    EXPECT_EQ(read_all(found_), "deep\n");
  }
  for (const std::string_view path : {".", "./", "a/..", "a/b/../..", "a/../."}) {
    ASSERT_EQ(walk_to(path), 0) << path;
    EXPECT_EQ(found_, root_);
  }
  ASSERT_EQ(walk_to("a/b/"), 0);
  EXPECT_EQ(found_->kind(), NodeKind::directory);
}

TEST_P(Trees, RefusesWhatLeavesTheTree) {
  for (const std::string_view path : {"..", "../", "../top", "a/../..", "a/b/../../../top", "/",
                                      "/top", "//top", "./..", "a/../../a/note"}) {
    EXPECT_EQ(walk_to(path), EXDEV) << path;
  }
}

TEST_P(Trees, RefusesBadPaths) {
  EXPECT_EQ(walk_to(""), ENOENT);
  EXPECT_EQ(walk_to("none"), ENOENT);
  EXPECT_EQ(walk_to("none/top"), ENOENT);
  EXPECT_EQ(walk_to("none/../top"), ENOENT);
  EXPECT_EQ(walk_to("top/"), ENOTDIR);
  EXPECT_EQ(walk_to("top/."), ENOTDIR);
  EXPECT_EQ(walk_to("top/.."), ENOTDIR);
  EXPECT_EQ(walk_to("a/note/x"), ENOTDIR);
  EXPECT_EQ(walk_to(std::string_view("top\0x", 5)), EINVAL);
  EXPECT_EQ(walk_to(std::string(256, 'n')), ENAMETOOLONG);
  EXPECT_EQ(walk_to(std::string(255, 'n')), ENOENT);
  std::string dots;
  while (dots.size() < max_path_bytes) dots += "./";
  EXPECT_EQ(walk_to(dots), 0);
  EXPECT_EQ(walk_to(dots + "."), ENAMETOOLONG);
}

TEST_P(Trees, ListsSortedByName) {
  EXPECT_EQ(names_of(root_), (std::vector<std::string>{".", "..", "a", "top"}));
  ASSERT_EQ(walk_to("a"), 0);
  EXPECT_EQ(names_of(found_), (std::vector<std::string>{".", "..", "b", "note"}));
  std::shared_ptr<const std::vector<DirectoryEntry>> list;
  ASSERT_EQ(found_->entries(list), 0);
  EXPECT_EQ((*list)[0].number, found_->number());
  EXPECT_EQ((*list)[1].number, root_->number());
  EXPECT_EQ((*list)[2].kind, NodeKind::directory);
  EXPECT_EQ((*list)[3].kind, NodeKind::file);
  ASSERT_EQ(walk_to("a/note"), 0);
  EXPECT_EQ((*list)[3].number, found_->number());
  EXPECT_EQ(found_->entries(list), ENOTDIR);
}

TEST_P(Trees, NumbersDependOnThePathAlone) {
  ASSERT_EQ(walk_to("a/b"), 0);
  EXPECT_EQ(found_->number(), Node::number_of(Node::number_of(7, "a"), "b"));
}

TEST_P(Trees, ReadsAtAnyOffset) {
  ASSERT_EQ(walk_to("a/note"), 0);
  std::byte buffer[4]{};
  std::size_t count = 9;
  EXPECT_EQ(found_->read(4, buffer, count), 0);
  EXPECT_EQ(count, 2u);
  EXPECT_EQ(buffer[0], std::byte{'t'});
  EXPECT_EQ(found_->read(6, buffer, count), 0);
  EXPECT_EQ(count, 0u);
  EXPECT_EQ(found_->read(~std::uint64_t{0}, buffer, count), 0);
  EXPECT_EQ(count, 0u);
  EXPECT_EQ(root_->read(0, buffer, count), EISDIR);
}

INSTANTIATE_TEST_SUITE_P(Kinds, Trees, testing::Bool(),
                         [](const auto& kind) { return kind.param ? "host" : "memory"; });

class HostTree : public testing::Test {
 protected:
  void SetUp() override {
    outside_.file("secret", "secret");
    inside_.file("sub/file", "file");
    const fs::path& root = inside_.path();
    fs::create_symlink("sub/file", root / "link");
    fs::create_symlink("sub", root / "directory_link");
    fs::create_symlink("../link", root / "sub/up");
    fs::create_symlink("../../" + outside_.path().filename().string() + "/secret",
                       root / "sub/escape");
    fs::create_symlink(outside_.path() / "secret", root / "absolute");
    fs::create_symlink(outside_.path(), root / "absolute_directory");
    fs::create_symlink("loop", root / "loop");
    fs::create_symlink("missing", root / "dangling");
    ASSERT_EQ(::mkfifo((root / "pipe").c_str(), 0600), 0);
    ASSERT_EQ(open_host_tree(root, 1, root_), 0);
  }
  int walk_to(std::string_view path, LastLink last = LastLink::follow) {
    return walk(root_, path, last, found_);
  }

  TemporaryDirectory outside_;
  TemporaryDirectory inside_;
  NodePointer root_;
  NodePointer found_;
};

TEST_F(HostTree, FollowsLinksThatStayInside) {
  for (const std::string_view path :
       {"link", "directory_link/file", "sub/up", "directory_link/up", "directory_link/../link"}) {
    ASSERT_EQ(walk_to(path), 0) << path;
    EXPECT_EQ(read_all(found_), "file") << path;
  }
}

TEST_F(HostTree, RefusesLinksThatLeave) {
  EXPECT_EQ(walk_to("sub/escape"), EXDEV);
  EXPECT_EQ(walk_to("absolute"), EXDEV);
  EXPECT_EQ(walk_to("absolute_directory"), EXDEV);
  EXPECT_EQ(walk_to("absolute_directory/secret", LastLink::keep), EXDEV);
  EXPECT_EQ(walk_to("absolute_directory/", LastLink::keep), EXDEV);
  EXPECT_EQ(walk_to("loop"), ELOOP);
  EXPECT_EQ(walk_to("dangling"), ENOENT);
}

TEST_F(HostTree, KeepsTheLastLinkIfAsked) {
  ASSERT_EQ(walk_to("absolute", LastLink::keep), 0);
  EXPECT_EQ(found_->kind(), NodeKind::link);
  EXPECT_EQ(found_->target(), (outside_.path() / "secret").string());
  ASSERT_EQ(walk_to("directory_link/", LastLink::keep), 0);
  EXPECT_EQ(found_->kind(), NodeKind::directory);
  EXPECT_EQ(walk_to("link/", LastLink::keep), ENOTDIR);
}

TEST_F(HostTree, NeverOpensPipes) {
  ASSERT_EQ(walk_to("pipe"), 0);
  EXPECT_EQ(found_->kind(), NodeKind::other);
  std::byte buffer[1];
  std::size_t count = 0;
  EXPECT_EQ(found_->read(0, buffer, count), EACCES);
}

TEST_F(HostTree, AFileReplacedByAnOutwardLinkIsNotFollowed) {
  ASSERT_EQ(walk_to("sub/file"), 0);  // found, not yet opened
  fs::remove(inside_.path() / "sub/file");
  fs::create_symlink(outside_.path() / "secret", inside_.path() / "sub/file");
  std::byte buffer[8];
  std::size_t count = 0;
  EXPECT_NE(found_->read(0, buffer, count), 0);
  EXPECT_EQ(count, 0u);
}

TEST_F(HostTree, ADirectoryReplacedByAnOutwardLinkIsNotFollowed) {
  ASSERT_EQ(walk_to("sub"), 0);
  fs::rename(inside_.path() / "sub", inside_.path() / "old");
  fs::create_symlink(outside_.path(), inside_.path() / "sub");
  NodePointer secret;
  EXPECT_NE(walk(found_, "secret", LastLink::follow, secret), 0);
}

TEST_F(HostTree, SharesNodesWhileTheyAreHeld) {
  ASSERT_EQ(walk_to("sub/file"), 0);
  const NodePointer first = found_;
  ASSERT_EQ(walk_to("link"), 0);
  EXPECT_EQ(found_, first);
}

TEST_F(HostTree, ManyNamesComeAndGo) {
  for (int i = 0; i < 500; ++i) {
    inside_.file("many/" + std::to_string(i), std::to_string(i));
  }
  for (int i = 0; i < 500; ++i) {
    ASSERT_EQ(walk_to("many/" + std::to_string(i)), 0);
    EXPECT_EQ(read_all(found_), std::to_string(i));
  }
}

TEST(MemoryTree, RefusesBadNames) {
  const auto fault_of = [](std::vector<TreeFile> files) {
    std::string fault;
    EXPECT_EQ(make_memory_tree(std::move(files), 1, fault), nullptr);
    return fault;
  };
  EXPECT_EQ(fault_of({{"a", ""}}), "Path of the in-memory file (a) is not absolute.");
  EXPECT_EQ(fault_of({{"/a", ""}, {"/a", ""}}), "Path of the in-memory file (/a) is taken.");
  EXPECT_EQ(fault_of({{"/a/b", ""}, {"/a", ""}}), "Path of the in-memory file (/a) is taken.");
  EXPECT_EQ(fault_of({{"/a", ""}, {"/a/b", ""}}),
            "Path of the in-memory file (/a/b) goes through a file.");
  for (const std::string path : {"/", "//a", "/a/", "/./a", "/a/.."}) {
    EXPECT_NE(fault_of({{path, ""}}).find("component"), std::string::npos) << path;
  }
  EXPECT_NE(fault_of({{"/" + std::string(256, 'x'), ""}}).find("255"), std::string::npos);
}

}  // namespace
}  // namespace warphive::sys
