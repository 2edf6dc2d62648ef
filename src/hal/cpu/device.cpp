// SPDX-License-Identifier: Apache-2.0
#include "hal/cpu/device.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <string>
#include <system_error>
#include <vector>

#include "base/check.hpp"
#include "base/result.hpp"
#include "hal/cpu/machine.hpp"
#include "hal/cpu/touched_pages.hpp"
#include "hal/cpu/worker_pool.hpp"
#include "hal/range.hpp"

namespace warphive::hal::cpu {
namespace {

constexpr std::uint32_t max_threads = 1024;
constexpr std::uint64_t gibibyte = std::uint64_t{1} << 30;

// What one thread zeroes at a time, and from where on it pays to ask what there is to zero.
constexpr std::uint64_t zero_chunk = std::uint64_t{2} << 20;
constexpr std::uint64_t ask_from = std::uint64_t{64} << 10;

class CpuExecutable final : public Executable {
 public:
  explicit CpuExecutable(const KernelImage& image) : image_(image) {}
  [[nodiscard]] bool has(KernelId id) const override { return kernel(id) != nullptr; }
  [[nodiscard]] HostKernel kernel(KernelId id) const {
    const auto index = static_cast<std::size_t>(id);
    return index < kernel_count ? image_.host[index] : nullptr;
  }

 private:
  KernelImage image_;
};

/// Reached points of all queues of a device.
class Timelines {
 public:
  std::uint64_t add() {
    const std::lock_guard lock(mutex_);
    reached_.push_back(0);
    return reached_.size() - 1;
  }
  Point advance(std::uint64_t queue) {
    const std::lock_guard lock(mutex_);
    const Point point{queue, ++reached_[queue]};
    changed_.notify_all();
    return point;
  }
  Status wait(Point point) {
    std::unique_lock lock(mutex_);
    if (point.queue >= reached_.size()) {
      return base::error(ErrorCode::invalid_input, ErrorPhase::dispatch,
                         "The point is of queue ({}); the device has ({}).", point.queue,
                         reached_.size());
    }
    changed_.wait(lock, [&] { return reached_[point.queue] >= point.value; });
    return {};
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::uint64_t> reached_;
};

std::byte* bytes_of(const Buffer& buffer) { return buffer.device_pointer<std::byte>(); }

/// Whole pages to zero.
struct ZeroPages {
  const TouchedPages& touched;
  std::byte* first;
  std::uint64_t bytes;
  mutable std::atomic<bool> failed{false};
};

void zero_chunks(const void* raw, std::uint32_t first, std::uint32_t last) {
  const auto& zero = *static_cast<const ZeroPages*>(raw);
  const std::uint64_t begin = first * zero_chunk;
  const std::uint64_t end = std::min(zero.bytes, last * zero_chunk);
  if (!zero.touched.zero(zero.first + begin, end - begin)) zero.failed = true;
}

/// Every command has run when its call returns: other threads only help with it.
class CpuQueue final : public Queue {
 public:
  CpuQueue(WorkerPool* workers, Timelines* timelines, const TouchedPages* touched)
      : workers_(workers), timelines_(timelines), touched_(touched), id_(timelines->add()) {}

