// SPDX-License-Identifier: Apache-2.0
#include "exec/testing.hpp"

#include <algorithm>
#include <cstring>
#include <ostream>

#include "base/check.hpp"
#include "exec/fuse.hpp"
#include "exec/interp.hpp"
#include "exec/ref.hpp"
#include "exec/tile.hpp"
#include "ir/verify.hpp"

namespace warphive::exec::testing {

using abi::Exit;
using ir::Op;

ir::FunctionType type(std::uint32_t count, std::uint32_t results) {
  return {.params = std::vector<ir::ValueType>(count, ir::ValueType::i64),
          .results = std::vector<ir::ValueType>(results, ir::ValueType::i64)};
}

std::uint32_t intern(ir::Module& module, const ir::FunctionType& wanted) {
  const auto found = std::find(module.types.begin(), module.types.end(), wanted);
  const auto index = static_cast<std::uint32_t>(found - module.types.begin());
  if (found == module.types.end()) module.types.push_back(wanted);
  return index;
}

FunctionBuilder::FunctionBuilder(ir::Module& module, const ir::FunctionType& wanted,
                                 std::uint32_t locals, std::uint32_t temporaries)
    : module_(module),
      index_(static_cast<std::uint32_t>(module.functions.size())),
      header_(
          static_cast<std::uint16_t>(std::max(ir::param_slots(wanted), ir::result_slots(wanted)))) {
  if (module.members.empty()) module.members.emplace_back();
  ir::Function added;
  added.type = intern(module, wanted);
  added.header_slot = header_;
  added.frame_slots = header_ + 1 + locals + temporaries;
  added.blocks = {0};
  module.functions.push_back(std::move(added));
  op(Op::enter, header_, locals == 0 ? 0u : header_ + 1u, locals, function().frame_slots);
}

ir::Function& FunctionBuilder::function() { return module_.functions[index_]; }

FunctionBuilder& FunctionBuilder::op(Op op, std::uint32_t a, std::uint32_t b, std::uint32_t c,
                                     std::uint64_t imm) {
  function().source.push_back(static_cast<std::uint32_t>(function().code.size()));
  function().code.push_back({.op = op,
                             .a = static_cast<std::uint16_t>(a),
                             .b = static_cast<std::uint16_t>(b),
                             .c = static_cast<std::uint16_t>(c),
                             .imm = imm});
  return *this;
}

FunctionBuilder& FunctionBuilder::branch_k(Op branch, std::uint32_t a, std::int32_t constant,
                                           std::uint32_t block) {
  const auto bits = static_cast<std::uint32_t>(constant);
  return op(branch, a, bits & 0xffff, bits >> 16, block);
}

FunctionBuilder& FunctionBuilder::block() {
  function().blocks.push_back(static_cast<std::uint32_t>(function().code.size()));
  return *this;
}

FunctionBuilder& FunctionBuilder::branch_table(std::uint32_t a, std::vector<std::uint32_t> blocks) {
  const std::size_t index = function().branch_tables.size();
  function().branch_tables.push_back(std::move(blocks));
  return op(Op::br_table, a, 0, 0, index);
}

std::string name(Executor executor) {
  switch (executor) {
    case Executor::ref:
      return "ref";
    case Executor::threaded:
      return "threaded";
    case Executor::loop:
      return "loop";
    case Executor::fused:
      return "fused";
    case Executor::fused_loop:
      return "fused_loop";
    case Executor::tile:
      return "tile";
    case Executor::tile_wide:
      return "tile_wide";
    case Executor::sim:
      return "sim";
    case Executor::sim_wide:
      return "sim_wide";
  }
  WARPHIVE_UNREACHABLE();
}

CompileTile compile_tile = nullptr;

std::span<const Executor> all_executors() {
  static constexpr Executor interpreters[] = {
      Executor::ref,        Executor::threaded, Executor::loop,     Executor::fused,
      Executor::fused_loop, Executor::tile,     Executor::tile_wide};
  static constexpr Executor compiled[] = {Executor::sim, Executor::sim_wide};
  if (compile_tile != nullptr) return compiled;
  return interpreters;
}

void PrintTo(const Outcome& outcome, std::ostream* out) {
  *out << "{" << abi::to_string(outcome.exit) << " " << abi::to_string(outcome.trap) << " results";
  for (const std::uint64_t value : outcome.results) *out << " 0x" << std::hex << value << std::dec;
  *out << " used " << outcome.fuel_used << " left " << outcome.fuel_left << " at "
       << outcome.function << ":" << outcome.inst << " code " << outcome.exit_code << "}";
}

namespace {

std::uint32_t result_slots(const ir::Module& module, std::uint32_t function) {
  std::uint32_t count = 0;
  for (const ir::ValueType result : module.types[module.functions[function].type].results) {
    count += ir::slots(result);
  }
  return count;
}

class RefSubject final : public Subject {
 public:
  RefSubject(const ir::Module& module, const Limits& limits, HostFunction host)
      : module_(module),
        instance_(ref_spawn(module, limits.memory_capacity, limits.table_capacity)),
        host_(std::move(host)) {
    instance_.stack_slots = limits.stack_slots;
    instance_.max_depth = limits.max_depth;
    instance_.fuel_left = limits.fuel;
    if (host_) {
      host_call_ = [this](RefInstance& instance, std::uint32_t import,
                          std::span<std::uint64_t> values) {
        HostView view{.import = import, .values = values, .fuel_used = instance.fuel_used};
        const Exit exit = host_(view);
        instance.exit_code = view.exit_code;
        instance.trap = view.trap;
        return exit;
      };
    }
  }
  Outcome call(std::uint32_t function, std::vector<std::uint64_t> args) override {
    ref_call(module_, instance_, function, args, host_call_);
    return outcome();
  }
  Outcome resume() override {
    ref_resume(module_, instance_, host_call_);
    return outcome();
  }
  void set_fuel(std::uint64_t fuel) override { instance_.fuel_left = fuel; }
  void answer(std::span<const std::uint64_t> values) override {
    std::copy(values.begin(), values.end(), instance_.stack.begin() + instance_.frames.back().base);
  }
  std::vector<std::uint8_t> memory(std::uint32_t index) override {
    return instance_.memories[index];
  }
  void write_memory(std::uint32_t index, std::uint64_t at,
                    std::span<const std::uint8_t> bytes) override {
    std::copy(bytes.begin(), bytes.end(),
              instance_.memories[index].begin() + static_cast<std::ptrdiff_t>(at));
  }
  std::vector<std::uint64_t> table(std::uint32_t index) override { return instance_.tables[index]; }
  void set_element(std::uint32_t table, std::uint32_t index, std::uint64_t value) override {
    instance_.tables[table][index] = value;
  }
  std::vector<std::uint64_t> globals() override { return instance_.globals; }
  void set_global(std::uint32_t index, std::uint64_t value) override {
    instance_.globals[index] = value;
  }
  std::uint32_t grow_refused() override { return instance_.grow_refused; }

