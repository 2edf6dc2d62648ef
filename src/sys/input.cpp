// SPDX-License-Identifier: Apache-2.0
#include "sys/input.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

namespace warphive::sys {
namespace {

constexpr std::string_view placeholder = "{id}";
constexpr std::size_t window_bytes = 65536;

int read_at(int descriptor, std::uint64_t at, std::span<std::byte> to, std::size_t& count) {
  count = 0;
  while (count < to.size()) {
    const ssize_t got =
        ::pread(descriptor, to.data() + count, to.size() - count, static_cast<off_t>(at + count));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno;
    if (got == 0) break;
    count += static_cast<std::size_t>(got);
  }
  return 0;
}

}  // namespace

bool has_ordinal(const std::string& text) { return text.find(placeholder) != std::string::npos; }

std::string with_ordinal(const std::string& text, std::uint64_t ordinal) {
  const std::string number = std::to_string(ordinal);
  std::string result;
  std::size_t from = 0;
  while (true) {
    const std::size_t found = text.find(placeholder, from);
    result.append(text, from, found == std::string::npos ? found : found - from);
    if (found == std::string::npos) return result;
    result.append(number);
    from = found + placeholder.size();
  }
}

Input::~Input() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

int Input::use_file(const std::string& path) {
  descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (descriptor_ < 0) return errno;
  struct stat status{};
  if (::fstat(descriptor_, &status) != 0) return errno;
  if (S_ISDIR(status.st_mode)) return EISDIR;
  seekable_ = S_ISREG(status.st_mode);
  is_terminal_ = ::isatty(descriptor_) == 1;
  return 0;
}

int Input::read(std::uint64_t ordinal, std::uint32_t at, InputWindow* window,
                std::span<std::byte> to, std::size_t& count) {
  count = 0;
  to = to.first(std::min<std::size_t>(to.size(), max_input_bytes - at));
  if (to.empty()) return 0;
  if (descriptor_ >= 0) {
    return seekable_ ? read_at(descriptor_, at, to, count) : read_stream(at, to, count);
  }
  if (!differs() || window == nullptr) return 0;
  while (count < to.size()) {
    const std::uint32_t position = at + static_cast<std::uint32_t>(count);
    if (!window->valid || position < window->at ||
        (!window->ends && position - window->at >= window->bytes.size())) {
      if (const int error = fill(ordinal, position, *window)) return error;
    }
    const std::size_t skip = position - window->at;
    if (skip >= window->bytes.size()) break;  // the end
    const std::size_t taken = std::min(to.size() - count, window->bytes.size() - skip);
    std::memcpy(to.data() + count, window->bytes.data() + skip, taken);
    count += taken;
    if (window->ends && skip + taken == window->bytes.size()) {
      // All is read: keep the position of the end, not the bytes.
      *window = {{}, position + static_cast<std::uint32_t>(taken), true, true};
    }
  }
  return 0;
}

int Input::read_stream(std::uint32_t at, std::span<std::byte> to, std::size_t& count) {
  const std::scoped_lock lock(mutex_);
  // A terminal gives a line at a time. From a pipe all that was asked for is awaited: how writers
  // cut their data into pieces must not change what guests do.
  const std::uint64_t wanted = std::uint64_t{at} + (is_terminal_ ? 1 : to.size());
  while (stream_.size() < wanted && !stream_ended_) {
    char piece[window_bytes];
    // NOLINTNEXTLINE(clang-analyzer-unix.BlockInCriticalSection): the others wait for it as well
    const ssize_t got = ::read(descriptor_, piece, sizeof piece);
    if (got < 0) {
      if (at < stream_.size()) break;
      return errno;  // also EINTR: whoever interrupts wants the guest to get on
    }
    stream_ended_ = got == 0;
    stream_.append(piece, static_cast<std::size_t>(got));
  }
  if (at < stream_.size()) {
    count = std::min(to.size(), stream_.size() - at);
    std::memcpy(to.data(), stream_.data() + at, count);
  }
  return 0;
}

int Input::fill(std::uint64_t ordinal, std::uint32_t at, InputWindow& window) const {
  window = {};
  if (source_) {
    window.bytes = source_(ordinal);
    window.valid = window.ends = true;
    return 0;
  }
  // Opened for each window, so that a swarm needs no descriptor per instance.
  const std::string path = with_ordinal(path_each_, ordinal);
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (descriptor < 0) return errno;
  std::string bytes(window_bytes, '\0');
  std::size_t count = 0;
  const int error = read_at(descriptor, at, std::as_writable_bytes(std::span(bytes)), count);
  ::close(descriptor);
  if (error != 0) return error;
  bytes.resize(count);
  bytes.shrink_to_fit();
  window = {std::move(bytes), at, true, count < window_bytes};
  return 0;
}

}  // namespace warphive::sys