  Status copy(Buffer& to, std::uint64_t to_offset, const Buffer& from, std::uint64_t from_offset,
              std::uint64_t bytes) override {
    WARPHIVE_TRY(check_range(to, to_offset, bytes));
    WARPHIVE_TRY(check_range(from, from_offset, bytes));
    if (bytes != 0) std::memcpy(bytes_of(to) + to_offset, bytes_of(from) + from_offset, bytes);
    return {};
  }
  Status upload(Buffer& to, std::uint64_t offset, std::span<const std::byte> from) override {
    WARPHIVE_TRY(check_range(to, offset, from.size()));
    if (!from.empty()) std::memcpy(bytes_of(to) + offset, from.data(), from.size());
    return {};
  }
  Status download(std::span<std::byte> to, const Buffer& from, std::uint64_t offset) override {
    WARPHIVE_TRY(check_range(from, offset, to.size()));
    if (!to.empty()) std::memcpy(to.data(), bytes_of(from) + offset, to.size());
    return {};
  }
  Status fill(Buffer& buffer, std::uint64_t offset, std::uint64_t bytes,
              std::uint8_t value) override {
    WARPHIVE_TRY(check_range(buffer, offset, bytes));
    if (value == 0 && bytes >= ask_from) {
      return touched_->known() ? zero(buffer, offset, bytes) : discard(buffer, offset, bytes);
    }
    if (bytes != 0) std::memset(bytes_of(buffer) + offset, value, bytes);
    return {};
  }
  Status discard(Buffer& buffer, std::uint64_t offset, std::uint64_t bytes) override {
    WARPHIVE_TRY(check_range(buffer, offset, bytes));
    const Pages pages = whole_pages(offset, bytes);
    std::byte* base = bytes_of(buffer);
    if (pages.bytes != 0 && madvise(base + pages.first, pages.bytes, MADV_DONTNEED) == 0) {
      zero_around(pages, base, offset, bytes);
    } else if (bytes != 0) {
      std::memset(base + offset, 0, bytes);
    }
    return {};
  }
  Status dispatch(const Executable& executable, KernelId kernel, std::span<const std::byte> params,
                  std::uint32_t lane_count) override {
    const HostKernel entry = static_cast<const CpuExecutable&>(executable).kernel(kernel);
    if (entry == nullptr) {
      return no_kernel(kernel);
    }
    workers_->run(entry, params.data(), lane_count);
    return {};
  }
  Result<Point> signal() override { return timelines_->advance(id_); }
  Status wait(Point point) override { return timelines_->wait(point); }
  Status synchronise() override { return {}; }
  Status interrupt(Buffer& word, std::uint64_t offset, std::uint32_t value) override {
    WARPHIVE_TRY(check_range(word, offset, sizeof value));
    __atomic_store_n(reinterpret_cast<std::uint32_t*>(bytes_of(word) + offset), value,
                     __ATOMIC_RELAXED);
    return {};
  }

 private:
  struct Pages {
    std::uint64_t first;  // offset in the buffer, which begins with a page
    std::uint64_t bytes;
  };
  static Pages whole_pages(std::uint64_t offset, std::uint64_t bytes) {
    const std::uint64_t page = page_size();
    const std::uint64_t first = (offset + page - 1) / page * page;
    const std::uint64_t last = (offset + bytes) / page * page;
    return {first, first < last ? last - first : 0};
  }
  /// What of the range is outside of its whole pages.
  static void zero_around(Pages pages, std::byte* base, std::uint64_t offset, std::uint64_t bytes) {
    const std::uint64_t last = pages.first + pages.bytes;
    std::memset(base + offset, 0, pages.first - offset);
    std::memset(base + last, 0, offset + bytes - last);
  }
  Status zero(Buffer& buffer, std::uint64_t offset, std::uint64_t bytes) {
    const Pages pages = whole_pages(offset, bytes);
    const ZeroPages params{
        .touched = *touched_, .first = bytes_of(buffer) + pages.first, .bytes = pages.bytes};
    const std::uint64_t chunks = (pages.bytes + zero_chunk - 1) / zero_chunk;
    workers_->run(zero_chunks, &params, static_cast<std::uint32_t>(chunks));
    if (params.failed) return discard(buffer, offset, bytes);
    zero_around(pages, bytes_of(buffer), offset, bytes);
    return {};
  }

  WorkerPool* workers_;  // borrowed from the device, likewise the next
  Timelines* timelines_;
  const TouchedPages* touched_;
  std::uint64_t id_;
};

class CpuDevice final : public Device {
 public:
  CpuDevice(DeviceInfo info, std::uint32_t threads) : info_(std::move(info)), workers_(threads) {}

