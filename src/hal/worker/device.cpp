// SPDX-License-Identifier: Apache-2.0
#include "hal/worker/device.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "hal/cpu/worker_pool.hpp"
#include "hal/range.hpp"
#include "hal/worker/area.hpp"
#include "hal/worker/process.hpp"
#include "hal/worker/protocol.hpp"
#include "hal/worker/socket.hpp"

namespace warphive::hal::worker {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// How often somebody who waits for a reply looks whether there is still reason to.
constexpr milliseconds look_every{100};
// What overtakes queues waits for no kernel.
constexpr milliseconds urgent_limit{10'000};
constexpr milliseconds start_limit{60'000};
constexpr std::uint64_t staging_bytes = std::uint64_t{4} << 20;
constexpr std::uint64_t most_binary_bytes = std::uint64_t{1} << 32;
constexpr std::size_t most_queues = most_payload / sizeof(Fence);

template <class T>
std::span<const std::byte> bytes_of(const T& value) {
  return std::as_bytes(std::span<const T, 1>(&value, 1));
}
std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

tl::unexpected<Error> no_socket() {
  return base::error(ErrorCode::unavailable, ErrorPhase::none,
                     "the system refuses a socket for a worker process");
}

class Channel;

/// The worker and whether it is there. Thread-safe.
class Worker {
 public:
  Worker(Process process, std::string device, milliseconds stop_limit)
      : stop_limit(stop_limit), process_(std::move(process)), device_(std::move(device)) {}

  [[nodiscard]] bool lost() const { return lost_.load(std::memory_order_acquire); }
  /// Ends the worker, and returns the error of the first call of this or the next one.
  tl::unexpected<Error> lose(const std::string& sentence) {
    const std::lock_guard lock(mutex_);
    if (!lost_) {
      (void)process_.end();
      reason_ = sentence;
      lost_.store(true, std::memory_order_release);
    }
    return error();
  }
  tl::unexpected<Error> lose_ended() {
    const std::lock_guard lock(mutex_);
    if (!lost_) {
      reason_ = fmt::format("The worker process of device ({}) {}.", device_, process_.end());
      lost_.store(true, std::memory_order_release);
    }
    return error();
  }
  tl::unexpected<Error> lose_silent(const char* what, milliseconds limit) {
    return lose(
        fmt::format("The worker process of device ({}) was killed: it did not {} within ({}) ms.",
                    device_, what, limit.count()));
  }
  tl::unexpected<Error> lose_senseless() {
    return lose(
        fmt::format("The worker process of device ({}) was killed: what it said makes no "
                    "sense.",
                    device_));
  }
  [[nodiscard]] tl::unexpected<Error> loss() {
    const std::lock_guard lock(mutex_);
    return error();
  }

  /// Error limit_exceeded where a release could not name all queues.
  Status add_queue(std::uint64_t number, std::shared_ptr<Channel> channel) {
    const std::lock_guard lock(queues_mutex_);
    if (queues_.size() == most_queues) {
      return base::error(ErrorCode::limit_exceeded, ErrorPhase::none,
                         "The number of queues exceeds the limit ({}).", most_queues);
    }
    queues_[number] = std::move(channel);
    return {};
  }
  void forget_queue(std::uint64_t number) {
    const std::lock_guard lock(queues_mutex_);
    queues_.erase(number);
  }
  /// What each queue has sent by now.
  std::vector<Fence> fences();
  /// Whether somebody waits for another queue that nobody has stopped: kernels may keep others from
  /// the device for as long as they run.
  bool has_others_to_wait_for(const Channel& channel);

  const milliseconds stop_limit;
  // Calls in progress that a driver may have others wait for: loads, which take as long as they
  // take, and those of memory, which may wait for kernels.
  std::atomic<int> loads{0};
  std::atomic<int> memory_calls{0};

 private:
  [[nodiscard]] tl::unexpected<Error> error() const {
    return fail(Error(ErrorCode::device_lost, ErrorPhase::dispatch, reason_));
  }

  std::mutex mutex_;  // guards what follows
  Process process_;
  std::string device_;
  std::string reason_;
  std::atomic<bool> lost_{false};                             // written under the mutex
  std::mutex queues_mutex_;                                   // guards what follows
  std::map<std::uint64_t, std::shared_ptr<Channel>> queues_;  // by their numbers in the worker
};

/// A reply and the texts behind it.
struct Answer {
  Reply reply;
  std::vector<std::byte> payload;
};

class Channel {
 public:
  enum class Kind : std::uint8_t { memory, code, urgent, queue, linker };
  Channel(Worker& worker, Socket socket, Kind kind)
      : worker_(worker), socket_(std::move(socket)), kind_(kind) {}

  /// A request that has no reply.
  Status send(const Request& request, std::span<const std::byte> payload = {}) {
    WARPHIVE_TRY(put(request, payload, -1));
    sent_.fetch_add(1, std::memory_order_release);
    return {};
  }
  /// A request and its reply, one at a time.
  Result<Answer> call(const Request& request, std::span<const std::byte> payload = {},
                      int passed = -1) {
    const std::lock_guard lock(mutex_);
    const InProgress counted(kind_ == Kind::code     ? worker_.loads
                             : kind_ == Kind::memory ? worker_.memory_calls
                                                     : waits_);
    WARPHIVE_TRY(put(request, payload, passed));
    auto begin = Clock::now();
    for (;;) {
      const auto outcome = socket_.receive(message_, next_look());
      if (outcome == Socket::Outcome::closed) return worker_.lose_ended();
      if (outcome == Socket::Outcome::done) break;
      WARPHIVE_TRY(look(begin));
    }
    Answer answer;
    if (message_.bytes < sizeof(Reply)) return worker_.lose_senseless();
    std::memcpy(&answer.reply, message_.storage.data(), sizeof(Reply));
    const std::span<const std::byte> rest = message_.view().subspan(sizeof(Reply));
    if (rest.size() != answer.reply.payload) return worker_.lose_senseless();
    if (answer.reply.ok == 0) {
      std::string text(reinterpret_cast<const char*>(rest.data()), rest.size());
      if (answer.reply.is_lost != 0) return worker_.lose(text);
      if (answer.reply.code > ErrorCode::internal) return worker_.lose_senseless();
      return fail(Error(answer.reply.code, answer.reply.phase, std::move(text)));
    }
    answer.payload.assign(rest.begin(), rest.end());
    return answer;
  }
  /// Every wait of this channel for its worker may take that long; nullopt: as long as it takes.
  void set_limit(std::optional<milliseconds> limit) { limit_ = limit; }
  /// From now on, or not any longer, such a wait may take as long as kernels have for a stop.
  void set_stopping(bool stopping) {
    Clock::rep never = 0;
    if (stopping) {  // the first of many counts
      stopped_at_.compare_exchange_strong(never, Clock::now().time_since_epoch().count());
    } else {
      stopped_at_.store(never);
    }
  }
  /// Somebody waits for what nobody has stopped.
  [[nodiscard]] bool may_take_long() const { return waits_.load() != 0 && stopped_at_.load() == 0; }
  [[nodiscard]] std::uint64_t sent() const { return sent_.load(std::memory_order_acquire); }

 private:
  Status put(const Request& request, std::span<const std::byte> payload, int passed) {
    if (worker_.lost()) return worker_.loss();
    Request counted = request;
    counted.payload = static_cast<std::uint16_t>(payload.size());
    auto begin = Clock::now();
    for (;;) {
      const auto outcome = socket_.send(bytes_of(counted), payload, next_look(), passed);
      if (outcome == Socket::Outcome::closed) return worker_.lose_ended();
      if (outcome == Socket::Outcome::done) return {};
      WARPHIVE_TRY(look(begin));
    }
  }
  static Clock::time_point next_look() { return Clock::now() + look_every; }
  /// Whether a wait that began then may go on. It begins anew with what it may have waited for.
  Status look(Clock::time_point& begin) {
    if (worker_.lost()) return worker_.loss();
    const auto now = Clock::now();
    const bool is_excused = (kind_ != Kind::memory && worker_.loads.load() != 0) ||
                            (kind_ == Kind::urgent && worker_.memory_calls.load() != 0) ||
                            (kind_ == Kind::queue && worker_.has_others_to_wait_for(*this));
    if (is_excused) begin = now;
    if (limit_ && now > begin + *limit_) return worker_.lose_silent("answer", *limit_);
    const Clock::time_point stopped{Clock::duration(stopped_at_.load())};
    if (stopped != Clock::time_point{} && now > std::max(stopped, begin) + worker_.stop_limit) {
      return worker_.lose_silent("stop", worker_.stop_limit);
    }
    return {};
  }

  class InProgress {
   public:
    explicit InProgress(std::atomic<int>& count) : count_(count) { count_.fetch_add(1); }
    ~InProgress() { count_.fetch_sub(1); }
    InProgress(const InProgress&) = delete;
    InProgress& operator=(const InProgress&) = delete;

   private:
    std::atomic<int>& count_;
  };

  Worker& worker_;
  Socket socket_;
  Kind kind_;
  std::mutex mutex_;  // guards the message and waiting for it
  Message message_;
  std::optional<milliseconds> limit_;
  std::atomic<Clock::rep> stopped_at_{0};
  std::atomic<int> waits_{0};
  std::atomic<std::uint64_t> sent_{0};
};

std::vector<Fence> Worker::fences() {
  std::vector<Fence> fences;
  const std::lock_guard lock(queues_mutex_);
  fences.reserve(queues_.size());
  for (const auto& [queue, channel] : queues_) fences.push_back({queue, channel->sent()});
  return fences;
}

bool Worker::has_others_to_wait_for(const Channel& channel) {
  const std::lock_guard lock(queues_mutex_);
  return std::any_of(queues_.begin(), queues_.end(), [&](const auto& queue) {
    return queue.second.get() != &channel && queue.second->may_take_long();
  });
}

class WorkerDevice;

class WorkerExecutable final : public Executable {
 public:
  WorkerExecutable(WorkerDevice& device, std::uint64_t number, std::uint64_t kernels)
      : device_(device), number_(number), kernels_(kernels) {}
  ~WorkerExecutable() override;
  [[nodiscard]] bool has(KernelId kernel) const override {
    const auto index = static_cast<unsigned>(kernel);
    return index < kernel_count && (kernels_ >> index & 1) != 0;
  }
  [[nodiscard]] Result<std::uint64_t> address(const char* symbol) const override;
  [[nodiscard]] std::uint64_t number() const { return number_; }

 private:
  WorkerDevice& device_;
  std::uint64_t number_;   // in the worker
  std::uint64_t kernels_;  // that are there, a bit each
};

class WorkerQueue final : public Queue {
 public:
  WorkerQueue(WorkerDevice& device, std::shared_ptr<Channel> channel, std::uint64_t number)
      : device_(device), channel_(std::move(channel)), number_(number) {}
  ~WorkerQueue() override;

  Status copy(Buffer& to, std::uint64_t to_offset, const Buffer& from, std::uint64_t from_offset,
              std::uint64_t bytes) override {
    WARPHIVE_TRY(check_range(to, to_offset, bytes));
    WARPHIVE_TRY(check_range(from, from_offset, bytes));
    if (bytes == 0) return {};
    return channel_->send({.op = Op::copy,
                           .to = to.address(),
                           .to_offset = to_offset,
                           .from = from.address(),
                           .from_offset = from_offset,
                           .bytes = bytes});
  }
  Status upload(Buffer& to, std::uint64_t offset, std::span<const std::byte> from) override {
    WARPHIVE_TRY(check_range(to, offset, from.size()));
    while (!from.empty()) {
      WARPHIVE_TRY(make_staging());
      if (staged_ == staging_bytes) WARPHIVE_TRY(synchronise());
      const std::uint64_t bytes = std::min<std::uint64_t>(from.size(), staging_bytes - staged_);
      std::memcpy(staging_.host() + staged_, from.data(), bytes);
      WARPHIVE_TRY(copy(to, offset, staging_, staged_, bytes));
      staged_ += bytes;
      offset += bytes;
      from = from.subspan(bytes);
    }
    return {};
  }
  Status download(std::span<std::byte> to, const Buffer& from, std::uint64_t offset) override {
    WARPHIVE_TRY(check_range(from, offset, to.size()));
    while (!to.empty()) {
      WARPHIVE_TRY(make_staging());
      // Uploads that are still there are read before this copy.
      const std::uint64_t bytes = std::min<std::uint64_t>(to.size(), staging_bytes);
      WARPHIVE_TRY(copy(staging_, 0, from, offset, bytes));
      WARPHIVE_TRY(synchronise());
      std::memcpy(to.data(), staging_.host(), bytes);
      offset += bytes;
      to = to.subspan(bytes);
    }
    return {};
  }
  Status fill(Buffer& buffer, std::uint64_t offset, std::uint64_t bytes,
              std::uint8_t value) override {
    return fill(Op::fill, buffer, offset, bytes, value);
  }
  Status discard(Buffer& buffer, std::uint64_t offset, std::uint64_t bytes) override {
    return fill(Op::discard, buffer, offset, bytes, 0);
  }
  Status dispatch(const Executable& executable, KernelId kernel, std::span<const std::byte> params,
                  std::uint32_t lane_count) override {
    if (!executable.has(kernel)) return no_kernel(kernel);
    if (lane_count == 0) return {};
    return channel_->send({.op = Op::dispatch,
                           .kernel = kernel,
                           .value = lane_count,
                           .object = static_cast<const WorkerExecutable&>(executable).number()},
                          params);
  }
  Result<Point> signal() override {
    WARPHIVE_TRY_ASSIGN(const Answer answer, channel_->call({.op = Op::signal}));
    return Point{answer.reply.values[0], answer.reply.values[1]};
  }
  Status wait(Point point) override {
    WARPHIVE_TRY(channel_->call({.op = Op::wait, .object = point.value, .from = point.queue}));
    return {};
  }
  Status synchronise() override {
    WARPHIVE_TRY(channel_->call({.op = Op::synchronise}));
    staged_ = 0;
    return {};
  }
  Status interrupt(Buffer& word, std::uint64_t offset, std::uint32_t value) override;

 private:
  Status fill(Op op, Buffer& buffer, std::uint64_t offset, std::uint64_t bytes,
              std::uint8_t value) {
    WARPHIVE_TRY(check_range(buffer, offset, bytes));
    if (bytes == 0) return {};
    return channel_->send(
        {.op = op, .value = value, .to = buffer.address(), .to_offset = offset, .bytes = bytes});
  }
  Status make_staging();

  WorkerDevice& device_;
  std::shared_ptr<Channel> channel_;
  std::uint64_t number_;  // in the worker
  Buffer staging_;
  std::uint64_t staged_ = 0;  // of the staging buffer, by copies that may not have run
};

class WorkerDevice final : public Device {
 public:
  WorkerDevice(Process process, std::string name, milliseconds stop_limit,
               std::unique_ptr<Area> area, Socket socket)
      : worker_(std::move(process), std::move(name), stop_limit),
        area_(std::move(area)),
        main_(worker_, std::move(socket), Channel::Kind::memory) {}

  /// Has the worker open its device.
  Status open(const DeviceOptions& options) {
    main_.set_limit(start_limit);
    auto answer = main_.call({.op = Op::open,
                              .value = options.ordinal,
                              .object = protocol_version,
                              .to = reinterpret_cast<std::uintptr_t>(area_->base()),
                              .from = options.reserve_bytes,
                              .bytes = area_->size()},
                             bytes_of(std::string_view(options.library)), area_->file());
    WARPHIVE_TRY(answer);
    WARPHIVE_TRY(take_info(answer->payload));
    WARPHIVE_TRY_ASSIGN(urgent_, add_channel(Channel::Kind::urgent));
    WARPHIVE_TRY_ASSIGN(code_, add_channel(Channel::Kind::code));
    urgent_->set_limit(urgent_limit);
    main_.set_limit(std::nullopt);
    return {};
  }

  [[nodiscard]] const DeviceInfo& info() const override { return info_; }
  [[nodiscard]] std::uint64_t available_bytes() const override { return available(0); }
  [[nodiscard]] std::uint64_t reservable_bytes() const override { return available(1); }

  Result<Buffer> allocate(std::uint64_t bytes, Placement placement) override {
    if (bytes == 0) return Buffer(this, nullptr, 0, placement);
    if (placement == Placement::device) {
      WARPHIVE_TRY_ASSIGN(const Answer answer, main_.call({.op = Op::allocate, .bytes = bytes}));
      // NOLINTNEXTLINE(performance-no-int-to-ptr): an address on the device
      auto* const base = reinterpret_cast<std::byte*>(std::uintptr_t{answer.reply.values[0]});
      return Buffer(this, base, bytes, placement);
    }
    const std::span<std::byte> range = area_->take(bytes);
    if (range.empty()) {
      return base::error(ErrorCode::out_of_memory, ErrorPhase::none,
                         "Allocation of ({}) bytes exceeds what can be shared with the worker.",
                         bytes);
    }
    auto adopted = main_.call({.op = Op::adopt,
                               .to = reinterpret_cast<std::uintptr_t>(range.data()),
                               .bytes = range.size()});
    if (!adopted) {
      area_->give_back(range);
      return fail(std::move(adopted).error());
    }
    {
      const std::lock_guard lock(mutex_);
      shared_[range.data()] = range.size();
    }
    return Buffer(this, range.data(), bytes, placement);
  }
  Result<std::unique_ptr<Executable>> load(const KernelImage& image) override;
  Result<std::unique_ptr<Linker>> create_linker(std::uint32_t registers) override;
  Result<std::unique_ptr<Queue>> create_queue() override {
    auto ends = Socket::pair();
    if (!ends.first) return no_socket();
    auto channel = std::make_shared<Channel>(worker_, std::move(ends.first), Channel::Kind::queue);
    WARPHIVE_TRY_ASSIGN(const Answer answer,
                        main_.call({.op = Op::create_queue}, {}, ends.second.descriptor()));
    const std::uint64_t number = answer.reply.values[0];
    WARPHIVE_TRY(worker_.add_queue(number, channel));
    return std::make_unique<WorkerQueue>(*this, std::move(channel), number);
  }
  void run_on_host(HostKernel function, const void* params, std::uint32_t count) override {
    host_threads_.run(function, params, count);
  }
  Result<std::uint64_t> read_now(const Buffer& buffer, std::uint64_t offset) override {
    WARPHIVE_TRY(check_range(buffer, offset, sizeof(std::uint64_t)));
    WARPHIVE_TRY_ASSIGN(
        const Answer answer,
        urgent_->call({.op = Op::read_now, .from = buffer.address(), .from_offset = offset}));
    return answer.reply.values[0];
  }
  [[nodiscard]] bool lost() const override { return worker_.lost(); }

  // For its queues, executables and linkers.
  Area& area() { return *area_; }
  tl::unexpected<Error> lose_senseless() { return worker_.lose_senseless(); }
  Channel& code() { return *code_; }
  Channel& urgent() { return *urgent_; }
  void forget(std::uint64_t queue) { worker_.forget_queue(queue); }
  /// A request after which what requests of queues may name is gone: those sent before come first.
  Status call_behind_queues(Request request) {
    const std::vector<Fence> fences = worker_.fences();
    WARPHIVE_TRY(main_.call(request, std::as_bytes(std::span(fences))));
    return {};
  }

 protected:
  void release(std::byte* base, std::uint64_t bytes, Placement placement) noexcept override {
    if (bytes == 0) return;
    (void)call_behind_queues({.op = Op::release, .to = reinterpret_cast<std::uintptr_t>(base)});
    if (placement == Placement::device) return;
    std::uint64_t taken = 0;
    {
      const std::lock_guard lock(mutex_);
      taken = shared_.extract(base).mapped();
    }
    area_->give_back({base, taken});
  }

 private:
  Result<std::unique_ptr<Channel>> add_channel(Channel::Kind kind) {
    auto ends = Socket::pair();
    if (!ends.first) return no_socket();
    WARPHIVE_TRY(main_.call({.op = Op::add_channel}, {}, ends.second.descriptor()));
    return std::make_unique<Channel>(worker_, std::move(ends.first), kind);
  }
  [[nodiscard]] std::uint64_t available(std::size_t which) const {
    const auto answer = main_.call({.op = Op::available});
    return answer ? answer->reply.values[which] : 0;
  }
  Status take_info(std::span<const std::byte> payload) {
    DeviceReply numbers = {};
    if (payload.size() < sizeof numbers) return worker_.lose_senseless();
    std::memcpy(&numbers, payload.data(), sizeof numbers);
    const std::string_view rest(reinterpret_cast<const char*>(payload.data()) + sizeof numbers,
                                payload.size() - sizeof numbers);
    std::string* const texts[] = {&info_.name, &info_.description, &info_.code_kind};
    std::size_t at = 0;
    for (std::string* text : texts) {
      const std::size_t end = rest.find('\0', at);
      if (end == std::string_view::npos) return worker_.lose_senseless();
      *text = rest.substr(at, end - at);
      at = end + 1;
    }
    info_.workers = numbers.workers;
    info_.memory_bytes = numbers.memory_bytes;
    info_.reserve_bytes = numbers.reserve_bytes;
    info_.tile_lanes = numbers.tile_lanes;
    info_.schedulers = numbers.schedulers;
    info_.reads_host_memory = numbers.reads_host_memory != 0;
    info_.lane_stack_bytes = numbers.lane_stack_bytes;
    return {};
  }

  DeviceInfo info_;
  Worker worker_;
  std::unique_ptr<Area> area_;
  mutable Channel main_;
  std::unique_ptr<Channel> urgent_;
  std::unique_ptr<Channel> code_;  // loads take long
  cpu::HostThreads host_threads_;
  std::mutex mutex_;                            // guards what follows
  std::map<std::byte*, std::uint64_t> shared_;  // ranges of the area in buffers
};

tl::unexpected<Error> no_area(std::uint64_t bytes) {
  return base::error(ErrorCode::out_of_memory, ErrorPhase::none,
                     "Code of ({}) bytes exceeds what can be shared with the worker.", bytes);
}

class WorkerLinker final : public Linker {
 public:
  WorkerLinker(WorkerDevice& device, std::unique_ptr<Channel> channel, std::uint64_t number)
      : device_(device), channel_(std::move(channel)), number_(number) {}
  ~WorkerLinker() override { (void)channel_->call({.op = Op::drop_linker, .object = number_}); }

  Status add(std::string_view part) override {
    if (part.empty()) return {};
    const AreaRange range(device_.area(), part.size());
    if (range.get().empty()) return no_area(part.size());
    std::memcpy(range.get().data(), part.data(), part.size());
    WARPHIVE_TRY(channel_->call({.op = Op::add_part,
                                 .object = number_,
                                 .from = reinterpret_cast<std::uintptr_t>(range.get().data()),
                                 .bytes = part.size()}));
    return {};
  }
  Result<std::vector<std::byte>> finish() override {
    WARPHIVE_TRY_ASSIGN(const Answer answer,
                        channel_->call({.op = Op::finish_link, .object = number_}));
    const std::uint64_t bytes = answer.reply.values[0];
    if (bytes == 0 || bytes > most_binary_bytes) return device_.lose_senseless();
    const AreaRange made(device_.area(), bytes);
    if (made.get().empty()) return no_area(bytes);
    WARPHIVE_TRY(channel_->call({.op = Op::read_binary,
                                 .object = number_,
                                 .to = reinterpret_cast<std::uintptr_t>(made.get().data()),
                                 .bytes = bytes}));
    const std::span<const std::byte> binary = made.get().first(bytes);
    return std::vector<std::byte>(binary.begin(), binary.end());
  }

 private:
  WorkerDevice& device_;
  std::unique_ptr<Channel> channel_;
  std::uint64_t number_;  // in the worker
};

Result<std::unique_ptr<Linker>> WorkerDevice::create_linker(std::uint32_t registers) {
  WARPHIVE_TRY_ASSIGN(auto channel, add_channel(Channel::Kind::linker));
  WARPHIVE_TRY_ASSIGN(const Answer answer,
                      channel->call({.op = Op::create_linker, .value = registers}));
  return std::make_unique<WorkerLinker>(*this, std::move(channel), answer.reply.values[0]);
}

Result<std::unique_ptr<Executable>> WorkerDevice::load(const KernelImage& image) {
  // As in-process devices: a binary counts before PTX.
  const std::span<const std::byte> binary = image.binary;
  const std::string_view ptx =
      binary.empty() && image.ptx != nullptr ? image.ptx : std::string_view();
  const PackedImage packed = {.registers = image.registers,
                              .binary_bytes = binary.size(),
                              .ptx_bytes = ptx.empty() ? 0 : ptx.size() + 1};
  const std::uint64_t bytes = sizeof packed + binary.size() + packed.ptx_bytes;
  const AreaRange range(*area_, bytes);
  if (range.get().empty()) return no_area(bytes);
  std::byte* at = range.get().data();
  const auto write = [&](std::span<const std::byte> from) {
    if (!from.empty()) std::memcpy(at, from.data(), from.size());
    at += from.size();
  };
  write(bytes_of(packed));
  write(binary);
  write(bytes_of(ptx));  // its zero is there
  WARPHIVE_TRY_ASSIGN(const Answer answer,
                      code_->call({.op = Op::load,
                                   .from = reinterpret_cast<std::uintptr_t>(range.get().data()),
                                   .bytes = bytes}));
  return std::make_unique<WorkerExecutable>(*this, answer.reply.values[0], answer.reply.values[1]);
}

WorkerExecutable::~WorkerExecutable() {
  (void)device_.call_behind_queues({.op = Op::unload, .object = number_});
}

Result<std::uint64_t> WorkerExecutable::address(const char* symbol) const {
  WARPHIVE_TRY_ASSIGN(const Answer answer,
                      device_.code().call({.op = Op::find_variable, .object = number_},
                                          bytes_of(std::string_view(symbol))));
  return answer.reply.values[0];
}

WorkerQueue::~WorkerQueue() {
  (void)channel_->call({.op = Op::close});
  device_.forget(number_);
}

Status WorkerQueue::interrupt(Buffer& word, std::uint64_t offset, std::uint32_t value) {
  WARPHIVE_TRY(check_range(word, offset, sizeof value));
  channel_->set_stopping(value != 0);
  WARPHIVE_TRY(device_.urgent().call({.op = Op::interrupt,
                                      .value = value,
                                      .object = number_,
                                      .to = word.address(),
                                      .to_offset = offset}));
  return {};
}

Status WorkerQueue::make_staging() {
  if (staging_.size() != 0) return {};
  WARPHIVE_TRY_ASSIGN(staging_, device_.allocate(staging_bytes, Placement::shared));
  return {};
}

}  // namespace

std::string find_program() {
  if (const char* named = std::getenv("WARPHIVE_WORKER"); named != nullptr) return named;
  std::array<char, 4096> path;
  const ssize_t bytes = ::readlink("/proc/self/exe", path.data(), path.size());
  const std::string_view self(path.data(), bytes > 0 ? static_cast<std::size_t>(bytes) : 0);
  return std::string(self.substr(0, self.rfind('/') + 1)) + "warphive";
}

Result<std::shared_ptr<Device>> create_device(const DeviceOptions& options) {
  const std::string program = options.program.empty() ? find_program() : options.program;
  if (::access(program.c_str(), X_OK) != 0) {
    return base::error(ErrorCode::not_found, ErrorPhase::none,
                       "there is no program ({}) for a worker process", program);
  }
  WARPHIVE_TRY_ASSIGN(auto area, Area::create());
  auto ends = Socket::pair();
  if (!ends.first) return no_socket();
  WARPHIVE_TRY_ASSIGN(Process process, Process::start(program, ends.second));
  ends.second = Socket();
  auto device = std::make_shared<WorkerDevice>(
      std::move(process), options.ordinal == 0 ? "cuda" : fmt::format("cuda:{}", options.ordinal),
      options.stop_limit, std::move(area), std::move(ends.first));
  const Status opened = device->open(options);
  if (opened) return device;
  if (!device->lost()) {
    return base::error(opened.error().code(), ErrorPhase::none, "{}", opened.error().message());
  }
  std::string_view reason = opened.error().message();
  if (reason.ends_with('.')) reason.remove_suffix(1);
  return base::error(ErrorCode::unavailable, ErrorPhase::none, "{}", reason);
}

}  // namespace warphive::hal::worker
