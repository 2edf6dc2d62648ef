// SPDX-License-Identifier: Apache-2.0
// What a dispatch left: flat arrays in buffers that return to their swarm's pool.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "ir/encode.hpp"
#include "kernels/params.hpp"
#include "runtime/program.hpp"
#include "warphive/types.hpp"

namespace warphive::runtime {

struct ResultBuffers;
class ResultPool;

/// In the order of the calls. Move-only; may outlive the swarm.
class Results {
 public:
  Results(std::unique_ptr<ResultBuffers> buffers, std::shared_ptr<ResultPool> pool);
  Results(Results&&) noexcept;
  Results& operator=(Results&&) noexcept;
  ~Results();

  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] InstanceId id(std::size_t i) const;
  [[nodiscard]] std::uint64_t ordinal(std::size_t i) const;
  /// Checked: enumerators are in range and sizes within capacities.
  [[nodiscard]] const kernels::Outcome& outcome(std::size_t i) const;
  /// Slot values where the call returned, else empty.
  [[nodiscard]] std::span<const std::uint64_t> values(std::size_t i) const;
  /// The function that was called last: the entry, or a start function that stopped.
  [[nodiscard]] std::uint32_t function(std::size_t i) const;
  [[nodiscard]] const Program& program(std::size_t i) const;
  /// Where a trapped instance stopped; empty for others, and where the position makes no sense.
  [[nodiscard]] std::optional<ir::Location> location(std::size_t i) const;
  /// Standard output and error since spawn or reset.
  [[nodiscard]] std::string_view out(std::size_t i) const;
  [[nodiscard]] std::string_view err(std::size_t i) const;

  [[nodiscard]] std::uint64_t count(abi::Exit exit) const;
  [[nodiscard]] std::uint64_t instructions() const;  // of this dispatch, or all waves
  /// Of waves: making instances, and making them new.
  [[nodiscard]] std::chrono::nanoseconds spawn_time() const;
  [[nodiscard]] std::chrono::nanoseconds run_time() const;
  [[nodiscard]] std::chrono::nanoseconds harvest_time() const;

 private:
  friend class Swarm;  // appends waves
  std::unique_ptr<ResultBuffers> buffers_;
  std::shared_ptr<ResultPool> pool_;
};

}  // namespace warphive::runtime
