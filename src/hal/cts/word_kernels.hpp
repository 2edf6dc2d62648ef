// SPDX-License-Identifier: Apache-2.0
// The conformance suite's kernels for CUDA devices: as PTX, and as host code for the stand-in.
#pragma once

#include <cstdint>
#include <string_view>

#include "hal/cts/conformance.hpp"

namespace warphive::hal::cts {

inline constexpr std::string_view word_kernels_mark = "// conformance suite";

/// `warphive_run` and `warphive_spawn` as conformance.hpp describes them.
inline constexpr const char* word_kernels_ptx = R"(// conformance suite
.version 6.4
.target sm_70
.address_size 64
.visible .entry warphive_run(.param .b64 words, .param .b32 add, .param .b32 unused, .param .b32 count)
{
  .reg .pred %p;
  .reg .b32 %r<8>;
  .reg .b64 %rd<4>;
  ld.param.u64 %rd0, [words];
  ld.param.u32 %r0, [add];
  ld.param.u32 %r1, [count];
  mov.u32 %r2, %ctaid.x;
  mov.u32 %r3, %ntid.x;
  mov.u32 %r4, %tid.x;
  mad.lo.u32 %r5, %r2, %r3, %r4;
  setp.ge.u32 %p, %r5, %r1;
  @%p ret;
  cvta.to.global.u64 %rd0, %rd0;
  mul.wide.u32 %rd1, %r5, 4;
  add.u64 %rd2, %rd0, %rd1;
  ld.global.u32 %r6, [%rd2];
  add.u32 %r6, %r6, %r5;
  add.u32 %r6, %r6, %r0;
  st.global.u32 [%rd2], %r6;
  ret;
}
.visible .entry warphive_spawn(.param .b64 words, .param .b32 add, .param .b32 unused, .param .b32 count)
{
  .reg .pred %p;
  .reg .b32 %r<8>;
  .reg .b64 %rd<4>;
  ld.param.u64 %rd0, [words];
  ld.param.u32 %r0, [add];
  ld.param.u32 %r1, [count];
  mov.u32 %r2, %ctaid.x;
  mov.u32 %r3, %ntid.x;
  mov.u32 %r4, %tid.x;
  mad.lo.u32 %r5, %r2, %r3, %r4;
  setp.ge.u32 %p, %r5, %r1;
  @%p ret;
  cvta.to.global.u64 %rd0, %rd0;
  mul.wide.u32 %rd1, %r5, 4;
  add.u64 %rd2, %rd0, %rd1;
  ld.global.u32 %r6, [%rd2];
  shl.b32 %r6, %r6, 1;
  add.u32 %r6, %r6, %r0;
  st.global.u32 [%rd2], %r6;
  ret;
}
)";

using WordKernel = void (*)(const void* params, std::uint32_t count);

/// nullptr for other names.
inline WordKernel word_kernel(std::string_view name) {
  if (name == "warphive_run") {
    return [](const void* raw, std::uint32_t count) {
      const auto& params = *static_cast<const WordParams*>(raw);
      for (std::uint32_t lane = 0; lane < count; ++lane) params.words[lane] += lane + params.add;
    };
  }
  if (name == "warphive_spawn") {
    return [](const void* raw, std::uint32_t count) {
      const auto& params = *static_cast<const WordParams*>(raw);
      for (std::uint32_t lane = 0; lane < count; ++lane) {
        params.words[lane] = 2 * params.words[lane] + params.add;
      }
    };
  }
  return nullptr;
}

}  // namespace warphive::hal::cts
