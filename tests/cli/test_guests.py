# SPDX-License-Identifier: Apache-2.0
"""WASI guests: output, input, arguments, files, exit codes, links, clock and random numbers."""

import base64
import os
import pty
import select
import subprocess

import harness
from harness import CommandTest

LONG = b"0123456789" * 10_000


class Output(CommandTest):
    def test_one_instance_passes_through(self):
        done = self.run_guest("chatty")
        self.assertEqual(done.out, "out\n")
        self.assertTrue(done.err.startswith("err\n"), done.err)
        done = self.run_guest("chatty", "--quiet")
        self.assertEqual((done.out, done.err), ("out\n", "err\n"))

    def test_passing_through_has_no_limit(self):
        self.assertEqual(self.run_guest("long", "--output-bytes", "10").stdout, LONG)

    def test_json_collects(self):
        (result,) = self.report("chatty")["results"]
        self.assertEqual(list(result), ["id", "exit", "values", "instructions", "stdout", "stderr", "truncated"])
        self.assertEqual((result["stdout"], result["stderr"], result["truncated"]), ("out\n", "err\n", False))

    def test_collected_output_is_cut_off(self):
        (result,) = self.report("long")["results"]
        self.assertEqual((result["stdout"], result["truncated"]), (LONG[:4096].decode(), True))
        (result,) = self.report("long", "--output-bytes", "15")["results"]
        self.assertEqual((result["stdout"], result["truncated"]), (LONG[:15].decode(), True))
        (result,) = self.report("long", "--output-bytes", "100000")["results"]
        self.assertEqual((result["stdout"], result["truncated"]), (LONG.decode(), False))
        (result,) = self.report("long", "--output-bytes", "0")["results"]
        self.assertEqual((result["stdout"], result["truncated"]), ("", True))
        done = self.run_guest("long", "-n", "2")
        self.assertIn("Output of 2 instances was cut off at 4,096 bytes; --output-bytes raises the limit.", done.err)

    def test_text_that_is_not_utf8_is_base64(self):
        (result,) = self.report("binary")["results"]
        self.assertEqual(base64.b64decode(result["stdout"]), b"a\xff\0")
        self.assertEqual(self.run_guest("binary", "--quiet").stdout, b"a\xff\0")

    def test_characters_are_not_cut(self):
        (result,) = self.report("euro", "--output-bytes", "5")["results"]
        self.assertEqual((result["stdout"], result["truncated"]), ("€", True))

    def test_several_instances_as_text(self):
        done = self.run_guest("chatty", "-n", "3", "--quiet")
        self.assertEqual(done.out, "[0] out\n[1] out\n[2] out\n")
        self.assertEqual(done.err, "[0] err\n[1] err\n[2] err\n")
        self.assertEqual(len(self.run_guest("hello", "-n", "30").out.splitlines()), 10)
        self.assertEqual(self.run_guest("hello", "-n", "30", "--results", "none").out, "")

    def test_values_stay_alone_on_stdout(self):
        done = self.run_guest("chatty", "--invoke", "talk", "--quiet")
        self.assertEqual(done.out, "42\n")
        self.assertEqual(done.err, "out\nerr\n")
        report = self.report("chatty", "--invoke", "talk")
        self.assertEqual((report["results"][0]["values"], report["results"][0]["stdout"]), ([42], "out\n"))
        self.assertNotIn("stdout", self.report("core", "--invoke", "nothing")["results"][0])


class OutputFiles(CommandTest):
    def test_one_instance(self):
        done = self.run_guest("long", "--stdout", "out.txt")
        self.assertEqual(done.out, "")
        self.assertEqual((self.folder / "out.txt").read_bytes(), LONG)

    def test_an_old_file_is_replaced(self):
        self.file("out.txt", "x" * 100)
        self.run_guest("hello", "--stdout", "out.txt")
        self.assertEqual((self.folder / "out.txt").read_text(), "hello\n")
        self.file("out.txt", "x" * 100)
        self.run_guest("hello", "--stdout", "out.txt", "-n", "2")
        self.assertEqual((self.folder / "out.txt").read_text(), "hello\nhello\n")

    def test_a_file_for_each(self):
        done = self.run_guest("strings", "-n", "3", "--stdout", "{id}/out-{id}.txt", "--quiet", "--", "{id}", status=123)
        self.assertIn("0/out-0.txt", done.err)
        for i in range(3):
            (self.folder / str(i)).mkdir()
        done = self.run_guest("strings", "-n", "3", "--stdout", "{id}/out-{id}.txt", "--quiet", "--", "{id}")
        self.assertEqual((done.out, done.err), ("", ""))
        for i in range(3):
            self.assertEqual((self.folder / f"{i}/out-{i}.txt").read_text(), f"strings.wasm\0{i}\0")

    def test_with_json(self):
        report = self.report("hello", "--stdout", "out.txt")
        self.assertNotIn("stdout", report["results"][0])
        self.assertEqual((self.folder / "out.txt").read_text(), "hello\n")

    def test_unwritable(self):
        for path in ["none/out.txt", ".", "/proc/none"]:
            for extra in ([], ["-n", "2"], ["--format", "json"]):
                sentence = self.failure(123, "run", self.guest("hello"), "--stdout", path, *extra)
                self.assertIn(path, sentence)


