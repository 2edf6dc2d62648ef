#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What compiling costs: time per MB of module, cold and from the cache, beside wasmtime's Cranelift on one thread, and the
memory and time that modules take which were made to be dear.

usage: compile_cost.py WARPHIVE GUESTS_DIR [--json FILE] [--repeat N]

"cached" is from the start of the process to the first result where an earlier process compiled the module, "interpreted" the
same without code. Needs wat2wasm for the dear modules.
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import tempfile
import time

import measure

GUESTS = ("alu", "sha", "coremark_like", "json", "text")


def run(binary, wasm, *extra, arguments=("--args", "1,1")):
    """The report, the process's wall time in seconds, and its largest memory in MiB."""
    command = [binary, "run", wasm, "--invoke", "run", *arguments, *extra, "--format", "json", "--results", "hash", "--quiet",
               "--progress", "none", "--threads", "1", "--device", "cpu"]
    done = measure.run(command)
    if not done.output.strip().startswith(b"{"):
        raise SystemExit(f"{command}: {done.status} {done.errors.decode()}")
    return json.loads(done.output), done.seconds, done.peak_mib


def cranelift(data):
    """Seconds that Cranelift takes on one thread; None without the package."""
    try:
        import wasmtime
    except ImportError:
        return None
    config = wasmtime.Config()
    config.parallel_compilation = False
    engine = wasmtime.Engine(config)
    start = time.perf_counter()
    wasmtime.Module(engine, data)
    return time.perf_counter() - start


def dear_modules():
    """Name and text of modules that cost much for their size."""
    straight = " ".join(f"(local.set 0 (i32.add (i32.mul (local.get 0) (i32.const {7 * i + 3})) (i32.const {i})))" for i in range(150_000))
    yield "straight line, 450,000 operations", f'(module (func (export "run") (param i32) (result i32) {straight} local.get 0))'
    # Many values that live long, at many places where the function can be left.
    names = range(400)
    locals_ = " ".join("(local i64)" for _ in names)
    body = " ".join(f"(loop (local.set {i + 1} (i64.add (local.get {(i * 7) % 400 + 1}) (local.get {i + 1}))) "
                    f"(br_if 0 (i64.eq (local.get {(i * 3) % 400 + 1}) (i64.const 12345))))" for i in names)
    yield "400 live values, 400 loops", f'(module (func (export "run") (param i32) (result i32) {locals_} {body} (i32.wrap_i64 (local.get 5))))'
    blocks = 200
    table = " ".join(str(i * 13 % blocks) for i in range(60_000))
    opened = "(block " * blocks
    closed = " ".join(f") (return (i32.const {17 * i}))" for i in range(blocks))
    yield "branch table of 60,000", (f'(module (func (export "run") (param i32) (result i32) {opened} (br_table {table} (local.get 0)) {closed} '
                                     "(i32.const 0)))")
    calls = "\n".join(f"(func $f{i} (param i32) (result i32) (call $f{max(0, i - 1)} (i32.add (local.get 0) (i32.const {i}))))"
                      for i in range(1, 50_000))
    yield "50,000 functions", (f"(module (func $f0 (param i32) (result i32) (local.get 0)) {calls} "
                               '(func (export "run") (param i32) (result i32) (local.get 0)))')
    deep = "(if (local.get 0) (then (local.set 0 (i32.mul (local.get 0) (i32.const 3))) " * 900
    yield "nesting of 900", f'(module (func (export "run") (param i32) (result i32) {deep} {")) " * 900} (local.get 0)))'


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("warphive")
    parser.add_argument("guests", type=pathlib.Path)
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    report = {"guests": [], "dear": []}
    print(f"{'module':14} {'KB':>6} {'compile':>9} {'s/MB':>7} {'Cranelift':>9} {'cached':>8} {'interpreted':>11}  cached/interpreted  peak MiB")
    with tempfile.TemporaryDirectory() as folder:
        for name in GUESTS:
            wasm = options.guests / f"{name}.wasm"
            if not wasm.exists():
                continue
            data = wasm.read_bytes()
            best = {}
            for _ in range(options.repeat):
                cold, _, peak = run(options.warphive, wasm, "--tier", "jit", "--no-cache")
                run(options.warphive, wasm, "--tier", "jit", "--cache-dir", folder)
                cached_report, cached, _ = run(options.warphive, wasm, "--tier", "jit", "--cache-dir", folder)
                if not cached_report["compiled"]["from_cache"]:
                    raise SystemExit(f"{name}: not from the cache")
                _, interpreted, _ = run(options.warphive, wasm, "--tier", "interp")
                for key, value in (("compile", cold["compiled"]["seconds"]), ("cached", cached), ("interpreted", interpreted),
                                   ("cranelift", cranelift(data)), ("peak_mib", peak)):
                    if value is not None:
                        best[key] = min(best.get(key, value), value)
            row = {"module": name, "bytes": len(data), **best}
            report["guests"].append(row)
            print(f"{name:14} {len(data) / 1e3:6.1f} {best['compile']:9.3f} {best['compile'] / len(data) * 1e6:7.1f} "
                  f"{best.get('cranelift', 0):9.3f} {best['cached']:8.4f} {best['interpreted']:11.4f} {best['cached'] / best['interpreted']:19.2f} "
                  f"{best['peak_mib']:9.0f}", flush=True)
        if shutil.which("wat2wasm"):
            print("\nmodules made to be dear, limits as they are by default")
            for name, text in dear_modules():
                wat, wasm = pathlib.Path(folder, "dear.wat"), pathlib.Path(folder, "dear.wasm")
                wat.write_text(text)
                subprocess.run(["wat2wasm", wat, "-o", wasm], check=True)
                one = ("--args", "1")
                _, plain, plain_peak = run(options.warphive, wasm, "--tier", "interp", arguments=one)
                result, wall, peak = run(options.warphive, wasm, "--tier", "jit", "--no-cache", arguments=one)
                compiled = result["compiled"]
                row = {"module": name, "bytes": wasm.stat().st_size, "wall": wall, "peak_mib": peak, "interpreted_wall": plain,
                       "interpreted_peak_mib": plain_peak, "functions": compiled["functions"], "interpreted": compiled["interpreted"]}
                report["dear"].append(row)
                print(f"  {name:34} {row['bytes'] / 1e3:7.0f} KB: {wall:6.2f} s and {peak:5.0f} MiB compiled ({compiled['functions']} functions, "
                      f"{compiled['interpreted']} left interpreted), {plain:6.2f} s and {plain_peak:5.0f} MiB interpreted", flush=True)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
