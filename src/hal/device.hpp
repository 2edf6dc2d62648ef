// SPDX-License-Identifier: Apache-2.0
// The device interface: memory, kernels and order, and nothing about programs or instances.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "warphive/error.hpp"

namespace warphive::hal {

/// Entries of an executable. What they do and take is between runtime and kernels.
enum class KernelId : std::uint8_t { spawn, run, gather, scatter, wipe, serve };
inline constexpr std::size_t kernel_count = 6;
inline constexpr const char* kernel_names[kernel_count] = {"spawn",   "run",  "gather",
                                                           "scatter", "wipe", "serve"};

/// A kernel on a CPU device, or other work of the host: runs lanes [first, last) with the
/// parameters of the dispatch.
using HostKernel = void (*)(const void* params, std::uint32_t first, std::uint32_t last);

/// One set of kernels in the form of each kind of device; a device loads its own and ignores
/// others. Of the forms for a device that compiles, the last one that is there counts.
struct KernelImage {
  HostKernel host[kernel_count] = {};
  const char* ptx = nullptr;  // entries `warphive_` + name: parameters, then the number of lanes
  std::span<const std::byte> binary;  // what Linker::finish() gave where code_kind was the same
  std::uint32_t registers = 0;        // most that a lane of `ptx` may have; 0: no limit
};

struct DeviceInfo {
  std::string name;                    // as users write it: cpu
  std::string description;             // model, cores, memory
  std::uint32_t workers = 0;           // hardware threads that run lanes
  std::uint64_t memory_bytes = 0;      // in the device
  std::uint64_t reserve_bytes = 0;     // most that may be allocated, touched or not
  std::uint32_t tile_lanes = 1;        // lanes whose ranges interleave in device memory; of a warp
  std::uint32_t schedulers = 0;        // warps that can issue at once; 0: there are no warps
  bool reads_host_memory = true;       // kernels read all host memory, at its own addresses
  std::string code_kind;               // of binaries, which load on devices of the same kind only
  std::uint32_t lane_stack_bytes = 0;  // that linked code has for calls, in each lane
};

class Device;

enum class Placement : std::uint8_t {
  device,   // for kernels; zero at first, costs real memory only where touched
  shared,   // the host reads and writes it too, between kernels
  adopted,  // shared, in memory of the host that outlives the buffer
};

/// A range of device memory; freed with the last of its moves. Must not outlive its device.
class Buffer {
 public:
  Buffer() = default;
  Buffer(Device* owner, std::byte* base, std::uint64_t bytes, Placement placement)
      : owner_(owner), base_(base), bytes_(bytes), placement_(placement) {}
  Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    swap(other);
    return *this;
  }
  ~Buffer();

  [[nodiscard]] std::uint64_t size() const { return bytes_; }
  /// As kernels see it.
  [[nodiscard]] std::uint64_t address() const { return reinterpret_cast<std::uintptr_t>(base_); }
  template <class T>
  [[nodiscard]] T* device_pointer() const {
    return reinterpret_cast<T*>(base_);
  }
  /// Of shared buffers only; nullptr for others.
  [[nodiscard]] std::byte* host() const {
    return placement_ == Placement::device ? nullptr : base_;
  }
  template <class T>
  [[nodiscard]] T* host_pointer() const {
    return reinterpret_cast<T*>(host());
  }

 private:
  void swap(Buffer& other) noexcept {
    std::swap(owner_, other.owner_);
    std::swap(base_, other.base_);
    std::swap(bytes_, other.bytes_);
    std::swap(placement_, other.placement_);
  }

  Device* owner_ = nullptr;  // borrowed
  std::byte* base_ = nullptr;
  std::uint64_t bytes_ = 0;
  Placement placement_ = Placement::device;
};

/// Kernels loaded on a device. Must not outlive it.
class Executable {
 public:
  virtual ~Executable() = default;
  [[nodiscard]] virtual bool has(KernelId kernel) const = 0;
  /// Where kernels find a variable of the image. Errors: not_found.
  [[nodiscard]] virtual Result<std::uint64_t> address(const char* symbol) const {
    return tl::unexpected(Error(ErrorCode::not_found, ErrorPhase::none,
                                std::string("The executable has no variable (") + symbol + ")."));
  }
};

/// Kernels on their way from relocatable PTX to a binary. Used by one thread at a time; must not
/// outlive its device. Errors: out_of_memory, and unavailable with what the compiler says.
class Linker {
 public:
  virtual ~Linker() = default;
  /// Compiles it, which may take seconds.
  virtual Status add(std::string_view part) = 0;
  /// KernelImage::binary of all parts. The last call.
  virtual Result<std::vector<std::byte>> finish() = 0;
};

