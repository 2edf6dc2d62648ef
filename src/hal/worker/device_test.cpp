// SPDX-License-Identifier: Apache-2.0
// What becomes of a device whose worker dies, hangs or talks nonsense. That it is a device like
// others, the conformance suite shows.
#include "hal/worker/device.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <thread>

#include "hal/cts/word_kernels.hpp"
#include "hal/worker/testing/processes.hpp"

namespace warphive::hal::worker {
namespace {

using testing::children;
using testing::open_files;
using testing::ScratchFile;

constexpr std::chrono::milliseconds short_limit{50};

/// The stand-in's faults in workers that are started meanwhile.
class Faults {
 public:
  explicit Faults(const std::string& faults) { setenv("WARPHIVE_FAKE_CUDA", faults.c_str(), 1); }
  ~Faults() { unsetenv("WARPHIVE_FAKE_CUDA"); }
};

Result<std::shared_ptr<Device>> create(const std::string& program = {}) {
  return create_device(
      {.library = WARPHIVE_FAKE_CUDA_LIBRARY, .program = program, .stop_limit = short_limit});
}

/// A device with one of everything.
struct Parts {
  Parts() {
    device = *create();
    KernelImage image;
    image.ptx = cts::word_kernels_ptx;
    executable = *device->load(image);
    queue = *device->create_queue();
    words = *device->allocate(4096, Placement::device);
    shared = *device->allocate(4096, Placement::shared);
  }
  Status run(std::uint32_t lanes) {
    const cts::WordParams params{words.device_pointer<std::uint32_t>(), 1};
    return queue->dispatch(*executable, KernelId::run, params_of(params), lanes);
  }
  std::shared_ptr<Device> device;
  std::unique_ptr<Executable> executable;
  std::unique_ptr<Queue> queue;
  Buffer words;
  Buffer shared;
};

template <class T>
void expect_lost(const Result<T>& result, const char* why) {
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().code(), ErrorCode::device_lost);
  EXPECT_NE(result.error().message().find(why), std::string::npos) << result.error().message();
}

TEST(Worker, EveryCallSaysThatTheWorkerWasKilled) {
  Parts parts;
  const std::uint32_t seven = 7;
  std::memcpy(parts.shared.host(), &seven, sizeof seven);
  ASSERT_EQ(children().size(), 1u);
  EXPECT_FALSE(parts.device->lost());
  ASSERT_EQ(::kill(children().front(), SIGKILL), 0);
  constexpr const char* why = "was killed by signal 9 (Killed)";
  expect_lost(parts.queue->synchronise(), why);
  EXPECT_TRUE(parts.device->lost());
  EXPECT_TRUE(children().empty());
  std::byte bytes[16] = {};
  KernelImage image;
  image.ptx = cts::word_kernels_ptx;
  expect_lost(parts.queue->copy(parts.words, 0, parts.shared, 0, 4), why);
  expect_lost(parts.queue->upload(parts.words, 0, bytes), why);
  expect_lost(parts.queue->download(bytes, parts.words, 0), why);
  expect_lost(parts.queue->fill(parts.words, 0, 4, 1), why);
  expect_lost(parts.queue->discard(parts.words, 0, 4), why);
  expect_lost(parts.run(1), why);
  expect_lost(parts.queue->signal(), why);
  expect_lost(parts.queue->wait({0, 1}), why);
  expect_lost(parts.queue->interrupt(parts.words, 0, 1), why);
  expect_lost(parts.device->read_now(parts.words, 0), why);
  expect_lost(parts.device->allocate(8, Placement::device), why);
  expect_lost(parts.device->allocate(8, Placement::shared), why);
  expect_lost(parts.device->load(image), why);
  expect_lost(parts.device->create_queue(), why);
  EXPECT_EQ(parts.device->available_bytes(), 0u);
  EXPECT_EQ(parts.device->info().name, "cuda");
  // Shared memory is the front's, and stays as it is.
  EXPECT_EQ(std::memcmp(parts.shared.host(), &seven, sizeof seven), 0);
}

TEST(Worker, AWaitEndsWithTheWorker) {
  const Faults faults("fail=cuLaunchKernel:1:hang");
  Parts parts;
  ASSERT_TRUE(parts.run(8).has_value());
  std::thread late([worker = children().front()] {
    std::this_thread::sleep_for(short_limit);
    (void)::kill(worker, SIGTERM);
  });
  expect_lost(parts.queue->synchronise(), "was killed by signal 15 (Terminated)");
  late.join();
}

TEST(Worker, AStopThatIsNotHeededCostsTheWorker) {
  const Faults faults("fail=cuLaunchKernel:1:hang");
  Parts parts;
  ASSERT_TRUE(parts.run(8).has_value());
  std::atomic<bool> has_returned{false};
  std::thread waits([&] {
    expect_lost(parts.queue->synchronise(), "it did not stop within (50) ms");
    has_returned = true;
  });
  // As long as nobody asks for a stop, kernels may run.
  std::this_thread::sleep_for(4 * short_limit);
  EXPECT_FALSE(has_returned);
  EXPECT_FALSE(parts.device->lost());
  ASSERT_TRUE(parts.queue->interrupt(parts.words, 0, 1).has_value());
  waits.join();
  EXPECT_TRUE(parts.device->lost());
}

TEST(Worker, AStopThatIsNotEvenTakenCostsTheWorker) {
  Parts parts;
  const pid_t worker = children().front();
  ASSERT_EQ(::kill(worker, SIGSTOP), 0);
  siginfo_t stopped = {};  // which takes its threads a while
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(worker), &stopped, WSTOPPED | WNOWAIT), 0);
  std::thread waits(
      [&] { expect_lost(parts.queue->synchronise(), "did not stop within (50) ms"); });
  expect_lost(parts.queue->interrupt(parts.words, 0, 1), "did not stop within (50) ms");
  waits.join();
}

