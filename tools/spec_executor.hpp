// SPDX-License-Identifier: Apache-2.0
// What runs the program of a spec script, and of a differential test; one file per executor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "abi/exit.hpp"
#include "abi/state.hpp"
#include "ir/module.hpp"
#include "warphive/error.hpp"

namespace warphive::tools::spec {

struct Outcome {
  abi::Exit exit = abi::Exit::ready;
  abi::TrapKind trap = abi::TrapKind::none;
  std::vector<std::uint64_t> values;  // slots, where the call returned
  std::uint64_t instructions = 0;     // of all calls so far
  std::uint32_t offset = ir::none;    // where it trapped: byte in the function's module
};

/// Outcome::offset of an instruction of a function; none in functions without a guest's code.
std::uint32_t source_offset(const ir::Module& module, std::uint32_t function, std::uint32_t inst);

/// Room of every memory and table.
inline constexpr std::uint32_t room_pages = 1024;
inline constexpr std::uint32_t room_elements = 1024;

/// One instance of a linked program on which nothing has run: memories and tables are at their
/// minimum, zero and null; members are instantiated by calls of their init and start. A call of a
/// host function traps.
class Executor {
 public:
  virtual ~Executor() = default;
  /// Any function of the program, also after a trap or a call that ran out of fuel.
  virtual Result<Outcome> call(std::uint32_t function, std::span<const std::uint64_t> args,
                               std::uint64_t fuel) = 0;
  Result<Outcome> call(std::uint32_t function, std::span<const std::uint64_t> args) {
    return call(function, args, abi::unlimited_fuel);
  }
  /// Init, then start, of a member; the outcome of the latter that ran.
  Result<Outcome> instantiate(const ir::Member& member);
  /// A global's slots.
  virtual Result<std::vector<std::uint64_t>> global(std::uint32_t index) = 0;
  /// The bytes of a memory at its current size.
  virtual Result<std::vector<std::byte>> memory(std::uint32_t index) = 0;
};

/// An abi::RunParams::host_call for executors without the runtime.
abi::Exit refuse_host_call(const abi::RunParams* params, const abi::Pool* pool, abi::LaneRef lane,
                           std::uint32_t import, std::uint64_t* slots);

/// Owns the program, which passes verify. One executor after another may be made.
using MakeExecutor = Result<std::unique_ptr<Executor>> (*)(ir::Module linked);

struct ExecutorKind {
  std::string_view name;
  MakeExecutor make;
};
std::span<const ExecutorKind> executor_kinds();
/// nullptr where there is none of that name.
const ExecutorKind* find_executor(std::string_view name);

/// `ref`: the reference executor on the program as lowered.
Result<std::unique_ptr<Executor>> make_ref_executor(ir::Module linked);
/// `interp.cpu`: a swarm of one on the CPU device, through the optimiser and the runtime.
Result<std::unique_ptr<Executor>> make_interp_cpu_executor(ir::Module linked);
/// `interp.sliced`: the same, stopped and resumed all the time at random budgets, which must not
/// show in what a call computes and counts.
Result<std::unique_ptr<Executor>> make_interp_sliced_executor(ir::Module linked);
/// `interp.loop`: the interpreter in the form that device programs use, without the runtime.
Result<std::unique_ptr<Executor>> make_interp_loop_executor(ir::Module linked);
/// `interp.cuda`: as interp.cpu, on the first CUDA device.
Result<std::unique_ptr<Executor>> make_interp_cuda_executor(ir::Module linked);
/// `jit.cpu`: as interp.cpu, compiled before the first call; `jit.sliced`: stopped and resumed all
/// the time, in compiled code where there is some for the place.
Result<std::unique_ptr<Executor>> make_jit_cpu_executor(ir::Module linked);
Result<std::unique_ptr<Executor>> make_jit_sliced_executor(ir::Module linked);
/// `jit.cuda`: as jit.cpu, on the first CUDA device.
Result<std::unique_ptr<Executor>> make_jit_cuda_executor(ir::Module linked);
/// `jit.sim`: code for devices, made for this machine, and the interpreter of devices where it
/// leaves: one lane of a tile, without the runtime.
Result<std::unique_ptr<Executor>> make_jit_sim_executor(ir::Module linked);

}  // namespace warphive::tools::spec
