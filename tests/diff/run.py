#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Differential testing: generated modules on our executors and on wasmtime.

usage: run.py --tool DIFF_TOOL --work DIR (--modules N | --mutants N | --csmith N) [--first SEED]
              [--executors A,B] [--warphive WARPHIVE] [--need-wasmtime]

--modules makes WebAssembly from seeded random bytes with wasm-opt --translate-to-fuzz, --mutants changes a
few bytes of such modules, --csmith makes C programs and compiles them for wasm32. Each seed gives the same
module every time. What is compared: whether a module is valid, values, traps and where they are, values
logged through imports, memory, and where no bulk operation can occur the instruction counts with
wasmtime's fuel. A call that exhausts a stack or the fuel ends the comparison of its module. C programs also
run as WASI commands where --warphive is given, and have to print the same checksum.

Modules that differ are kept in DIR/failures. Exit status: 0 all equal, 1 differences, 77 a tool is missing.
"""

import argparse
import json
import multiprocessing
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import traceback

import generate

KINDS = {"modules": generate.make_module, "mutants": generate.make_mutant, "csmith": generate.make_csmith}
TOOLS = {"modules": ["wasm-opt"], "mutants": ["wasm-opt"], "csmith": ["csmith", "clang-19"]}
FUEL = {"modules": 2_000_000, "mutants": 100_000, "csmith": 30_000_000}
BATCH = {"modules": 25, "mutants": 50, "csmith": 4}
# What wasmtime charges otherwise than we do.
BULK_OPERATION = re.compile(rb"\xfc[\x08-\x11]")
VECTORS = 4
ROOM_PAGES = 1024
ROOM_ELEMENTS = 1024
VALUES = {
    "i32": [0, 1, 0xFFFFFFFF, 0x80000000, 7, 0x7FFFFFFF, 65536],
    "i64": [0, 0xFFFFFFFFFFFFFFFF, 1, 0x8000000000000000, 0x100000000, 0x7FFFFFFFFFFFFFFF, 42],
    "f32": [0, 0x3F800000, 0xFFC00000, 0x80000000, 0x7FA00001, 0x7F800000, 0x4F000000, 1, 0xC1200000],
    "f64": [0, 0x3FF0000000000000, 0x7FF4000000000001, 0x8000000000000000, 0x7FF0000000000000, 0x43E0000000000000,
            1, 0xFFF8000000000000, 0xC024000000000000],
    "v128": [0, 0x3F8000007FA00001, 0x80FF7F017FFF8000, 0xFFFFFFFFFFFFFFFF, 0x7FF4000000000001, 0x4F000000C1200000,
             0x3FF0000000000000, 0x0123456789ABCDEF],
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
  (func (export "log-v128") (param v128)
    (call $mix (i64x2.extract_lane 0 (local.get 0))) (call $mix (i64x2.extract_lane 1 (local.get 0))))
  (func (export "digest") (result i64) (global.get $digest)))
"""
def run_tool(options, files):
    values = ":".join(f"{kind}=" + ",".join(f"{v:x}" for v in bits) for kind, bits in VALUES.items())
    command = [options.tool, "--executors", ",".join(options.executors), "--fuel", FUEL[options.kind], "--vectors", VECTORS,
               "--values", values, "--support", options.support, "--", *files]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return lines, done.returncode, done.stderr


def same_trap(left, right):
    # wasmtime has one code for both.
    table = ("trap table_out_of_bounds", "trap undefined_element")
    return left == right or (left in table and right in table)


def differences(name, left, right, counts, fuel):
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
                    min(mine[3], oracle[3]) < fuel * 9 // 10 and "trap stack_overflow" not in (mine[2], oracle[2]):
                return f"{where}: {mine[2:]} | {oracle[2:]}"
            return None
        if not same_trap(mine[2], oracle[2]):
            return f"{where}: {mine[2]} | {oracle[2]}"
        # wasmtime may report a load at the operator that takes what it loads.
        if mine[4] != oracle[4] and not ("wasmtime" in name and mine[2] == "trap memory_out_of_bounds"):
            return f"{where}: {mine[2]} at byte {mine[4]} | {oracle[4]}"
        if counts and mine[2].startswith("returned") and mine[3] != oracle[3]:
            return f"{where}: {mine[3]} instructions | {oracle[3]}"
    if len(left["calls"]) != len(right["calls"]):
        return f"{name}: {len(left['calls'])} calls | {len(right['calls'])}"
    for key in ("digest", "memory"):
        if left.get(key) != right.get(key):
            return f"{name}: {key} {left.get(key)} | {right.get(key)}"
    return None


