// SPDX-License-Identifier: Apache-2.0
#include "tools/spec_executor.hpp"

#include <array>

#include "base/result.hpp"

namespace warphive::tools::spec {

std::span<const ExecutorKind> executor_kinds() {
  static constexpr std::array kinds = {
      ExecutorKind{"ref", make_ref_executor},
      ExecutorKind{"interp.cpu", make_interp_cpu_executor},
      ExecutorKind{"interp.sliced", make_interp_sliced_executor},
      ExecutorKind{"interp.loop", make_interp_loop_executor},
      ExecutorKind{"interp.cuda", make_interp_cuda_executor},
      ExecutorKind{"jit.cpu", make_jit_cpu_executor},
      ExecutorKind{"jit.sliced", make_jit_sliced_executor},
      ExecutorKind{"jit.cuda", make_jit_cuda_executor},
      ExecutorKind{"jit.sim", make_jit_sim_executor},
  };
  return kinds;
}

const ExecutorKind* find_executor(std::string_view name) {
  for (const ExecutorKind& kind : executor_kinds()) {
    if (kind.name == name) return &kind;
  }
  return nullptr;
}

std::uint32_t source_offset(const ir::Module& module, std::uint32_t function, std::uint32_t inst) {
  if (function >= module.functions.size()) return ir::none;
  const ir::Function& owner = module.functions[function];
  return owner.guest_index == ir::none || inst >= owner.source.size() ? ir::none
                                                                      : owner.source[inst];
}

abi::Exit refuse_host_call(const abi::RunParams*, const abi::Pool* pool, abi::LaneRef lane,
                           std::uint32_t, std::uint64_t*) {
  pool->headers[lane.slot].trap = abi::TrapKind::host;
  return abi::Exit::trapped;
}

Result<Outcome> Executor::instantiate(const ir::Member& member) {
  Outcome outcome = {abi::Exit::returned, abi::TrapKind::none, {}, 0};
  for (const std::uint32_t function : {member.init, member.start}) {
    if (function == ir::none || outcome.exit != abi::Exit::returned) continue;
    WARPHIVE_TRY_ASSIGN(outcome, call(function, {}));
  }
  return outcome;
}

}  // namespace warphive::tools::spec
