// SPDX-License-Identifier: Apache-2.0
// What a swarm is made of; private to src/runtime.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/batch_buffers.hpp"
#include "runtime/launch_shape.hpp"
#include "runtime/layout.hpp"
#include "runtime/load_gate.hpp"
#include "runtime/parked_calls.hpp"
#include "runtime/slices.hpp"
#include "runtime/swarm.hpp"

namespace warphive::runtime {

/// A host import of a program, resolved.
struct HostBinding {
  const sys::HostEntry* entry;  // borrowed from the registry
  std::uint32_t value_slots;    // max of parameters and results
  bool returns_functions;       // some result is a funcref
  std::uint32_t memory;         // that it sees, if the program has it
};

/// Constant data where kernels read it: in place, or a copy of it.
class ConstantData {
 public:
  /// `data` is kept in place where kernels read host memory: it must stay as it is.
  template <class T>
  Status add(hal::Device& device, hal::Queue& queue, std::span<const T> data, const T*& at) {
    at = data.data();
    if (device.info().reads_host_memory || data.empty()) return {};
    WARPHIVE_TRY(store(device, queue, std::as_bytes(data)));
    at = buffers_.back().device_pointer<const T>();
    return {};
  }

 private:
  Status store(hal::Device& device, hal::Queue& queue, std::span<const std::byte> bytes);
  std::vector<hal::Buffer> buffers_;
};

/// Instances of one program with one set of capacities look like this.
struct Template {
  std::uint32_t index = 0;  // in State::templates
  std::shared_ptr<const Program> program;
  Capacities capacities;
  Instantiate instantiate = Instantiate::image;
  Layout layout;
  ConstantData constants;
  std::vector<abi::Insn> plain_insns;     // for kernels that know no fused ones
  abi::Code code = {};                    // its pointers are for kernels
  abi::ProgramLayout kernel_layout = {};  // likewise
  const abi::Code* code_at = nullptr;     // both, for kernels
  const abi::ProgramLayout* layout_at = nullptr;
  const std::uint32_t* starts_at = nullptr;
  std::vector<HostBinding> hosts;
  std::vector<std::uint8_t> image_state;
  std::vector<std::uint8_t> image_memory;
  std::vector<kernels::Extent> image_extents;
  ConstantData image_data;
  kernels::Image image = {};
  std::uint32_t image_memory_pages = 0;  // of the main memory
  std::uint64_t spawn_bytes = 0;         // real memory that one spawn touches
  std::uint64_t slots_reserved = 0;      // in all pools

  [[nodiscard]] bool has_memory(std::uint32_t memory) const {
    return memory < layout.view.memory_count;
  }
  /// The main memory; nullptr where there is none.
  [[nodiscard]] const abi::MemoryLayout* main_memory() const {
    const std::uint32_t main = layout.view.main_memory;
    return has_memory(main) ? &layout.memories[main] : nullptr;
  }
};

/// Slots for instances of one template.
struct InstancePool {
  Template* shape = nullptr;  // borrowed from the swarm
  // Compiled code that this swarm's device runs, not another's: each nullptr where there is none.
  const abi::NativeSlot* native = nullptr;  // of devices that read the host's memory
  std::shared_ptr<DeviceTier> device_tier;  // of the others
  const DeviceCode* device_code = nullptr;  // what it had when the round began
  std::uint32_t capacity = 0;
  std::uint32_t fresh = 0;            // slots from here on were never used
  std::vector<std::uint32_t> free;    // used before, zeroed since
  std::vector<std::uint32_t> owners;  // instance of each slot
  hal::Buffer headers, state, stack, memory, out, err;

