// SPDX-License-Identifier: Apache-2.0
#include "hal/worker/serve.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <condition_variable>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "hal/cuda/device.hpp"
#include "hal/worker/area.hpp"
#include "hal/worker/protocol.hpp"
#include "hal/worker/socket.hpp"

namespace warphive::hal::worker {
namespace {

constexpr std::chrono::milliseconds look_every{500};

/// What a request is answered with.
struct Answer {
  std::uint64_t values[3] = {};
  std::string payload;
};

struct QueueState {
  std::uint64_t number = 0;
  std::shared_ptr<Queue> queue;  // changed with the session's mutex held
  std::uint64_t taken = 0;       // requests without a reply; guarded by the session's mutex
  Status failed;                 // what such a request ended with and no reply has told
};

void append_bytes(std::string& to, const void* from, std::size_t bytes) {
  to.append(static_cast<const char*>(from), bytes);
}

template <class T>
T* pointer(std::uint64_t address) {
  // NOLINTNEXTLINE(performance-no-int-to-ptr): as it came over the wire
  return reinterpret_cast<T*>(std::uintptr_t{address});
}

tl::unexpected<Error> senseless(const char* what) {
  return base::error(ErrorCode::internal, ErrorPhase::none,
                     "The worker process was asked for ({}) that it does not have.", what);
}

/// The device and all that a front process has of it. Thread-safe.
class Session {
 public:
  /// Serves requests until the channel is closed. `own`: of the queue whose channel it is.
  void serve(Socket socket, const std::shared_ptr<QueueState>& own) {
    Message message;
    for (;;) {
      Descriptor passed;
      if (socket.receive(message, Socket::never, &passed) != Socket::Outcome::done) return;
      Request request;
      if (message.bytes < sizeof request) return;
      std::memcpy(&request, message.storage.data(), sizeof request);
      const std::span<const std::byte> payload = message.view().subspan(sizeof request);
      if (request.op >= first_of_queues) {
        if (own == nullptr || own->queue == nullptr) return;
        if (request.op <= last_without_reply) {
          if (own->failed) own->failed = submit(*own->queue, request, payload);
          const std::lock_guard lock(mutex_);
          ++own->taken;
          taken_.notify_all();
          continue;
        }
        if (!reply(socket, ask(*own, request))) return;
      } else if (!reply(socket, handle(request, payload, std::move(passed)))) {
        return;
      }
    }
  }

 private:
  struct Loaded {
    std::string ptx;
    std::vector<std::byte> binary;
    std::unique_ptr<Executable> executable;
  };
  struct Linking {
    std::unique_ptr<Linker> linker;
    std::vector<std::byte> binary;  // once it is finished
  };

  bool reply(Socket& socket, const Result<Answer>& answer) {
    Reply head;
    std::string payload;
    if (answer) {
      std::copy(std::begin(answer->values), std::end(answer->values), std::begin(head.values));
      payload = answer->payload;
    } else {
      const Error& error = answer.error();
      head.ok = 0;
      head.code = error.code();
      head.phase = error.phase();
      // A driver that takes no more calls has them all fail.
      head.is_lost =
          error.code() == ErrorCode::device_lost && device_ && !device_->create_queue() ? 1 : 0;
      payload = error.message();
    }
    payload.resize(std::min(payload.size(), most_payload));
    head.payload = static_cast<std::uint32_t>(payload.size());
    return socket.send(std::as_bytes(std::span(&head, 1)), std::as_bytes(std::span(payload)),
                       Socket::never) == Socket::Outcome::done;
  }

