// SPDX-License-Identifier: Apache-2.0
#include "sys/world.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace warphive::sys {
namespace {

bool has_zero(const std::string& text) { return text.find('\0') != std::string::npos; }

// strerror_r comes in two forms; the overload takes whichever the library has.
[[maybe_unused]] const char* reason_text(int, const char* buffer) { return buffer; }
[[maybe_unused]] const char* reason_text(const char* text, const char*) { return text; }
std::string reason(int error) {
  char buffer[128] = "";
  return reason_text(::strerror_r(error, buffer, sizeof buffer), buffer);
}

clockid_t host_clock(wasi::ClockId clock) {
  switch (clock) {
    case wasi::ClockId::realtime:
      return CLOCK_REALTIME;
    case wasi::ClockId::monotonic:
      return CLOCK_MONOTONIC;
    case wasi::ClockId::process_cpu:
      return CLOCK_PROCESS_CPUTIME_ID;
    case wasi::ClockId::thread_cpu:
      return CLOCK_THREAD_CPUTIME_ID;
  }
  return CLOCK_REALTIME;
}

std::uint64_t nanoseconds(const timespec& time) {
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(time.tv_nsec);
}

std::uint64_t monotonic_ns() {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return nanoseconds(time);
}

// Goes on after an interruption unless the run is to stop.
int write_all(const HostCall& call, int descriptor, std::span<const std::byte> bytes,
              std::size_t& written) {
  written = 0;
  while (written < bytes.size()) {
    const ssize_t count = ::write(descriptor, bytes.data() + written, bytes.size() - written);
    if (count >= 0) {
      written += static_cast<std::size_t>(count);
    } else if (errno == EAGAIN) {
      pollfd wait{descriptor, POLLOUT, 0};
      if (::poll(&wait, 1, -1) < 0 && (errno != EINTR || call.stop_raised())) return errno;
    } else if (errno != EINTR || call.stop_raised()) {
      return errno;
    }
  }
  return 0;
}

}  // namespace

void Strings::add(const std::string& text) {
  offsets.push_back(static_cast<std::uint32_t>(bytes.size()));
  bytes.append(text).push_back('\0');
}

World::World(EnvironmentOptions given) : options(std::move(given)) {
  for (const std::string& text : options.args) {
    if (has_zero(text)) refuse(ErrorCode::invalid_input, "A guest argument has a zero byte.");
    args_differ_ = args_differ_ || has_ordinal(text);
    args_.add(text);
  }
  for (const std::string& text : options.env) {
    if (has_zero(text) || text.find('=') == std::string::npos || text.front() == '=') {
      refuse(ErrorCode::invalid_input,
             fmt::format("Environment variable ({}) is not of the form NAME=VALUE.", text));
    }
    env_differs_ = env_differs_ || has_ordinal(text);
    env_.add(text);
  }
  // Leaves room for `{id}` to become 20 digits without a sum that overflows 32 bits.
  constexpr std::size_t max_strings_bytes = 1 << 24;
  if (args_.bytes.size() > max_strings_bytes || env_.bytes.size() > max_strings_bytes) {
    refuse(
        ErrorCode::limit_exceeded,
        fmt::format("Guest arguments ({} bytes) or environment ({} bytes) exceed the limit ({}).",
                    args_.bytes.size(), env_.bytes.size(), max_strings_bytes));
  }

  Descriptor standard;
  standard.kind = Descriptor::Kind::input;
  standard.rights = wasi::rights::of_input;
  initial.push_back(standard);
  standard.kind = Descriptor::Kind::output;
  standard.rights = wasi::rights::of_output;
  initial.push_back(standard);
  standard.kind = Descriptor::Kind::error;
  initial.push_back(standard);
  if (options.pass_through) {
    is_terminal[0] = ::isatty(STDOUT_FILENO) == 1;
    is_terminal[1] = ::isatty(STDERR_FILENO) == 1;
  }
  open_directories();
  open_input();

  const EnvironmentOptions::Map& map = options.seed_map;
  constexpr std::uint32_t max_side = 65535;
  if (map.width == 0 || map.height == 0 || map.width > max_side || map.height > max_side ||
      map.pixels.size() / 4 != std::size_t{map.width} * map.height || map.pixels.size() % 4 != 0) {
    refuse(ErrorCode::invalid_input,
           fmt::format("Map of {} x {} pixels has {} bytes; sides are 1 to 65535, pixels 4 bytes.",
                       map.width, map.height, map.pixels.size()));
  }
}