class Input(CommandTest):
    def test_one_instance_reads_ours(self):
        content = os.urandom(200_000)
        self.assertEqual(self.run_guest("cat", stdin=content).stdout, content)
        self.assertEqual(self.report("cat", stdin=b"abc")["results"][0]["stdout"], "abc")

    def test_from_a_regular_file_at_its_position(self):
        path = self.folder / self.file("in.txt", "one\ntwo\n")
        done = subprocess.run(["sh", "-c", f'{{ head -c 4 >/dev/null; "$0" run "$1" --quiet; }} < "$2"', harness.WARPHIVE,
                               self.folder / self.guest("cat"), path], stdout=subprocess.PIPE, timeout=harness.HANG_SECONDS)
        self.assertEqual(done.stdout, b"two\n")

    def test_as_it_comes_from_a_terminal(self):
        main, terminal = pty.openpty()
        process = subprocess.Popen([harness.WARPHIVE, "run", self.folder / self.guest("cat"), "--quiet"],
                                   stdin=terminal, stdout=subprocess.PIPE)
        os.close(terminal)
        try:
            for text in [b"first\n", b"second\n"]:
                os.write(main, text)
                self.assertTrue(select.select([process.stdout], [], [], harness.HANG_SECONDS)[0])
                self.assertEqual(process.stdout.readline(), text)
            os.write(main, b"\x04")  # the end of input
            self.assertEqual(process.wait(harness.HANG_SECONDS), 0)
        finally:
            process.kill()
            process.stdout.close()
            process.wait()
            os.close(main)

    def test_endless_input_is_not_read_to_its_end(self):
        self.guest("first", harness.wasi("""(func (export "_start")
          (call $write (i32.const 1) (i32.const 65536) (i32.rem_u (call $read (i32.const 0)) (i32.const 5))))"""))
        for command in ['yes | "$0" run first.wasm --quiet', '"$0" run first.wasm --quiet < /dev/zero']:
            done = subprocess.run(["bash", "-c", command, harness.WARPHIVE], cwd=self.folder, stdout=subprocess.PIPE,
                                  timeout=harness.HANG_SECONDS)
            self.assertEqual(done.returncode, 0)
            self.assertLess(len(done.stdout), 5)

    def test_closed(self):
        done = subprocess.run(["sh", "-c", '"$0" run "$1" --quiet <&-', harness.WARPHIVE, self.folder / self.guest("cat")],
                              stdout=subprocess.PIPE, timeout=harness.HANG_SECONDS)
        self.assertEqual((done.returncode, done.stdout), (0, b""))

    def test_several_instances_have_none(self):
        report = self.report("cat", "-n", "3", stdin=b"abc")
        self.assertEqual([r["stdout"] for r in report["results"]], ["", "", ""])

    def test_a_file_for_all_and_for_each(self):
        self.file("in.txt", "same")
        report = self.report("cat", "-n", "3", "--stdin", "in.txt", stdin=b"abc")
        self.assertEqual([r["stdout"] for r in report["results"]], ["same"] * 3)
        for i in range(3):
            self.file(f"in-{i}.txt", f"number {i}")
        report = self.report("cat", "-n", "3", "--stdin", "in-{id}.txt")
        self.assertEqual([r["stdout"] for r in report["results"]], ["number 0", "number 1", "number 2"])

    def test_unreadable(self):
        cat = self.guest("cat")
        self.assertIn("none", self.failure(123, "run", cat, "--stdin", "none"))
        self.assertIn("directory", self.failure(123, "run", cat, "--stdin", "."))
        self.file("in-0.txt", "")
        self.assertIn("in-1.txt", self.failure(123, "run", cat, "-n", "2", "--stdin", "in-{id}.txt"))


class Strings(CommandTest):
    def test_arguments_and_environment(self):
        done = self.run_guest("strings", "--env", "A=1", "--env", "B=x=y", "--env", "C=", "--quiet", "--", "one", "--two", "", "-n", "--", "5")
        self.assertEqual(done.out, "strings.wasm\0one\0--two\0\0-n\0--\x005\0A=1\0B=x=y\0C=\0")

    def test_nothing_of_ours_leaks(self):
        done = self.run_guest("strings", "--quiet", environment={"SECRET": "1"})
        self.assertEqual(done.out, "strings.wasm\0")

    def test_ids(self):
        report = self.report("strings", "-n", "12", "--env", "ID={id}", "--", "{id}/{id}")
        self.assertEqual([r["stdout"] for r in report["results"]],
                         [f"strings.wasm\0{i}/{i}\0ID={i}\0" for i in range(12)])


