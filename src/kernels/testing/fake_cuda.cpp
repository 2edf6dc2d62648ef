// SPDX-License-Identifier: Apache-2.0
// A stand-in for libcuda.so.1 that executes: streams hold their commands back until someone waits,
// kernels run as host code lane by lane, freed memory is poisoned, and any call can be made to
// fail. What it cannot show is listed in docs/devices.md.
//
// WARPHIVE_FAKE_CUDA, comma-separated: `fail=SYMBOL:N:CODE` makes the Nth call of a function (1 is
// the first; `*` is any function) return CODE; from then on codes of 700 and above are returned by
// all calls, as after a fault of a kernel. With the code `kill` the process dies there, with `hang`
// the call never ends. `once=FILE`: only in the process that makes the file. `memory=BYTES` is the
// device's memory. `trace=FILE` writes the name of each function that is called to a file.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "hal/cts/word_kernels.hpp"
#include "hal/cuda/driver.hpp"
#include "hal/cuda/testing/linked_file.hpp"
#include "kernels/params.hpp"
#include "kernels/testing/device_on_host.hpp"

// Nobody calls the driver's functions by name.
#pragma GCC diagnostic ignored "-Wmissing-declarations"

namespace {

using namespace warphive::hal::cuda;  // NOLINT(google-build-using-namespace): the types of the API

constexpr unsigned char poison = 0xdb;
constexpr std::size_t page = 4096;
constexpr std::string_view elf_mark = "\177ELF";

struct Kernel {
  warphive::kernels::DeviceKernel run;
  std::uint32_t params;
  bool runs_lanes;
  bool is_compiled = false;
};

struct Stream {
  std::mutex mutex;
  std::deque<std::function<void()>> commands;

  void add(std::function<void()> command) {
    const std::lock_guard lock(mutex);
    commands.push_back(std::move(command));
  }
  void drain() {
    for (;;) {
      std::function<void()> next;
      {
        const std::lock_guard lock(mutex);
        if (commands.empty()) return;
        next = std::move(commands.front());
        commands.pop_front();
      }
      next();
    }
  }
};

struct Event {
  Stream* stream = nullptr;  // where it was recorded
  std::shared_ptr<std::atomic<bool>> reached = std::make_shared<std::atomic<bool>>(false);
};

struct Link {
  bool has_kernel = false;
  bool has_code = false;
  std::string binary;
};

struct Fake {
  std::mutex mutex;  // guards what follows
  std::map<CuPointer, std::size_t> blocks;
  std::set<CuPointer> registered;  // memory of the host's own
  std::map<std::string, Kernel> kernels;
  std::set<Stream*> streams;
  std::size_t used = 0;
  std::size_t total = std::size_t{4} << 30;
  std::string fail_symbol;
  int fail_after = 0;
  int fail_code = 0;  // or one of the next two
  static constexpr int kill = -1;
  static constexpr int hang = -2;
  std::string once;
  std::map<std::string, std::uint64_t> calls;  // of each function
  std::FILE* trace = nullptr;
  std::vector<std::uint32_t> launches;  // lanes of each launch of a run kernel
  std::atomic<int> lost{0};
  std::condition_variable changed;  // what tests hold, and words that the host writes
  std::string held_symbol;          // calls of it wait from this one on
  std::uint64_t held_from = 0;
  bool holds_runs = false;

