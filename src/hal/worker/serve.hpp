// SPDX-License-Identifier: Apache-2.0
// The worker process.
#pragma once

namespace warphive::hal::worker {

/// Serves the front process that started this one (protocol.hpp) until either ends; then this
/// process ends at once. Returns false where no front process did.
bool serve();

}  // namespace warphive::hal::worker
