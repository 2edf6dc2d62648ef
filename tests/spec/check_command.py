#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`warphive spec` fails what is wrong: scripts with expectations that do not hold.

usage: check_command.py WARPHIVE
"""

import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

WARPHIVE = ""
EXECUTORS = ("ref", "interp.cpu", "interp.loop")

MODULE = """
(module $core
  (memory (export "memory") 1)
  (global (export "g") i64 (i64.const 5))
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "div") (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
  (func (export "nan") (result f32) (f32.const nan:0x200000))
  (func (export "two") (result i32 f64) (i32.const 1) (f64.const 2))
  (func $deep (export "deep") (result i32) (i32.add (call $deep) (i32.const 1)))
  (func (export "null") (result funcref) (ref.null func)))
"""
GOOD = [
    '(assert_return (invoke "add" (i32.const 2) (i32.const -3)) (i32.const -1))',
    '(assert_return (get "g") (i64.const 5))',
    '(assert_return (invoke "two") (i32.const 1) (f64.const 2))',
    '(assert_trap (invoke "div" (i32.const 1) (i32.const 0)) "integer divide by zero")',
    '(assert_exhaustion (invoke "deep") "call stack exhausted")',
    '(assert_return (invoke "null") (ref.null func))',
    '(assert_unlinkable (module (import "nowhere" "x" (func))) "unknown import")',
    '(assert_invalid (module (func (result i32))) "type mismatch")',
]
BAD = [
    '(assert_return (invoke "add" (i32.const 2) (i32.const 2)) (i32.const 5))',
    '(assert_return (get "g") (i64.const 6))',
    '(assert_return (invoke "two") (i32.const 1) (f64.const 3))',
    '(assert_return (invoke "nan") (f32.const nan:canonical))',
    '(assert_return (invoke "nan") (f32.const nan:arithmetic))',
    '(assert_trap (invoke "div" (i32.const 1) (i32.const 0)) "integer overflow")',
    '(assert_trap (invoke "add" (i32.const 1) (i32.const 0)) "integer overflow")',
    '(assert_exhaustion (invoke "div" (i32.const 1) (i32.const 0)) "call stack exhausted")',
    '(assert_return (invoke "div" (i32.const 1) (i32.const 0)) (i32.const 0))',
    '(assert_unlinkable (module (import "spectest" "print" (func))) "unknown import")',
    '(assert_trap (module (func)) "unreachable")',
]
TEXT = """
(assert_malformed (module quote "(func (i32.nonsense))") "unexpected token")
"""
VECTORS = """
(module (func (export "add") (param v128 v128) (result v128) (f32x4.add (local.get 0) (local.get 1)))
        (func (export "pair") (result i32 v128) (i32.const 7) (v128.const i16x8 1 2 3 4 5 6 7 8))
        (global (export "g") v128 (v128.const i64x2 3 4)))
