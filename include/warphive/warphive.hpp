// SPDX-License-Identifier: Apache-2.0
// Everything.
#pragma once

#include "warphive/engine.hpp"
#include "warphive/error.hpp"
#include "warphive/host.hpp"
#include "warphive/program.hpp"
#include "warphive/swarm.hpp"
#include "warphive/types.hpp"
