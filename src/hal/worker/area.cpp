// SPDX-License-Identifier: Apache-2.0
#include "hal/worker/area.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "base/result.hpp"

namespace warphive::hal::worker {
namespace {

constexpr std::uint64_t page = 4096;
constexpr std::uint64_t area_bytes = std::uint64_t{1} << 40;
// Far from where programs, their libraries, drivers and sanitizers have something, in any process.
constexpr std::uintptr_t first_place = 0x5800'0000'0000;
constexpr int places = 24;

std::byte* map_at(std::uintptr_t place, std::uint64_t bytes, int file) {
  // NOLINTNEXTLINE(performance-no-int-to-ptr): a place of our own choice
  void* const wanted = reinterpret_cast<void*>(place);
  void* const got = ::mmap(wanted, bytes, PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_NORESERVE | MAP_FIXED_NOREPLACE, file, 0);
  if (got == wanted) return static_cast<std::byte*>(got);
  if (got != MAP_FAILED) (void)::munmap(got, bytes);  // a system that does not know the flag
  return nullptr;
}

tl::unexpected<Error> refused(const char* what) {
  return base::error(ErrorCode::unavailable, ErrorPhase::none,
                     "the system refuses memory for a worker process ({}: {})", what,
                     std::generic_category().message(errno));
}

}  // namespace

Area::Area(Descriptor file, std::byte* base, std::uint64_t bytes)
    : file_(std::move(file)), base_(base), bytes_(bytes), free_{{0, bytes}} {}

Area::~Area() { (void)::munmap(base_, bytes_); }

Result<std::unique_ptr<Area>> Area::create() {
  Descriptor file(::memfd_create("warphive", MFD_CLOEXEC));
  if (!file) return refused("memfd_create");
  if (::ftruncate(file.get(), area_bytes) != 0) return refused("ftruncate");
  for (int i = 0; i < places; ++i) {
    std::byte* const base =
        map_at(first_place + static_cast<std::uintptr_t>(i) * area_bytes, area_bytes, file.get());
    if (base != nullptr) {
      return std::unique_ptr<Area>(new Area(std::move(file), base, area_bytes));
    }
  }
  return refused("mmap");
}

Result<std::unique_ptr<Area>> Area::map(Descriptor file, std::byte* base, std::uint64_t bytes) {
  if (map_at(reinterpret_cast<std::uintptr_t>(base), bytes, file.get()) == nullptr) {
    return refused("mmap");
  }
  return std::unique_ptr<Area>(new Area(std::move(file), base, bytes));
}

std::span<std::byte> Area::take(std::uint64_t bytes) {
  if (bytes == 0 || bytes > bytes_) return {};
  const std::uint64_t wanted = (bytes + page - 1) / page * page;
  const std::lock_guard lock(mutex_);
  for (auto at = free_.begin(); at != free_.end(); ++at) {
    const auto [offset, there] = *at;
    if (there < wanted) continue;
    free_.erase(at);
    if (there > wanted) free_.emplace(offset + wanted, there - wanted);
    return {base_ + offset, wanted};
  }
  return {};
}

void Area::give_back(std::span<std::byte> range) {
  if (range.empty()) return;
  std::uint64_t offset = static_cast<std::uint64_t>(range.data() - base_);
  std::uint64_t bytes = range.size();
  (void)::fallocate(file_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                    static_cast<off_t>(offset), static_cast<off_t>(bytes));
  const std::lock_guard lock(mutex_);
  const auto next = free_.lower_bound(offset);
  if (next != free_.end() && next->first == offset + bytes) bytes += next->second;
  if (next != free_.begin()) {
    if (const auto before = std::prev(next); before->first + before->second == offset) {
      offset = before->first;
      bytes += before->second;
    }
  }
  free_.erase(free_.lower_bound(offset), free_.lower_bound(offset + bytes));
  free_.emplace(offset, bytes);
}

bool Area::contains(const std::byte* first, std::uint64_t bytes) const {
  const auto offset =
      reinterpret_cast<std::uintptr_t>(first) - reinterpret_cast<std::uintptr_t>(base_);
  return offset <= bytes_ && bytes <= bytes_ - offset;
}

}  // namespace warphive::hal::worker
