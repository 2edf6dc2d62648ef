// SPDX-License-Identifier: Apache-2.0
#include "warphive/program.hpp"

#include <algorithm>
#include <numeric>
#include <set>
#include <utility>

#include "api/data.hpp"
#include "base/result.hpp"
#include "ir/link.hpp"
#include "ir/text.hpp"

namespace warphive {
namespace {

constexpr std::size_t listed_names = 20;

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t changed = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, changed});
    }
  }
  return row[b.size()];
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size() && i < listed_names; ++i) {
    text += (i == 0 ? "" : ", ") + names[i];
  }
  if (names.size() > listed_names) text += fmt::format(" and {} more", names.size() - listed_names);
  return text;
}

}  // namespace

namespace detail {

std::string_view nearest_name(std::string_view name, const std::vector<std::string>& names) {
  constexpr std::size_t longest = 256;  // the distance takes the product of both lengths
  if (name.empty() || name.size() > longest) return {};
  std::string_view best;
  std::size_t least = std::max<std::size_t>(2, name.size() / 3) + 1;
  for (const std::string& other : names) {
    if (other.size() > longest) continue;
    const std::size_t distance = edit_distance(name, other);
    if (distance < least) {
      least = distance;
      best = other;
    }
  }
  return best;
}

Result<ir::Module> linked_module(const ProgramData& program) {
  std::vector<ir::LinkInput> inputs;
  inputs.reserve(program.items.size());
  for (const LinkItem& item : program.items) {
    inputs.push_back({&item.module.data()->lowered, item.name});
  }
  return ir::link(inputs,
                  {.host_function = [&](std::string_view module,
                                        std::string_view field) -> std::optional<ir::FunctionType> {
                    for (const ir::HostImport& host : program.hosts) {
                      if (host.module == module && host.field == field) {
                        return program.host_types[host.type];
                      }
                    }
                    return std::nullopt;
                  }});
}

}  // namespace detail

std::vector<Program::Export> Program::exports() const {
  const ir::Module& module = data_->program->module;
  std::vector<Export> result;
  std::set<std::pair<EntityKind, std::string_view>> seen;
  for (auto member = module.members.rbegin(); member != module.members.rend(); ++member) {
    for (const ir::Export& item : member->exports) {
      const auto kind = static_cast<EntityKind>(item.kind);
      if (!seen.emplace(kind, item.name).second) continue;
      Export entry{item.name, kind, item.index, std::nullopt};
      if (kind == EntityKind::function) {
        entry.type = detail::to_public(module.types[module.functions[item.index].type]);
      }
      result.push_back(std::move(entry));
    }
  }
  return result;
}

Result<Function> Program::find_function(std::string_view name) const {
  const ir::Module& module = data_->program->module;
  const ir::Export* item = ir::find_export(module, name, ir::EntityKind::function);
  if (item != nullptr) {
    return Function{item->index,
                    detail::to_public(module.types[module.functions[item->index].type])};
  }
  std::vector<std::string> names;
  for (const Export& entry : exports()) {
    if (entry.kind == EntityKind::function) names.push_back(entry.name);
  }
  if (names.empty()) {
    return base::error(ErrorCode::not_found, ErrorPhase::none,
                       "Function ({}) is not exported; the program exports no function.", name);
  }
  const std::string_view nearest = detail::nearest_name(name, names);
  return base::error(
      ErrorCode::not_found, ErrorPhase::none,
      "Function ({}) is not exported; the program exports ({}){}.", name, joined(names),
      nearest.empty() ? std::string() : fmt::format("; the nearest is ({})", nearest));
}

bool Program::has_memory() const { return !data_->program->module.memories.empty(); }

std::uint32_t Program::default_memory_pages() const {
  const ir::Module& module = data_->program->module;
  return has_memory() ? runtime::default_memory_pages(module.memories[module.main_memory]) : 0;
}

TierStatus Program::tier_status() const {
  TierStatus to;
  to.state = "off";
  const runtime::Program& program = *data_->program;
  if (program.tier == nullptr && program.device_tiers == nullptr) return to;
  codegen::TierStatus from =
      program.tier != nullptr ? program.tier->status() : program.device_tiers->latest()->status();
  to.compiled = from.state == codegen::TierState::ready;
  to.from_cache = from.from_cache;
  to.functions = from.functions;
  to.interpreted = from.interpreted;
  to.variants = from.variants;
  to.seconds = from.compile_seconds;
  constexpr const char* states[] = {"cold", "queued", "compiling", "ready", "failed"};
  to.state = states[static_cast<std::size_t>(from.state)];
  to.failure = std::move(from.reason);
  to.reasons = std::move(from.reasons);
  return to;
}

std::string Program::ir_text() const { return ir::print(data_->program->module); }

}  // namespace warphive
