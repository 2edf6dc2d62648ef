// SPDX-License-Identifier: Apache-2.0
#include "hal/cuda/device.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <limits>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "base/check.hpp"
#include "base/result.hpp"
#include "hal/cpu/worker_pool.hpp"
#include "hal/cuda/driver.hpp"
#include "hal/cuda/linked_code.hpp"
#include "hal/range.hpp"

namespace warphive::hal::cuda {
namespace {

constexpr std::uint64_t gibibyte = std::uint64_t{1} << 30;
constexpr std::uint32_t tile_lanes = 32;
constexpr std::uint32_t block_threads = 128;
// What the driver, kernels and their stacks need beside our allocations.
constexpr std::uint64_t spare_bytes = std::uint64_t{768} << 20;
// Of each resident lane where programs are linked. The second part is for what does not look
// whether there is room: kernels, helpers, the frame of a function that looks and of one that calls
// nobody.
constexpr std::uint32_t lane_stack_bytes = 16384;
constexpr std::uint32_t unchecked_stack_bytes = 8192;
constexpr std::uint32_t largest_frame_bytes = unchecked_stack_bytes / 4;
constexpr std::uint32_t most_registers = 255;

// CUDA Driver API: CUdevice_attribute, CU_JIT_*, CU_MEMHOSTALLOC_*, CU_STREAM_*, CU_EVENT_*
constexpr unsigned schedulers_per_multiprocessor = 4;  // since 7.0
constexpr int attribute_multiprocessors = 16;
constexpr int attribute_threads_per_multiprocessor = 39;
constexpr int attribute_major = 75;
constexpr int attribute_minor = 76;
constexpr int attribute_registered_at_host_address = 91;
constexpr int limit_stack_size = 0;
constexpr int jit_max_registers = 0;
constexpr int jit_error_log = 5;
constexpr int jit_error_log_bytes = 6;
constexpr int jit_input_ptx = 1;
constexpr unsigned host_portable = 1;
constexpr unsigned host_mapped = 2;  // as is the flag of cuMemHostRegister
constexpr unsigned stream_non_blocking = 1;
constexpr unsigned event_disable_timing = 2;
/// What the API takes as a pointer and is a number: options, addresses on the device.
void* as_pointer(std::uintptr_t number) {
  return reinterpret_cast<void*>(number);  // NOLINT(performance-no-int-to-ptr): not used as one
}
// CU_LAUNCH_PARAM_*
void* const launch_end = nullptr;
void* const launch_buffer = as_pointer(1);
void* const launch_buffer_size = as_pointer(2);

struct Context {
  const Driver* driver = nullptr;
  CuDevice device = 0;
  CuContext context = nullptr;
  CuStream control = nullptr;  // for what overtakes all queues

  ~Context() {
    if (context == nullptr) return;
    driver->context_set_current(context);
    if (control != nullptr) driver->stream_destroy(control);
    driver->context_release(device);
  }
  /// Every call of the driver goes through here: any thread may make it.
  template <class... Params, class... Args>
  Status call(CuResult (*function)(Params...), const char* what, Args... args) const {
    CuResult result = driver->context_set_current(context);
    if (result == CuResult::success) result = function(args...);
    if (result == CuResult::success) return {};
    const ErrorCode code =
        result == CuResult::out_of_memory ? ErrorCode::out_of_memory : ErrorCode::device_lost;
    return base::error(code, ErrorPhase::dispatch, "{} failed: CUDA error {}.", what,
                       driver->describe(result));
  }
};

/// Events of all queues of a device, by queue and value. Those that are reached are given back when
/// their queue signals again.
class Timelines {
 public:
  explicit Timelines(const Context* context) : context_(context) {}
  ~Timelines() {
    for (const Timeline& line : lines_) {
      for (CuEvent event : line.open) (void)context_->driver->event_destroy(event);
    }
  }
  std::uint64_t add() {
    const std::lock_guard lock(mutex_);
    lines_.emplace_back();
    return lines_.size() - 1;
  }
  Result<Point> signal(std::uint64_t queue, CuStream stream) {
    const Driver& driver = *context_->driver;
    const std::lock_guard lock(mutex_);
    Timeline& line = lines_[queue];
    CuEvent event = nullptr;
    WARPHIVE_TRY(
        context_->call(driver.event_create, "Making an event", &event, event_disable_timing));
    Status recorded = context_->call(driver.event_record, "Recording an event", event, stream);
    if (!recorded) {
      (void)driver.event_destroy(event);
      return fail(std::move(recorded).error());
    }
    line.open.push_back(event);
    while (driver.event_query(line.open.front()) == CuResult::success) {
      (void)driver.event_destroy(line.open.front());
      line.open.pop_front();
      ++line.reached;
      if (line.open.empty()) break;
    }
    changed_.notify_all();
    return Point{queue, line.reached + line.open.size()};
  }
  Status wait(CuStream stream, Point point) {
    std::unique_lock lock(mutex_);
    if (point.queue >= lines_.size()) {
      return base::error(ErrorCode::invalid_input, ErrorPhase::dispatch,
                         "The point is of queue ({}); the device has ({}).", point.queue,
                         lines_.size());
    }
    changed_.wait(lock, [&] {
      const Timeline& line = lines_[point.queue];
      return line.reached + line.open.size() >= point.value;
    });
    const Timeline& line = lines_[point.queue];
    if (point.value <= line.reached) return {};
    return context_->call(context_->driver->stream_wait, "Waiting for an event", stream,
                          line.open[point.value - line.reached - 1], 0u);
  }

