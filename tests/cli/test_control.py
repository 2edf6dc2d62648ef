# SPDX-License-Identifier: Apache-2.0
"""Limits, cancelling and progress."""

import json
import os
import pty
import signal
import subprocess
import time

import harness
from harness import CommandTest


class Fuel(CommandTest):
    def test_small(self):
        report = self.report("core", "--invoke", "loop", "--fuel", "1000", "-n", "3", status=121)
        self.assertEqual(report["exits"], {"out_of_fuel": 3})
        self.assertEqual(report["fuel_exhausted"], 3)
        self.assertTrue(all(r["instructions"] <= 1000 for r in report["results"]))
        done = self.run_guest("core", "--invoke", "loop", "--fuel", "1000", "--quiet", status=121)
        self.assertEqual(done.err, "warphive: The instance ran out of fuel (1000); --fuel raises the limit.\n")
        self.assertEqual(done.out, "")

    def test_exact(self):
        used = self.report("core", "--invoke", "count", "--args", "100")["instructions"]
        self.report("core", "--invoke", "count", "--args", "100", "--fuel", used)
        report = self.report("core", "--invoke", "count", "--args", "100", "--fuel", used - 1, status=121)
        self.assertEqual(report["results"][0]["exit"], "out_of_fuel")

    def test_none_at_all(self):
        report = self.report("core", "--invoke", "nothing", "--fuel", "0", status=121)
        self.assertEqual(report["instructions"], 0)

    def test_a_trap_counts_before_fuel(self):
        self.guest("mixed", """(module (func (export "run") (param i32)
          (if (local.get 0) (then unreachable)) (loop br 0)))""")
        report = self.report("mixed", "--invoke", "run", "--args-from", "0..1", "--fuel", "100", status=120)
        self.assertEqual(report["exits"], {"trapped": 1, "out_of_fuel": 1})


class Stack(CommandTest):
    def test_depth(self):
        arguments = ["--invoke", "recurse", "--args", "50"]
        self.run_guest("core", *arguments)
        self.run_guest("core", *arguments, "--max-depth", "51")
        done = self.run_guest("core", *arguments, "--max-depth", "50", "--quiet", status=120)
        self.assertIn("stack_overflow in function", done.err)
        self.assertIn("--max-depth", done.err)

    def test_slots(self):
        self.run_guest("core", "--invoke", "recurse", "--args", "50", "--stack-slots", "20", status=120)
        self.run_guest("core", "--invoke", "recurse", "--args", "5000", "--stack-slots", "100000", "--max-depth", "5001")


class Timeout(CommandTest):
    def test_infinite_loop(self):
        for metering in ["on", "off"]:
            report = self.report("core", "--invoke", "loop", "-n", "5", "--timeout", "0.2", "--metering", metering, status=121)
            self.assertEqual(report["exits"], {"cancelled": 5})
            self.assertGreaterEqual(report["seconds"]["run"], 0.19)
        done = self.run_guest("core", "--invoke", "loop", "--timeout", "0.2", "--quiet", status=121)
        self.assertEqual(done.err, "warphive: The instance did not end within the timeout (0.2 s).\n")

    def test_finished_instances_keep_their_results(self):
        self.guest("mixed", """(module (func (export "run") (param i32) (result i32)
          (if (i32.eqz (local.get 0)) (then (loop br 0))) local.get 0))""")
        report = self.report("mixed", "--invoke", "run", "--args-from", "0..9", "--threads", "2", "--timeout", "2", status=121)
        self.assertEqual(report["exits"], {"returned": 9, "cancelled": 1})
        self.assertEqual([r.get("values") for r in report["results"]], [None] + [[i] for i in range(1, 10)])

    def test_not_reached(self):
        self.run_guest("core", "--invoke", "nothing", "--timeout", "1e9")

    def test_waiting_for_input(self):
        reader, writer = os.pipe()
        try:
            done = subprocess.run([harness.WARPHIVE, "run", self.folder / self.guest("cat"), "--timeout", "0.3", "--quiet"],
                                  stdin=reader, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=harness.HANG_SECONDS)
        finally:
            os.close(reader)
            os.close(writer)
        self.assertIn(done.returncode, (0, 121))  # the guest may take the end of its wait for the end of its input


    def test_sleeping_on_the_hosts_clock(self):
        self.guest("sleep", """(module
          (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
          (memory (export "memory") 1)
          (func (export "sleep") (param $ns i64) (result i32)
            (i32.store (i32.const 16) (i32.const 1))
            (i64.store (i32.const 24) (local.get $ns))
            (drop (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))
            (i32.load (i32.const 128))))""")
        host = ["--invoke", "sleep", "--clock", "host"]
        for count in ["1", "3"]:
            start = time.monotonic()
            report = self.report("sleep", *host, "--args", "3600000000000", "-n", count, "--timeout", "0.3", status=121)
            self.assertLess(time.monotonic() - start, 30)
            self.assertEqual(report["exits"], {"parked": int(count)})
        # Also where the run is to be repeated for hours.
        report = self.report("sleep", *host, "--args", "3600000000000", "--timeout", "0.3", "--repeat", "100000", status=121)
        self.assertEqual(report["exits"], {"parked": 1})
        # Sleepers hold no thread: one after the other they would need 20 s.
        report = self.report("sleep", *host, "--args", "200000000", "-n", "100", "--threads", "1")
        self.assertEqual(report["exits"], {"returned": 100})
        self.assertTrue(all(r["values"] == [1] for r in report["results"]))
        self.assertGreaterEqual(report["seconds"]["run"], 0.2)
        self.assertLess(report["seconds"]["run"], 10)

    def test_writing_to_a_pipe_that_nobody_reads(self):
        self.guest("forever")
        reader, writer = os.pipe()
        try:
            done = subprocess.run([harness.WARPHIVE, "run", self.folder / "forever.wasm", "--timeout", "0.3", "--quiet"],
                                  stdin=subprocess.DEVNULL, stdout=writer, stderr=subprocess.PIPE, timeout=harness.HANG_SECONDS)
        finally:
            os.close(reader)
            os.close(writer)
        self.assertEqual(done.returncode, 121)


