// SPDX-License-Identifier: Apache-2.0
#include "codegen/tier.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace warphive::codegen {
namespace {

// Polls of interpreted lanes (some 4,096 units of fuel each) before a program is worth compiling:
// about three milliseconds of one core.
constexpr std::uint32_t hot_polls = 1000;
constexpr std::uint32_t most_variants = 256;
// Instructions of a program's first part; each one that follows is twice as large.
constexpr std::uint64_t first_part = 250;

}  // namespace

std::vector<std::uint32_t> hottest_functions(const ir::Module& module,
                                             const ir::EncodedProgram& encoded,
                                             std::span<const std::uint32_t> samples) {
  std::vector<std::uint32_t> found(module.functions.size());
  std::vector<std::uint32_t> order;
  for (const std::uint32_t insn : samples) {
    const ir::Location at = ir::locate(encoded, insn);
    if (at.function != ir::none && found[at.function]++ == 0) order.push_back(at.function);
  }
  std::vector<double> gain(module.functions.size());
  for (const std::uint32_t function : order) {
    gain[function] = found[function] / static_cast<double>(size_of(module.functions[function]) + 1);
  }
  std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
    return gain[a] != gain[b] ? gain[a] > gain[b] : a < b;
  });
  for (std::size_t i = 0; i < order.size(); ++i) {
    for (const ir::Inst& inst : module.functions[order[i]].code) {
      if (inst.op != ir::Op::call) continue;
      const std::uint32_t callee = ir::imm_low(inst);
      if (found[callee]++ == 0) order.push_back(callee);
    }
  }
  return order;
}

std::shared_ptr<ProgramTier> ProgramTier::make(std::weak_ptr<const void> owner,
                                               const ir::Module& module,
                                               const ir::EncodedProgram& encoded,
                                               TierServices services) {
  return std::make_shared<ProgramTier>(std::move(owner), module, encoded, std::move(services));
}

ProgramTier::ProgramTier(std::weak_ptr<const void> owner, const ir::Module& module,
                         const ir::EncodedProgram& encoded, TierServices services)
    : owner_(std::move(owner)), module_(module), encoded_(encoded), services_(std::move(services)) {
  slot_.code = nullptr;
  slot_.want = want;
  slot_.tier = this;
}

ProgramTier::~ProgramTier() = default;

void ProgramTier::want(const abi::NativeSlot* slot, std::uint32_t insn) {
  static_cast<const Slot*>(slot)->tier->note(insn);
}

void ProgramTier::note(std::uint32_t insn) {
  const bool has_code = __atomic_load_n(&slot_.code, __ATOMIC_RELAXED) != nullptr;
  if (!has_code) {
    const std::uint32_t heat = heat_.fetch_add(1, std::memory_order_relaxed);
    samples_[heat % samples_.size()].store(insn, std::memory_order_relaxed);
    if (heat + 1 != hot_polls) return;
  } else {
    if (last_wanted_.exchange(insn, std::memory_order_relaxed) == insn) return;
  }
  const std::lock_guard lock(mutex_);
  if (has_code) {
    if (seen_.size() >= most_variants || !seen_.insert(insn).second) return;
    wanted_.push_back(insn);
  } else if (status_.state != TierState::cold) {
    return;
  }
  if (queued_) return;
  enqueue();
  if (queued_ && !has_code) status_.state = TierState::queued;
}

void ProgramTier::enqueue() {
  const std::shared_ptr<CompileQueue> queue = services_.queue.lock();
  queued_ = queue != nullptr && queue->add(shared_from_this());
}

/// Of those that wait: what looks for code is done soon, so it goes first.
std::uint32_t ProgramTier::urgency() const {
  return looks_up_.load(std::memory_order_relaxed) ? ~0u : heat_.load(std::memory_order_relaxed);
}

const Digest& ProgramTier::key() {
  const CompileLimits& limits = services_.limits;
  if (!key_) {
    key_ = program_digest(
        module_, encoded_,
        fmt::format("program, up to {} {} {} {}", limits.program_instructions, limits.code_bytes,
                    limits.function.instructions, limits.function.slot_records));
  }
  return *key_;
}

Status ProgramTier::use(HostObjects objects, std::chrono::steady_clock::time_point start,
                        bool from_cache) {
  auto library = NativeLibrary::load(objects, module_);
  if (!library) return tl::unexpected(std::move(library.error()));
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
  {
    const std::lock_guard lock(mutex_);
    library_ = std::move(*library);
    for (const Compiled compiled : objects.functions) {
      ++(compiled == Compiled::no ? status_.interpreted : status_.functions);
    }
    status_.reasons = std::move(objects.reasons);
    status_.compile_seconds = taken.count();
    status_.from_cache = from_cache;
    status_.state = TierState::ready;
  }
  publish();
  return {};
}

void ProgramTier::load_cached() {
  if (services_.cache == nullptr) return;
  if (encoded_.insns.size() <= services_.most_insns_at_once) {
    (void)use_cached();
    return;
  }
  const std::lock_guard lock(mutex_);
  looks_up_.store(true, std::memory_order_relaxed);
  enqueue();
}

bool ProgramTier::use_cached() {
  if (services_.cache == nullptr) return false;
  const auto start = std::chrono::steady_clock::now();
  std::optional<HostObjects> objects = services_.cache->find(key());
  return objects && objects->functions.size() == module_.functions.size() &&
         use(std::move(*objects), start, true).has_value();
}

