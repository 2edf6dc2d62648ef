// SPDX-License-Identifier: Apache-2.0
// How the instances of a pool lie in the memory of devices that run one per hardware lane: in
// tiles, lane by lane in turns of one cell, so that lanes which are at the same address touch
// adjacent cells. Shared by host, kernels and compiled code.
//
// Slot s of a pool is lane s % lanes of tile s / lanes. In each slab of abi::Pool a tile owns
// lanes * stride bytes; byte `at` of a lane's range is, from the lane's first cell,
//   (at / cell) * cell * lanes + at % cell
// Headers are whole structures, by slot.
#pragma once

#include <stdint.h>

namespace warphive::abi {

/// A layout. `lanes` and cells are powers of two, cells at most 16 bytes.
struct TileShape {
  uint32_t lanes = 32;
  uint32_t memory_cell = 4;
};
/// Of the state and stack ranges, which hold 64-bit values.
inline constexpr uint32_t value_cell = 8;

/// Bytes between a lane's first cell and byte `at` of its range.
constexpr uint64_t in_tile(uint64_t at, uint32_t cell, uint32_t lanes) {
  return (at / cell) * cell * lanes + at % cell;
}
/// Bytes between the start of a slab and the first cell of a slot's lane.
constexpr uint64_t lane_start(uint64_t slot, uint64_t stride_bytes, uint32_t cell, uint32_t lanes) {
  return slot / lanes * lanes * stride_bytes + slot % lanes * cell;
}

}  // namespace warphive::abi
