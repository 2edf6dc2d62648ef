// SPDX-License-Identifier: Apache-2.0
// Dispatch: from calls to outcomes, in rounds while host calls park.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <numeric>
#include <thread>

#include "base/check.hpp"
#include "base/result.hpp"
#include "kernels/lanes.hpp"
#include "runtime/host_pass.hpp"
#include "runtime/swarm_state.hpp"

namespace warphive::runtime {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto first_wait = std::chrono::microseconds(20);
constexpr auto longest_wait = std::chrono::milliseconds(1);

std::int64_t nanoseconds_since(Clock::time_point start) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start).count();
}

bool is_resumable(abi::Exit exit) {
  return exit == abi::Exit::out_of_fuel || exit == abi::Exit::parked ||
         exit == abi::Exit::cancelled;
}

tl::unexpected<Error> state_error(const Instance& instance, std::uint32_t index) {
  return base::error(ErrorCode::busy, ErrorPhase::dispatch, "{}", describe_state(instance, index));
}

}  // namespace

Result<std::unique_ptr<InputBuffers>> Swarm::State::take_inputs(std::uint64_t calls,
                                                                std::uint64_t args) {
  std::unique_ptr<InputBuffers> inputs;
  if (free_inputs.empty()) {
    inputs = std::make_unique<InputBuffers>();
  } else {
    inputs = std::move(free_inputs.back());
    free_inputs.pop_back();
  }
  inputs->pending = 0;
  inputs->even.reset();
  WARPHIVE_TRY(inputs->lanes.resize(*device, calls));
  WARPHIVE_TRY(inputs->calls.resize(*device, calls));
  WARPHIVE_TRY(inputs->args.resize(*device, args));
  return inputs;
}

Result<Results> Swarm::dispatch(const SlotBatch& batch) {
  State& s = *state_;
  const Claim claim(s.claimed);
  if (!claim) return busy_error();
  const std::uint64_t count = batch.calls.size();
  const auto check = [&](std::uint64_t i) -> Status {
    const SlotCall& call = batch.calls[i];
    WARPHIVE_TRY_ASSIGN(const Instance* instance, s.find_once(call.id));
    const bool callable = instance->exit == abi::Exit::ready ||
                          instance->exit == abi::Exit::returned || instance->unreported ||
                          batch.any_state == AnyState::yes;
    if (!callable) return state_error(*instance, call.id.index);
    const Program& program = *s.pools[instance->pool]->shape->program;
    if (call.function >= program.param_slots.size()) {
      return base::error(ErrorCode::invalid_input, ErrorPhase::dispatch,
                         "Function ({}) does not exist; the program has ({}).", call.function,
                         program.param_slots.size());
    }
    if (std::uint64_t{call.first_arg} + program.param_slots[call.function] > batch.args.size()) {
      return base::error(ErrorCode::invalid_input, ErrorPhase::dispatch,
                         "The call of function ({}) needs ({}) arguments from ({}) on; there are "
                         "({}).",
                         call.function, program.param_slots[call.function], call.first_arg,
                         batch.args.size());
    }
    return {};
  };
  WARPHIVE_TRY(check_in_parts(*s.device, count, [&s] { s.next_epoch(); }, check));

  WARPHIVE_TRY_ASSIGN(auto inputs, s.take_inputs(count, batch.args.size()));
  auto buffers = s.results->take(s.device);
  in_parts(*s.device, batch.args.size(), [&](std::uint64_t first, std::uint64_t last) {
    std::copy_n(batch.args.data() + first, last - first, inputs->args.host() + first);
  });
  buffers->entries.resize(count);
  const auto results_of = [&](const SlotCall& call) {
    const Instance& instance = s.instances[call.id.index];
    return std::uint64_t{s.pools[instance.pool]->shape->program->result_slots[call.function]};
  };
  // Where the values of each part begin.
  std::vector<std::uint64_t> starts(parts_of(count) + 1);
  in_parts(*s.device, count, [&](std::uint64_t first, std::uint64_t last) {
    std::uint64_t& values = starts[first / pass_part + 1];
    for (std::uint64_t i = first; i < last; ++i) values += results_of(batch.calls[i]);
  });
  std::partial_sum(starts.begin(), starts.end(), starts.begin());
  const auto flags_of = [&](const Instance& instance) {
    const std::uint32_t flags = batch.run_initialize ? kernels::lane_initialize : 0;
    if (batch.any_state == AnyState::yes) return flags | kernels::lane_drop_frames;
    return instance.unreported ? flags | kernels::lane_only_report : flags;
  };
  kernels::EvenCalls even = {};
  if (count != 0) {
    const SlotCall& call = batch.calls.front();
    const Instance& instance = s.instances[call.id.index];
    even = {.pool = instance.pool,
            .first_slot = instance.slot,
            .function = call.function,
            .arg_stride = count > 1 ? batch.calls[1].first_arg : 0,
            .value_stride = static_cast<std::uint32_t>(results_of(call)),
            .flags = flags_of(instance)};
  }
  std::atomic<bool> is_even = !s.device->info().reads_host_memory && count != 0;
  in_parts(*s.device, count, [&](std::uint64_t first, std::uint64_t last) {
    std::uint64_t values = starts[first / pass_part];
    bool stays_even = true;
    for (std::uint64_t i = first; i < last; ++i) {
      const SlotCall& call = batch.calls[i];
      Instance& instance = s.instances[call.id.index];
      const std::uint32_t flags = flags_of(instance);
      instance.unreported = false;
      const Program& program = *s.pools[instance.pool]->shape->program;
      instance.wrote |= program.may_write[call.function] || !program.starts.empty() ||
                        (batch.run_initialize && program.initialize != ir::none);
      inputs->lanes[i] = {instance.pool, instance.slot};
      inputs->calls[i] = {.function = call.function,
                          .first_arg = call.first_arg,
                          .first_value = values,
                          .call = static_cast<std::uint32_t>(i),
                          .flags = flags};
      buffers->entries[i] = {call.id, instance.ordinal, values, 0, ir::none};
      values += results_of(call);
      const auto lane = static_cast<std::uint32_t>(i);
      stays_even &= even.lane(lane) == inputs->lanes[i] && even.call(lane) == inputs->calls[i];
    }
    if (!stays_even) is_even.store(false, std::memory_order_relaxed);
  });
  if (is_even) inputs->even = even;
  if (batch.any_state == AnyState::yes) {
    for (const SlotCall& call : batch.calls) s.drop_pending(s.instances[call.id.index]);
  }
  return s.run(std::move(inputs), std::move(buffers), starts.back(), batch.fuel, false);
}

