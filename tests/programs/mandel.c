// SPDX-License-Identifier: Apache-2.0
// Iterations over an n by n view of the Mandelbrot set, in f64.
#include "guest.h"

int32_t run(int32_t seed, int32_t n) {
  const double shift = (double)(seed & 1023) / 4096.0;
  int32_t total = 0;
  for (int32_t row = 0; row < n; ++row) {
    for (int32_t column = 0; column < n; ++column) {
      const double cx = 3.0 * column / n - 2.0 + shift;
      const double cy = 2.0 * row / n - 1.0;
      double x = 0.0;
      double y = 0.0;
      int32_t i = 0;
      while (i < 256) {
        const double xx = x * x;
        const double yy = y * y;
        if (xx + yy > 4.0) break;
        y = 2.0 * x * y + cy;
        x = xx - yy + cx;
        ++i;
      }
      total += i;
    }
  }
  return total;
}

GUEST_MAIN
