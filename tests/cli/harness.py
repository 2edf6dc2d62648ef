# SPDX-License-Identifier: Apache-2.0
"""What the tests of the command share: running it, and guests made from text."""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest

WARPHIVE = "warphive"

# A hang is a failure; nothing here takes long.
HANG_SECONDS = 120

CORE = """
(module $core
  (memory (export "memory") 1 20)
  (data (i32.const 16) "hello")
  (global $initialized (mut i32) (i32.const 0))
  (func (export "_initialize") (global.set $initialized (i32.const 5)))
  (func (export "initialized") (result i32) global.get $initialized)
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func $divide (export "div") (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
  (func (export "i64") (param i64) (result i64) local.get 0)
  (func (export "f32") (param f32) (result f32) local.get 0)
  (func (export "f64") (param f64) (result f64) local.get 0)
  (func (export "externref") (param externref) (result externref) local.get 0)
  (func (export "funcref") (param funcref) (result funcref) local.get 0)
  (func (export "multi") (param i32) (result i32 i64 f64) local.get 0 i64.const -7 f64.const 0.5)
  (func (export "nothing"))
  (func (export "loop") (loop br 0))
  (func (export "count") (param i32) (result i32) (local $i i32)
    (loop (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if 0 (i32.lt_u (local.get $i) (local.get 0))))
    local.get $i)
  (func $recurse (export "recurse") (param i32) (result i32)
    (if (result i32) (local.get 0)
      (then (i32.add (i32.const 1) (call $recurse (i32.sub (local.get 0) (i32.const 1)))))
      (else (i32.const 0))))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "store") (param i32 i32) (i32.store (local.get 0) (local.get 1)))
  (func (export "trap_odd") (param i32) (result i32)
    (if (i32.and (local.get 0) (i32.const 1)) (then unreachable))
    local.get 0))
"""

WASI_IMPORTS = """
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $env_sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $env_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (func $write (param $fd i32) (param $at i32) (param $bytes i32)
    (i32.store (i32.const 0) (local.get $at))
    (i32.store (i32.const 4) (local.get $bytes))
    (drop (call $fd_write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))))
  (func $read (param $fd i32) (result i32)
    (i32.store (i32.const 0) (i32.const 65536))
    (i32.store (i32.const 4) (i32.const 65536))
    (i32.store (i32.const 8) (i32.const 0))
    (drop (call $fd_read (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8)))
    (i32.load (i32.const 8)))
  (func $copy (param $fd i32) (local $bytes i32)
    (loop
      (local.set $bytes (call $read (local.get $fd)))
      (if (local.get $bytes)
        (then (call $write (i32.const 1) (i32.const 65536) (local.get $bytes)) (br 1)))))
"""


def wasi(body):
    """A WASI command: `body` is its fields, which may call $write, $read, $copy and $exit."""
    return "(module " + WASI_IMPORTS + body + ")"


