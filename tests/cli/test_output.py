# SPDX-License-Identifier: Apache-2.0
"""Forms of output: JSON, text, CSV, results, memory, summary."""

import base64
import csv
import io

from harness import CommandTest, wasi

TOP = ["schema", "file", "signature", "device", "tier", "compiled", "deterministic", "instances", "memory_pages", "exits", "returned",
       "trapped", "fuel_exhausted", "parked", "grow_refused", "instructions", "seconds", "instructions_per_second",
       "instances_per_second", "result_hash", "results"]


class Json(CommandTest):
    def test_schema(self):
        report = self.report("core", "--invoke", "div", "--args-from", "-1..2", "--args", "0", status=120)
        self.assertEqual(list(report), TOP)
        self.assertEqual(list(report["seconds"]), ["load", "compile", "spawn", "run", "harvest", "total"])
        self.assertTrue(all(isinstance(s, (int, float)) and s >= 0 for s in report["seconds"].values()))
        self.assertEqual(report["schema"], 1)
        self.assertEqual(report["file"], "core.wasm")
        self.assertEqual(report["signature"], "(i32, i32) -> (i32)")
        self.assertEqual(report["device"], "cpu")
        self.assertIn(report["tier"], ["interp", "jit"])
        self.assertIs(report["deterministic"], True)
        self.assertEqual(report["instances"], 4)
        self.assertEqual(report["exits"], {"trapped": 4})
        self.assertEqual(report["returned"], 0)
        self.assertEqual(report["trapped"], {"integer_divide_by_zero": 4})
        self.assertEqual([report[k] for k in ("fuel_exhausted", "parked", "grow_refused")], [0, 0, 0])
        self.assertRegex(report["result_hash"], "^[0-9a-f]{16}$")
        self.assertGreater(report["instructions_per_second"], 0)
        self.assertGreater(report["instances_per_second"], 0)

    def test_trapped_result(self):
        report = self.report("core", "--invoke", "div", "--args", "1,0", status=120)
        (result,) = report["results"]
        self.assertEqual(list(result), ["id", "exit", "instructions", "trap"])
        trap = result["trap"]
        self.assertEqual(list(trap), ["kind", "function", "offset"])
        self.assertEqual(trap["kind"], "integer_divide_by_zero")
        self.assertEqual(trap["function"], {"index": 3, "name": "divide"})
        module = (self.folder / "core.wasm").read_bytes()
        self.assertEqual(module[trap["offset"]], 0x6D)  # i32.div_s

    def test_returned_result(self):
        (result,) = self.report("core", "--invoke", "add", "--args", "1,2")["results"]
        self.assertEqual(list(result), ["id", "exit", "values", "instructions"])
        self.assertEqual(result["exit"], "returned")

    def test_mixed_results(self):
        report = self.report("core", "--invoke", "trap_odd", "--args-from", "0..9", status=120)
        self.assertEqual(report["exits"], {"returned": 5, "trapped": 5})
        self.assertEqual(report["returned"], 5)
        self.assertEqual(report["trapped"], {"unreachable": 5})
        self.assertEqual([r["exit"] for r in report["results"]], ["returned", "trapped"] * 5)
        self.assertEqual(report["instructions"], sum(r["instructions"] for r in report["results"]))

    def test_without_metering(self):
        report = self.report("core", "--invoke", "add", "--args", "1,2", "--metering", "off")
        self.assertIsNone(report["instructions"])
        self.assertIsNone(report["instructions_per_second"])
        self.assertNotIn("instructions", report["results"][0])

    def test_quiet_and_summary(self):
        done = self.run_guest("core", "--invoke", "add", "--args", "1,2", "--format", "json", "--quiet")
        self.assertEqual(done.err, "")

    def test_names_and_paths_that_are_not_plain(self):
        self.guest("odd", '(module (func (export "a\\"b\\n\\u{e4}") unreachable))')
        report = self.report("odd", "--invoke", 'a"b\nä', status=120)
        self.assertEqual(report["results"][0]["trap"]["function"], {"index": 0, "name": 'a"b\nä'})
        done = self.command("run", "odd.wasm", "--invoke", 'a"b\nä', status=120)
        self.assertEqual(len([l for l in done.err.splitlines() if l.startswith("warphive:")]), 1)
        self.assertIn('a"b\\x0aä', done.err)

    def test_hash_does_not_depend_on_threads_or_selection(self):
        arguments = ["--invoke", "trap_odd", "--args-from", "0..999"]
        hashes = set()
        for extra in ([], ["--threads", "1"], ["--threads", "7"], ["--results", "hash"], ["--results", "none"], ["--metering", "off"]):
            hashes.add(self.report("core", *arguments, *extra, status=120)["result_hash"])
        done = self.run_guest("core", *arguments, "--results", "hash", status=120)
        hashes.add(done.out.strip())
        self.assertEqual(len(hashes), 1)
        self.assertNotEqual(hashes.pop(), self.report("core", "--invoke", "trap_odd", "--args-from", "1..1000", status=120)["result_hash"])