Result<Results> Swarm::resume(std::span<const InstanceId> ids, std::uint64_t fuel) {
  State& s = *state_;
  const Claim claim(s.claimed);
  if (!claim) return busy_error();
  WARPHIVE_TRY(s.find_all(ids));
  std::uint64_t args = 0;
  bool resumes_parked = false;
  for (const InstanceId id : ids) {
    const Instance& instance = s.instances[id.index];
    if (!is_resumable(instance.exit)) return state_error(instance, id.index);
    resumes_parked |= instance.exit == abi::Exit::parked;
    if (instance.pending != ir::none) {
      const kernels::LaneCall& call = s.pending[instance.pending]->calls[instance.pending_call];
      args += s.pools[instance.pool]->shape->program->param_slots[call.function];
    }
  }

  WARPHIVE_TRY_ASSIGN(auto inputs, s.take_inputs(ids.size(), args));
  auto buffers = s.results->take(s.device);
  buffers->entries.resize(ids.size());
  std::uint64_t values = 0;
  args = 0;
  for (std::uint32_t i = 0; i < ids.size(); ++i) {
    Instance& instance = s.instances[ids[i].index];
    const Program& program = *s.pools[instance.pool]->shape->program;
    kernels::LaneCall call = {.function = kernels::no_function,
                              .first_arg = static_cast<std::uint32_t>(args),
                              .first_value = values,
                              .call = i,
                              .flags = 0};
    std::uint32_t entry = instance.function;
    if (instance.pending != ir::none) {
      const InputBuffers& old = *s.pending[instance.pending];
      const kernels::LaneCall& waiting = old.calls[instance.pending_call];
      entry = call.function = waiting.function;
      call.flags = waiting.flags & kernels::lane_initialize;
      const std::uint64_t* from = old.args.host() + waiting.first_arg;
      std::copy(from, from + program.param_slots[entry], inputs->args.host() + args);
      args += program.param_slots[entry];
      s.drop_pending(instance);
    }
    inputs->lanes[i] = {instance.pool, instance.slot};
    inputs->calls[i] = call;
    buffers->entries[i] = {ids[i], instance.ordinal, values, 0, ir::none};
    values += program.result_slots[entry];
  }
  return s.run(std::move(inputs), std::move(buffers), values, fuel, resumes_parked);
}

