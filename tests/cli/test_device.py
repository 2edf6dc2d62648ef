# SPDX-License-Identifier: Apache-2.0
"""Programs on a CUDA device: the stand-in driver that WARPHIVE_CUDA_LIBRARY names, with and without faults.

Each run is compared with the same run on the CPU.
"""

import json
import os

from harness import CommandTest, wasi

SYMBOLS = [
    "cuInit", "cuDeviceGetCount", "cuDeviceGet", "cuDevicePrimaryCtxRetain", "cuMemGetInfo_v2", "cuMemAlloc_v2", "cuMemHostAlloc",
    "cuMemcpyAsync", "cuMemsetD8Async", "cuStreamCreateWithPriority", "cuStreamSynchronize", "cuModuleLoadDataEx",
    "cuModuleGetFunction", "cuLaunchKernel", "cuMemFree_v2", "cuMemFreeHost",
]
LINK_SYMBOLS = ["cuLinkCreate_v2", "cuLinkAddData_v2", "cuLinkComplete", "cuCtxSetLimit", "cuModuleGetGlobal_v2", "cuModuleLoadDataEx"]
OUT_OF_MEMORY = 2
LAUNCH_FAILED = 719
NO_BINARY = 200


# Each gets the number of the instance and returns an error number.
HOSTILE = """
  (func $pair (param $at i32) (param $address i32) (param $bytes i32)
    (i32.store (local.get $at) (local.get $address))
    (i32.store offset=4 (local.get $at) (local.get $bytes)))
  ;; Ranges that overlap each other and the list itself.
  (func (export "overlap") (param i32) (result i32)
    (call $pair (i32.const 64) (i32.const 60) (i32.const 40))
    (call $pair (i32.const 72) (i32.add (i32.const 64) (local.get 0)) (i32.const 31))
    (call $pair (i32.const 80) (i32.const 64) (i32.const 24))
    (call $fd_write (i32.const 1) (i32.const 64) (i32.const 3) (i32.const 70)))
  ;; All of memory, again and again.
  (func (export "huge") (param i32) (result i32) (local $i i32)
    (loop
      (call $pair (i32.add (i32.const 1024) (i32.shl (local.get $i) (i32.const 3)))
        (local.get 0) (i32.sub (i32.const 131072) (local.get 0)))
      (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1024))))
    (call $fd_write (i32.const 1) (i32.const 1024) (i32.const 1024) (i32.const 8)))
  ;; Around the end of memory and of the addresses.
  (func (export "outside") (param i32) (result i32)
    (call $pair (i32.const 64) (i32.sub (i32.const 131092) (local.get 0)) (i32.const 4))
    (call $pair (i32.const 72) (i32.sub (i32.const 0) (local.get 0)) (local.get 0))
    (drop (call $fd_write (i32.const 1) (i32.const 72) (i32.const 1) (i32.const 8)))
    (drop (call $fd_write (i32.const 1) (i32.sub (i32.const 131092) (local.get 0)) (i32.const 1) (i32.const 8)))
    (drop (call $fd_write (i32.const 1) (i32.const 64) (i32.const -1) (i32.const 8)))
    (drop (call $fd_read (i32.const 0) (i32.const 64) (i32.const 1) (i32.sub (i32.const 131092) (local.get 0))))
    (call $fd_write (i32.const 1) (i32.const 64) (i32.const 1) (i32.sub (i32.const 131092) (local.get 0))))
  ;; 1,024 single bytes, each instance's own.
  (func (export "many") (param i32) (result i32) (local $i i32)
    (loop
      (i32.store8 (i32.add (i32.const 65536) (i32.mul (local.get $i) (i32.const 17)))
        (i32.add (i32.const 32) (i32.rem_u (i32.add (local.get $i) (local.get 0)) (i32.const 90))))
      (call $pair (i32.add (i32.const 1024) (i32.shl (local.get $i) (i32.const 3)))
        (i32.add (i32.const 65536) (i32.mul (local.get $i) (i32.const 17))) (i32.const 1))
      (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1024))))
    (call $fd_write (i32.const 1) (i32.const 1024) (i32.const 1024) (i32.const 8)))
  ;; Reads into ranges that overlap, backwards, and over the list.
  (func (export "scatter") (param i32) (result i32) (local $i i32)
    (loop
      (call $pair (i32.add (i32.const 1024) (i32.shl (local.get $i) (i32.const 3)))
        (i32.sub (i32.const 4096) (i32.mul (local.get $i) (i32.const 3))) (i32.add (i32.const 5) (local.get 0)))
      (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1000))))
    (call $fd_read (i32.const 0) (i32.const 1024) (i32.const 1000) (i32.const 4090)))
  (func (export "random") (param i32) (result i32)
    (drop (call $random (i32.const 100) (i32.mul (local.get 0) (i32.const 3000))))
    (drop (call $clock (i32.const 0) (i64.const 1) (i32.const 104)))
    (call $random (i32.const 131000) (i32.add (local.get 0) (i32.const 50))))
"""


