// SPDX-License-Identifier: Apache-2.0
// What every device refuses before it does anything.
#pragma once

#include <cstdint>

#include "base/result.hpp"
#include "hal/device.hpp"

namespace warphive::hal {

/// Error invalid_input unless the range is inside of the buffer.
inline Status check_range(const Buffer& buffer, std::uint64_t offset, std::uint64_t bytes) {
  if (offset <= buffer.size() && bytes <= buffer.size() - offset) return {};
  return base::error(ErrorCode::invalid_input, ErrorPhase::dispatch,
                     "The range of ({}) bytes at ({}) is not inside the buffer ({} bytes).", bytes,
                     offset, buffer.size());
}

inline tl::unexpected<Error> no_kernel(KernelId kernel) {
  return base::error(ErrorCode::invalid_input, ErrorPhase::dispatch,
                     "The executable has no kernel ({}).", static_cast<unsigned>(kernel));
}

}  // namespace warphive::hal