  [[nodiscard]] std::uint32_t available() const {
    return capacity - fresh + static_cast<std::uint32_t>(free.size());
  }
  [[nodiscard]] abi::Pool view() const;
};

/// The host's record of an instance. Nothing in it comes from device memory unchecked.
struct Instance {
  std::uint64_t ordinal = 0;
  std::uint64_t fuel_used = 0;  // since spawn or reset
  std::uint32_t generation = 1;
  std::uint32_t pool = 0;
  std::uint32_t slot = 0;
  std::uint32_t epoch = 0;            // the last operation that named it: find_once()
  std::uint32_t pending = ir::none;   // index into State::pending: a call that has not begun
  std::uint32_t pending_call = 0;     // which
  std::uint32_t memory_pages = 0;     // of the main memory
  std::uint32_t function = ir::none;  // that ran last
  std::uint32_t host_import = 0;      // parked: which one waits
  abi::Exit exit = abi::Exit::ready;
  abi::TrapKind trap = abi::TrapKind::none;
  bool alive = false;
  bool stack_saved = false;  // its stack range was written
  bool wrote = false;        // its memories may differ from those of the image
  bool unreported = false;   // instantiation trapped, and no result has said so
};

/// In device memory: kernels look at it often, the host rarely.
struct Control {
  alignas(64) std::uint32_t stop;
  alignas(64) kernels::ProgressWords progress;
};

/// Holds the swarm for one call; false where another one runs.
class Claim {
 public:
  explicit Claim(std::atomic_flag& flag)
      : flag_(flag), held_(!flag.test_and_set(std::memory_order_acquire)) {}
  ~Claim() {
    if (held_) flag_.clear(std::memory_order_release);
  }
  Claim(const Claim&) = delete;
  Claim& operator=(const Claim&) = delete;
  explicit operator bool() const { return held_; }

 private:
  std::atomic_flag& flag_;
  bool held_;
};

/// What becomes of the real memory of instances that are wiped, where a device can give it back.
enum class Keep { nothing, memory };

/// While map() runs.
struct Waves {
  bool cancelled = false;
  RunProgress done;  // of waves that are over, and instances of all
};

struct Swarm::State {
  std::shared_ptr<hal::Device> device;
  HostServices services;
  std::shared_ptr<LoadGate> gate;  // of the device
  std::unique_ptr<hal::Executable> executable;
  std::unique_ptr<hal::Queue> queue;
  mutable std::atomic_flag claimed;
  Rounds rounds = Rounds::never;

  std::vector<std::unique_ptr<Template>> templates;
  std::vector<std::unique_ptr<InstancePool>> pools;
  SharedArray<abi::Pool> pool_views;
  SharedArray<kernels::PoolCalls> pool_calls;
  std::vector<Instance> instances;
  std::vector<std::uint32_t> free_instances;
  std::uint64_t next_ordinal = 0;
  std::uint64_t alive = 0;
  std::uint32_t epoch = 0;

  hal::Buffer control;  // one Control
  /// The stop word as host functions and the host's own loops see it.
  std::uint32_t stop = 0;                      // accessed atomically
  std::atomic<std::uint64_t> done_by_host{0};  // instances that ended between rounds
  std::mutex running_mutex;                    // guards running, waves, and raising the stop words
  bool running = false;
  bool leaves = false;  // the device's stop word tells lanes to leave for code; under the mutex too
  std::optional<Waves> waves;
  std::atomic<std::uint64_t> progress_total{0};

  std::shared_ptr<ResultPool> results = std::make_shared<ResultPool>();
  std::vector<std::unique_ptr<InputBuffers>> free_inputs;
  std::vector<std::unique_ptr<InputBuffers>> pending;  // some entries are null
  SharedArray<kernels::SpawnLane> spawn_lanes;
  struct SpawnRun {  // of spawn_lanes
    std::uint32_t pool;
    std::uint64_t first, count;
  };
  std::vector<SpawnRun> spawn_runs;
  std::vector<std::uint64_t> keys;  // pool and slot of what wipe_all wiped, ascending
  SharedArray<kernels::Move> moves;
  SharedArray<std::byte> moved;  // flat side of moves, where kernels do not read host memory
  SharedArray<std::uint32_t> wipe_slots;
  std::vector<std::byte> staging;

  // Scratch of dispatch, kept for its capacity.
  std::vector<std::uint32_t> parked;
  std::vector<std::uint32_t> ready;
  std::vector<std::uint32_t> running_lanes;
  std::vector<std::uint32_t> pool_starts;
  std::unique_ptr<ParkedCalls> parked_scratch;
  SharedArray<abi::LaneRef> serve_lanes;
  SharedArray<std::uint8_t> served;
  ResultBuffers partial;  // of a round of some lanes, as are the arguments
  std::vector<std::uint64_t> partial_args;
  // Of the dispatch that runs, on devices with rounds.
  SharedArray<std::uint32_t> left;  // RunLanes::left
  std::uint64_t lanes_done = 0;     // ProgressWords::instances_done, as last known
  std::uint64_t units_done = 0;     // ProgressWords::instructions, likewise
  std::uint64_t lanes_before = 0;   // the same when the dispatch began: nobody zeroes them where
  std::uint64_t units_before = 0;   // they are known for certain
  bool knows_progress = false;
  bool ended_at_once = false;      // all lanes of the dispatch, with its first launch
  std::uint64_t slice = no_slice;  // RunLanes::slice of its next round
  SliceHistory slice_history;
  std::uint64_t launch_lanes = whole_batch;  // most in one launch
  Residency residency;