class Device(CommandTest):
    def equal(self, *arguments, status=0, memory=("--memory-hash",)):
        """The JSON of a run on both devices, and in both tiers, without times and names."""
        reports = []
        for device, tier in (("cpu", "interp"), ("cuda", "interp"), ("cuda", "jit")):
            done = self.command("run", *arguments, "--device", device, "--tier", tier, "--format", "json", *memory, status=status)
            report = json.loads(done.out)
            self.assertEqual((report["device"], report["tier"]), (device, tier))
            for key in ("device", "tier", "seconds", "compiled", "instructions_per_second", "instances_per_second"):
                report.pop(key, None)
            reports.append(report)
        self.assertEqual(reports[1], reports[0])
        self.assertEqual(reports[2], reports[0])
        return reports[0]

    def test_devices(self):
        self.assertIn("cuda     available: stand-in driver", self.command("devices", status=0).out)
        listed = json.loads(self.command("devices", "--format", "json", status=0).out)
        self.assertEqual([(device["name"], device["available"]) for device in listed], [("cpu", True), ("cuda", True)])
        self.assertIn("there are (1) CUDA devices", self.command("run", self.guest("core"), "--device", "cuda:1", status=122).err)

    def test_auto_is_the_gpu_for_many_instances(self):
        core = self.guest("core")
        for count, device in ((1, "cpu"), (1023, "cpu"), (1024, "cuda")):
            done = self.command("run", core, "--invoke", "count", "--args-from", f"1..{count}", "--format", "json", "--results", "hash")
            self.assertEqual(json.loads(done.out)["device"], device)
        # What does not fit there runs on the CPU, unless the GPU was asked for.
        large = ["run", core, "--invoke", "grow", "--args-from", "1..2000", "--stack-slots", "16777216", "--format", "json", "--results", "hash"]
        self.assertEqual(json.loads(self.command(*large, status=0).out)["device"], "cpu")
        self.assertIn("exceeds what the device still has", self.command(*large, "--device", "cuda", status=123).err)

    def test_more_instances_than_fit_run_in_waves(self):
        core = self.guest("core")
        reports = [json.loads(self.command("run", core, "--invoke", "count", "--args-from", "1..15000", "--device", device, "--format", "json",
                                           "--results", "hash", status=0, environment={"WARPHIVE_FAKE_CUDA": "memory=1073741824"}).out)
                   for device in ("cpu", "cuda")]
        for key in ("result_hash", "instructions", "exits"):
            self.assertEqual(reports[0][key], reports[1][key])

    def test_counts_around_a_tile(self):
        core = self.guest("core")
        for count in (1, 31, 32, 33, 64, 100):
            self.equal(core, "--invoke", "count", "--args-from", f"1..{count}")

    def test_traps(self):
        core = self.guest("core")
        report = self.equal(core, "--invoke", "trap_odd", "--args-from", "0..99", status=120)
        self.assertEqual(report["exits"], {"returned": 50, "trapped": 50})
        self.equal(core, "--invoke", "store", "--args-from", "65500..65600", "--args", "7", status=120)
        self.equal(core, "--invoke", "recurse", "--args-from", "1000..1040", status=120)

    def test_fuel(self):
        self.equal(self.guest("core"), "--invoke", "loop", "-n", "40", "--fuel", "12345", status=121)

    def test_memory_grows(self):
        self.equal(self.guest("core"), "--invoke", "grow", "--args-from", "0..30")

    def test_host_calls(self):
        report = self.equal(self.guest("chatty"), "-n", "40")
        self.assertEqual(report["exits"], {"returned": 40})
        self.equal(self.guest("strings"), "-n", "3", "--env", "A={id}")
        self.equal(self.guest("world"), "--invoke", "random", "-n", "33", "--seed", "5")
        self.equal(self.guest("world"), "--invoke", "clock", "-n", "33")

    def test_host_calls_cost_the_same_for_many_as_for_few(self):
        def calls(*arguments):
            trace = self.folder / "trace"
            self.command("run", *arguments, "--device", "cuda", "--tier", "interp", status=0,
                         environment={"WARPHIVE_FAKE_CUDA": f"trace={trace}"})
            lines = trace.read_text().split()
            return lines.count("cuMemcpyAsync"), lines.count("cuLaunchKernel")

        self.file("data/x.txt", "text")
        for arguments in (("chatty",), ("strings", "--env", "A=b"), ("file", "--dir", "data::/")):
            with self.subTest(guest=arguments[0]):
                few, many = (calls(self.guest(arguments[0]), "-n", n, *arguments[1:]) for n in (2, 300))
                self.assertEqual(few[1], many[1])
                # Each array that is too large for kernels to use the host's is copied, once each way.
                self.assertLessEqual(many[0] - few[0], 12)
        # A write is one launch that serves and one that runs: if the host served it there would be three more.
        self.assertLessEqual(calls(self.guest("chatty"), "-n", 300)[1], 12)

    def test_files_and_input(self):
        text = "".join(f"line {i}\n" for i in range(30_000))
        self.file("data/x.txt", text)
        self.file("in.0.txt", "short")
        self.file("in.1.txt", text)
        self.file("in.2.txt", "")
        output = ("--output-bytes", 400_000)
        report = self.equal(self.guest("file"), "-n", "3", "--dir", "data::/", *output)
        self.assertEqual({result["stdout"] for result in report["results"]}, {text})
        report = self.equal(self.guest("cat"), "-n", "3", "--stdin", "in.{id}.txt", *output)
        self.assertEqual([result["stdout"] for result in report["results"]], ["short", text, ""])

    def test_hostile_host_calls(self):
        hostile = self.guest("hostile", wasi(HOSTILE))
        self.file("in.txt", "".join(f"{i} " for i in range(50_000)))
        for function in ("overlap", "huge", "outside", "many", "scatter", "random"):
            with self.subTest(function=function):
                self.equal(hostile, "--invoke", function, "--args-from", "0..40", "--stdin", "in.txt")

    def test_linked_modules(self):
        self.guest("library")
        self.equal(self.guest("user"), "--invoke", "run", "--args-from", "1..40", "--preload", "lib=library.wasm", memory=())

    def test_timeout_stops_a_running_kernel(self):
        done = self.command("run", self.guest("core"), "--invoke", "loop", "-n", "3", "--device", "cuda", "--timeout", "0.2", "--format",
                            "json", status=121)
        self.assertEqual(json.loads(done.out)["exits"], {"cancelled": 3})

    def test_too_many_instances_are_refused(self):
        done = self.command("run", self.guest("core"), "--invoke", "nothing", "-n", "200000", "--device", "cuda", "--memory-hash", status=123,
                            environment={"WARPHIVE_FAKE_CUDA": "memory=2147483648"})
        self.assertRegex(done.err, r"do not fit; about \(\d+\) would")

    def test_every_call_of_the_driver_may_fail(self):
        core = self.guest("core")
        arguments = ["run", core, "--invoke", "count", "--args-from", "1..40", "--device", "cuda", "--format", "json", "--results", "hash"]
        self.fail_each(SYMBOLS, arguments)
        self.fail_each(LINK_SYMBOLS, [*arguments, "--tier", "jit", "--no-cache"])

    def test_what_compiles_in_the_background_may_fail(self):
        arguments = ["run", self.guest("core"), "--invoke", "count", "--args-from", "8000000..8000002", "--device", "cuda", "--format", "json",
                     "--no-cache"]
        self.fail_each([*LINK_SYMBOLS, "cuStreamWriteValue32_v2"], arguments)
        # Where it is not the device that is lost, the program stays interpreted.
        expected = json.loads(self.command(*arguments, "--tier", "interp", status=0).out)["result_hash"]
        for symbol in LINK_SYMBOLS:
            for number in (1, 2, 3):
                done = self.command(*arguments, "--repeat", 3, environment={"WARPHIVE_FAKE_CUDA": f"fail={symbol}:{number}:{NO_BINARY}"})
                with self.subTest(symbol=symbol, number=number):
                    if symbol == "cuModuleLoadDataEx" and number == 1:  # the interpreter itself
                        self.assertEqual(done.returncode, 122, done.err)
                    else:
                        self.assertEqual(done.returncode, 0, done.err)
                        self.assertEqual(json.loads(done.out)["result_hash"], expected)

    def test_limits_of_compilation(self):
        arguments = ["run", self.guest("core"), "--invoke", "count", "--args-from", "1..40", "--device", "cuda", "--tier", "jit"]
        for limit, reason in (("--compile-bytes", "the program's code is larger"), ("--compile-instructions", "the program is larger")):
            done = self.command(*arguments, limit, 1, "-v", status=0)
            self.assertRegex(done.out + done.err, rf"0 functions, \d+ interpreted(.|\n)*function 0: {reason} than the limit")
            done = self.command(*arguments, limit, 1, "--format", "json", status=0)
            self.assertEqual(json.loads(done.out)["tier"], "interp")

    def test_compiled_code_is_kept(self):
        arguments = ["run", self.guest("core"), "--invoke", "count", "--args-from", "1..40", "--device", "cuda", "--format", "json"]
        cold = json.loads(self.command(*arguments, "--tier", "jit", status=0).out)
        for tier in ("jit", "auto"):
            warm = json.loads(self.command(*arguments, "--tier", tier, status=0).out)
            self.assertEqual((warm["tier"], warm["compiled"]["from_cache"]), ("jit", True))
            self.assertEqual(warm["result_hash"], cold["result_hash"])

    def fail_each(self, symbols, arguments):
        expected = json.loads(self.command(*arguments, status=0).out)["result_hash"]
        for symbol in symbols:
            for code in (OUT_OF_MEMORY, LAUNCH_FAILED) if "Alloc" in symbol else (LAUNCH_FAILED,):
                for number in range(1, 1000):
                    done = self.command(*arguments, environment={"WARPHIVE_FAKE_CUDA": f"fail={symbol}:{number}:{code}"})
                    with self.subTest(symbol=symbol, number=number, code=code):
                        if done.returncode == 0:
                            self.assertEqual(json.loads(done.out)["result_hash"], expected)
                        else:
                            self.assertIn(done.returncode, (122, 123), done.err)
                            self.assertTrue(done.err.startswith("warphive: ") and done.err.count("\n") == 1, done.err)
                    # Clean-up does not report, so a fault there must not end the search early.
                    if done.returncode == 0 and not symbol.startswith("cuMemFree"):
                        break
                    if number >= 30 and done.returncode == 0:
                        break
                else:
                    self.fail(f"{symbol} is called a thousand times")


if "WARPHIVE_CUDA_LIBRARY" not in os.environ:
    del Device
