// SPDX-License-Identifier: Apache-2.0
// What a worker process costs over a device of this process. WARPHIVE_CUDA_LIBRARY may name the
// stand-in driver.
#include "hal/worker/device.hpp"

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <memory>
#include <vector>

#include "hal/cts/word_kernels.hpp"
#include "hal/cuda/device.hpp"

namespace warphive::hal {
namespace {

using Create = Result<std::shared_ptr<Device>> (*)();

Result<std::shared_ptr<Device>> create_here() { return cuda::create_device(); }
Result<std::shared_ptr<Device>> create_worker() { return worker::create_device(); }

/// The value, or the end: a benchmark without a device says nothing.
template <class T>
T must(Result<T> result) {
  if (!result) {
    std::fprintf(stderr, "%s\n", result.error().message().c_str());
    std::exit(1);
  }
  return std::move(*result);
}
void must(const Status& status) {
  if (!status) std::exit(1);
}

void start(benchmark::State& state, Create create) {
  for (auto _ : state) benchmark::DoNotOptimize(must(create()));
}

void dispatch(benchmark::State& state, Create create) {
  const auto device = must(create());
  KernelImage image;
  image.ptx = cts::word_kernels_ptx;
  const auto executable = must(device->load(image));
  const auto queue = must(device->create_queue());
  const Buffer words = must(device->allocate(4096, Placement::device));
  const cts::WordParams params{words.device_pointer<std::uint32_t>(), 1};
  for (auto _ : state) {
    for (std::int64_t i = 0; i < state.range(0); ++i) {
      must(queue->dispatch(*executable, KernelId::run, params_of(params), 1));
    }
    must(queue->synchronise());
  }
}

void read_now(benchmark::State& state, Create create) {
  const auto device = must(create());
  const Buffer words = must(device->allocate(4096, Placement::device));
  for (auto _ : state) benchmark::DoNotOptimize(must(device->read_now(words, 0)));
}

void transfer(benchmark::State& state, Create create, bool up) {
  const auto device = must(create());
  const auto queue = must(device->create_queue());
  const auto bytes = static_cast<std::size_t>(state.range(0));
  Buffer buffer = must(device->allocate(bytes, Placement::device));
  std::vector<std::byte> host(bytes);
  for (auto _ : state) {
    if (up) {
      must(queue->upload(buffer, 0, host));
      must(queue->synchronise());
    } else {
      must(queue->download(host, buffer, 0));
    }
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}

BENCHMARK_CAPTURE(start, here, create_here)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(start, worker, create_worker)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(dispatch, here, create_here)->Arg(1)->Arg(100)->UseRealTime();
BENCHMARK_CAPTURE(dispatch, worker, create_worker)->Arg(1)->Arg(100)->UseRealTime();
BENCHMARK_CAPTURE(read_now, here, create_here)->UseRealTime();
BENCHMARK_CAPTURE(read_now, worker, create_worker)->UseRealTime();
BENCHMARK_CAPTURE(transfer, upload_here, create_here, true)
    ->Arg(4096)
    ->Arg(64 << 20)
    ->UseRealTime();
BENCHMARK_CAPTURE(transfer, upload_worker, create_worker, true)
    ->Arg(4096)
    ->Arg(64 << 20)
    ->UseRealTime();
BENCHMARK_CAPTURE(transfer, download_here, create_here, false)
    ->Arg(4096)
    ->Arg(64 << 20)
    ->UseRealTime();
BENCHMARK_CAPTURE(transfer, download_worker, create_worker, false)
    ->Arg(4096)
    ->Arg(64 << 20)
    ->UseRealTime();

}  // namespace
}  // namespace warphive::hal

BENCHMARK_MAIN();
