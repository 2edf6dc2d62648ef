// SPDX-License-Identifier: Apache-2.0
// Facts about this machine.
#pragma once

#include <cstdint>
#include <string>

namespace warphive::hal::cpu {

std::string processor_name();
std::uint32_t usable_cores();  // at least 1
/// Memory that this process may use: the machine's, or its control group's limit if lower.
std::uint64_t memory_bytes();
/// Of those, what could be touched now.
std::uint64_t available_memory_bytes();

}  // namespace warphive::hal::cpu
