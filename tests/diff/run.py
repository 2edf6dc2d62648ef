#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Differential testing: generated modules on our executors and on wasmtime.

usage: run.py --tool DIFF_TOOL --work DIR (--modules N | --csmith N) [--first SEED] [--executors A,B]
              [--need-wasmtime]

--modules makes WebAssembly from seeded random bytes with wasm-opt --translate-to-fuzz, --csmith makes C
programs and compiles them for wasm32. Each seed gives the same module every time. What is compared: values,
traps, values logged through imports, memory, and where no bulk operation can occur the instruction
counts with wasmtime's fuel. A call that exhausts a stack or the fuel ends the comparison of its module.

Modules that differ are kept in DIR/failures. Exit status: 0 all equal, 1 differences, 77 a tool is missing.
"""

import argparse
import json
import multiprocessing
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile

FUEL = 2_000_000
VECTORS = 4
ROOM_PAGES = 1024
ROOM_ELEMENTS = 1024
BATCH = 25
VALUES = {
    "i32": [0, 1, 0xFFFFFFFF, 0x80000000, 7, 0x7FFFFFFF, 65536],
    "i64": [0, 0xFFFFFFFFFFFFFFFF, 1, 0x8000000000000000, 0x100000000, 0x7FFFFFFFFFFFFFFF, 42],
    "f32": [0, 0x3F800000, 0xFFC00000, 0x80000000, 0x7FA00001, 0x7F800000, 0x4F000000, 1, 0xC1200000],
    "f64": [0, 0x3FF0000000000000, 0x7FF4000000000001, 0x8000000000000000, 0x7FF0000000000000, 0x43E0000000000000,
            1, 0xFFF8000000000000, 0xC024000000000000],
}
# What modules import: mixes each logged value into a number that is compared at the end.
SUPPORT = """
(module
  (global $digest (mut i64) (i64.const 0))
  (func $mix (param i64)
    (global.set $digest
      (i64.add (i64.mul (global.get $digest) (i64.const 0x100000001b3)) (local.get 0))))
  (func (export "log-i32") (param i32) (call $mix (i64.extend_i32_u (local.get 0))))
  (func (export "log-i64") (param i64) (call $mix (local.get 0)))
  (func (export "log-f32") (param f32)
    (call $mix (i64.extend_i32_u (i32.reinterpret_f32 (local.get 0)))))
  (func (export "log-f64") (param f64) (call $mix (i64.reinterpret_f64 (local.get 0))))
  (func (export "digest") (result i64) (global.get $digest)))
