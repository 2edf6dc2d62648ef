# SPDX-License-Identifier: Apache-2.0
"""Runs whose device is driven by a worker process, on the stand-in driver: the worker dies, hangs, or outlives nobody."""

import json
import os
import signal
import subprocess
import time

import harness
from harness import CommandTest

AGAIN = "The run begins again in a new worker process."


class Isolation(CommandTest):
    def arguments(self, *more):
        return ["run", self.guest("core"), "--invoke", "count", "--args-from", "1..40", "--device", "cuda", "--isolation", "worker",
                "--format", "json", *more]

    def result_hash(self, *more, **options):
        done = self.command(*self.arguments(*more), status=0, **options)
        return json.loads(done.out)["result_hash"], done.err

    def fault(self, text):
        """For the first process that comes to it."""
        mark = self.folder / "mark"
        mark.unlink(missing_ok=True)
        return {"WARPHIVE_FAKE_CUDA": f"fail={text},once={mark}"}

    def test_results_are_the_same(self):
        cpu = json.loads(self.command("run", self.guest("core"), "--invoke", "count", "--args-from", "1..40", "--device", "cpu",
                                      "--format", "json", status=0).out)["result_hash"]
        for tier in ("interp", "jit"):
            self.assertEqual(self.result_hash("--tier", tier), (cpu, ""))
        # Host calls, output and input go through the worker too.
        reports = []
        for isolation in ("none", "worker"):
            done = self.command("run", self.guest("chatty"), "-n", "40", "--device", "cuda", "--isolation", isolation, "--format", "json",
                                status=0)
            reports.append([result["stdout"] for result in json.loads(done.out)["results"]])
        self.assertEqual(reports[0], reports[1])

    def test_a_lost_worker_is_replaced_once(self):
        whole = self.result_hash()
        for fault, why in (("cuLaunchKernel:2:kill", "was killed by signal 9 (Killed)."),
                           ("cuStreamSynchronize:20:719", "CUDA error 719"),
                           ("cuMemcpyAsync:1:kill", "was killed by signal 9 (Killed).")):
            with self.subTest(fault=fault):
                result, error = self.result_hash(environment=self.fault(fault))
                self.assertEqual(result, whole[0])
                self.assertIn(why, error)
                self.assertIn(AGAIN, error)
                self.assertEqual(error.count("\n"), 1)
        # Twice is too often, and without a worker there is nothing to begin again in.
        forever = {"WARPHIVE_FAKE_CUDA": "fail=cuLaunchKernel:2:kill"}
        done = self.command(*self.arguments(), status=122, environment=forever)
        self.assertEqual(done.err.count("was killed by signal 9"), 2)
        self.assertEqual(done.out, "")
        done = self.command(*[a for a in self.arguments() if a not in ("--isolation", "worker")], status=122,
                            environment={"WARPHIVE_FAKE_CUDA": "fail=cuLaunchKernel:2:719"})
        self.assertNotIn(AGAIN, done.err)

    def test_what_was_seen_is_not_done_twice(self):
        # One instance writes straight through, so it may have written already.
        done = self.command("run", self.guest("chatty"), "--device", "cuda", "--isolation", "worker", status=122,
                            environment=self.fault("cuLaunchKernel:3:kill"))
        self.assertIn("was killed by signal 9", done.err)
        self.assertNotIn(AGAIN, done.err)

    def test_a_timeout_gives_up_a_kernel_that_hangs(self):
        trace = self.folder / "trace"
        self.command("run", self.guest("core"), "--invoke", "nothing", "-n", "3", "--device", "cuda", status=0,
                     environment={"WARPHIVE_FAKE_CUDA": f"trace={trace}"})
        last = trace.read_text().split().count("cuLaunchKernel")
        done = self.command("run", self.guest("core"), "--invoke", "loop", "-n", "3", "--device", "cuda", "--isolation", "worker",
                            "--timeout", "0.2", status=122, environment=self.fault(f"cuLaunchKernel:{last}:hang"))
        self.assertIn("it did not stop within (2000) ms", done.err)
        self.assertNotIn(AGAIN, done.err)
        # A kernel that does stop costs nobody anything.
        done = self.command("run", self.guest("core"), "--invoke", "loop", "-n", "3", "--device", "cuda", "--isolation", "worker",
                            "--timeout", "0.2", "--format", "json", status=121)
        self.assertEqual(json.loads(done.out)["exits"], {"cancelled": 3})

    def test_signals_are_the_commands(self):
        # As a terminal sends them: to the command and all of its group.
        process = subprocess.Popen([harness.WARPHIVE, "run", self.guest("core"), "--invoke", "loop", "-n", "3", "--device", "cuda",
                                    "--isolation", "worker", "--progress", "json"], cwd=self.folder, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, process_group=0)
        process.stderr.readline()
        os.killpg(process.pid, signal.SIGINT)
        _, error = process.communicate(timeout=harness.HANG_SECONDS)
        self.assertEqual(process.returncode, 121, error)
        self.assertIn("3 cancelled", error)

    def test_options(self):
        self.assertIn("--isolation worker is for GPUs",
                      self.command("run", self.guest("core"), "--invoke", "nothing", "--device", "cpu", "--isolation", "worker", status=125).err)
        self.assertIn("is for Warphive itself", self.command("worker", status=125).err)
        done = self.command(*self.arguments(), status=122, environment={"WARPHIVE_WORKER": "/bin/true"})
        self.assertIn("Device (cuda) is not available: The worker process of device (cuda) ended with status 0.", done.err)
        self.command(*self.arguments(), environment={"WARPHIVE_WORKER": "/nowhere/warphive"}, status=122)


if "WARPHIVE_CUDA_LIBRARY" not in os.environ:
    del Isolation