 private:
  struct Timeline {
    std::uint64_t reached = 0;  // values up to here
    std::deque<CuEvent> open;   // of the values that follow
  };
  const Context* context_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::vector<Timeline> lines_;
};

class CudaExecutable final : public Executable {
 public:
  CudaExecutable(std::shared_ptr<const Context> context, CuModule module,
                 std::array<CuFunction, kernel_count> functions)
      : context_(std::move(context)), module_(module), functions_(functions) {}
  ~CudaExecutable() override { (void)context_->call(context_->driver->module_unload, "", module_); }
  [[nodiscard]] bool has(KernelId kernel) const override { return function(kernel) != nullptr; }
  [[nodiscard]] CuFunction function(KernelId id) const {
    const auto index = static_cast<std::size_t>(id);
    return index < kernel_count ? functions_[index] : nullptr;
  }
  [[nodiscard]] Result<std::uint64_t> address(const char* symbol) const override {
    CuPointer pointer = 0;
    std::size_t bytes = 0;
    WARPHIVE_TRY(context_->call(context_->driver->module_global, "Finding a variable", &pointer,
                                &bytes, module_, symbol));
    return pointer;
  }

 private:
  std::shared_ptr<const Context> context_;
  CuModule module_;
  std::array<CuFunction, kernel_count> functions_;
};

class CudaLinker final : public Linker {
 public:
  CudaLinker(std::shared_ptr<const Context> context, std::uint32_t registers)
      : context_(std::move(context)),
        values_{as_pointer(registers == 0 ? most_registers : registers), log_.data(),
                as_pointer(log_.size() - 1)} {}
  ~CudaLinker() override {
    if (link_ != nullptr) (void)context_->call(context_->driver->link_destroy, "", link_);
  }
  Status create() {
    return context_->call(context_->driver->link_create, what, 3u, options_.data(), values_.data(),
                          &link_);
  }
  Status add(std::string_view part) override {
    // It wants the zero behind the text too.
    std::string text(part);
    Status status = context_->call(context_->driver->link_add, what, link_, jit_input_ptx,
                                   static_cast<void*>(text.data()), text.size() + 1, "part", 0u,
                                   static_cast<int*>(nullptr), static_cast<void**>(nullptr));
    if (!status) return explain(status.error());
    return status;
  }
  Result<std::vector<std::byte>> finish() override {
    void* made = nullptr;
    std::size_t bytes = 0;
    const Status status =
        context_->call(context_->driver->link_complete, what, link_, &made, &bytes);
    if (!status) return explain(status.error());
    const auto* first = static_cast<const std::byte*>(made);
    return std::vector<std::byte>(first, first + bytes);
  }

 private:
  static constexpr const char* what = "Linking kernels";
  [[nodiscard]] tl::unexpected<Error> explain(const Error& error) const {
    std::string text = log_.data();
    std::replace(text.begin(), text.end(), '\n', ' ');
    const ErrorCode code = error.code() == ErrorCode::out_of_memory ? ErrorCode::out_of_memory
                                                                    : ErrorCode::unavailable;
    return base::error(code, ErrorPhase::codegen, "{}{}", error.message(),
                       text.empty() ? text : " The driver says: " + text);
  }