void World::refuse(ErrorCode code, std::string message) {
  if (!fault) fault = Fault{code, std::move(message)};
}

void World::open_directories() {
  if (options.directories.size() + 4 > max_descriptors / 2) {
    refuse(ErrorCode::limit_exceeded,
           fmt::format("Directories for the guest ({}) exceed the limit ({}).",
                       options.directories.size(), max_descriptors / 2 - 4));
    return;
  }
  for (const EnvironmentOptions::Directory& directory : options.directories) {
    NodePointer root;
    if (directory.guest_path.empty() || has_zero(directory.guest_path)) {
      refuse(ErrorCode::invalid_input,
             fmt::format("Guest path of the directory ({}) is empty or has a zero byte.",
                         directory.host_path));
    } else if (const int error = open_host_tree(directory.host_path,
                                                Node::number_of(0, directory.guest_path), root)) {
      refuse(ErrorCode::io, fmt::format("Cannot open the directory ({}): {}.", directory.host_path,
                                        reason(error)));
    } else {
      add_preopen(directory.guest_path, std::move(root));
    }
  }
  if (options.files.empty()) return;
  std::vector<TreeFile> files;
  files.reserve(options.files.size());
  for (EnvironmentOptions::MemoryFile& file : options.files) {
    files.push_back({std::move(file.guest_path), std::move(file.contents)});
  }
  options.files.clear();
  std::string problem;
  NodePointer root = make_memory_tree(std::move(files), Node::number_of(0, "/"), problem);
  if (root) {
    add_preopen("/", std::move(root));
  } else {
    refuse(ErrorCode::invalid_input, std::move(problem));
  }
}

void World::add_preopen(const std::string& guest_path, NodePointer root) {
  Descriptor descriptor;
  descriptor.kind = Descriptor::Kind::node;
  descriptor.preopen = static_cast<std::uint32_t>(preopens.size());
  descriptor.node = std::move(root);
  descriptor.rights = wasi::rights::of_directory;
  descriptor.inheriting = wasi::rights::all;
  initial.push_back(std::move(descriptor));
  preopens.push_back(guest_path);
}

void World::open_input() {
  if (options.stdin_source) {
    input_.use_source(options.stdin_source);
  } else if (has_ordinal(options.stdin_path)) {
    input_.use_file_each(options.stdin_path);
  } else if (!options.stdin_path.empty()) {
    if (const int error = input_.use_file(options.stdin_path)) {
      refuse(ErrorCode::io,
             fmt::format("Cannot open the input ({}): {}.", options.stdin_path, reason(error)));
    }
  }
}

const Strings& World::args_of(std::uint64_t ordinal, Strings& scratch) const {
  if (!args_differ_) return args_;
  for (const std::string& text : options.args) scratch.add(with_ordinal(text, ordinal));
  return scratch;
}

const Strings& World::env_of(std::uint64_t ordinal, Strings& scratch) const {
  if (!env_differs_) return env_;
  for (const std::string& text : options.env) scratch.add(with_ordinal(text, ordinal));
  return scratch;
}

const Descriptor* World::find(const HostCall& call, std::uint32_t fd) const {
  const InstanceState* state = instances.find(call.index);
  const std::vector<Descriptor>& table =
      state == nullptr || state->descriptors.empty() ? initial : state->descriptors;
  if (fd >= table.size() || table[fd].kind == Descriptor::Kind::closed) return nullptr;
  return &table[fd];
}

Descriptor* World::find_mutable(const HostCall& call, std::uint32_t fd) {
  if (find(call, fd) == nullptr) return nullptr;
  return &descriptors(call)[fd];
}

std::vector<Descriptor>& World::descriptors(const HostCall& call) {
  InstanceState& state = instances.obtain(call.index);
  if (state.descriptors.empty()) state.descriptors = initial;
  return state.descriptors;
}

std::uint64_t World::now(const HostCall& call, wasi::ClockId clock) {
  if (options.clock == Clock::host) {
    if (!host_clock_read.load(std::memory_order_relaxed)) host_clock_read.store(true);
    timespec time{};
    ::clock_gettime(host_clock(clock), &time);
    return nanoseconds(time);
  }
  return kernels::virtual_time(static_cast<std::uint32_t>(clock), service_world(), *call.header);
}

kernels::ServiceWorld World::service_world() const {
  return {options.seed, options.clock_start_ns, options.metered ? 1u : 0u};
}