  Status submit(Queue& queue, const Request& request, std::span<const std::byte> payload) {
    if (request.op == Op::dispatch) {
      WARPHIVE_TRY_ASSIGN(const auto executable, find_executable(request.object));
      return queue.dispatch(*executable, request.kernel, payload, request.value);
    }
    WARPHIVE_TRY_ASSIGN(const auto to, find_buffer(request.to));
    if (request.op == Op::copy) {
      WARPHIVE_TRY_ASSIGN(const auto from, find_buffer(request.from));
      return queue.copy(*to, request.to_offset, *from, request.from_offset, request.bytes);
    }
    if (request.op == Op::discard) return queue.discard(*to, request.to_offset, request.bytes);
    return queue.fill(*to, request.to_offset, request.bytes,
                      static_cast<std::uint8_t>(request.value));
  }
  Result<Answer> ask(QueueState& own, const Request& request) {
    if (request.op == Op::close) {
      std::shared_ptr<Queue> last;  // goes behind the lock
      const std::lock_guard lock(mutex_);
      last = std::move(own.queue);
      queues_.erase(own.number);
      return Answer{};
    }
    // The work before it is waited for all the same.
    Status status = request.op == Op::wait
                        ? own.queue->wait({.queue = request.from, .value = request.object})
                    : request.op == Op::synchronise ? own.queue->synchronise()
                                                    : Status{};
    if (!own.failed) status = std::exchange(own.failed, Status{});
    if (!status) return fail(std::move(status).error());
    if (request.op != Op::signal) return Answer{};
    WARPHIVE_TRY_ASSIGN(const Point point, own.queue->signal());
    return Answer{.values = {point.queue, point.value, 0}, .payload = {}};
  }

  Result<Answer> handle(const Request& request, std::span<const std::byte> payload,
                        Descriptor passed) {
    const std::string text(reinterpret_cast<const char*>(payload.data()), payload.size());
    if (request.op == Op::open) return open(request, text, std::move(passed));
    if (device_ == nullptr) return senseless("a device");
    switch (request.op) {
      case Op::add_channel:
        start(std::move(passed), nullptr);
        return Answer{};
      case Op::create_queue:
        return create_queue(std::move(passed));
      case Op::allocate: {
        WARPHIVE_TRY_ASSIGN(Buffer buffer, device_->allocate(request.bytes, Placement::device));
        return keep(std::move(buffer));
      }
      case Op::adopt: {
        auto* const first = pointer<std::byte>(request.to);
        if (!area_->contains(first, request.bytes)) return senseless("memory");
        WARPHIVE_TRY_ASSIGN(Buffer buffer, device_->adopt({first, request.bytes}));
        return keep(std::move(buffer));
      }
      case Op::release: {
        wait_for(payload);
        std::shared_ptr<Buffer> last;  // goes behind the lock
        const std::lock_guard lock(mutex_);
        if (const auto found = buffers_.find(request.to); found != buffers_.end()) {
          last = std::move(found->second);
          buffers_.erase(found);
        }
        return Answer{};
      }
      case Op::load:
        return load(request);
      case Op::create_linker:
        return create_linker(request.value);
      case Op::add_part: {
        const auto* const from = pointer<const std::byte>(request.from);
        if (!area_->contains(from, request.bytes)) return senseless("memory");
        WARPHIVE_TRY_ASSIGN(const auto linking, find_linking(request.object));
        WARPHIVE_TRY(linking->linker->add({reinterpret_cast<const char*>(from), request.bytes}));
        return Answer{};
      }
      case Op::finish_link: {
        WARPHIVE_TRY_ASSIGN(const auto linking, find_linking(request.object));
        WARPHIVE_TRY_ASSIGN(linking->binary, linking->linker->finish());
        return Answer{.values = {linking->binary.size(), 0, 0}, .payload = {}};
      }
      case Op::read_binary: {
        WARPHIVE_TRY_ASSIGN(const auto linking, find_linking(request.object));
        auto* const to = pointer<std::byte>(request.to);
        const std::span<const std::byte> binary = linking->binary;
        if (!area_->contains(to, request.bytes) || request.bytes != binary.size()) {
          return senseless("memory");
        }
        std::memcpy(to, binary.data(), binary.size());
        return Answer{};
      }
      case Op::drop_linker: {
        std::shared_ptr<Linking> last;  // goes behind the lock
        const std::lock_guard lock(mutex_);
        if (const auto found = linkings_.find(request.object); found != linkings_.end()) {
          last = std::move(found->second);
          linkings_.erase(found);
        }
        return Answer{};
      }
      case Op::find_variable: {
        WARPHIVE_TRY_ASSIGN(const auto executable, find_executable(request.object));
        WARPHIVE_TRY_ASSIGN(const std::uint64_t address, executable->address(text.c_str()));
        return Answer{.values = {address, 0, 0}, .payload = {}};
      }
      case Op::unload: {
        wait_for(payload);
        std::shared_ptr<Loaded> last;
        const std::lock_guard lock(mutex_);
        if (const auto found = executables_.find(request.object); found != executables_.end()) {
          last = std::move(found->second);
          executables_.erase(found);
        }
        return Answer{};
      }
      case Op::available:
        return Answer{.values = {device_->available_bytes(), device_->reservable_bytes(), 0},
                      .payload = {}};
      case Op::read_now: {
        WARPHIVE_TRY_ASSIGN(const auto from, find_buffer(request.from));
        WARPHIVE_TRY_ASSIGN(const std::uint64_t word,
                            device_->read_now(*from, request.from_offset));
        return Answer{.values = {word, 0, 0}, .payload = {}};
      }
      case Op::interrupt: {
        WARPHIVE_TRY_ASSIGN(const auto to, find_buffer(request.to));
        WARPHIVE_TRY_ASSIGN(const auto queue, find_queue(request.object));
        WARPHIVE_TRY(queue->interrupt(*to, request.to_offset, request.value));
        return Answer{};
      }
      default:
        return senseless("an operation");
    }
  }

