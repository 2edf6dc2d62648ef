// SPDX-License-Identifier: Apache-2.0
// Buffers of a batch: shared memory that grows in powers of two and is used again.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "abi/state.hpp"
#include "base/result.hpp"
#include "hal/device.hpp"
#include "kernels/params.hpp"
#include "runtime/program.hpp"
#include "warphive/types.hpp"

namespace warphive::runtime {

/// Bytes that a kernel reads or writes once, over the bus, in less time than a copy takes.
inline constexpr std::uint64_t direct_bytes = 65'536;

/// An array that host and kernels share: one memory where kernels read all of the host's, or where
/// it is small; else one on each side, and copies in between that whoever uses it asks for. Its
/// contents are undefined after resize.
template <class T>
class SharedArray {
 public:
  /// `most_direct`: bytes up to which kernels use the host's side; 0 for what they read often.
  Status resize(hal::Device& device, std::uint64_t count,
                std::uint64_t most_direct = direct_bytes) {
    const std::uint64_t wanted = std::bit_ceil(std::max<std::uint64_t>(count, 64));
    if (count > capacity_) {
      buffer_ = hal::Buffer();
      capacity_ = 0;
      WARPHIVE_TRY_ASSIGN(buffer_, device.allocate(wanted * sizeof(T), hal::Placement::shared));
      capacity_ = wanted;
    }
    is_direct_ = device.info().reads_host_memory || count * sizeof(T) <= most_direct;
    if (!is_direct_ && copy_.size() < count * sizeof(T)) {
      copy_ = hal::Buffer();
      WARPHIVE_TRY_ASSIGN(copy_, device.allocate(wanted * sizeof(T), hal::Placement::device));
    }
    size_ = count;
    return {};
  }
  /// Whether there is one side only.
  [[nodiscard]] bool is_direct() const { return is_direct_; }
  /// Copies in the queue's order; the host's side must not change before they are done.
  Status to_device(hal::Queue& queue) {
    return is_direct_ ? Status{} : queue.copy(copy_, 0, buffer_, 0, size_ * sizeof(T));
  }
  Status to_host(hal::Queue& queue) { return to_host(queue, size_); }
  Status to_host(hal::Queue& queue, std::uint64_t count) {
    return is_direct_ ? Status{} : queue.copy(buffer_, 0, copy_, 0, count * sizeof(T));
  }
  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] T* host() const { return buffer_.host_pointer<T>(); }
  [[nodiscard]] T* device() const {
    return is_direct_ ? buffer_.device_pointer<T>() : copy_.device_pointer<T>();
  }
  T& operator[](std::uint64_t i) { return host()[i]; }
  const T& operator[](std::uint64_t i) const { return host()[i]; }

 private:
  hal::Buffer buffer_;
  hal::Buffer copy_;
  std::uint64_t capacity_ = 0;
  std::uint64_t size_ = 0;
  bool is_direct_ = true;
};

/// Leaves new elements as they are, for vectors that are written whole and by several threads.
template <class T>
struct Unwritten : std::allocator<T> {
  static_assert(std::is_trivially_copyable_v<T>);
  template <class U>
  struct rebind {  // NOLINT(readability-identifier-naming): the standard names it
    using other = Unwritten<U>;
  };
  template <class U>
  void construct(U*) noexcept {}
};
template <class T>
using Rows = std::vector<T, Unwritten<T>>;

/// What a dispatch reads. Kept beyond it while some call has not begun.
struct InputBuffers {
  SharedArray<abi::LaneRef> lanes;
  SharedArray<kernels::LaneCall> calls;
  SharedArray<std::uint64_t> args;
  std::optional<kernels::EvenCalls> even;  // what `lanes` and `calls` say, if it can be said so
  std::uint32_t pending = 0;               // instances that still need a call of it
};

/// Who a result is about.
struct ResultEntry {
  InstanceId id;
  std::uint64_t ordinal;
  std::uint64_t first_value;
  std::uint32_t program;     // index into ResultBuffers::programs
  std::uint32_t text_index;  // index into ResultBuffers::texts, or none
};

/// Where an instance's output lies in ResultBuffers::text.
struct TextRange {
  std::uint64_t at;  // out, then err
  std::uint32_t out_bytes;
  std::uint32_t err_bytes;
};

/// What a dispatch leaves, or what one wave after the other has left.
struct ResultBuffers {
  std::shared_ptr<hal::Device> device;  // first: outlives the buffers
  SharedArray<kernels::Outcome> outcomes;
  SharedArray<std::uint64_t> values;
  SharedArray<std::uint64_t> briefs;     // of a round, where they spare copying outcomes
  Rows<kernels::Outcome> kept_outcomes;  // of several waves; `outcomes` and `values` are empty then
  Rows<std::uint64_t> kept_values;
  Rows<ResultEntry> entries;
  std::vector<std::shared_ptr<const Program>> programs;
  std::vector<TextRange> texts;
  std::vector<char> text;
  std::uint64_t exits[abi::exit_count] = {};
  std::uint64_t instructions = 0;
  std::int64_t spawn_ns = 0;  // of waves
  std::int64_t run_ns = 0;
  std::int64_t harvest_ns = 0;

  [[nodiscard]] const kernels::Outcome* outcomes_at() const {
    return outcomes.size() == 0 ? kept_outcomes.data() : outcomes.host();
  }
  [[nodiscard]] const std::uint64_t* values_at() const {
    return outcomes.size() == 0 ? kept_values.data() : values.host();
  }
};

/// Keeps buffers for the next dispatch. Thread-safe; results may come back after the swarm is gone.
class ResultPool {
 public:
  std::unique_ptr<ResultBuffers> take(const std::shared_ptr<hal::Device>& device) {
    {
      const std::lock_guard lock(mutex_);
      if (!free_.empty()) {
        auto buffers = std::move(free_.back());
        free_.pop_back();
        return buffers;
      }
    }
    auto buffers = std::make_unique<ResultBuffers>();
    buffers->device = device;
    return buffers;
  }
  void give_back(std::unique_ptr<ResultBuffers> buffers) {
    constexpr std::size_t kept = 2;
    const std::lock_guard lock(mutex_);
    if (free_.size() < kept && buffers->kept_outcomes.empty()) free_.push_back(std::move(buffers));
  }

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<ResultBuffers>> free_;
};

}  // namespace warphive::runtime
