// SPDX-License-Identifier: Apache-2.0
#include "runtime/program.hpp"

#include <algorithm>

#include "base/check.hpp"
#include "base/result.hpp"
#include "exec/fuse.hpp"
#include "ir/verify.hpp"
#include "kernels/params.hpp"
#include "opt/pipeline.hpp"

namespace warphive::runtime {
namespace {

std::uint32_t slot_count(const std::vector<ir::ValueType>& types) {
  std::uint32_t count = 0;
  for (const ir::ValueType type : types) count += ir::slots(type);
  return count;
}

std::uint32_t find_initialize(const ir::Module& module) {
  const ir::Export* item = ir::find_export(module, "_initialize", ir::EntityKind::function);
  if (item == nullptr) return ir::none;
  const ir::FunctionType& type = module.types[module.functions[item->index].type];
  return type.params.empty() && type.results.empty() ? item->index : ir::none;
}

/// Program::may_write. Host functions and what is called through tables are thought to.
std::vector<bool> find_writers(const ir::Module& module) {
  const std::size_t count = module.functions.size();
  std::vector<bool> writes(count);
  std::vector<std::uint32_t> found;
  std::vector<std::vector<std::uint32_t>> callers(count);
  for (std::uint32_t f = 0; f < count; ++f) {
    for (const ir::Inst& inst : module.functions[f].code) {
      if (inst.op == ir::Op::call) {
        std::vector<std::uint32_t>& list = callers[inst.imm];
        if (list.empty() || list.back() != f) list.push_back(f);
      } else if ((ir::info(inst.op).traits & (ir::trait::stores | ir::trait::calls)) != 0) {
        if (!writes[f]) found.push_back(f);
        writes[f] = true;
      }
    }
  }
  while (!found.empty()) {
    const std::uint32_t callee = found.back();
    found.pop_back();
    for (const std::uint32_t caller : callers[callee]) {
      if (writes[caller]) continue;
      writes[caller] = true;
      found.push_back(caller);
    }
  }
  return writes;
}

}  // namespace

Result<std::shared_ptr<const Program>> make_program(ir::Module linked,
                                                    const ProgramOptions& options) {
  auto program = std::make_shared<Program>();
  WARPHIVE_TRY(ir::verify(linked));
  if (options.optimise) {
    opt::optimise(linked);
    WARPHIVE_TRY(ir::verify(linked));
  }
  program->module = std::move(linked);
  const ir::Module& module = program->module;
  WARPHIVE_TRY_ASSIGN(program->encoded, ir::encode(module));
  exec::fuse(program->encoded);  // for the host's interpreter: 1.3x, see exec/README.md
  // kernels::used_slots finds the function of an instruction by bisection.
  WARPHIVE_CHECK(std::is_sorted(
      program->encoded.functions.begin(), program->encoded.functions.end(),
      [](const abi::FunctionEntry& a, const abi::FunctionEntry& b) { return a.entry < b.entry; }));
  for (const ir::Member& member : module.members) {
    if (member.init != ir::none) program->inits.push_back(member.init);
    if (member.start != ir::none) program->starts.push_back(member.start);
  }
  if (program->starts.size() > kernels::phase_starts) {
    return base::error(ErrorCode::limit_exceeded, ErrorPhase::link,
                       "The number of start functions ({}) exceeds the limit ({}).",
                       program->starts.size(), kernels::phase_starts);
  }
  program->initialize = find_initialize(module);
  program->may_write = find_writers(module);
  for (const ir::Function& function : module.functions) {
    const ir::FunctionType& type = module.types[function.type];
    program->param_slots.push_back(slot_count(type.params));
    program->result_slots.push_back(slot_count(type.results));
  }
  if (options.device != nullptr && !options.device->info().reads_host_memory) {
    if (options.tiers != Tiers::interp) {
      LoadGate none;
      LoadGate& gate = options.gate != nullptr ? *options.gate : none;
      auto tier = DeviceTier::make(std::weak_ptr<const Program>(program), module, program->encoded,
                                   options.device, options.services);
      if (options.tiers == Tiers::jit) {
        WARPHIVE_TRY(tier->compile(gate));
      } else {
        tier->load_cached(gate);
      }
      program->device_tiers = std::make_unique<DeviceTiers>(std::move(tier));
    }
  } else if (options.tiers != Tiers::interp) {
    program->tier = codegen::ProgramTier::make(std::weak_ptr<const Program>(program), module,
                                               program->encoded, options.services);
    if (options.tiers == Tiers::jit) {
      WARPHIVE_TRY(program->tier->compile());
    } else {
      program->tier->load_cached();
    }
  }
  return std::shared_ptr<const Program>(std::move(program));
}

std::uint32_t default_memory_pages(const ir::Memory& memory) {
  constexpr std::uint32_t small_maximum = 256;
  constexpr std::uint32_t room = 16;
  constexpr std::uint32_t most = 65536;
  if (!memory.grows) return memory.min_pages;
  const std::uint32_t max = memory.max_pages.value_or(most);
  if (max <= small_maximum) return max;
  return std::min(max, memory.min_pages + room);
}

}  // namespace warphive::runtime
