// SPDX-License-Identifier: Apache-2.0
#include "kernels/host.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "exec/interp.hpp"
#include "kernels/lanes.hpp"

namespace warphive::kernels {

// Made at build time.
extern const char* const cuda_kernels_ptx;
extern const char* const tile_native_ptx;

namespace {

/// Stacks of one thread. A lane runs on its thread's stack, which stays in cache, and only one that
/// stops halfway is saved to the instance's own: so calls that return cost no page of their own
/// (swarm_bench: dispatch). A host function that dispatches to another swarm nests, hence a list.
class ThreadStacks {
 public:
  std::uint64_t* enter(std::uint32_t slots) {
    if (depth_ == stacks_.size()) stacks_.emplace_back();
    Stack& stack = stacks_[depth_++];
    if (stack.slots < slots) {
      stack.memory = std::make_unique_for_overwrite<std::uint64_t[]>(slots);
      stack.slots = slots;
    }
    return stack.memory.get();
  }
  void leave() { --depth_; }

 private:
  struct Stack {
    std::unique_ptr<std::uint64_t[]> memory;
    std::uint32_t slots = 0;
  };
  std::vector<Stack> stacks_;
  std::size_t depth_ = 0;
};

/// Ranges lie one behind the other, by slot.
struct Contiguous {
  static std::uint8_t* address(const abi::Pool& pool, std::uint32_t slot, Range range,
                               std::uint64_t offset) {
    const std::uint64_t at = slot;
    switch (range) {
      case Range::header:
        return reinterpret_cast<std::uint8_t*>(pool.headers + slot) + offset;
      case Range::state:
        return pool.state + at * pool.state_stride + offset;
      case Range::stack:
        return reinterpret_cast<std::uint8_t*>(pool.stack + at * pool.stack_stride) + offset;
      case Range::memory:
        return pool.memory + at * pool.memory_stride + offset;
      case Range::out:
        return pool.out + at * pool.out_capacity + offset;
      case Range::err:
        return pool.err + at * pool.out_capacity + offset;
      case Range::frame:
        break;  // gather makes it a part of the stack
    }
    return nullptr;
  }
  static void copy_in(const abi::Pool& pool, std::uint32_t slot, Range range, std::uint64_t offset,
                      const std::uint8_t* from, std::uint64_t n) {
    if (n != 0) std::memcpy(address(pool, slot, range, offset), from, n);
  }
  static void copy_out(const abi::Pool& pool, std::uint32_t slot, Range range, std::uint64_t offset,
                       std::uint8_t* to, std::uint64_t n) {
    if (n != 0) std::memcpy(to, address(pool, slot, range, offset), n);
  }
};

/// Runs on the thread's stack: `run.pools` is one whose stack is that.
struct HostRunner {
  const abi::RunParams& run_params;
  std::uint32_t slot;
  bool begin(std::uint32_t function, const std::uint64_t* args) const {
    return exec::begin_call(*run_params.pools, slot, function, args);
  }
  void run() const { exec::run_lane(run_params, {0, slot}); }
};

constexpr std::uint32_t keeps_no_frames = lane_drop_frames | lane_only_report;
constexpr std::uint32_t no_pool = ~std::uint32_t{0};

thread_local ThreadStacks thread_stacks;

void run_kernel(const void* raw, std::uint32_t first, std::uint32_t last) {
  const auto& params = *static_cast<const RunLanes*>(raw);
  abi::RunParams run = params.run;
  abi::Pool pool = {};
  LaneContext context{params.run.host_context, no_pool};
  run.pools = &pool;
  run.host_context = &context;
  ProgressWords progress = {};
  std::uint32_t slots = 0;
  for (std::uint32_t lane = first; lane < last; ++lane) {
    slots = std::max(slots, params.run.pools[params.run.lanes[lane].pool].layout->stack_slots);
  }
  std::uint64_t* const stack = thread_stacks.enter(slots);
  for (std::uint32_t lane = first; lane < last; ++lane) {
    const abi::LaneRef ref = params.run.lanes[lane];
    const LaneCall& call = params.calls[lane];
    const abi::Pool& own = params.run.pools[ref.pool];
    if (context.pool != ref.pool) {
      context.pool = ref.pool;
      pool = own;
      pool.stack = stack;
      pool.stack_stride = 0;
    }
    if (lane + 2 < last) {
      const abi::LaneRef ahead = params.run.lanes[lane + 2];
      __builtin_prefetch(params.run.pools[ahead.pool].headers + ahead.slot, 1);
    }
    abi::InstanceHeader& header = own.headers[ref.slot];
    const std::uint64_t fuel_before = header.fuel_used;
    if (params.round == Round::first) header.fuel_left = params.fuel;
    std::uint64_t* const saved = own.stack + std::uint64_t{ref.slot} * own.stack_stride;
    if (header.depth != 0 && (call.flags & keeps_no_frames) == 0) {
      std::memcpy(stack, saved, std::size_t{used_slots(own, header)} * sizeof(std::uint64_t));
    }
    const bool final_call =
        run_calls(params, header, params.pool_calls[ref.pool], call, HostRunner{run, ref.slot});
    const bool stopped_halfway = header.exit == abi::Exit::out_of_fuel ||
                                 header.exit == abi::Exit::parked ||
                                 header.exit == abi::Exit::cancelled;
    if (stopped_halfway && header.depth != 0) {
      std::memcpy(saved, stack, std::size_t{used_slots(own, header)} * sizeof(std::uint64_t));
    }
    report<Contiguous>(params, own, ref.slot, call, stack, fuel_before, final_call);
    progress.instructions += header.fuel_used - fuel_before;
    if (header.exit != abi::Exit::parked && header.exit != abi::Exit::ready) {
      ++progress.instances_done;
    }
  }
  thread_stacks.leave();
  __atomic_fetch_add(&params.progress->instances_done, progress.instances_done, __ATOMIC_RELAXED);
  __atomic_fetch_add(&params.progress->instructions, progress.instructions, __ATOMIC_RELAXED);
}

template <class Params, void (*lane_program)(const Params&, std::uint32_t)>
void each_lane(const void* raw, std::uint32_t first, std::uint32_t last) {
  const auto& params = *static_cast<const Params*>(raw);
  for (std::uint32_t lane = first; lane < last; ++lane) lane_program(params, lane);
}

}  // namespace

hal::KernelImage kernel_image() {
  hal::KernelImage image;
  const auto set = [&](hal::KernelId id, hal::HostKernel kernel) {
    image.host[static_cast<std::size_t>(id)] = kernel;
  };
  set(hal::KernelId::run, run_kernel);
  set(hal::KernelId::spawn, each_lane<SpawnLanes, spawn_lane<Contiguous>>);
  set(hal::KernelId::gather, each_lane<MoveLanes, gather_lane<Contiguous>>);
  set(hal::KernelId::scatter, each_lane<MoveLanes, scatter_lane<Contiguous>>);
  image.ptx = cuda_kernels_ptx;
  image.registers = lane_registers;
  return image;
}

std::string_view compiled_part() { return tile_native_ptx; }

hal::KernelImage compiled_image(std::span<const std::byte> binary) {
  hal::KernelImage image;
  image.binary = binary;
  image.registers = lane_registers;
  return image;
}

}  // namespace warphive::kernels
