// SPDX-License-Identifier: Apache-2.0
// Batches of any size that keep no state: one wave of instances after the other, in the same slots.
#include <algorithm>
#include <chrono>

#include "base/result.hpp"
#include "hal/cpu/machine.hpp"
#include "runtime/host_pass.hpp"
#include "runtime/swarm_state.hpp"

namespace warphive::runtime {
namespace {

using Clock = std::chrono::steady_clock;

// On the CPU what a wave touches stays in the caches, and its end, where threads wait for the last
// one, is rare enough.
constexpr std::uint64_t wave_per_worker = 256;
// On other devices a wave fills the machine several times.
constexpr std::uint64_t device_wave = std::uint64_t{1} << 20;
// What the buffers of a batch take on the device: for each call, and until they are in use.
constexpr std::uint64_t bytes_per_call = 256;
constexpr std::uint64_t spare_bytes = std::uint64_t{64} << 20;
constexpr std::uint64_t most_args = 0xffff'ffff;  // of one dispatch, SlotCall::first_arg

std::int64_t nanoseconds_since(Clock::time_point start) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start).count();
}

/// Puts what a wave left at `first`, where `all` has room for it. Each call has `row` values.
void place(ResultBuffers& all, std::uint64_t first, std::uint64_t row, ResultBuffers& wave) {
  const std::uint64_t first_text = all.text.size();
  const auto first_range = static_cast<std::uint32_t>(all.texts.size());
  all.programs = wave.programs;
  in_parts(*all.device, wave.entries.size(), [&](std::uint64_t begin, std::uint64_t end) {
    std::copy_n(wave.outcomes.host() + begin, end - begin, &all.kept_outcomes[first + begin]);
    for (std::uint64_t i = begin; i < end; ++i) {
      ResultEntry entry = wave.entries[i];
      std::uint64_t* const values = all.kept_values.data() + (first + i) * row;
      std::copy_n(wave.values.host() + entry.first_value, row, values);
      entry.first_value = (first + i) * row;
      if (entry.text_index != ir::none) entry.text_index += first_range;
      all.entries[first + i] = entry;
    }
  });
  for (TextRange range : wave.texts) {
    range.at += first_text;
    all.texts.push_back(range);
  }
  all.text.insert(all.text.end(), wave.text.begin(), wave.text.end());
  for (std::size_t i = 0; i < abi::exit_count; ++i) all.exits[i] += wave.exits[i];
  all.instructions += wave.instructions;
  all.run_ns += wave.run_ns;
  all.harvest_ns += wave.harvest_ns;
}

}  // namespace