PROGRAMS = {
    "core": CORE,
    "empty": "(module)",
    "hello": wasi("""
      (data (i32.const 16) "hello\\n")
      (func (export "_start") (call $write (i32.const 1) (i32.const 16) (i32.const 6)))"""),
    # Writes both streams from a function that also returns a value.
    "chatty": wasi("""
      (data (i32.const 16) "out\\nerr\\n")
      (func (export "talk") (result i32)
        (call $write (i32.const 1) (i32.const 16) (i32.const 4))
        (call $write (i32.const 2) (i32.const 20) (i32.const 4))
        i32.const 42)
      (func (export "_start")
        (call $write (i32.const 1) (i32.const 16) (i32.const 4))
        (call $write (i32.const 2) (i32.const 20) (i32.const 4)))"""),
    # Exits with the first argument, a decimal number.
    "exit": wasi("""
      (func (export "_start") (local $at i32) (local $code i32)
        (drop (call $args_sizes (i32.const 16) (i32.const 20)))
        (drop (call $args_get (i32.const 32) (i32.const 256)))
        (local.set $at (i32.load (i32.const 36)))
        (loop
          (if (i32.load8_u (local.get $at))
            (then
              (local.set $code (i32.add (i32.mul (local.get $code) (i32.const 10))
                                        (i32.sub (i32.load8_u (local.get $at)) (i32.const 48))))
              (local.set $at (i32.add (local.get $at) (i32.const 1)))
              (br 1))))
        (call $proc_exit (local.get $code)))"""),
    # Writes its arguments, then its environment, each with its NUL.
    "strings": wasi("""
      (func (export "_start")
        (drop (call $args_sizes (i32.const 16) (i32.const 20)))
        (drop (call $args_get (i32.const 32) (i32.const 4096)))
        (call $write (i32.const 1) (i32.const 4096) (i32.load (i32.const 20)))
        (drop (call $env_sizes (i32.const 16) (i32.const 20)))
        (drop (call $env_get (i32.const 32) (i32.const 4096)))
        (call $write (i32.const 1) (i32.const 4096) (i32.load (i32.const 20))))"""),
    "cat": wasi('(func (export "_start") (call $copy (i32.const 0)))'),
    # Writes 10,000 times "0123456789".
    "long": wasi("""
      (data (i32.const 16) "0123456789")
      (func (export "_start") (local $i i32)
        (loop
          (call $write (i32.const 1) (i32.const 16) (i32.const 10))
          (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))
                             (i32.const 10000)))))"""),
    "forever": wasi("""
      (data (i32.const 16) "0123456789\\n")
      (func (export "_start") (loop (call $write (i32.const 1) (i32.const 16) (i32.const 11)) (br 0)))"""),
    "binary": wasi("""
      (data (i32.const 16) "a\\ff\\00")
      (func (export "_start") (call $write (i32.const 1) (i32.const 16) (i32.const 3)))"""),
    "euro": wasi("""
      (data (i32.const 16) "\\e2\\82\\ac\\e2\\82\\ac")
      (func (export "_start") (call $write (i32.const 1) (i32.const 16) (i32.const 6)))"""),
    "world": wasi("""
      (func (export "clock") (result i64)
        (drop (call $clock (i32.const 0) (i64.const 1) (i32.const 16))) (i64.load (i32.const 16)))
      (func (export "random") (result i64)
        (drop (call $random (i32.const 16) (i32.const 8))) (i64.load (i32.const 16)))"""),
    # Writes the file x.txt of the first directory.
    "file": wasi("""
      (data (i32.const 16) "x.txt")
      (func (export "_start")
        (if (call $path_open (i32.const 3) (i32.const 0) (i32.const 16) (i32.const 5) (i32.const 0)
                             (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 32))
          (then (call $proc_exit (i32.const 7))))
        (call $copy (i32.load (i32.const 32))))"""),
    "library": '(module (func (export "twice") (param i32) (result i32) (i32.add (local.get 0) (local.get 0))))',
    "user": """(module
      (import "lib" "twice" (func $twice (param i32) (result i32)))
      (func (export "run") (param i32) (result i32) (call $twice (local.get 0))))""",
    "no_maximum": """(module (memory (export "memory") 1)
      (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))""",
    "seed": """(module
      (import "env" "random" (func $random (result i32)))
      (func (export "run") (result i32) (call $random)))""",
}


class CommandTest(unittest.TestCase):
    """A folder of its own, in which each guest is made when it is first named."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def guest(self, name, text=None):
        """The path of a guest, relative to the folder."""
        wasm = self.folder / f"{name}.wasm"
        if not wasm.exists():
            wat = self.folder / f"{name}.wat"
            wat.write_text(PROGRAMS[name] if text is None else text)
            subprocess.run(["wat2wasm", "--debug-names", wat, "-o", wasm], check=True)
            wat.unlink()
        return wasm.name

    def file(self, name, content):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return name

    def command(self, *arguments, stdin=b"", status=None, environment=None):
        """Runs the command in the folder; bytes in, text out."""
        done = subprocess.run(
            [WARPHIVE, *map(str, arguments)],
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.folder,
            timeout=HANG_SECONDS,
            env={**os.environ, "XDG_CACHE_HOME": str(self.folder / "xdg"), **(environment or {})},
        )
        done.out = done.stdout.decode(errors="backslashreplace")
        done.err = done.stderr.decode(errors="backslashreplace")
        if status is not None:
            self.assertEqual(done.returncode, status, f"{arguments}\n{done.out[:2000]}\n{done.err[:2000]}")
        return done

    def run_guest(self, name, *arguments, status=0, **options):
        return self.command("run", self.guest(name), *arguments, status=status, **options)

    def report(self, name, *arguments, status=0, **options):
        """What the command says with --format json."""
        done = self.run_guest(name, "--format", "json", *arguments, status=status, **options)
        return json.loads(done.stdout)

    def failure(self, status, *arguments, **options):
        """The one sentence of a command that fails before anything runs."""
        done = self.command(*arguments, status=status, **options)
        self.assertEqual(done.out, "", arguments)
        lines = done.err.splitlines()
        self.assertEqual(len(lines), 1, done.err)
        self.assertRegex(lines[0], r"^warphive: .+[.]$")
        return lines[0].removeprefix("warphive: ")
