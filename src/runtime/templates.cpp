// SPDX-License-Identifier: Apache-2.0
// Templates and their images: the state that instances of a program start from.
#include <algorithm>
#include <cstring>

#include "base/check.hpp"
#include "base/result.hpp"
#include "exec/fuse.hpp"
#include "runtime/swarm_state.hpp"

namespace warphive::runtime {
namespace {

constexpr std::uint64_t system_page = 4096;
constexpr std::uint64_t scan_bytes = std::uint64_t{1} << 20;
// Zeros inside of an extent that are copied rather than skipped.
constexpr std::uint64_t merged_gap = 256;
constexpr std::uint64_t quantum = 4096;

/// Appends the runs of nonzero 8-byte words of `bytes`, which lie at `at` in the memory range.
void find_extents(std::span<const std::byte> bytes, std::uint64_t at, Template& shape) {
  for (std::uint64_t i = 0; i < bytes.size(); i += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + i, 8);
    if (word == 0) continue;
    const auto* raw = reinterpret_cast<const std::uint8_t*>(bytes.data());
    std::vector<kernels::Extent>& extents = shape.image_extents;
    std::vector<std::uint8_t>& memory = shape.image_memory;
    if (!extents.empty() && at + i - (extents.back().at + extents.back().bytes) < merged_gap) {
      kernels::Extent& last = extents.back();
      memory.resize(memory.size() + (at + i - (last.at + last.bytes)));
      memory.insert(memory.end(), raw + i, raw + i + 8);
      last.bytes = at + i + 8 - last.at;
    } else {
      extents.push_back({.at = at + i, .bytes = 8, .from = memory.size()});
      memory.insert(memory.end(), raw + i, raw + i + 8);
    }
  }
}

constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t unit) {
  return (value + unit - 1) / unit * unit;
}

std::uint32_t slots_of(const ir::FunctionType& type) {
  std::uint32_t params = 0;
  std::uint32_t results = 0;
  for (const ir::ValueType value : type.params) params += ir::slots(value);
  for (const ir::ValueType value : type.results) results += ir::slots(value);
  return std::max(params, results);
}

}  // namespace

Result<Template*> Swarm::State::template_for(const std::shared_ptr<const Program>& program,
                                             const Capacities& capacities,
                                             Instantiate instantiate) {
  for (const auto& shape : templates) {
    if (shape->program == program && shape->capacities == capacities &&
        shape->instantiate == instantiate) {
      return shape.get();
    }
  }
  auto shape = std::make_unique<Template>();
  shape->index = static_cast<std::uint32_t>(templates.size());
  shape->program = program;
  shape->capacities = capacities;
  shape->instantiate = instantiate;
  WARPHIVE_TRY(plan_layout(*program, capacities, shape->layout));
  WARPHIVE_TRY(place_constants(*shape));

  const ir::Module& module = program->module;
  const sys::HostRegistry* registry = services.registry;
  if (!module.metered && services.unmetered != nullptr) registry = services.unmetered;
  for (const ir::HostImport& import : module.host_imports) {
    const sys::HostEntry* entry =
        services.find ? services.find(import.module, import.field) : nullptr;
    if (entry == nullptr && registry != nullptr) {
      entry = registry->find(import.module, import.field);
    }
    if (entry == nullptr) {
      return base::error(ErrorCode::not_found, ErrorPhase::spawn,
                         "The program needs host function ({}.{}), which this swarm does not have.",
                         import.module, import.field);
    }
    const ir::FunctionType& type = module.types[import.type];
    if (entry->type != type) {
      return base::error(ErrorCode::invalid_input, ErrorPhase::spawn,
                         "The program needs host function ({}.{}) as {}; it is {}.", import.module,
                         import.field, ir::to_string(type), ir::to_string(entry->type));
    }
    const bool references = std::find(type.results.begin(), type.results.end(),
                                      ir::ValueType::funcref) != type.results.end();
    shape->hosts.push_back({entry, slots_of(type), references, import.memory});
  }

  WARPHIVE_TRY(make_image(*shape));
  templates.push_back(std::move(shape));
  return templates.back().get();
}

Status ConstantData::store(hal::Device& device, hal::Queue& queue,
                           std::span<const std::byte> bytes) {
  WARPHIVE_TRY_ASSIGN(hal::Buffer buffer, device.allocate(bytes.size(), hal::Placement::device));
  WARPHIVE_TRY(queue.upload(buffer, 0, bytes));
  buffers_.push_back(std::move(buffer));
  return {};
}