  std::shared_ptr<const Context> context_;
  // The driver keeps pointers to these while there is a link.
  std::array<char, 4096> log_ = {};
  std::array<int, 3> options_ = {jit_max_registers, jit_error_log, jit_error_log_bytes};
  std::array<void*, 3> values_;
  CuLink link_ = nullptr;
};

class CudaQueue final : public Queue {
 public:
  CudaQueue(std::shared_ptr<const Context> context, std::shared_ptr<Timelines> timelines,
            CuStream stream)
      : context_(std::move(context)),
        driver_(*context_->driver),
        timelines_(std::move(timelines)),
        stream_(stream),
        id_(timelines_->add()) {}
  ~CudaQueue() override {
    (void)synchronise();
    (void)context_->call(driver_.stream_destroy, "", stream_);
  }

  Status copy(Buffer& to, std::uint64_t to_offset, const Buffer& from, std::uint64_t from_offset,
              std::uint64_t bytes) override {
    WARPHIVE_TRY(check_range(to, to_offset, bytes));
    WARPHIVE_TRY(check_range(from, from_offset, bytes));
    return move(to.address() + to_offset, from.address() + from_offset, bytes);
  }
  Status upload(Buffer& to, std::uint64_t offset, std::span<const std::byte> from) override {
    WARPHIVE_TRY(check_range(to, offset, from.size()));
    WARPHIVE_TRY(
        move(to.address() + offset, reinterpret_cast<std::uintptr_t>(from.data()), from.size()));
    return synchronise();  // `from` is the caller's again
  }
  Status download(std::span<std::byte> to, const Buffer& from, std::uint64_t offset) override {
    WARPHIVE_TRY(check_range(from, offset, to.size()));
    WARPHIVE_TRY(
        move(reinterpret_cast<std::uintptr_t>(to.data()), from.address() + offset, to.size()));
    return synchronise();
  }
  Status fill(Buffer& buffer, std::uint64_t offset, std::uint64_t bytes,
              std::uint8_t value) override {
    WARPHIVE_TRY(check_range(buffer, offset, bytes));
    if (bytes == 0) return {};
    return context_->call(driver_.set_async, "Filling memory", buffer.address() + offset, value,
                          bytes, stream_);
  }
  Status discard(Buffer& buffer, std::uint64_t offset, std::uint64_t bytes) override {
    return fill(buffer, offset, bytes, 0);
  }
  Status dispatch(const Executable& executable, KernelId kernel, std::span<const std::byte> params,
                  std::uint32_t lane_count) override {
    CuFunction function = static_cast<const CudaExecutable&>(executable).function(kernel);
    if (function == nullptr) {
      return no_kernel(kernel);
    }
    // A kernel takes its parameters, then the number of lanes.
    std::array<std::byte, 1024> buffer;
    const std::size_t at = (params.size() + 3) / 4 * 4;
    WARPHIVE_CHECK(at + sizeof lane_count <= buffer.size());
    std::memcpy(buffer.data(), params.data(), params.size());
    std::memcpy(buffer.data() + at, &lane_count, sizeof lane_count);
    std::size_t bytes = at + sizeof lane_count;
    void* extra[] = {launch_buffer, buffer.data(), launch_buffer_size, &bytes, launch_end};
    const unsigned blocks = lane_count == 0 ? 1 : (lane_count - 1) / block_threads + 1;
    return context_->call(driver_.launch, "Launching a kernel", function, blocks, 1u, 1u,
                          block_threads, 1u, 1u, 0u, stream_, static_cast<void**>(nullptr),
                          static_cast<void**>(extra));
  }
  Result<Point> signal() override { return timelines_->signal(id_, stream_); }
  Status wait(Point point) override { return timelines_->wait(stream_, point); }
  Status synchronise() override {
    return context_->call(driver_.stream_synchronise, "Waiting for the device", stream_);
  }
  Status interrupt(Buffer& word, std::uint64_t offset, std::uint32_t value) override {
    WARPHIVE_TRY(check_range(word, offset, sizeof value));
    WARPHIVE_TRY(context_->call(driver_.stream_write, "Writing a word", context_->control,
                                word.address() + offset, value, 0u));
    return context_->call(driver_.stream_synchronise, "Writing a word", context_->control);
  }

 private:
  Status move(CuPointer to, CuPointer from, std::uint64_t bytes) {
    if (bytes == 0) return {};
    return context_->call(driver_.copy_async, "Copying memory", to, from, bytes, stream_);
  }

