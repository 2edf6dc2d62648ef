// SPDX-License-Identifier: Apache-2.0
// What instances read as standard input. Its position is InstanceHeader::in_read, so an instance
// that moves or is resumed goes on where it was.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <mutex>
#include <span>
#include <string>

namespace warphive::sys {

/// Positions are 32 bits wide; what lies beyond is not readable.
inline constexpr std::uint32_t max_input_bytes = std::numeric_limits<std::uint32_t>::max();

/// The part of its own input that an instance has in memory. Only used where inputs differ.
struct InputWindow {
  std::string bytes;
  std::uint32_t at = 0;  // position of bytes[0]
  bool valid = false;    // bytes and at mean something
  bool ends = false;     // the input ends with this window
};

/// The input of all instances: nothing, one file or pipe for all, or one for each. Thread-safe for
/// calls of distinct instances. Functions return 0 or an errno of the host.
class Input {
 public:
  Input() = default;
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;
  ~Input();

  /// Every instance reads this file from its beginning. What cannot seek (a pipe, a terminal) is
  /// read once and kept, so that all instances see the same.
  int use_file(const std::string& path);
  /// `path` holds `{id}`. The file is opened when the instance reads.
  void use_file_each(std::string path) { path_each_ = std::move(path); }
  void use_source(std::function<std::string(std::uint64_t ordinal)> source) {
    source_ = std::move(source);
  }

  /// Whether read() needs a window that lives as long as the instance.
  [[nodiscard]] bool differs() const { return source_ != nullptr || !path_each_.empty(); }

  [[nodiscard]] bool is_terminal() const { return is_terminal_; }

  /// Reads at `at`; fewer bytes than asked for at the end, or when a terminal has no more right
  /// now.
  int read(std::uint64_t ordinal, std::uint32_t at, InputWindow* window, std::span<std::byte> to,
           std::size_t& count);

 private:
  int read_stream(std::uint32_t at, std::span<std::byte> to, std::size_t& count);
  int fill(std::uint64_t ordinal, std::uint32_t at, InputWindow& window) const;

  int descriptor_ = -1;
  bool seekable_ = false;
  bool is_terminal_ = false;
  std::string path_each_;
  std::function<std::string(std::uint64_t)> source_;
  std::mutex mutex_;    // guards the two below
  std::string stream_;  // what came out of the pipe so far
  bool stream_ended_ = false;
};

/// Puts the ordinal in place of each `{id}`.
std::string with_ordinal(const std::string& text, std::uint64_t ordinal);
bool has_ordinal(const std::string& text);

}  // namespace warphive::sys
