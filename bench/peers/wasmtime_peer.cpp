// SPDX-License-Identifier: Apache-2.0
// The peer of the swarm benchmarks: wasmtime on all cores, through the C API of the shared library
// in its Python wheel, which is opened at run time. Declarations are our own, for version 50.
//
// usage: wasmtime_peer LIBRARY FILE.wasm --from A --count N [--arg V]… [--threads T]
//                      [--mode fresh|reuse] [--fuel] [--pulley] [--nan]
// Calls the export `run` N times with A, A+1, … as first argument, from T pinned threads which take
// calls from one counter in blocks. fresh: a new store and instance per call (pooling allocator,
// copy-on-write images, pre-linked); reuse: one instance per thread. Prints one JSON object; `sum`
// is the wrapping sum of all results, for comparison.
#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

namespace {

// The C API, as far as it is used: opaque handles, and the structures that are passed by address.
struct Config;
struct Engine;
struct Pooling;
struct Module;
struct Linker;
struct InstancePre;
struct Store;
struct Context;
struct ApiError;
struct Trap;
struct ByteVec {
  std::size_t size;
  char* data;
};
struct Func {
  std::uint64_t store_id;
  void* hidden;
};
struct Instance {
  std::uint64_t store_id;
  std::size_t hidden;
};
struct Extern {
  std::uint8_t kind;
  union {
    Func func;
    std::uint64_t room[3];
  } of;
};
struct alignas(16) RawValue {
  std::uint64_t low;
  std::uint64_t high;
};

#define API(X)                                                                                    \
  X(Config*, wasm_config_new, ())                                                                 \
  X(Engine*, wasm_engine_new_with_config, (Config*))                                              \
  X(void, wasmtime_config_consume_fuel_set, (Config*, bool))                                      \
  X(void, wasmtime_config_cranelift_nan_canonicalization_set, (Config*, bool))                    \
  X(ApiError*, wasmtime_config_target_set, (Config*, const char*))                                \
  X(Pooling*, wasmtime_pooling_allocation_config_new, ())                                         \
  X(void, wasmtime_pooling_allocation_config_linear_memory_keep_resident_set,                     \
    (Pooling*, std::size_t))                                                                      \
  X(void, wasmtime_pooling_allocation_strategy_set, (Config*, Pooling*))                          \
  X(ApiError*, wasmtime_module_new, (Engine*, const std::uint8_t*, std::size_t, Module**))        \
  X(Linker*, wasmtime_linker_new, (Engine*))                                                      \
  X(ApiError*, wasmtime_linker_instantiate_pre, (Linker*, Module*, InstancePre**))                \
  X(ApiError*, wasmtime_instance_pre_instantiate, (InstancePre*, Context*, Instance*, Trap**))    \
  X(bool, wasmtime_instance_export_get, (Context*, Instance*, const char*, std::size_t, Extern*)) \
  X(ApiError*, wasmtime_func_call_unchecked, (Context*, Func*, RawValue*, std::size_t, Trap**))   \
  X(Store*, wasmtime_store_new, (Engine*, void*, void (*)(void*)))                                \
  X(Context*, wasmtime_store_context, (Store*))                                                   \
  X(void, wasmtime_store_delete, (Store*))                                                        \
  X(ApiError*, wasmtime_context_set_fuel, (Context*, std::uint64_t))                              \
  X(void, wasmtime_error_message, (ApiError*, ByteVec*))                                          \
  X(void, wasm_trap_message, (Trap*, ByteVec*))

#define DECLARE(result, name, parameters) result(*name) parameters = nullptr;
API(DECLARE)

[[noreturn]] void die(const std::string& text) {
  std::fprintf(stderr, "wasmtime_peer: %s\n", text.c_str());
  std::exit(1);
}

void open_library(const char* path) {
  void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) die(dlerror());
#define LOOK_UP(result, name, parameters)                         \
  name = reinterpret_cast<decltype(name)>(dlsym(library, #name)); \
  if (name == nullptr) die(std::string("the library lacks ") + #name);
  API(LOOK_UP)
}

void check(ApiError* error, Trap* trap, const char* what) {
  if (error == nullptr && trap == nullptr) return;
  ByteVec text{};
  if (error != nullptr) {
    wasmtime_error_message(error, &text);
  } else {
    wasm_trap_message(trap, &text);
  }
  die(std::string(what) + ": " + std::string(text.data, text.size));
}

struct Options {
  std::string library, file;
  std::int64_t from = 1;
  std::uint64_t count = 1;
  std::vector<std::int64_t> args;
  unsigned threads = std::max(1u, std::thread::hardware_concurrency());
  bool fresh = false, fuel = false, pulley = false, nan = false;
};

Options parse(int argc, char** argv) {
  if (argc < 3) die("usage: see the head of wasmtime_peer.cpp");
  Options options;
  options.library = argv[1];
  options.file = argv[2];
  for (int i = 3; i < argc; ++i) {
    const std::string name = argv[i];
    const auto value = [&] {
      return i + 1 < argc ? argv[++i] : (die(name + " needs a value"), argv[0]);
    };
    if (name == "--from")
      options.from = std::atoll(value());
    else if (name == "--count")
      options.count = std::strtoull(value(), nullptr, 10);
    else if (name == "--arg")
      options.args.push_back(std::atoll(value()));
    else if (name == "--threads")
      options.threads = static_cast<unsigned>(std::atoi(value()));
    else if (name == "--mode")
      options.fresh = std::strcmp(value(), "fresh") == 0;
    else if (name == "--fuel")
      options.fuel = true;
    else if (name == "--pulley")
      options.pulley = true;
    else if (name == "--nan")
      options.nan = true;
    else
      die("unknown option " + name);
  }
  return options;
}

/// One store with one instance and its `run`.
struct Guest {
  Store* store = nullptr;
  Context* context = nullptr;
  Func run{};

  Guest(Engine* engine, InstancePre* pre, bool fuel) {
    store = wasmtime_store_new(engine, nullptr, nullptr);
    context = wasmtime_store_context(store);
    if (fuel) check(wasmtime_context_set_fuel(context, ~std::uint64_t{0} >> 2), nullptr, "fuel");
    Instance instance{};
    Trap* trap = nullptr;
    ApiError* error = wasmtime_instance_pre_instantiate(pre, context, &instance, &trap);
    check(error, trap, "instantiate");
    Extern found{};
    if (!wasmtime_instance_export_get(context, &instance, "run", 3, &found) || found.kind != 0) {
      die("the module exports no function run");
    }
    run = found.of.func;
  }
  Guest(const Guest&) = delete;
  Guest& operator=(const Guest&) = delete;
  ~Guest() { wasmtime_store_delete(store); }
};

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  open_library(options.library.c_str());
  std::ifstream file(options.file, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  if (bytes.empty()) die("cannot read " + options.file);

  Config* config = wasm_config_new();
  wasmtime_config_consume_fuel_set(config, options.fuel);
  wasmtime_config_cranelift_nan_canonicalization_set(config, options.nan);
  if (options.pulley) check(wasmtime_config_target_set(config, "pulley64"), nullptr, "target");
  Pooling* pooling = wasmtime_pooling_allocation_config_new();
  wasmtime_pooling_allocation_config_linear_memory_keep_resident_set(pooling, 65536);
  wasmtime_pooling_allocation_strategy_set(config, pooling);
  Engine* engine = wasm_engine_new_with_config(config);
  Module* module = nullptr;
  check(wasmtime_module_new(engine, reinterpret_cast<const std::uint8_t*>(bytes.data()),
                            bytes.size(), &module),
        nullptr, "module");
  InstancePre* pre = nullptr;
  check(wasmtime_linker_instantiate_pre(wasmtime_linker_new(engine), module, &pre), nullptr,
        "link");

  std::atomic<std::uint64_t> next{0};
  std::atomic<std::uint64_t> sum{0};
  std::atomic<unsigned> ready{0};
  std::atomic<bool> go{false};
  const auto work = [&](unsigned index) {
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(index % std::max(1u, std::thread::hardware_concurrency()), &cpus);
    pthread_setaffinity_np(pthread_self(), sizeof cpus, &cpus);
    std::vector<RawValue> values(std::max<std::size_t>(1, options.args.size() + 1));
    std::uint64_t local_sum = 0;
    const auto call = [&](Guest& guest, std::uint64_t i) {
      values[0] = {static_cast<std::uint64_t>(options.from) + i, 0};
      for (std::size_t a = 0; a < options.args.size(); ++a) {
        values[a + 1] = {static_cast<std::uint64_t>(options.args[a]), 0};
      }
      Trap* trap = nullptr;
      ApiError* error = wasmtime_func_call_unchecked(guest.context, &guest.run, values.data(),
                                                     values.size(), &trap);
      check(error, trap, "call");
      local_sum += values[0].low & 0xffffffffu;
    };
    {
      Guest warm(engine, pre, options.fuel);
    }  // touches the pool's slots before the clock starts
    Guest* kept = options.fresh ? nullptr : new Guest(engine, pre, options.fuel);
    ready.fetch_add(1);
    while (!go.load(std::memory_order_acquire)) std::this_thread::yield();
    const std::uint64_t block = std::max<std::uint64_t>(
        1, std::min<std::uint64_t>(64, options.count / (options.threads * 8)));
    for (;;) {
      const std::uint64_t first = next.fetch_add(block);
      if (first >= options.count) break;
      for (std::uint64_t i = first; i < std::min(options.count, first + block); ++i) {
        if (options.fresh) {
          Guest guest(engine, pre, options.fuel);
          call(guest, i);
        } else {
          call(*kept, i);
        }
      }
    }
    sum.fetch_add(local_sum);
    delete kept;
  };
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < options.threads; ++t) threads.emplace_back(work, t);
  while (ready.load() != options.threads) std::this_thread::yield();
  const auto start = std::chrono::steady_clock::now();
  go.store(true, std::memory_order_release);
  for (std::thread& thread : threads) thread.join();
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::printf(
      "{\"seconds\": %.6f, \"instances_per_second\": %.1f, \"threads\": %u, \"mode\": \"%s\", "
      "\"fuel\": %s, \"sum\": %llu}\n",
      seconds, static_cast<double>(options.count) / seconds, options.threads,
      options.fresh ? "fresh" : "reuse", options.fuel ? "true" : "false",
      static_cast<unsigned long long>(sum.load()));
}
