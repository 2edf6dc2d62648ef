// SPDX-License-Identifier: Apache-2.0
// Runs lanes of pools in tiles on this machine, as devices do: the same layout, exits and resume
// points, where a lane leaves a tier to go on in the other.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>

#include "abi/native.hpp"
#include "abi/state.hpp"
#include "abi/tile.hpp"

namespace warphive::exec {

/// What machines are compiled for here; the first is what devices get.
inline constexpr abi::TileShape tile_shapes[] = {{.lanes = 32, .memory_cell = 4},
                                                 {.lanes = 8, .memory_cell = 8}};

/// As begin_call and run_lane. `shape` is one of the above; `native` is code for it (nullptr:
/// interpret).
bool begin_tile_call(const abi::TileShape& shape, const abi::Pool& pool, uint32_t slot,
                     uint32_t function, const uint64_t* args);
void run_tile_lane(const abi::TileShape& shape, const abi::RunParams& params, abi::LaneRef lane,
                   const abi::NativeCode* native);
/// As that, in slices; adds to the counts.
struct TileRun {
  std::uint64_t slice = ~std::uint64_t{0};  // units after which a lane leaves to come back
  std::uint64_t slices = 0;                 // that ended so
  std::uint64_t interpreted = 0;            // times that it went on without compiled code
  std::uint64_t interpreted_units = 0;
};
void run_tile_lane(const abi::TileShape& shape, const abi::RunParams& params, abi::LaneRef lane,
                   const abi::NativeCode* native, TileRun& run);

/// Whole tiles of instances in this machine's memory, all bytes `fill`.
class TilePool {
 public:
  /// Code and layout are borrowed.
  TilePool(const abi::TileShape& shape, const abi::Code& code, const abi::ProgramLayout& layout,
           std::uint32_t tiles, bool metered, std::uint8_t fill);

  [[nodiscard]] const abi::Pool& pool() const { return pool_; }
  [[nodiscard]] const abi::TileShape& shape() const { return shape_; }
  [[nodiscard]] std::uint32_t slots() const { return tiles_ * shape_.lanes; }
  [[nodiscard]] abi::InstanceHeader& header(std::uint32_t slot) { return headers_.get()[slot]; }

  enum class Slab : std::uint8_t { state, stack, memory };
  void read(Slab slab, std::uint32_t slot, std::uint64_t at, std::span<std::uint8_t> to) const;
  void write(Slab slab, std::uint32_t slot, std::uint64_t at, std::span<const std::uint8_t> from);
  void fill(Slab slab, std::uint32_t slot, std::uint8_t value);
  /// Whether all bytes of an instance are `value`.
  [[nodiscard]] bool holds_only(std::uint32_t slot, std::uint8_t value) const;
  [[nodiscard]] std::uint64_t bytes(Slab slab) const;

 private:
  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };
  template <class T>
  using Owned = std::unique_ptr<T[], Free>;

  [[nodiscard]] std::uint32_t cell_of(Slab slab) const {
    return slab == Slab::memory ? shape_.memory_cell : abi::value_cell;
  }
  [[nodiscard]] std::uint8_t* byte(Slab slab, std::uint32_t slot, std::uint64_t at) const;
  Owned<std::uint8_t> allocate(std::uint64_t bytes, std::uint8_t fill) const;

  abi::TileShape shape_;
  std::uint32_t tiles_;
  Owned<abi::InstanceHeader> headers_;
  Owned<std::uint8_t> state_;
  Owned<std::uint8_t> stack_;
  Owned<std::uint8_t> memory_;
  abi::Pool pool_ = {};
};

}  // namespace warphive::exec