  Result<Answer> open(const Request& request, const std::string& library, Descriptor file) {
    if (request.object != protocol_version) {
      return base::error(ErrorCode::unavailable, ErrorPhase::none,
                         "the program of the worker process is of another version");
    }
    // Before the driver takes its own part of the address space.
    WARPHIVE_TRY_ASSIGN(area_,
                        Area::map(std::move(file), pointer<std::byte>(request.to), request.bytes));
    WARPHIVE_TRY_ASSIGN(device_, cuda::create_device({.ordinal = request.value,
                                                      .reserve_bytes = request.from,
                                                      .library = library}));
    const DeviceInfo& info = device_->info();
    const DeviceReply numbers = {.workers = info.workers,
                                 .tile_lanes = info.tile_lanes,
                                 .schedulers = info.schedulers,
                                 .lane_stack_bytes = info.lane_stack_bytes,
                                 .reads_host_memory = info.reads_host_memory ? 1u : 0u,
                                 .reserved = 0,
                                 .memory_bytes = info.memory_bytes,
                                 .reserve_bytes = info.reserve_bytes};
    Answer answer;
    append_bytes(answer.payload, &numbers, sizeof numbers);
    for (const std::string* text : {&info.name, &info.description, &info.code_kind}) {
      append_bytes(answer.payload, text->c_str(), text->size() + 1);
    }
    return answer;
  }
  Result<Answer> create_queue(Descriptor channel) {
    auto state = std::make_shared<QueueState>();
    WARPHIVE_TRY_ASSIGN(state->queue, device_->create_queue());
    {
      const std::lock_guard lock(mutex_);
      state->number = next_++;
      queues_[state->number] = state;
    }
    start(std::move(channel), state);
    return Answer{.values = {state->number, 0, 0}, .payload = {}};
  }
  void start(Descriptor channel, std::shared_ptr<QueueState> own) {
    std::thread([this, socket = Socket(std::move(channel)), own = std::move(own)]() mutable {
      serve(std::move(socket), own);
    }).detach();
  }
  Result<Answer> keep(Buffer buffer) {
    const std::uint64_t address = buffer.address();
    const std::lock_guard lock(mutex_);
    buffers_[address] = std::make_shared<Buffer>(std::move(buffer));
    return Answer{.values = {address, 0, 0}, .payload = {}};
  }
  Result<Answer> load(const Request& request) {
    const std::byte* at = pointer<const std::byte>(request.from);
    PackedImage packed = {};
    if (request.bytes < sizeof packed || !area_->contains(at, request.bytes)) {
      return senseless("memory");
    }
    std::uint64_t left = request.bytes;
    bool fits = true;
    const auto take = [&](std::uint64_t bytes) -> const std::byte* {
      fits = fits && bytes <= left;
      if (!fits) return nullptr;
      left -= bytes;
      return std::exchange(at, at + bytes);
    };
    std::memcpy(&packed, take(sizeof packed), sizeof packed);
    KernelImage image;
    image.registers = static_cast<std::uint32_t>(packed.registers);
    const std::byte* const binary = take(packed.binary_bytes);
    const std::byte* const ptx = take(packed.ptx_bytes);
    if (!fits) return senseless("memory");
    // Of its own: the front's memory goes away, and who knows how long a driver looks at it.
    auto loaded = std::make_shared<Loaded>();
    if (packed.ptx_bytes != 0) {
      loaded->ptx.assign(reinterpret_cast<const char*>(ptx), packed.ptx_bytes - 1);
      image.ptx = loaded->ptx.c_str();
    }
    if (packed.binary_bytes != 0) loaded->binary.assign(binary, binary + packed.binary_bytes);
    image.binary = loaded->binary;
    WARPHIVE_TRY_ASSIGN(loaded->executable, device_->load(image));
    std::uint64_t kernels = 0;
    for (std::size_t i = 0; i < kernel_count; ++i) {
      if (loaded->executable->has(static_cast<KernelId>(i))) kernels |= std::uint64_t{1} << i;
    }
    const std::lock_guard lock(mutex_);
    executables_[next_] = std::move(loaded);
    return Answer{.values = {next_++, kernels, 0}, .payload = {}};
  }

