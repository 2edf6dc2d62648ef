// SPDX-License-Identifier: Apache-2.0
// Bytes between instances and the host.
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>

#include "base/check.hpp"
#include "base/result.hpp"
#include "runtime/swarm_state.hpp"

namespace warphive::runtime {
namespace {

// Kernels write it by words.
constexpr std::uint64_t most_direct_moves = 4096;

// Of memory that is hashed at a time.
constexpr std::uint64_t part_bytes = 1024;
constexpr std::uint64_t staging_bytes = std::uint64_t{4} << 20;

tl::unexpected<Error> no_such(const char* what, std::uint32_t index, std::size_t count) {
  return base::error(ErrorCode::not_found, ErrorPhase::none,
                     "{} ({}) does not exist; the program has ({}).", what, index, count);
}

}  // namespace

/// So that a large range is moved by many lanes.
Status Swarm::State::split_moves(std::uint64_t& count) {
  std::uint64_t parts = 0;
  for (std::uint64_t i = 0; i < count; ++i) parts += (moves[i].bytes + part_bytes - 1) / part_bytes;
  if (parts <= count) return {};
  const std::vector<kernels::Move> whole(moves.host(), moves.host() + count);
  WARPHIVE_TRY(moves.resize(*device, parts));
  std::uint64_t at = 0;
  for (const kernels::Move& move : whole) {
    for (std::uint64_t done = 0; done < move.bytes; done += part_bytes) {
      kernels::Move& part = moves[at++] = move;
      part.offset += done;
      part.at += done;
      part.bytes = std::min(part_bytes, move.bytes - done);
    }
  }
  count = parts;
  return {};
}

Status Swarm::State::move_bytes(hal::KernelId kernel, std::uint64_t count, std::byte* host,
                                std::uint64_t bytes, const abi::Pool* views) {
  if (count == 0) return {};
  const bool in_place = device->info().reads_host_memory;
  const bool gathers = kernel == hal::KernelId::gather;
  if (!in_place) {
    WARPHIVE_TRY(moved.resize(*device, bytes, most_direct_moves));
    WARPHIVE_TRY(split_moves(count));
    WARPHIVE_TRY(moves.to_device(*queue));
    if (!gathers) {
      std::copy(host, host + bytes, moved.host());
      WARPHIVE_TRY(moved.to_device(*queue));
    }
  }
  const kernels::MoveLanes params{
      .pools = views != nullptr ? views : pool_views.device(),
      .moves = moves.device(),
      .flat = reinterpret_cast<std::uint8_t*>(in_place ? host : moved.device())};
  WARPHIVE_TRY(queue->dispatch(*executable, kernel, hal::params_of(params),
                               static_cast<std::uint32_t>(count)));
  if (!in_place && gathers) WARPHIVE_TRY(moved.to_host(*queue));
  WARPHIVE_TRY(queue->synchronise());
  if (!in_place && gathers) std::copy(moved.host(), moved.host() + bytes, host);
  return {};
}

Status Swarm::State::read_range(const Instance& instance, kernels::Range range,
                                std::uint64_t offset, std::span<std::byte> to) {
  WARPHIVE_TRY(moves.resize(*device, 1));
  moves[0] = {{instance.pool, instance.slot}, offset, to.size(), 0, range, 0};
  return move_bytes(hal::KernelId::gather, 1, to.data(), to.size());
}

Result<abi::InstanceHeader> Swarm::State::read_header(const Instance& instance) {
  abi::InstanceHeader header = {};
  WARPHIVE_TRY(read_range(instance, kernels::Range::header, 0,
                          std::as_writable_bytes(std::span(&header, 1))));
  return header;
}

Status Swarm::State::check_memory_ranges(std::span<const InstanceId> ids, std::uint64_t address,
                                         std::uint64_t bytes_each, std::uint64_t buffer_bytes) {
  WARPHIVE_TRY(find_all(ids));
  std::uint64_t total = 0;
  if (__builtin_mul_overflow(bytes_each, std::uint64_t{ids.size()}, &total) ||
      total != buffer_bytes) {
    return base::error(ErrorCode::invalid_input, ErrorPhase::none,
                       "The buffer has ({}) bytes; ({}) instances with ({}) bytes each need "
                       "another size.",
                       buffer_bytes, ids.size(), bytes_each);
  }
  for (const InstanceId id : ids) {
    const std::uint64_t size = std::uint64_t{instances[id.index].memory_pages} * abi::page_bytes;
    if (address > size || bytes_each > size - address) {
      return base::error(ErrorCode::invalid_input, ErrorPhase::none,
                         "The range of ({}) bytes at ({}) is not inside the memory of instance "
                         "({}), which has ({}) bytes.",
                         bytes_each, address, id.index, size);
    }
  }
  return {};
}

Status Swarm::State::move_memory(hal::KernelId kernel, std::span<const InstanceId> ids,
                                 std::uint64_t address, std::uint64_t bytes_each, std::byte* flat) {
  if (bytes_each == 0 || ids.empty()) return {};
  WARPHIVE_TRY(moves.resize(*device, ids.size()));
  for (std::size_t i = 0; i < ids.size(); ++i) {
    Instance& instance = instances[ids[i].index];
    instance.wrote |= kernel == hal::KernelId::scatter;
    const Template& shape = *pools[instance.pool]->shape;
    const std::uint64_t start = shape.main_memory()->at;  // the ranges were checked: there is one
    moves[i] = {{instance.pool, instance.slot},
                start + address,
                bytes_each,
                i * bytes_each,
                kernels::Range::memory,
                0};
  }
  return move_bytes(kernel, ids.size(), flat, ids.size() * bytes_each);
}

Status Swarm::read_memory(std::span<const InstanceId> ids, std::uint64_t address,
                          std::uint64_t bytes_each, std::span<std::byte> to) {
  State& s = *state_;
  const Claim claim(s.claimed);
  if (!claim) return busy_error();
  WARPHIVE_TRY(s.check_memory_ranges(ids, address, bytes_each, to.size()));
  return s.move_memory(hal::KernelId::gather, ids, address, bytes_each, to.data());
}

Status Swarm::write_memory(std::span<const InstanceId> ids, std::uint64_t address,
                           std::uint64_t bytes_each, std::span<const std::byte> from) {
  State& s = *state_;
  const Claim claim(s.claimed);
  if (!claim) return busy_error();
  WARPHIVE_TRY(s.check_memory_ranges(ids, address, bytes_each, from.size()));
  // The kernel only reads the flat side of a scatter.
  return s.move_memory(hal::KernelId::scatter, ids, address, bytes_each,
                       const_cast<std::byte*>(from.data()));
}

Result<std::uint64_t> Swarm::memory_size(InstanceId id, std::uint32_t memory) {
  State& s = *state_;
  const Claim claim(s.claimed);
  if (!claim) return busy_error();
  WARPHIVE_TRY_ASSIGN(const Instance* instance, s.find(id));
  return s.size_of_memory(*instance, memory);
}

Result<std::uint64_t> Swarm::State::size_of_memory(const Instance& instance, std::uint32_t memory) {
  const Layout& layout = pools[instance.pool]->shape->layout;
  if (memory >= layout.memories.size()) return 0;
  std::uint32_t pages = 0;
  WARPHIVE_TRY(read_range(instance, kernels::Range::state,
                          layout.view.memory_pages_at + 4 * std::uint64_t{memory},
                          std::as_writable_bytes(std::span(&pages, 1))));
  return std::uint64_t{std::min(pages, layout.memories[memory].capacity)} * abi::page_bytes;
}

Result<std::vector<std::byte>> Swarm::memory_bytes(InstanceId id, std::uint32_t memory) {
  State& s = *state_;
  const Claim claim(s.claimed);
  if (!claim) return busy_error();
  WARPHIVE_TRY_ASSIGN(const Instance* found, s.find(id));
  const Instance& instance = *found;
  WARPHIVE_TRY_ASSIGN(const std::uint64_t bytes, s.size_of_memory(instance, memory));
  std::vector<std::byte> result(bytes);
  if (bytes == 0) return result;
  const Layout& layout = s.pools[instance.pool]->shape->layout;
  WARPHIVE_TRY(s.read_range(instance, kernels::Range::memory, layout.memories[memory].at, result));
  return result;
}

Result<std::vector<std::uint64_t>> Swarm::memory_sizes(std::span<const InstanceId> ids) {
  State& s = *state_;
  const Claim claim(s.claimed);
  if (!claim) return busy_error();
  std::vector<std::uint64_t> sizes;
  sizes.reserve(ids.size());
  for (const InstanceId id : ids) {
    WARPHIVE_TRY_ASSIGN(const Instance* instance, s.find(id));
    sizes.push_back(std::uint64_t{instance->memory_pages} * abi::page_bytes);
  }
  return sizes;
}

Result<std::vector<std::uint64_t>> Swarm::memory_hashes(std::span<const InstanceId> ids) {
  State& s = *state_;
  const Claim claim(s.claimed);
  if (!claim) return busy_error();
  WARPHIVE_TRY(s.find_all(ids));
  std::vector<std::uint64_t> hashes;
  hashes.reserve(ids.size());
  std::vector<std::byte> chunk;
  for (const InstanceId id : ids) {
    const Instance& instance = s.instances[id.index];
    const std::uint64_t size = std::uint64_t{instance.memory_pages} * abi::page_bytes;
    const abi::MemoryLayout* memory = s.pools[instance.pool]->shape->main_memory();
    const std::uint64_t start = memory == nullptr ? 0 : memory->at;
    XXH64_state_t hash;
    XXH64_reset(&hash, 0);
    for (std::uint64_t at = 0; at < size; at += staging_bytes) {
      chunk.resize(std::min(staging_bytes, size - at));
      WARPHIVE_TRY(s.read_range(instance, kernels::Range::memory, start + at, chunk));
      XXH64_update(&hash, chunk.data(), chunk.size());
    }
    hashes.push_back(XXH64_digest(&hash));
  }
  return hashes;
}

Status Swarm::State::move_global(hal::KernelId kernel, std::span<const InstanceId> ids,
                                 std::uint32_t global, std::uint64_t* flat, std::size_t values) {
  WARPHIVE_TRY(find_all(ids));
  if (ids.empty() && values == 0) return {};
  std::size_t slots = 1;
  std::uint32_t first = 0;
  if (!ids.empty()) {
    const ir::Module& module = pools[instances[ids[0].index].pool]->shape->program->module;
    const std::size_t count = module.globals.size();
    if (global >= count) return no_such("Global", global, count);
    slots = ir::slots(module.globals[global].type);
    first = ir::global_slots(module)[global];
  }
  if (values != slots * ids.size()) {
    return base::error(ErrorCode::invalid_input, ErrorPhase::none,
                       "There are ({}) values for ({}) instances.", values, ids.size());
  }
  WARPHIVE_TRY(moves.resize(*device, ids.size()));
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const Instance& instance = instances[ids[i].index];
    const Template& shape = *pools[instance.pool]->shape;
    moves[i] = {{instance.pool, instance.slot},
                shape.layout.view.globals_at + 8 * std::uint64_t{first},
                8 * slots,
                8 * slots * i,
                kernels::Range::state,
                0};
  }
  return move_bytes(kernel, ids.size(), reinterpret_cast<std::byte*>(flat), values * 8);
}

