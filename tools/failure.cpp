// SPDX-License-Identifier: Apache-2.0
#include "tools/failure.hpp"

#include <cstdio>

namespace warphive::tools {

void print_error(std::string_view text) { (void)std::fwrite(text.data(), 1, text.size(), stderr); }

Status status_of(const Error& error) {
  switch (error.code()) {
    case ErrorCode::device_lost:
    case ErrorCode::unavailable:
      return Status::device;
    case ErrorCode::io:
    case ErrorCode::out_of_memory:
    case ErrorCode::internal:
    case ErrorCode::busy:
      return Status::host;
    case ErrorCode::cancelled:
      return Status::stopped;
    case ErrorCode::invalid_input:
    case ErrorCode::unsupported:
    case ErrorCode::limit_exceeded:
    case ErrorCode::not_found:
      break;
  }
  switch (error.phase()) {
    case ErrorPhase::parse:
    case ErrorPhase::validate:
    case ErrorPhase::link:
    case ErrorPhase::lower:
    case ErrorPhase::encode:
    case ErrorPhase::codegen:
      return Status::bad_module;
    case ErrorPhase::load:
    case ErrorPhase::host:
      return Status::host;
    case ErrorPhase::spawn:  // a capacity that the program refuses, or more than there is room for
      return error.code() == ErrorCode::invalid_input ? Status::usage : Status::host;
    case ErrorPhase::dispatch:
    case ErrorPhase::none:
      return Status::usage;
  }
  return Status::host;
}

}  // namespace warphive::tools
