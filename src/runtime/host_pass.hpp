// SPDX-License-Identifier: Apache-2.0
// What the host does for each instance before and after kernels, shared between its threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "base/check.hpp"
#include "base/result.hpp"
#include "hal/device.hpp"

namespace warphive::runtime {

/// Items that a thread takes at a time.
inline constexpr std::uint64_t pass_part = 2048;
/// Fewer take no longer than waking a thread.
inline constexpr std::uint64_t least_shared_pass = 8 * pass_part;

inline std::uint64_t parts_of(std::uint64_t count) { return (count + pass_part - 1) / pass_part; }

/// Calls `body(first, last)` for ranges that together are [0, count), in any order, on several
/// threads at once where there are many items. But for the last one they begin and end at multiples
/// of pass_part, so that first / pass_part numbers them where least_shared_pass is reached.
template <class Body>
void in_parts(hal::Device& device, std::uint64_t count, const Body& body) {
  if (count < least_shared_pass) {
    if (count != 0) body(std::uint64_t{0}, count);
    return;
  }
  struct Pass {
    const Body& body;
    std::uint64_t count;
  };
  const Pass pass{body, count};
  const auto run = [](const void* raw, std::uint32_t first, std::uint32_t last) {
    const auto& it = *static_cast<const Pass*>(raw);
    for (std::uint64_t part = first; part < last; ++part) {
      it.body(part * pass_part, std::min(it.count, (part + 1) * pass_part));
    }
  };
  device.run_on_host(run, &pass, static_cast<std::uint32_t>(parts_of(count)));
}

/// The error of the first item that `check(i)` refuses, whatever the order they are looked at.
/// `begin` comes before each pass over them.
template <class Begin, class Check>
Status check_in_parts(hal::Device& device, std::uint64_t count, const Begin& begin,
                      const Check& check) {
  std::atomic<bool> is_refused = false;
  begin();
  in_parts(device, count, [&](std::uint64_t first, std::uint64_t last) {
    for (std::uint64_t i = first; i < last; ++i) {
      if (check(i)) continue;
      is_refused.store(true, std::memory_order_relaxed);
      return;
    }
  });
  if (!is_refused) return {};
  begin();
  for (std::uint64_t i = 0; i < count; ++i) WARPHIVE_TRY(check(i));
  return {};
}

}  // namespace warphive::runtime
