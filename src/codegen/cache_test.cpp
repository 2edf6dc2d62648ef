// SPDX-License-Identifier: Apache-2.0
#include "codegen/cache.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "codegen/cache_entry.hpp"
#include "ir/testing/random_module.hpp"

namespace warphive::codegen {
namespace {

namespace fs = std::filesystem;

constexpr ::uid_t somebody = 65534;

Digest key_of(std::uint8_t number) {
  Digest key = {};
  key.front() = number;
  key.back() = 0xa5;
  return key;
}

std::string hex(const Digest& key) {
  std::string text;
  for (const std::uint8_t byte : key) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

/// Differs from number to number; its entry has `bytes` bytes and some 150 more.
HostObjects objects_of(std::uint8_t number, std::size_t bytes = 20) {
  HostObjects objects;
  objects.objects.emplace_back(bytes, static_cast<char>(number));
  objects.objects.emplace_back();
  objects.functions = {Compiled::no, Compiled::yes, Compiled::by_call};
  objects.resumes = {number, 0xffffffffu};
  objects.reasons = {"function 0: too large", ""};
  return objects;
}

bool equal(const std::optional<HostObjects>& a, const HostObjects& b) {
  return a && a->objects == b.objects && a->functions == b.functions && a->resumes == b.resumes &&
         a->reasons == b.reasons;
}

void write_text(const fs::path& path, std::string_view text) {
  std::ofstream file(path, std::ios::binary);
  file.write(text.data(), static_cast<std::streamsize>(text.size()));
}

void set_time(const fs::path& path, std::int64_t seconds) {
  const timespec times[] = {{seconds, 0}, {seconds, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW), 0) << path;
}

/// What `body` returns, in a process of its own; -1 where a signal ended it.
int in_child(const std::function<int()>& body) {
  const ::pid_t child = ::fork();
  if (child == 0) ::_exit(body());
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

class CodeCacheTest : public ::testing::Test {
 protected:
  CodeCacheTest() {
    std::string name = (fs::temp_directory_path() / "warphive_cache_XXXXXX").string();
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    root_ = name;
  }
  ~CodeCacheTest() override { fs::remove_all(root_); }

  [[nodiscard]] fs::path directory() const { return root_ / "deep" / "cache"; }
  [[nodiscard]] fs::path path_of(const Digest& key) const {
    return directory() / (hex(key) + ".code");
  }
  [[nodiscard]] std::size_t file_count() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(directory()), fs::directory_iterator()));
  }
  std::unique_ptr<CodeCache> open(std::uint64_t limit = 1 << 20) {
    auto cache = CodeCache::open({.directory = directory(), .limit_bytes = limit});
    EXPECT_TRUE(cache) << cache.error().describe();
    return cache ? std::move(*cache) : nullptr;
  }
  void expect_refused(ErrorCode code) {
    auto cache = CodeCache::open({.directory = directory()});
    ASSERT_FALSE(cache);
    EXPECT_EQ(cache.error().code(), code) << cache.error().describe();
  }

