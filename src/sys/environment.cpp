// SPDX-License-Identifier: Apache-2.0
#include "sys/environment.hpp"

#include <utility>

#include "sys/world.hpp"

namespace warphive::sys {

struct Environment::State {
  explicit State(EnvironmentOptions options) : world(std::move(options)) {}
  World world;
};

Environment::Environment(EnvironmentOptions options)
    : state_(std::make_unique<State>(std::move(options))) {}

Environment::~Environment() = default;

Status Environment::register_into(HostRegistry& registry) {
  World& world = state_->world;
  if (world.fault) return fail(Error(world.fault->code, ErrorPhase::host, world.fault->message));
  if (auto status = register_wasi(world, registry); !status) return status;
  if (auto status = register_warphive(world, registry); !status) return status;
  return world.options.seed_host ? register_seed_host(world, registry) : Status();
}

void Environment::release(std::uint32_t index) { state_->world.instances.erase(index); }

bool Environment::deterministic() const {
  return !state_->world.host_clock_read.load(std::memory_order_relaxed);
}

}  // namespace warphive::sys