Status Swarm::State::group_by_pool(std::unique_ptr<InputBuffers>& inputs) {
  if (pools.size() == 1) return {};
  const std::uint64_t count = inputs->lanes.size();
  const abi::LaneRef* lanes = inputs->lanes.host();
  const bool sorted = std::is_sorted(lanes, lanes + count,
                                     [](const auto& a, const auto& b) { return a.pool < b.pool; });
  if (sorted) return {};
  pool_starts.assign(pools.size() + 1, 0);
  for (std::uint64_t i = 0; i < count; ++i) ++pool_starts[lanes[i].pool + 1];
  for (std::size_t p = 1; p < pool_starts.size(); ++p) pool_starts[p] += pool_starts[p - 1];
  WARPHIVE_TRY_ASSIGN(auto grouped, take_inputs(count, 0));
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint32_t at = pool_starts[lanes[i].pool]++;
    grouped->lanes[at] = lanes[i];
    grouped->calls[at] = inputs->calls[i];
  }
  std::swap(inputs->lanes, grouped->lanes);
  std::swap(inputs->calls, grouped->calls);
  free_inputs.push_back(std::move(grouped));
  return {};
}

Work Swarm::State::work_of(const InputBuffers& inputs) const {
  const std::uint64_t count = inputs.lanes.size();
  if (count == 0 || device->info().reads_host_memory) return {};
  const auto work_at = [&](std::uint64_t i) {
    return Work{pools[inputs.lanes[i].pool]->shape->index, inputs.calls[i].function};
  };
  const Work work = work_at(0);
  const bool is_same = work == work_at(count - 1) && work.function != kernels::no_function;
  return is_same ? work : Work{};
}

Status Swarm::State::clear_control() {
  if (stop_raised() || leaves) {
    WARPHIVE_TRY(queue->interrupt(control, offsetof(Control, stop), 0));
    __atomic_store_n(&stop, 0, __ATOMIC_RELAXED);
  }
  done_by_host.store(0, std::memory_order_relaxed);
  leaves = false;
  ended_at_once = false;
  if (knows_progress) {
    knows_progress = false;  // until the dispatch is over
    lanes_before = lanes_done;
    units_before = units_done;
    return {};
  }
  lanes_done = lanes_before = 0;
  units_done = units_before = 0;
  WARPHIVE_TRY(queue->fill(control, 0, sizeof(Control), 0));
  return queue->synchronise();  // or a stop could come before it
}

Status Swarm::State::run_some(const InputBuffers& inputs, ResultBuffers& buffers,
                              std::span<const std::uint32_t> lanes, std::uint64_t fuel) {
  WARPHIVE_TRY_ASSIGN(auto round, take_inputs(lanes.size(), 0));
  WARPHIVE_TRY(partial.outcomes.resize(*device, lanes.size()));
  std::vector<std::uint64_t>& args = partial_args;
  args.clear();
  std::uint64_t values = 0;
  for (std::uint32_t i = 0; i < lanes.size(); ++i) {
    const kernels::LaneCall& whole = inputs.calls[lanes[i]];
    kernels::LaneCall& call = round->calls[i] = whole;
    const Instance& instance = instances[buffers.entries[whole.call].id.index];
    const Program& program = *pools[instance.pool]->shape->program;
    round->lanes[i] = inputs.lanes[lanes[i]];
    partial.outcomes[i] = buffers.outcomes[whole.call];
    kernels::go_on(partial.outcomes[i], call);
    call.call = i;
    call.first_value = values;
    const bool has_begun = whole.function == kernels::no_function;
    values += program.result_slots[has_begun ? instance.function : whole.function];
    if (call.function == kernels::no_function) continue;
    call.first_arg = static_cast<std::uint32_t>(args.size());
    const std::uint64_t* const first = inputs.args.host() + whole.first_arg;
    args.insert(args.end(), first, first + program.param_slots[call.function]);
  }
  WARPHIVE_TRY(round->args.resize(*device, args.size()));
  std::copy(args.begin(), args.end(), round->args.host());
  WARPHIVE_TRY(partial.values.resize(*device, values));
  WARPHIVE_TRY(partial.outcomes.to_device(*queue));
  WARPHIVE_TRY(run_round(*round, *round, partial, fuel, false));
  for (std::uint32_t i = 0; i < lanes.size(); ++i) {
    const kernels::LaneCall& whole = inputs.calls[lanes[i]];
    buffers.outcomes[whole.call] = partial.outcomes[i];
    const std::uint64_t first = round->calls[i].first_value;
    const std::uint64_t end = i + 1 < lanes.size() ? round->calls[i + 1].first_value : values;
    std::copy(partial.values.host() + first, partial.values.host() + end,
              buffers.values.host() + whole.first_value);
  }
  free_inputs.push_back(std::move(round));
  return {};
}