Status Swarm::State::place_constants(Template& shape) {
  const Program& program = *shape.program;
  shape.code = program.encoded.view();
  shape.kernel_layout = shape.layout.view;
  const auto place = [&]<class T>(const T*& at, std::size_t count) {
    return shape.constants.add(*device, *queue, std::span<const T>(at, count), at);
  };
  abi::Code& code = shape.code;
  if (!device->info().reads_host_memory) {
    shape.plain_insns.assign(code.insns, code.insns + code.insn_count);
    for (abi::Insn& insn : shape.plain_insns) insn.op = exec::unfused(insn.op);
    code.insns = shape.plain_insns.data();
  }
  const ir::EncodedProgram& encoded = program.encoded;
  WARPHIVE_TRY(place(code.insns, code.insn_count));
  WARPHIVE_TRY(place(code.functions, code.function_count));
  WARPHIVE_TRY(place(code.branches, encoded.branches.size()));
  WARPHIVE_TRY(place(code.data, encoded.data.size()));
  WARPHIVE_TRY(place(code.elements, encoded.elements.size()));
  WARPHIVE_TRY(place(code.vectors, encoded.vectors.size()));
  WARPHIVE_TRY(place(code.data_segments, encoded.data_segments.size()));
  WARPHIVE_TRY(place(code.element_segments, encoded.element_segments.size()));
  abi::ProgramLayout& layout = shape.kernel_layout;
  WARPHIVE_TRY(place(layout.memories, layout.memory_count));
  WARPHIVE_TRY(place(layout.tables, layout.table_count));
  shape.code_at = &code;
  shape.layout_at = &layout;
  shape.starts_at = program.starts.data();
  WARPHIVE_TRY(place(shape.code_at, 1));
  WARPHIVE_TRY(place(shape.layout_at, 1));
  return place(shape.starts_at, program.starts.size());
}

Status Swarm::State::place_image(Template& shape) {
  kernels::Image& image = shape.image;
  shape.image_data = {};
  const auto place = [&](const auto& from, auto& at) {
    return shape.image_data.add(*device, *queue, std::span(from), at);
  };
  WARPHIVE_TRY(place(std::as_const(shape.image_state), image.state));
  WARPHIVE_TRY(place(std::as_const(shape.image_memory), image.memory));
  WARPHIVE_TRY(place(std::as_const(shape.image_extents), image.extents));
  image.extent_count = static_cast<std::uint32_t>(shape.image_extents.size());
  return {};
}

Result<std::unique_ptr<InstancePool>> Swarm::State::make_pool(Template& shape,
                                                              std::uint32_t capacity) {
  auto pool = std::make_unique<InstancePool>();
  pool->shape = &shape;
  pool->capacity = capacity;
  // The program may have been linked by an engine of another device.
  const Program& program = *shape.program;
  if (device->info().reads_host_memory) {
    pool->native = program.tier == nullptr ? nullptr : program.tier->slot();
  } else if (program.device_tiers != nullptr) {
    pool->device_tier = program.device_tiers->on(device);
  }
  pool->owners.resize(capacity, ir::none);
  const Layout& layout = shape.layout;
  const std::uint64_t slots = round_up(capacity, device->info().tile_lanes);
  const auto allocate = [&](hal::Buffer& buffer, std::uint64_t each) -> Status {
    std::uint64_t bytes = 0;
    if (__builtin_mul_overflow(each, slots, &bytes)) bytes = ~std::uint64_t{0};
    WARPHIVE_TRY_ASSIGN(buffer, device->allocate(bytes, hal::Placement::device));
    return {};
  };
  WARPHIVE_TRY(allocate(pool->headers, sizeof(abi::InstanceHeader)));
  WARPHIVE_TRY(allocate(pool->state, layout.state_stride));
  WARPHIVE_TRY(allocate(pool->stack, std::uint64_t{layout.stack_stride} * 8));
  WARPHIVE_TRY(allocate(pool->memory, layout.memory_stride));
  WARPHIVE_TRY(allocate(pool->out, layout.out_capacity));
  WARPHIVE_TRY(allocate(pool->err, layout.out_capacity));
  return pool;
}

