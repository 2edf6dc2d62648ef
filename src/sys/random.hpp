// SPDX-License-Identifier: Apache-2.0
// Random words as a pure function of (seed, ordinal, counter): any device can make any word of any
// instance, in any order.
#pragma once

#include "kernels/services.hpp"

namespace warphive::sys {

using kernels::philox2x64;
using kernels::PhiloxBlock;
using kernels::random_word;

}  // namespace warphive::sys
