// SPDX-License-Identifier: Apache-2.0
#include "runtime/device_code.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "base/result.hpp"
#include "codegen/cache.hpp"
#include "kernels/host.hpp"
#include "kernels/params.hpp"

namespace warphive::runtime {
namespace {

// IR instructions of a large program's first part: some 1 to 2 s of the device's own compiler, with
// the places where code can go on.
constexpr std::uint64_t first_part = 10'000;
// Of a unit: some 0.3 s, after which a stop is looked at.
constexpr std::uint64_t unit_bytes = std::uint64_t{64} << 10;
constexpr std::size_t most_samples = 1024;
// IR instructions of functions that lanes were found inside of, beyond the first: code to go on is
// a copy of its function.
constexpr std::uint64_t most_in_places = 2000;

/// Where lanes stood inside of functions, the most often first.
std::vector<std::uint32_t> places(const ir::Module& module, const ir::EncodedProgram& encoded,
                                  std::span<const std::uint32_t> samples) {
  std::map<std::uint32_t, std::size_t> counts;
  for (const std::uint32_t insn : samples) {
    if (ir::locate(encoded, insn).inst != 0) ++counts[insn];
  }
  std::vector<std::uint32_t> order;
  order.reserve(counts.size());
  for (const auto& [insn, count] : counts) order.push_back(insn);
  std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
    return counts[a] != counts[b] ? counts[a] > counts[b] : a < b;
  });
  std::set<std::uint32_t> copied;
  std::uint64_t size = 0;
  std::size_t kept = 0;
  for (; kept < order.size(); ++kept) {
    const std::uint32_t function = ir::locate(encoded, order[kept]).function;
    if (copied.insert(function).second) size += codegen::size_of(module.functions[function]);
    if (kept != 0 && size > most_in_places) break;
  }
  order.resize(kept);
  return order;
}

Result<const abi::NativeCode*> find_native(const hal::Executable& executable) {
  WARPHIVE_TRY_ASSIGN(const std::uint64_t address, executable.address(codegen::native_code_symbol));
  // NOLINTNEXTLINE(performance-no-int-to-ptr): a place on the device
  return reinterpret_cast<const abi::NativeCode*>(std::uintptr_t{address});
}

}  // namespace

std::shared_ptr<DeviceTier> DeviceTier::make(std::weak_ptr<const void> owner,
                                             const ir::Module& module,
                                             const ir::EncodedProgram& encoded,
                                             std::shared_ptr<hal::Device> device,
                                             codegen::TierServices services) {
  return std::make_shared<DeviceTier>(std::move(owner), module, encoded, std::move(device),
                                      std::move(services));
}

DeviceTier::DeviceTier(std::weak_ptr<const void> owner, const ir::Module& module,
                       const ir::EncodedProgram& encoded, std::shared_ptr<hal::Device> device,
                       codegen::TierServices services)
    : owner_(std::move(owner)),
      module_(module),
      encoded_(encoded),
      device_(std::move(device)),
      services_(std::move(services)),
      settled_(services_.queue.expired()),
      cold_(!settled_) {}

codegen::Digest DeviceTier::key() const {
  const codegen::CompileLimits& limits = services_.limits;
  return codegen::program_digest(
      module_, encoded_,
      fmt::format("linked for {}, up to {} {} {} {}", device_->info().code_kind,
                  limits.program_instructions, limits.code_bytes, limits.function.instructions,
                  limits.function.slot_records));
}

std::optional<codegen::HostObjects> DeviceTier::find_cached() {
  if (services_.cache == nullptr) return std::nullopt;
  std::optional<codegen::HostObjects> found = services_.cache->find(key());
  const bool is_whole =
      found && found->objects.size() == 1 && found->functions.size() == module_.functions.size();
  return is_whole ? std::move(found) : std::nullopt;
}

void DeviceTier::store(const codegen::HostObjects& program) {
  // A cache that cannot be written costs the next run its start, and this one nothing.
  if (services_.cache != nullptr && !program.ran_out) (void)services_.cache->store(key(), program);
}

