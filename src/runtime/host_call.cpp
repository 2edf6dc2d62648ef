// SPDX-License-Identifier: Apache-2.0
// The boundary to host functions: the only file of this folder that is built with exceptions, so
// that what a host function throws is caught before it meets code without them.
#include "base/check.hpp"
#include "runtime/swarm_state.hpp"

namespace warphive::runtime {

namespace {

/// Interpreters trust references: one from outside must be null or a function of the program.
bool references_are_sound(const Template& shape, const HostBinding& host,
                          const sys::HostCall& call) {
  std::size_t slot = 0;
  for (const ir::ValueType type : host.entry->type.results) {
    if (type == ir::ValueType::funcref &&
        call.values[slot] > shape.program->module.functions.size()) {
      return false;
    }
    slot += ir::slots(type);
  }
  return true;
}

}  // namespace

void call_guarded(const Template& shape, const HostBinding& host, std::span<sys::HostCall> calls) {
  try {
    host.entry->function(calls);
  } catch (...) {
    for (sys::HostCall& call : calls) {
      call.verdict = abi::Exit::trapped;
      call.header->trap = abi::TrapKind::host;
    }
  }
  for (sys::HostCall& call : calls) {
    if (host.returns_functions && call.verdict == abi::Exit::ready &&
        !references_are_sound(shape, host, call)) {
      call.verdict = abi::Exit::trapped;
      call.header->trap = abi::TrapKind::host;
    }
    switch (call.verdict) {
      case abi::Exit::ready:
      case abi::Exit::trapped:
      case abi::Exit::exited:
      case abi::Exit::parked:
        break;
      default:
        call.verdict = abi::Exit::internal;
    }
  }
}

abi::Exit serve_now(const abi::RunParams* params, const abi::Pool* pool, abi::LaneRef lane,
                    std::uint32_t host_import, std::uint64_t* values) {
  const auto& context = *static_cast<const kernels::LaneContext*>(params->host_context);
  const auto& pools =
      *static_cast<const std::vector<std::unique_ptr<InstancePool>>*>(context.service);
  const InstancePool& owner = *pools[context.pool];
  const Template& shape = *owner.shape;
  abi::InstanceHeader& header = pool->headers[lane.slot];
  if (host_import >= shape.hosts.size()) {
    header.trap = abi::TrapKind::host;
    return abi::Exit::trapped;
  }
  const HostBinding& host = shape.hosts[host_import];
  std::uint64_t memory_bytes = 0;
  std::uint8_t* memory_base = nullptr;
  if (shape.has_memory(host.memory)) {
    std::uint32_t pages = 0;
    __builtin_memcpy(&pages,
                     pool->state + std::uint64_t{lane.slot} * pool->state_stride +
                         pool->layout->memory_pages_at + 4 * std::uint64_t{host.memory},
                     sizeof pages);
    memory_bytes = std::uint64_t{pages} * abi::page_bytes;
    memory_base = pool->memory + std::uint64_t{lane.slot} * pool->memory_stride +
                  pool->layout->memories[host.memory].at;
  }
  sys::ContiguousMemory memory(reinterpret_cast<std::byte*>(memory_base), memory_bytes);
  const auto range = [&](std::uint8_t* base) {
    return sys::OutputRange{
        reinterpret_cast<std::byte*>(base + std::uint64_t{lane.slot} * pool->out_capacity),
        pool->out_capacity};
  };
  sys::HostCall call{
      .header = &header,
      .memory = &memory,
      .values = {values, host.value_slots},
      .out = range(pool->out),
      .err = range(pool->err),
      .index = owner.owners[lane.slot],
      .stop = params->stop,
  };
  call_guarded(shape, host, {&call, 1});
  return call.verdict;
}

}  // namespace warphive::runtime
