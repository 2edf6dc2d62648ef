# SPDX-License-Identifier: Apache-2.0
"""What goes wrong before anything runs: one sentence and the right exit status."""

import os
import subprocess
import unittest

import harness
from harness import CommandTest


class ModuleFiles(CommandTest):
    def test_missing(self):
        sentence = self.failure(123, "run", "none.wasm", "--invoke", "f")
        self.assertEqual(sentence, "The file (none.wasm) cannot be opened: No such file or directory.")

    def test_directory(self):
        self.assertIn("directory", self.failure(123, "run", ".", "--invoke", "f"))

    @unittest.skipIf(os.geteuid() == 0, "root reads every file")
    def test_unreadable(self):
        core = self.folder / self.guest("core")
        core.chmod(0)
        self.assertIn("Permission denied", self.failure(123, "run", core, "--invoke", "nothing"))

    def test_empty(self):
        self.assertEqual(self.failure(124, "run", self.file("e.wasm", "")), "The file (e.wasm) is empty.")

    def test_not_webassembly(self):
        for content in [b"\x7fELF....", b"\0as", b"hello", b"\xff" * 100]:
            self.assertIn("not WebAssembly", self.failure(124, "run", self.file("x.wasm", content)))

    def test_text_names_wat2wasm(self):
        for name, content in [("a.wat", "(module)"), ("b.wasm", "\n  (module)"), ("c.wasm", ";; text\n(module)"), ("d.wat", "")]:
            self.assertIn("wat2wasm", self.failure(124, "run", self.file(name, content)))

    def test_endless(self):
        self.assertIn("limit", self.failure(123, "run", "/dev/zero"))

    def test_malformed(self):
        sentence = self.failure(124, "run", self.file("x.wasm", b"\0asm\1\0\0\0\x01\x05\x01"))
        self.assertRegex(sentence, r"^x.wasm: .*byte \d+")
        self.assertIn("x.wasm: ", self.failure(124, "run", self.file("x.wasm", b"\0asm\2\0\0\0")))

    def test_invalid(self):
        #         type () -> (i32)              function 0        body: end without a value
        content = b"\0asm\1\0\0\0\1\5\1\x60\0\1\x7f\3\2\1\0\x0a\4\1\2\0\x0b"
        self.assertIn("validate", self.failure(124, "run", self.file("x.wasm", content)))

    def test_every_cut_is_refused(self):
        module = (self.folder / self.guest("core")).read_bytes()
        for length in range(1, len(module), 23):
            name = self.file("cut.wasm", module[:length])
            done = self.command("run", name, "--invoke", "nothing")
            # A cut between two sections can be a module, only without the function or its body.
            self.assertIn(done.returncode, (124, 125), length)
            self.assertRegex(done.err, r"^warphive: .+[.]\n$")

    def test_unsupported_proposal_is_named(self):
        module = b"\0asm\x01\0\0\0\x05\x03\x01\x03\0"  # a shared memory
        name = self.file("threads.wasm", module)
        self.assertRegex(self.failure(124, "run", name, "--invoke", "f"), r"threads.*byte \d+")


class Linking(CommandTest):
    def test_unknown_import(self):
        sentence = self.failure(124, "run", self.guest("user"), "--invoke", "run", "--args", "1")
        self.assertIn("lib", sentence)
        self.assertIn("twice", sentence)
        self.assertIn("(i32) -> (i32)", sentence)

    def test_unknown_import_that_the_seeds_host_has(self):
        for field, hint in [("print_i32", True), ("print_i33", False)]:
            guest = self.guest(field, f'(module (import "env" "{field}" (func (param i32))) (func (export "run")))')
            sentence = self.failure(124, "run", guest, "--invoke", "run")
            self.assertEqual(sentence.endswith(" With --host seed it links."), hint, sentence)

    def test_wrong_signature(self):
        self.guest("wrong", '(module (func (export "twice") (param i64) (result i32) i32.const 1))')
        sentence = self.failure(124, "run", self.guest("user"), "--invoke", "run", "--args", "1", "--preload", "lib=wrong.wasm")
        self.assertIn("(i32) -> (i32)", sentence)
        self.assertIn("(i64) -> (i32)", sentence)

    def test_preload_option(self):
        user = self.guest("user")
        for text in ["lib", "lib=", "=library.wasm", ""]:
            self.assertIn("NAME=FILE", self.failure(125, "run", user, "--invoke", "run", "--preload", text))
        self.failure(123, "run", user, "--invoke", "run", "--preload", "lib=none.wasm")
        self.assertIn("two files (a.wasm) and (b.wasm)",
                      self.failure(125, "run", user, "--invoke", "run", "--preload", "lib=a.wasm", "--preload", "lib=b.wasm"))
        self.assertIn("bad.wasm", self.failure(124, "run", user, "--invoke", "run", "--preload", "lib=" + self.file("bad.wasm", "x")))

    def test_seed_functions_need_their_option(self):
        self.assertIn("random", self.failure(124, "run", self.guest("seed"), "--invoke", "run"))


