// SPDX-License-Identifier: Apache-2.0
// Linking: several unlinked modules become one program.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string_view>

#include "ir/module.hpp"
#include "warphive/error.hpp"

namespace warphive::ir {

/// An unlinked module and the name under which later members import it.
struct LinkInput {
  const Module* module = nullptr;  // one member; borrowed during the call
  std::string name;
};

struct LinkOptions {
  /// Says whether a host function of that name exists and its type; asked for function imports that
  /// no earlier member provides.
  std::function<std::optional<FunctionType>(std::string_view module, std::string_view field)>
      host_function;
};

/// Joins the members in order: an import is resolved by the exports of the latest earlier member of
/// that name, then by the host. Indices are renumbered, types interned by structure; a host import
/// becomes a function whose body is one host_call. Memory and table imports are checked against
/// declared types here and against current sizes by the member's `init`. Each module must pass
/// verify and have one member; the result passes verify.
/// Errors (phase link): unknown import, incompatible import type; both list name and signatures.
Result<Module> link(std::span<const LinkInput> members, const LinkOptions& options = {});

}  // namespace warphive::ir