Status Swarm::read_global(std::span<const InstanceId> ids, std::uint32_t global,
                          std::span<std::uint64_t> to) {
  const Claim claim(state_->claimed);
  if (!claim) return busy_error();
  return state_->move_global(hal::KernelId::gather, ids, global, to.data(), to.size());
}

Status Swarm::write_global(std::span<const InstanceId> ids, std::uint32_t global,
                           std::span<const std::uint64_t> from) {
  const Claim claim(state_->claimed);
  if (!claim) return busy_error();
  return state_->move_global(hal::KernelId::scatter, ids, global,
                             const_cast<std::uint64_t*>(from.data()), from.size());
}

Result<std::vector<std::uint64_t>> Swarm::table_elements(InstanceId id, std::uint32_t table) {
  State& s = *state_;
  const Claim claim(s.claimed);
  if (!claim) return busy_error();
  WARPHIVE_TRY_ASSIGN(const Instance* instance, s.find(id));
  const Layout& layout = s.pools[instance->pool]->shape->layout;
  if (table >= layout.tables.size()) return no_such("Table", table, layout.tables.size());
  std::uint32_t size = 0;
  WARPHIVE_TRY(s.read_range(*instance, kernels::Range::state,
                            layout.view.table_sizes_at + 4 * std::uint64_t{table},
                            std::as_writable_bytes(std::span(&size, 1))));
  std::vector<std::uint64_t> elements(std::min(size, layout.tables[table].capacity));
  WARPHIVE_TRY(s.read_range(*instance, kernels::Range::state, layout.tables[table].at,
                            std::as_writable_bytes(std::span(elements))));
  return elements;
}

Result<abi::InstanceHeader> Swarm::header(InstanceId id) {
  const Claim claim(state_->claimed);
  if (!claim) return busy_error();
  WARPHIVE_TRY_ASSIGN(const Instance* instance, state_->find(id));
  return state_->read_header(*instance);
}

}  // namespace warphive::runtime
