// SPDX-License-Identifier: Apache-2.0
#include "exec/interp.hpp"

#include <type_traits>

#include "exec/bodies.hpp"
#include "exec/fuse.hpp"
#include "exec/host_machine.hpp"
#include "exec/loop.hpp"
#include "ir/encode.hpp"

namespace warphive::exec {
namespace {

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
  };
}

/// The machine starts with an empty grant, so that the first charge polls the stop word.
HostMachine machine_of(HostContext& context) {
  const abi::InstanceHeader& header = *context.header;
  HostMachine m(context.insns + header.pc, context.stack + header.base, context.memory, 0, 0,
                &context);
  m.reload();
  return m;
}

#if defined(__clang__) && (defined(__x86_64__) || defined(__aarch64__))

// One function per op that ends in a tail call to the next op's, so that each op has an indirect
// jump of its own to predict by, and the machine stays in the registers that arguments travel in.
#define WARPHIVE_THREADED __attribute__((preserve_none))

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

// A caller of its own, without locals and so without instrumented ones: clang 19 does not save the
// base register of a realigned frame around a preserve_none call.
__attribute__((noinline, no_sanitize("address", "undefined", "thread"))) void run_threaded(
    const HostMachine& m) {
  all_handlers.of[m.insn().op](m.pc(), m.fp(), m.memory(), m.limit(), m.fuel(), m.context(),
                               &all_handlers);
}

#else

void run_threaded(const HostMachine& m) { run_loop(m, unfused); }

#endif

}  // namespace

bool begin_call(const abi::Pool& pool, uint32_t slot, uint32_t function, const uint64_t* args) {
  const abi::FunctionEntry& entry = pool.code->functions[function];
  const abi::Insn& enter = pool.code->insns[entry.entry];
  abi::InstanceHeader& header = pool.headers[slot];
  uint64_t* stack = pool.stack + uint64_t{slot} * pool.stack_stride;
  header.entry = function;
  header.base = 0;
  header.pc = entry.entry + 1;
  if (static_cast<uint32_t>(enter.imm) > pool.layout->stack_slots || pool.layout->max_depth == 0) {
    header.depth = 0;
    header.exit = abi::Exit::trapped;
    header.trap = abi::TrapKind::stack_overflow;
    return false;
  }
  header.depth = 1;
  for (uint32_t i = 0; i < entry.param_slots; ++i) stack[i] = args[i];
  stack[enter.a] = abi::pack_header(0, 0);
  for (uint32_t i = enter.b; i < uint32_t{enter.b} + enter.c; ++i) stack[i] = 0;
  return true;
}

void run_lane_with(Dispatch dispatch, const abi::RunParams& params, abi::LaneRef lane) {
  HostContext context = context_of(params, lane);
  const HostMachine m = machine_of(context);
  if (dispatch == Dispatch::threaded) {
    run_threaded(m);
  } else {
    run_loop(m, unfused);
  }
}

void run_lane(const abi::RunParams& params, abi::LaneRef lane) {
  run_lane_with(Dispatch::threaded, params, lane);
}

}  // namespace warphive::exec