Status Swarm::State::describe_waiting(const InputBuffers& inputs, ResultBuffers& buffers,
                                      std::span<const std::uint32_t> lanes, std::uint64_t fuel) {
  std::vector<abi::InstanceHeader> headers(lanes.size());
  std::vector<kernels::Move> list;
  list.reserve(lanes.size());
  for (const std::uint32_t i : lanes) {
    list.push_back({inputs.lanes[i], 0, sizeof(abi::InstanceHeader),
                    list.size() * sizeof(abi::InstanceHeader), kernels::Range::header, 0});
  }
  const Mover& move = parked_calls().mover;
  const auto bytes = std::as_writable_bytes(std::span(headers));
  WARPHIVE_TRY(move(hal::KernelId::gather, list, bytes.data(), bytes.size()));
  for (std::size_t k = 0; k < lanes.size(); ++k) {
    const kernels::LaneCall& call = inputs.calls[lanes[k]];
    const Instance& instance = instances[buffers.entries[call.call].id.index];
    kernels::Outcome& outcome = buffers.outcomes[call.call];
    outcome = {};
    outcome.host_import = instance.host_import;
    outcome.memory_pages = instance.memory_pages;
    outcome.function = instance.function;
    outcome.final_call = call.function == kernels::no_function ? 1 : 0;
    headers[k].fuel_left = std::min(fuel, abi::unlimited_fuel);
    describe_header(headers[k], outcome);
    outcome.exit = abi::Exit::parked;
  }
  return move(hal::KernelId::scatter, list, bytes.data(), bytes.size());
}

Status Swarm::State::run_rounds(InputBuffers& inputs, ResultBuffers& buffers, std::uint64_t fuel,
                                bool resumes_parked) {
  // Lanes that were parked before must be served before they run.
  std::vector<std::uint32_t>& waiting = parked;
  waiting.clear();
  ready.clear();
  const std::uint64_t count = inputs.lanes.size();
  const auto sort_out = [&](std::uint32_t i) {
    const abi::Exit exit = buffers.outcomes[inputs.calls[i].call].exit;
    if (exit == abi::Exit::parked) waiting.push_back(i);
    if (exit == abi::Exit::ready) ready.push_back(i);  // for the other tier
  };
  for (std::uint32_t i = 0; resumes_parked && i < count; ++i) {
    const Instance& instance = instances[buffers.entries[inputs.calls[i].call].id.index];
    if (instance.exit == abi::Exit::parked) waiting.push_back(i);
  }
  if (!resumes_parked) {
    WARPHIVE_TRY(run_round(inputs, inputs, buffers, fuel, true));
    // Mostly all lanes are done, which is counted where they run.
    const bool all_done = lanes_done - lanes_before == count;
    for (std::uint32_t i = 0; !all_done && i < count; ++i) sort_out(i);
    if (!all_done) residency.drop();
  } else {
    // As if a round had just left them parked; the others begin with the first one.
    WARPHIVE_TRY(describe_waiting(inputs, buffers, waiting, fuel));
    std::vector<std::uint32_t>& others = running_lanes;
    others.clear();
    std::size_t next = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
      if (next < waiting.size() && waiting[next] == i) {
        ++next;
      } else {
        others.push_back(i);
      }
    }
    if (!others.empty()) {
      WARPHIVE_TRY_ASSIGN(auto round, take_inputs(others.size(), 0));
      for (std::size_t i = 0; i < others.size(); ++i) {
        round->lanes[i] = inputs.lanes[others[i]];
        round->calls[i] = inputs.calls[others[i]];
      }
      WARPHIVE_TRY(run_round(*round, inputs, buffers, fuel, true));
      for (const std::uint32_t i : others) sort_out(i);
      free_inputs.push_back(std::move(round));
    }
  }

  auto wait = std::chrono::duration_cast<std::chrono::microseconds>(first_wait);
  while (!waiting.empty() || !ready.empty()) {
    // What is ready must run: it stops by itself.
    if (stop_raised() && ready.empty()) return {};
    if (!stop_raised()) WARPHIVE_TRY(serve_parked(inputs, buffers, waiting, ready));
    if (ready.empty()) {
      if (waiting.empty()) return {};
      std::this_thread::sleep_for(wait);
      wait = std::min<std::chrono::microseconds>(wait * 2, longest_wait);
      continue;
    }
    wait = first_wait;
    std::sort(ready.begin(), ready.end());  // grouped by pool, as the inputs are
    std::swap(ready, running_lanes);
    ready.clear();
    WARPHIVE_TRY(run_some(inputs, buffers, running_lanes, fuel));
    for (const std::uint32_t i : running_lanes) sort_out(i);
  }
  return {};
}

