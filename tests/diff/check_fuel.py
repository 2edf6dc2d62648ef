#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Instruction counts against wasmtime's fuel: on every guest program with `run`, and on fuel_cases.py.

usage: check_fuel.py WARPHIVE GUESTS_DIR

Exit status: 0 all equal, 1 differences, 77 wasmtime's Python package is missing.
"""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import fuel_cases

try:
    import wasmtime
except ImportError:
    wasmtime = None

BUDGET = 1 << 60
# (seed, n) for each program; n for those not named.
SIZES = {"alu": (0, 1, 999), "mandel": (1, 9), "queens": (1, 6), "fibr": (0, 1, 12)}
DEFAULT_SIZES = (1, 5, 40)
SEEDS = (1, 7, 12345)
failures = 0


def check(what, ours, theirs):
    global failures
    if ours != theirs:
        failures += 1
        print(f"FAIL {what}: {ours} instructions, wasmtime's fuel {theirs}")


def warphive_counts(warphive, file, export, rows):
    """The instruction count of one instance per row of arguments; None where it did not return."""
    if rows[0]:
        with tempfile.NamedTemporaryFile("w", suffix=".csv") as table:
            table.write("".join(",".join(map(str, row)) + "\n" for row in rows))
            table.flush()
            arguments = ["--args-file", table.name]
            return parse_counts(warphive, file, export, arguments)
    return parse_counts(warphive, file, export, [])


def parse_counts(warphive, file, export, arguments):
    done = subprocess.run([warphive, "run", file, "--invoke", export, *arguments, "--format", "json", "--quiet"],
                          capture_output=True, text=True)
    if not done.stdout:
        return [done.stderr.strip()]
    results = json.loads(done.stdout)["results"]
    return [result["instructions"] if result["exit"] == "returned" else result["exit"] for result in results]


def make_engine():
    config = wasmtime.Config()
    config.consume_fuel = True
    config.wasm_tail_call = True
    return wasmtime.Engine(config)


def wasmtime_fuel(module, export, arguments, has_start=False):
    """What a fresh instance spends on its start function, `_initialize` and the call. What wasmtime charges for
    evaluating element segments is left out, and the 2 that it adds for entering a start function."""
    store = wasmtime.Store(module.engine)
    store.set_fuel(BUDGET)
    linker = wasmtime.Linker(module.engine)
    linker.allow_shadowing = True
    linker.define_wasi()
    store.set_wasi(wasmtime.WasiConfig())
    # As a function that can be called from outside, which wasmtime's own cannot.
    yields = wasmtime.FuncType([], [wasmtime.ValType.i32()])
    linker.define_func("wasi_snapshot_preview1", "sched_yield", yields, lambda: 0)
    instance = linker.instantiate(store, module)
    spent = max(0, BUDGET - store.get_fuel() - 2) if has_start else 0
    store.set_fuel(BUDGET)
    exports = instance.exports(store)
    if "_initialize" in exports:
        exports["_initialize"](store)
    exports[export](store, *arguments)
    return spent + BUDGET - store.get_fuel()


class Module(wasmtime.Module if wasmtime else object):
    def __init__(self, engine, data):
        super().__init__(engine, data)
        self.engine = engine


def check_guests(engine, warphive, guests):
    count = 0
    for file in sorted(guests.glob("*.wasm")):
        module = Module(engine, file.read_bytes())
        types = {export.name: export.type for export in module.exports if isinstance(export.type, wasmtime.FuncType)}
        run = types.get("run")
        if run is None or list(map(str, run.params)) != ["i32", "i32"] or list(map(str, run.results)) != ["i32"]:
            continue
        rows = [[seed, n] for n in SIZES.get(file.stem, DEFAULT_SIZES) for seed in SEEDS]
        for row, ours in zip(rows, warphive_counts(warphive, file, "run", rows), strict=True):
            check(f"{file.stem}.run{tuple(row)}", ours, wasmtime_fuel(module, "run", row))
            count += 1
    if count == 0:
        check("guest programs", 0, "one or more")
    return count


def assemble(fields, folder):
    text = folder / "case.wat"
    text.write_text(f"(module {fields})")
    file = folder / "case.wasm"
    subprocess.run(["wat2wasm", "--enable-tail-call", text, "-o", file], check=True)
    return file


def bulk_units(sizes):
    """What we charge for bulk operations of so many bytes: by chunks of 1,024."""
    return sum(size // 1024 * 16 + (size % 1024 + 63) // 64 for size in sizes)


def check_cases(engine, warphive, folder):
    count = 0
    for name, fields, calls in fuel_cases.CASES:
        file = assemble(fields, folder)
        module = Module(engine, file.read_bytes())
        for export, rows in calls.items():
            for row, ours in zip(rows, warphive_counts(warphive, file, export, rows), strict=True):
                check(f"{name}: {export}{tuple(row)}", ours, wasmtime_fuel(module, export, row, "(start " in fields))
                count += 1
    for name, fields, row, sizes, elements, pages in fuel_cases.BULK:
        file = assemble(fields, folder)
        ours = warphive_counts(warphive, file, "f", [row])[0]
        units = bulk_units([*sizes, *(8 * n for n in elements)])
        theirs = wasmtime_fuel(Module(engine, file.read_bytes()), "f", row) - sum(sizes) - sum(elements) - pages
        check(name, ours, theirs + units)
        count += 1
    return count


def main():
    if wasmtime is None:
        print("SKIPPED: wasmtime's Python package cannot be imported (./dev makes .venv with it)")
        return 77
    warphive, guests = sys.argv[1], pathlib.Path(sys.argv[2])
    engine = make_engine()
    programs = check_guests(engine, warphive, guests)
    cases = 0
    if shutil.which("wat2wasm") is None:
        print("wat2wasm (Debian package wabt) is not installed: only the guest programs were compared")
    else:
        with tempfile.TemporaryDirectory() as folder:
            cases = check_cases(engine, warphive, pathlib.Path(folder))
    print(f"{programs} runs of guest programs and {cases} small ones: {failures} differences")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