  // swarm.cpp
  Result<Instance*> find(InstanceId id);
  /// Refuses an id that was found already since next_epoch(). Thread-safe.
  Result<Instance*> find_once(InstanceId id);
  /// Finds all ids and refuses doubles.
  Status find_all(std::span<const InstanceId> ids);
  /// Why the device is lost, if it is: it has no room either.
  Status check_device();
  void next_epoch();
  void drop_pending(Instance& instance);
  /// Has what the instances wrote zeroed: by commands of the queue, which may not have run yet.
  Status wipe_all(std::span<const InstanceId> ids, Keep keep);
  /// In as few ranges as possible, where instances lie one behind the other. `slots` ascend.
  Status wipe_ranges(InstancePool& pool, std::span<const std::uint32_t> slots, bool stacks,
                     Keep keep);
  /// Writes the images of spawn_runs.
  Status write_images();
  Status publish_pools();
  [[nodiscard]] std::uint64_t free_slots(const Template& shape) const;
  void raise_stop();  // under the running mutex

  // templates.cpp
  Result<Template*> template_for(const std::shared_ptr<const Program>& program,
                                 const Capacities& capacities, Instantiate instantiate);
  Result<std::unique_ptr<InstancePool>> make_pool(Template& shape, std::uint32_t capacity);
  Status make_image(Template& shape);
  Status place_constants(Template& shape);
  Status place_image(Template& shape);

  // dispatch.cpp
  Result<std::unique_ptr<InputBuffers>> take_inputs(std::uint64_t calls, std::uint64_t args);
  /// Sorts the lanes by pool where they are of several.
  Status group_by_pool(std::unique_ptr<InputBuffers>& inputs);
  /// A later round of some lanes of `inputs`. Only what is theirs of the arguments and results goes
  /// to the device and back.
  Status run_some(const InputBuffers& inputs, ResultBuffers& buffers,
                  std::span<const std::uint32_t> lanes, std::uint64_t fuel);
  /// Outcomes and budgets of lanes that wait since an earlier dispatch.
  Status describe_waiting(const InputBuffers& inputs, ResultBuffers& buffers,
                          std::span<const std::uint32_t> lanes, std::uint64_t fuel);
  Status run_rounds(InputBuffers& inputs, ResultBuffers& buffers, std::uint64_t fuel,
                    bool resumes_parked);
  Result<Results> run(std::unique_ptr<InputBuffers> inputs, std::unique_ptr<ResultBuffers> buffers,
                      std::uint64_t value_count, std::uint64_t fuel, bool resumes_parked);
  [[nodiscard]] bool outcome_is_sound(const kernels::Outcome& outcome,
                                      const Instance& instance) const;
  /// Believes the outcomes as far as they make sense, and keeps inputs that are needed again.
  /// Returns how many instances have output, for which buffers.text then has room.
  std::uint64_t harvest(ResultBuffers& buffers, std::unique_ptr<InputBuffers> inputs);
  Status collect_output(ResultBuffers& buffers, std::uint64_t with_output);
  [[nodiscard]] bool stop_raised() const { return __atomic_load_n(&stop, __ATOMIC_RELAXED) != 0; }
  Status clear_control();
  [[nodiscard]] Work work_of(const InputBuffers& inputs) const;
  [[nodiscard]] Control* control_at() const { return control.device_pointer<Control>(); }