def command_differs(options, seed, folder, outcome):
    """Why a C program as a WASI command differs from its `run` on the first executor, or nothing."""
    call = outcome["calls"][0][2]
    if not call.startswith("returned"):
        return None
    file = generate.make_csmith_command(seed, folder)
    done = subprocess.run([options.warphive, "run", file, "--fuel", str(FUEL["csmith"] * 2)], capture_output=True, text=True)
    checksum = f"checksum = {int(call.split(':')[1], 16):X}\n"
    if (done.returncode, done.stdout) == (0, checksum):
        return None
    return f"as a command: exit status {done.returncode}, {done.stdout!r} {done.stderr.strip()!r}, expected {checksum!r}"


def work(job):
    """One batch of seeds; returns (seed, text) of what differs and counts of what happened."""
    options, seeds = job
    fuel = FUEL[options.kind]
    failures = []
    tally = {"run": 0, "refused": 0, "calls": 0, "returned": 0, "cut": 0}
    with tempfile.TemporaryDirectory(dir=options.work) as name:
        folder = pathlib.Path(name)
        files = {}
        for seed in seeds:
            try:
                files[seed] = KINDS[options.kind](seed, folder)
            except generate.ToolFailed as problem:
                failures.append((seed, str(problem), None))
        lines, status, errors = run_tool(options, files.values())
        if status != 0:  # find out which one it was
            lines = []
            for seed, file in files.items():
                one, status, errors = run_tool(options, [file])
                if status != 0:
                    failures.append((seed, f"diff_tool ended with {status}: {errors.strip()[-400:]}", file.read_bytes()))
                    one = [None]
                lines += one
        engine = None
        if options.has_wasmtime:
            import engine_wasmtime

            engine = engine_wasmtime.Engine(options.support.read_bytes(), VALUES, VECTORS, fuel * 2, ROOM_PAGES,
                                            ROOM_ELEMENTS)
        for (seed, file), line in zip(files.items(), lines):
            if line is None:
                continue
            data = file.read_bytes()
            ours = line["executors"]
            first = ours[options.executors[0]]
            counts = BULK_OPERATION.search(data) is None
            found = None
            for other in options.executors[1:]:
                found = found or differences(f"{other} | {options.executors[0]}", ours[other], first, True, fuel)
            if engine is not None:
                try:
                    oracle = engine.run(data)
                except Exception as problem:  # its exceptions do not travel between processes
                    raise RuntimeError(f"seed {seed}: {problem}\n{traceback.format_exc()}") from None
                found = found or differences(f"{options.executors[0]} | wasmtime", first, oracle, counts, fuel)
            if options.kind == "csmith" and options.warphive:
                found = found or command_differs(options, seed, folder, first)
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
    for kind in KINDS:
        parser.add_argument(f"--{kind}", type=int, default=0, metavar="N")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--executors", default="ref,interp.cpu,interp.sliced,interp.loop,jit.cpu,jit.sliced,jit.sim")
    parser.add_argument("--warphive", type=pathlib.Path)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--need-wasmtime", action="store_true")
    options = parser.parse_args()
    kinds = [kind for kind in KINDS if getattr(options, kind) > 0]
    if len(kinds) != 1:
        parser.error("one of --modules, --mutants and --csmith is needed")
    options.kind = kinds[0]
    options.executors = options.executors.split(",")

    for tool in ("wat2wasm", *TOOLS[options.kind]):
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

    count = getattr(options, options.kind)
    seeds = range(options.first, options.first + count)
    batch = BATCH[options.kind]
    jobs = [(options, seeds[i:i + batch]) for i in range(0, count, batch)]
    total = {}
    failed = 0
    with multiprocessing.Pool(min(len(jobs), options.jobs)) as pool:
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
                    file = folder / f"{options.kind}-{seed}.wasm"
                    file.write_bytes(data)
                    kept = f" (kept as {file})"
                print(f"seed {seed}: {why}{kept}", flush=True)
    print(f"{total.get('run', 0)} of {count} {options.kind} run on {', '.join(options.executors)}"
          f"{' and wasmtime' if options.has_wasmtime else ''}: {total.get('calls', 0)} calls, {total.get('returned', 0)} returned, "
          f"{total.get('refused', 0)} modules refused by all, {total.get('cut', 0)} ended by a limit; {failed} differ")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
