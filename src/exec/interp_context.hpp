// SPDX-License-Identifier: Apache-2.0
// The host interpreter's parts that running in two tiers needs.
#pragma once

#include "abi/state.hpp"
#include "exec/host_machine.hpp"

namespace warphive::exec {

HostContext context_of(const abi::RunParams& params, abi::LaneRef lane);

/// Interprets from the header's pc with `fuel` of the context's grant left, until the lane stops.
/// Calls go to compiled code where context.native has some.
void run_interp(HostContext& context, int64_t fuel);

}  // namespace warphive::exec