  Fake() {
    const char* text = std::getenv("WARPHIVE_FAKE_CUDA");
    std::string_view rest = text == nullptr ? "" : text;
    while (!rest.empty()) {
      const std::string item(rest.substr(0, rest.find(',')));
      rest.remove_prefix(std::min(rest.size(), item.size() + 1));
      if (item.starts_with("trace=")) trace = std::fopen(item.c_str() + 6, "w");
      if (item.starts_with("memory=")) total = std::strtoull(item.c_str() + 7, nullptr, 10);
      if (item.starts_with("fail=")) {
        const std::size_t first = item.find(':');
        const std::size_t second = item.find(':', first + 1);
        fail_symbol = item.substr(5, first - 5);
        fail_after = std::atoi(item.c_str() + first + 1);
        const std::string code = item.substr(second + 1);
        fail_code = code == "kill" ? kill : code == "hang" ? hang : std::atoi(code.c_str());
      }
      if (item.starts_with("once=")) once = item.substr(5);
    }
  }
  /// What the call of `symbol` returns before it does anything.
  CuResult enter(const char* symbol) {
    if (const int code = lost.load(); code != 0) return static_cast<CuResult>(code);
    std::unique_lock lock(mutex);
    const std::uint64_t number = ++calls[symbol];
    changed.notify_all();
    changed.wait(lock, [&] { return held_symbol != symbol || number < held_from; });
    if (trace != nullptr) {
      std::fprintf(trace, "%s\n", symbol);
      std::fflush(trace);
    }
    if ((fail_symbol != symbol && fail_symbol != "*") || --fail_after != 0) {
      return CuResult::success;
    }
    if (!once.empty() && ::open(once.c_str(), O_CREAT | O_EXCL | O_CLOEXEC, 0600) < 0) {
      return CuResult::success;
    }
    if (fail_code == kill) (void)::raise(SIGKILL);
    if (fail_code == hang) {
      lock.unlock();
      for (;;) ::pause();
    }
    constexpr int first_sticky = 700;
    if (fail_code >= first_sticky) lost.store(fail_code);
    return static_cast<CuResult>(fail_code);
  }
};

Fake& fake() {
  static Fake state;
  return state;
}

template <class T>
T* at(CuPointer pointer) {
  return reinterpret_cast<T*>(pointer);  // NOLINT(performance-no-int-to-ptr): as the API has it
}
Stream* stream_of(CuStream stream) { return reinterpret_cast<Stream*>(stream); }

CuResult allocate(CuPointer* pointer, std::size_t bytes) {
  Fake& state = fake();
  const std::lock_guard lock(state.mutex);
  const std::size_t size = (bytes + page - 1) / page * page;
  if (bytes == 0) return CuResult::invalid_value;
  if (size > state.total - state.used) return CuResult::out_of_memory;
  void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return CuResult::out_of_memory;
  *pointer = reinterpret_cast<CuPointer>(memory);
  state.blocks[*pointer] = size;
  state.used += size;
  return CuResult::success;
}

void wait_for_stop(const std::byte* run) {
  warphive::kernels::RunLanes params;
  std::memcpy(&params, run, sizeof params);
  const bool is_plain = params.native == nullptr && params.slice == ~std::uint64_t{0};
  Fake& state = fake();
  std::unique_lock lock(state.mutex);
  if (!state.holds_runs || !is_plain) return;
  state.changed.wait(lock, [&] { return __atomic_load_n(params.run.stop, __ATOMIC_RELAXED) != 0; });
}

/// As the driver does before memory goes away: what was submitted may use it.
void drain_all() {
  std::set<Stream*> streams;
  {
    const std::lock_guard lock(fake().mutex);
    streams = fake().streams;
  }
  for (Stream* stream : streams) stream->drain();
}

CuResult release(CuPointer pointer) {
  Fake& state = fake();
  drain_all();
  const std::lock_guard lock(state.mutex);
  const auto found = state.blocks.find(pointer);
  if (found == state.blocks.end()) return CuResult::invalid_value;
  // Whoever still reads it finds out.
  mprotect(at<void>(pointer), found->second, PROT_NONE);
  munmap(at<void>(pointer), found->second);
  state.used -= found->second;
  state.blocks.erase(found);
  return CuResult::success;
}

}  // namespace