"""
GOOD_VECTORS = [
    '(assert_return (invoke "add" (v128.const f32x4 1 nan inf 0) (v128.const f32x4 2 1 -inf -0))'
    ' (v128.const f32x4 3 nan:arithmetic nan:canonical 0))',
    '(assert_return (invoke "pair") (i32.const 7) (v128.const i32x4 0x20001 0x40003 0x60005 0x80007))',
    '(assert_return (get "g") (v128.const i8x16 3 0 0 0 0 0 0 0 4 0 0 0 0 0 0 0))',
]
BAD_VECTORS = [
    '(assert_return (invoke "add" (v128.const f32x4 1 1 1 1) (v128.const f32x4 1 1 1 1)) (v128.const f32x4 2 2 2 3))',
    '(assert_return (invoke "add" (v128.const f32x4 1 1 1 1) (v128.const f32x4 1 1 1 1))'
    ' (v128.const f32x4 2 2 2 nan:canonical))',
    '(assert_return (invoke "pair") (i32.const 7))',
]


class Spec(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def convert(self, name, text):
        wast = self.folder / f"{name}.wast"
        wast.write_text(text)
        target = wast.with_suffix(".json")
        # Without a check, so that wrong expectations about modules get through.
        subprocess.run(["wast2json", "--no-check", wast, "-o", target], check=True)
        return target

    def spec(self, *arguments):
        done = subprocess.run([WARPHIVE, "spec", *map(str, arguments)], capture_output=True, text=True)
        lines = done.stdout.splitlines()
        return done.returncode, lines[-1] if lines else "", lines[:-1], done.stderr

    def test_good(self):
        file = self.convert("good", MODULE + "\n".join(GOOD))
        for executor in EXECUTORS:
            status, totals, lines, _ = self.spec("--executor", executor, file)
            self.assertEqual((status, totals, lines), (0, f"{len(GOOD)} passed, 0 failed, 0 skipped", []))

    def test_bad(self):
        file = self.convert("bad", MODULE + "\n".join(BAD))
        first = MODULE.count("\n") + 1
        for executor in EXECUTORS:
            status, totals, lines, _ = self.spec("--executor", executor, file)
            self.assertEqual((status, totals), (1, f"0 passed, {len(BAD)} failed, 0 skipped"))
            self.assertEqual([line.split(": ")[0] for line in lines], [f"bad.wast:{first + i}" for i in range(len(BAD))])

    def test_values_of_one_bit(self):
        file = self.convert("nan", MODULE + '(assert_return (invoke "nan") (f32.const nan:0x200000))')
        self.assertEqual(self.spec(file)[1], "1 passed, 0 failed, 0 skipped")

    def test_text_is_skipped(self):
        self.assertEqual(self.spec(self.convert("text", TEXT))[:2], (0, "0 passed, 0 failed, 1 skipped"))

    def test_vectors(self):
        file = self.convert("vectors", VECTORS + "\n".join(GOOD_VECTORS))
        for executor in EXECUTORS:
            self.assertEqual(self.spec("--executor", executor, file)[:2], (0, "3 passed, 0 failed, 0 skipped"))
        file = self.convert("wrong", VECTORS + "\n".join(BAD_VECTORS))
        self.assertEqual(self.spec(file)[:2], (1, "0 passed, 3 failed, 0 skipped"))

    def test_totals_of_several_files(self):
        files = [self.convert("one", MODULE + GOOD[0]), self.convert("two", MODULE + BAD[0] + TEXT)]
        self.assertEqual(self.spec(*files)[:2], (1, "1 passed, 1 failed, 1 skipped"))

    def test_modules_act_on_each_other(self):
        file = self.convert("linked", """
            (module $a (memory (export "m") 1 5) (func (export "get") (result i32) (i32.load (i32.const 8)))
                       (func (export "size") (result i32) (memory.size)))
            (register "a")
            (assert_unlinkable (module (import "a" "m" (memory 2))) "incompatible import type")
            (module (import "a" "m" (memory 1)) (func (export "grow") (result i32) (memory.grow (i32.const 1)))
                    (data (i32.const 8) "\\07"))
            (assert_return (invoke $a "get") (i32.const 7))
            (assert_return (invoke "grow") (i32.const 1))
            (module (import "a" "m" (memory 2)))
            (assert_return (invoke $a "size") (i32.const 2))
            (assert_trap (module (import "a" "m" (memory 1)) (data (i32.const 8) "\\09") (func unreachable) (start 0))
                         "unreachable")
            (assert_return (invoke $a "get") (i32.const 9))""")
        for executor in EXECUTORS:
            self.assertEqual(self.spec("--executor", executor, file)[:2], (0, "6 passed, 0 failed, 0 skipped"))

    def test_failing_modules(self):
        file = self.convert("modules", '(module (func (import "no" "such")))\n(assert_return (invoke "f"))\n'
                            '(module (func unreachable) (start 0))')
        status, totals, lines, _ = self.spec(file)
        self.assertEqual((status, totals, len(lines)), (1, "0 passed, 3 failed, 0 skipped", 3))

    def test_expected_failures(self):
        file = self.convert("bad", MODULE + BAD[0] + "\n" + GOOD[0])
        line = MODULE.count("\n") + 1
        listed = self.folder / "expected.txt"
        cases = {
            f"bad.wast:{line}  sums are off": (0, "1 passed, 0 failed, 1 skipped"),
            "# comment\n\nb?d.wast:*  everything is off": (1, "0 passed, 1 failed, 1 skipped"),
            "bad.wast:3  nothing is there": (1, "1 passed, 2 failed, 0 skipped"),
            "other.wast:3  another file": (1, "1 passed, 1 failed, 0 skipped"),
        }
        for text, expected in cases.items():
            listed.write_text(text + "\n")
            self.assertEqual(self.spec("--expected-failures", listed, file)[:2], expected, text)
        listed.write_text("bad.wast:1\n")
        status, _, _, errors = self.spec("--expected-failures", listed, file)
        self.assertEqual((status, "has no reason" in errors), (125, True))

    def test_errors(self):
        self.assertEqual(self.spec("--executor", "none", "x.json")[0], 125)
        self.assertEqual(self.spec(self.folder / "none.json")[0], 123)
        broken = self.folder / "broken.json"
        broken.write_text("{}")
        self.assertEqual(self.spec(broken)[0], 124)


if __name__ == "__main__":
    if shutil.which("wast2json") is None:
        print("SKIPPED: wast2json (Debian package wabt) is not installed")
        sys.exit(77)
    WARPHIVE = sys.argv.pop(1)
    unittest.main()