class Functions(CommandTest):
    def test_unknown_export(self):
        sentence = self.failure(125, "run", self.guest("core"), "--invoke", "addd", "--args", "1,2")
        self.assertIn("addd", sentence)
        self.assertIn("multi", sentence)  # one of those that exist
        self.assertRegex(sentence, r"nearest.*add")

    def test_other_kinds_are_not_functions(self):
        self.failure(125, "run", self.guest("core"), "--invoke", "memory")

    def test_no_start(self):
        sentence = self.failure(125, "run", self.guest("core"))
        self.assertIn("_start", sentence)
        self.assertIn("--invoke", sentence)

    def test_no_exports(self):
        self.failure(125, "run", self.guest("empty"), "--invoke", "f")
        self.failure(125, "run", self.guest("empty"))

    def test_start_with_parameters(self):
        name = self.guest("odd", '(module (func (export "_start") (param i32)))')
        self.assertIn("(i32)", self.failure(125, "run", name))


class Usage(CommandTest):
    def test_no_or_unknown_command(self):
        self.assertIn("--help", self.failure(125))
        self.assertIn("(fly)", self.failure(125, "fly"))
        self.assertIn("--help", self.failure(125, "--fly"))

    def test_no_file(self):
        self.assertIn("file", self.failure(125, "run"))
        self.assertIn("file", self.failure(125, "inspect"))

    def test_unknown_option_names_the_nearest(self):
        self.assertIn("nearest is --format", self.failure(125, "run", "x.wasm", "--fromat", "json"))
        self.assertIn("nearest is --invoke", self.failure(125, "run", "x.wasm", "-invoke=f"))
        self.assertIn("(-q)", self.failure(125, "run", "x.wasm", "-q"))

    def test_unknown_option_unlike_any_names_none(self):
        for option in ["--bogus", "---", "-q"]:
            self.assertEqual(self.failure(125, "run", "x.wasm", option), f"There is no option ({option}); see warphive run --help.")

    def test_surplus_argument_names_the_separator(self):
        self.assertIn("--", self.failure(125, "run", "x.wasm", "guest", "arguments"))

    def test_no_value(self):
        self.assertEqual(self.failure(125, "run", "x.wasm", "--invoke"), "The option --invoke has no value; see warphive run --help.")

    def test_options_may_stand_before_the_file(self):
        core = self.guest("core")
        for option, value in [("--env", "A=B"), ("--dir", ".::/"), ("--preload", "m=core.wasm"), ("--fuel", "100"), ("-n", "2")]:
            self.command("run", "--quiet", "--invoke", "nothing", option, value, core, status=0)
        self.command("run", "--env", "A=B", "--env", "C=D", core, "--invoke", "nothing", status=0)

    def test_given_twice(self):
        self.assertIn("only once", self.failure(125, "run", "x.wasm", "--fuel", "1", "--fuel", "2"))

    def test_wrong_words_and_numbers(self):
        for option, value in [("--format", "xml"), ("--device", "gpu"), ("--device", "cuda:"), ("--device", "cuda:x"), ("--tier", "fast"),
                              ("--metering", "yes"), ("--clock", "guest"), ("--host", "all"), ("--progress", "yes"), ("--fuel", "-1"),
                              ("--fuel", "x"), ("--fuel", "1.5"), ("--timeout", "0"), ("--timeout", "-1"), ("--timeout", "inf"),
                              ("--timeout", "nan"), ("--timeout", "x"), ("--stack-slots", "0"), ("--max-depth", "0"), ("--threads", "-1"),
                              ("--threads", "1025"), ("--stack-slots", "16777217"), ("--max-depth", "16777217"), ("--output-bytes", "x"), ("--seed", "-1"), ("--clock-start", "x"), ("--dir", "."),
                              ("--dir", "::/x"), ("--dir", ".::"), ("--env", "X"), ("--env", "=1"), ("--env", "")]:
            sentence = self.failure(125, "run", "x.wasm", option, value)
            self.assertIn(option, sentence)
            self.assertIn(f"({value})", sentence)

    def test_capacity_below_the_declared_minimum(self):
        self.assertIn("minimum (1)", self.failure(125, "run", self.guest("core"), "--invoke", "nothing", "--memory-pages", "0"))

    def test_timeout_is_a_number_of_seconds(self):
        for value in ["x", "nan", "0"]:
            self.assertEqual(self.failure(125, "run", "x.wasm", "--timeout", value),
                             f"The value of --timeout ({value}) is not a number of seconds above 0.")

    def test_options_that_exclude_each_other(self):
        self.failure(125, "run", "x.wasm", "--clock", "host", "--clock-start", "1")
        self.failure(125, "run", "x.wasm", "--metering", "off", "--fuel", "1")
        self.failure(125, "inspect", "x.wasm", "--ir", "--wasm")

    def test_directory_that_is_not_there(self):
        self.assertIn("(none) cannot be opened: No such file", self.failure(123, "run", self.guest("hello"), "--dir", "none::/x"))

    def test_spec_script_that_is_not_json(self):
        core = self.guest("core")
        self.assertEqual(self.failure(124, "spec", core), f"The file ({core}) is not JSON: it must be what wast2json makes.")

    def test_directory_that_is_a_file(self):
        hello = self.guest("hello")
        self.assertEqual(self.failure(123, "run", hello, "--dir", hello + "::/x"), f"The path of --dir ({hello}) is not a directory.")


