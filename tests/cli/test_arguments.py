# SPDX-License-Identifier: Apache-2.0
"""Arguments, counts and values."""

import os
import unittest

import harness
from harness import CommandTest


class Values(CommandTest):
    def both(self, function, text):
        """A value in text and in JSON after a call of an identity function."""
        done = self.run_guest("core", "--invoke", function, "--args", text, "--quiet")
        report = self.report("core", "--invoke", function, "--args", text)
        return done.out.strip(), report["results"][0]["values"][0]

    def test_i32_is_a_signed_number(self):
        for given, shown in [("4294967295", -1), ("-2147483648", -2147483648), ("0x10", 16), ("2147483648", -2147483648)]:
            done = self.run_guest("core", "--invoke", "add", "--args", f"{given},0", "--quiet")
            self.assertEqual(done.out, f"{shown}\n")
            self.assertEqual(self.report("core", "--invoke", "add", "--args", f"{given},0")["results"][0]["values"], [shown])

    def test_i64_is_a_string(self):
        self.assertEqual(self.both("i64", "18446744073709551615"), ("-1", "-1"))
        self.assertEqual(self.both("i64", "-9223372036854775808"), ("-9223372036854775808",) * 2)

    def test_floats_are_the_shortest(self):
        self.assertEqual(self.both("f32", "0.1"), ("0.1", 0.1))
        self.assertEqual(self.both("f64", "0.30000000000000004"), ("0.30000000000000004", 0.30000000000000004))
        self.assertEqual(self.both("f64", "5e-324")[1], 5e-324)
        text, number = self.both("f64", "-0")
        self.assertEqual((text, str(number)), ("-0.0", "-0.0"))

    def test_floats_beyond_numbers_are_strings(self):
        for text in ["nan", "inf", "-inf", "nan:0x200000", "-nan", "-nan:0x1"]:
            self.assertEqual(self.both("f32", text), (text, text))
        self.assertEqual(self.both("f64", "nan:0x8000000000000"), ("nan", "nan"))

    def test_references(self):
        self.assertEqual(self.both("externref", "null"), ("null", None))
        self.assertEqual(self.both("externref", "7"), ("7", 7))
        self.assertEqual(self.both("funcref", "3"), ("3", 3))
        self.assertIn("99", self.failure(125, "run", self.guest("core"), "--invoke", "funcref", "--args", "99"))

    def test_vectors(self):
        self.guest("vectors", """(module (global (export "g") (mut v128) (v128.const i32x4 1 2 3 4))
          (func (export "sum") (param v128 i32 v128) (result v128 i32)
            (i32x4.add (local.get 0) (local.get 2)) (local.get 1))
          (func (export "swap") (param v128) (result v128) (global.get 0) (global.set 0 (local.get 0))))""")
        zeros = "0" * 31
        arguments = "i32x4 1 2 3 -1,7,000000000000000000000000" + "01000000"
        for tier in ("interp", "jit"):
            done = self.command("run", "vectors.wasm", "--invoke", "sum", "--args", arguments, "--quiet", "--tier", tier, status=0)
            self.assertEqual(done.out, "01000000020000000300000000000000 7\n")
            done = self.command("run", "vectors.wasm", "--invoke", "swap", "--args", zeros + "1", "--quiet", "--tier", tier, status=0)
            self.assertEqual(done.out, "01000000020000000300000004000000\n")
        for wrong in ("1", "i32x4 1 2 3", "i32x4 1 2 3 4294967296", zeros, zeros + "g"):
            self.assertIn("not of type v128", self.failure(125, "run", "vectors.wasm", "--invoke", "swap", "--args", wrong))
        self.assertIn("v128", self.failure(125, "run", "vectors.wasm", "--invoke", "swap", "--args-from", "1..2"))

    def test_several_results(self):
        done = self.run_guest("core", "--invoke", "multi", "--args", "3", "--quiet")
        self.assertEqual(done.out, "3 -7 0.5\n")
        report = self.report("core", "--invoke", "multi", "--args", "3")
        self.assertEqual(report["signature"], "(i32) -> (i32, i64, f64)")
        self.assertEqual(report["results"][0]["values"], [3, "-7", 0.5])


