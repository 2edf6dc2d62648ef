// SPDX-License-Identifier: Apache-2.0
// The bytes of one entry of the code cache; docs/cache.md has the table.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "codegen/cache.hpp"

namespace warphive::codegen {

std::string encode_entry(const Digest& key, const HostObjects& objects);

/// Nothing unless these are exactly the bytes that encode_entry makes for this key.
std::optional<HostObjects> decode_entry(const Digest& key, std::string_view bytes);

}  // namespace warphive::codegen
