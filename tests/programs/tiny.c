// SPDX-License-Identifier: Apache-2.0
// A call that takes no time, in a page with 256 bytes of data: what an instance itself costs.
#include "guest.h"

static const volatile uint8_t data[256] = {[0] = 1, [17] = 2, [255] = 3};

int32_t run(int32_t seed, int32_t n) { return seed + data[n & 255]; }

GUEST_MAIN