TEST(Worker, AStopThatIsTakenBackCostsNothing) {
  Parts parts;
  ASSERT_TRUE(parts.queue->interrupt(parts.words, 0, 1).has_value());
  ASSERT_TRUE(parts.queue->interrupt(parts.words, 0, 0).has_value());
  std::this_thread::sleep_for(2 * short_limit);
  ASSERT_TRUE(parts.run(8).has_value());
  EXPECT_TRUE(parts.queue->synchronise().has_value());
}

TEST(Worker, AStoppedQueueDoesNotCostAnotherOne) {
  const Faults faults("fail=cuLaunchKernel:1:hang");
  Parts parts;
  auto other = *parts.device->create_queue();
  std::thread waits([&] {
    ASSERT_TRUE(parts.run(8).has_value());
    expect_lost(parts.queue->synchronise(), "was killed by signal 9");
  });
  ASSERT_TRUE(other->interrupt(parts.words, 0, 1).has_value());
  std::this_thread::sleep_for(4 * short_limit);
  EXPECT_TRUE(other->synchronise().has_value());
  EXPECT_FALSE(parts.device->lost());
  (void)::kill(children().front(), SIGKILL);
  waits.join();
}

TEST(Worker, AStopIsNotJudgedWhileAnotherQueueRuns) {
  const Faults faults("fail=cuLaunchKernel:1:hang");
  Parts parts;
  auto other = *parts.device->create_queue();
  const Point never{other->signal()->queue, 1000};
  std::thread second([&] { expect_lost(other->wait(never), "did not stop within (50) ms"); });
  std::this_thread::sleep_for(4 * short_limit);  // it waits by now
  ASSERT_TRUE(parts.run(8).has_value());
  std::thread first(
      [&] { expect_lost(parts.queue->synchronise(), "did not stop within (50) ms"); });
  ASSERT_TRUE(parts.queue->interrupt(parts.words, 0, 1).has_value());
  // What the other one runs may keep kernels of the first from the device.
  std::this_thread::sleep_for(4 * short_limit);
  EXPECT_FALSE(parts.device->lost());
  (void)other->interrupt(parts.words, 0, 1);  // may find the worker killed already
  first.join();
  second.join();
}

TEST(Worker, ADriverThatTakesNoMoreCallsCostsTheWorker) {
  const Faults faults("fail=cuLaunchKernel:2:719");
  Parts parts;
  ASSERT_TRUE(parts.run(8).has_value());
  ASSERT_TRUE(parts.queue->synchronise().has_value());
  ASSERT_TRUE(parts.run(8).has_value());
  expect_lost(parts.queue->synchronise(), "CUDA error 719");
  EXPECT_TRUE(parts.device->lost());
  EXPECT_TRUE(children().empty());
}