  fs::path root_;
};

TEST_F(CodeCacheTest, RoundTrip) {
  const auto cache = open();
  EXPECT_FALSE(cache->find(key_of(1)));
  ASSERT_TRUE(cache->store(key_of(1), objects_of(1)));
  ASSERT_TRUE(cache->store(key_of(2), {}));
  EXPECT_TRUE(equal(cache->find(key_of(1)), objects_of(1)));
  EXPECT_TRUE(equal(open()->find(key_of(2)), {}));
  ASSERT_TRUE(cache->store(key_of(1), objects_of(3)));
  EXPECT_TRUE(equal(cache->find(key_of(1)), objects_of(3)));
  EXPECT_FALSE(cache->find(key_of(3)));
  EXPECT_EQ(file_count(), 2u);
}

/// docs/cache.md has the table.
TEST(CacheEntry, HasTheDocumentedBytes) {
  const std::string bytes = encode_entry(key_of(7), objects_of(1, 3));
  EXPECT_EQ(bytes.substr(0, 17), std::string("wph-code\1\0\0\0\0\0\0\0\7", 17));
  EXPECT_EQ(bytes.substr(48, 8), std::string("\x53\0\0\0\0\0\0\0", 8));
  EXPECT_EQ(bytes.substr(88, 19), std::string("\2\0\0\0\3\0\0\0\0\0\0\0\1\1\1\0\0\0\0", 19));
  EXPECT_EQ(bytes.size(), 88u + 0x53);
}

TEST_F(CodeCacheTest, OnlyTheOwnerCanRead) {
  const auto cache = open();
  ASSERT_TRUE(cache->store(key_of(1), objects_of(1)));
  struct stat info = {};
  ASSERT_EQ(::stat(directory().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0700u);
  ASSERT_EQ(::stat(path_of(key_of(1)).c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600u);
}

TEST_F(CodeCacheTest, EveryChangedByteIsFound) {
  const auto cache = open();
  const std::string good = encode_entry(key_of(1), objects_of(1));
  for (std::size_t i = 0; i < good.size(); ++i) {
    for (const int mask : {0x01, 0x80, 0xff}) {
      std::string bad = good;
      bad[i] = static_cast<char>(bad[i] ^ mask);
      write_text(path_of(key_of(1)), bad);
      EXPECT_FALSE(cache->find(key_of(1))) << "byte " << i;
      EXPECT_FALSE(fs::exists(path_of(key_of(1)))) << "byte " << i;
    }
  }
  write_text(path_of(key_of(1)), good);
  fs::permissions(path_of(key_of(1)), fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_TRUE(cache->find(key_of(1)));
}

TEST_F(CodeCacheTest, EveryOtherLengthIsFound) {
  const auto cache = open();
  const std::string good = encode_entry(key_of(1), objects_of(1));
  for (std::size_t length = 0; length < good.size(); ++length) {
    write_text(path_of(key_of(1)), good.substr(0, length));
    EXPECT_FALSE(cache->find(key_of(1))) << length;
    EXPECT_FALSE(fs::exists(path_of(key_of(1)))) << length;
  }
  write_text(path_of(key_of(1)), good + '\0');
  EXPECT_FALSE(cache->find(key_of(1)));
  EXPECT_FALSE(fs::exists(path_of(key_of(1))));
  write_text(path_of(key_of(1)), "something else altogether");
  EXPECT_FALSE(cache->find(key_of(1)));
  EXPECT_FALSE(fs::exists(path_of(key_of(1))));
}

TEST_F(CodeCacheTest, EntriesOfOtherKeysAreNotTaken) {
  const auto cache = open();
  ASSERT_TRUE(cache->store(key_of(1), objects_of(1)));
  fs::copy_file(path_of(key_of(1)), path_of(key_of(2)));
  EXPECT_FALSE(cache->find(key_of(2)));
  EXPECT_FALSE(fs::exists(path_of(key_of(2))));
  EXPECT_TRUE(cache->find(key_of(1)));
}

/// With a checksum that agrees: what a future version might write, or a fault of ours.
TEST_F(CodeCacheTest, WellSummedNonsenseIsNotTaken) {
  HostObjects objects = objects_of(1);
  // NOLINTNEXTLINE(clang-analyzer-optin.core.EnumCastOutOfRange): nonsense on purpose
  objects.functions[0] = static_cast<Compiled>(3);
  EXPECT_FALSE(decode_entry(key_of(1), encode_entry(key_of(1), objects)));
  EXPECT_TRUE(decode_entry(key_of(1), encode_entry(key_of(1), objects_of(1))));
}

TEST_F(CodeCacheTest, LinksPipesAndFilesThatOthersCanWriteAreNotTaken) {
  const auto cache = open();
  ASSERT_TRUE(cache->store(key_of(1), objects_of(1)));
  const fs::path outside = root_ / "outside";
  fs::rename(path_of(key_of(1)), outside);
  fs::create_symlink(outside, path_of(key_of(1)));
  EXPECT_FALSE(cache->find(key_of(1)));
  EXPECT_FALSE(fs::is_symlink(path_of(key_of(1))));
  EXPECT_TRUE(fs::exists(outside));

  ASSERT_EQ(::mkfifo(path_of(key_of(1)).c_str(), 0600), 0);
  EXPECT_FALSE(cache->find(key_of(1)));
  EXPECT_FALSE(fs::exists(path_of(key_of(1))));

  ASSERT_TRUE(cache->store(key_of(1), objects_of(1)));
  fs::permissions(path_of(key_of(1)), fs::perms::group_write, fs::perm_options::add);
  EXPECT_FALSE(cache->find(key_of(1)));
  EXPECT_FALSE(fs::exists(path_of(key_of(1))));

  // A link at the name is replaced, not followed.
  fs::create_symlink(root_ / "target", path_of(key_of(1)));
  ASSERT_TRUE(cache->store(key_of(1), objects_of(1)));
  EXPECT_FALSE(fs::exists(root_ / "target"));
  EXPECT_TRUE(cache->find(key_of(1)));

  fs::create_directory(path_of(key_of(2)));
  EXPECT_FALSE(cache->find(key_of(2)));
  EXPECT_FALSE(cache->store(key_of(2), objects_of(2)));
  EXPECT_EQ(file_count(), 2u);
}

TEST_F(CodeCacheTest, EvictsLeastRecentlyUsed) {
  const std::uint64_t size = encode_entry(key_of(0), objects_of(0)).size();
  const auto cache = open(4 * size);
  for (std::uint8_t i = 0; i < 4; ++i) {
    ASSERT_TRUE(cache->store(key_of(i), objects_of(i)));
    set_time(path_of(key_of(i)), 1000 - i);  // 3 is the oldest
  }
  EXPECT_TRUE(cache->find(key_of(3)));  // now the most recent
  ASSERT_TRUE(cache->store(key_of(4), objects_of(4)));
  EXPECT_FALSE(cache->find(key_of(2)));
  for (const auto i : std::to_array<std::uint8_t>({0, 1, 3, 4}))
    EXPECT_TRUE(fs::exists(path_of(key_of(i)))) << int{i};
  // An entry of three times the size: all but one go.
  ASSERT_TRUE(cache->store(key_of(5), objects_of(5, 20 + 2 * size)));
  for (const auto i : std::to_array<std::uint8_t>({0, 1}))
    EXPECT_FALSE(fs::exists(path_of(key_of(i)))) << int{i};
  const auto stats = cache->stats();
  ASSERT_TRUE(stats);
  EXPECT_EQ(stats->entries, 2u);
  EXPECT_EQ(stats->bytes, 4 * size);
}

TEST_F(CodeCacheTest, TheNewestStaysWhateverItsTime) {
  const std::uint64_t size = encode_entry(key_of(0), objects_of(0)).size();
  const auto cache = open(size);
  ASSERT_TRUE(cache->store(key_of(1), objects_of(1)));
  set_time(path_of(key_of(1)), std::int64_t{1} << 33);  // in the far future
  ASSERT_TRUE(cache->store(key_of(2), objects_of(2)));
  EXPECT_FALSE(cache->find(key_of(1)));
  EXPECT_TRUE(cache->find(key_of(2)));
}

TEST_F(CodeCacheTest, AnEntryLargerThanTheLimitIsRefused) {
  const std::uint64_t size = encode_entry(key_of(0), objects_of(0)).size();
  const auto cache = open(size);
  ASSERT_TRUE(cache->store(key_of(1), objects_of(1)));
  const Status status = cache->store(key_of(2), objects_of(2, 21));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code(), ErrorCode::limit_exceeded);
  EXPECT_TRUE(cache->find(key_of(1)));
  EXPECT_EQ(file_count(), 1u);
}

TEST_F(CodeCacheTest, ClearRemovesOnlyOurFiles) {
  const auto cache = open();
  for (std::uint8_t i = 0; i < 5; ++i) ASSERT_TRUE(cache->store(key_of(i), objects_of(i)));
  write_text(directory() / "new-12-3.tmp", "left by somebody");
  write_text(directory() / "notes.txt", "mine");
  write_text(directory() / "new-x.tmp", "mine");
  write_text(directory() / (hex(key_of(9)) + ".codes"), "mine");
  EXPECT_EQ(cache->stats()->entries, 5u);
  EXPECT_EQ(cache->stats()->directory, directory());
  EXPECT_EQ(cache->stats()->limit_bytes, std::uint64_t{1} << 20);
  ASSERT_TRUE(cache->clear());
  EXPECT_EQ(cache->stats()->entries, 0u);
  EXPECT_EQ(cache->stats()->bytes, 0u);
  EXPECT_EQ(file_count(), 3u);
}

TEST_F(CodeCacheTest, RemainsOfDeadWritersGo) {
  const auto cache = open();
  write_text(directory() / "new-12-3.tmp", "old");
  write_text(directory() / "new-12-4.tmp", "perhaps still being written");
  set_time(directory() / "new-12-3.tmp", 1000);
  ASSERT_TRUE(cache->store(key_of(1), objects_of(1)));
  EXPECT_FALSE(fs::exists(directory() / "new-12-3.tmp"));
  EXPECT_TRUE(fs::exists(directory() / "new-12-4.tmp"));
}

TEST_F(CodeCacheTest, ATakenTemporaryNameIsPassedOver) {
  const auto cache = open();
  for (int i = 0; i < 3; ++i) {
    const std::string name = "new-" + std::to_string(::getpid()) + "-" + std::to_string(i) + ".tmp";
    fs::create_symlink(root_ / "target", directory() / name);
  }
  ASSERT_TRUE(cache->store(key_of(1), objects_of(1)));
  EXPECT_TRUE(cache->find(key_of(1)));
  EXPECT_FALSE(fs::exists(root_ / "target"));
}

TEST_F(CodeCacheTest, DirectoriesThatOthersCanWriteAreRefused) {
  fs::create_directories(directory());
  for (const auto perms : {fs::perms::group_write, fs::perms::others_write}) {
    fs::permissions(directory(), fs::perms::owner_all | perms);
    expect_refused(ErrorCode::invalid_input);
  }
  fs::permissions(directory(),
                  fs::perms::owner_all | fs::perms::group_read | fs::perms::group_exec);
  const auto cache = open();
  ASSERT_TRUE(cache->store(key_of(1), objects_of(1)));
  // Also when it becomes so later.
  fs::permissions(directory(), fs::perms::all);
  EXPECT_FALSE(cache->find(key_of(1)));
  EXPECT_EQ(cache->store(key_of(2), objects_of(2)).error().code(), ErrorCode::invalid_input);
  EXPECT_EQ(file_count(), 1u);
}

TEST_F(CodeCacheTest, DirectoriesOfOtherUsersAreRefused) {
  if (::geteuid() == 0) {
    fs::create_directories(directory());
    ASSERT_EQ(::chown(directory().c_str(), somebody, somebody), 0);
    expect_refused(ErrorCode::invalid_input);
  } else {
    const auto cache = CodeCache::open({.directory = "/usr"});
    ASSERT_FALSE(cache);
    EXPECT_EQ(cache.error().code(), ErrorCode::invalid_input);
  }
}

TEST_F(CodeCacheTest, EntriesOfOtherUsersAreNotTaken) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give files away";
  const auto cache = open();
  ASSERT_TRUE(cache->store(key_of(1), objects_of(1)));
  ASSERT_EQ(::chown(path_of(key_of(1)).c_str(), somebody, somebody), 0);
  EXPECT_FALSE(cache->find(key_of(1)));
  EXPECT_FALSE(fs::exists(path_of(key_of(1))));
}

TEST_F(CodeCacheTest, WhatIsNoDirectoryIsRefused) {
  fs::create_directories(directory().parent_path());
  write_text(directory(), "a file");
  expect_refused(ErrorCode::io);
  const auto below = CodeCache::open({.directory = directory() / "below"});
  ASSERT_FALSE(below);
  EXPECT_EQ(below.error().code(), ErrorCode::io);
}

TEST_F(CodeCacheTest, OpenCreatesNothingUnasked) {
  const auto cache = CodeCache::open({.directory = directory(), .create = false});
  ASSERT_FALSE(cache);
  EXPECT_EQ(cache.error().code(), ErrorCode::not_found);
  EXPECT_FALSE(fs::exists(directory().parent_path()));
}

TEST_F(CodeCacheTest, AnUnwritableDirectoryIsStillRead) {
  ASSERT_TRUE(open()->store(key_of(1), objects_of(1)));
  fs::permissions(directory(), fs::perms::owner_read | fs::perms::owner_exec);
  const bool is_root = ::geteuid() == 0;  // who may write anywhere
  if (is_root) {
    fs::permissions(root_, fs::perms::all);
    fs::permissions(directory().parent_path(), fs::perms::all);
    ASSERT_EQ(::chown(directory().c_str(), somebody, somebody), 0);
    ASSERT_EQ(::chown(path_of(key_of(1)).c_str(), somebody, somebody), 0);
  }
  EXPECT_EQ(in_child([&] {
              if (is_root && (::setgid(somebody) != 0 || ::setuid(somebody) != 0)) return 1;
              auto cache = CodeCache::open({.directory = directory()});
              if (!cache) return 2;
              if (!(*cache)->find(key_of(1))) return 3;
              const Status status = (*cache)->store(key_of(2), objects_of(2));
              if (status || status.error().code() != ErrorCode::io) return 4;
              return 0;
            }),
            0);
  fs::permissions(directory(), fs::perms::owner_all);
}

TEST_F(CodeCacheTest, AWriteThatFailsLeavesNothing) {
  EXPECT_EQ(in_child([&] {
              auto cache = CodeCache::open({.directory = directory()});
              if (!cache || !(*cache)->store(key_of(1), objects_of(1))) return 1;
              const rlimit limit = {1000, 1000};
              if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 2;
              const Status status = (*cache)->store(key_of(2), objects_of(2, 5000));
              if (status || status.error().code() != ErrorCode::io) return 3;
              // Nothing of the signal is left for later, and what fits goes on.
              sigset_t pending = {};
              if (::sigpending(&pending) != 0 || ::sigismember(&pending, SIGXFSZ) != 0) return 4;
              if (!(*cache)->store(key_of(3), objects_of(3))) return 5;
              return (*cache)->find(key_of(1)) && !(*cache)->find(key_of(2)) ? 0 : 6;
            }),
            0);
  EXPECT_EQ(file_count(), 2u);
}

TEST_F(CodeCacheTest, ARemovedDirectoryIsAnErrorOnly) {
  const auto cache = open();
  fs::remove_all(directory());
  EXPECT_FALSE(cache->find(key_of(1)));
  const Status status = cache->store(key_of(1), objects_of(1));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code(), ErrorCode::io);
}

/// Stores and finds some keys over and over; how often something else was found than was stored.
int hammer(CodeCache& cache, std::uint8_t seed) {
  int wrong = 0;
  for (int i = 0; i < 40; ++i) {
    const auto number = static_cast<std::uint8_t>((seed + i) % 6);
    const HostObjects objects = objects_of(number, 3000);
    if (!cache.store(key_of(number), objects)) ++wrong;
    for (std::uint8_t k = 0; k < 6; ++k) {
      const auto found = cache.find(key_of(k));
      if (found && !equal(found, objects_of(k, 3000))) ++wrong;
    }
  }
  return wrong;
}

TEST_F(CodeCacheTest, ThreadsAndProcessesShareADirectory) {
  // With room for all, every store is found; with less, entries vanish under the readers.
  const std::uint64_t size = encode_entry(key_of(0), objects_of(0, 3000)).size();
  for (const std::uint64_t limit : {16 * size, 3 * size}) {
    std::vector<::pid_t> children;
    for (std::uint8_t p = 0; p < 4; ++p) {
      const ::pid_t child = ::fork();
      if (child == 0) {
        auto cache = CodeCache::open({.directory = directory(), .limit_bytes = limit});
        ::_exit(cache ? std::min(hammer(**cache, p), 100) : 101);
      }
      children.push_back(child);
    }
    const auto cache = open(limit);
    std::vector<int> wrong(8);
    std::vector<std::thread> threads;
    threads.reserve(wrong.size());
    for (std::uint8_t t = 0; t < 8; ++t) {
      threads.emplace_back([&, t] { wrong[t] = hammer(*cache, t); });
    }
    for (std::thread& thread : threads) thread.join();
    for (const int count : wrong) EXPECT_EQ(count, 0);
    for (const ::pid_t child : children) {
      int status = 0;
      ASSERT_EQ(::waitpid(child, &status, 0), child);
      EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
    }
    EXPECT_LE(cache->stats()->bytes, limit);
    EXPECT_EQ(cache->stats()->entries, file_count()) << "temporary files are left";
    if (limit == 16 * size) {
      EXPECT_EQ(file_count(), 6u);
    }
  }
}

class Environment {
 public:
  Environment(const char* name, const char* value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before;
    if (value != nullptr) {
      ::setenv(name, value, 1);
    } else {
      ::unsetenv(name);
    }
  }
  ~Environment() {
    if (before_) {
      ::setenv(name_, before_->c_str(), 1);
    } else {
      ::unsetenv(name_);
    }
  }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  const char* name_;
  std::optional<std::string> before_;
};

TEST(DefaultCacheDirectory, FollowsTheEnvironment) {
  {
    const Environment xdg("XDG_CACHE_HOME", "/x/cache"), home("HOME", "/home/me");
    EXPECT_EQ(*default_cache_directory(), "/x/cache/warphive");
  }
  for (const char* unusable : {static_cast<const char*>(nullptr), "", "relative"}) {
    const Environment xdg("XDG_CACHE_HOME", unusable);
    {
      const Environment home("HOME", "/home/me");
      EXPECT_EQ(*default_cache_directory(), "/home/me/.cache/warphive");
    }
    const Environment home("HOME", unusable);
    EXPECT_EQ(default_cache_directory().error().code(), ErrorCode::not_found);
  }
}

struct Program {
  ir::Module module;
  ir::EncodedProgram encoded;
};

Program make_program() {
  ir::testing::Choices choices(7);
  Program program;
  program.module = ir::testing::random_module(choices, {.host_calls = true});
  program.module.globals.emplace_back();
  program.module.functions[0].branch_tables.push_back({0, 0});
  auto encoded = ir::encode(program.module);
  EXPECT_TRUE(encoded);
  program.encoded = std::move(*encoded);
  return program;
}

TEST(ProgramDigest, DependsOnAllThatDecidesCode) {
  const Program program = make_program();
  ASSERT_FALSE(program.module.memories.empty());
  ASSERT_FALSE(program.module.tables.empty());
  std::set<Digest> seen = {program_digest(program.module, program.encoded, "")};
  EXPECT_TRUE(seen.contains(program_digest(program.module, program.encoded, "")));
  EXPECT_TRUE(seen.insert(program_digest(program.module, program.encoded, "resume 1")).second);
  const std::vector<std::pair<const char*, void (*)(ir::Module&)>> module_changes = {
      {"type params", [](auto& m) { m.types[0].params.push_back(ir::ValueType::i32); }},
      {"type results", [](auto& m) { m.types[0].results.push_back(ir::ValueType::i32); }},
      {"types", [](auto& m) { m.types.emplace_back(); }},
      {"functions", [](auto& m) { m.functions.pop_back(); }},
      {"function type", [](auto& m) { m.functions[0].type ^= 1; }},
      {"frame slots", [](auto& m) { ++m.functions[0].frame_slots; }},
      {"header slot", [](auto& m) { ++m.functions[0].header_slot; }},
      {"op", [](auto& m) { m.functions[0].code[1].op = ir::Op::ret_mov; }},
      {"a", [](auto& m) { m.functions[0].code[1].a ^= 1; }},
      {"b", [](auto& m) { m.functions[0].code[1].b ^= 1; }},
      {"c", [](auto& m) { m.functions[0].code[1].c ^= 1; }},
      {"imm low", [](auto& m) { m.functions[0].code[1].imm ^= 1; }},
      {"imm high", [](auto& m) { m.functions[0].code[1].imm ^= std::uint64_t{1} << 63; }},
      {"blocks", [](auto& m) { m.functions[0].blocks.push_back(1); }},
      {"block", [](auto& m) { m.functions[0].blocks.back() += 1; }},
      {"branch tables", [](auto& m) { m.functions[0].branch_tables.push_back({}); }},
      {"branch table", [](auto& m) { m.functions[0].branch_tables[0][0] ^= 1; }},
      {"memories", [](auto& m) { m.memories.emplace_back(); }},
      {"memory min", [](auto& m) { ++m.memories[0].min_pages; }},
      {"memory max", [](auto& m) { m.memories[0].max_pages = 77; }},
      {"memory grows", [](auto& m) { m.memories[0].grows ^= true; }},
      {"tables", [](auto& m) { m.tables.emplace_back(); }},
      {"table min", [](auto& m) { ++m.tables[0].min; }},
      {"table max", [](auto& m) { m.tables[0].max = 77; }},
      {"table changes", [](auto& m) { m.tables[0].changes ^= true; }},
      {"table element", [](auto& m) { m.tables[0].element = ir::ValueType::externref; }},
      {"globals", [](auto& m) { m.globals.emplace_back(); }},
      {"global type", [](auto& m) { m.globals.back().type = ir::ValueType::f64; }},
      {"global mutable", [](auto& m) { m.globals.back().is_mutable ^= true; }},
      {"metered", [](auto& m) { m.metered ^= true; }},
  };
  for (const auto& [what, change] : module_changes) {
    ir::Module module = program.module;
    change(module);
    EXPECT_TRUE(seen.insert(program_digest(module, program.encoded, "")).second) << what;
  }
  const std::vector<std::pair<const char*, void (*)(ir::EncodedProgram&)>> encoded_changes = {
      {"entry", [](auto& p) { ++p.functions[0].entry; }},
      {"entry type", [](auto& p) { ++p.functions[0].type; }},
      {"param slots", [](auto& p) { ++p.functions[0].param_slots; }},
      {"result slots", [](auto& p) { ++p.functions[0].result_slots; }},
      {"entry header slot", [](auto& p) { ++p.functions[0].header_slot; }},
  };
  for (const auto& [what, change] : encoded_changes) {
    ir::EncodedProgram encoded = program.encoded;
    change(encoded);
    EXPECT_TRUE(seen.insert(program_digest(program.module, encoded, "")).second) << what;
  }
  // What moves from one list to the next one is another program.
  ir::Module moved = program.module;
  moved.functions[0].branch_tables = {{}, {0, 0}};
  const Digest digest = program_digest(moved, program.encoded, "");
  moved.functions[0].branch_tables = {{0, 0}, {}};
  EXPECT_NE(digest, program_digest(moved, program.encoded, ""));
}

TEST(ProgramDigest, IgnoresWhatChangesNoCode) {
  Program program = make_program();
  const Digest before = program_digest(program.module, program.encoded, "");
  ir::Module& module = program.module;
  module.functions[0].name = "renamed";
  module.functions[0].guest_index = 99;
  for (std::uint32_t& at : module.functions[0].source) at += 10;
  module.data_segments.push_back({std::byte{1}});
  module.members[0].exports.clear();
  program.encoded.data.push_back(1);
  program.encoded.insns[2].op ^= 1;  // as when instructions are fused
  EXPECT_EQ(program_digest(program.module, program.encoded, ""), before);
}

TEST_F(CodeCacheTest, KeepsWhatTheCompilerMakes) {
  ir::testing::Choices choices(11);
  const ir::Module module = ir::testing::random_module(choices);
  const auto encoded = ir::encode(module);
  ASSERT_TRUE(encoded);
  const auto compiled = compile_host(module, *encoded);
  ASSERT_TRUE(compiled) << compiled.error().describe();
  const Digest key = program_digest(module, *encoded, "");
  ASSERT_TRUE(open()->store(key, *compiled));
  const auto found = open()->find(key);
  if (!found) FAIL() << "not in the cache";
  EXPECT_TRUE(equal(found, *compiled));
  const auto library = NativeLibrary::load(*found, module);
  ASSERT_TRUE(library) << library.error().describe();
  EXPECT_NE((*library)->code()->targets, nullptr);
}

}  // namespace
}  // namespace warphive::codegen
