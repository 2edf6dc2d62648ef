// SPDX-License-Identifier: Apache-2.0
#include "runtime/results.hpp"

#include "base/check.hpp"
#include "runtime/batch_buffers.hpp"

namespace warphive::runtime {

Results::Results(std::unique_ptr<ResultBuffers> buffers, std::shared_ptr<ResultPool> pool)
    : buffers_(std::move(buffers)), pool_(std::move(pool)) {}
Results::Results(Results&&) noexcept = default;
Results& Results::operator=(Results&& other) noexcept {
  std::swap(buffers_, other.buffers_);
  std::swap(pool_, other.pool_);
  return *this;
}
Results::~Results() {
  if (buffers_ != nullptr) pool_->give_back(std::move(buffers_));
}

std::size_t Results::size() const { return buffers_->entries.size(); }
InstanceId Results::id(std::size_t i) const {
  WARPHIVE_CHECK(i < size());
  return buffers_->entries[i].id;
}
std::uint64_t Results::ordinal(std::size_t i) const {
  WARPHIVE_CHECK(i < size());
  return buffers_->entries[i].ordinal;
}
const kernels::Outcome& Results::outcome(std::size_t i) const {
  WARPHIVE_CHECK(i < size());
  return buffers_->outcomes_at()[i];
}
std::uint32_t Results::function(std::size_t i) const { return outcome(i).function; }
const Program& Results::program(std::size_t i) const {
  WARPHIVE_CHECK(i < size());
  return *buffers_->programs[buffers_->entries[i].program];
}

std::span<const std::uint64_t> Results::values(std::size_t i) const {
  const kernels::Outcome& last = outcome(i);
  if (last.exit != abi::Exit::returned) return {};
  return {buffers_->values_at() + buffers_->entries[i].first_value,
          program(i).result_slots[last.function]};
}

std::optional<ir::Location> Results::location(std::size_t i) const {
  const kernels::Outcome& last = outcome(i);
  const Program& owner = program(i);
  if (last.exit != abi::Exit::trapped || last.pc >= owner.encoded.insns.size()) return std::nullopt;
  const ir::Location location = ir::locate(owner.encoded, last.pc);
  if (location.function >= owner.module.functions.size() ||
      location.inst >= owner.module.functions[location.function].code.size()) {
    return std::nullopt;
  }
  return location;
}

std::string_view Results::out(std::size_t i) const {
  WARPHIVE_CHECK(i < size());
  const std::uint32_t text = buffers_->entries[i].text_index;
  if (text == ir::none) return {};
  const TextRange& range = buffers_->texts[text];
  return {buffers_->text.data() + range.at, range.out_bytes};
}
std::string_view Results::err(std::size_t i) const {
  WARPHIVE_CHECK(i < size());
  const std::uint32_t text = buffers_->entries[i].text_index;
  if (text == ir::none) return {};
  const TextRange& range = buffers_->texts[text];
  return {buffers_->text.data() + range.at + range.out_bytes, range.err_bytes};
}

std::uint64_t Results::count(abi::Exit exit) const {
  return buffers_->exits[static_cast<std::size_t>(exit)];
}
std::uint64_t Results::instructions() const { return buffers_->instructions; }
std::chrono::nanoseconds Results::spawn_time() const {
  return std::chrono::nanoseconds(buffers_->spawn_ns);
}
std::chrono::nanoseconds Results::run_time() const {
  return std::chrono::nanoseconds(buffers_->run_ns);
}
std::chrono::nanoseconds Results::harvest_time() const {
  return std::chrono::nanoseconds(buffers_->harvest_ns);
}

}  // namespace warphive::runtime