DeviceService World::device_service(kernels::Service service) const {
  const bool is_virtual = options.clock == Clock::virtual_time;
  if (service == kernels::Service::clock_time_get && !is_virtual) return {};
  if (service != kernels::Service::fd_write) return {service, service_world(), {}};
  if (options.pass_through) return {};
  // Only where the descriptors are as at first.
  return {service, service_world(), [this](std::uint32_t index) {
            const InstanceState* state = instances.find(index);
            return state == nullptr || state->descriptors.empty();
          }};
}

std::uint64_t World::resolution(wasi::ClockId clock) const {
  if (options.clock == Clock::virtual_time)
    return options.metered ? 1 : kernels::unmetered_reading_ns;
  timespec time{};
  ::clock_getres(host_clock(clock), &time);
  return std::max<std::uint64_t>(nanoseconds(time), 1);
}

std::uint64_t World::read_clock(const HostCall& call, wasi::ClockId clock) {
  const std::uint64_t time = now(call, clock);
  if (options.clock == Clock::virtual_time) kernels::note_reading(service_world(), *call.header);
  return time;
}

bool World::sleep(HostCall& call, std::uint64_t duration) {
  if (options.clock == Clock::virtual_time) {
    call.header->clock_ns = kernels::saturating_add(call.header->clock_ns, duration);
    return true;
  }
  if (!host_clock_read.load(std::memory_order_relaxed)) host_clock_read.store(true);
  std::uint64_t& since = instances.obtain(call.index).waits_since;
  if (since == 0) since = monotonic_ns();
  call.verdict = abi::Exit::parked;
  return false;
}

std::uint64_t World::waited(const HostCall& call) const {
  const InstanceState* state = instances.find(call.index);
  return state == nullptr || state->waits_since == 0 ? 0 : monotonic_ns() - state->waits_since;
}

void World::end_wait(const HostCall& call) {
  if (InstanceState* state = instances.find(call.index)) state->waits_since = 0;
}

int World::read_input(const HostCall& call, std::span<std::byte> to, std::size_t& count) {
  InputWindow* window = input_.differs() ? &instances.obtain(call.index).input : nullptr;
  const int error = input_.read(call.header->ordinal, call.header->in_read, window, to, count);
  if (error == 0) call.header->in_read += static_cast<std::uint32_t>(count);
  return error;
}

int World::emit(HostCall& call, Stream stream, std::span<const std::byte> bytes,
                std::size_t& taken) {
  if (options.pass_through) {
    return write_all(call, stream == Stream::out ? STDOUT_FILENO : STDERR_FILENO, bytes, taken);
  }
  const std::uint32_t& size = stream == Stream::out ? call.header->out_size : call.header->err_size;
  const std::uint32_t before = size;
  stream == Stream::out ? append_out(call, bytes) : append_err(call, bytes);
  taken = size - before;
  return 0;
}

int World::emit_guest(HostCall& call, Stream stream, std::uint64_t address, std::uint64_t bytes,
                      std::uint64_t& taken) {
  taken = 0;
  if (!options.pass_through) {
    const bool is_out = stream == Stream::out;
    const OutputRange& range = is_out ? call.out : call.err;
    std::uint32_t& size = is_out ? call.header->out_size : call.header->err_size;
    const std::uint64_t kept =
        std::min<std::uint64_t>(bytes, range.capacity - std::min(size, range.capacity));
    if (kept != 0) {
      const std::span<std::byte> to(range.base + size, static_cast<std::size_t>(kept));
      if (!call.memory->read(address, to)) return EFAULT;
      size += static_cast<std::uint32_t>(kept);
    }
    if (kept != bytes) {
      const std::uint8_t bit = is_out ? truncated_out : truncated_err;
      call.header->truncated = static_cast<std::uint8_t>(call.header->truncated | bit);
    }
    taken = kept;
    return 0;
  }
  std::byte piece[piece_bytes];
  while (bytes != 0) {
    const auto part = std::span(piece).first(
        static_cast<std::size_t>(std::min<std::uint64_t>(bytes, piece_bytes)));
    if (!call.memory->read(address, part)) return EFAULT;
    std::size_t count = 0;
    const int error = emit(call, stream, part, count);
    taken += count;
    if (error != 0) return error;
    address += part.size();
    bytes -= part.size();
  }
  return 0;
}

}  // namespace warphive::sys
