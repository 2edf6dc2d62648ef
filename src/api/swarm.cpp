// SPDX-License-Identifier: Apache-2.0
#include "warphive/swarm.hpp"

#include <algorithm>

#include "api/data.hpp"
#include "base/result.hpp"
#include "runtime/host_pass.hpp"

namespace warphive {
namespace {

struct GlobalRef {
  std::uint32_t index;
  ir::Global global;
};

Result<GlobalRef> find_global(const runtime::Program& program, std::string_view name) {
  const ir::Export* item = ir::find_export(program.module, name, ir::EntityKind::global);
  if (item != nullptr) return GlobalRef{item->index, program.module.globals[item->index]};
  return base::error(ErrorCode::not_found, ErrorPhase::none, "Global ({}) is not exported.", name);
}

/// Calls `body(program, first, count)` for each run of ids of one program.
template <class Fn>
Status each_program(const runtime::Swarm& swarm, std::span<const InstanceId> ids, Fn&& body) {
  for (std::size_t i = 0; i < ids.size();) {
    const std::size_t first = i;
    WARPHIVE_TRY_ASSIGN(const runtime::Program* program, swarm.borrowed_program(ids[i]));
    for (++i; i < ids.size(); ++i) {
      WARPHIVE_TRY_ASSIGN(const runtime::Program* other, swarm.borrowed_program(ids[i]));
      if (other != program) break;
    }
    WARPHIVE_TRY(body(*program, first, i - first));
  }
  return {};
}

Status check_count(std::size_t values, std::size_t ids) {
  if (values == ids) return {};
  return base::error(ErrorCode::invalid_input, ErrorPhase::none,
                     "There are ({}) values for ({}) instances.", values, ids);
}

runtime::Capacities capacities_of(const SpawnOptions& options) {
  return {.memory_pages = options.memory_pages,
          .table_elements = options.table_elements,
          .stack_slots = options.stack_slots,
          .max_depth = options.max_depth,
          .output_bytes = options.output_bytes};
}

/// Whether `values` can be the parameters of a function of the module.
Status check_row(const ir::Module& module, const ir::FunctionType& type,
                 std::span<const Value> values) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    const bool simple = detail::to_internal(values[i].type) == type.params[i] &&
                        values[i].type != ValueType::funcref;
    if (simple) [[likely]]
      continue;
    WARPHIVE_TRY(detail::check_value(values[i], type.params[i], module.functions.size(),
                                     fmt::format("Argument {}", i)));
  }
  return {};
}

Status check_rows(std::size_t row, std::size_t values, std::uint64_t count) {
  if (values == row || (row != 0 && values % row == 0 && values / row == count)) return {};
  return base::error(ErrorCode::invalid_input, ErrorPhase::dispatch,
                     "The function takes ({}) arguments; ({}) are neither one row nor one for "
                     "each of ({}) instances.",
                     row, values, count);
}

Result<Results> wrap(const runtime::Swarm& swarm, Result<runtime::Results> results) {
  if (!results) return fail(std::move(results).error());
  return Results(std::make_unique<detail::ResultsData>(std::move(*results), swarm.device()));
}

}  // namespace

Result<std::vector<InstanceId>> Swarm::spawn(const Program& program, std::uint64_t count,
                                             const SpawnOptions& options) {
  return data_->swarm->spawn(program.data()->program, count, capacities_of(options));
}

Result<Results> Swarm::map(const Program& program, const Function& function, std::uint64_t count,
                           std::span<const Value> args, const MapOptions& options) {
  const runtime::Program& linked = *program.data()->program;
  const ir::Module& module = linked.module;
  if (function.index >= module.functions.size()) {
    return base::error(ErrorCode::invalid_input, ErrorPhase::dispatch,
                       "Function ({}) does not exist; the program has ({}).", function.index,
                       module.functions.size());
  }
  const ir::FunctionType& type = module.types[module.functions[function.index].type];
  const std::size_t row = type.params.size();
  WARPHIVE_TRY(check_rows(row, args.size(), count));
  std::size_t row_slots = 0;
  for (const ir::ValueType param : type.params) row_slots += ir::slots(param);
  const std::uint64_t rows = row == 0 ? 0 : args.size() / row;
  std::vector<std::uint64_t> slots(rows * row_slots);
  WARPHIVE_TRY(runtime::check_in_parts(
      data_->swarm->device(), rows, [] {},
      [&](std::uint64_t i) -> Status {
        WARPHIVE_TRY(check_row(module, type, args.subspan(i * row, row)));
        std::uint64_t* to = slots.data() + i * row_slots;
        for (const Value& value : args.subspan(i * row, row)) to = detail::put_slots(to, value);
        return {};
      }));
  return wrap(*data_->swarm, data_->swarm->map(program.data()->program,
                                               {.function = function.index,
                                                .count = count,
                                                .args = slots,
                                                .fuel = options.fuel,
                                                .run_initialize = options.run_initialize,
                                                .capacities = capacities_of(options.spawn),
                                                .wave = options.wave}));
}