#define WARPHIVE_FAKE(symbol) extern "C" __attribute__((visibility("default"))) CuResult symbol
#define WARPHIVE_ENTER(symbol) \
  if (const CuResult early = fake().enter(#symbol); early != CuResult::success) return early

/// How often a function was called in this process.
extern "C" __attribute__((visibility("default"))) std::uint64_t warphive_fake_cuda_calls(
    const char* symbol) {
  Fake& state = fake();
  const std::lock_guard lock(state.mutex);
  const auto found = state.calls.find(symbol);
  return found == state.calls.end() ? 0 : found->second;
}

/// Lanes of a launch of a run kernel in this process, the first with number 0; 0 beyond the last.
extern "C" __attribute__((visibility("default"))) std::uint32_t warphive_fake_cuda_lanes(
    std::size_t launch) {
  Fake& state = fake();
  const std::lock_guard lock(state.mutex);
  return launch < state.launches.size() ? state.launches[launch] : 0;
}

/// Calls of `symbol` wait from the Nth on, until there is another call of this. nullptr: none
/// waits.
extern "C" __attribute__((visibility("default"))) void warphive_fake_cuda_hold(const char* symbol,
                                                                               std::uint64_t n) {
  Fake& state = fake();
  const std::lock_guard lock(state.mutex);
  state.held_symbol = symbol == nullptr ? "" : symbol;
  state.held_from = n;
  state.changed.notify_all();
}

/// Blocks until a function was called so often.
extern "C" __attribute__((visibility("default"))) void warphive_fake_cuda_await(const char* symbol,
                                                                                std::uint64_t n) {
  Fake& state = fake();
  std::unique_lock lock(state.mutex);
  state.changed.wait(lock, [&] { return state.calls[symbol] >= n; });
}

/// While on, what interprets all of a program, in one go, runs only once its stop word is written:
/// as if that took exactly as long.
extern "C" __attribute__((visibility("default"))) void warphive_fake_cuda_hold_runs(bool holds) {
  Fake& state = fake();
  const std::lock_guard lock(state.mutex);
  state.holds_runs = holds;
}

WARPHIVE_FAKE(cuInit)(unsigned) {
  WARPHIVE_ENTER(cuInit);
  return CuResult::success;
}
WARPHIVE_FAKE(cuDriverGetVersion)(int* version) {
  *version = 13000;
  return CuResult::success;
}
WARPHIVE_FAKE(cuGetErrorName)(CuResult error, const char** name) {
  *name = error == CuResult::out_of_memory ? "CUDA_ERROR_OUT_OF_MEMORY" : "CUDA_ERROR_FAKE";
  return CuResult::success;
}
WARPHIVE_FAKE(cuGetErrorString)(CuResult, const char** text) {
  *text = "a fault of the stand-in driver";
  return CuResult::success;
}
WARPHIVE_FAKE(cuDeviceGetCount)(int* count) {
  WARPHIVE_ENTER(cuDeviceGetCount);
  *count = 1;
  return CuResult::success;
}
WARPHIVE_FAKE(cuDeviceGet)(CuDevice* device, int ordinal) {
  WARPHIVE_ENTER(cuDeviceGet);
  *device = ordinal;
  return ordinal == 0 ? CuResult::success : CuResult::invalid_device;
}
WARPHIVE_FAKE(cuDeviceGetName)(char* name, int length, CuDevice) {
  std::strncpy(name, "stand-in driver", static_cast<std::size_t>(length));
  return CuResult::success;
}
WARPHIVE_FAKE(cuDeviceTotalMem_v2)(std::size_t* bytes, CuDevice) {
  *bytes = fake().total;
  return CuResult::success;
}
WARPHIVE_FAKE(cuDeviceGetAttribute)(int* value, int attribute, CuDevice) {
  constexpr int multiprocessors = 16;
  constexpr int threads = 39;
  constexpr int major = 75;
  constexpr int registered_at_host_address = 91;
  *value = attribute == multiprocessors              ? 1
           : attribute == threads                    ? 2048
           : attribute == major                      ? 9
           : attribute == registered_at_host_address ? 1
                                                     : 0;
  return CuResult::success;
}
WARPHIVE_FAKE(cuDevicePrimaryCtxRetain)(CuContext* context, CuDevice) {
  WARPHIVE_ENTER(cuDevicePrimaryCtxRetain);
  *context = reinterpret_cast<CuContext>(&fake());
  return CuResult::success;
}
WARPHIVE_FAKE(cuDevicePrimaryCtxRelease_v2)(CuDevice) { return CuResult::success; }
WARPHIVE_FAKE(cuCtxSetCurrent)(CuContext) { return CuResult::success; }
WARPHIVE_FAKE(cuMemGetInfo_v2)(std::size_t* free, std::size_t* total) {
  WARPHIVE_ENTER(cuMemGetInfo_v2);
  Fake& state = fake();
  const std::lock_guard lock(state.mutex);
  *free = state.total - state.used;
  *total = state.total;
  return CuResult::success;
}
WARPHIVE_FAKE(cuMemAlloc_v2)(CuPointer* pointer, std::size_t bytes) {
  WARPHIVE_ENTER(cuMemAlloc_v2);
  const CuResult result = allocate(pointer, bytes);
  // Memory is not zero at first.
  if (result == CuResult::success && bytes <= (std::size_t{64} << 20)) {
    std::memset(at<void>(*pointer), poison, bytes);
  }
  return result;
}
WARPHIVE_FAKE(cuMemFree_v2)(CuPointer pointer) {
  WARPHIVE_ENTER(cuMemFree_v2);
  return release(pointer);
}
WARPHIVE_FAKE(cuMemHostAlloc)(void** pointer, std::size_t bytes, unsigned) {
  WARPHIVE_ENTER(cuMemHostAlloc);
  CuPointer memory = 0;
  const CuResult result = allocate(&memory, bytes);
  *pointer = at<void>(memory);
  return result;
}
WARPHIVE_FAKE(cuMemFreeHost)(void* pointer) {
  WARPHIVE_ENTER(cuMemFreeHost);
  return release(reinterpret_cast<CuPointer>(pointer));
}
WARPHIVE_FAKE(cuMemHostRegister_v2)(void* pointer, std::size_t bytes, unsigned) {
  WARPHIVE_ENTER(cuMemHostRegister_v2);
  const auto first = reinterpret_cast<CuPointer>(pointer);
  if (bytes == 0 || first % page != 0 || bytes % page != 0) return CuResult::invalid_value;
  const std::lock_guard lock(fake().mutex);
  return fake().registered.insert(first).second ? CuResult::success : CuResult::invalid_value;
}
WARPHIVE_FAKE(cuMemHostUnregister)(void* pointer) {
  WARPHIVE_ENTER(cuMemHostUnregister);
  drain_all();
  const std::lock_guard lock(fake().mutex);
  const bool was_there = fake().registered.erase(reinterpret_cast<CuPointer>(pointer)) != 0;
  return was_there ? CuResult::success : CuResult::invalid_value;
}
WARPHIVE_FAKE(cuMemcpyAsync)(CuPointer to, CuPointer from, std::size_t bytes, CuStream stream) {
  WARPHIVE_ENTER(cuMemcpyAsync);
  stream_of(stream)->add([=] { std::memmove(at<void>(to), at<void>(from), bytes); });
  return CuResult::success;
}
WARPHIVE_FAKE(cuMemsetD8Async)(CuPointer to, unsigned char value, std::size_t count,
                               CuStream stream) {
  WARPHIVE_ENTER(cuMemsetD8Async);
  constexpr std::size_t large = std::size_t{64} << 20;
  stream_of(stream)->add([=] {
    // Large blocks were not poisoned: they are zero and need not be touched.
    if (value == 0 && count > large) {
      madvise(at<void>(to), count, MADV_DONTNEED);
    } else {
      std::memset(at<void>(to), value, count);
    }
  });
  return CuResult::success;
}
WARPHIVE_FAKE(cuStreamCreateWithPriority)(CuStream* stream, unsigned, int) {
  WARPHIVE_ENTER(cuStreamCreateWithPriority);
  auto* made = new Stream;
  *stream = reinterpret_cast<CuStream>(made);
  const std::lock_guard lock(fake().mutex);
  fake().streams.insert(made);
  return CuResult::success;
}
WARPHIVE_FAKE(cuCtxGetStreamPriorityRange)(int* least, int* greatest) {
  *least = 0;
  *greatest = -5;
  return CuResult::success;
}
WARPHIVE_FAKE(cuStreamDestroy_v2)(CuStream stream) {
  {
    const std::lock_guard lock(fake().mutex);
    fake().streams.erase(stream_of(stream));
  }
  delete stream_of(stream);
  return CuResult::success;
}
WARPHIVE_FAKE(cuStreamSynchronize)(CuStream stream) {
  WARPHIVE_ENTER(cuStreamSynchronize);
  stream_of(stream)->drain();
  return CuResult::success;
}
WARPHIVE_FAKE(cuStreamWaitEvent)(CuStream stream, CuEvent event, unsigned) {
  WARPHIVE_ENTER(cuStreamWaitEvent);
  // All that the other stream holds by then: more than the event asks for, never less.
  Stream* other = reinterpret_cast<Event*>(event)->stream;
  stream_of(stream)->add([other] { other->drain(); });
  return CuResult::success;
}
WARPHIVE_FAKE(cuStreamWriteValue32_v2)(CuStream stream, CuPointer address, std::uint32_t value,
                                       unsigned) {
  WARPHIVE_ENTER(cuStreamWriteValue32_v2);
  stream_of(stream)->add([=] {
    const std::lock_guard lock(fake().mutex);
    __atomic_store_n(at<std::uint32_t>(address), value, __ATOMIC_RELAXED);
    fake().changed.notify_all();
  });
  return CuResult::success;
}
WARPHIVE_FAKE(cuEventCreate)(CuEvent* event, unsigned) {
  WARPHIVE_ENTER(cuEventCreate);
  *event = reinterpret_cast<CuEvent>(new Event);
  return CuResult::success;
}
WARPHIVE_FAKE(cuEventRecord)(CuEvent event, CuStream stream) {
  WARPHIVE_ENTER(cuEventRecord);
  Event& recorded = *reinterpret_cast<Event*>(event);
  recorded.stream = stream_of(stream);
  recorded.stream->add([reached = recorded.reached] { reached->store(true); });
  return CuResult::success;
}
WARPHIVE_FAKE(cuEventQuery)(CuEvent event) {
  return reinterpret_cast<Event*>(event)->reached->load() ? CuResult::success : CuResult::not_ready;
}
WARPHIVE_FAKE(cuEventDestroy_v2)(CuEvent event) {
  delete reinterpret_cast<Event*>(event);
  return CuResult::success;
}
WARPHIVE_FAKE(cuCtxSetLimit)(int, std::size_t) {
  WARPHIVE_ENTER(cuCtxSetLimit);
  return CuResult::success;
}
WARPHIVE_FAKE(cuModuleLoadDataEx)(CuModule* module, const void* image, unsigned, int*, void**) {
  WARPHIVE_ENTER(cuModuleLoadDataEx);
  *module = reinterpret_cast<CuModule>(const_cast<void*>(image));
  return CuResult::success;
}
WARPHIVE_FAKE(cuModuleUnload)(CuModule) { return CuResult::success; }
WARPHIVE_FAKE(cuModuleGetFunction)(CuFunction* function, CuModule module, const char* name) {
  WARPHIVE_ENTER(cuModuleGetFunction);
  const std::string_view text = reinterpret_cast<const char*>(module);
  const bool is_linked = text.starts_with(elf_mark);
  const bool is_there =
      is_linked ? name == std::string_view("warphive_run")
                : text.find(std::string(".entry ") + name + "(") != std::string_view::npos;
  if (!is_there) return CuResult::not_found;
  // The conformance suite's module says that it is.
  const bool is_suite = text.find(warphive::hal::cts::word_kernels_mark) != std::string_view::npos;
  Kernel kernel = is_suite ? Kernel{warphive::hal::cts::word_kernel(name),
                                    sizeof(warphive::hal::cts::WordParams), false}
                           : Kernel{warphive::kernels::device_kernel_on_host(name),
                                    warphive::kernels::device_kernel_params(name),
                                    name == std::string_view("warphive_run")};
  if (is_linked) kernel.run = warphive::kernels::compiled_run_on_host();
  kernel.is_compiled = is_linked;
  if (kernel.run == nullptr) return CuResult::not_found;
  Fake& state = fake();
  const std::lock_guard lock(state.mutex);
  Kernel& kept = state.kernels[std::string(is_suite    ? "suite "
                                           : is_linked ? "linked "
                                                       : "") +
                               name];
  kept = kernel;
  *function = reinterpret_cast<CuFunction>(&kept);
  return CuResult::success;
}
WARPHIVE_FAKE(cuModuleGetGlobal_v2)(CuPointer* pointer, std::size_t* bytes, CuModule module,
                                    const char* name) {
  WARPHIVE_ENTER(cuModuleGetGlobal_v2);
  if (!std::string_view(reinterpret_cast<const char*>(module)).starts_with(elf_mark) ||
      std::string_view(name) != "warphive_native") {
    return CuResult::not_found;
  }
  *pointer = reinterpret_cast<CuPointer>(&warphive::kernels::compiled_code_on_host());
  *bytes = sizeof(warphive::abi::NativeCode);
  return CuResult::success;
}
WARPHIVE_FAKE(cuLinkCreate_v2)(unsigned, int*, void**, CuLink* link) {
  WARPHIVE_ENTER(cuLinkCreate_v2);
  *link = reinterpret_cast<CuLink>(new Link);
  return CuResult::success;
}
WARPHIVE_FAKE(cuLinkAddData_v2)(CuLink link, int, void* data, std::size_t bytes, const char*,
                                unsigned, int*, void**) {
  WARPHIVE_ENTER(cuLinkAddData_v2);
  const std::string_view text(static_cast<const char*>(data), bytes);
  reinterpret_cast<Link*>(link)->has_kernel |=
      text.find(".entry warphive_run(") != std::string_view::npos;
  reinterpret_cast<Link*>(link)->has_code |= text.find("warphive_native") != std::string_view::npos;
  return bytes == 0 || text.back() != 0 ? CuResult::invalid_value : CuResult::success;
}
WARPHIVE_FAKE(cuLinkComplete)(CuLink link, void** binary, std::size_t* bytes) {
  WARPHIVE_ENTER(cuLinkComplete);
  Link& state = *reinterpret_cast<Link*>(link);
  if (!state.has_kernel || !state.has_code) return CuResult::invalid_value;
  constexpr std::uint32_t frame_bytes = 100;
  state.binary = testing::linked_file(frame_bytes);
  *binary = state.binary.data();
  *bytes = state.binary.size();
  return CuResult::success;
}
WARPHIVE_FAKE(cuLinkDestroy)(CuLink link) {
  delete reinterpret_cast<Link*>(link);
  return CuResult::success;
}
WARPHIVE_FAKE(cuLaunchKernel)(CuFunction function, unsigned grid_x, unsigned, unsigned,
                              unsigned block_x, unsigned, unsigned, unsigned, CuStream stream,
                              void**, void** extra) {
  WARPHIVE_ENTER(cuLaunchKernel);
  const Kernel kernel = *reinterpret_cast<Kernel*>(function);
  const auto* bytes = static_cast<const std::byte*>(extra[1]);
  const std::size_t size = *static_cast<const std::size_t*>(extra[3]);
  std::uint32_t count = 0;
  if (size != kernel.params + sizeof count) return CuResult::invalid_value;
  std::memcpy(&count, bytes + kernel.params, sizeof count);
  if (count > std::uint64_t{grid_x} * block_x) return CuResult::invalid_value;
  if (kernel.runs_lanes && count != 0) {
    const std::lock_guard lock(fake().mutex);
    fake().launches.push_back(count);
  }
  std::vector<std::byte> params(bytes, bytes + size);
  stream_of(stream)->add([kernel, count, params] {
    if (kernel.runs_lanes && !kernel.is_compiled && count != 0) wait_for_stop(params.data());
    kernel.run(params.data(), count);
  });
  return CuResult::success;
}
