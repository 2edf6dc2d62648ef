// SPDX-License-Identifier: Apache-2.0
// What tests see of this process's children and files.
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace warphive::hal::worker::testing {

/// Of all its threads.
inline std::vector<pid_t> children() {
  std::vector<pid_t> found;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream file(task.path() / "children");
    for (pid_t child = 0; file >> child;) found.push_back(child);
  }
  return found;
}

inline std::size_t open_files() {
  const std::filesystem::directory_iterator files("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(files), end(files)));
}

/// A file that is not there yet, and not any longer afterwards.
class ScratchFile {
 public:
  explicit ScratchFile(const std::string& name)
      : path_(std::filesystem::temp_directory_path() /
              ("warphive-" + name + "-" + std::to_string(::getpid()))) {
    remove();
  }
  ~ScratchFile() { remove(); }
  ScratchFile(const ScratchFile&) = delete;
  ScratchFile& operator=(const ScratchFile&) = delete;
  [[nodiscard]] std::string path() const { return path_; }
  [[nodiscard]] bool exists() const { return std::filesystem::exists(path_); }
  void remove() { std::filesystem::remove(path_); }
  /// How many of its lines are this one.
  [[nodiscard]] std::size_t lines(const std::string& wanted) const {
    std::ifstream file(path_);
    std::size_t count = 0;
    for (std::string line; std::getline(file, line);) count += line == wanted ? 1 : 0;
    return count;
  }

 private:
  std::filesystem::path path_;
};

}  // namespace warphive::hal::worker::testing
