// SPDX-License-Identifier: Apache-2.0
// The module `spectest` that spec scripts import from.
#pragma once

#include <cstddef>
#include <vector>

namespace warphive::tools::spec {

std::vector<std::byte> spectest_bytes();

}  // namespace warphive::tools::spec