Status ProgramTier::compile_program(const std::atomic<bool>* stop) {
  if (use_cached()) return {};
  const auto start = std::chrono::steady_clock::now();
  CompileLimits limits = services_.limits;
  limits.stop = stop;
  auto objects = compile_host(module_, encoded_, limits);
  if (!objects) return tl::unexpected(std::move(objects.error()));
  // A cache that cannot be written costs the next run its start, and this one nothing.
  if (services_.cache != nullptr && !objects->ran_out) {
    (void)services_.cache->store(key(), *objects);
  }
  return use(std::move(*objects), start, false);
}

void ProgramTier::publish() { __atomic_store_n(&slot_.code, library_->code(), __ATOMIC_RELEASE); }

Status ProgramTier::compile() { return compile_until(nullptr); }

Status ProgramTier::compile_until(const std::atomic<bool>* stop) {
  {
    const std::lock_guard lock(mutex_);
    status_.state = TierState::compiling;
  }
  Status status = compile_program(stop);
  if (!status) fail(status.error());
  return status;
}

void ProgramTier::fail(const Error& error) {
  const std::lock_guard lock(mutex_);
  status_.state = TierState::failed;
  status_.reason = error.message();
}

/// The next part of the program, small ones first: lanes use each once it is there.
void ProgramTier::compile_part(const std::atomic<bool>& stop) {
  if (parts_ == nullptr) {
    {
      const std::lock_guard lock(mutex_);
      status_.state = TierState::compiling;
    }
    if (use_cached()) return;
    start_ = std::chrono::steady_clock::now();
    CompileLimits limits = services_.limits;
    limits.stop = &stop;
    std::vector<std::uint32_t> samples(std::min<std::size_t>(heat_.load(), samples_.size()));
    for (std::size_t i = 0; i < samples.size(); ++i) {
      samples[i] = samples_[i].load(std::memory_order_relaxed);
    }
    auto parts = PartCompiler::create(module_, encoded_, limits,
                                      hottest_functions(module_, encoded_, samples));
    if (!parts) return fail(parts.error());
    parts_ = std::move(*parts);
    made_ = {};
    part_size_ = first_part;
  }
  auto part = parts_->next(part_size_);
  if (!part) {
    parts_.reset();
    return fail(part.error());
  }
  part_size_ = std::min(part_size_ * 2, part_instructions);
  Status added;
  if (library_ == nullptr) {
    auto library = NativeLibrary::load(*part, module_);
    if (library) {
      const std::lock_guard lock(mutex_);
      library_ = std::move(*library);
    } else {
      added = tl::unexpected(std::move(library.error()));
    }
  } else {
    added = library_->add(*part);
  }
  if (!added) {
    parts_.reset();
    return fail(added.error());
  }
  publish();
  append(made_, std::move(*part));
  const bool done = parts_->done();
  {
    const std::lock_guard lock(mutex_);
    status_.functions = status_.interpreted = 0;
    for (std::size_t i = 0; i < made_.functions.size(); ++i) {
      if (!parts_->linked()[i]) continue;
      ++(made_.functions[i] == Compiled::no ? status_.interpreted : status_.functions);
    }
    status_.reasons = made_.reasons;
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start_;
    status_.compile_seconds = taken.count();
    if (done) status_.state = TierState::ready;
  }
  if (!done) return;
  parts_.reset();
  // A cache that cannot be written costs the next run its start, and this one nothing.
  if (services_.cache != nullptr && !made_.ran_out) (void)services_.cache->store(key(), made_);
  made_ = {};
}

/// Whether a variant is worth it before all of the program is compiled: one for each function that
/// has code, since what lanes are stopped at then is often a call of one that has none yet.
bool ProgramTier::enters_early(std::uint32_t insn) {
  const std::uint32_t function = ir::locate(encoded_, insn).function;
  return function != ir::none && parts_->linked()[function] && entered_.insert(function).second;
}

void ProgramTier::compile_variant(std::uint32_t insn) {
  auto variant =
      compile_resume(module_, encoded_, insn, parts_ == nullptr ? nullptr : &parts_->linked());
  if (!variant || variant->resumes.empty()) return;
  const std::uint32_t place = variant->resumes.front();
  if (std::find(places_.begin(), places_.end(), place) != places_.end()) return;
  places_.push_back(place);
  if (!library_->add(*variant)) return;
  publish();
  const std::lock_guard lock(mutex_);
  ++status_.variants;
}

void ProgramTier::run(const std::atomic<bool>& stop) {
  const std::shared_ptr<const void> owner = owner_.lock();
  if (owner != nullptr && looks_up_.exchange(false)) (void)use_cached();
  for (;;) {
    std::uint32_t insn = 0;
    {
      const std::lock_guard lock(mutex_);
      // It may have become hot while its code was looked for.
      const bool wanted = library_ != nullptr
                              ? !wanted_.empty() || parts_ != nullptr
                              : heat_.load(std::memory_order_relaxed) >= hot_polls &&
                                    status_.state != TierState::failed;
      if (owner == nullptr || !wanted || stop.load()) {
        queued_ = false;
        idle_.notify_all();
        return;
      }
      if (library_ != nullptr && !wanted_.empty()) {
        insn = wanted_.back();
        wanted_.pop_back();
        if (parts_ != nullptr && !enters_early(insn)) {
          seen_.erase(insn);  // to be asked for again
          last_wanted_.store(~0u, std::memory_order_relaxed);
          insn = 0;
        }
      }
    }
    // Where lanes are now comes before what they may call later.
    if (insn != 0) {
      compile_variant(insn);
    } else {
      compile_part(stop);
    }
  }
}

TierStatus ProgramTier::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

void ProgramTier::wait_until_idle() const {
  std::unique_lock lock(mutex_);
  idle_.wait(lock, [&] { return !queued_; });
}

}  // namespace warphive::codegen
