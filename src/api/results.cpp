// SPDX-License-Identifier: Apache-2.0
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <numeric>

#include "api/data.hpp"
#include "base/check.hpp"
#include "warphive/swarm.hpp"

namespace warphive {

detail::ResultsData::ResultsData(runtime::Results from) : results(std::move(from)) {
  first_value.reserve(results.size() + 1);
  for (std::size_t i = 0; i < results.size(); ++i) {
    first_value.push_back(values.size());
    std::span<const std::uint64_t> slots = results.values(i);
    if (slots.empty()) continue;
    const ir::Module& module = results.program(i).module;
    const auto& types = module.types[module.functions[results.function(i)].type].results;
    for (const ir::ValueType type : types) values.push_back(take_value(type, slots));
  }
  first_value.push_back(values.size());
}

Results::Results(std::unique_ptr<detail::ResultsData> data) : data_(std::move(data)) {}
Results::Results(Results&&) noexcept = default;
Results& Results::operator=(Results&&) noexcept = default;
Results::~Results() = default;

std::size_t Results::size() const { return data_->results.size(); }

InstanceResult Results::operator[](std::size_t i) const {
  const runtime::Results& results = data_->results;
  WARPHIVE_CHECK(i < results.size());
  const kernels::Outcome& outcome = results.outcome(i);
  InstanceResult result;
  result.id = results.id(i);
  result.ordinal = results.ordinal(i);
  result.exit = static_cast<Exit>(outcome.exit);
  result.trap = static_cast<TrapKind>(outcome.trap);
  result.exit_code = outcome.exit == abi::Exit::exited ? outcome.exit_code : 0;
  if (results.program(i).module.metered) result.instructions = outcome.fuel_used;
  result.values =
      std::span(data_->values)
          .subspan(data_->first_value[i], data_->first_value[i + 1] - data_->first_value[i]);
  result.out = results.out(i);
  result.err = results.err(i);
  result.truncated = outcome.truncated != 0;
  result.grow_refused = outcome.grow_refused;
  return result;
}

std::optional<TrapSite> Results::trap_site(std::size_t i) const {
  const auto location = data_->results.location(i);
  if (!location) return std::nullopt;
  const ir::Function& function = data_->results.program(i).module.functions[location->function];
  TrapSite site;
  if (function.guest_index != ir::none) site.function = function.guest_index;
  site.function_name = function.name;
  if (location->inst < function.source.size()) site.offset = function.source[location->inst];
  return site;
}

std::uint64_t Results::count(Exit exit) const {
  return data_->results.count(static_cast<abi::Exit>(exit));
}
std::uint64_t Results::instructions() const { return data_->results.instructions(); }

std::uint64_t Results::hash() const {
  const runtime::Results& results = data_->results;
  std::vector<std::size_t> order(results.size());
  std::iota(order.begin(), order.end(), 0);
  const auto by_ordinal = [&](std::size_t a, std::size_t b) {
    return results.ordinal(a) < results.ordinal(b);
  };
  if (!std::is_sorted(order.begin(), order.end(), by_ordinal)) {
    std::sort(order.begin(), order.end(), by_ordinal);
  }
  XXH64_state_t state;
  XXH64_reset(&state, 0);
  for (const std::size_t i : order) {
    const kernels::Outcome& outcome = results.outcome(i);
    const auto values = results.values(i);
    const std::uint8_t head[3] = {static_cast<std::uint8_t>(outcome.exit),
                                  static_cast<std::uint8_t>(outcome.trap),
                                  static_cast<std::uint8_t>(values.size())};
    XXH64_update(&state, head, sizeof head);
    for (const std::uint64_t value : values) {
      std::uint8_t bytes[8];
      for (unsigned b = 0; b < 8; ++b) bytes[b] = static_cast<std::uint8_t>(value >> (8 * b));
      XXH64_update(&state, bytes, sizeof bytes);
    }
  }
  return XXH64_digest(&state);
}

std::chrono::nanoseconds Results::spawn_time() const { return data_->results.spawn_time(); }
std::chrono::nanoseconds Results::run_time() const { return data_->results.run_time(); }
std::chrono::nanoseconds Results::harvest_time() const { return data_->results.harvest_time(); }

}  // namespace warphive
