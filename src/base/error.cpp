// SPDX-License-Identifier: Apache-2.0
#include "warphive/error.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>

#include "base/check.hpp"

namespace warphive {

struct Error::Body {
  ErrorCode code;
  ErrorPhase phase;
  std::string message;
  std::uint64_t offset = no_offset;
  std::vector<std::string> contexts;
};

Error::Error(ErrorCode code, ErrorPhase phase, std::string message)
    : body_(std::make_unique<Body>(Body{code, phase, std::move(message), no_offset, {}})) {}
Error::Error(Error&&) noexcept = default;
Error& Error::operator=(Error&&) noexcept = default;
Error::~Error() = default;

ErrorCode Error::code() const noexcept { return body_->code; }
ErrorPhase Error::phase() const noexcept { return body_->phase; }
const std::string& Error::message() const noexcept { return body_->message; }
std::uint64_t Error::offset() const noexcept { return body_->offset; }

Error&& Error::at_offset(std::uint64_t byte_offset) && {
  if (body_->offset == no_offset) body_->offset = byte_offset;
  return std::move(*this);
}

Error&& Error::context(std::string line) && {
  body_->contexts.push_back(std::move(line));
  return std::move(*this);
}

std::string Error::describe() const {
  std::string text = body_->message;
  if (body_->offset != no_offset) {
    text += fmt::format(" At byte {} (0x{:x}), phase {}.", body_->offset, body_->offset,
                        to_string(body_->phase));
  }
  for (const std::string& line : body_->contexts) text += " " + line;
  return text;
}

std::string_view to_string(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::invalid_input:
      return "invalid_input";
    case ErrorCode::unsupported:
      return "unsupported";
    case ErrorCode::limit_exceeded:
      return "limit_exceeded";
    case ErrorCode::out_of_memory:
      return "out_of_memory";
    case ErrorCode::not_found:
      return "not_found";
    case ErrorCode::busy:
      return "busy";
    case ErrorCode::device_lost:
      return "device_lost";
    case ErrorCode::io:
      return "io";
    case ErrorCode::cancelled:
      return "cancelled";
    case ErrorCode::unavailable:
      return "unavailable";
    case ErrorCode::internal:
      return "internal";
  }
  WARPHIVE_UNREACHABLE();
}

std::string_view to_string(ErrorPhase phase) noexcept {
  switch (phase) {
    case ErrorPhase::none:
      return "none";
    case ErrorPhase::parse:
      return "parse";
    case ErrorPhase::validate:
      return "validate";
    case ErrorPhase::link:
      return "link";
    case ErrorPhase::lower:
      return "lower";
    case ErrorPhase::encode:
      return "encode";
    case ErrorPhase::codegen:
      return "codegen";
    case ErrorPhase::load:
      return "load";
    case ErrorPhase::spawn:
      return "spawn";
    case ErrorPhase::dispatch:
      return "dispatch";
    case ErrorPhase::host:
      return "host";
  }
  WARPHIVE_UNREACHABLE();
}

void base::check_failed(const char* what, std::source_location where) {
  std::fprintf(stderr, "warphive: internal error: %s (%s:%u)\n", what, where.file_name(),
               static_cast<unsigned>(where.line()));
  std::abort();
}

}  // namespace warphive