  std::shared_ptr<const Context> context_;
  const Driver& driver_;
  std::shared_ptr<Timelines> timelines_;
  CuStream stream_;
  std::uint64_t id_;
};

class CudaDevice final : public Device {
 public:
  CudaDevice(DeviceInfo info, std::shared_ptr<Context> context)
      : info_(std::move(info)),
        context_(std::move(context)),
        timelines_(std::make_shared<Timelines>(context_.get())) {}

  [[nodiscard]] const DeviceInfo& info() const override { return info_; }
  [[nodiscard]] std::uint64_t available_bytes() const override {
    std::size_t free = 0;
    std::size_t total = 0;
    if (!context_->call(context_->driver->memory_info, "", &free, &total)) return 0;
    return std::min<std::uint64_t>(free - std::min<std::uint64_t>(free, spare_bytes), allowed());
  }
  [[nodiscard]] std::uint64_t reservable_bytes() const override { return available_bytes(); }

  Result<Buffer> allocate(std::uint64_t bytes, Placement placement) override {
    if (bytes == 0) return Buffer(this, nullptr, 0, placement);
    const std::uint64_t allowed_bytes =
        placement == Placement::device ? available_bytes() : allowed();
    if (bytes > allowed_bytes) {
      return base::error(ErrorCode::out_of_memory, ErrorPhase::none,
                         "Allocation of ({}) bytes exceeds what the device still has ({}).", bytes,
                         allowed_bytes);
    }
    const Driver& driver = *context_->driver;
    std::byte* base = nullptr;
    if (placement == Placement::shared) {
      void* memory = nullptr;
      WARPHIVE_TRY(context_->call(driver.host_alloc, "Allocating pinned memory", &memory, bytes,
                                  host_portable | host_mapped));
      std::memset(memory, 0, bytes);
      base = static_cast<std::byte*>(memory);
    } else {
      CuPointer memory = 0;
      WARPHIVE_TRY(context_->call(driver.memory_alloc, "Allocating memory", &memory, bytes));
      base = static_cast<std::byte*>(as_pointer(memory));
      Status zeroed = context_->call(driver.set_async, "Zeroing memory", memory,
                                     static_cast<unsigned char>(0), bytes, context_->control);
      if (zeroed) {
        zeroed = context_->call(driver.stream_synchronise, "Zeroing memory", context_->control);
      }
      if (!zeroed) {
        (void)context_->call(driver.memory_free, "", memory);
        return fail(std::move(zeroed).error());
      }
    }
    reserved_.fetch_add(bytes);
    return Buffer(this, base, bytes, placement);
  }
  Result<Buffer> adopt(std::span<std::byte> memory) override {
    const Driver& driver = *context_->driver;
    int same_address = 0;
    WARPHIVE_TRY(context_->call(driver.device_attribute, "Asking for an attribute", &same_address,
                                attribute_registered_at_host_address, context_->device));
    if (same_address == 0) return Device::adopt(memory);
    if (memory.size() > allowed()) {
      return base::error(ErrorCode::out_of_memory, ErrorPhase::none,
                         "Allocation of ({}) bytes exceeds what the device still has ({}).",
                         memory.size(), allowed());
    }
    WARPHIVE_TRY(context_->call(driver.host_register, "Pinning memory",
                                static_cast<void*>(memory.data()), memory.size(),
                                host_portable | host_mapped));
    reserved_.fetch_add(memory.size());
    return Buffer(this, memory.data(), memory.size(), Placement::adopted);
  }
  Result<std::unique_ptr<Executable>> load(const KernelImage& image) override {
    const Driver& driver = *context_->driver;
    const std::span<const std::byte> binary = image.binary;
    if (!binary.empty()) {
      const std::optional<std::uint32_t> frame = largest_frame(binary);
      if (!frame || *frame > largest_frame_bytes) {
        return base::error(ErrorCode::unavailable, ErrorPhase::codegen,
                           "The stack frames of linked code ({}) exceed the limit ({} bytes).",
                           frame ? std::to_string(*frame) : "unknown", largest_frame_bytes);
      }
      WARPHIVE_TRY(make_stacks());
    }
    const void* const code = binary.empty() ? static_cast<const void*>(image.ptx) : binary.data();
    CuModule module = nullptr;
    int options[] = {jit_max_registers};
    void* values[] = {as_pointer(image.registers)};
    WARPHIVE_TRY(context_->call(driver.module_load, "Loading kernels", &module, code,
                                image.registers == 0 ? 0u : 1u, static_cast<int*>(options),
                                static_cast<void**>(values)));
    std::array<CuFunction, kernel_count> functions = {};
    for (std::size_t i = 0; i < kernel_count; ++i) {
      const std::string name = std::string("warphive_") + kernel_names[i];
      const CuResult found = driver.module_function(&functions[i], module, name.c_str());
      if (found == CuResult::success) continue;
      functions[i] = nullptr;
      if (found == CuResult::not_found) continue;  // an image need not have every kernel
      (void)context_->call(driver.module_unload, "", module);
      return base::error(ErrorCode::device_lost, ErrorPhase::none,
                         "Loading kernel ({}) failed: CUDA error {}.", name,
                         driver.describe(found));
    }
    return std::make_unique<CudaExecutable>(context_, module, functions);
  }
  Result<std::unique_ptr<Linker>> create_linker(std::uint32_t registers) override {
    auto linker = std::make_unique<CudaLinker>(context_, registers);
    WARPHIVE_TRY(linker->create());
    return Result<std::unique_ptr<Linker>>(std::move(linker));
  }
  Result<std::unique_ptr<Queue>> create_queue() override {
    CuStream stream = nullptr;
    WARPHIVE_TRY(context_->call(context_->driver->stream_create, "Making a stream", &stream,
                                stream_non_blocking, 0));
    return std::make_unique<CudaQueue>(context_, timelines_, stream);
  }
  void run_on_host(HostKernel function, const void* params, std::uint32_t count) override {
    host_threads_.run(function, params, count);
  }
  Result<std::uint64_t> read_now(const Buffer& buffer, std::uint64_t offset) override {
    std::uint64_t value = 0;
    WARPHIVE_TRY(check_range(buffer, offset, sizeof value));
    const Driver& driver = *context_->driver;
    WARPHIVE_TRY(context_->call(driver.copy_async, "Reading a word",
                                reinterpret_cast<std::uintptr_t>(&value), buffer.address() + offset,
                                sizeof value, context_->control));
    WARPHIVE_TRY(context_->call(driver.stream_synchronise, "Reading a word", context_->control));
    return value;
  }