class Devices(CommandTest):
    def test_cuda_is_named_with_the_reason(self):
        for device in ["cuda", "cuda:0", "cuda:7"]:
            done = self.command("run", self.guest("core"), "--invoke", "nothing", "--device", device)
            if done.returncode == 0:
                self.skipTest("a CUDA device is here")
            self.assertEqual(done.returncode, 122)
            self.assertRegex(done.err, r"^warphive: .*cuda.*[.]\n$")

    def test_cpu_and_auto(self):
        for device in ["cpu", "auto"]:
            self.assertEqual(self.report("core", "--invoke", "nothing", "--device", device)["device"], "cpu")

    def test_tiers(self):
        self.assertEqual(self.report("core", "--invoke", "nothing", "--tier", "interp")["tier"], "interp")
        self.assertIn(self.report("core", "--invoke", "nothing", "--tier", "auto")["tier"], ["interp", "jit"])
        for cache in (["--no-cache"], ["--cache-dir", self.folder / "cache"], ["--cache-dir", self.folder / "cache"]):
            report = self.report("core", "--invoke", "nothing", "--tier", "jit", *cache)
            self.assertEqual(report["tier"], "jit")
            self.assertEqual(report["compiled"]["state"], "ready")
            self.assertGreater(report["compiled"]["functions"], 0)
        self.assertTrue(report["compiled"]["from_cache"])
        report = self.report("core", "--invoke", "nothing", "--cache-dir", self.folder / "cache")
        self.assertEqual(report["tier"], "jit", "a second run starts compiled")

    def test_devices(self):
        done = self.command("devices", status=0)
        self.assertRegex(done.out, r"(?m)^cpu +available: ")
        self.assertRegex(done.out, r"(?m)^cuda")

    def test_version(self):
        for arguments in (["version"], ["--version"]):
            self.assertRegex(self.command(*arguments, status=0).out, r"^warphive \d+\.\d+\.\d+\n$")