  Result<Answer> create_linker(std::uint32_t registers) {
    auto linking = std::make_shared<Linking>();
    WARPHIVE_TRY_ASSIGN(linking->linker, device_->create_linker(registers));
    const std::lock_guard lock(mutex_);
    linkings_[next_] = std::move(linking);
    return Answer{.values = {next_++, 0, 0}, .payload = {}};
  }

  void wait_for(std::span<const std::byte> payload) {
    std::unique_lock lock(mutex_);
    for (; payload.size() >= sizeof(Fence); payload = payload.subspan(sizeof(Fence))) {
      Fence fence;
      std::memcpy(&fence, payload.data(), sizeof fence);
      const auto found = queues_.find(fence.queue);
      if (found == queues_.end()) continue;
      const std::shared_ptr<QueueState> state = found->second;
      taken_.wait(lock, [&] { return state->taken >= fence.requests; });
    }
  }
  // What is found stays until it is released, which nobody asks for meanwhile.
  Result<std::shared_ptr<Buffer>> find_buffer(std::uint64_t address) {
    const std::lock_guard lock(mutex_);
    const auto found = buffers_.find(address);
    if (found == buffers_.end()) return senseless("a buffer");
    return found->second;
  }
  Result<std::shared_ptr<Executable>> find_executable(std::uint64_t number) {
    const std::lock_guard lock(mutex_);
    const auto found = executables_.find(number);
    if (found == executables_.end()) return senseless("an executable");
    return std::shared_ptr<Executable>(found->second, found->second->executable.get());
  }
  Result<std::shared_ptr<Linking>> find_linking(std::uint64_t number) {
    const std::lock_guard lock(mutex_);
    const auto found = linkings_.find(number);
    if (found == linkings_.end()) return senseless("a linker");
    return found->second;
  }
  Result<std::shared_ptr<Queue>> find_queue(std::uint64_t number) {
    const std::lock_guard lock(mutex_);
    const auto found = queues_.find(number);
    if (found == queues_.end()) return senseless("a queue");
    return found->second->queue;
  }

  std::unique_ptr<Area> area_;
  std::shared_ptr<Device> device_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable taken_;
  std::map<std::uint64_t, std::shared_ptr<Buffer>> buffers_;  // by address
  std::map<std::uint64_t, std::shared_ptr<Loaded>> executables_;
  std::map<std::uint64_t, std::shared_ptr<Linking>> linkings_;
  std::map<std::uint64_t, std::shared_ptr<QueueState>> queues_;
  std::uint64_t next_ = 1;
};

}  // namespace

bool serve() {
  int kind = 0;
  socklen_t bytes = sizeof kind;
  if (::getsockopt(worker_socket, SOL_SOCKET, SO_TYPE, &kind, &bytes) != 0 ||
      kind != SOCK_SEQPACKET) {
    return false;
  }
  // Never destroyed: threads use them to the last moment.
  auto* const session = new Session;
  Socket socket{Descriptor(worker_socket)};
  // A thread that only looks: the others may be in a driver that does not come back. A parent's
  // copy of the socket may be open still, in another child of it, so the parent counts too.
  std::thread([parent = ::getppid(), front = Socket(Descriptor(::dup(worker_socket)))] {
    while (!front.is_closed_within(look_every) && ::getppid() == parent) {
    }
    ::_exit(0);
  }).detach();
  session->serve(std::move(socket), nullptr);
  ::_exit(0);
}

}  // namespace warphive::hal::worker