 private:
  [[nodiscard]] Outcome outcome() const {
    Outcome out{.exit = instance_.exit,
                .trap = instance_.trap,
                .results = instance_.results,
                .fuel_used = instance_.fuel_used,
                .fuel_left = instance_.fuel_left,
                .exit_code = instance_.exit_code};
    if (out.exit == Exit::trapped) {
      out.function = instance_.trap_function;
      out.inst = instance_.trap_inst;
    } else if (!instance_.frames.empty()) {
      out.function = instance_.frames.back().function;
      out.inst = instance_.frames.back().inst;
    }
    return out;
  }

  const ir::Module& module_;
  RefInstance instance_;
  HostFunction host_;
  RefHostCall host_call_;
};

Exit ask(const ir::Module& module, const HostFunction& host, abi::InstanceHeader& header,
         std::uint32_t import, std::uint64_t* values) {
  const ir::FunctionType& signature = module.types[module.host_imports[import].type];
  HostView view{.import = import,
                .values = {values, std::max(signature.params.size(), signature.results.size())},
                .fuel_used = header.fuel_used};
  const Exit exit = host(view);
  header.exit_code = view.exit_code;
  header.trap = view.trap;
  return exit;
}

/// All but results.
Outcome outcome_of(const abi::InstanceHeader& header, const ir::EncodedProgram& program) {
  Outcome out{.exit = header.exit,
              .trap = header.trap,
              .fuel_used = header.fuel_used,
              .fuel_left = header.fuel_left,
              .exit_code = header.exit_code};
  if (header.exit == Exit::returned) {
    WARPHIVE_CHECK(header.base == 0 && header.depth == 0);
  } else if (header.exit == Exit::trapped && header.depth == 0) {
    out.function = header.entry;  // the bottom frame did not fit
  } else if (header.exit != Exit::exited) {
    const ir::Location where = ir::locate(program, header.pc);
    out.function = where.function;
    out.inst = where.inst;
  }
  return out;
}

class InterpSubject final : public PoolSubject {
 public:
  InterpSubject(Dispatch dispatch, bool fused, const ir::Module& module, const Limits& limits,
                HostFunction host)
      : PoolSubject(module, limits, std::move(host), fused), dispatch_(dispatch) {}