/// Runs every member's init in an instance that nobody else sees, and keeps what is not zero.
Status Swarm::State::make_image(Template& shape) {
  const Program& program = *shape.program;
  shape.image_state = initial_state(program, shape.layout);
  kernels::Image& image = shape.image;
  WARPHIVE_TRY(place_image(shape));
  image.exit = abi::Exit::ready;
  image.trap = abi::TrapKind::none;
  if (shape.instantiate == Instantiate::raw) {
    image.phase = static_cast<std::uint8_t>(program.starts.size() | kernels::phase_initialized);
  } else if (!program.inits.empty()) {
    WARPHIVE_TRY_ASSIGN(const auto pool, make_pool(shape, 1));
    const abi::Pool view = pool->view();
    SharedArray<abi::Pool> view_at;
    SharedArray<kernels::PoolCalls> no_starts;
    WARPHIVE_TRY(view_at.resize(*device, 1, 0));
    WARPHIVE_TRY(no_starts.resize(*device, 1, 0));
    view_at[0] = view;
    no_starts[0] = {.starts = nullptr, .start_count = 0, .initialize = kernels::no_function};
    WARPHIVE_TRY(view_at.to_device(*queue));
    WARPHIVE_TRY(no_starts.to_device(*queue));
    WARPHIVE_TRY(spawn_lanes.resize(*device, 1));
    spawn_lanes[0] = {0, 0, 0};
    WARPHIVE_TRY(spawn_lanes.to_device(*queue));
    const kernels::SpawnLanes spawn{.pool = view, .image = image, .lanes = spawn_lanes.device()};
    WARPHIVE_TRY(queue->dispatch(*executable, hal::KernelId::spawn, hal::params_of(spawn), 1));

    WARPHIVE_TRY_ASSIGN(auto inputs, take_inputs(1, 0));
    auto buffers = results->take(device);
    WARPHIVE_TRY(buffers->outcomes.resize(*device, 1));
    WARPHIVE_TRY(buffers->values.resize(*device, 1));
    WARPHIVE_TRY(clear_control());
    for (const std::uint32_t init : program.inits) {
      inputs->lanes[0] = {0, 0};
      inputs->calls[0] = {
          .function = init, .first_arg = 0, .first_value = 0, .call = 0, .flags = 0};
      WARPHIVE_TRY(inputs->lanes.to_device(*queue));
      WARPHIVE_TRY(inputs->calls.to_device(*queue));
      const kernels::RunLanes params{.run = {.pools = view_at.device(),
                                             .lanes = inputs->lanes.device(),
                                             .stop = nullptr,
                                             .host_call = nullptr,
                                             .host_context = nullptr,
                                             .quantum = quantum},
                                     .calls = inputs->calls.device(),
                                     .even = {},
                                     .pool_calls = no_starts.device(),
                                     .args = inputs->args.device(),
                                     .values = buffers->values.device(),
                                     .outcomes = buffers->outcomes.device(),
                                     .briefs = nullptr,
                                     .progress = &control_at()->progress,
                                     .fuel = abi::unlimited_fuel,
                                     .slice = no_slice,
                                     .left = nullptr,
                                     .first_lane = 0,
                                     .lane_count = 1,
                                     .warp_lanes = 1,
                                     .native = nullptr,
                                     .round = kernels::Round::first,
                                     .native_stack_bytes = 0};
      WARPHIVE_TRY(queue->dispatch(*executable, hal::KernelId::run, hal::params_of(params), 1));
      WARPHIVE_TRY(buffers->outcomes.to_host(*queue));
      WARPHIVE_TRY(queue->synchronise());
      const kernels::Outcome& outcome = buffers->outcomes[0];
      if (outcome.exit == abi::Exit::returned) continue;
      // Instantiation is straight-line code that calls nobody.
      if (outcome.exit != abi::Exit::trapped) {
        return base::error(ErrorCode::internal, ErrorPhase::spawn,
                           "Instantiation stopped as ({}) in function ({}).",
                           abi::to_string(outcome.exit), init);
      }
      image.exit = abi::Exit::trapped;
      image.trap = outcome.trap;
      image.pc = outcome.pc;
      image.entry = init;
      break;
    }
    free_inputs.push_back(std::move(inputs));
    results->give_back(std::move(buffers));

    const auto gather = [&](kernels::Range range, std::uint64_t offset,
                            std::span<std::byte> to) -> Status {
      WARPHIVE_TRY(moves.resize(*device, 1));
      moves[0] = {{0, 0}, offset, to.size(), 0, range, 0};
      return move_bytes(hal::KernelId::gather, 1, to.data(), to.size(), view_at.device());
    };
    WARPHIVE_TRY(
        gather(kernels::Range::state, 0, std::as_writable_bytes(std::span(shape.image_state))));
    std::vector<std::byte> chunk;
    // Without data segments no memory was written.
    const std::size_t scanned =
        program.module.data_segments.empty() ? 0 : shape.layout.memories.size();
    for (std::size_t m = 0; m < scanned; ++m) {
      // Only members' init ran: every memory still has its declared minimum.
      const std::uint64_t bytes =
          std::uint64_t{program.module.memories[m].min_pages} * abi::page_bytes;
      for (std::uint64_t at = 0; at < bytes; at += scan_bytes) {
        chunk.resize(std::min(scan_bytes, bytes - at));
        const std::uint64_t start = shape.layout.memories[m].at + at;
        WARPHIVE_TRY(gather(kernels::Range::memory, start, chunk));
        find_extents(chunk, start, shape);
      }
    }
  }
  WARPHIVE_TRY(place_image(shape));
  if (const std::uint32_t main = program.module.main_memory; shape.has_memory(main)) {
    shape.image_memory_pages = program.module.memories[main].min_pages;
  }

  shape.spawn_bytes = sizeof(abi::InstanceHeader) + shape.layout.state_stride;
  std::uint64_t last_page = ~std::uint64_t{0};
  for (const kernels::Extent& extent : shape.image_extents) {
    const std::uint64_t first = extent.at / system_page;
    const std::uint64_t end = (extent.at + extent.bytes - 1) / system_page;
    shape.spawn_bytes += (end - first + (first == last_page ? 0 : 1)) * system_page;
    last_page = end;
  }
  return {};
}

}  // namespace warphive::runtime
