// SPDX-License-Identifier: Apache-2.0
// Executors against each other: the reference, the interpreter's forms and compiled code run one
// program in step, and whatever it may depend on is equal wherever they stop.
// Input: a WebAssembly module, known by its magic number, or 16 bytes that decide on executors,
// limits and calls, and then those that decide on a random module.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.hpp"
#include "codegen/native_testing.hpp"
#include "exec/testing.hpp"
#include "guest/wasm/lower.hpp"
#include "guest/wasm/reader.hpp"
#include "ir/link.hpp"
#include "ir/testing/random_module.hpp"
#include "ir/text.hpp"
#include "ir/verify.hpp"
#include "opt/pipeline.hpp"

namespace warphive {
namespace {

using abi::Exit;
using codegen::testing::NativeOptions;
using exec::testing::Executor;
using exec::testing::HostView;
using exec::testing::Limits;
using exec::testing::Outcome;
using exec::testing::Subject;
using ir::ValueType;
using ir::testing::Choices;

constexpr std::size_t plan_bytes = 16;
constexpr std::uint32_t most_calls = 10;
constexpr std::uint32_t most_stops = 24;  // of one call
constexpr std::uint64_t fuel_to_see_the_end = 20'000;

// --- What an input decides on

struct Plan {
  enum class Kind : std::uint8_t { interpreters, tile, native, sim } kind = Kind::interpreters;
  bool wide = false;       // of the shapes of tiles
  bool optimised = false;  // all but the reference run what the optimiser makes
  bool metered = true;
  NativeOptions native;
  Limits limits;
  ir::testing::RandomOptions module;
  std::uint64_t seed = 0;  // of calls, budgets and the host's answers
};

template <class T, std::size_t n>
T one_of(Choices& choices, const T (&from)[n]) {
  return from[choices.below(n)];
}

Plan make_plan(Choices& choices) {
  using Kind = Plan::Kind;
  using Start = NativeOptions::Start;
  Plan plan;
  plan.kind = one_of(choices, {Kind::native, Kind::interpreters, Kind::native, Kind::sim,
                               Kind::interpreters, Kind::tile, Kind::native, Kind::native});
  const std::uint32_t flags = choices.below(256);
  plan.wide = (flags & 1) != 0;
  plan.optimised = (flags & 2) != 0;
  plan.metered = (flags & 4) == 0;
  plan.module.host_calls = (flags & 8) != 0;
  plan.module.vectors = (flags & 16) != 0;
  plan.module.floats = (flags & 32) == 0;
  plan.module.wild = (flags & 64) == 0;
  plan.native.little_stack = (flags & 128) != 0;
  plan.module.statements = 4 + choices.below(24);
  plan.module.functions = 1 + choices.below(6);
  plan.native.start = one_of(choices, {Start::compiled, Start::parts, Start::on_demand});
  plan.native.variants = choices.below(3);
  plan.native.waits = choices.below(8);
  plan.limits.memory_capacity = 1 + choices.below(3);
  plan.limits.table_capacity = 8 + choices.below(16);
  plan.limits.stack_slots = one_of(choices, {600U, 4096U, 60U, 20'000U, 200U});
  plan.limits.max_depth = one_of(choices, {40U, 1000U, 3U, 10'000U});
  plan.limits.quantum = one_of(choices, {4096U, 1U, 30U, 400U});
  const std::uint32_t more_flags = choices.below(256);
  plan.native.interrupted = (more_flags & 1) != 0;
  if ((more_flags & 6) == 6) plan.native.instructions = 30 + (more_flags >> 3);
  for (int i = 0; i < 3; ++i) plan.seed = plan.seed << 8 | choices.below(256);
  return plan;
}

bool is_tiled(const Plan& plan) {
  return plan.kind == Plan::Kind::tile || plan.kind == Plan::Kind::sim;
}
bool has_many_pages(const ir::Memory& memory) { return memory.min_pages > 4; }

struct Call {
  std::uint32_t function = 0;
  std::vector<std::uint64_t> args;
  std::uint64_t fuel = 0;
  std::uint32_t slice = 0;  // most of the fuel that a run gets; 0: all
};

bool is_narrow(ValueType type) { return type == ValueType::i32 || type == ValueType::f32; }
bool is_reference(ValueType type) {
  return type == ValueType::funcref || type == ValueType::externref;
}

std::uint64_t make_value(Choices& choices, ValueType type) {
  constexpr std::uint64_t interesting[] = {0,
                                           1,
                                           0x7fff'ffff,
                                           0x8000'0000,
                                           0xffff'ffff,
                                           0x7fc0'0000,
                                           0x7f80'0001,
                                           0xfff8,
                                           0x8000'0000'0000'0000,
                                           0x7ff8'0000'0000'0000,
                                           0x7ff0'0000'0000'0001,
                                           0xffff'ffff'ffff'ffff};
  if (is_reference(type)) return 0;
  std::uint64_t value = choices.bits();
  switch (choices.below(4)) {
    case 0:
      value = choices.below(40);
      break;
    case 1:
      value = interesting[choices.below(std::size(interesting))];
      break;
    case 2:
      value = choices.below(0x10000);
      break;
    default:
      break;
  }
  return is_narrow(type) ? value & 0xffff'ffff : value;
}

std::vector<std::uint64_t> make_values(Choices& choices, const std::vector<ValueType>& types) {
  std::vector<std::uint64_t> values;
  for (const ValueType type : types) {
    for (std::uint32_t i = 0; i < ir::slots(type); ++i) values.push_back(make_value(choices, type));
  }
  return values;
}

/// The members' own set-up, then functions at random.
std::vector<Call> make_calls(const ir::Module& module, std::uint64_t seed) {
  Choices choices(seed);
  std::vector<Call> calls;
  for (const ir::Member& member : module.members) {
    if (member.init != ir::none) calls.push_back({member.init, {}, fuel_to_see_the_end, 0});
    if (member.start != ir::none) calls.push_back({member.start, {}, 1000, 100});
  }
  const auto count = static_cast<std::uint32_t>(module.functions.size());
  for (std::uint32_t i = std::min(count + count / 2, most_calls); i-- > 0;) {
    Call call;
    call.function = i < count ? i : choices.below(count);
    call.args = make_values(choices, module.types[module.functions[call.function].type].params);
    call.fuel = one_of(choices, {1000U, 100U, 5000U, 20'000U});
    call.slice = one_of(choices, {0U, 300U, 40U, 8U, 1000U});
    calls.push_back(std::move(call));
  }
  return calls;
}

// --- The host

/// Answers by how often it was asked, and keeps what was asked.
struct Host {
  const ir::Module* module = nullptr;
  std::uint64_t seed = 0;
  std::vector<std::uint64_t> asked = {};
  std::uint32_t count = 0;
  std::uint32_t last_import = 0;

  [[nodiscard]] const ir::FunctionType& type(std::uint32_t import) const {
    return module->types[module->host_imports[import].type];
  }
  /// What the latest call gives.
  [[nodiscard]] std::vector<std::uint64_t> answer() const {
    Choices choices(seed + count);
    return make_values(choices, type(last_import).results);
  }
  Exit operator()(HostView& view) {
    ++count;
    last_import = view.import;
    asked.push_back(view.import);
    asked.push_back(view.fuel_used);
    // The span counts values; vectors take two slots.
    std::uint64_t* const values = view.values.data();
    asked.insert(asked.end(), values, values + ir::param_slots(type(view.import)));
    Choices choices(seed ^ count * std::uint64_t{0x9e37});
    switch (choices.below(40)) {
      case 0:
      case 1:
      case 2:
        return Exit::parked;
      case 3:
        view.trap = abi::TrapKind::host;
        return Exit::trapped;
      case 4:
        view.exit_code = static_cast<std::int32_t>(choices.below(256));
        return Exit::exited;
      case 5:
        return Exit::cancelled;
      default:
        std::ranges::copy(answer(), values);
        return Exit::ready;
    }
  }
};

// --- Executors in step

struct Runner {
  std::string name;
  const ir::Module* module = nullptr;  // what it runs
  std::unique_ptr<Host> host = {};
  std::unique_ptr<Subject> subject = {};
  Outcome outcome = {};
};

class Trial {
 public:
  Trial(const ir::Module& module, const Plan& plan)
      : module_(module),
        plan_(plan),
        costly_memory_(is_tiled(plan) ||  // it is read cell by cell
                       std::ranges::any_of(module.memories, has_many_pages)) {
    add("ref", module_, Executor::ref);
  }

  void add_executors() {
    const ir::Module* module = &module_;
    if (plan_.optimised) {
      optimised_ = module_;
      opt::optimise(optimised_);
      WARPHIVE_CHECK(ir::verify(optimised_).has_value());
      module = &optimised_;
    }
    add("interp", *module, Executor::fused);
    switch (plan_.kind) {
      case Plan::Kind::interpreters:
        add("interp, not fused", *module, Executor::threaded);
        add("interp, as a loop", *module, Executor::loop);
        add("interp, as a loop, fused", *module, Executor::fused_loop);
        break;
      case Plan::Kind::tile:
        add("interp in tiles", *module, plan_.wide ? Executor::tile_wide : Executor::tile);
        break;
      case Plan::Kind::native: {
        Runner& runner = add_runner("jit", *module);
        runner.subject =
            codegen::testing::make_native(*module, plan_.limits, ask(*runner.host), plan_.native);
        break;
      }
      case Plan::Kind::sim:
        add("jit.sim", *module, plan_.wide ? Executor::sim_wide : Executor::sim);
        break;
    }
  }

  /// Runs a call to its end or to the end of its budget. False where a budget ended it.
  bool call(const Call& call) {
    ++calls_;
    call_ = &call;
    Choices slices(plan_.seed + calls_);
    std::uint64_t budget = call.fuel;
    stops_ = 0;
    const auto next_part = [&] {
      std::uint64_t part = budget;
      if (call.slice != 0 && stops_ < most_stops) {
        part = std::min<std::uint64_t>(budget, 1 + slices.below(call.slice));
      }
      budget -= part;
      return part;
    };
    const std::uint64_t first = next_part();
    for (Runner& runner : runners_) {
      runner.subject->set_fuel(first);
      runner.outcome = runner.subject->call(call.function, call.args);
    }
    for (;;) {
      compare();
      const Outcome stopped = runners_.front().outcome;
      if (++stops_ > 2 * most_stops) return stopped.exit != Exit::out_of_fuel;
      if (stopped.exit == Exit::out_of_fuel && budget != 0) {
        const std::uint64_t fuel = stopped.fuel_left + next_part();
        for (Runner& runner : runners_) {
          runner.subject->set_fuel(fuel);
          runner.outcome = runner.subject->resume();
        }
      } else if (stopped.exit == Exit::parked) {
        for (Runner& runner : runners_) {
          runner.subject->answer(runner.host->answer());
          runner.outcome = runner.subject->resume();
        }
      } else {
        return stopped.exit != Exit::out_of_fuel;
      }
    }
  }

 private:
  Runner& add_runner(std::string name, const ir::Module& module) {
    Runner& runner = runners_.emplace_back(Runner{.name = std::move(name), .module = &module});
    runner.host = std::make_unique<Host>(Host{.module = &module_, .seed = plan_.seed});
    return runner;
  }
  static exec::testing::HostFunction ask(Host& host) {
    return [&host](HostView& view) { return host(view); };
  }
  void add(std::string name, const ir::Module& module, Executor executor) {
    Runner& runner = add_runner(std::move(name), module);
    runner.subject = exec::testing::make_subject(executor, module, plan_.limits, ask(*runner.host));
  }

  void compare() const {
    for (std::size_t i = 1; i < runners_.size(); ++i) {
      const std::string difference = differs(runners_.front(), runners_[i]);
      if (!difference.empty()) fail(runners_[i], difference);
    }
  }

  [[noreturn]] void fail(const Runner& runner, const std::string& difference) const {
    const Runner& ref = runners_.front();
    std::ostringstream text;
    text << runner.name << " differs from ref in " << difference << ", in call " << calls_
         << " (function " << call_->function << "), stop " << stops_ << ":\n  ref ";
    PrintTo(ref.outcome, &text);
    text << "\n  " << runner.name << " ";
    PrintTo(runner.outcome, &text);
    // What it ran helps more than the input's bytes do.
    std::fprintf(stderr, "%s\n", ir::print(*ref.module).c_str());
    if (runner.module != ref.module) {
      std::fprintf(stderr, "%s\n", ir::print(*runner.module).c_str());
    }
    base::check_failed(text.str().c_str());
  }

  /// What, if anything, is not as the reference has it.
  [[nodiscard]] std::string differs(const Runner& ref, const Runner& other) const {
    Outcome expected = ref.outcome;
    Outcome got = other.outcome;
    if (ref.module != other.module) {  // the same place has another index
      expected.inst = offset(ref);
      got.inst = offset(other);
    }
    if (expected.exit != got.exit) return "its exit";
    if (expected.trap != got.trap) return "its trap";
    if (expected.fuel_used != got.fuel_used) return "instructions";
    if (!(expected == got)) return "its outcome";
    if (ref.host->asked != other.host->asked) return "host calls";
    if (ref.subject->globals() != other.subject->globals()) return "globals";
    if (ref.subject->grow_refused() != other.subject->grow_refused()) return "refused growth";
    for (std::uint32_t i = 0; i < module_.tables.size(); ++i) {
      if (ref.subject->table(i) != other.subject->table(i)) return "table " + std::to_string(i);
    }
    if (costly_memory_ && stops_ > 2 && expected.exit == Exit::out_of_fuel) return {};
    for (std::uint32_t i = 0; i < module_.memories.size(); ++i) {
      if (ref.subject->memory(i) != other.subject->memory(i)) return "memory " + std::to_string(i);
    }
    return {};
  }
  static std::uint32_t offset(const Runner& runner) {
    const Outcome& outcome = runner.outcome;
    if (outcome.function == ir::none) return 0;
    return runner.module->functions[outcome.function].source[outcome.inst];
  }

  const ir::Module& module_;
  const Plan& plan_;
  const bool costly_memory_;
  ir::Module optimised_;
  std::vector<Runner> runners_;
  const Call* call_ = nullptr;
  std::uint32_t calls_ = 0;
  std::uint32_t stops_ = 0;
};

/// `unmetered` runs only as far as `metered` is seen to end.
void run_program(const ir::Module& metered, const ir::Module& unmetered, const Plan& plan) {
  std::vector<Call> calls = make_calls(metered, plan.seed);
  if (!plan.metered) {
    Trial trial(metered, plan);
    std::size_t ended = 0;
    for (Call& call : calls) {
      call.fuel = fuel_to_see_the_end;
      call.slice = 0;
      if (!trial.call(call)) break;
      ++ended;
    }
    calls.resize(ended);
  }
  Trial trial(plan.metered ? metered : unmetered, plan);
  trial.add_executors();
  for (const Call& call : calls) trial.call(call);
}

// --- Programs

void run_random(std::span<const std::uint8_t> bytes) {
  Choices head(bytes.first(std::min(bytes.size(), plan_bytes)));
  const Plan plan = make_plan(head);
  Choices choices(bytes.subspan(std::min(bytes.size(), plan_bytes)));
  const ir::Module metered = ir::testing::random_module(choices, plan.module);
  WARPHIVE_CHECK(ir::verify(metered).has_value());
  ir::Module unmetered = metered;
  unmetered.metered = false;
  for (ir::Function& function : unmetered.functions) {
    for (ir::Inst& inst : function.code) {
      if (inst.op == ir::Op::charge) inst.imm = 0;
    }
  }
  run_program(metered, unmetered, plan);
}

std::optional<ir::Module> lower_and_link(const wasm::Module& module, bool metered) {
  const Result<ir::Module> lowered = wasm::lower(module, {.metered = metered});
  if (!lowered) return std::nullopt;
  ir::LinkOptions options;
  options.host_function = [&](std::string_view from,
                              std::string_view field) -> std::optional<ir::FunctionType> {
    for (const wasm::ImportedEntity& entity : module.imports) {
      if (entity.kind == ir::EntityKind::function && entity.module == from &&
          entity.field == field) {
        return module.types[module.functions[entity.index]];
      }
    }
    return std::nullopt;
  };
  const ir::LinkInput input{&*lowered, "guest"};
  Result<ir::Module> linked = ir::link(std::span(&input, 1), options);
  if (!linked) return std::nullopt;
  return std::move(*linked);
}

void run_wasm(std::span<const std::uint8_t> bytes) {
  // Small enough that a module cannot take long by its mere size.
  const wasm::Limits limits{.types = 50,
                            .functions = 50,
                            .table_elements = 1000,
                            .params = 50,
                            .results = 20,
                            .locals = 1000,
                            .nesting = 100,
                            .br_table_targets = 100};
  const auto raw = std::as_bytes(bytes);
  const auto module = wasm::read_module({raw.begin(), raw.end()}, limits);
  if (!module) return;
  const auto metered = lower_and_link(*module, true);
  const auto unmetered = lower_and_link(*module, false);
  if (!metered || !unmetered) return;
  for (const ir::Memory& memory : metered->memories) {
    if (memory.min_pages > 20) return;
  }
  for (const ir::Table& table : metered->tables) {
    if (table.min > 1000) return;
  }
  std::uint64_t seed = bytes.size();
  for (const std::uint8_t byte : bytes) seed = (seed ^ byte) * 0x100'0000'01b3;
  Choices choices(seed);
  Plan plan = make_plan(choices);
  plan.limits.table_capacity = 1000;
  if (is_tiled(plan) && std::ranges::any_of(metered->memories, has_many_pages)) {
    plan.kind = Plan::Kind::native;  // a tile of it would be large
  }
  run_program(*metered, *unmetered, plan);
}

}  // namespace
}  // namespace warphive

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::string_view magic("\0asm", 4);
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (text.starts_with(magic)) {
    warphive::run_wasm({data, size});
  } else {
    warphive::run_random({data, size});
  }
  return 0;
}