 private:
  void run() override { run_lane_with(dispatch_, params_, lane_); }

  const Dispatch dispatch_;
};

class TileSubject final : public Subject {
 public:
  TileSubject(const abi::TileShape& shape, bool compiled, const ir::Module& module,
              const Limits& limits, HostFunction host)
      : module_(module),
        made_(module, limits),
        pool_(shape, made_.code(), made_.layout(), 1, module.metered, TestPool::pattern),
        host_(std::move(host)),
        lane_{.pool = 0, .slot = shape.lanes / 2} {
    if (compiled) native_ = compile_tile(module, made_.program(), shape);
    // As the contiguous pool has it before anything has run.
    std::vector<std::uint8_t> state(made_.layout().state_bytes);
    if (!state.empty()) std::memcpy(state.data(), made_.globals(), state.size());
    pool_.write(Slab::state, lane_.slot, 0, state);
    pool_.fill(Slab::memory, lane_.slot, 0);
    params_ = {.pools = &pool_.pool(),
               .lanes = &lane_,
               .stop = &stop_,
               .host_call = host_ ? &TileSubject::serve : nullptr,
               .host_context = this,
               .quantum = limits.quantum};
    run_.slice = limits.slice;
    header() = {};
    header().fuel_left = limits.fuel;
  }
  ~TileSubject() override {
    WARPHIVE_CHECK(pool_.holds_only(lane_.slot - 1, TestPool::pattern) &&
                   pool_.holds_only(lane_.slot + 1, TestPool::pattern));
  }

  Outcome call(std::uint32_t function, std::vector<std::uint64_t> args) override {
    header().exit = Exit::ready;
    header().trap = abi::TrapKind::none;
    header().exit_code = 0;
    if (!begin_tile_call(pool_.shape(), pool_.pool(), lane_.slot, function, args.data())) {
      return outcome();
    }
    return resume();
  }
  Outcome resume() override {
    run_tile_lane(pool_.shape(), params_, lane_, native_.code, run_);
    return outcome();
  }
  void set_fuel(std::uint64_t fuel) override { header().fuel_left = fuel; }
  void answer(std::span<const std::uint64_t> values) override {
    pool_.write(Slab::stack, lane_.slot, std::uint64_t{header().base} * 8, bytes_of(values));
  }
  std::vector<std::uint8_t> memory(std::uint32_t index) override {
    const auto pages = read<std::uint32_t>(made_.layout().memory_pages_at + 4 * index, 1)[0];
    std::vector<std::uint8_t> bytes(std::size_t{pages} * abi::page_bytes);
    pool_.read(Slab::memory, lane_.slot, made_.layout().memories[index].at, bytes);
    return bytes;
  }
  void write_memory(std::uint32_t index, std::uint64_t at,
                    std::span<const std::uint8_t> bytes) override {
    pool_.write(Slab::memory, lane_.slot, made_.layout().memories[index].at + at, bytes);
  }
  std::vector<std::uint64_t> table(std::uint32_t index) override {
    const auto size = read<std::uint32_t>(made_.layout().table_sizes_at + 4 * index, 1)[0];
    return read<std::uint64_t>(made_.layout().tables[index].at, size);
  }
  void set_element(std::uint32_t table, std::uint32_t index, std::uint64_t value) override {
    pool_.write(Slab::state, lane_.slot, made_.layout().tables[table].at + std::uint64_t{8} * index,
                bytes_of(std::span(&value, 1)));
  }
  std::vector<std::uint64_t> globals() override {
    return read<std::uint64_t>(made_.layout().globals_at, ir::global_slots(module_).back());
  }
  void set_global(std::uint32_t index, std::uint64_t value) override {
    pool_.write(Slab::state, lane_.slot, made_.layout().globals_at + std::uint64_t{8} * index,
                bytes_of(std::span(&value, 1)));
  }
  std::uint32_t grow_refused() override { return header().grow_refused; }
  [[nodiscard]] TileRun tile_run() const override { return run_; }

