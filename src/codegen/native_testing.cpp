// SPDX-License-Identifier: Apache-2.0
#include "codegen/native_testing.hpp"

#include <pthread.h>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <set>
#include <utility>
#include <vector>

#include "base/check.hpp"
#include "codegen/compiler.hpp"
#include "exec/interp.hpp"
#include "ir/encode.hpp"
#include "warphive/error.hpp"

namespace warphive::codegen::testing {
namespace {

using abi::Exit;
using exec::testing::HostFunction;
using exec::testing::Limits;

template <class T>
T checked(Result<T> result) {
  if (!result) base::check_failed(result.error().describe().c_str());
  return std::move(*result);
}

// What is kept free below compiled code, and some room for it.
constexpr std::size_t little_stack_bytes = (std::size_t{256} + 96) << 10;

void run_on_little_stack(const std::function<void()>& work) {
  pthread_attr_t attributes;
  WARPHIVE_CHECK(pthread_attr_init(&attributes) == 0);
  WARPHIVE_CHECK(pthread_attr_setstacksize(&attributes, little_stack_bytes) == 0);
  pthread_t thread{};
  const auto start = [](void* argument) -> void* {
    (*static_cast<const std::function<void()>*>(argument))();
    return nullptr;
  };
  WARPHIVE_CHECK(
      pthread_create(&thread, &attributes, start, const_cast<std::function<void()>*>(&work)) == 0);
  WARPHIVE_CHECK(pthread_join(thread, nullptr) == 0);
  pthread_attr_destroy(&attributes);
}

class NativeSubject final : public exec::testing::PoolSubject {
 public:
  NativeSubject(const ir::Module& module, const Limits& limits, HostFunction host,
                const NativeOptions& options)
      : PoolSubject(module, limits, std::move(host), true), options_(options) {
    slot_.code = nullptr;
    slot_.want = &NativeSubject::want;
    slot_.owner = this;
    pool_.pool().native = &slot_;
    if (options.start == NativeOptions::Start::compiled) compile();
    if (options.start == NativeOptions::Start::parts) {
      parts_ = checked(PartCompiler::create(module, pool_.program(), {}, {}));
      add_part();
    }
  }

 private:
  struct Slot : abi::NativeSlot {
    NativeSubject* owner = nullptr;
  };

  void run() override {
    if (parts_ != nullptr && runs_++ != 0 && !parts_->done()) add_part();
    do {
      host_cancelled_ = false;
      if (options_.little_stack) {
        run_on_little_stack([this] { exec::run_lane(params_, lane_); });
        serve_wants();
      } else {
        exec::run_lane(params_, lane_);
      }
      stop_ = 0;
    } while (pool_.header().exit == Exit::cancelled && !host_cancelled_);
  }
  void served(Exit exit) override {
    host_cancelled_ = exit == Exit::cancelled;
    if (options_.interrupted) stop_ = 1;
  }

  // Code is made in the middle of a run, unless there is no stack for that.
  static void want(const abi::NativeSlot* slot, std::uint32_t insn) {
    NativeSubject& self = *static_cast<const Slot*>(slot)->owner;
    if (self.options_.interrupted && self.wants_ % 3 == 0) self.stop_ = 1;
    if (self.wants_++ < self.options_.waits) return;
    self.wanted_.push_back(insn);
    if (!self.options_.little_stack) self.serve_wants();
  }
  void serve_wants() {
    for (const std::uint32_t insn : std::exchange(wanted_, {})) {
      if (library_ == nullptr) {
        compile();
      } else if (seen_.size() < options_.variants && seen_.insert(insn).second) {
        add_variant(insn);
      }
    }
  }

  void compile() {
    CompileLimits limits;
    limits.program_instructions = options_.instructions;
    const HostObjects objects = checked(compile_host(module_, pool_.program(), limits));
    library_ = checked(NativeLibrary::load(objects, module_));
    publish();
  }
  void add_part() {
    const HostObjects part = checked(parts_->next(1));
    if (library_ == nullptr) {
      library_ = checked(NativeLibrary::load(part, module_));
    } else {
      WARPHIVE_CHECK(library_->add(part).has_value());
    }
    publish();
  }
  void add_variant(std::uint32_t insn) {
    const LinkedFunctions* linked = parts_ == nullptr ? nullptr : &parts_->linked();
    const HostObjects variant = checked(compile_resume(module_, pool_.program(), insn, linked));
    if (variant.resumes.empty() || !places_.insert(variant.resumes.front()).second) return;
    WARPHIVE_CHECK(library_->add(variant).has_value());
    publish();
  }
  void publish() { __atomic_store_n(&slot_.code, library_->code(), __ATOMIC_RELEASE); }

  const NativeOptions options_;
  bool host_cancelled_ = false;  // the latest host call did, for good
  Slot slot_;
  std::unique_ptr<PartCompiler> parts_;
  std::unique_ptr<NativeLibrary> library_;
  std::uint32_t runs_ = 0;
  std::uint32_t wants_ = 0;
  std::vector<std::uint32_t> wanted_;
  std::set<std::uint32_t> seen_;    // instructions that a variant was made for, or could not be
  std::set<std::uint32_t> places_;  // of variants
};

}  // namespace

std::unique_ptr<exec::testing::Subject> make_native(const ir::Module& module, const Limits& limits,
                                                    HostFunction host,
                                                    const NativeOptions& options) {
  return std::make_unique<NativeSubject>(module, limits, std::move(host), options);
}

}  // namespace warphive::codegen::testing