Result<Results> Swarm::map(const std::shared_ptr<const Program>& program, const FreshBatch& batch) {
  State& s = *state_;
  if (batch.function >= program->param_slots.size()) {
    return base::error(ErrorCode::invalid_input, ErrorPhase::dispatch,
                       "Function ({}) does not exist; the program has ({}).", batch.function,
                       program->param_slots.size());
  }
  const std::uint64_t row = program->param_slots[batch.function];
  const bool one_row = batch.args.size() == row;
  const bool a_row_each =
      row != 0 && batch.args.size() % row == 0 && batch.args.size() / row == batch.count;
  if (!one_row && !a_row_each) {
    return base::error(ErrorCode::invalid_input, ErrorPhase::dispatch,
                       "({}) argument slots are neither one row of ({}) nor ({}) rows.",
                       batch.args.size(), row, batch.count);
  }
  const std::uint64_t each_result = sizeof(kernels::Outcome) + sizeof(ResultEntry) +
                                    sizeof(std::uint64_t) * program->result_slots[batch.function];
  if (const std::uint64_t there = hal::cpu::available_memory_bytes();
      batch.count > there / each_result) {
    return base::error(ErrorCode::out_of_memory, ErrorPhase::dispatch,
                       "The results of ({}) calls take ({}) bytes of the host's memory each; ({}) "
                       "are free.",
                       batch.count, each_result, there);
  }
  std::uint64_t wave = batch.wave;
  {
    const Claim claim(s.claimed);
    if (!claim) return busy_error();
    if (wave == 0) {
      WARPHIVE_TRY_ASSIGN(const Template* shape,
                          s.template_for(program, batch.capacities, Instantiate::image));
      const hal::DeviceInfo& info = s.device->info();
      wave = info.reads_host_memory ? wave_per_worker * info.workers : device_wave;
      const auto fits = [&](std::uint64_t bytes, std::uint64_t each) {
        return bytes < spare_bytes ? 0 : (bytes - spare_bytes) / (each + bytes_per_call);
      };
      const std::uint64_t most =
          std::min(fits(s.device->available_bytes(), shape->spawn_bytes),
                   fits(s.device->reservable_bytes(), shape->layout.reserved_bytes()) +
                       s.free_slots(*shape));
      // Where not one fits, spawn says so.
      wave = std::clamp<std::uint64_t>(most, 1, wave);
      // Pools have whole tiles.
      if (wave > info.tile_lanes) wave -= wave % info.tile_lanes;
    }
    wave = std::min(wave, most_args / std::max<std::uint64_t>(1, row));
    const std::lock_guard lock(s.running_mutex);
    s.waves.emplace();
    s.waves->done.instances_total = batch.count;
  }
  struct End {
    State& state;
    ~End() {
      const std::lock_guard lock(state.running_mutex);
      state.waves.reset();
    }
  } const end{s};

  // One wave's buffers are the result.
  const std::uint64_t result_row = program->result_slots[batch.function];
  std::unique_ptr<ResultBuffers> all;
  const auto make_room = [&] {
    all = std::make_unique<ResultBuffers>();
    all->device = s.device;
    all->kept_outcomes.resize(batch.count);
    all->kept_values.resize(batch.count * result_row);
    all->entries.resize(batch.count);
  };
  if (batch.count > wave || batch.count == 0) make_room();
  std::vector<SlotCall> calls(std::min(wave, batch.count));
  std::vector<InstanceId> ids;
  std::int64_t spawn_ns = 0;
  for (std::uint64_t first = 0; first < batch.count;) {
    const Clock::time_point start = Clock::now();
    const std::uint64_t count = std::min(wave, batch.count - first);
    if (first == 0) {
      WARPHIVE_TRY_ASSIGN(ids, spawn(program, count, batch.capacities));
    } else {
      WARPHIVE_TRY(reset(std::span(ids).first(count), Ordinals::fresh));
    }
    calls.resize(count);
    in_parts(*s.device, count, [&](std::uint64_t begin, std::uint64_t end) {
      for (std::uint64_t i = begin; i < end; ++i) {
        calls[i] = {ids[i], batch.function, one_row ? 0 : static_cast<std::uint32_t>(i * row)};
      }
    });
    spawn_ns += nanoseconds_since(start);
    auto part =
        dispatch({.calls = calls,
                  .args = one_row ? batch.args : batch.args.subspan(first * row, count * row),
                  .fuel = batch.fuel,
                  .run_initialize = batch.run_initialize});
    if (!part) {
      (void)kill(ids);
      return fail(std::move(part).error());
    }
    if (all == nullptr) {
      all = std::move(part->buffers_);
    } else {
      const Clock::time_point over = Clock::now();
      place(*all, first, result_row, *part->buffers_);
      all->harvest_ns += nanoseconds_since(over);
    }
    first += count;
    const std::lock_guard lock(s.running_mutex);
    s.waves->done.instances_done = first;
    s.waves->done.instructions = all->instructions;
    if (!s.waves->cancelled || first == batch.count) continue;
    // Those that never ran.
    kernels::Outcome never{};
    never.exit = abi::Exit::cancelled;
    never.function = batch.function;
    all->exits[static_cast<std::size_t>(never.exit)] += batch.count - first;
    for (; first < batch.count; ++first) {
      all->kept_outcomes[first] = never;
      all->entries[first] = {{}, s.next_ordinal++, first * result_row, 0, ir::none};
    }
  }
  const Clock::time_point start = Clock::now();
  WARPHIVE_TRY(kill(ids));
  all->spawn_ns = spawn_ns + nanoseconds_since(start);
  return Results(std::move(all), s.results);
}

}  // namespace warphive::runtime