Result<Results> Swarm::dispatch(const Batch& batch) {
  // A host function that comes here must not touch the scratch of the dispatch that runs.
  if (data_->swarm->is_busy()) {
    return base::error(ErrorCode::busy, ErrorPhase::dispatch,
                       "The swarm is busy with another call; one runs at a time.");
  }
  detail::SwarmData& data = *data_;
  data.args.clear();
  data.calls.clear();
  // Where each value's slots begin, if there are vectors; else its number.
  std::vector<std::uint32_t> first_slots;
  const auto is_vector = [](const Value& value) { return value.type == ValueType::v128; };
  const bool has_vectors = std::ranges::any_of(batch.args, is_vector);
  for (const Value& value : batch.args) {
    if (has_vectors) first_slots.push_back(static_cast<std::uint32_t>(data.args.size()));
    detail::append_slots(data.args, value);
  }
  const runtime::Program* last_program = nullptr;
  std::uint32_t last_function = 0;
  const ir::FunctionType* type = nullptr;
  for (const Call& call : batch.calls) {
    const bool mapped = has_vectors && call.first_arg < first_slots.size();
    data.calls.push_back(
        {call.id, call.function, mapped ? first_slots[call.first_arg] : call.first_arg});
    WARPHIVE_TRY_ASSIGN(const runtime::Program* program, data.swarm->borrowed_program(call.id));
    const ir::Module& module = program->module;
    if (program != last_program || call.function != last_function || type == nullptr) {
      if (call.function >= module.functions.size()) {
        return base::error(ErrorCode::invalid_input, ErrorPhase::dispatch,
                           "Function ({}) does not exist; the program has ({}).", call.function,
                           module.functions.size());
      }
      last_program = program;
      last_function = call.function;
      type = &module.types[module.functions[call.function].type];
    }
    const std::size_t params = type->params.size();
    if (params == 0) continue;
    if (call.first_arg > batch.args.size() || params > batch.args.size() - call.first_arg) {
      return base::error(
          ErrorCode::invalid_input, ErrorPhase::dispatch,
          "The function takes ({}) arguments {}; there are ({}) from ({}) on.", params,
          ir::to_string(*type),
          batch.args.size() - std::min<std::size_t>(call.first_arg, batch.args.size()),
          call.first_arg);
    }
    WARPHIVE_TRY(check_row(module, *type, batch.args.subspan(call.first_arg, params)));
  }
  return wrap(*data.swarm, data.swarm->dispatch({.calls = data.calls,
                                                 .args = data.args,
                                                 .fuel = batch.fuel,
                                                 .run_initialize = batch.run_initialize}));
}

Result<Results> Swarm::dispatch(std::span<const InstanceId> ids, const Function& function,
                                std::span<const Value> args, std::uint64_t fuel) {
  const std::size_t row = function.type.params.size();
  WARPHIVE_TRY(check_rows(row, args.size(), ids.size()));
  const bool one_row = args.size() == row;
  if (args.size() > ~std::uint32_t{0}) {
    return base::error(ErrorCode::limit_exceeded, ErrorPhase::dispatch,
                       "The number of arguments ({}) exceeds the limit ({}).", args.size(),
                       ~std::uint32_t{0});
  }
  std::vector<Call> calls;
  calls.reserve(ids.size());
  for (std::size_t i = 0; i < ids.size(); ++i) {
    calls.push_back({ids[i], function.index, one_row ? 0 : static_cast<std::uint32_t>(i * row)});
  }
  return dispatch({.calls = calls, .args = args, .fuel = fuel});
}

