// SPDX-License-Identifier: Apache-2.0
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <numeric>

#include "api/data.hpp"
#include "base/check.hpp"
#include "runtime/host_pass.hpp"
#include "warphive/swarm.hpp"

namespace warphive {

detail::ResultsData::ResultsData(runtime::Results from, hal::Device& device)
    : results(std::move(from)) {
  const std::uint64_t count = results.size();
  const auto types_of = [this](std::uint64_t i) -> std::span<const ir::ValueType> {
    if (results.outcome(i).exit != abi::Exit::returned) return {};
    const ir::Module& module = results.program(i).module;
    return module.types[module.functions[results.function(i)].type].results;
  };
  // Where the values of each part begin.
  std::vector<std::size_t> starts(runtime::parts_of(count) + 1);
  runtime::in_parts(device, count, [&](std::uint64_t first, std::uint64_t last) {
    std::size_t& sum = starts[first / runtime::pass_part + 1];
    for (std::uint64_t i = first; i < last; ++i) sum += types_of(i).size();
  });
  std::partial_sum(starts.begin(), starts.end(), starts.begin());
  first_value.resize(count + 1);
  first_value[count] = starts.back();
  values.resize(starts.back());
  runtime::in_parts(device, count, [&](std::uint64_t first, std::uint64_t last) {
    std::size_t next = starts[first / runtime::pass_part];
    for (std::uint64_t i = first; i < last; ++i) {
      first_value[i] = next;
      std::span<const std::uint64_t> slots = results.values(i);
      for (const ir::ValueType type : types_of(i)) values[next++] = take_value(type, slots);
    }
  });
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