class WrongValues(CommandTest):
    def refused(self, function, *arguments):
        return self.failure(125, "run", self.guest("core"), "--invoke", function, *arguments)

    def test_out_of_range_or_malformed(self):
        self.assertEqual(
            self.refused("add", "--args", "1,4294967296"),
            "Argument 2 (4294967296) is not of type i32: an integer from -2147483648 to 4294967295 was expected.",
        )
        for function, text in [("i64", "18446744073709551616"), ("i64", "1.5"), ("f32", "1e39"), ("f32", "x"), ("f64", "nan:0x0"),
                               ("externref", "-1"), ("i64", " "), ("i64", "1 2")]:
            self.refused(function, "--args", text)

    def test_wrong_count(self):
        self.assertIn("(i32, i32) -> (i32)", self.refused("add", "--args", "1"))
        self.refused("add")
        self.refused("add", "--args", "")
        self.refused("add", "--args", "1,2,3")
        self.refused("add", "--args", "1,,2")
        self.refused("nothing", "--args", "1")
        self.refused("nothing", "--args-from", "1..2")
        self.refused("add", "--args-from", "1..2")

    def test_no_arguments_at_all(self):
        self.run_guest("core", "--invoke", "nothing", "--args", "")
        self.run_guest("core", "--invoke", "nothing", "--args=")