 private:
  using Slab = TilePool::Slab;

  static Exit serve(const abi::RunParams* params, const abi::Pool* pool, abi::LaneRef lane,
                    std::uint32_t import, std::uint64_t* values) {
    auto* self = static_cast<TileSubject*>(params->host_context);
    return ask(self->module_, self->host_, pool->headers[lane.slot], import, values);
  }
  static std::span<const std::uint8_t> bytes_of(std::span<const std::uint64_t> values) {
    return {reinterpret_cast<const std::uint8_t*>(values.data()), values.size() * 8};
  }
  template <class T>
  std::vector<T> read(std::uint64_t at, std::size_t count) {
    std::vector<T> values(count);
    pool_.read(Slab::state, lane_.slot, at,
               {reinterpret_cast<std::uint8_t*>(values.data()), count * sizeof(T)});
    return values;
  }
  abi::InstanceHeader& header() { return pool_.header(lane_.slot); }

  [[nodiscard]] Outcome outcome() {
    Outcome out = outcome_of(header(), made_.program());
    if (header().exit == Exit::returned) {
      out.results.resize(result_slots(module_, header().entry));
      for (std::size_t i = 0; i < out.results.size(); ++i) {
        std::uint8_t bytes[8];
        pool_.read(Slab::stack, lane_.slot, 8 * i, bytes);
        std::memcpy(&out.results[i], bytes, 8);
      }
    }
    return out;
  }

