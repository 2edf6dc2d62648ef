// SPDX-License-Identifier: Apache-2.0
#include "tools/watcher.hpp"

#include <dirent.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <system_error>

#include "tools/failure.hpp"
#include "tools/format.hpp"
#include "tools/values.hpp"

namespace warphive::tools {

namespace {

constexpr auto progress_after = std::chrono::seconds(1);
constexpr auto progress_every = std::chrono::milliseconds(250);
constexpr auto cancel_every = std::chrono::milliseconds(2);

std::atomic<int> signal_count = 0;
std::atomic<bool> run_stopped = false;  // by a signal or a timeout
int signal_fd = -1;                     // readable once a signal has come

void on_signal(int signal) {
  if (signal_count.fetch_add(1) > 0) _exit(128 + signal);
  const int saved = errno;
  const std::uint64_t one = 1;
  (void)!::write(signal_fd, &one, sizeof one);
  errno = saved;
}

void on_wake(int) {}

int new_eventfd() {
  const int fd = ::eventfd(0, EFD_CLOEXEC);
  if (fd < 0) fail_host("The system refuses an event descriptor.");
  return fd;
}

/// Standard input to its end, or to the moment when the run is stopped.
std::string read_process_stdin() {
  std::string text;
  std::array<char, 1 << 16> buffer;
  while (!run_stopped && !stop_signalled()) {
    // Woken now and then, so that a run that waits for input can be stopped.
    pollfd waited = {STDIN_FILENO, POLLIN, 0};
    const int ready = ::poll(&waited, 1, 20);
    if (ready == 0 || (ready < 0 && errno == EINTR)) continue;
    const ssize_t bytes = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (bytes < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (bytes <= 0) break;
    text.append(buffer.data(), static_cast<std::size_t>(bytes));
  }
  return text;
}

}  // namespace

void install_stop_signals() {
  signal_fd = new_eventfd();
  struct sigaction action = {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  (void)::sigaction(SIGINT, &action, nullptr);
  (void)::sigaction(SIGTERM, &action, nullptr);
  action.sa_handler = on_wake;
  action.sa_flags = 0;  // a blocked read or write ends with EINTR
  (void)::sigaction(SIGUSR1, &action, nullptr);
}

bool stop_signalled() { return signal_count > 0; }

void use_process_stdin(HostOptions& options) {
  // Opened again it is read bit by bit as guests ask; else it is read whole.
  struct stat status = {};
  struct statfs system = {};
  bool again = false;
  if (::fstat(STDIN_FILENO, &status) == 0) {
    if (S_ISFIFO(status.st_mode)) {
      // Opening a named pipe may wait for ever; an anonymous one never does.
      again = ::fstatfs(STDIN_FILENO, &system) == 0 && system.f_type == PIPEFS_MAGIC;
    } else {
      // Another descriptor begins at the file's beginning, wherever this one is.
      again = S_ISCHR(status.st_mode) ||
              (S_ISREG(status.st_mode) && ::lseek(STDIN_FILENO, 0, SEEK_CUR) == 0);
    }
  }
  if (again && ::access("/dev/stdin", R_OK) == 0) {
    options.stdin_path = "/dev/stdin";
  } else {
    options.stdin_source = [](std::uint64_t) { return read_process_stdin(); };
  }
}

Watcher::Watcher(Swarm swarm, const RunOptions& options)
    : swarm_(std::move(swarm)),
      progress_(options.progress),
      may_block_(options.host.pass_through || options.host.stdin_path == "/dev/stdin"),
      start_(Clock::now()) {
  if (options.timeout) {
    // Beyond a hundred years a time point would overflow, and nobody waits.
    const double seconds = std::min(*options.timeout, 3e9);
    deadline_ = start_ +
                std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  }
  if (options.quiet || (progress_ == ProgressMode::automatic && ::isatty(STDERR_FILENO) == 0)) {
    progress_ = ProgressMode::none;
  }
  wake_ = new_eventfd();
  try {
    thread_ = std::thread([this] { watch(); });
  } catch (const std::system_error& refusal) {
    (void)::close(wake_);
    fail_host("The system refuses the thread that watches the run: {}.", refusal.what());
  }
}

void Watcher::stop() {
  if (!thread_.joinable()) return;
  const std::uint64_t one = 1;
  (void)!::write(wake_, &one, sizeof one);
  thread_.join();
  (void)::close(wake_);
  if (line_shown_) (void)std::fputs("\r\x1b[K", stderr);
}

void Watcher::watch() {
  Clock::time_point next_progress = start_ + progress_after;
  for (;;) {
    const Clock::time_point now = Clock::now();
    const bool signalled = stop_signalled();
    const bool late = deadline_ && now >= *deadline_;
    std::optional<Clock::time_point> wake;
    if (signalled || late) {
      // Again and again: the dispatch may be about to begin, when a cancel does nothing.
      if (late && !signalled && !run_stopped) timed_out_ = true;
      run_stopped = true;
      swarm_.cancel();
      if (may_block_) interrupt_threads();
      wake = now + cancel_every;
    } else if (deadline_) {
      wake = *deadline_;
    }
    if (progress_ != ProgressMode::none) {
      if (now >= next_progress) {
        show(now);
        next_progress = now + progress_every;
      }
      wake = wake ? std::min(*wake, next_progress) : next_progress;
    }
    int milliseconds = -1;
    if (wake) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(*wake - Clock::now());
      milliseconds = static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 1 << 30));
    }
    std::array<pollfd, 2> waited = {{{wake_, POLLIN, 0}, {signalled ? -1 : signal_fd, POLLIN, 0}}};
    (void)::poll(waited.data(), waited.size(), milliseconds);
    if ((waited[0].revents & POLLIN) != 0) return;
  }
}

void Watcher::interrupt_threads() const {
  // Which thread waits in a system call for a guest is not known, so every one is woken.
  DIR* tasks = ::opendir("/proc/self/task");
  if (tasks == nullptr) return;
  const pid_t own = ::gettid();
  while (const dirent* task = ::readdir(tasks)) {
    const std::optional<std::uint64_t> id = parse_unsigned(task->d_name);
    if (id && static_cast<pid_t>(*id) != own) {
      (void)::tgkill(::getpid(), static_cast<pid_t>(*id), SIGUSR1);
    }
  }
  (void)::closedir(tasks);
}

void Watcher::show(Clock::time_point now) {
  const Progress progress = swarm_.progress();
  const double seconds = std::chrono::duration<double>(now - start_).count();
  if (progress_ == ProgressMode::json) {
    print_error(fmt::format(R"({{"seconds":{:.3f},"instances":{},"done":{},"instructions":{}}})"
                            "\n",
                            seconds, progress.instances_total, progress.instances_done,
                            progress.instructions));
  } else {
    print_error(fmt::format("\r\x1b[K{} of {}, {} instructions, {}",
                            grouped(progress.instances_done),
                            counted(progress.instances_total, "instance"),
                            scaled(static_cast<double>(progress.instructions)), duration(seconds)));
    line_shown_ = true;
  }
  (void)std::fflush(stderr);
}

}  // namespace warphive::tools
