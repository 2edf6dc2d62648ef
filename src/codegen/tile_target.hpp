// SPDX-License-Identifier: Apache-2.0
// Targets that run lanes of tiles (abi/tile.hpp): devices, and `sim`, host code that does what
// device code does. The context is exec::TileContext.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "abi/tile.hpp"
#include "codegen/target.hpp"
#include "ir/module.hpp"

namespace warphive::codegen {

/// A contiguous part of a lane's state while LLVM optimises: an address space of its own, with one
/// global that stands for its first byte. lay_out (tile_layout.hpp) ends it.
struct Region {
  const char* symbol;
  unsigned space;
  Field base;  // pointer to its first cell
  bool is_memory = false;
  bool is_hot = false;  // its base is kept in a register
};
enum class RegionId : std::uint8_t { memory0, memory, globals, table0, table_sizes, state, stack };
inline constexpr std::array<Region, 7> regions = {{
    {.symbol = "lane.memory0",
     .space = 16,
     .base = Field::memory0,
     .is_memory = true,
     .is_hot = true},
    {.symbol = "lane.memory", .space = 17, .base = Field::memory, .is_memory = true},
    {.symbol = "lane.globals", .space = 18, .base = Field::globals},
    {.symbol = "lane.table0", .space = 19, .base = Field::table0},
    {.symbol = "lane.table_sizes", .space = 20, .base = Field::table_sizes},
    {.symbol = "lane.state", .space = 21, .base = Field::state},
    {.symbol = "lane.stack_end", .space = 22, .base = Field::stack_end},
}};
constexpr bool is_region(unsigned space) {
  return space >= regions.front().space && space <= regions.back().space;
}
constexpr const Region& region_of(unsigned space) { return regions[space - regions[0].space]; }

class TileTarget : public Target {
 public:
  TileTarget(const ir::Module& program, const abi::TileShape& shape);

  [[nodiscard]] const abi::TileShape& shape() const { return shape_; }
  [[nodiscard]] std::size_t offset(Field field) const override;
  [[nodiscard]] bool checks_native_stack(const ir::Module& module,
                                         std::uint32_t function) const override;
  /// In functions that call themselves, also by way of others, as far as it sees, ptxas (13.0)
  /// takes branches to go the same way in all lanes of a warp, and keeps values of what joins in
  /// registers that the warp has once. So it must not see the cycle.
  [[nodiscard]] bool calls_by_table(std::uint32_t caller, std::uint32_t callee) const override {
    return in_cycle_[caller] && in_cycle_[callee];
  }

 private:
  abi::TileShape shape_;
  std::vector<bool> in_cycle_;  // by function: among direct calls
  std::vector<bool> calls_;     // by function: others
};

/// Host code for lanes in tiles.
class SimTarget final : public TileTarget {
 public:
  using TileTarget::TileTarget;
  void describe(llvm::Function& function) const override;
  [[nodiscard]] std::unique_ptr<LaneAccess> lane(EmitTypes& types, Builder& builder,
                                                 llvm::Function* function) const override;
};

/// PTX. Helpers are external functions, `warphive_refill` and so on, with the context's generic
/// address.
class NvptxTarget final : public TileTarget {
 public:
  using TileTarget::TileTarget;
  static constexpr unsigned global_space = 1;
  static constexpr unsigned local_space = 5;
  [[nodiscard]] unsigned context_space() const override { return local_space; }
  [[nodiscard]] unsigned data_space() const override { return global_space; }
  [[nodiscard]] bool has_opaque_bits() const override { return true; }
  [[nodiscard]] bool is_divergent() const override { return true; }
  [[nodiscard]] bool has_vectors() const override { return false; }
  void describe(llvm::Function& function) const override;
  [[nodiscard]] std::unique_ptr<LaneAccess> lane(EmitTypes& types, Builder& builder,
                                                 llvm::Function* function) const override;
};

}  // namespace warphive::codegen
