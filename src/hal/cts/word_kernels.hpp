// SPDX-License-Identifier: Apache-2.0
// The conformance suite's kernels for CUDA devices: as PTX, and as host code for the stand-in.
#pragma once

#include <cstdint>
#include <string_view>

#include "hal/cts/conformance.hpp"

namespace warphive::hal::cts {

inline constexpr std::string_view word_kernels_mark = "// conformance suite";

// A kernel that makes `change` of each lane's word, %r6; %r5 is the lane. `add` comes on top.
#define WARPHIVE_WORD_KERNEL(name, change)                                        \
  ".visible .entry " name                                                         \
  "(.param .b64 words, .param .b32 add, .param .b32 unused, .param .b32 count)\n" \
  "{\n"                                                                           \
  "  .reg .pred %p;\n"                                                            \
  "  .reg .b32 %r<8>;\n"                                                          \
  "  .reg .b64 %rd<4>;\n"                                                         \
  "  ld.param.u64 %rd0, [words];\n"                                               \
  "  ld.param.u32 %r0, [add];\n"                                                  \
  "  ld.param.u32 %r1, [count];\n"                                                \
  "  mov.u32 %r2, %ctaid.x;\n"                                                    \
  "  mov.u32 %r3, %ntid.x;\n"                                                     \
  "  mov.u32 %r4, %tid.x;\n"                                                      \
  "  mad.lo.u32 %r5, %r2, %r3, %r4;\n"                                            \
  "  setp.ge.u32 %p, %r5, %r1;\n"                                                 \
  "  @%p ret;\n"                                                                  \
  "  cvta.to.global.u64 %rd0, %rd0;\n"                                            \
  "  mul.wide.u32 %rd1, %r5, 4;\n"                                                \
  "  add.u64 %rd2, %rd0, %rd1;\n"                                                 \
  "  ld.global.u32 %r6, [%rd2];\n"                                                \
  "  " change                                                                     \
  "\n"                                                                            \
  "  add.u32 %r6, %r6, %r0;\n"                                                    \
  "  st.global.u32 [%rd2], %r6;\n"                                                \
  "  ret;\n"                                                                      \
  "}\n"

/// `warphive_run` and `warphive_spawn` as conformance.hpp describes them.
inline constexpr const char* word_kernels_ptx =
    "// conformance suite\n"
    ".version 6.4\n"
    ".target sm_70\n"
    ".address_size 64\n" WARPHIVE_WORD_KERNEL("warphive_run", "add.u32 %r6, %r6, %r5;")
        WARPHIVE_WORD_KERNEL("warphive_spawn", "shl.b32 %r6, %r6, 1;");
#undef WARPHIVE_WORD_KERNEL

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
