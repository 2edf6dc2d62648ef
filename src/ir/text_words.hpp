// SPDX-License-Identifier: Apache-2.0
// The words of the text form that printer and parser share.
#pragma once

#include <string_view>

#include "ir/module.hpp"
#include "ir/operands.hpp"

namespace warphive::ir::text {

/// What stands before an index of that space, as in `global3`.
constexpr std::string_view space_word(Space space) {
  switch (space) {
    case Space::function:
      return "fn";
    case Space::global:
      return "global";
    case Space::memory:
      return "memory";
    case Space::table:
      return "table";
    case Space::branch_table:
      return "jump";
    case Space::data:
      return "data";
    case Space::elem:
      return "elem";
    case Space::type:
      return "type";
    case Space::host:
      return "host";
    case Space::block:
      return "b";
    case Space::vector:
      return "vector";
    case Space::unused:
    case Space::number:
      return "";
  }
  return "";
}

constexpr std::string_view entity_word(EntityKind kind) {
  switch (kind) {
    case EntityKind::function:
      return "fn";
    case EntityKind::table:
      return "table";
    case EntityKind::memory:
      return "memory";
    case EntityKind::global:
      return "global";
  }
  return "";
}

}  // namespace warphive::ir::text
