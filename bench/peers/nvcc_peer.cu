// SPDX-License-Identifier: Apache-2.0
// The peer of compiled programs on a GPU: the nine programs of tests/programs as nvcc compiles them
// (nvcc_programs.hpp), one instance per lane with 64 KiB each, in Warphive's layout.
//   nvcc -O3 -arch=sm_90 -std=c++17 -o nvcc_peer nvcc_peer.cu
//   nvcc_peer [--count 131072] [--results FOLDER] [PROGRAM…]
// A line of JSON for each program: seconds of the kernel in the fastest setting and in the plain
// one (blocks of 128 lanes, as many as fit), and the sum and the exclusive or of all results.
// Settings go to stderr. Results go to FOLDER/PROGRAM.i32, those of seed 1 first. Behind the nine
// come second forms: fibr_loop and sieve_words do what clang does with the C, sha_constants and
// sha_locals keep the table, and w too (in registers), outside of the instance's memory, and in
// mandel_fma nvcc fuses operations, which changes results. As plain C++ (clang++ -x c++) it
// computes the same on the CPU, without times; bench/check_nvcc_peer.py compares.
#include "nvcc_programs.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

namespace {

using namespace nvcc_peer;  // NOLINT(google-build-using-namespace)

[[noreturn]] void die(const std::string& text) {
  std::fprintf(stderr, "nvcc_peer: %s\n", text.c_str());
  std::exit(1);
}

/// Of the lane with this first cell.
template <class P>
Arrays arrays_of(Byte* lane) {
  Arrays arrays{};
  for (int i = 0; i < 4; ++i) arrays.first[i] = lane + P::addresses[i] * lanes;
  return arrays;
}

#ifdef __CUDACC__

void check(cudaError_t error, const char* what) {
  if (error != cudaSuccess) die(std::string(what) + ": " + cudaGetErrorString(error));
}

template <class P>
__global__ void install_lanes(Arrays arrays, int count) {
  const int slot = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (slot >= count) return;
  for (Byte*& first : arrays.first) first += lane_offset(slot);
  P::install(arrays);
}
/// in_turns: the grid has fewer lanes than there are instances. That arrays do not overlap, as a C
/// compiler knows, nvcc believes of a kernel's parameters only.
template <class P, bool in_turns>
__global__ void run_lanes(Byte* __restrict__ a, Byte* __restrict__ b, Byte* __restrict__ c,
                          Byte* __restrict__ d, std::int32_t* __restrict__ results, int count,
                          std::int32_t n) {
  int slot = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  for (; slot < count; slot += static_cast<int>(gridDim.x * blockDim.x)) {
    const std::size_t to = lane_offset(slot);
    results[slot] = P::run({{a + to, b + to, c + to, d + to}}, slot + 1, n);
    if constexpr (!in_turns) return;
  }
}

/// What keeps warps off a multiprocessor: a smaller grid, or shared memory, which takes from the
/// cache but lets the hardware deal out blocks.
enum class Limit { none, grid, shared };
const char* const limit_names[] = {"none", "grid", "shared"};
struct Setting {
  int block = 128;
  Limit limit = Limit::none;
  int warps = 0;  // of a multiprocessor, at most; 0: as many as fit
};

class Machine {
 public:
  explicit Machine(int count) : count_(count) {
    const std::size_t tiles = (static_cast<std::size_t>(count) + lanes - 1) / lanes;
    slab_bytes_ = tiles * lanes * memory_bytes;
    check(cudaGetDeviceProperties(&device_, 0), "the device");
    check(cudaDeviceSetLimit(cudaLimitStackSize, 4096), "stacks");
    check(cudaMalloc(&slab_, slab_bytes_), "memory of instances");
    check(cudaMalloc(&results_, tiles * lanes * sizeof(std::int32_t)), "results");
    check(cudaEventCreate(&start_), "an event");
    check(cudaEventCreate(&stop_), "an event");
  }
  Machine(const Machine&) = delete;  // its memory lasts as long as the process
  Machine& operator=(const Machine&) = delete;

  /// Fills `results` and returns members of JSON.
  template <class P>
  std::string run(std::vector<std::int32_t>& results) {
    check(cudaMemset(slab_, 0, slab_bytes_), "memset");
    install_lanes<P><<<(count_ + 127) / 128, 128>>>(arrays_of<P>(slab_), count_);
    const double plain = *measure<P>({}, results);
    double best = plain;
    Setting chosen;
    const auto attempt = [&](const Setting& setting) {
      std::vector<std::int32_t> again(results.size());
      const std::optional<double> seconds = measure<P>(setting, again);
      if (!seconds) return;
      if (again != results) die(std::string(P::name) + ": results depend on the setting");
      std::fprintf(stderr, "%s: blocks of %d, limit %s %d: %.6f s\n", P::name, setting.block,
                   limit_names[static_cast<int>(setting.limit)], setting.warps, *seconds);
      if (*seconds < best) {
        best = *seconds;
        chosen = setting;
      }
    };
    for (const int block : {64, 128, 256}) {
      attempt({block, Limit::none, 0});
      for (const Limit limit : {Limit::grid, Limit::shared}) {
        for (const int warps : {8, 16, 32, 64}) attempt({block, limit, warps});
      }
    }
    cudaFuncAttributes code;
    check(cudaFuncGetAttributes(&code, run_lanes<P, false>), "attributes");
    char text[256];
    std::snprintf(text, sizeof text,
                  "\"seconds\": %.6f, \"block\": %d, \"limit\": \"%s\", \"warps\": %d, "
                  "\"plain_seconds\": %.6f, \"registers\": %d, ",
                  best, chosen.block, limit_names[static_cast<int>(chosen.limit)], chosen.warps,
                  plain, code.numRegs);
    return text;
  }