"""
BASE_FEATURES = ["--enable-sign-ext", "--enable-nontrapping-float-to-int", "--enable-multivalue", "--enable-mutable-globals"]
BULK = "--enable-bulk-memory"
# By seed: flags of wasm-opt. Without bulk operations instruction counts are compared too.
SHAPES = [
    BASE_FEATURES,
    [*BASE_FEATURES, BULK],
    [*BASE_FEATURES, "-O2"],
    [*BASE_FEATURES, BULK, "--enable-reference-types"],
    [*BASE_FEATURES, BULK, "-O1"],
]
# A program's checksum is taken from its runtime instead of being printed, so that no host is needed.
CSMITH_SHIM = """
#include <stdio.h>
#include <string.h>
#define printf(...) ((void)0)
#define main csmith_main
#include "{program}"
#undef main
__attribute__((export_name("run"))) unsigned run(void) {{ csmith_main(); return crc32_context; }}
"""


class ToolFailed(Exception):
    pass


def make_module(seed, folder):
    source = folder / f"{seed}.bin"
    target = folder / f"{seed}.wasm"
    numbers = random.Random(seed)
    source.write_bytes(numbers.randbytes(numbers.choice((400, 1500, 4000, 12000))))
    command = ["wasm-opt", "-q", "-ttf", source, "-o", target, *SHAPES[seed % len(SHAPES)]]
    done = subprocess.run(command, capture_output=True, text=True)
    source.unlink()
    if done.returncode != 0:
        raise ToolFailed(f"wasm-opt: {done.stderr.strip()[:300]}")
    return target


def make_csmith(seed, folder):
    program = folder / f"{seed}.c"
    target = folder / f"{seed}.wasm"
    shim = folder / f"{seed}-shim.c"
    for attempt in range(10):  # some seeds end csmith itself
        command = ["csmith", "--seed", str(seed * 10 + attempt + 1), "--no-argc", "--output", program.name]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)  # it also writes platform.info
        if done.returncode == 0:
            break
    else:
        raise ToolFailed(f"csmith: {(done.stdout + done.stderr).strip()[:300]}")
    shim.write_text(CSMITH_SHIM.format(program=program.name,))
    command = ["clang-19", "--target=wasm32-wasi", "-w", "-mexec-model=reactor", "-nostartfiles", "-Wl,--no-entry", "-isystem",
               "/usr/include/csmith", f"-O{seed % 3}", "-Wl,--strip-all", shim, "-o", target]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise ToolFailed(f"clang-19: {done.stderr.strip()[:300]}")
    return target


def run_tool(tool, executors, support, files):
    values = ":".join(f"{kind}=" + ",".join(f"{v:x}" for v in bits) for kind, bits in VALUES.items())
    command = [tool, "--executors", ",".join(executors), "--fuel", str(FUEL), "--vectors", str(VECTORS), "--values", values,
               "--support", support, "--", *files]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return lines, done.returncode, done.stderr


def same_trap(left, right):
    # wasmtime has one code for both.
    table = ("trap table_out_of_bounds", "trap undefined_element")
    return left == right or (left in table and right in table)


def differences(name, left, right, counts):
    """Why two runs differ, or nothing. `right` is the oracle."""
    if ("error" in left) != ("error" in right):
        return f"{name}: {left.get('error', 'accepted')} | {right.get('error', 'accepted')}"
    if "error" in left:
        return None
    if not same_trap(left["instantiate"], right["instantiate"]):
        return f"{name}: instantiate {left['instantiate']} | {right['instantiate']}"
    limits = ("out_of_fuel", "trap stack_overflow")
    for mine, oracle in zip(left["calls"], right["calls"]):
        where = f"{name}: {mine[0]} vector {mine[1]}"
        if mine[:2] != oracle[:2]:
            return f"{where}: the other called {oracle[:2]}"
        if mine[2] in limits or oracle[2] in limits:
            # Where a block is stopped before it runs, the other may have left a little later.
            if "out_of_fuel" in (mine[2], oracle[2]) and counts and mine[2] != oracle[2] and \
                    min(mine[3], oracle[3]) < FUEL * 9 // 10 and "trap stack_overflow" not in (mine[2], oracle[2]):
                return f"{where}: {mine[2:]} | {oracle[2:]}"
            return None
        if not same_trap(mine[2], oracle[2]):
            return f"{where}: {mine[2]} | {oracle[2]}"
        if counts and mine[2].startswith("returned") and mine[3] != oracle[3]:
            return f"{where}: {mine[3]} instructions | {oracle[3]}"
    if len(left["calls"]) != len(right["calls"]):
        return f"{name}: {len(left['calls'])} calls | {len(right['calls'])}"
    for key in ("digest", "memory"):
        if left.get(key) != right.get(key):
            return f"{name}: {key} {left.get(key)} | {right.get(key)}"
    return None


def work(job):
    """One batch of seeds; returns (seed, text) of what differs and counts of what happened."""
    options, seeds = job
    make = make_csmith if options.csmith else make_module
    failures = []
    tally = {"run": 0, "refused": 0, "calls": 0, "returned": 0, "cut": 0}
    with tempfile.TemporaryDirectory(dir=options.work) as name:
        folder = pathlib.Path(name)
        files = {}
        for seed in seeds:
            try:
                files[seed] = make(seed, folder)
            except ToolFailed as problem:
                failures.append((seed, str(problem), None))
        lines, status, errors = run_tool(options.tool, options.executors, options.support, files.values())
        if status != 0:  # find out which one it was
            lines = []
            for seed, file in files.items():
                one, status, errors = run_tool(options.tool, options.executors, options.support, [file])
                if status != 0:
                    failures.append((seed, f"diff_tool ended with {status}: {errors.strip()[-400:]}", file.read_bytes()))
                    one = [None]
                lines += one
        engine = None
        if options.has_wasmtime:
            import engine_wasmtime

            engine = engine_wasmtime.Engine(options.support.read_bytes(), VALUES, VECTORS, FUEL * 2, ROOM_PAGES, ROOM_ELEMENTS)
        for (seed, file), line in zip(files.items(), lines):
            if line is None:
                continue
            data = file.read_bytes()
            ours = line["executors"]
            first = ours[options.executors[0]]
            counts = options.csmith or BULK not in SHAPES[seed % len(SHAPES)]
            found = None
            for other in options.executors[1:]:
                found = found or differences(f"{other} | {options.executors[0]}", ours[other], first, True)
            if engine is not None:
                found = found or differences(f"{options.executors[0]} | wasmtime", first, engine.run(data), counts)
            if found:
                failures.append((seed, found, data))
            tally["run"] += 1
            tally["refused"] += "error" in first
            calls = first.get("calls", [])
            tally["calls"] += len(calls)
            tally["returned"] += sum(call[2].startswith("returned") for call in calls)
            tally["cut"] += bool(calls) and calls[-1][2] in ("out_of_fuel", "trap stack_overflow")
    return failures, tally


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tool", required=True, type=pathlib.Path)
    parser.add_argument("--work", required=True, type=pathlib.Path)
    parser.add_argument("--modules", type=int, default=0)
    parser.add_argument("--csmith", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--executors", default="ref,interp.cpu,interp.loop")
    parser.add_argument("--need-wasmtime", action="store_true")
    options = parser.parse_args()
    if (options.modules > 0) == (options.csmith > 0):
        parser.error("one of --modules and --csmith is needed")
    options.executors = options.executors.split(",")

    for tool in ("wat2wasm", *(("csmith", "clang-19") if options.csmith else ("wasm-opt",))):
        if shutil.which(tool) is None:
            print(f"SKIPPED: {tool} is not installed")
            return 77
    try:
        import wasmtime  # noqa: F401

        options.has_wasmtime = True
    except ImportError:
        options.has_wasmtime = False
        if options.need_wasmtime:
            print("wasmtime's Python package is needed and cannot be imported")
            return 1
        print("wasmtime's Python package is not here (./dev makes .venv with it): only our executors are compared")

    options.work.mkdir(parents=True, exist_ok=True)
    text = options.work / "support.wat"
    text.write_text(SUPPORT)
    options.support = options.work / "support.wasm"
    subprocess.run(["wat2wasm", text, "-o", options.support], check=True)

    count = options.modules or options.csmith
    seeds = range(options.first, options.first + count)
    batch = 4 if options.csmith else BATCH
    jobs = [(options, seeds[i:i + batch]) for i in range(0, count, batch)]
    total = {}
    failed = 0
    with multiprocessing.Pool(min(len(jobs), os.cpu_count() or 1)) as pool:
        for failures, tally in pool.imap_unordered(work, jobs):
            for key, value in tally.items():
                total[key] = total.get(key, 0) + value
            for seed, why, data in failures:
                failed += 1
                why = re.sub(r"\s+", " ", why)
                kept = ""
                if data is not None:
                    folder = options.work / "failures"
                    folder.mkdir(exist_ok=True)
                    file = folder / f"{'csmith' if options.csmith else 'module'}-{seed}.wasm"
                    file.write_bytes(data)
                    kept = f" (kept as {file})"
                print(f"seed {seed}: {why}{kept}", flush=True)
    print(f"{total.get('run', 0)} of {count} modules run on {', '.join(options.executors)}"
          f"{' and wasmtime' if options.has_wasmtime else ''}: {total.get('calls', 0)} calls, {total.get('returned', 0)} returned, "
          f"{total.get('refused', 0)} modules refused by all, {total.get('cut', 0)} ended by a limit; {failed} differ")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
