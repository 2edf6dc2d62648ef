// SPDX-License-Identifier: Apache-2.0
// Elementary functions of f32 for the seeds' host functions. They compute in double with + - * /
// and integer operations alone, so that every device that keeps IEEE arithmetic gets the same bits,
// whatever its mathematics library. Results lie within 1 ulp of the exact value (seed_math_test); a
// NaN is always 0x7fc00000.
#pragma once

namespace warphive::sys {

float seed_sqrt(float x);  // correctly rounded
float seed_sin(float x);   // radians, any magnitude
float seed_cos(float x);
float seed_tan(float x);
float seed_exp(float x);
float seed_log(float x);  // natural
/// Special cases as in C's pow.
float seed_pow(float x, float y);

}  // namespace warphive::sys