 private:
  /// Median seconds of a run; nothing where the setting does not limit the warps so.
  template <class P>
  std::optional<double> measure(const Setting& setting, std::vector<std::int32_t>& results) {
    const bool in_turns = setting.limit == Limit::grid;
    const auto kernel = in_turns ? run_lanes<P, true> : run_lanes<P, false>;
    const int blocks = setting.warps * lanes / setting.block;  // of a multiprocessor
    int grid = (count_ + setting.block - 1) / setting.block;
    int shared = 0;
    if (setting.limit != Limit::none) {
      if (blocks >= fit(kernel, setting.block, 0)) return std::nullopt;
      if (in_turns) {
        grid = std::min(grid, blocks * device_.multiProcessorCount);
      } else {
        const auto each = static_cast<int>(device_.sharedMemPerMultiprocessor) / blocks -
                          static_cast<int>(device_.reservedSharedMemPerBlock);
        shared = std::min(each, static_cast<int>(device_.sharedMemPerBlockOptin)) / 128 * 128;
      }
    }
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared),
          "shared memory");
    check(cudaFuncSetAttribute(
              kernel, cudaFuncAttributePreferredSharedMemoryCarveout,
              shared != 0 ? cudaSharedmemCarveoutMaxShared : cudaSharedmemCarveoutMaxL1),
          "the cache's share");
    if (shared != 0 && fit(kernel, setting.block, shared) != blocks) return std::nullopt;
    check(cudaMemset(results_, 0, results.size() * sizeof(std::int32_t)), "memset");
    const auto [a, b, c, d] = arrays_of<P>(slab_).first;
    std::vector<double> seconds;
    for (int i = 0; i < 1 + runs; ++i) {
      check(cudaEventRecord(start_), "an event");
      kernel<<<grid, setting.block, shared>>>(a, b, c, d, results_, count_, P::size);
      check(cudaGetLastError(), "a launch");
      check(cudaEventRecord(stop_), "an event");
      check(cudaEventSynchronize(stop_), P::name);
      float milliseconds = 0;
      check(cudaEventElapsedTime(&milliseconds, start_, stop_), "an event");
      if (i > 0) seconds.push_back(milliseconds / 1e3);
    }
    check(cudaMemcpy(results.data(), results_, results.size() * sizeof(std::int32_t),
                     cudaMemcpyDeviceToHost),
          "results");
    std::sort(seconds.begin(), seconds.end());
    return seconds[runs / 2];
  }
  template <class Kernel>
  static int fit(Kernel kernel, int block, int shared) {
    int blocks = 0;
    check(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, kernel, block, shared),
          "occupancy");
    return blocks;
  }

  static constexpr int runs = 7;
  int count_;
  std::size_t slab_bytes_ = 0;
  cudaDeviceProp device_{};
  Byte* slab_ = nullptr;
  std::int32_t* results_ = nullptr;
  cudaEvent_t start_{};
  cudaEvent_t stop_{};
};

#else

/// The lanes of one tile after another, all in the same memory.
class Machine {
 public:
  explicit Machine(int) : slab_(lanes * memory_bytes) {}
  template <class P>
  std::string run(std::vector<std::int32_t>& results) {
    for (int slot = 0; slot < static_cast<int>(results.size()); ++slot) {
      const Arrays memory = arrays_of<P>(slab_.data() + lane_offset(slot % lanes));
      P::install(memory);
      results[static_cast<std::size_t>(slot)] = P::run(memory, slot + 1, P::size);
    }
    return {};
  }

 private:
  std::vector<Byte> slab_;
};

#endif

struct Options {
  int count = 131'072;
  std::string results;
  std::vector<std::string> names;
};

template <class P>
void run_program(const Options& options, Machine& machine) {
  const auto& names = options.names;
  if (!names.empty() && std::find(names.begin(), names.end(), P::name) == names.end()) return;
  std::vector<std::int32_t> results(static_cast<std::size_t>(options.count));
  const std::string timing = machine.run<P>(results);
  std::uint32_t sum = 0;
  std::uint32_t all_xor = 0;
  for (const std::int32_t result : results) {
    sum += static_cast<std::uint32_t>(result);
    all_xor ^= static_cast<std::uint32_t>(result);
  }
  std::printf("{\"name\": \"%s\", \"size\": %d, \"instances\": %d, %s\"sum\": %u, \"xor\": %u}\n",
              P::name, P::size, options.count, timing.c_str(), sum, all_xor);
  std::fflush(stdout);
  if (options.results.empty()) return;
  const std::string path = options.results + "/" + P::name + ".i32";
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(results.data()),
             static_cast<std::streamsize>(results.size() * sizeof(std::int32_t)));
  if (!file.flush()) die("cannot write " + path);
}

template <class... Programs>
void run_all(const Options& options) {
  Machine machine(options.count);
  (run_program<Programs>(options, machine), ...);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--count" && i + 1 < argc) {
      options.count = std::atoi(argv[++i]);
    } else if (word == "--results" && i + 1 < argc) {
      options.results = argv[++i];
    } else if (word.rfind("--", 0) == 0) {
      die("usage: see the head of nvcc_peer.cu");
    } else {
      options.names.push_back(word);
    }
  }
  if (options.count < 1) die("--count needs a positive number");
  run_all<Alu, Collatz, Fibr<false>, Mandel<false>, Queens, Lev, Sort, Sieve<false>, Sha<Kept::all>,
          Fibr<true>, Sieve<true>, Sha<Kept::array>, Sha<Kept::nothing>, Mandel<true>>(options);
}
