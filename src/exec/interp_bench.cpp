// SPDX-License-Identifier: Apache-2.0
// Interpreter speed on small hand-built loops: `per_insn` is the time per encoded instruction.
// Argument 0: dispatcher and program (threaded, loop, threaded on a fused program).
#include <benchmark/benchmark.h>

#include "exec/interp.hpp"
#include "exec/testing.hpp"

namespace {

namespace abi = warphive::abi;
namespace exec = warphive::exec;
namespace ir = warphive::ir;
using exec::testing::FunctionBuilder;
using ir::Op;

enum Mode : int { threaded, loop, fused };

/// Calls function 0 with `argument` once per iteration.
void run(benchmark::State& state, const ir::Module& module, std::uint64_t argument,
         std::uint64_t insns_per_call) {
  const auto mode = static_cast<Mode>(state.range(0));
  exec::testing::TestPool pool(module, {}, mode == fused);
  const abi::LaneRef lane{.pool = 0, .slot = exec::testing::TestPool::slot};
  std::uint32_t stop = 0;
  const abi::RunParams params{.pools = &pool.pool(),
                              .lanes = &lane,
                              .stop = &stop,
                              .host_call = nullptr,
                              .host_context = nullptr,
                              .quantum = 4096};
  pool.header().fuel_left = abi::unlimited_fuel;
  for (auto _ : state) {
    exec::begin_call(pool.pool(), lane.slot, 0, &argument);
    exec::run_lane_with(mode == loop ? exec::Dispatch::loop : exec::Dispatch::threaded, params,
                        lane);
    benchmark::DoNotOptimize(pool.stack()[0]);
  }
  if (pool.header().exit != abi::Exit::returned) state.SkipWithError("It did not return.");
  const auto insns = static_cast<double>(insns_per_call) * static_cast<double>(state.iterations());
  state.counters["per_insn"] =
      benchmark::Counter(insns, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
  state.SetLabel(mode == threaded ? "threaded" : mode == loop ? "loop" : "fused");
}

ir::Module with_memory() {
  ir::Module module;
  module.memories.push_back({.import = {}, .min_pages = 1, .max_pages = {}, .grows = false});
  return module;
}

/// xorshift and a counter: dependent integer operations.
void alu(benchmark::State& state) {
  ir::Module module;
  FunctionBuilder builder(module, exec::testing::type(1, 1), 2, 1);
  const std::uint16_t x = builder.local(0);
  const std::uint16_t i = builder.local(1);
  const std::uint16_t t = builder.local(2);
  builder.charge(1).op(Op::const_k, x, 0, 0, 1);
  builder.block().charge(9);
  for (const auto& [shift, bits] :
       {std::pair(Op::shl32_k, 13), {Op::shr32_u_k, 17}, {Op::shl32_k, 5}}) {
    builder.op(shift, t, x, 0, static_cast<std::uint64_t>(bits)).op(Op::xor32, x, x, t);
  }
  builder.op(Op::add32_k, i, i, 0, 1).op(Op::br_ne32, i, 0, 0, 1);
  builder.block().ret_mov(x);
  run(state, module, 10000, 10000 * 8);
}
BENCHMARK(alu)->DenseRange(threaded, fused);

/// Sums bytes of memory.
void loads(benchmark::State& state) {
  ir::Module module = with_memory();
  FunctionBuilder builder(module, exec::testing::type(1, 1), 2, 1);
  const std::uint16_t sum = builder.local(0);
  const std::uint16_t i = builder.local(1);
  const std::uint16_t t = builder.local(2);
  builder.charge(1);
  builder.block().charge(6).op(Op::load8_u, t, i, 0, 100).op(Op::add32, sum, sum, t);
  builder.op(Op::add32_k, i, i, 0, 1).op(Op::br_ne32, i, 0, 0, 1);
  builder.block().ret_mov(sum);
  run(state, module, 10000, 10000 * 4);
}
BENCHMARK(loads)->DenseRange(threaded, fused);

/// A chain of f64 multiplications and additions.
void floats(benchmark::State& state) {
  ir::Module module;
  FunctionBuilder builder(module, exec::testing::type(1, 1), 2, 2);
  const std::uint16_t x = builder.local(0);
  const std::uint16_t i = builder.local(1);
  const std::uint16_t k = builder.local(2);
  const std::uint16_t t = builder.local(3);
  builder.charge(1).op(Op::const_k, k, 0, 0, 0x3fe0000000000000);
  builder.block().charge(6).op(Op::mulf64, t, x, k).op(Op::addf64, x, t, k);
  builder.op(Op::add32_k, i, i, 0, 1).op(Op::br_ne32, i, 0, 0, 1);
  builder.block().ret_mov(x);
  run(state, module, 10000, 10000 * 4);
}
BENCHMARK(floats)->DenseRange(threaded, fused);

/// fib(20), recursively: 21,891 calls.
void calls(benchmark::State& state) {
  ir::Module module;
  FunctionBuilder fib(module, exec::testing::type(1, 1), 1, 4);
  const std::uint16_t first = fib.local(0);
  const std::uint16_t base = fib.local(3);
  fib.charge(3).branch_k(Op::br_lt32_s_k, 0, 2, 2);
  fib.block().charge(4).op(Op::sub32_k, base, 0, 0, 1).op(Op::call, base, 0, 0, 0);
  fib.charge(4).op(Op::mov, first, base).op(Op::sub32_k, base, 0, 0, 2).op(Op::call, base, 0, 0, 0);
  fib.charge(2).op(Op::add32, 0, base, first).ret();
  fib.block().charge(1).ret();
  run(state, module, 20, 10945 * 11 + 10946 * 2);
}
BENCHMARK(calls)->DenseRange(threaded, fused);

/// One call that returns at once: what starting and ending a lane costs.
void start(benchmark::State& state) {
  ir::Module module;
  FunctionBuilder builder(module, exec::testing::type(1, 1), 0, 0);
  builder.charge(1).ret();
  run(state, module, 1, 2);
}
BENCHMARK(start)->DenseRange(threaded, fused);

}  // namespace

BENCHMARK_MAIN();