Result<Results> Swarm::resume(std::span<const InstanceId> ids, std::uint64_t fuel) {
  return wrap(*data_->swarm, data_->swarm->resume(ids, fuel));
}
Status Swarm::reset(std::span<const InstanceId> ids) { return data_->swarm->reset(ids); }
Status Swarm::kill(std::span<const InstanceId> ids) { return data_->swarm->kill(ids); }

Status Swarm::read_memory(std::span<const InstanceId> ids, std::uint64_t address,
                          std::uint64_t bytes_each, std::span<std::byte> to) const {
  return data_->swarm->read_memory(ids, address, bytes_each, to);
}
Status Swarm::write_memory(std::span<const InstanceId> ids, std::uint64_t address,
                           std::uint64_t bytes_each, std::span<const std::byte> from) {
  return data_->swarm->write_memory(ids, address, bytes_each, from);
}
Result<std::vector<std::uint64_t>> Swarm::memory_sizes(std::span<const InstanceId> ids) const {
  return data_->swarm->memory_sizes(ids);
}
Result<std::vector<std::uint64_t>> Swarm::memory_hashes(std::span<const InstanceId> ids) const {
  return data_->swarm->memory_hashes(ids);
}

Status Swarm::read_global(std::span<const InstanceId> ids, std::string_view name,
                          std::span<Value> to) const {
  WARPHIVE_TRY(check_count(to.size(), ids.size()));
  const runtime::Swarm& swarm = *data_->swarm;
  return each_program(
      swarm, ids,
      [&](const runtime::Program& program, std::size_t first, std::size_t count) -> Status {
        WARPHIVE_TRY_ASSIGN(const GlobalRef found, find_global(program, name));
        std::vector<std::uint64_t> slots(count * ir::slots(found.global.type));
        WARPHIVE_TRY(data_->swarm->read_global(ids.subspan(first, count), found.index, slots));
        std::span<const std::uint64_t> left = slots;
        for (std::size_t i = 0; i < count; ++i) {
          to[first + i] = detail::take_value(found.global.type, left);
        }
        return {};
      });
}

Status Swarm::write_global(std::span<const InstanceId> ids, std::string_view name,
                           std::span<const Value> from) {
  WARPHIVE_TRY(check_count(from.size(), ids.size()));
  // Everything is checked before anything is written.
  struct Write {
    std::size_t first;
    std::size_t count;
    std::uint32_t global;
    std::vector<std::uint64_t> slots;
  };
  std::vector<Write> writes;
  Status checked = each_program(
      *data_->swarm, ids,
      [&](const runtime::Program& program, std::size_t first, std::size_t count) -> Status {
        WARPHIVE_TRY_ASSIGN(const GlobalRef found, find_global(program, name));
        if (!found.global.is_mutable) {
          return base::error(ErrorCode::invalid_input, ErrorPhase::none,
                             "Global ({}) cannot be written: it is immutable.", name);
        }
        Write write{first, count, found.index, {}};
        for (std::size_t i = 0; i < count; ++i) {
          WARPHIVE_TRY(detail::check_value(from[first + i], found.global.type,
                                           program.module.functions.size(),
                                           fmt::format("The value for global ({})", name)));
          detail::append_slots(write.slots, from[first + i]);
        }
        writes.push_back(std::move(write));
        return {};
      });
  if (!checked) return checked;
  for (const Write& write : writes) {
    WARPHIVE_TRY(data_->swarm->write_global(ids.subspan(write.first, write.count), write.global,
                                            write.slots));
  }
  return {};
}

Result<Exit> Swarm::state(InstanceId id) const {
  WARPHIVE_TRY_ASSIGN(const abi::Exit exit, data_->swarm->state(id));
  return static_cast<Exit>(exit);
}
Result<std::uint64_t> Swarm::ordinal(InstanceId id) const { return data_->swarm->ordinal(id); }
std::uint64_t Swarm::size() const { return data_->swarm->size(); }
bool Swarm::deterministic() const {
  return data_->environment->deterministic() && data_->unmetered_environment->deterministic();
}

void Swarm::cancel() { data_->swarm->cancel(); }
Progress Swarm::progress() const {
  const runtime::RunProgress progress = data_->swarm->progress();
  return {progress.instances_total, progress.instances_done, progress.instructions};
}

}  // namespace warphive