class Counts(CommandTest):
    def test_range_gives_first_argument_and_count(self):
        done = self.run_guest("core", "--invoke", "add", "--args-from", "-2..2", "--args", "100", "--quiet")
        self.assertEqual(done.out, "98\n99\n100\n101\n102\n")
        report = self.report("core", "--invoke", "add", "--args-from", "5..5", "--args", "1", "-n", "1")
        self.assertEqual(report["instances"], 1)

    def test_count_repeats_the_same_arguments(self):
        report = self.report("core", "--invoke", "add", "--args", "1,2", "-n", "5")
        self.assertEqual([r["id"] for r in report["results"]], [0, 1, 2, 3, 4])
        self.assertEqual({r["values"][0] for r in report["results"]}, {3})

    def test_repeated_runs_begin_as_new(self):
        self.guest("count", """(module (memory 1) (global $calls (mut i32) (i32.const 5))
          (func (export "next") (param i32) (result i32)
            (i32.store (i32.const 64) (i32.add (i32.load (i32.const 64)) (local.get 0)))
            (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
            (i32.add (i32.load (i32.const 64)) (global.get $calls))))""")
        command = ["count", "--invoke", "next", "--args-from", "1..40", "--memory-hash"]
        once = self.report(*command)
        self.assertEqual([r["values"][0] for r in once["results"]], list(range(7, 47)))
        again = self.report(*command, "--repeat", "3")
        self.assertEqual(again["results"], once["results"])
        self.assertEqual(again["result_hash"], once["result_hash"])
        self.report("core", "--invoke", "loop", "--fuel", "1000", "-n", "3", "--repeat", "2", status=121)
        sentence = self.failure(125, "run", self.guest("core"), "--repeat", "2")
        self.assertIn("--repeat needs --invoke", sentence)
        self.failure(125, "run", self.guest("core"), "--invoke", "nothing", "--repeat", "0")

    def test_waves_change_nothing_but_memory(self):
        command = ["core", "--invoke", "add", "--args-from", "1..50", "--args", "3"]
        whole = self.report(*command)
        for wave in ("1", "7", "50", "1000"):
            report = self.report(*command, "--wave", wave)
            self.assertEqual(report["results"], whole["results"])
            self.assertEqual(report["result_hash"], whole["result_hash"])
            self.assertEqual(report["instructions"], whole["instructions"])
        # So many as never fit at once.
        done = self.report("core", "--invoke", "add", "--args", "1,2", "-n", "100000", "--memory-pages", "16", "--results", "hash")
        self.assertEqual(done["exits"], {"returned": 100000})
        for option in (["--repeat", "2"], ["--read-memory", "0:4"], ["--memory-hash"]):
            sentence = self.failure(125, "run", self.guest("core"), *command[1:], "--wave", "7", *option)
            self.assertIn(f"--wave cannot be with {option[0]}", sentence)

    @unittest.skipIf(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") > 256 << 30, "they might fit this machine")
    def test_more_than_the_host_can_remember(self):
        for arguments in (["--args", "1,2"], ["--args-from", "0..4294967294", "--args", "1"]):
            sentence = self.failure(123, "run", self.guest("core"), "--invoke", "add", *arguments, "-n", "4294967295")
            self.assertRegex(sentence, r"4294967295.*host's memory")

    def test_mismatch(self):
        sentence = self.failure(125, "run", self.guest("core"), "--invoke", "add", "--args-from", "1..3", "--args", "1", "-n", "4")
        self.assertEqual(sentence, "The count of -n (4) differs from what --args-from gives (3).")
        rows = self.file("rows.csv", "1,2\n3,4\n")
        sentence = self.failure(125, "run", self.guest("core"), "--invoke", "add", "--args-file", rows, "-n", "3")
        self.assertIn("--args-file gives (2)", sentence)

    def test_bad_ranges(self):
        for text in ["3..1", "1", "1..", "..1", "a..b", "1.5..2", "0..4294967295", "-9223372036854775808..9223372036854775807",
                     "4294967296..4294967297", ""]:
            self.failure(125, "run", self.guest("core"), "--invoke", "add", "--args", "1", "--args-from", text)

    def test_bad_counts(self):
        for text in ["0", "-1", "x", "", "1.5", "4294967296", "99999999999999999999", "1e3"]:
            self.failure(125, "run", self.guest("core"), "--invoke", "nothing", "-n", text)

    def test_more_instances_than_memory_holds(self):
        sentence = self.failure(123, "run", self.guest("core"), "--invoke", "nothing", "-n", "4294967295")
        self.assertIn("4294967295", sentence)

    def test_arguments_need_a_function(self):
        for option, value in [("--args", "1"), ("--args-from", "1..2"), ("--args-file", "x.csv")]:
            self.assertIn("--invoke", self.failure(125, "run", self.guest("hello"), option, value))


class Files(CommandTest):
    def test_row_per_instance(self):
        rows = self.file("rows.csv", "1,2\r\n \"-3\" , 4\n0x10,4294967295\n\n")
        report = self.report("core", "--invoke", "add", "--args-file", rows)
        self.assertEqual([r["values"][0] for r in report["results"]], [3, 1, 15])

    def test_bad_rows(self):
        core = self.guest("core")
        for content, part in [
            ("1,2\n3\n", "Line 2 of rows.csv has 1 field"),
            ("1,2\n3,x\n", "Line 2 of rows.csv, field 2 (x) is not of type i32"),
            ("1,2\n\n3,4\n", "Line 2 of rows.csv is empty"),
            ("1,2,3\n", "Line 1 of rows.csv has 3 fields"),
            ("\"1,2\n", "Line 1 of rows.csv has a double quote"),
            ("a,b\n1,2\n", "Line 1 of rows.csv, field 1 (a)"),
            ("", "rows.csv has no row"),
            ("\n\n", "rows.csv has no row"),
            (b"\x00,\xff\n", "Line 1"),
        ]:
            rows = self.file("rows.csv", content)
            self.assertIn(part, self.failure(125, "run", core, "--invoke", "add", "--args-file", rows))

    def test_unreadable(self):
        core = self.guest("core")
        self.assertIn("none.csv", self.failure(123, "run", core, "--invoke", "add", "--args-file", "none.csv"))
        self.assertIn("directory", self.failure(123, "run", core, "--invoke", "add", "--args-file", "."))

    def test_excludes_the_others(self):
        rows = self.file("rows.csv", "1,2\n")
        for option, value in [("--args", "1"), ("--args-from", "1..2")]:
            self.failure(125, "run", self.guest("core"), "--invoke", "add", "--args-file", rows, option, value)


class Initialize(CommandTest):
    def test_runs_before_the_function(self):
        self.assertEqual(self.run_guest("core", "--invoke", "initialized", "--quiet").out, "5\n")

    def test_runs_once_when_invoked_itself(self):
        report = self.report("core", "--invoke", "_initialize")
        self.assertEqual(report["exits"], {"returned": 1})
        self.assertEqual(report["instructions"], 3)