 protected:
  void release(std::byte* base, std::uint64_t bytes, Placement placement) noexcept override {
    if (bytes == 0) return;
    const Driver& driver = *context_->driver;
    if (placement == Placement::adopted) {
      (void)context_->call(driver.host_unregister, "", static_cast<void*>(base));
    } else if (placement == Placement::shared) {
      (void)context_->call(driver.host_free, "", static_cast<void*>(base));
    } else {
      (void)context_->call(driver.memory_free, "", reinterpret_cast<CuPointer>(base));
    }
    reserved_.fetch_sub(bytes);
  }

 private:
  /// The driver takes the memory at the next launch, which would fail where there is not enough.
  Status make_stacks() {
    const std::lock_guard lock(stacks_mutex_);
    if (has_stacks_) return {};
    const std::uint64_t bytes = std::uint64_t{lane_stack_bytes} * info_.workers;
    if (const std::uint64_t available = available_bytes(); bytes > available) {
      return base::error(ErrorCode::out_of_memory, ErrorPhase::codegen,
                         "Stacks for compiled code ({} bytes) exceed what the device still has "
                         "({}).",
                         bytes, available);
    }
    WARPHIVE_TRY(context_->call(context_->driver->context_set_limit, "Making room for stacks",
                                limit_stack_size, std::size_t{lane_stack_bytes}));
    has_stacks_ = true;
    return {};
  }

  [[nodiscard]] std::uint64_t allowed() const {
    const std::uint64_t used = reserved_.load();
    return used <= info_.reserve_bytes ? info_.reserve_bytes - used : 0;
  }

