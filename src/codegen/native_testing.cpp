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
using exec::testing::HostView;
using exec::testing::Limits;
using exec::testing::Outcome;
using exec::testing::TestPool;

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

class NativeSubject final : public exec::testing::Subject {
 public:
  NativeSubject(const ir::Module& module, const Limits& limits, HostFunction host,
                const NativeOptions& options)
      : module_(module), options_(options), pool_(module, limits, true), host_(std::move(host)) {
    params_ = {.pools = &pool_.pool(),
               .lanes = &lane_,
               .stop = &stop_,
               .host_call = host_ ? &NativeSubject::serve : nullptr,
               .host_context = this,
               .quantum = limits.quantum};
    pool_.header().fuel_left = limits.fuel;
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
  ~NativeSubject() override { WARPHIVE_CHECK(pool_.neighbours_untouched()); }

  Outcome call(std::uint32_t function, std::vector<std::uint64_t> args) override {
    abi::InstanceHeader& header = pool_.header();
    header.exit = Exit::ready;
    header.trap = abi::TrapKind::none;
    header.exit_code = 0;
    if (!exec::begin_call(pool_.pool(), TestPool::slot, function, args.data())) return outcome();
    return resume();
  }
  Outcome resume() override {
    if (parts_ != nullptr && runs_++ != 0 && !parts_->done()) add_part();
    for (;;) {
      host_cancelled_ = false;
      if (options_.little_stack) {
        run_on_little_stack([this] { exec::run_lane(params_, lane_); });
        serve_wants();
      } else {
        exec::run_lane(params_, lane_);
      }
      stop_ = 0;
      if (pool_.header().exit != Exit::cancelled || host_cancelled_) return outcome();
    }
  }
  void set_fuel(std::uint64_t fuel) override { pool_.header().fuel_left = fuel; }
  void answer(std::span<const std::uint64_t> values) override {
    std::copy(values.begin(), values.end(), pool_.stack() + pool_.header().base);
  }
  std::vector<std::uint8_t> memory(std::uint32_t index) override {
    const std::uint8_t* first = pool_.memory(index);
    return {first, first + std::size_t{pool_.memory_pages(index)} * abi::page_bytes};
  }
  void write_memory(std::uint32_t index, std::uint64_t at,
                    std::span<const std::uint8_t> bytes) override {
    std::copy(bytes.begin(), bytes.end(), pool_.memory(index) + at);
  }
  std::vector<std::uint64_t> table(std::uint32_t index) override {
    const std::uint64_t* first = pool_.table(index);
    return {first, first + pool_.table_size(index)};
  }
  void set_element(std::uint32_t table, std::uint32_t index, std::uint64_t value) override {
    pool_.table(table)[index] = value;
  }
  std::vector<std::uint64_t> globals() override {
    return {pool_.globals(), pool_.globals() + ir::global_slots(module_).back()};
  }
  void set_global(std::uint32_t index, std::uint64_t value) override {
    pool_.globals()[index] = value;
  }
  std::uint32_t grow_refused() override { return pool_.header().grow_refused; }

 private:
  struct Slot : abi::NativeSlot {
    NativeSubject* owner = nullptr;
  };

  static Exit serve(const abi::RunParams* params, const abi::Pool* pool, abi::LaneRef lane,
                    std::uint32_t import, std::uint64_t* values) {
    auto* self = static_cast<NativeSubject*>(params->host_context);
    abi::InstanceHeader& header = pool->headers[lane.slot];
    const ir::FunctionType& type = self->module_.types[self->module_.host_imports[import].type];
    HostView view{.import = import,
                  .values = {values, std::max(type.params.size(), type.results.size())},
                  .fuel_used = header.fuel_used};
    const Exit exit = self->host_(view);
    header.exit_code = view.exit_code;
    header.trap = view.trap;
    self->host_cancelled_ = exit == Exit::cancelled;
    if (self->options_.interrupted) self->stop_ = 1;
    return exit;
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

  [[nodiscard]] Outcome outcome() {
    const abi::InstanceHeader& header = pool_.header();
    Outcome out{.exit = header.exit,
                .trap = header.trap,
                .results = {},
                .fuel_used = header.fuel_used,
                .fuel_left = header.fuel_left,
                .exit_code = header.exit_code};
    if (header.exit == Exit::returned) {
      WARPHIVE_CHECK(header.base == 0 && header.depth == 0);
      const ir::FunctionType& type = module_.types[module_.functions[header.entry].type];
      out.results.assign(pool_.stack(), pool_.stack() + ir::result_slots(type));
    } else if (header.exit == Exit::trapped && header.depth == 0) {
      out.function = header.entry;  // the bottom frame did not fit
    } else if (header.exit != Exit::exited) {
      const ir::Location where = ir::locate(pool_.program(), header.pc);
      out.function = where.function;
      out.inst = where.inst;
    }
    return out;
  }

  const ir::Module& module_;
  const NativeOptions options_;
  TestPool pool_;
  HostFunction host_;
  abi::LaneRef lane_{.pool = 0, .slot = TestPool::slot};
  std::uint32_t stop_ = 0;
  bool host_cancelled_ = false;  // the latest host call did, for good
  abi::RunParams params_{};
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
