// SPDX-License-Identifier: Apache-2.0
#include "exec/native.hpp"

#include <pthread.h>

#include <cstddef>

#include "exec/interp.hpp"
#include "exec/interp_context.hpp"
#include "exec/native_helpers.hpp"

namespace warphive::exec {
namespace {

// Charges that are looked at one by one after compiled code has appeared: about a millisecond.
constexpr uint32_t hunt_charges = 20'000;
// What compiled code may leave of the native stack to helpers, host functions and signal handlers.
constexpr std::size_t native_reserve = std::size_t{256} << 10;

uintptr_t find_native_floor() {
  pthread_attr_t attributes;
  if (pthread_getattr_np(pthread_self(), &attributes) != 0) return ~uintptr_t{0};
  void* lowest = nullptr;
  std::size_t bytes = 0;
  const bool known = pthread_attr_getstack(&attributes, &lowest, &bytes) == 0;
  pthread_attr_destroy(&attributes);
  if (!known) return ~uintptr_t{0};
  return reinterpret_cast<uintptr_t>(lowest) + native_reserve;
}

using Helpers = NativeHelpersOf<HostMachine>;
constexpr NativeHelpers helpers{Helpers::refill, Helpers::step, Helpers::trap_at,
                                Helpers::behind_call};

const abi::NativeCode* current_code(const abi::NativeSlot& slot) {
  return __atomic_load_n(&slot.code, __ATOMIC_ACQUIRE);
}

}  // namespace

const NativeHelpers& native_helpers() { return helpers; }

uintptr_t native_stack_floor() {
  static thread_local const uintptr_t floor = find_native_floor();
  return floor;
}

bool native_switch(HostContext& context, uint32_t at) {
  const abi::NativeCode* code = current_code(*context.slot);
  if (code != context.native) return true;
  if (code == nullptr) {
    context.slot->want(context.slot, at);
    return false;
  }
  if (find_resume(*code, at) != nullptr) return true;
  if (context.hunt != 0) {
    --context.hunt;
    if (context.hunt == 0) context.slot->want(context.slot, at);
  }
  return false;
}

WARPHIVE_CALLS_NATIVE int64_t HostMachine::call_thunk(const abi::NativeTarget& target,
                                                      HostContext& context, uint64_t frame,
                                                      int64_t fuel) {
  return target.thunk(&context, frame, fuel, target.code);
}
WARPHIVE_CALLS_NATIVE int64_t HostMachine::call_resume(abi::NativeResumeCode code,
                                                       HostContext& context, uint64_t frame,
                                                       int64_t fuel, uint32_t insn) {
  return code(&context, frame, fuel, insn);
}

void run_lane_native(const abi::RunParams& params, abi::LaneRef lane) {
  HostContext context = context_of(params, lane);
  abi::InstanceHeader& header = *context.header;
  const abi::NativeSlot* const slot = params.pools[lane.pool].native;
  context.slot = slot;
  context.helpers = &helpers;
  context.native_floor = native_stack_floor();
  int64_t fuel = 0;  // the first check polls
  for (;;) {
    context.native = context.walks ? nullptr : current_code(*slot);
    if (context.native != nullptr) {
      const int64_t result = enter_native<HostMachine>(context, *context.native, fuel);
      if (result >= 0) {
        fuel = result;
        if (header.pc != 0) continue;
      } else if (result == abi::native_stopped) {
        if (header.exit != abi::Exit::ready) return;
        context.granted = 0;
        fuel = 0;
        continue;
      } else {
        if (result == native_absent) slot->want(slot, header.pc);
        // Interpret from here, looking for a way back at each charge.
        context.hunt = hunt_charges;
      }
    }
    if (context.walks) context.slot = nullptr;
    run_interp(context, fuel);
    if (header.exit != abi::Exit::ready) return;
    context.granted = 0;
    fuel = 0;
  }
}

}  // namespace warphive::exec