Result<Results> Swarm::State::run(std::unique_ptr<InputBuffers> inputs,
                                  std::unique_ptr<ResultBuffers> buffers, std::uint64_t value_count,
                                  std::uint64_t fuel, bool resumes_parked) {
  const std::uint64_t count = inputs->lanes.size();
  WARPHIVE_TRY(buffers->outcomes.resize(*device, count));
  WARPHIVE_TRY(buffers->values.resize(*device, value_count));
  buffers->programs.clear();
  buffers->texts.clear();
  buffers->text.clear();
  std::fill(std::begin(buffers->exits), std::end(buffers->exits), 0);
  buffers->instructions = 0;
  buffers->spawn_ns = 0;
  WARPHIVE_TRY(group_by_pool(inputs));
  {
    const std::lock_guard lock(running_mutex);
    WARPHIVE_TRY(clear_control());
    progress_total.store(count, std::memory_order_relaxed);
    running = true;
    if (waves && waves->cancelled) raise_stop();
  }
  const Work work = work_of(*inputs);
  slice = rounds == Rounds::never ? no_slice : slice_history.first_slice(work);
  const void* const code = count == 0 ? nullptr : pools[inputs->lanes[0].pool]->device_code;
  launch_lanes =
      slice == no_slice ? residency.launch_lanes(work, code, count, device->info()) : whole_batch;
  auto watches = watch_tiers();
  const Clock::time_point start = Clock::now();
  const Status status = run_rounds(*inputs, *buffers, fuel, resumes_parked);
  watches.clear();
  buffers->run_ns = nanoseconds_since(start);
  {
    const std::lock_guard lock(running_mutex);
    running = false;
  }
  const Clock::time_point harvest_start = Clock::now();
  if (!status) {
    for (const ResultEntry& entry : buffers->entries) {
      instances[entry.id.index].exit = abi::Exit::device_lost;
    }
    free_inputs.push_back(std::move(inputs));
    return fail(Error(ErrorCode::device_lost, ErrorPhase::dispatch, status.error().message()));
  }
  if (count != 0 && rounds != Rounds::never) {
    slice_history.learn(work, {inputs->calls.host(), count}, buffers->outcomes.host(),
                        buffers->run_ns);
  }
  const std::uint64_t with_output = harvest(*buffers, std::move(inputs));
  residency.learn(buffers->instructions, buffers->run_ns);
  if (ended_at_once) {
    units_done += buffers->instructions;
    knows_progress = true;
  }
  WARPHIVE_TRY(collect_output(*buffers, with_output));
  buffers->harvest_ns = nanoseconds_since(harvest_start);
  return Results(std::move(buffers), results);
}

bool Swarm::State::outcome_is_sound(const kernels::Outcome& outcome,
                                    const Instance& instance) const {
  const Template& shape = *pools[instance.pool]->shape;
  const Layout& layout = shape.layout;
  if (static_cast<std::uint8_t>(outcome.exit) >= abi::exit_count ||
      static_cast<std::uint8_t>(outcome.trap) >= abi::trap_count) {
    return false;
  }
  const bool trapped = outcome.exit == abi::Exit::trapped;
  return outcome.exit != abi::Exit::ready && trapped == (outcome.trap != abi::TrapKind::none) &&
         (outcome.exit != abi::Exit::returned || outcome.final_call != 0) &&
         (outcome.function < shape.program->param_slots.size()) &&
         outcome.out_size <= layout.out_capacity && outcome.err_size <= layout.out_capacity &&
         outcome.memory_pages <=
             (shape.main_memory() != nullptr ? shape.main_memory()->capacity : 0);
}