class Help(CommandTest):
    def test_help(self):
        out = self.command("--help", status=0).out
        for command in ["run", "inspect", "devices", "version"]:
            self.assertRegex(out, rf"(?m)^ +{command} ")

    def test_run_help_has_options_and_exit_statuses(self):
        out = self.command("run", "--help", status=0).out
        for option in ["--invoke", "--args", "--args-from", "--args-file", "-n", "--preload", "--device", "--tier", "--fuel", "--metering",
                       "--timeout", "--memory-pages", "--stack-slots", "--max-depth", "--threads", "--format", "--results", "--output-bytes",
                       "--read-memory", "--memory-hash", "--dir", "--env", "--stdin", "--stdout", "--seed", "--clock-start", "--clock",
                       "--host", "--progress", "--quiet"]:
            self.assertRegex(out, rf"(?m)^  {option}( |$)", option)
        for status in ["119", "120", "121", "122", "123", "124", "125"]:
            self.assertIn(status, out)
        self.assertTrue(all(len(line) <= 100 for line in out.splitlines()))

    def test_help_names_the_file_alike(self):
        for command in ["run", "inspect"]:
            out = self.command(command, "--help", status=0).out
            self.assertIn(f"Usage: warphive {command} [OPTIONS] FILE.wasm", out)
            self.assertRegex(out, r"(?m)^  FILE.wasm +The WebAssembly module$")


class Streams(CommandTest):
    def test_full_device(self):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([harness.WARPHIVE, "run", self.folder / self.guest("core"), "--invoke", "nothing", "--format", "json"],
                                  stdout=full, stderr=subprocess.PIPE, timeout=harness.HANG_SECONDS)
        self.assertEqual(done.returncode, 123)
        self.assertIn(b"Standard output cannot be written", done.stderr)

    def test_closed_stdout(self):
        done = subprocess.run(["sh", "-c", '"$0" run "$1" --invoke add --args 1,2 >&-', harness.WARPHIVE, self.folder / self.guest("core")],
                              stderr=subprocess.PIPE, timeout=harness.HANG_SECONDS)
        self.assertEqual(done.returncode, 123)
        self.assertIn(b"Standard output cannot be written", done.stderr)

    def test_stderr_that_cannot_be_written(self):
        self.guest("core")
        for to in ["&-", "/dev/full"]:
            for entry, status in [("add --args 1,2", 0), ("div --args 1,0", 120), ("none", 125)]:
                done = subprocess.run(["sh", "-c", f'exec "$0" run core.wasm --invoke {entry} 2>{to}', harness.WARPHIVE],
                                      cwd=self.folder, stdout=subprocess.PIPE, timeout=harness.HANG_SECONDS)
                self.assertEqual(done.returncode, status, (to, entry))
            done = subprocess.run(["sh", "-c", f'exec "$0" run core.wasm --invoke loop --timeout 1.4 --progress json 2>{to}', harness.WARPHIVE],
                                  cwd=self.folder, stdout=subprocess.PIPE, timeout=harness.HANG_SECONDS)
            self.assertEqual(done.returncode, 121, to)

    def test_no_address_space_for_threads(self):
        self.guest("core")
        # Thread stacks of 8 MiB: some of the workers and not the one that watches find room.
        done = subprocess.run(["bash", "-c", 'ulimit -s 8192; ulimit -v 300000; exec "$0" run core.wasm --invoke nothing --threads 500', harness.WARPHIVE],
                              cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=harness.HANG_SECONDS)
        self.assertEqual(done.returncode, 123)
        self.assertRegex(done.stderr, rb"^warphive: The system refuses .+[.]\n$")

    def test_reader_that_leaves(self):
        for command in ['"$0" run core.wasm --invoke add --args-from 1..200000 --args 0 --results all --quiet',
                        '"$0" run core.wasm --invoke add --args-from 1..200000 --args 0 --format json --quiet']:
            self.guest("core")
            done = subprocess.run(["bash", "-c", command + " | head -n 1", harness.WARPHIVE], cwd=self.folder,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=harness.HANG_SECONDS)
            self.assertEqual(done.returncode, 0)
            self.assertEqual(len(done.stdout.splitlines()), 1)
            self.assertEqual(done.stderr, b"")
