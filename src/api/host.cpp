// SPDX-License-Identifier: Apache-2.0
#include "warphive/host.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <stdexcept>

#include "api/data.hpp"

namespace warphive::detail {
namespace {

/// A call as users see it. Results go to a buffer of their own, since they share slots with the
/// arguments. What it throws ends as a trap of the call.
class UserCall final : public HostCall {
 public:
  UserCall(sys::HostCall& call, const ir::FunctionType& type) : call_(&call), type_(&type) {
    if (type.results.size() > few_.size()) many_.resize(type.results.size());
  }

  [[nodiscard]] std::uint64_t ordinal() const override { return call_->header->ordinal; }
  [[nodiscard]] Value arg(std::size_t i) const override {
    if (i >= type_->params.size()) throw std::out_of_range("argument of a host call");
    return value_of(type_->params[i], call_->values[i]);
  }
  void set_result(std::size_t i, Value value) override {
    if (i >= type_->results.size()) throw std::out_of_range("result of a host call");
    if (to_internal(value.type) != type_->results[i]) {
      throw std::invalid_argument("type of a host call's result");
    }
    (many_.empty() ? few_[i] : many_[i]) = slot_of(value);
  }
  [[nodiscard]] std::uint64_t memory_size() const override { return call_->memory->size(); }
  [[nodiscard]] bool read_memory(std::uint64_t address, std::span<std::byte> to) const override {
    return call_->memory->read(address, to);
  }
  [[nodiscard]] bool write_memory(std::uint64_t address, std::span<const std::byte> from) override {
    return call_->memory->write(address, from);
  }
  void write_stdout(std::string_view text) override {
    sys::append_out(*call_, std::as_bytes(std::span(text)));
  }
  void trap() override {
    call_->verdict = abi::Exit::trapped;
    call_->header->trap = abi::TrapKind::host;
  }
  void exit(std::int32_t code) override {
    call_->verdict = abi::Exit::exited;
    call_->header->exit_code = code;
  }

  void finish() {
    if (call_->verdict == abi::Exit::ready) {
      const std::uint64_t* const results = many_.empty() ? few_.data() : many_.data();
      std::copy_n(results, type_->results.size(), call_->values.begin());
    }
  }

 private:
  sys::HostCall* call_;  // borrowed, likewise the next
  const ir::FunctionType* type_;
  std::array<std::uint64_t, 4> few_ = {};  // results, or
  std::vector<std::uint64_t> many_;
};

}  // namespace

sys::HostFunction adapt(HostFunction function, const ir::FunctionType& type) {
  return [function = std::move(function), type](std::span<sys::HostCall> calls) {
    if (calls.size() == 1) {
      UserCall call(calls[0], type);
      HostCall* const pointer = &call;
      function({&pointer, 1});
      call.finish();
      return;
    }
    std::vector<UserCall> adapted;
    std::vector<HostCall*> pointers;
    adapted.reserve(calls.size());
    for (sys::HostCall& call : calls) pointers.push_back(&adapted.emplace_back(call, type));
    function(pointers);
    for (UserCall& call : adapted) call.finish();
  };
}

}  // namespace warphive::detail