std::uint64_t Swarm::State::harvest(ResultBuffers& buffers, std::unique_ptr<InputBuffers> inputs) {
  const std::uint64_t count = inputs->lanes.size();
  const auto pending_index = static_cast<std::uint32_t>(
      std::find(pending.begin(), pending.end(), nullptr) - pending.begin());
  // Of each pool.
  std::vector<std::uint32_t> programs(pools.size());
  for (std::size_t p = 0; p < pools.size(); ++p) {
    const std::shared_ptr<const Program>& program = pools[p]->shape->program;
    const auto found = std::find(buffers.programs.begin(), buffers.programs.end(), program);
    programs[p] = static_cast<std::uint32_t>(found - buffers.programs.begin());
    if (found == buffers.programs.end()) buffers.programs.push_back(program);
  }
  struct Sums {
    std::uint64_t exits[abi::exit_count] = {};
    std::uint64_t instructions = 0;
    std::uint64_t with_output = 0;
    std::uint64_t text_bytes = 0;
    std::uint32_t pending = 0;
  };
  Sums all;
  std::mutex all_mutex;
  in_parts(*device, count, [&](std::uint64_t first, std::uint64_t last) {
    Sums sums;
    for (std::uint64_t i = first; i < last; ++i) {
      const kernels::LaneCall& call = inputs->calls[i];
      kernels::Outcome& outcome = buffers.outcomes[call.call];
      ResultEntry& entry = buffers.entries[call.call];
      Instance& instance = instances[entry.id.index];
      entry.program = programs[instance.pool];
      if (outcome.exit != abi::Exit::trapped) outcome.trap = abi::TrapKind::none;
      if (!outcome_is_sound(outcome, instance)) [[unlikely]] {
        outcome = {};
        outcome.exit = abi::Exit::internal;
        outcome.function = 0;
        outcome.memory_pages = instance.memory_pages;
      }
      instance.exit = outcome.exit;
      instance.trap = outcome.trap;
      instance.fuel_used = outcome.fuel_used;
      instance.function = outcome.function;
      instance.memory_pages = outcome.memory_pages;
      instance.host_import = outcome.host_import;
      if (is_resumable(outcome.exit)) {
        instance.stack_saved = true;
        const bool not_begun = call.function != kernels::no_function &&
                               (outcome.depth == 0 || outcome.final_call == 0);
        if (not_begun) {
          instance.pending = pending_index;
          instance.pending_call = static_cast<std::uint32_t>(i);
          ++sums.pending;
        }
      }
      ++sums.exits[static_cast<std::size_t>(outcome.exit)];
      sums.instructions += outcome.fuel_spent;
      const std::uint64_t text = std::uint64_t{outcome.out_size} + outcome.err_size;
      sums.with_output += text != 0 ? 1 : 0;
      sums.text_bytes += text;
    }
    const std::lock_guard lock(all_mutex);
    for (std::size_t e = 0; e < abi::exit_count; ++e) all.exits[e] += sums.exits[e];
    all.instructions += sums.instructions;
    all.with_output += sums.with_output;
    all.text_bytes += sums.text_bytes;
    all.pending += sums.pending;
  });
  std::copy(std::begin(all.exits), std::end(all.exits), std::begin(buffers.exits));
  buffers.instructions = all.instructions;
  inputs->pending = all.pending;
  buffers.text.resize(all.text_bytes);
  if (inputs->pending == 0) {
    free_inputs.push_back(std::move(inputs));
  } else if (pending_index == pending.size()) {
    pending.push_back(std::move(inputs));
  } else {
    pending[pending_index] = std::move(inputs);
  }
  return all.with_output;
}

Status Swarm::State::collect_output(ResultBuffers& buffers, std::uint64_t with_output) {
  if (with_output == 0) return {};
  WARPHIVE_TRY(moves.resize(*device, with_output * 2));
  std::uint64_t at = 0;
  std::uint64_t move = 0;
  for (std::size_t i = 0; i < buffers.entries.size(); ++i) {
    const kernels::Outcome& outcome = buffers.outcomes[i];
    if (outcome.out_size == 0 && outcome.err_size == 0) continue;
    ResultEntry& entry = buffers.entries[i];
    entry.text_index = static_cast<std::uint32_t>(buffers.texts.size());
    buffers.texts.push_back({at, outcome.out_size, outcome.err_size});
    const Instance& instance = instances[entry.id.index];
    const abi::LaneRef lane{instance.pool, instance.slot};
    moves[move++] = {lane, 0, outcome.out_size, at, kernels::Range::out, 0};
    at += outcome.out_size;
    moves[move++] = {lane, 0, outcome.err_size, at, kernels::Range::err, 0};
    at += outcome.err_size;
  }
  return move_bytes(hal::KernelId::gather, move, reinterpret_cast<std::byte*>(buffers.text.data()),
                    buffers.text.size());
}

}  // namespace warphive::runtime
