// SPDX-License-Identifier: Apache-2.0
// A sparse table from dense instance numbers to state that few instances have.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace warphive::sys {

/// A tree of three levels, published without locks. Calls about distinct instances may run
/// concurrently; calls about one instance must be ordered by the caller. Owns what it holds.
template <class T>
class InstanceTable {
 public:
  InstanceTable() = default;
  InstanceTable(const InstanceTable&) = delete;
  InstanceTable& operator=(const InstanceTable&) = delete;
  ~InstanceTable() {
    for (std::atomic<Middle*>& place : root_) {
      Middle* middle = place.load(std::memory_order_relaxed);
      if (middle == nullptr) continue;
      for (std::atomic<Leaf*>& below : *middle) {
        Leaf* leaf = below.load(std::memory_order_relaxed);
        if (leaf == nullptr) continue;
        for (std::atomic<T*>& item : *leaf) delete item.load(std::memory_order_relaxed);
        delete leaf;
      }
      delete middle;
    }
  }

  /// Null where there is none.
  [[nodiscard]] T* find(std::uint32_t index) const {
    const Middle* middle =
        root_[index >> (middle_bits + leaf_bits)].load(std::memory_order_acquire);
    if (middle == nullptr) return nullptr;
    const Leaf* leaf =
        (*middle)[(index >> leaf_bits) % middle->size()].load(std::memory_order_acquire);
    if (leaf == nullptr) return nullptr;
    return (*leaf)[index % leaf->size()].load(std::memory_order_acquire);
  }

  /// Makes a default one where there is none.
  T& obtain(std::uint32_t index) {
    Middle& middle = level(root_[index >> (middle_bits + leaf_bits)]);
    Leaf& leaf = level(middle[(index >> leaf_bits) % middle.size()]);
    return level(leaf[index % leaf.size()]);
  }

  void erase(std::uint32_t index) {
    if (find(index) == nullptr) return;
    Middle& middle = *root_[index >> (middle_bits + leaf_bits)].load(std::memory_order_acquire);
    Leaf& leaf = *middle[(index >> leaf_bits) % middle.size()].load(std::memory_order_acquire);
    delete leaf[index % leaf.size()].exchange(nullptr, std::memory_order_acq_rel);
  }

 private:
  static constexpr unsigned leaf_bits = 10;
  static constexpr unsigned middle_bits = 11;
  static constexpr unsigned root_bits = 11;
  static_assert(leaf_bits + middle_bits + root_bits == 32);
  using Leaf = std::array<std::atomic<T*>, std::size_t{1} << leaf_bits>;
  using Middle = std::array<std::atomic<Leaf*>, std::size_t{1} << middle_bits>;

  template <class Node>
  static Node& level(std::atomic<Node*>& place) {
    Node* there = place.load(std::memory_order_acquire);
    if (there != nullptr) return *there;
    auto made = std::make_unique<Node>();
    if (place.compare_exchange_strong(there, made.get(), std::memory_order_acq_rel)) {
      return *made.release();
    }
    return *there;  // another thread was faster
  }

  std::array<std::atomic<Middle*>, std::size_t{1} << root_bits> root_{};
};

}  // namespace warphive::sys