Result<codegen::HostObjects> DeviceTier::link(const codegen::DeviceOptions& options) {
  WARPHIVE_TRY_ASSIGN(const auto linker, device_->create_linker(kernels::lane_registers));
  WARPHIVE_TRY(linker->add(kernels::compiled_part()));
  WARPHIVE_TRY_ASSIGN(codegen::PtxProgram program,
                      codegen::compile_ptx(module_, encoded_, options, [&](std::string_view unit) {
                        return linker->add(unit);
                      }));
  WARPHIVE_TRY_ASSIGN(const std::vector<std::byte> binary, linker->finish());
  const auto* first = reinterpret_cast<const char*>(binary.data());
  codegen::HostObjects made;
  made.objects.emplace_back(first, first + binary.size());
  made.functions = std::move(program.functions);
  made.resumes = std::move(program.resumes);
  made.reasons = std::move(program.reasons);
  made.ran_out = program.ran_out;
  return made;
}

Status DeviceTier::load(Made made, LoadGate& gate) {
  const std::vector<char>& binary = made.program.objects.front();
  auto code = std::make_unique<DeviceCode>();
  code->device = device_;
  {
    const LoadGate::Load nothing_runs(gate);
    WARPHIVE_TRY_ASSIGN(code->executable,
                        device_->load(kernels::compiled_image(std::as_bytes(std::span(binary)))));
    WARPHIVE_TRY_ASSIGN(const auto queue, device_->create_queue());
    const kernels::RunLanes nobody = {};
    WARPHIVE_TRY(queue->dispatch(*code->executable, hal::KernelId::run, hal::params_of(nobody), 0));
    WARPHIVE_TRY(queue->synchronise());
  }
  WARPHIVE_TRY_ASSIGN(code->native, find_native(*code->executable));
  const std::chrono::duration<double> taken = Clock::now() - made.start;
  const auto& functions = made.program.functions;
  const std::lock_guard lock(mutex_);
  codes_.push_back(std::move(code));
  status_.state = codegen::TierState::ready;
  status_.compile_seconds = taken.count();
  status_.from_cache = made.from_cache;
  const auto left = std::count(functions.begin(), functions.end(), codegen::Compiled::no);
  status_.functions = static_cast<std::uint32_t>(functions.size() - static_cast<std::size_t>(left));
  if (made.is_all) {
    status_.interpreted = static_cast<std::uint32_t>(left);
    status_.reasons = made.program.reasons;
    settled_ = true;
    kept_ = std::move(made.program);
  }
  cold_ = false;
  return {};
}

std::shared_ptr<DeviceTier> DeviceTier::moved_to(std::shared_ptr<hal::Device> device) const {
  auto moved = make(owner_, module_, encoded_, std::move(device), services_);
  const std::lock_guard lock(mutex_);
  if (kept_) {
    moved->made_ = Made{*kept_, Clock::now(), status_.from_cache};
    moved->status_ = status_;
    moved->cold_ = false;
  }
  return moved;
}

std::shared_ptr<DeviceTier> DeviceTiers::on(const std::shared_ptr<hal::Device>& device) {
  const std::lock_guard lock(mutex_);
  const hal::Device& current = tier_->device();
  if (&current == device.get()) return tier_;
  if (!current.lost() || current.info().code_kind != device->info().code_kind) return nullptr;
  tier_ = tier_->moved_to(device);
  return tier_;
}

std::shared_ptr<DeviceTier> DeviceTiers::latest() const {
  const std::lock_guard lock(mutex_);
  return tier_;
}

void DeviceTier::fail(const Error& error) {
  const std::lock_guard lock(mutex_);
  status_.reason = error.message();
  if (made_) {
    made_->is_all = true;
  } else {
    settled_ = true;
    if (codes_.empty()) status_.state = codegen::TierState::failed;
  }
  cold_ = false;
}

Status DeviceTier::compile(LoadGate& gate) {
  const Clock::time_point start = Clock::now();
  std::optional<codegen::HostObjects> found = find_cached();
  if (found && load({std::move(*found), start, true}, gate)) return {};
  codegen::DeviceOptions options;
  options.limits = services_.limits;
  WARPHIVE_TRY_ASSIGN(codegen::HostObjects program, link(options));
  WARPHIVE_TRY(load({program, start}, gate));
  store(program);
  return {};
}

void DeviceTier::load_cached(LoadGate& gate) {
  const Clock::time_point start = Clock::now();
  std::optional<codegen::HostObjects> found = find_cached();
  if (found) (void)load({std::move(*found), start, true}, gate);
}

const DeviceCode* DeviceTier::latest() const {
  return codes_.empty() ? nullptr : codes_.back().get();
}

