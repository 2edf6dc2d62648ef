// SPDX-License-Identifier: Apache-2.0
#include "exec/interp.hpp"

#include <type_traits>

#include "exec/bodies.hpp"
#include "exec/fuse.hpp"
#include "exec/host_machine.hpp"
#include "exec/interp_context.hpp"
#include "exec/loop.hpp"
#include "exec/native.hpp"
#include "exec/native_helpers.hpp"
#include "exec/native_lookup.hpp"
#include "exec/place_call.hpp"
#include "ir/encode.hpp"

namespace warphive::exec {

static_assert(sizeof(abi::Insn) == sizeof(ir::Inst));

HostContext context_of(const abi::RunParams& params, abi::LaneRef lane) {
  const abi::Pool& pool = params.pools[lane.pool];
  const abi::ProgramLayout& layout = *pool.layout;
  abi::InstanceHeader& header = pool.headers[lane.slot];
  uint8_t* state = pool.state + uint64_t{lane.slot} * pool.state_stride;
  uint64_t* stack = pool.stack + uint64_t{lane.slot} * pool.stack_stride;
  return {
      .insns = pool.code->insns,
      .stack = stack,
      .stack_end = stack + layout.stack_slots,
      .functions = pool.code->functions,
      .branches = pool.code->branches,
      .globals = reinterpret_cast<uint64_t*>(state + layout.globals_at),
      .state = state,
      .depth = header.depth,
      .max_depth = layout.max_depth,
      .granted = 0,
      .code = pool.code,
      .layout = &layout,
      .pool = &pool,
      .header = &header,
      .params = &params,
      .lane = lane,
      .memory = pool.memory + uint64_t{lane.slot} * pool.memory_stride,
      .memory0 = nullptr,
      .limit0 = 0,
      .table0 = layout.table_count == 0
                    ? nullptr
                    : reinterpret_cast<const uint64_t*>(state + layout.tables[0].at),
      .table_sizes = reinterpret_cast<const uint32_t*>(state + layout.table_sizes_at),
      .targets = nullptr,
      .helpers = nullptr,
      .native_floor = 0,
      .refused_fuel = 0,
      .native = nullptr,
      .slot = nullptr,
      .hunt = 0,
      .walks = false,
  };
}

namespace {

/// With an empty grant, the first charge polls the stop word.
HostMachine machine_of(HostContext& context, int64_t fuel) {
  const abi::InstanceHeader& header = *context.header;
  context.depth = header.depth;
  HostMachine m(context.insns + header.pc, context.stack + header.base, context.memory, 0, fuel,
                &context);
  m.reload();
  return m;
}

#if defined(__clang__) && (defined(__x86_64__) || defined(__aarch64__))

// One function per op that ends in a tail call to the next op's, so that each op has an indirect
// jump of its own to predict by, and the machine stays in the registers that arguments travel in.
#if defined(WARPHIVE_SANITIZED)
// What AddressSanitizer makes of local vectors needs a register that the convention takes.
#define WARPHIVE_THREADED
#else
#define WARPHIVE_THREADED __attribute__((preserve_none))
#endif

struct Handlers;
using Handler = void(WARPHIVE_THREADED*)(const abi::Insn* pc, uint64_t* fp, uint8_t* memory,
                                         uint64_t limit, int64_t fuel, HostContext* context,
                                         const Handlers* handlers);
struct Handlers {
  Handler of[ir::encoded_op_count + fused_op_count];
};

#define WARPHIVE_PARAMETERS                                                         \
  const abi::Insn *pc, uint64_t *fp, uint8_t *memory, uint64_t limit, int64_t fuel, \
      HostContext *context, const Handlers *handlers
#define WARPHIVE_DISPATCH(m)                              \
  [[clang::musttail]] return handlers->of[(m).insn().op]( \
      (m).pc(), (m).fp(), (m).memory(), (m).limit(), (m).fuel(), context, handlers)

template <class B>
WARPHIVE_THREADED __attribute__((noinline)) void handle_slow(WARPHIVE_PARAMETERS) {
  HostMachine m(pc, fp, memory, limit, fuel, context);
  if (B::slow(m) == Step::stop) return;
  WARPHIVE_DISPATCH(m);
}

template <class B>
inline constexpr bool is_return = std::is_same_v<B, bodies::Body<ir::Op::ret>> ||
                                  std::is_same_v<B, bodies::Body<ir::Op::ret_mov>>;

template <class B>
WARPHIVE_THREADED void handle(WARPHIVE_PARAMETERS) {
  HostMachine m(pc, fp, memory, limit, fuel, context);
  const Step step = B::run(m);
  if (step == Step::slow) [[unlikely]] {
    [[clang::musttail]] return handle_slow<B>(pc, fp, memory, limit, fuel, context, handlers);
  }
  if (step == Step::jump) WARPHIVE_DISPATCH(m);
  if constexpr (is_return<B>) {
    // A call ends its block, so in a metered program a charge is what it returns to.
    if (m.insn().op == static_cast<std::uint16_t>(ir::Op::charge)) {
      using Charge = bodies::Body<ir::Op::charge>;
      if (Charge::run(m) == Step::slow) [[unlikely]] {
        [[clang::musttail]] return handle_slow<Charge>(m.pc(), m.fp(), m.memory(), m.limit(),
                                                       m.fuel(), context, handlers);
      }
    }
  }
  WARPHIVE_DISPATCH(m);
}

// A pair of exec/fused.inc. Each half may go its slow way as if it stood alone.
template <class First, class Second, std::uint8_t Flow>
WARPHIVE_THREADED void handle_pair(WARPHIVE_PARAMETERS) {
  HostMachine m(pc, fp, memory, limit, fuel, context);
  Step step = First::run(m);
  if (step == Step::slow) [[unlikely]] {
    [[clang::musttail]] return handle_slow<First>(pc, fp, memory, limit, fuel, context, handlers);
  }
  if (step == Step::jump) WARPHIVE_DISPATCH(m);
  // With these the compiler keeps the value in a register.
  if constexpr ((Flow & flow::a) != 0) __builtin_assume(pc[1].a == pc[0].a);
  if constexpr ((Flow & flow::b) != 0) __builtin_assume(pc[1].b == pc[0].a);
  if constexpr ((Flow & flow::c) != 0) __builtin_assume(pc[1].c == pc[0].a);
  step = Second::run(m);
  if (step == Step::slow) [[unlikely]] {
    [[clang::musttail]] return handle_slow<Second>(m.pc(), m.fp(), m.memory(), m.limit(), m.fuel(),
                                                   context, handlers);
  }
  if (step == Step::jump) WARPHIVE_DISPATCH(m);
  WARPHIVE_DISPATCH(m);
}

/// Calls compiled code: abi::native_refused where the callee has none, or must be interpreted.
__attribute__((noinline)) WARPHIVE_CALLS_NATIVE int64_t call_native(HostMachine& m) {
  HostContext& context = *m.context();
  const abi::Insn& insn = m.insn();
  uint32_t function = static_cast<uint32_t>(insn.imm);
  if (unfused(insn.op) == static_cast<uint16_t>(ir::Op::call_indirect)) {
    const uint32_t index = static_cast<uint32_t>(m.slot(insn.b));
    const uint32_t table = static_cast<uint32_t>(insn.imm);
    if (index >= table_size(m, table)) return abi::native_refused;
    const uint64_t element = table_element(m, table, index);
    if (element == 0) return abi::native_refused;
    function = static_cast<uint32_t>(element - 1);
    if (m.function(function).type != static_cast<uint32_t>(insn.imm >> 32)) {
      return abi::native_refused;
    }
  }
  const abi::NativeTarget& target = context.targets[function];
  const abi::FunctionEntry& entry = m.function(function);
  const uint32_t frame_slots = static_cast<uint32_t>(m.insn_at(entry.entry).imm);
  if (compiled_as(target) == 0 || !m.frame_fits(insn.a, frame_slots)) return abi::native_refused;
  uint64_t* const fp = m.fp() + insn.a;
  fp[entry.header_slot] = abi::pack_header(m.index() + 1, insn.a);
  const uint64_t frame = pack_frame(static_cast<uint32_t>(context.stack_end - fp),
                                    context.max_depth - context.depth - 1);
  const int64_t result = target.thunk(&context, frame, m.fuel(), target.code);
  if (result >= 0) {
    context.depth = context.max_depth - static_cast<uint32_t>(frame >> 32) - 1;
    m.fuel() = result;
    m.reload();
    m.advance();
  }
  return result;
}

// A call, in runs that have compiled code.
template <class B>
WARPHIVE_THREADED void handle_native_call(WARPHIVE_PARAMETERS) {
  HostMachine m(pc, fp, memory, limit, fuel, context);
  const int64_t result = call_native(m);
  if (result == abi::native_stopped) return;
  if (result == abi::native_refused) {
    [[clang::musttail]] return handle<B>(pc, fp, memory, limit, fuel, context, handlers);
  }
  WARPHIVE_DISPATCH(m);
}

using CallBody = bodies::Body<ir::Op::call>;
using CallIndirectBody = bodies::Body<ir::Op::call_indirect>;

template <class B>
constexpr Handler native_handler() {
  if constexpr (std::is_same_v<B, CallBody> || std::is_same_v<B, CallIndirectBody>) {
    return handle_native_call<B>;
  } else {
    return handle<B>;
  }
}

// The flow column is looked up unqualified.
using flow::a, flow::b, flow::c, flow::none;

constexpr Handlers all_handlers = {{
#define WARPHIVE_OP(name, ...) handle<bodies::Body<ir::Op::name>>,
#include "ir/ops.inc"
    handle<bodies::StopBody>,
#define WARPHIVE_FUSED(first, second, flow) \
  handle_pair<bodies::Body<ir::Op::first>, bodies::Body<ir::Op::second>, flow>,
#include "exec/fused.inc"
}};

// Pairs with a call run as two instructions.
template <class First, class Second, std::uint8_t Flow>
constexpr Handler native_pair_handler() {
  if constexpr (std::is_same_v<Second, CallBody> || std::is_same_v<Second, CallIndirectBody>) {
    return handle<First>;
  } else if constexpr (std::is_same_v<First, CallBody> || std::is_same_v<First, CallIndirectBody>) {
    return handle_native_call<First>;
  } else {
    return handle_pair<First, Second, Flow>;
  }
}

constexpr Handlers native_handlers = {{
#define WARPHIVE_OP(name, ...) native_handler<bodies::Body<ir::Op::name>>(),
#include "ir/ops.inc"
    handle<bodies::StopBody>,
#define WARPHIVE_FUSED(first, second, flow) \
  native_pair_handler<bodies::Body<ir::Op::first>, bodies::Body<ir::Op::second>, flow>(),
#include "exec/fused.inc"
}};

// A caller of its own, without locals and so without instrumented ones: clang 19 does not save the
// base register of a realigned frame around a preserve_none call.
__attribute__((noinline, no_sanitize("address", "undefined", "thread"))) void run_threaded(
    const HostMachine& m, const Handlers& handlers) {
  handlers.of[m.insn().op](m.pc(), m.fp(), m.memory(), m.limit(), m.fuel(), m.context(), &handlers);
}
void run_threaded(const HostMachine& m) {
  run_threaded(m, m.context()->native != nullptr ? native_handlers : all_handlers);
}

#else

void run_threaded(const HostMachine& m) { run_loop(m, unfused); }

#endif

}  // namespace

bool begin_call(const abi::Pool& pool, uint32_t slot, uint32_t function, const uint64_t* args) {
  return place_call(pool, slot, function, args, pool.stack + uint64_t{slot} * pool.stack_stride);
}

void run_interp(HostContext& context, int64_t fuel) { run_threaded(machine_of(context, fuel)); }

void run_lane_with(Dispatch dispatch, const abi::RunParams& params, abi::LaneRef lane) {
  HostContext context = context_of(params, lane);
  const HostMachine m = machine_of(context, 0);
  if (dispatch == Dispatch::threaded) {
    run_threaded(m);
  } else {
    run_loop(m, unfused);
  }
}

void run_lane(const abi::RunParams& params, abi::LaneRef lane) {
  if (params.pools[lane.pool].native != nullptr) {
    run_lane_native(params, lane);
  } else {
    run_lane_with(Dispatch::threaded, params, lane);
  }
}

}  // namespace warphive::exec
