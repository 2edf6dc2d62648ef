// SPDX-License-Identifier: Apache-2.0
#include "runtime/swarm.hpp"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <limits>
#include <mutex>
#include <string>

#include "base/check.hpp"
#include "base/result.hpp"
#include "kernels/host.hpp"
#include "runtime/host_pass.hpp"
#include "runtime/swarm_state.hpp"

namespace warphive::runtime {
namespace {

constexpr std::uint32_t max_instances = std::numeric_limits<std::uint32_t>::max() - 1;
// A pool gets room for as many instances as there are already, so that spawning one by one needs
// few pools; address space alone, and at most this much of it.
constexpr std::uint64_t growth_bytes = std::uint64_t{1} << 30;
constexpr std::uint32_t smallest_pool = 64;
// Asking the system what is free takes longer than a small spawn.
constexpr std::uint64_t unchecked_bytes = std::uint64_t{16} << 20;

std::uint64_t key_of(const Instance& instance) {
  return std::uint64_t{instance.pool} << 32 | instance.slot;
}
std::uint32_t pool_of(std::uint64_t key) { return static_cast<std::uint32_t>(key >> 32); }

}  // namespace

tl::unexpected<Error> busy_error() {
  return base::error(ErrorCode::busy, ErrorPhase::dispatch,
                     "The swarm is busy with another call; one runs at a time.");
}

tl::unexpected<Error> gone_error(InstanceId id) {
  return base::error(ErrorCode::not_found, ErrorPhase::dispatch,
                     "Instance ({}, generation {}) does not exist or was killed.", id.index,
                     id.generation);
}

std::string describe_state(const Instance& instance, std::uint32_t index) {
  const char* name = abi::to_string(instance.exit);
  switch (instance.exit) {
    case abi::Exit::trapped:
      return fmt::format("Instance ({}) is {} ({}); it can only be reset or killed.", index, name,
                         abi::to_string(instance.trap));
    case abi::Exit::out_of_fuel:
    case abi::Exit::parked:
    case abi::Exit::cancelled:
      return fmt::format("Instance ({}) is {}; it can be resumed, reset or killed.", index, name);
    case abi::Exit::ready:
    case abi::Exit::returned:
      return fmt::format("Instance ({}) is {}; it has nothing to resume.", index, name);
    default:
      return fmt::format("Instance ({}) is {}; it can only be reset or killed.", index, name);
  }
}

abi::Pool InstancePool::view() const {
  const Layout& layout = shape->layout;
  return {
      .code = shape->code_at,
      .layout = shape->layout_at,
      .headers = headers.device_pointer<abi::InstanceHeader>(),
      .state = state.device_pointer<std::uint8_t>(),
      .stack = stack.device_pointer<std::uint64_t>(),
      .memory = memory.device_pointer<std::uint8_t>(),
      .out = out.device_pointer<std::uint8_t>(),
      .err = err.device_pointer<std::uint8_t>(),
      .memory_stride = layout.memory_stride,
      .state_stride = layout.state_stride,
      .stack_stride = layout.stack_stride,
      .out_capacity = layout.out_capacity,
      .metered = shape->program->module.metered ? 1u : 0u,
      .native = native,
  };
}

Swarm::Swarm(std::unique_ptr<State> state) : state_(std::move(state)) {}
Swarm::~Swarm() = default;

Result<std::unique_ptr<Swarm>> Swarm::create(std::shared_ptr<hal::Device> device,
                                             HostServices services, Rounds rounds,
                                             std::shared_ptr<LoadGate> gate) {
  auto state = std::make_unique<State>();
  state->rounds = rounds;
  state->device = std::move(device);
  state->services = std::move(services);
  state->gate = gate != nullptr ? std::move(gate) : std::make_shared<LoadGate>();
  {
    const LoadGate::Load load(*state->gate);
    WARPHIVE_TRY_ASSIGN(state->executable, state->device->load(kernels::kernel_image()));
  }
  WARPHIVE_TRY_ASSIGN(state->queue, state->device->create_queue());
  WARPHIVE_TRY_ASSIGN(state->control,
                      state->device->allocate(sizeof(Control), hal::Placement::device));
  return std::unique_ptr<Swarm>(new Swarm(std::move(state)));
}

Result<Instance*> Swarm::State::find(InstanceId id) {
  if (id.index >= instances.size()) return gone_error(id);
  Instance& instance = instances[id.index];
  if (!instance.alive || instance.generation != id.generation) return gone_error(id);
  return &instance;
}

Status Swarm::State::check_device() { return device->lost() ? queue->synchronise() : Status{}; }

void Swarm::State::next_epoch() {
  if (++epoch == 0) {
    for (Instance& instance : instances) instance.epoch = 0;
    epoch = 1;
  }
}

Result<Instance*> Swarm::State::find_once(InstanceId id) {
  WARPHIVE_TRY_ASSIGN(Instance * instance, find(id));
  if (__atomic_exchange_n(&instance->epoch, epoch, __ATOMIC_RELAXED) == epoch) {
    return base::error(ErrorCode::invalid_input, ErrorPhase::dispatch,
                       "Instance ({}) is named twice.", id.index);
  }
  return instance;
}

Status Swarm::State::find_all(std::span<const InstanceId> ids) {
  return check_in_parts(
      *device, ids.size(), [this] { next_epoch(); },
      [&](std::uint64_t i) -> Status {
        WARPHIVE_TRY(find_once(ids[i]));
        return {};
      });
}

Result<std::vector<InstanceId>> Swarm::spawn(const std::shared_ptr<const Program>& program,
                                             std::uint64_t count, const Capacities& capacities,
                                             Instantiate instantiate) {
  State& s = *state_;
  const Claim claim(s.claimed);
  if (!claim) return busy_error();
  WARPHIVE_CHECK(program != nullptr);
  WARPHIVE_TRY_ASSIGN(Template * shape, s.template_for(program, capacities, instantiate));
  if (count > max_instances - s.alive) {
    return base::error(ErrorCode::limit_exceeded, ErrorPhase::spawn,
                       "The number of instances ({}) exceeds what a swarm still takes ({}).", count,
                       max_instances - s.alive);
  }

  // Nothing changes before every slot is there.
  const std::uint64_t available = s.free_slots(*shape);
  const std::uint64_t each = shape->layout.reserved_bytes();
  if (count > unchecked_bytes / std::max<std::uint64_t>(1, shape->spawn_bytes)) {
    const std::uint64_t fits = s.device->available_bytes() / shape->spawn_bytes;
    if (count > fits) {
      WARPHIVE_TRY(s.check_device());
      return base::error(ErrorCode::out_of_memory, ErrorPhase::spawn,
                         "({}) instances that need at least ({}) bytes each at once do not fit; "
                         "({}) would.",
                         count, shape->spawn_bytes, fits);
    }
  }
  if (count > available) {
    const std::uint64_t missing = count - available;
    const std::uint64_t room = s.device->reservable_bytes() / each;
    const std::uint64_t most = std::min<std::uint64_t>(growth_bytes / each, room);
    const std::uint64_t wanted = std::max<std::uint64_t>(
        missing, std::min(std::max<std::uint64_t>(shape->slots_reserved, smallest_pool), most));
    if (missing > room || wanted > max_instances) {
      WARPHIVE_TRY(s.check_device());
      return base::error(
          ErrorCode::out_of_memory, ErrorPhase::spawn,
          "({}) instances of ({}) bytes of memory, stack and output each do not fit; "
          "about ({}) would.",
          count, each, available + std::min(room, missing - 1));
    }
    // The device does not foresee what the system refuses; the spare room can be done without.
    std::unique_ptr<InstancePool> pool;
    for (const std::uint64_t slots : {wanted, missing}) {
      auto made = s.make_pool(*shape, static_cast<std::uint32_t>(slots));
      if (made) {
        pool = std::move(*made);
        break;
      }
      if (slots != missing) continue;
      return fail(std::move(made).error().context(
          fmt::format("While making room for ({}) instances of ({}) bytes of memory, stack and "
                      "output each.",
                      count, each)));
    }
    shape->slots_reserved += pool->capacity;
    s.pools.push_back(std::move(pool));
    WARPHIVE_TRY(s.publish_pools());
  }

  WARPHIVE_TRY(s.spawn_lanes.resize(*s.device, count));
  s.spawn_runs.clear();
  std::vector<InstanceId> ids(count);
  // Indices and slots that were used before come first, in the order in which they became free.
  const std::uint64_t old_indices = std::min<std::uint64_t>(count, s.free_instances.size());
  const std::uint64_t new_indices = s.instances.size();
  if (new_indices + count - old_indices > s.instances.capacity()) {
    s.instances.reserve(std::max(new_indices + count - old_indices, s.instances.capacity() * 2));
  }
  s.instances.resize(new_indices + count - old_indices);
  const std::uint32_t* const old_index =
      s.free_instances.data() + s.free_instances.size() - old_indices;
  Instance fresh;
  fresh.memory_pages = shape->image_memory_pages;
  fresh.exit = shape->image.exit;
  fresh.trap = shape->image.trap;
  fresh.unreported = fresh.exit == abi::Exit::trapped;
  fresh.alive = true;
  std::uint64_t made = 0;
  for (std::uint32_t p = 0; p < s.pools.size() && made < count; ++p) {
    InstancePool& pool = *s.pools[p];
    if (pool.shape != shape || pool.available() == 0) continue;
    const std::uint64_t here = std::min<std::uint64_t>(count - made, pool.available());
    const std::uint64_t old_slots = std::min<std::uint64_t>(here, pool.free.size());
    const std::uint32_t* const old_slot = pool.free.data() + pool.free.size() - old_slots;
    fresh.pool = p;
    in_parts(*s.device, here, [&](std::uint64_t first, std::uint64_t last) {
      Instance mine = fresh;
      for (std::uint64_t k = first; k < last; ++k) {
        const std::uint64_t i = made + k;
        const std::uint32_t index = i < old_indices
                                        ? old_index[i]
                                        : static_cast<std::uint32_t>(new_indices + i - old_indices);
        Instance& instance = s.instances[index];
        mine.generation = instance.generation;
        mine.ordinal = s.next_ordinal + i;
        mine.slot =
            k < old_slots ? old_slot[k] : static_cast<std::uint32_t>(pool.fresh + k - old_slots);
        instance = mine;
        pool.owners[mine.slot] = index;
        s.spawn_lanes[i] = {mine.ordinal, mine.slot, mine.generation};
        ids[i] = {index, mine.generation};
      }
    });
    pool.free.resize(pool.free.size() - old_slots);
    pool.fresh += static_cast<std::uint32_t>(here - old_slots);
    s.spawn_runs.push_back({p, made, here});
    made += here;
  }
  WARPHIVE_CHECK(made == count);
  s.free_instances.resize(s.free_instances.size() - old_indices);
  s.next_ordinal += count;
  s.alive += count;
  WARPHIVE_TRY(s.write_images());
  return ids;
}

std::uint64_t Swarm::State::free_slots(const Template& shape) const {
  std::uint64_t slots = 0;
  for (const auto& pool : pools) slots += pool->shape == &shape ? pool->available() : 0;
  return slots;
}

Status Swarm::State::publish_pools() {
  WARPHIVE_TRY(pool_views.resize(*device, pools.size(), 0));
  WARPHIVE_TRY(pool_calls.resize(*device, pools.size(), 0));
  for (std::size_t i = 0; i < pools.size(); ++i) {
    const Template& shape = *pools[i]->shape;
    pool_views[i] = pools[i]->view();
    pool_calls[i] = {.starts = shape.starts_at,
                     .start_count = static_cast<std::uint32_t>(shape.program->starts.size()),
                     .initialize = shape.program->initialize};
  }
  WARPHIVE_TRY(pool_views.to_device(*queue));
  WARPHIVE_TRY(pool_calls.to_device(*queue));
  return queue->synchronise();
}

Status Swarm::State::write_images() {
  WARPHIVE_TRY(spawn_lanes.to_device(*queue));
  for (const SpawnRun& run : spawn_runs) {
    const kernels::SpawnLanes params{.pool = pool_views[run.pool],
                                     .image = pools[run.pool]->shape->image,
                                     .lanes = spawn_lanes.device() + run.first};
    WARPHIVE_TRY(queue->dispatch(*executable, hal::KernelId::spawn, hal::params_of(params),
                                 static_cast<std::uint32_t>(run.count)));
  }
  return queue->synchronise();
}

void Swarm::State::drop_pending(Instance& instance) {
  if (instance.pending == ir::none) return;
  std::unique_ptr<InputBuffers>& inputs = pending[instance.pending];
  instance.pending = ir::none;
  if (--inputs->pending == 0) free_inputs.push_back(std::move(inputs));
}

Status Swarm::State::wipe_ranges(InstancePool& pool, std::span<const std::uint32_t> slots,
                                 bool stacks, Keep keep) {
  const Layout& layout = pool.shape->layout;
  const auto clear = [&](hal::Buffer& buffer, std::uint64_t offset, std::uint64_t bytes) {
    return keep == Keep::memory ? queue->fill(buffer, offset, bytes, 0)
                                : queue->discard(buffer, offset, bytes);
  };
  for (std::size_t i = 0; i < slots.size();) {
    std::size_t end = i + 1;
    while (end < slots.size() && slots[end] == slots[end - 1] + 1) ++end;
    const std::uint64_t first = slots[i];
    const std::uint64_t count = end - i;
    WARPHIVE_TRY(clear(pool.memory, first * layout.memory_stride, count * layout.memory_stride));
    if (stacks) {
      const std::uint64_t stride = std::uint64_t{layout.stack_stride} * 8;
      WARPHIVE_TRY(clear(pool.stack, first * stride, count * stride));
    }
    i = end;
  }
  return {};
}

Status Swarm::State::wipe_all(std::span<const InstanceId> ids, Keep keep) {
  // Usually all are of one pool, in order.
  WARPHIVE_TRY(wipe_slots.resize(*device, ids.size()));
  keys.resize(ids.size());
  std::atomic<bool> has_written = false;
  std::atomic<bool> has_stacks = false;
  std::atomic<bool> has_pending = false;
  std::atomic<bool> is_sorted = true;
  in_parts(*device, ids.size(), [&](std::uint64_t first, std::uint64_t last) {
    bool wrote = false;
    bool stack_saved = false;
    bool pends = false;
    bool ascends = true;
    for (std::uint64_t i = first; i < last; ++i) {
      Instance& instance = instances[ids[i].index];
      keys[i] = key_of(instance);
      wipe_slots[i] = instance.slot;
      ascends &= i == 0 || key_of(instances[ids[i - 1].index]) < keys[i];
      wrote |= instance.wrote;
      stack_saved |= instance.stack_saved;
      instance.wrote = instance.stack_saved = false;
      pends |= instance.pending != ir::none;
      if (services.forget) services.forget(ids[i].index);
    }
    if (wrote) has_written = true;
    if (stack_saved) has_stacks = true;
    if (pends) has_pending = true;
    if (!ascends) is_sorted = false;
  });
  if (has_pending) {
    for (const InstanceId id : ids) drop_pending(instances[id.index]);
  }
  if (!is_sorted) {
    std::sort(keys.begin(), keys.end());
    for (std::size_t i = 0; i < keys.size(); ++i) {
      wipe_slots[i] = static_cast<std::uint32_t>(keys[i]);
    }
  }
  const bool stacks = has_stacks;
  const bool in_tiles = device->info().tile_lanes > 1;
  // Others cost nothing to wipe where nothing was touched.
  if (in_tiles && !has_written && !stacks) return {};
  if (in_tiles) WARPHIVE_TRY(wipe_slots.to_device(*queue));
  for (std::size_t i = 0; i < keys.size();) {
    const std::size_t first = i;
    const std::uint32_t pool = pool_of(keys[i]);
    while (i < keys.size() && pool_of(keys[i]) == pool) ++i;
    if (in_tiles) {
      const kernels::WipeLanes params{.pool = pool_views[pool],
                                      .slots = wipe_slots.device() + first,
                                      .stacks = stacks ? 1u : 0u};
      WARPHIVE_TRY(queue->dispatch(*executable, hal::KernelId::wipe, hal::params_of(params),
                                   static_cast<std::uint32_t>(i - first)));
    } else {
      WARPHIVE_TRY(wipe_ranges(*pools[pool], {wipe_slots.host() + first, i - first}, stacks, keep));
    }
  }
  return {};
}

Status Swarm::reset(std::span<const InstanceId> ids) { return reset(ids, Ordinals::kept); }

Status Swarm::reset(std::span<const InstanceId> ids, Ordinals ordinals) {
  State& s = *state_;
  const Claim claim(s.claimed);
  if (!claim) return busy_error();
  WARPHIVE_TRY(s.find_all(ids));
  WARPHIVE_TRY(s.wipe_all(ids, Keep::memory));
  if (ordinals == Ordinals::fresh) {
    in_parts(*s.device, ids.size(), [&](std::uint64_t first, std::uint64_t last) {
      for (std::uint64_t i = first; i < last; ++i) {
        s.instances[ids[i].index].ordinal = s.next_ordinal + i;
      }
    });
    s.next_ordinal += ids.size();
  }
  WARPHIVE_TRY(s.spawn_lanes.resize(*s.device, ids.size()));
  s.spawn_runs.clear();
  for (std::size_t i = 0; i < s.keys.size();) {
    const std::uint64_t first = i;
    const std::uint32_t p = pool_of(s.keys[i]);
    const InstancePool& pool = *s.pools[p];
    const Template& shape = *pool.shape;
    while (i < s.keys.size() && pool_of(s.keys[i]) == p) ++i;
    in_parts(*s.device, i - first, [&](std::uint64_t begin, std::uint64_t end) {
      for (std::uint64_t k = first + begin; k < first + end; ++k) {
        Instance& instance = s.instances[pool.owners[static_cast<std::uint32_t>(s.keys[k])]];
        instance.fuel_used = 0;
        instance.memory_pages = shape.image_memory_pages;
        instance.function = ir::none;
        instance.exit = shape.image.exit;
        instance.trap = shape.image.trap;
        instance.unreported = instance.exit == abi::Exit::trapped;
        s.spawn_lanes[k] = {instance.ordinal, instance.slot, instance.generation};
      }
    });
    s.spawn_runs.push_back({p, first, i - first});
  }
  return s.write_images();
}

Status Swarm::kill(std::span<const InstanceId> ids) {
  State& s = *state_;
  const Claim claim(s.claimed);
  if (!claim) return busy_error();
  WARPHIVE_TRY(s.find_all(ids));
  WARPHIVE_TRY(s.wipe_all(ids, Keep::nothing));
  // By slots: those that are spawned next lie one behind the other again.
  const std::size_t free_before = s.free_instances.size();
  s.free_instances.resize(free_before + ids.size());
  std::atomic<bool> retires = false;
  for (std::size_t i = 0; i < s.keys.size();) {
    const std::size_t first = i;
    InstancePool& pool = *s.pools[pool_of(s.keys[i])];
    while (i < s.keys.size() && pool_of(s.keys[i]) == pool_of(s.keys[first])) ++i;
    const std::size_t slots_before = pool.free.size();
    pool.free.resize(slots_before + i - first);
    in_parts(*s.device, i - first, [&](std::uint64_t begin, std::uint64_t end) {
      for (std::uint64_t k = begin; k < end; ++k) {
        const auto slot = static_cast<std::uint32_t>(s.keys[first + k]);
        const std::uint32_t index = pool.owners[slot];
        Instance& instance = s.instances[index];
        pool.free[slots_before + k] = slot;
        s.free_instances[free_before + first + k] = index;
        instance.alive = false;
        if (++instance.generation == 0) retires = true;
      }
    });
  }
  if (retires) {
    // A generation never comes back: the last one retires the index.
    std::erase_if(s.free_instances,
                  [&](std::uint32_t index) { return s.instances[index].generation == 0; });
  }
  s.alive -= ids.size();
  return s.queue->synchronise();
}

Result<abi::Exit> Swarm::state(InstanceId id) const {
  const Claim claim(state_->claimed);
  if (!claim) return busy_error();
  WARPHIVE_TRY_ASSIGN(const Instance* instance, state_->find(id));
  return state_->device->lost() ? abi::Exit::device_lost : instance->exit;
}

Result<std::uint64_t> Swarm::ordinal(InstanceId id) const {
  const Claim claim(state_->claimed);
  if (!claim) return busy_error();
  WARPHIVE_TRY_ASSIGN(const Instance* instance, state_->find(id));
  return instance->ordinal;
}

Result<std::shared_ptr<const Program>> Swarm::program(InstanceId id) const {
  const Claim claim(state_->claimed);
  if (!claim) return busy_error();
  WARPHIVE_TRY_ASSIGN(const Instance* instance, state_->find(id));
  return state_->pools[instance->pool]->shape->program;
}

Result<const Program*> Swarm::borrowed_program(InstanceId id) const {
  const Claim claim(state_->claimed);
  if (!claim) return busy_error();
  WARPHIVE_TRY_ASSIGN(const Instance* instance, state_->find(id));
  return state_->pools[instance->pool]->shape->program.get();
}

std::uint64_t Swarm::size() const { return state_->alive; }

hal::Device& Swarm::device() const { return *state_->device; }

bool Swarm::is_busy() const { return state_->claimed.test(std::memory_order_acquire); }

void Swarm::cancel() {
  const std::lock_guard lock(state_->running_mutex);
  if (auto& waves = state_->waves; waves) waves->cancelled = true;
  if (state_->running) state_->raise_stop();
}

void Swarm::State::raise_stop() {
  __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
  // A device that does not take the word is lost, which the dispatch reports.
  (void)queue->interrupt(control, offsetof(Control, stop), 1);
}

RunProgress Swarm::progress() const {
  const std::lock_guard lock(state_->running_mutex);
  RunProgress sum;
  if (const auto& waves = state_->waves; waves) sum = waves->done;
  if (!state_->running) return sum;
  constexpr std::size_t at = offsetof(Control, progress);
  using Words = kernels::ProgressWords;
  const auto since = [&](std::size_t offset, std::uint64_t before) {
    return state_->device->read_now(state_->control, at + offset).value_or(before) - before;
  };
  if (!state_->waves) sum.instances_total = state_->progress_total.load(std::memory_order_relaxed);
  sum.instances_done += since(offsetof(Words, instances_done), state_->lanes_before) +
                        state_->done_by_host.load(std::memory_order_relaxed);
  sum.instructions += since(offsetof(Words, instructions), state_->units_before);
  return sum;
}

}  // namespace warphive::runtime