  const ir::Module& module_;
  TestPool made_;  // encodes and lays out; nothing runs in it
  TilePool pool_;
  HostFunction host_;
  abi::LaneRef lane_;
  TileCode native_;
  TileRun run_;
  std::uint32_t stop_ = 0;
  abi::RunParams params_{};
};

}  // namespace

std::unique_ptr<Subject> make_subject(Executor executor, const ir::Module& module,
                                      const Limits& limits, HostFunction host) {
  const Status status = ir::verify(module);
  if (!status) base::check_failed(status.error().message().c_str());
  if (executor == Executor::ref) {
    return std::make_unique<RefSubject>(module, limits, std::move(host));
  }
  if (executor >= Executor::tile) {
    const bool wide = executor == Executor::tile_wide || executor == Executor::sim_wide;
    return std::make_unique<TileSubject>(tile_shapes[wide ? 1 : 0], executor >= Executor::sim,
                                         module, limits, std::move(host));
  }
  const bool loops = executor == Executor::loop || executor == Executor::fused_loop;
  const bool fused = executor == Executor::fused || executor == Executor::fused_loop;
  return std::make_unique<InterpSubject>(loops ? Dispatch::loop : Dispatch::threaded, fused, module,
                                         limits, std::move(host));
}

TestPool::TestPool(const ir::Module& module, const Limits& limits, bool fused)
    : stack_stride_(limits.stack_slots + 3) {
  Result<ir::EncodedProgram> program = ir::encode(module);
  WARPHIVE_CHECK(program.has_value());
  program_ = std::move(*program);
  if (fused) fuse(program_);
  code_ = program_.view();

  std::uint64_t memory_at = 0;
  for (const ir::Memory& memory : module.memories) {
    const std::uint32_t capacity = std::max(limits.memory_capacity, memory.min_pages);
    memories_.push_back(
        {.at = memory_at, .capacity = capacity, .max = memory.max_pages.value_or(65536)});
    memory_at += std::uint64_t{capacity} * abi::page_bytes;
  }
  std::uint32_t at = 0;
  const auto take = [&at](std::size_t bytes) {
    const std::uint32_t start = at;
    at += static_cast<std::uint32_t>((bytes + 7) / 8 * 8);
    return start;
  };
  layout_.globals_at = take(std::size_t{8} * ir::global_slots(module).back());
  layout_.memory_pages_at = take(4 * module.memories.size());
  layout_.table_sizes_at = take(4 * module.tables.size());
  layout_.data_dropped_at = take((module.data_segments.size() + 31) / 32 * 4);
  layout_.elem_dropped_at = take((module.element_segments.size() + 31) / 32 * 4);
  for (const ir::Table& table : module.tables) {
    const std::uint32_t capacity = std::max(limits.table_capacity, table.min);
    tables_.push_back({.at = take(std::size_t{8} * capacity),
                       .capacity = capacity,
                       .max = table.max.value_or(0xffffffff),
                       .reserved = 0});
  }
  layout_.memories = memories_.data();
  layout_.tables = tables_.data();
  layout_.memory_count = static_cast<std::uint32_t>(memories_.size());
  layout_.table_count = static_cast<std::uint32_t>(tables_.size());
  layout_.state_bytes = at;
  layout_.stack_slots = limits.stack_slots;
  layout_.max_depth = limits.max_depth;
  layout_.memory_bytes = memory_at;

  headers_.resize(instances);
  std::memset(static_cast<void*>(headers_.data()), pattern,
              headers_.size() * sizeof(abi::InstanceHeader));
  header() = {};
  state_.resize(std::size_t{instances} * at, pattern);
  stack_.resize(std::size_t{instances} * stack_stride_);
  std::memset(stack_.data(), pattern, stack_.size() * 8);
  memory_.resize(instances * memory_at, pattern);
  std::fill_n(state_.begin() + at, at, std::uint8_t{0});
  std::fill_n(memory_.begin() + static_cast<std::ptrdiff_t>(memory_at), memory_at, std::uint8_t{0});
  for (std::size_t i = 0; i < module.memories.size(); ++i) {
    std::memcpy(state() + layout_.memory_pages_at + 4 * i, &module.memories[i].min_pages, 4);
  }
  for (std::size_t i = 0; i < module.tables.size(); ++i) {
    std::memcpy(state() + layout_.table_sizes_at + 4 * i, &module.tables[i].min, 4);
  }

  pool_ = {.code = &code_,
           .layout = &layout_,
           .headers = headers_.data(),
           .state = state_.data(),
           .stack = stack_.data(),
           .memory = memory_.data(),
           .out = nullptr,
           .err = nullptr,
           .memory_stride = memory_at,
           .state_stride = at,
           .stack_stride = stack_stride_,
           .out_capacity = 0,
           .metered = module.metered ? 1u : 0u};
}

std::uint8_t* TestPool::memory(std::uint32_t index) {
  return memory_.data() + slot * layout_.memory_bytes + memories_[index].at;
}
std::uint64_t* TestPool::table(std::uint32_t index) {
  return reinterpret_cast<std::uint64_t*>(state() + tables_[index].at);
}
std::uint64_t* TestPool::globals() {
  return reinterpret_cast<std::uint64_t*>(state() + layout_.globals_at);
}
std::uint32_t TestPool::memory_pages(std::uint32_t index) {
  std::uint32_t pages = 0;
  std::memcpy(&pages, state() + layout_.memory_pages_at + std::size_t{4} * index, 4);
  return pages;
}
std::uint32_t TestPool::table_size(std::uint32_t index) {
  std::uint32_t size = 0;
  std::memcpy(&size, state() + layout_.table_sizes_at + std::size_t{4} * index, 4);
  return size;
}

bool TestPool::neighbours_untouched() const {
  const auto intact = [](const void* data, std::size_t whole, std::size_t first,
                         std::size_t bytes) {
    const auto* at = static_cast<const std::uint8_t*>(data);
    const auto is_pattern = [](std::uint8_t byte) { return byte == pattern; };
    return std::all_of(at, at + first, is_pattern) &&
           std::all_of(at + first + bytes, at + whole, is_pattern);
  };
  // The stack limit lies below the stride, so slots after the limit must be untouched too.
  return intact(headers_.data(), headers_.size() * sizeof(abi::InstanceHeader),
                sizeof(abi::InstanceHeader), sizeof(abi::InstanceHeader)) &&
         intact(state_.data(), state_.size(), layout_.state_bytes, layout_.state_bytes) &&
         intact(stack_.data(), stack_.size() * 8, std::size_t{8} * stack_stride_,
                std::size_t{8} * layout_.stack_slots) &&
         intact(memory_.data(), memory_.size(), layout_.memory_bytes, layout_.memory_bytes);
}

PoolSubject::PoolSubject(const ir::Module& module, const Limits& limits, HostFunction host,
                         bool fused)
    : module_(module), pool_(module, limits, fused), host_(std::move(host)) {
  params_ = {.pools = &pool_.pool(),
             .lanes = &lane_,
             .stop = &stop_,
             .host_call = host_ ? &PoolSubject::serve : nullptr,
             .host_context = this,
             .quantum = limits.quantum};
  pool_.header().fuel_left = limits.fuel;
}

PoolSubject::~PoolSubject() { WARPHIVE_CHECK(pool_.neighbours_untouched()); }

Outcome PoolSubject::call(std::uint32_t function, std::vector<std::uint64_t> args) {
  abi::InstanceHeader& header = pool_.header();
  header.exit = Exit::ready;
  header.trap = abi::TrapKind::none;
  header.exit_code = 0;
  if (!begin_call(pool_.pool(), TestPool::slot, function, args.data())) return outcome();
  return resume();
}

Outcome PoolSubject::resume() {
  run();
  return outcome();
}

void PoolSubject::answer(std::span<const std::uint64_t> values) {
  std::copy(values.begin(), values.end(), pool_.stack() + pool_.header().base);
}

std::vector<std::uint8_t> PoolSubject::memory(std::uint32_t index) {
  const std::uint8_t* first = pool_.memory(index);
  return {first, first + std::size_t{pool_.memory_pages(index)} * abi::page_bytes};
}

void PoolSubject::write_memory(std::uint32_t index, std::uint64_t at,
                               std::span<const std::uint8_t> bytes) {
  std::copy(bytes.begin(), bytes.end(), pool_.memory(index) + at);
}

std::vector<std::uint64_t> PoolSubject::table(std::uint32_t index) {
  const std::uint64_t* first = pool_.table(index);
  return {first, first + pool_.table_size(index)};
}

void PoolSubject::set_element(std::uint32_t table, std::uint32_t index, std::uint64_t value) {
  pool_.table(table)[index] = value;
}

std::vector<std::uint64_t> PoolSubject::globals() {
  return {pool_.globals(), pool_.globals() + ir::global_slots(module_).back()};
}

void PoolSubject::set_global(std::uint32_t index, std::uint64_t value) {
  pool_.globals()[index] = value;
}

Exit PoolSubject::serve(const abi::RunParams* params, const abi::Pool* pool, abi::LaneRef lane,
                        std::uint32_t import, std::uint64_t* values) {
  auto* self = static_cast<PoolSubject*>(params->host_context);
  const Exit exit = ask(self->module_, self->host_, pool->headers[lane.slot], import, values);
  self->served(exit);
  return exit;
}

Outcome PoolSubject::outcome() {
  const abi::InstanceHeader& header = pool_.header();
  Outcome out = outcome_of(header, pool_.program());
  if (header.exit == Exit::returned) {
    out.results.assign(pool_.stack(), pool_.stack() + result_slots(module_, header.entry));
  }
  return out;
}

}  // namespace warphive::exec::testing
