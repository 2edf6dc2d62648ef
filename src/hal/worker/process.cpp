// SPDX-License-Identifier: Apache-2.0
#include "hal/worker/process.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <system_error>
#include <thread>

#include "base/result.hpp"
#include "hal/worker/protocol.hpp"

namespace warphive::hal::worker {

Result<Process> Process::start(const std::string& program, const Socket& socket) {
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  // A descriptor that is where it belongs already stays open over exec then too.
  posix_spawn_file_actions_adddup2(&files, socket.descriptor(), worker_socket);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addclosefrom_np(&files, worker_socket + 1);
  // A group of its own: what a terminal sends to the front is the front's to deal with.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t signals;
  sigfillset(&signals);
  posix_spawnattr_setsigdefault(&attributes, &signals);
  sigemptyset(&signals);
  posix_spawnattr_setsigmask(&attributes, &signals);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  std::string name = program;
  char action[] = "worker";
  char* const arguments[] = {name.data(), action, nullptr};
  pid_t id = 0;
  const int error = ::posix_spawn(&id, program.c_str(), &files, &attributes, arguments, environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  if (error != 0) {
    return base::error(ErrorCode::unavailable, ErrorPhase::none,
                       "the worker process ({}) cannot be started: {}", program,
                       std::generic_category().message(error));
  }
  return Process(id);
}

std::string Process::end() {
  if (id_ == 0) return "has ended";
  (void)::kill(id_, SIGKILL);  // has no effect on how a process ends that is about to
  int status = 0;
  // One that hangs in a driver cannot be killed: it is left to the next call, or the system.
  constexpr int most_waits = 2000;
  for (int i = 0; i < most_waits; ++i) {
    const pid_t got = ::waitpid(id_, &status, WNOHANG);
    if (got == id_) {
      id_ = 0;
      return WIFSIGNALED(status) ? fmt::format("was killed by signal {} ({})", WTERMSIG(status),
                                               ::strsignal(WTERMSIG(status)))
                                 : fmt::format("ended with status {}", WEXITSTATUS(status));
    }
    if (got < 0 && errno != EINTR) {
      id_ = 0;  // somebody else has waited for it
      return "has ended";
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return "cannot be killed";
}

}  // namespace warphive::hal::worker