TEST(Worker, WhatFailsWithoutAReplyFailsTheNextReplyAndWhatIsBetween) {
  const Faults faults("fail=cuLaunchKernel:1:1");
  Parts parts;
  ASSERT_TRUE(parts.run(8).has_value());
  ASSERT_TRUE(parts.queue->fill(parts.words, 0, 4, 9).has_value());
  const Status failed = parts.queue->synchronise();
  ASSERT_FALSE(failed.has_value());
  EXPECT_NE(failed.error().message().find("Launching a kernel failed"), std::string::npos);
  // The device is as good as before, and the fill behind the failure was passed over.
  EXPECT_FALSE(parts.device->lost());
  EXPECT_EQ(parts.device->read_now(parts.words, 0).value_or(1), 0u);
  ASSERT_TRUE(parts.run(8).has_value());
  ASSERT_TRUE(parts.queue->synchronise().has_value());
  EXPECT_EQ(parts.device->read_now(parts.words, 8).value_or(0), std::uint64_t{4} << 32 | 3);
}

TEST(Worker, ProgramsThatAreNoWorkersAreRefused) {
  const auto refused = [](const std::string& program, ErrorCode code, const char* why) {
    const auto device = create(program);
    ASSERT_FALSE(device.has_value());
    EXPECT_EQ(device.error().code(), code);
    EXPECT_NE(device.error().message().find(why), std::string::npos) << device.error().message();
  };
  refused("/nowhere/warphive", ErrorCode::not_found, "there is no program (/nowhere/warphive)");
  refused("/bin/true", ErrorCode::unavailable, "ended with status 0");
  refused("/", ErrorCode::unavailable, "cannot be started");
  for (const char* text : {"x", "\\1\\0\\0\\0\\1\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0"}) {
    const ScratchFile script("nonsense");
    {
      std::ofstream file(script.path());
      file << "#!/usr/bin/env python3\nimport socket\ns = socket.socket(fileno=3)\ns.recv(9)\n"
           << "s.send(b'" << text << "')\ns.recv(9)\n";
    }
    ASSERT_EQ(::chmod(script.path().c_str(), 0700), 0);
    refused(script.path(), ErrorCode::unavailable, "makes no sense");
  }
  const auto none = create_device({.ordinal = 1, .library = WARPHIVE_FAKE_CUDA_LIBRARY});
  ASSERT_FALSE(none.has_value());
  EXPECT_EQ(none.error().message(), "there are (1) CUDA devices");
  EXPECT_TRUE(children().empty());
}

TEST(Worker, ManyRestartsLeaveNothingBehind) {
  {
    const Parts once;
  }
  const std::size_t files = open_files();
  for (int i = 0; i < 50; ++i) {
    Parts parts;
    ASSERT_EQ(children().size(), 1u);
    if (i % 2 == 0) ASSERT_EQ(::kill(children().front(), SIGKILL), 0);
    (void)parts.queue->synchronise();
  }
  EXPECT_EQ(open_files(), files);
  EXPECT_TRUE(children().empty());
}

TEST(Worker, DevicesOfOneProcessAreApart) {
  Parts first;
  const pid_t worker = children().front();
  Parts second;
  EXPECT_NE(first.shared.host(), second.shared.host());
  ASSERT_EQ(::kill(worker, SIGKILL), 0);
  expect_lost(first.queue->synchronise(), "was killed");
  ASSERT_TRUE(second.run(8).has_value());
  EXPECT_TRUE(second.queue->synchronise().has_value());
}

TEST(Worker, AWorkerDoesNotOutliveItsFront) {
  for (const char* faults : {"", "fail=cuLaunchKernel:1:hang"}) {
    const Faults set(faults);
    ASSERT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    int ends[2] = {};
    ASSERT_EQ(::pipe(ends), 0);
    const pid_t front = ::fork();
    ASSERT_GE(front, 0);
    if (front == 0) {
      Parts parts;
      (void)parts.run(8);
      const pid_t worker = children().front();
      (void)!::write(ends[1], &worker, sizeof worker);
      (void)parts.queue->synchronise();
      for (;;) ::pause();
    }
    pid_t worker = 0;
    ASSERT_EQ(::read(ends[0], &worker, sizeof worker), static_cast<ssize_t>(sizeof worker));
    ASSERT_EQ(::kill(front, SIGKILL), 0);
    int status = 0;
    ASSERT_EQ(::waitpid(front, &status, 0), front);
    // It has become ours, and this waits for its end.
    ASSERT_EQ(::waitpid(worker, &status, 0), worker);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    (void)::close(ends[0]);
    (void)::close(ends[1]);
  }
}

}  // namespace
}  // namespace warphive::hal::worker