class Results(CommandTest):
    def shown(self, selection):
        report = self.report("core", "--invoke", "add", "--args-from", "0..24", "--args", "0", *selection)
        return [r["id"] for r in report["results"]]

    def test_json(self):
        self.assertEqual(self.shown([]), list(range(25)))
        self.assertEqual(self.shown(["--results", "all"]), list(range(25)))
        self.assertEqual(self.shown(["--results", "first:3"]), [0, 1, 2])
        self.assertEqual(self.shown(["--results", "first:0"]), [])
        self.assertEqual(self.shown(["--results", "first:1000"]), list(range(25)))
        self.assertEqual(self.shown(["--results", "none"]), [])
        self.assertEqual(self.shown(["--results", "hash"]), [])

    def test_text(self):
        def lines(*selection):
            return self.run_guest("core", "--invoke", "add", "--args-from", "0..24", "--args", "0", *selection).out.splitlines()

        self.assertEqual(lines(), [str(i) for i in range(10)])
        self.assertEqual(lines("--results", "all"), [str(i) for i in range(25)])
        self.assertEqual(lines("--results", "first:2"), ["0", "1"])
        self.assertEqual(lines("--results", "none"), [])
        (only,) = lines("--results", "hash")
        self.assertRegex(only, "^[0-9a-f]{16}$")

    def test_wrong(self):
        for text in ["", "some", "first", "first:", "first:x", "first:-1", "ALL"]:
            self.failure(125, "run", self.guest("core"), "--invoke", "nothing", "--results", text)


class Text(CommandTest):
    def test_values_alone_on_stdout(self):
        done = self.run_guest("core", "--invoke", "add", "--args", "1,2")
        self.assertEqual(done.out, "3\n")
        self.assertIn("1 instance on cpu (interp): 1 returned", done.err)
        for part in ["instructions", "load", "compile", "spawn", "run", "harvest", "total", "result hash"]:
            self.assertIn(part, done.err)

    def test_functions_without_results_print_nothing(self):
        self.assertEqual(self.run_guest("core", "--invoke", "nothing", "-n", "20").out, "")

    def test_line_numbers_stay_ids(self):
        done = self.run_guest("core", "--invoke", "trap_odd", "--args-from", "0..4", status=120)
        self.assertEqual(done.out, "0\n\n2\n\n4\n")
        self.assertIn("warphive: 2 of 5 instances trapped, the first (1) with unreachable in function ", done.err)

    def test_one_trap(self):
        done = self.run_guest("core", "--invoke", "div", "--args", "1,0", "--quiet", status=120)
        self.assertEqual(done.out, "")
        module = (self.folder / "core.wasm").read_bytes()
        offset = module.index(bytes([0x20, 0, 0x20, 1, 0x6D])) + 4
        self.assertEqual(
            done.err,
            f"warphive: The instance trapped: integer_divide_by_zero in function 3 (divide) at byte {offset} (0x{offset:x}).\n",
        )

    def test_first_ten_are_announced(self):
        done = self.run_guest("core", "--invoke", "add", "--args-from", "0..24", "--args", "0")
        self.assertIn("the first 10 instances", done.err)
        done = self.run_guest("core", "--invoke", "add", "--args-from", "0..9", "--args", "0")
        self.assertNotIn("the first", done.err)

    def test_quiet_keeps_errors(self):
        done = self.run_guest("core", "--invoke", "trap_odd", "--args-from", "0..4", "--quiet", status=120)
        self.assertEqual(len(done.err.splitlines()), 1)


class Csv(CommandTest):
    def rows(self, *arguments, **options):
        return list(csv.DictReader(io.StringIO(self.run_guest(*arguments, "--format", "csv", **options).out)))

    def test_values(self):
        done = self.run_guest("core", "--invoke", "multi", "--args-from", "1..2", "--format", "csv", "--quiet")
        self.assertEqual(
            done.out,
            "id,exit,trap,exit_code,instructions,value0,value1,value2,stdout,stderr,truncated\n"
            "0,returned,,,7,1,-7,0.5,,,false\n1,returned,,,7,2,-7,0.5,,,false\n",
        )
        self.assertEqual(done.err, "")

    def test_all_by_default_and_traps(self):
        rows = self.rows("core", "--invoke", "trap_odd", "--args-from", "0..24", status=120)
        self.assertEqual(len(rows), 25)
        self.assertEqual((rows[1]["exit"], rows[1]["trap"], rows[1]["value0"]), ("trapped", "unreachable", ""))

    def test_output_is_quoted(self):
        self.guest("quoted", wasi("""(data (i32.const 16) "say \\"a,b\\"\\n")
          (func (export "_start") (call $write (i32.const 1) (i32.const 16) (i32.const 10)))"""))
        (row,) = self.rows("quoted", "--quiet")
        self.assertEqual(row["stdout"], 'say "a,b"\n')

    def test_hash_and_none(self):
        done = self.run_guest("core", "--invoke", "nothing", "--format", "csv", "--results", "hash")
        self.assertRegex(done.out, "^result_hash\n[0-9a-f]{16}\n$")
        self.assertEqual(self.run_guest("core", "--invoke", "nothing", "--format", "csv", "--results", "none").out, "")

    def test_memory_columns(self):
        (row,) = self.rows("core", "--invoke", "nothing", "--read-memory", "16:5", "--memory-hash")
        self.assertEqual(base64.b64decode(row["memory"]), b"hello")
        self.assertRegex(row["memory_hash"], "^[0-9a-f]{16}$")