class ExitCodes(CommandTest):
    def test_one_instance(self):
        for code, status in [(0, 0), (1, 1), (42, 42), (119, 119), (120, 119), (125, 119), (255, 119), (4294967295, 119)]:
            done = self.run_guest("exit", "--quiet", "--", code, status=status)
            self.assertEqual((done.out, done.err), ("", ""))
        report = self.report("exit", "--", "7", status=7)
        (result,) = report["results"]
        self.assertEqual((result["exit"], result["exit_code"]), ("exited", 7))
        self.assertNotIn("values", result)
        self.assertEqual(report["exits"], {"exited": 1})

    def test_several_instances(self):
        self.run_guest("exit", "-n", "3", "--", "0")
        done = self.run_guest("exit", "-n", "3", "--quiet", "--", "{id}", status=1)
        self.assertEqual(done.err, "warphive: 2 of 3 instances exited with a code other than 0, the first (1) with 1.\n")
        report = self.report("exit", "-n", "3", "--", "{id}", status=1)
        self.assertEqual([r["exit_code"] for r in report["results"]], [0, 1, 2])


class Directories(CommandTest):
    def test_reading(self):
        self.file("data/x.txt", "content\n")
        self.assertEqual(self.run_guest("file", "--dir", "data::/", "--quiet").out, "content\n")
        self.run_guest("file", status=7)

    def test_every_instance_reads(self):
        self.file("data/x.txt", "content\n")
        report = self.report("file", "--dir", "data::/data", "-n", "50")
        self.assertEqual({r["stdout"] for r in report["results"]}, {"content\n"})


class Links(CommandTest):
    def test_preload(self):
        self.guest("library")
        done = self.run_guest("user", "--invoke", "run", "--args", "21", "--preload", "lib=library.wasm", "--quiet")
        self.assertEqual(done.out, "42\n")

    def test_host_calls_see_the_callers_memory(self):
        self.guest("talks", """(module
          (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
          (memory (export "memory") 1)
          (data (i32.const 0) "\\10\\00\\00\\00\\08\\00\\00\\00")
          (data (i32.const 16) "library\\n")
          (func (export "talk") (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))""")
        self.guest("program", """(module
          (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
          (import "lib" "talk" (func $talk))
          (memory (export "memory") 1)
          (data (i32.const 0) "\\10\\00\\00\\00\\08\\00\\00\\00")
          (data (i32.const 16) "program\\n")
          (func (export "_start")
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
            (call $talk)))""")
        done = self.run_guest("program", "--preload", "lib=talks.wasm", "--quiet")
        self.assertEqual(done.out, "program\nlibrary\n")

    def test_later_preloads_see_earlier_ones(self):
        self.guest("library")
        self.guest("middle", '(module (import "base" "twice" (func $t (param i32) (result i32)))'
                             '(func (export "twice") (param i32) (result i32) (call $t (call $t (local.get 0)))))')
        done = self.run_guest("user", "--invoke", "run", "--args", "1", "--preload", "base=library.wasm", "--preload", "lib=middle.wasm", "--quiet")
        self.assertEqual(done.out, "4\n")

    def test_seed_functions(self):
        report = self.report("seed", "--invoke", "run", "--host", "seed")
        self.assertEqual(report["exits"], {"returned": 1})


class World(CommandTest):
    def value(self, function, *arguments):
        return self.report("world", "--invoke", function, *arguments)["results"][0]["values"][0]

    def test_random_numbers_come_from_the_seed_and_the_id(self):
        self.assertEqual(self.value("random"), self.value("random", "--seed", "0"))
        self.assertNotEqual(self.value("random", "--seed", "1"), self.value("random", "--seed", "2"))
        self.assertEqual(self.value("random", "--seed", "18446744073709551615"), self.value("random", "--seed", "18446744073709551615"))
        report = self.report("world", "--invoke", "random", "-n", "100")
        self.assertEqual(len({r["values"][0] for r in report["results"]}), 100)

    def test_the_clock_is_virtual(self):
        first = int(self.value("clock"))
        self.assertEqual(first, int(self.value("clock")))
        self.assertLess(first, 1000)
        self.assertEqual(int(self.value("clock", "--clock-start", "1000000000")), first + 1_000_000_000)

    def test_the_hosts_clock(self):
        report = self.report("world", "--invoke", "clock", "--clock", "host")
        self.assertGreater(int(report["results"][0]["values"][0]), 1_600_000_000_000_000_000)
        self.assertIs(report["deterministic"], False)
        done = self.run_guest("world", "--invoke", "clock", "--clock", "host")
        self.assertIn("not deterministic", done.err)