class Signals(CommandTest):
    def interrupt(self, *arguments, signals=(signal.SIGINT,), **options):
        process = subprocess.Popen([harness.WARPHIVE, "run", self.guest("core"), "--invoke", "loop", *arguments],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=self.folder, **options)
        try:
            time.sleep(0.5)
            for number in signals:
                process.send_signal(number)
            out, err = process.communicate(timeout=harness.HANG_SECONDS)
        finally:
            process.kill()
        return process.returncode, out.decode(), err.decode()

    def test_interrupt_shows_what_is_there(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            status, out, err = self.interrupt("-n", "3", "--format", "json", "--quiet", signals=[number])
            self.assertEqual(status, 121)
            report = json.loads(out)
            self.assertEqual(report["exits"], {"cancelled": 3})
            self.assertEqual(err, "warphive: 3 of 3 instances did not end: the run was cancelled.\n")

    def test_interrupt_before_anything_runs(self):
        os.mkfifo(self.folder / "pipe")
        for arguments in (["pipe"], [self.guest("cat"), "--stdin", "pipe"]):
            process = subprocess.Popen([harness.WARPHIVE, "run", *arguments], stdin=subprocess.DEVNULL,
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=self.folder)
            try:
                time.sleep(0.5)
                process.send_signal(signal.SIGINT)
                process.communicate(timeout=harness.HANG_SECONDS)
            finally:
                process.kill()
            self.assertEqual(process.returncode, -signal.SIGINT)

    def test_without_metering(self):
        status, _, _ = self.interrupt("--metering", "off")
        self.assertEqual(status, 121)

    def test_summary_is_still_there(self):
        _, _, err = self.interrupt()
        self.assertIn("1 cancelled", err)


class ClosedPipe(CommandTest):
    def test_a_guest_that_writes_for_ever_ends_with_its_reader(self):
        self.guest("forever")
        for prefix in ["", "trap '' PIPE; "]:  # also where the parent ignores SIGPIPE
            done = subprocess.run(["bash", "-c", prefix + '"$0" run forever.wasm --quiet | head -n 1', harness.WARPHIVE],
                                  cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=harness.HANG_SECONDS)
            self.assertEqual(done.stdout, b"0123456789\n")


class Progress(CommandTest):
    LOOP = ["--invoke", "loop", "--timeout", "1.6"]

    def test_json_is_one_object_a_line(self):
        done = self.run_guest("core", *self.LOOP, "-n", "4", "--progress", "json", status=121)
        objects = [json.loads(line) for line in done.err.splitlines() if line.startswith("{")]
        self.assertGreaterEqual(len(objects), 1)
        self.assertEqual(list(objects[0]), ["seconds", "instances", "done", "instructions"])
        self.assertEqual(objects[0]["instances"], 4)
        self.assertGreaterEqual(objects[0]["seconds"], 1)

    def test_short_work_shows_none(self):
        done = self.run_guest("core", "--invoke", "nothing", "--progress", "json")
        self.assertNotIn("{", done.err)

    def test_quiet_and_none_show_none(self):
        for extra in (["--quiet", "--progress", "json"], ["--progress", "none"], []):
            done = self.run_guest("core", *self.LOOP, *extra, status=121)
            self.assertNotIn("{", done.err)
            self.assertNotIn("\r", done.err)

    def on_terminal(self, *arguments, environment=None):
        """What a terminal on stderr gets."""
        main, terminal = pty.openpty()
        process = subprocess.Popen([harness.WARPHIVE, "run", self.guest("core"), *self.LOOP, *arguments], cwd=self.folder,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=terminal,
                                   env={**os.environ, **(environment or {})})
        os.close(terminal)
        text = b""
        try:
            while True:
                try:
                    piece = os.read(main, 4096)
                except OSError:
                    break
                if not piece:
                    break
                text += piece
            self.assertEqual(process.wait(harness.HANG_SECONDS), 121)
        finally:
            process.kill()
            process.wait()
            os.close(main)
        return text.decode()

    def test_terminal(self):
        self.assertIn("\r\x1b[K0 of 7 instances", self.on_terminal("-n", "7"))
        self.assertNotIn("\x1b", self.on_terminal("-n", "7", "--progress", "none"))

    def test_no_color_has_no_colors(self):
        self.assertNotRegex(self.on_terminal("-n", "7", environment={"NO_COLOR": "1"}), "\x1b\\[[0-9;]*m")
