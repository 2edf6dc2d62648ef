#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Instruction counts of the guest programs equal wasmtime's fuel.

usage: check_counts.py WARPHIVE GUESTS_DIR

wasmtime charges for bulk operations, growing and start functions in its own way: the programs have no bulk
operations or start functions, and what they grow is taken off.
Exit status 77: wasmtime's Python package is not here.
"""

import json
import pathlib
import struct
import subprocess
import sys

SIZES = {
    "alu": 10_000,
    "collatz": 500,
    "fibr": 18,
    "mandel": 24,
    "queens": 7,
    "lev": 200,
    "sort": 1_000,
    "sieve": 60_000,
    "sha": 20,
    "coremark_like": 4,
    "json": 12,
    "text": 40,
}
SEEDS = range(1, 5)
FUEL = 1 << 40


def ours(warphive, file, *options):
    done = subprocess.run([warphive, "run", str(file), "--format", "json", *options], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{file.name}: warphive ended with {done.returncode}: {done.stderr.strip()}")
    return [result["instructions"] for result in json.loads(done.stdout)["results"]]


class Wasi:
    """Answers as warphive does: no environment, standard output not a terminal."""

    def __init__(self, args):
        self.args = [arg.encode() + b"\0" for arg in args]
        self.written = b""
        self.store = self.memory = None

    def words(self, address, *values):
        self.memory.write(self.store, struct.pack(f"<{len(values)}I", *values), address)

    def args_sizes_get(self, count_at, bytes_at):
        self.words(count_at, len(self.args))
        self.words(bytes_at, sum(map(len, self.args)))
        return 0

    def args_get(self, argv, address):
        for i, arg in enumerate(self.args):
            self.words(argv + 4 * i, address)
            self.memory.write(self.store, arg, address)
            address += len(arg)
        return 0

    def environ_sizes_get(self, count_at, bytes_at):
        self.words(count_at, 0)
        self.words(bytes_at, 0)
        return 0

    def fd_fdstat_get(self, _, address):
        self.memory.write(self.store, bytes(24), address)
        return 0

    def fd_write(self, _, vectors, count, written_at):
        before = len(self.written)
        for i in range(count):
            start, length = struct.unpack("<2I", self.memory.read(self.store, vectors + 8 * i, vectors + 8 * i + 8))
            self.written += bytes(self.memory.read(self.store, start, start + length))
        self.words(written_at, len(self.written) - before)
        return 0

    def find(self, name):
        def unexpected(*_):
            raise AssertionError(f"{name} is called")

        return getattr(self, name, unexpected)


class Oracle:
    def __init__(self, wasmtime, file):
        config = wasmtime.Config()
        config.consume_fuel = True
        self.wasmtime = wasmtime
        self.engine = wasmtime.Engine(config)
        self.module = wasmtime.Module.from_file(self.engine, str(file))

    def count(self, wasi, function, *args):
        store = self.wasmtime.Store(self.engine)
        store.set_fuel(FUEL)
        linker = self.wasmtime.Linker(self.engine)
        for name, kind in {imported.name: imported.type for imported in self.module.imports}.items():
            linker.define(store, "wasi_snapshot_preview1", name, self.wasmtime.Func(store, kind, wasi.find(name)))
        exports = linker.instantiate(store, self.module).exports(store)
        wasi.store, wasi.memory = store, exports["memory"]
        pages = wasi.memory.size(store)
        store.set_fuel(FUEL)
        if function != "_start" and "_initialize" in list(exports):
            exports["_initialize"](store)
        exports[function](store, *args)
        # It charges each page that memory.grow adds, as it does bytes of bulk operations.
        return FUEL - store.get_fuel() - (wasi.memory.size(store) - pages)


def main():
    warphive, guests = sys.argv[1], pathlib.Path(sys.argv[2])
    try:
        import wasmtime
    except ImportError:
        print("SKIPPED: wasmtime's Python package is not here (./dev makes .venv with it)")
        return 77

    failures = 0
    for name, n in SIZES.items():
        file = guests / f"{name}.wasm"
        counts = ours(warphive, file, "--invoke", "run", "--args-from", f"{SEEDS[0]}..{SEEDS[-1]}", "--args", str(n))
        oracle = Oracle(wasmtime, file)
        expected = [oracle.count(Wasi([]), "run", seed, n) for seed in SEEDS]
        failures += counts != expected
        print(f"{'FAIL' if counts != expected else 'ok  '} {name}: {counts[0]} instructions"
              + (f", all {counts}, wasmtime {expected}" if counts != expected else ""))

    counts = ours(warphive, guests / "hello.wasm", "-n", "1", "--", "one", "two words")
    wasi = Wasi(["hello.wasm", "one", "two words"])
    expected = [Oracle(wasmtime, guests / "hello.wasm").count(wasi, "_start")]
    failures += counts != expected
    print(f"{'FAIL' if counts != expected else 'ok  '} hello: {counts[0]} instructions, wasmtime {expected[0]}")

    print(f"{len(SIZES) + 1} programs, {failures} differ")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
