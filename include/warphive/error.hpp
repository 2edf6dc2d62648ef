// SPDX-License-Identifier: Apache-2.0
// Error and Result: how every fallible call of Warphive answers.
//
// Guest failure (a trap, exhausted fuel, an exit code) is data in the results and never an Error.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>
#include <vector>

namespace warphive {

/// What kind of thing went wrong; maps to the command line's exit codes.
enum class ErrorCode : std::uint8_t {
  invalid_input,   // malformed or invalid module, wrong argument, unknown name
  unsupported,     // well-formed, but uses what this build does not implement
  limit_exceeded,  // a limit of the options or the format
  out_of_memory,   // host or device memory
  not_found,       // file, export, device
  busy,            // the instance is running or stopped in a state that refuses the call
  device_lost,     // the device is gone; its instances are reported
  io,              // operating system
  cancelled,
  unavailable,  // no such device or driver here
  internal,     // a fault of ours that could be contained
};

/// Where it went wrong.
enum class ErrorPhase : std::uint8_t {
  none,
  parse,
  validate,
  link,
  lower,
  encode,
  codegen,
  load,
  spawn,
  dispatch,
  host
};

std::string_view to_string(ErrorCode code) noexcept;
std::string_view to_string(ErrorPhase phase) noexcept;

/// One sentence about what failed and, from the inside out, what was being done meanwhile.
/// Never null, move-only, one pointer wide. Messages start with a capital and end with a period.
class [[nodiscard]] Error {
 public:
  Error(ErrorCode code, ErrorPhase phase, std::string message);
  Error(Error&&) noexcept;
  Error& operator=(Error&&) noexcept;
  ~Error();

  [[nodiscard]] ErrorCode code() const noexcept;
  [[nodiscard]] ErrorPhase phase() const noexcept;
  [[nodiscard]] const std::string& message() const noexcept;
  /// Byte offset in the module that the error is about, or no_offset.
  [[nodiscard]] std::uint64_t offset() const noexcept;
  static constexpr std::uint64_t no_offset = ~std::uint64_t{0};

  Error&& at_offset(std::uint64_t byte_offset) &&;
  /// Adds a line of context, for example "While validating function 3.".
  Error&& context(std::string line) &&;
  /// Message, offset and contexts in one line.
  [[nodiscard]] std::string describe() const;

 private:
  struct Body;
  std::unique_ptr<Body> body_;
};

template <class T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

[[nodiscard]] inline tl::unexpected<Error> fail(Error error) {
  return tl::unexpected<Error>(std::move(error));
}

}  // namespace warphive
