// SPDX-License-Identifier: Apache-2.0
// How the command ends: exit statuses, and the exception that carries one with its sentence.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <warphive/error.hpp>

namespace warphive::tools {

/// Exit statuses of the command; scripts rely on them. A guest's own code ends at last_guest.
enum class Status : int {
  ok = 0,
  some_code_nonzero = 1,
  last_guest = 119,
  trap = 120,
  stopped = 121,  // out of fuel, timeout or cancelled
  device = 122,
  host = 123,
  bad_module = 124,
  usage = 125,
};

/// Ends the command: the sentence goes to stderr after "warphive: ".
class Failure : public std::runtime_error {
 public:
  Failure(Status status, const std::string& sentence)
      : std::runtime_error(sentence), status_(status), sentence_(sentence) {}
  [[nodiscard]] Status status() const { return status_; }
  /// As what(), which would end at a NUL that was given to the command in a file.
  [[nodiscard]] const std::string& sentence() const { return sentence_; }

 private:
  Status status_;
  std::string sentence_;
};

/// The device was lost: on a new one the work may succeed.
class DeviceLost : public Failure {
 public:
  explicit DeviceLost(const std::string& sentence) : Failure(Status::device, sentence) {}
};

template <class... Args>
[[noreturn]] void fail_usage(fmt::format_string<Args...> format, Args&&... args) {
  throw Failure(Status::usage, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
[[noreturn]] void fail_host(fmt::format_string<Args...> format, Args&&... args) {
  throw Failure(Status::host, fmt::format(format, std::forward<Args>(args)...));
}

/// Writes to stderr. That it cannot be written (closed, a full disk) is ignored: there is nowhere
/// left to say so.
void print_error(std::string_view text);

/// The status for an error of the library by what went wrong and where.
Status status_of(const Error& error);

/// The value, or a Failure with the error's sentence. `subject`, if any, comes before the sentence:
/// "prog.wasm: ...".
template <class T>
T or_fail(Result<T> result, std::string_view subject = {}) {
  if (!result) {
    const Error& error = result.error();
    const std::string sentence =
        subject.empty() ? error.describe() : fmt::format("{}: {}", subject, error.describe());
    if (error.code() == ErrorCode::device_lost) throw DeviceLost(sentence);
    throw Failure(status_of(error), sentence);
  }
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

}  // namespace warphive::tools