class Memory(CommandTest):
    def test_read_and_hash(self):
        report = self.report("core", "--invoke", "store", "--args-from", "0..2", "--args", "7", "--read-memory", "0x0:8", "--memory-hash")
        memories = [base64.b64decode(r["memory"]) for r in report["results"]]
        self.assertEqual(memories, [b"\7\0\0\0\0\0\0\0", b"\0\7\0\0\0\0\0\0", b"\0\0\7\0\0\0\0\0"])
        hashes = [r["memory_hash"] for r in report["results"]]
        self.assertEqual(len(set(hashes)), 3)
        self.assertEqual(list(report["results"][0]), ["id", "exit", "values", "instructions", "memory", "memory_hash"])

    def test_text_appends_columns(self):
        done = self.run_guest("core", "--invoke", "add", "--args", "1,2", "--read-memory", "16:5", "--quiet")
        self.assertEqual(done.out, "3 aGVsbG8=\n")

    def test_after_a_trap(self):
        report = self.report("core", "--invoke", "div", "--args", "1,0", "--read-memory", "16:5", status=120)
        self.assertEqual(report["results"][0]["memory"], "aGVsbG8=")

    def test_memory_that_did_not_grow_so_far(self):
        report = self.report("core", "--invoke", "grow", "--args-from", "0..2", "--read-memory", "131068:4")
        self.assertEqual(["memory" in r for r in report["results"]], [False, True, True])

    def test_many_instances(self):
        report = self.report("core", "--invoke", "store", "--args-from", "0..9999", "--args", "255", "--read-memory", "0:10003")
        for result in report["results"][::997]:
            expected = bytearray(10003)
            expected[16:21] = b"hello"
            expected[result["id"] : result["id"] + 4] = b"\xff\0\0\0"
            self.assertEqual(base64.b64decode(result["memory"]), expected)

    def test_wrong(self):
        core = self.guest("core")
        for text in ["", "1", "1:", ":1", "x:1", "1:-1", "0:99999999999"]:
            self.failure(125, "run", core, "--invoke", "nothing", "--read-memory", text)
        self.assertIn("capacity", self.failure(125, "run", core, "--invoke", "nothing", "--read-memory", "1310720:1"))
        library = self.guest("library")
        self.assertIn("no memory", self.failure(125, "run", library, "--invoke", "twice", "--args", "1", "--memory-hash"))
        self.assertIn("no memory", self.failure(125, "run", library, "--invoke", "twice", "--args", "1", "--read-memory", "0:1"))


class Grow(CommandTest):
    def test_refused_growth_is_counted_and_named(self):
        done = self.run_guest("core", "--invoke", "grow", "--args", "2", "-n", "3", "--memory-pages", "2")
        self.assertEqual(done.out, "-1\n-1\n-1\n")
        self.assertIn("memory.grow was refused 3 times by the capacity of 2 pages; --memory-pages raises it.", done.err)
        report = self.report("core", "--invoke", "grow", "--args", "2", "-n", "3", "--memory-pages", "2")
        self.assertEqual((report["grow_refused"], report["memory_pages"]), (3, 2))

    def test_within_the_capacity(self):
        report = self.report("core", "--invoke", "grow", "--args", "2", "--memory-pages", "3")
        self.assertEqual((report["results"][0]["values"], report["grow_refused"]), ([1], 0))

    def test_defaults(self):
        self.assertEqual(self.report("core", "--invoke", "nothing")["memory_pages"], 20)  # declared maximum
        self.assertEqual(self.report("no_maximum", "--invoke", "grow", "--args", "1")["memory_pages"], 17)
        self.assertEqual(self.report("library", "--invoke", "twice", "--args", "1")["memory_pages"], 0)

    def test_too_small_or_large(self):
        for pages in ["0", "65537", "x"]:
            done = self.command("run", self.guest("core"), "--invoke", "nothing", "--memory-pages", pages)
            self.assertEqual(done.returncode, 125)
            self.assertRegex(done.err, "^warphive: .+[.]\n$")
