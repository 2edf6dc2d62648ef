// SPDX-License-Identifier: Apache-2.0
#include "codegen/cache.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "codegen/cache_entry.hpp"

namespace warphive::codegen {
namespace {

constexpr std::string_view entry_ending = ".code";
constexpr std::string_view temporary_start = "new-";
constexpr std::string_view temporary_ending = ".tmp";
constexpr int temporary_attempts = 100;
// What a process left that ended while it wrote, by how much older it is than the newest entry.
constexpr std::int64_t stale_seconds = 3600;
constexpr std::uint64_t most_entry_bytes = std::uint64_t{1} << 30;

class File {
 public:
  explicit File(int descriptor) : descriptor_(descriptor) {}
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  [[nodiscard]] bool is_open() const { return descriptor_ >= 0; }
  [[nodiscard]] int descriptor() const { return descriptor_; }
  /// Network file systems report failed writes here.
  [[nodiscard]] bool close() { return ::close(std::exchange(descriptor_, -1)) == 0; }

 private:
  int descriptor_;
};

/// A write beyond RLIMIT_FSIZE ends the process, unless its signal is blocked: it fails then.
class FileSizeSignalBlocked {
 public:
  FileSizeSignalBlocked() {
    ::sigemptyset(&signals_);
    ::sigaddset(&signals_, SIGXFSZ);
    ::pthread_sigmask(SIG_BLOCK, &signals_, &before_);
  }
  ~FileSizeSignalBlocked() {
    const timespec at_once = {};
    while (::sigtimedwait(&signals_, nullptr, &at_once) < 0 && errno == EINTR) {
    }
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  FileSizeSignalBlocked(const FileSizeSignalBlocked&) = delete;
  FileSizeSignalBlocked& operator=(const FileSizeSignalBlocked&) = delete;

 private:
  sigset_t signals_ = {};
  sigset_t before_ = {};
};

tl::unexpected<Error> io_error(std::string_view what, std::string_view subject, int code) {
  return base::error(ErrorCode::io, ErrorPhase::host, "{} ({}): {}.", what, subject,
                     std::generic_category().message(code));
}

std::string entry_name(const Digest& key) {
  std::string name;
  for (const std::uint8_t byte : key) name += fmt::format("{:02x}", byte);
  name += entry_ending;
  return name;
}

bool is_made_of(std::string_view text, std::string_view characters) {
  return text.find_first_not_of(characters) == std::string_view::npos;
}

bool is_entry_name(std::string_view name) {
  constexpr std::size_t digits = 2 * std::tuple_size_v<Digest>;
  return name.size() == digits + entry_ending.size() && name.ends_with(entry_ending) &&
         is_made_of(name.substr(0, digits), "0123456789abcdef");
}

bool is_temporary_name(std::string_view name) {
  if (!name.starts_with(temporary_start) || !name.ends_with(temporary_ending)) return false;
  name.remove_prefix(temporary_start.size());
  name.remove_suffix(temporary_ending.size());
  return is_made_of(name, "0123456789-");
}

struct Found {
  std::string name;
  std::uint64_t bytes = 0;
  std::int64_t seconds = 0;  // last use
  std::int64_t nanoseconds = 0;
  friend bool operator<(const Found& a, const Found& b) {
    return std::tie(a.seconds, a.nanoseconds, a.name) < std::tie(b.seconds, b.nanoseconds, b.name);
  }
};

struct Files {
  std::vector<Found> entries;
  std::vector<Found> temporaries;
};

Result<Files> list(int directory, std::string_view path) {
  const int descriptor = ::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* stream = descriptor < 0 ? nullptr : ::fdopendir(descriptor);
  if (stream == nullptr) {
    const int code = errno;
    if (descriptor >= 0) ::close(descriptor);
    return io_error("Cannot list the code cache", path, code);
  }
  Files files;
  int code = 0;
  for (;;) {
    errno = 0;
    const dirent* item = ::readdir(stream);
    if (item == nullptr) {
      code = errno;
      break;
    }
    const std::string_view name = item->d_name;
    const bool is_entry = is_entry_name(name);
    struct stat info = {};
    if ((!is_entry && !is_temporary_name(name)) ||
        ::fstatat(directory, item->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0 ||
        S_ISDIR(info.st_mode)) {
      continue;  // not ours, or gone by now
    }
    (is_entry ? files.entries : files.temporaries)
        .push_back({std::string(name), static_cast<std::uint64_t>(info.st_size),
                    info.st_mtim.tv_sec, info.st_mtim.tv_nsec});
  }
  ::closedir(stream);
  if (code != 0) return io_error("Cannot list the code cache", path, code);
  return files;
}

/// False where it is still there.
bool remove_file(int directory, const std::string& name) {
  return ::unlinkat(directory, name.c_str(), 0) == 0 || errno == ENOENT;
}

bool only_we_can_write(const struct stat& info) {
  return info.st_uid == ::geteuid() && (info.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

/// The bytes of an entry; nothing where they are not to be trusted or cannot be had.
enum class Read : std::uint8_t { good, bad, unknown };
Read read_entry(const File& file, std::string& bytes) {
  struct stat info = {};
  if (::fstat(file.descriptor(), &info) != 0) return Read::unknown;
  if (!S_ISREG(info.st_mode) || !only_we_can_write(info)) return Read::bad;
  if (static_cast<std::uint64_t>(info.st_size) > most_entry_bytes) return Read::bad;
  bytes.resize(static_cast<std::size_t>(info.st_size));
  std::size_t at = 0;
  while (at < bytes.size()) {
    const ssize_t got = ::read(file.descriptor(), bytes.data() + at, bytes.size() - at);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Read::unknown;
    if (got == 0) return Read::bad;
    at += static_cast<std::size_t>(got);
  }
  return Read::good;
}

bool write_all(const File& file, std::string_view bytes) {
  const FileSizeSignalBlocked blocked;
  while (!bytes.empty()) {
    const ssize_t done = ::write(file.descriptor(), bytes.data(), bytes.size());
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) {
      if (done == 0) errno = EIO;
      return false;
    }
    bytes.remove_prefix(static_cast<std::size_t>(done));
  }
  return true;
}

/// 0, or why the directory could not be made.
int make_directories(const std::string& path) {
  int code = 0;
  for (std::size_t end = 0; end != std::string::npos;) {
    end = path.find('/', end + 1);
    if (::mkdir(path.substr(0, end).c_str(), S_IRWXU) != 0 && errno != EEXIST) code = errno;
  }
  return code;
}

}  // namespace

Result<std::string> default_cache_directory() {
  const auto absolute = [](const char* name) -> std::string_view {
    const char* value = std::getenv(name);
    return value != nullptr && value[0] == '/' ? value : "";
  };
  if (const auto base = absolute("XDG_CACHE_HOME"); !base.empty()) {
    return fmt::format("{}/warphive", base);
  }
  if (const auto home = absolute("HOME"); !home.empty()) {
    return fmt::format("{}/.cache/warphive", home);
  }
  return base::error(ErrorCode::not_found, ErrorPhase::host,
                     "There is no place for the code cache: neither XDG_CACHE_HOME nor HOME is an "
                     "absolute path.");
}

Result<std::unique_ptr<CodeCache>> CodeCache::open(CacheOptions options) {
  if (options.directory.empty()) {
    WARPHIVE_TRY_ASSIGN(options.directory, default_cache_directory());
  }
  constexpr int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  const char* path = options.directory.c_str();
  int descriptor = ::open(path, flags);
  if (descriptor < 0 && errno == ENOENT) {
    if (!options.create) {
      return base::error(ErrorCode::not_found, ErrorPhase::host,
                         "The directory of the code cache ({}) does not exist.", options.directory);
    }
    const int code = make_directories(options.directory);
    descriptor = ::open(path, flags);
    if (descriptor < 0 && code != 0) errno = code;
  }
  if (descriptor < 0) {
    return io_error("Cannot open the directory of the code cache", options.directory, errno);
  }
  std::unique_ptr<CodeCache> cache(new CodeCache(descriptor, std::move(options)));
  WARPHIVE_TRY(cache->check_directory());
  return cache;
}

CodeCache::CodeCache(int directory, CacheOptions options)
    : directory_(directory), options_(std::move(options)) {}

CodeCache::~CodeCache() { ::close(directory_); }

/// What lies here is run: nobody else may put it here.
Status CodeCache::check_directory() const {
  struct stat info = {};
  if (::fstat(directory_, &info) != 0) {
    return io_error("Cannot examine the code cache", options_.directory, errno);
  }
  if (info.st_uid != ::geteuid()) {
    return base::error(ErrorCode::invalid_input, ErrorPhase::host,
                       "The directory of the code cache ({}) belongs to user {}, not to user {} "
                       "who runs this.",
                       options_.directory, info.st_uid, ::geteuid());
  }
  if (!only_we_can_write(info)) {
    return base::error(ErrorCode::invalid_input, ErrorPhase::host,
                       "The directory of the code cache ({}) can be written by others (mode "
                       "{:04o}).",
                       options_.directory, info.st_mode & 07777);
  }
  return {};
}

std::optional<HostObjects> CodeCache::find(const Digest& key) {
  if (!check_directory()) return std::nullopt;
  const std::string name = entry_name(key);
  // Not blocking, since it might be a pipe.
  const File file(::openat(directory_, name.c_str(),
                           O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!file.is_open()) {
    if (errno == ELOOP) remove_file(directory_, name);  // a symbolic link
    return std::nullopt;
  }
  std::string bytes;
  const Read read = read_entry(file, bytes);
  if (read == Read::unknown) return std::nullopt;
  std::optional<HostObjects> objects;
  if (read == Read::good) objects = decode_entry(key, bytes);
  if (objects) {
    (void)::futimens(file.descriptor(), nullptr);  // fails on read-only file systems
  } else {
    remove_file(directory_, name);
  }
  return objects;
}

Status CodeCache::store(const Digest& key, const HostObjects& objects) {
  WARPHIVE_TRY(check_directory());
  const std::string bytes = encode_entry(key, objects);
  const std::uint64_t most = std::min(options_.limit_bytes, most_entry_bytes);
  if (bytes.size() > most) {
    return base::error(ErrorCode::limit_exceeded, ErrorPhase::host,
                       "An entry of the code cache ({} bytes) exceeds the limit ({}).",
                       bytes.size(), most);
  }
  const std::string name = entry_name(key);
  WARPHIVE_TRY(write(name, bytes));
  return evict(name);
}

Status CodeCache::write(const std::string& name, std::string_view bytes) {
  std::string temporary;
  int descriptor = -1;
  // Processes in different containers may have the same number.
  for (int i = 0; i < temporary_attempts && descriptor < 0; ++i) {
    temporary = fmt::format("{}{}-{}{}", temporary_start, ::getpid(),
                            written_.fetch_add(1, std::memory_order_relaxed), temporary_ending);
    descriptor = ::openat(directory_, temporary.c_str(),
                          O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (descriptor < 0 && errno != EEXIST) break;
  }
  if (descriptor < 0) {
    return io_error("Cannot create a file in the code cache", options_.directory, errno);
  }
  File file(descriptor);
  // Not synchronised: what a crash of the machine leaves unwritten is found out when it is read.
  if (!write_all(file, bytes) || !file.close() ||
      ::renameat(directory_, temporary.c_str(), directory_, name.c_str()) != 0) {
    const int code = errno;
    remove_file(directory_, temporary);
    return io_error("Cannot write to the code cache", options_.directory, code);
  }
  return {};
}

Status CodeCache::evict(const std::string& kept) {
  WARPHIVE_TRY_ASSIGN(Files files, list(directory_, options_.directory));
  std::vector<Found>& entries = files.entries;
  std::sort(entries.begin(), entries.end());
  std::uint64_t bytes = 0;
  for (const Found& entry : entries) bytes += entry.bytes;
  for (const Found& entry : entries) {
    if (bytes <= options_.limit_bytes) break;
    if (entry.name == kept) continue;
    if (!remove_file(directory_, entry.name)) {
      return io_error("Cannot remove an entry of the code cache", entry.name, errno);
    }
    bytes -= entry.bytes;
  }
  for (const Found& temporary : files.temporaries) {
    if (!entries.empty() && temporary.seconds < entries.back().seconds - stale_seconds) {
      remove_file(directory_, temporary.name);
    }
  }
  return {};
}

Result<CacheStats> CodeCache::stats() const {
  WARPHIVE_TRY_ASSIGN(const Files files, list(directory_, options_.directory));
  CacheStats stats = {.directory = options_.directory,
                      .entries = files.entries.size(),
                      .bytes = 0,
                      .limit_bytes = options_.limit_bytes};
  for (const Found& entry : files.entries) stats.bytes += entry.bytes;
  return stats;
}

Status CodeCache::clear() {
  WARPHIVE_TRY_ASSIGN(Files files, list(directory_, options_.directory));
  std::vector<Found>& found = files.entries;
  std::move(files.temporaries.begin(), files.temporaries.end(), std::back_inserter(found));
  for (const Found& file : found) {
    if (!remove_file(directory_, file.name)) {
      return io_error("Cannot remove a file of the code cache", file.name, errno);
    }
  }
  return {};
}

}  // namespace warphive::codegen