const DeviceCode* DeviceTier::code(LoadGate& gate) {
  const std::lock_guard loading(load_mutex_);
  std::optional<Made> made;
  {
    const std::lock_guard lock(mutex_);
    if (!made_) return latest();
    std::swap(made, made_);
  }
  if (const Status loaded = load(std::move(*made), gate); !loaded) fail(loaded.error());
  const std::lock_guard lock(mutex_);
  return latest();
}

void DeviceTier::offer(Made made) {
  const std::lock_guard lock(mutex_);
  made_ = std::move(made);
  for (const Watch* watch : watches_) watch->leave_();
}

void DeviceTier::note(std::uint64_t units, std::span<const std::uint32_t> insns) {
  const std::shared_ptr<codegen::CompileQueue> queue = services_.queue.lock();
  const std::uint64_t heat = heat_.fetch_add(units, std::memory_order_relaxed) + units;
  const std::lock_guard lock(mutex_);
  const std::size_t room = most_samples - samples_.size();
  insns = insns.first(std::min(insns.size(), room));
  samples_.insert(samples_.end(), insns.begin(), insns.end());
  if (heat < hot_units || queued_ || !is_cold()) return;
  if (queue == nullptr || !queue->add(shared_from_this())) return;
  queued_ = true;
  cold_ = false;
  status_.state = codegen::TierState::queued;
}

std::uint32_t DeviceTier::urgency() const {
  constexpr std::uint64_t most = ~std::uint32_t{0};
  return static_cast<std::uint32_t>(std::min(heat_.load(std::memory_order_relaxed), most));
}

void DeviceTier::run(const std::atomic<bool>& stop) {
  const std::shared_ptr<const void> owner = owner_.lock();
  Status status;
  if (owner != nullptr) status = make_in_parts(stop);
  if (!status) fail(status.error());
  const std::lock_guard lock(mutex_);
  queued_ = false;
  idle_.notify_all();
}

/// Of a large program first what is hot, and then all of it: the device's compiler keeps nothing
/// that another link could use.
Status DeviceTier::make_in_parts(const std::atomic<bool>& stop) {
  const Clock::time_point start = Clock::now();
  std::vector<std::uint32_t> samples;
  {
    const std::lock_guard lock(mutex_);
    status_.state = codegen::TierState::compiling;
    samples = samples_;
  }
  if (std::optional<codegen::HostObjects> found = find_cached()) {
    offer({std::move(*found), start, true});
    return {};
  }
  codegen::DeviceOptions options;
  options.limits = services_.limits;
  options.limits.stop = &stop;
  options.unit_bytes = unit_bytes;
  options.first = codegen::hottest_functions(module_, encoded_, samples);
  options.resumes = places(module_, encoded_, samples);
  std::uint64_t size = 0;
  for (const ir::Function& function : module_.functions) size += codegen::size_of(function);
  if (size > first_part && !options.first.empty()) {
    codegen::DeviceOptions hot = options;
    const std::uint64_t least = codegen::size_of(module_.functions[options.first.front()]);
    hot.limits.program_instructions =
        std::min(options.limits.program_instructions, std::max(first_part, least));
    WARPHIVE_TRY_ASSIGN(codegen::HostObjects part, link(hot));
    const auto& functions = part.functions;
    const bool ran_out = part.ran_out;
    const bool is_empty = std::count(functions.begin(), functions.end(), codegen::Compiled::no) ==
                          static_cast<std::ptrdiff_t>(functions.size());
    if (!is_empty || ran_out) offer({std::move(part), start, false, ran_out});
    if (ran_out) return {};
    const std::chrono::duration<double> taken = Clock::now() - start;
    double& seconds = options.limits.seconds;
    if (seconds > 0) seconds = std::max(seconds - taken.count(), 1e-9);
  }
  WARPHIVE_TRY_ASSIGN(codegen::HostObjects program, link(options));
  store(program);
  offer({std::move(program), start});
  return {};
}

DeviceTier::Watch::Watch(std::shared_ptr<DeviceTier> tier, std::function<void()> leave)
    : tier_(std::move(tier)), leave_(std::move(leave)) {
  const std::lock_guard lock(tier_->mutex_);
  tier_->watches_.push_back(this);
}
DeviceTier::Watch::~Watch() {
  const std::lock_guard lock(tier_->mutex_);
  std::erase(tier_->watches_, this);
}

codegen::TierStatus DeviceTier::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

void DeviceTier::wait_until_idle() const {
  std::unique_lock lock(mutex_);
  idle_.wait(lock, [&] { return !queued_; });
}

}  // namespace warphive::runtime