  // rounds.cpp
  /// Runs the lanes of `round`, whose arguments are those of `inputs`, and on a device with rounds
  /// those that are left as ready again, until there are none or some lane is parked.
  Status run_round(InputBuffers& round, InputBuffers& inputs, ResultBuffers& buffers,
                   std::uint64_t fuel, bool first);
  /// Submits one run of the lanes, or of a slice of each. Round::rest: of those alone that compiled
  /// code has left to the interpreter, which is submitted at once unless `rest_waits`.
  Status launch(InputBuffers& round, InputBuffers& inputs, ResultBuffers& buffers,
                std::uint64_t fuel, kernels::Round which, std::uint64_t units, bool rest_waits);
  /// Makes outcomes of the briefs of a batch; false where some call has none.
  bool take_briefs(const InputBuffers& inputs, ResultBuffers& buffers);
  /// Between rounds: pools get the code that there is now.
  Status take_code();
  /// Has the lanes that run left for the next round, because of code.
  void leave_for_code();
  [[nodiscard]] std::vector<std::unique_ptr<DeviceTier::Watch>> watch_tiers();
  /// Whether lanes of programs run that may be worth compiling.
  [[nodiscard]] bool has_cold_lanes(const InputBuffers& round) const;
  /// Tells such programs how long the round was. `after`: those of its lanes that did not end with
  /// their slice; nullptr: none.
  Status note_round(const InputBuffers& round, const InputBuffers* after, ResultBuffers& buffers);
  /// The lanes of a round that are left as ready, in its order; nullptr where there are none, or
  /// some are parked, which the caller then finds by the outcomes.
  Result<std::unique_ptr<InputBuffers>> lanes_left(const InputBuffers& round);

  // parked.cpp
  /// Serves the host calls that the lanes (of `inputs`) wait for, each import as one array (of a
  /// bounded size). Takes out of `lanes` those that need not wait any longer; those that can go on
  /// are appended to `ready`.
  Status serve_parked(const InputBuffers& inputs, ResultBuffers& buffers,
                      std::vector<std::uint32_t>& lanes, std::vector<std::uint32_t>& ready);
  /// Has the device serve what it can of lanes that wait for one import. Those that the host must
  /// serve: `lanes`, or a part of them until the next such call.
  Result<std::span<const std::uint32_t>> serve_on_device(const InputBuffers& inputs,
                                                         ResultBuffers& buffers,
                                                         std::span<const std::uint32_t> lanes,
                                                         std::vector<std::uint32_t>& ready);
  /// As serve_parked, of lanes that wait for one import and are not too many.
  Status serve_array(const InputBuffers& inputs, ResultBuffers& buffers,
                     std::span<const std::uint32_t> lanes,
                     std::vector<std::uint32_t>& still_waiting, std::vector<std::uint32_t>& ready);
  /// Fetches headers, values and memory sizes of such lanes; takes out those that make no sense.
  Status load_parked(const InputBuffers& inputs, ResultBuffers& buffers,
                     std::span<const std::uint32_t> lanes);
  ParkedCalls& parked_calls();

  // transfer.cpp
  /// Runs the first `count` of `moves`; `bytes` is the size of the flat side, which is at `host`.
  /// `views`: pools other than the swarm's.
  Status move_bytes(hal::KernelId kernel, std::uint64_t count, std::byte* host, std::uint64_t bytes,
                    const abi::Pool* views = nullptr);
  Status split_moves(std::uint64_t& count);
  Status read_range(const Instance& instance, kernels::Range range, std::uint64_t offset,
                    std::span<std::byte> to);
  Result<abi::InstanceHeader> read_header(const Instance& instance);
  Result<std::uint64_t> size_of_memory(const Instance& instance, std::uint32_t memory);
  Status check_memory_ranges(std::span<const InstanceId> ids, std::uint64_t address,
                             std::uint64_t bytes_each, std::uint64_t buffer_bytes);
  Status move_memory(hal::KernelId kernel, std::span<const InstanceId> ids, std::uint64_t address,
                     std::uint64_t bytes_each, std::byte* flat);
  Status move_global(hal::KernelId kernel, std::span<const InstanceId> ids, std::uint32_t global,
                     std::uint64_t* flat, std::size_t values);
};

/// Serves one host call on the spot: abi::HostCallFunction. What the function throws stays inside.
abi::Exit serve_now(const abi::RunParams* params, const abi::Pool* pool, abi::LaneRef lane,
                    std::uint32_t host_import, std::uint64_t* values);
/// Calls a host function. An exception traps every call of the array; so does, for one call, a
/// result that refers to no function of the program.
void call_guarded(const Template& shape, const HostBinding& host, std::span<sys::HostCall> calls);

/// The fields that a header alone decides.
void describe_header(const abi::InstanceHeader& header, kernels::Outcome& outcome);

tl::unexpected<Error> busy_error();
tl::unexpected<Error> gone_error(InstanceId id);
/// "Instance (3) is trapped (unreachable) ..."
std::string describe_state(const Instance& instance, std::uint32_t index);

}  // namespace warphive::runtime