  [[nodiscard]] const DeviceInfo& info() const override { return info_; }
  [[nodiscard]] std::uint64_t available_bytes() const override { return available_memory_bytes(); }
  [[nodiscard]] std::uint64_t reservable_bytes() const override {
    const std::uint64_t used = reserved_.load();
    return used <= info_.reserve_bytes ? info_.reserve_bytes - used : 0;
  }

  Result<Buffer> allocate(std::uint64_t bytes, Placement placement) override {
    if (bytes == 0) return Buffer(this, nullptr, 0, placement);
    const std::uint64_t used = reserved_.fetch_add(bytes);
    const std::uint64_t free = used <= info_.reserve_bytes ? info_.reserve_bytes - used : 0;
    if (bytes > free) {
      reserved_.fetch_sub(bytes);
      return base::error(ErrorCode::out_of_memory, ErrorPhase::none,
                         "Allocation of ({}) bytes exceeds what may still be reserved ({}).", bytes,
                         free);
    }
    // Nothing is committed: the runtime accounts for what it touches.
    void* base = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) {
      const int error = errno;
      reserved_.fetch_sub(bytes);
      return base::error(ErrorCode::out_of_memory, ErrorPhase::none,
                         "The system refuses ({}) bytes of address space: ({}).", bytes,
                         std::generic_category().message(error));
    }
    // A huge page would make every instance that touches 4 KiB cost 2 MiB.
    if (placement == Placement::device) madvise(base, bytes, MADV_NOHUGEPAGE);
    return Buffer(this, static_cast<std::byte*>(base), bytes, placement);
  }
  Result<std::unique_ptr<Executable>> load(const KernelImage& image) override {
    return std::make_unique<CpuExecutable>(image);
  }
  Result<std::unique_ptr<Queue>> create_queue() override {
    return std::make_unique<CpuQueue>(&workers_, &timelines_, &touched_);
  }
  void run_on_host(HostKernel function, const void* params, std::uint32_t count) override {
    workers_.run(function, params, count);
  }
  Result<std::uint64_t> read_now(const Buffer& buffer, std::uint64_t offset) override {
    WARPHIVE_TRY(check_range(buffer, offset, sizeof(std::uint64_t)));
    return __atomic_load_n(reinterpret_cast<const std::uint64_t*>(bytes_of(buffer) + offset),
                           __ATOMIC_RELAXED);
  }

 protected:
  void release(std::byte* base, std::uint64_t bytes, Placement) noexcept override {
    if (bytes == 0) return;
    munmap(base, bytes);
    reserved_.fetch_sub(bytes);
  }

 private:
  DeviceInfo info_;
  std::atomic<std::uint64_t> reserved_{0};
  WorkerPool workers_;
  Timelines timelines_;
  TouchedPages touched_;
};

DeviceInfo describe_with(std::uint32_t threads) {
  DeviceInfo info;
  info.name = "cpu";
  info.workers = threads;
  info.memory_bytes = memory_bytes();
  const std::uint64_t tenths = info.memory_bytes / (gibibyte / 10);
  info.description = fmt::format("{}, {} {}, {}.{} GiB", processor_name(), threads,
                                 threads == 1 ? "thread" : "threads", tenths / 10, tenths % 10);
  // Instances touch little of what is reserved for them; beyond this something is wrong.
  info.reserve_bytes = info.memory_bytes * 16;
  return info;
}

}  // namespace

DeviceInfo describe() { return describe_with(usable_cores()); }

Result<std::shared_ptr<Device>> create_device(const DeviceOptions& options) {
  if (options.threads > max_threads) {
    return base::error(ErrorCode::limit_exceeded, ErrorPhase::none,
                       "The number of threads ({}) exceeds the limit ({}).", options.threads,
                       max_threads);
  }
  const std::uint32_t threads = options.threads == 0 ? usable_cores() : options.threads;
  DeviceInfo info = describe_with(threads);
  if (options.reserve_bytes != 0) info.reserve_bytes = options.reserve_bytes;
  return std::make_shared<CpuDevice>(std::move(info), threads);
}

}  // namespace warphive::hal::cpu