/// A place on a queue's timeline, reached when all work submitted before it has run.
struct Point {
  std::uint64_t queue = 0;
  std::uint64_t value = 0;
};

/// Runs commands in the order of submission. One thread at a time submits to a queue.
/// Errors: invalid_input (a range outside of its buffer, a kernel that is not there), device_lost.
class Queue {
 public:
  virtual ~Queue() = default;
  /// Ranges of one buffer must not overlap.
  virtual Status copy(Buffer& to, std::uint64_t to_offset, const Buffer& from,
                      std::uint64_t from_offset, std::uint64_t bytes) = 0;
  virtual Status upload(Buffer& to, std::uint64_t offset, std::span<const std::byte> from) = 0;
  /// Blocks until the bytes are there.
  virtual Status download(std::span<std::byte> to, const Buffer& from, std::uint64_t offset) = 0;
  /// What never was touched and is filled with zeros still costs no real memory where the device
  /// has such.
  virtual Status fill(Buffer& buffer, std::uint64_t offset, std::uint64_t bytes,
                      std::uint8_t value) = 0;
  /// The range reads as zeros afterwards, and costs no real memory where the device can do that.
  virtual Status discard(Buffer& buffer, std::uint64_t offset, std::uint64_t bytes) = 0;
  /// `params` is copied. Every lane of [0, lane_count) runs once, in no particular order. With no
  /// lane the kernel is only made ready: its first dispatch may wait for others that run.
  virtual Status dispatch(const Executable& executable, KernelId kernel,
                          std::span<const std::byte> params, std::uint32_t lane_count) = 0;
  virtual Result<Point> signal() = 0;
  /// Later commands of this queue run after the point, which may be of another queue of the device.
  virtual Status wait(Point point) = 0;
  /// Blocks until everything submitted has run.
  virtual Status synchronise() = 0;
  /// Of any thread: writes a word at once, ahead of what queues hold, at which kernels of this
  /// queue end soon if it is not 0. A device that can gives up those that then do not: device_lost.
  virtual Status interrupt(Buffer& word, std::uint64_t offset, std::uint32_t value) = 0;
};

/// Thread-safe. Calls may succeed whose work fails later: a queue's next call that blocks says so.
class Device {
 public:
  virtual ~Device() = default;
  [[nodiscard]] virtual const DeviceInfo& info() const = 0;
  /// Bytes that could be touched now without running out.
  [[nodiscard]] virtual std::uint64_t available_bytes() const = 0;
  /// Bytes that may still be allocated, touched or not.
  [[nodiscard]] virtual std::uint64_t reservable_bytes() const = 0;
  /// Zeroed. Error out_of_memory with what was asked and what there is.
  virtual Result<Buffer> allocate(std::uint64_t bytes, Placement placement) = 0;
  /// Whole pages of the host as a buffer at their own address; their contents stay. Error
  /// unavailable where the device cannot.
  virtual Result<Buffer> adopt(std::span<std::byte>) {
    return fail(Error(ErrorCode::unavailable, ErrorPhase::none,
                      "The device does not read memory of the host at its own address."));
  }
  /// May wait for kernels that run: what a thread loads while its own do can take as long as they.
  virtual Result<std::unique_ptr<Executable>> load(const KernelImage& image) = 0;
  /// `registers`: most that a lane may have; 0: no limit. Compiling waits for nothing that the
  /// device does. Error unavailable where the device does not compile.
  virtual Result<std::unique_ptr<Linker>> create_linker(std::uint32_t registers) {
    static_cast<void>(registers);
    return tl::unexpected(Error(ErrorCode::unavailable, ErrorPhase::codegen,
                                "The device (" + info().name + ") does not compile."));
  }
  virtual Result<std::unique_ptr<Queue>> create_queue() = 0;
  /// Runs a function of the host over [0, count) on the calling thread and on those that the device
  /// has on the host, and returns when it is done.
  virtual void run_on_host(HostKernel function, const void* params, std::uint32_t count) = 0;
  /// Reads an aligned word as it is now, whatever queues hold.
  virtual Result<std::uint64_t> read_now(const Buffer& buffer, std::uint64_t offset) = 0;
  /// No call succeeds any longer, and a new device may take its place.
  [[nodiscard]] virtual bool lost() const { return false; }

 protected:
  friend class Buffer;
  virtual void release(std::byte* base, std::uint64_t bytes, Placement placement) noexcept = 0;
};

inline Buffer::~Buffer() {
  if (owner_ != nullptr) owner_->release(base_, bytes_, placement_);
}

template <class T>
[[nodiscard]] std::span<const std::byte> params_of(const T& params) {
  return std::as_bytes(std::span<const T, 1>(&params, 1));
}

}  // namespace warphive::hal