  DeviceInfo info_;
  std::shared_ptr<Context> context_;
  std::shared_ptr<Timelines> timelines_;
  std::atomic<std::uint64_t> reserved_{0};
  cpu::HostThreads host_threads_;
  std::mutex stacks_mutex_;
  bool has_stacks_ = false;  // under it
};

tl::unexpected<Error> unavailable(const Driver& driver, CuResult result) {
  return base::error(ErrorCode::unavailable, ErrorPhase::none, "CUDA error {}",
                     driver.describe(result));
}

Result<std::uint32_t> count_devices(const Driver& driver) {
  int count = 0;
  const CuResult result = driver.device_count(&count);
  if (result != CuResult::success && result != CuResult::no_device) {
    return unavailable(driver, result);
  }
  if (result == CuResult::no_device || count <= 0) {
    return base::error(ErrorCode::unavailable, ErrorPhase::none,
                       "the NVIDIA driver finds no device");
  }
  return static_cast<std::uint32_t>(count);
}

Result<DeviceInfo> describe_device(const Driver& driver, std::uint32_t ordinal) {
  CuDevice device = 0;
  char name[256] = {};
  std::size_t bytes = 0;
  int processors = 0;
  int threads = 0;
  int major = 0;
  int minor = 0;
  for (const CuResult result :
       {driver.device_get(&device, static_cast<int>(ordinal)),
        driver.device_name(name, sizeof name - 1, device), driver.device_memory(&bytes, device),
        driver.device_attribute(&processors, attribute_multiprocessors, device),
        driver.device_attribute(&threads, attribute_threads_per_multiprocessor, device),
        driver.device_attribute(&major, attribute_major, device),
        driver.device_attribute(&minor, attribute_minor, device)}) {
    if (result != CuResult::success) return unavailable(driver, result);
  }
  if (major < 7) {
    return base::error(ErrorCode::unavailable, ErrorPhase::none,
                       "({}) has compute capability ({}.{}); 7.0 is needed", name, major, minor);
  }
  DeviceInfo info;
  info.name = ordinal == 0 ? "cuda" : fmt::format("cuda:{}", ordinal);
  info.workers = static_cast<std::uint32_t>(processors * threads);
  info.memory_bytes = bytes;
  info.reserve_bytes = std::numeric_limits<std::uint64_t>::max();
  info.tile_lanes = tile_lanes;
  info.schedulers = static_cast<std::uint32_t>(processors) * schedulers_per_multiprocessor;
  info.reads_host_memory = false;
  int version = 0;
  if (driver.driver_version(&version) != CuResult::success) version = 0;
  info.code_kind = fmt::format("sm_{}{} driver {}", major, minor, version);
  info.lane_stack_bytes = lane_stack_bytes - unchecked_stack_bytes;
  info.description =
      fmt::format("{}, compute capability {}.{}, {} multiprocessors, {}.{} GiB", name, major, minor,
                  processors, bytes / gibibyte, bytes % gibibyte * 10 / gibibyte);
  return info;
}

}  // namespace

Result<std::vector<DeviceInfo>> describe(const std::string& library) {
  WARPHIVE_TRY_ASSIGN(const Driver* driver, open_driver(library));
  WARPHIVE_TRY_ASSIGN(const std::uint32_t count, count_devices(*driver));
  std::vector<DeviceInfo> devices;
  for (std::uint32_t i = 0; i < count; ++i) {
    WARPHIVE_TRY_ASSIGN(DeviceInfo info, describe_device(*driver, i));
    devices.push_back(std::move(info));
  }
  return devices;
}

Result<std::shared_ptr<Device>> create_device(const DeviceOptions& options) {
  WARPHIVE_TRY_ASSIGN(const Driver* driver, open_driver(options.library));
  WARPHIVE_TRY_ASSIGN(const std::uint32_t count, count_devices(*driver));
  if (options.ordinal >= count) {
    return base::error(ErrorCode::unavailable, ErrorPhase::none, "there are ({}) CUDA devices",
                       count);
  }
  WARPHIVE_TRY_ASSIGN(DeviceInfo info, describe_device(*driver, options.ordinal));
  if (options.reserve_bytes != 0) info.reserve_bytes = options.reserve_bytes;
  auto context = std::make_shared<Context>();
  context->driver = driver;
  for (const CuResult result :
       {driver->device_get(&context->device, static_cast<int>(options.ordinal)),
        driver->context_retain(&context->context, context->device)}) {
    if (result != CuResult::success) {
      context->context = nullptr;
      return unavailable(*driver, result);
    }
  }
  int least = 0;
  int greatest = 0;
  WARPHIVE_TRY(
      context->call(driver->stream_priorities, "Asking for priorities", &least, &greatest));
  WARPHIVE_TRY(context->call(driver->stream_create, "Making a stream", &context->control,
                             stream_non_blocking, greatest));
  return std::make_shared<CudaDevice>(std::move(info), std::move(context));
}

}  // namespace warphive::hal::cuda
