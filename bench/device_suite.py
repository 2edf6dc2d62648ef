#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs programs on a CUDA device and on all CPU cores: equal results first, then rates.

usage: device_suite.py WARPHIVE FOLDER OUT [--only check spec speed scale]
"""
import argparse
import json
import pathlib
import subprocess
import sys
import time

# name, second argument, instances on the GPU, on the CPU
PROGRAMS = [
    ("alu", 20_000, 131_072, 4_096),
    ("collatz", 200, 131_072, 4_096),
    ("fibr", 16, 131_072, 4_096),
    ("mandel", 12, 131_072, 4_096),
    ("queens", 5, 131_072, 4_096),
    ("lev", 40, 131_072, 4_096),
    ("sort", 400, 131_072, 4_096),
    ("sieve", 2_000, 131_072, 4_096),
    ("sha", 8, 131_072, 4_096),
]


def run(binary, *arguments, timeout=240):
    """The report of one run; None and the reason where it failed."""
    command = [binary, "run", *map(str, arguments), "--format", "json", "--results", "hash"]
    started = time.monotonic()
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        return None, f"no end within {timeout} s"
    wall = time.monotonic() - started
    try:
        report = json.loads(done.stdout)
    except json.JSONDecodeError:
        return None, f"exit status {done.returncode}: {done.stderr.strip()[-400:]}"
    report["wall"] = wall
    return report, None


def scale(binary, guests):
    """From one instance to a million, stops, and what does not fit."""
    rows = []
    for name, size in [("alu", 20_000), ("sieve", 2_000)]:
        for count in [10**power for power in range(7)]:
            result, why = run(binary, guests / f"{name}.wasm", "--invoke", "run", "--args-from", f"1..{count}", "--args", size, "--device", "cuda")
            row = {"program": name, "instances": count, "why": why}
            if result is not None:
                row |= {key: result["seconds"][key] for key in ("spawn", "run", "harvest", "total")}
                row |= {"wall": result["wall"], "rate": result["instructions"] / result["seconds"]["run"] / 1e9}
            rows.append(row)
            print(row, flush=True)
    for count in (1, 1_000, 1_000_000):
        result, why = run(binary, guests / "alu.wasm", "--invoke", "run", "--args-from", f"1..{count}", "--args", 2_000_000_000,
                          "--device", "cuda", "--timeout", 1)
        row = {"stopped after 1 s": count, "why": why}
        if result is not None:
            row |= {"exits": result["exits"], "run": result["seconds"]["run"]}
        rows.append(row)
        print(row, flush=True)
    result, why = run(binary, guests / "sieve.wasm", "--invoke", "run", "--args-from", "1..3000000", "--args", 10, "--device", "cuda")
    rows.append({"does not fit": 3_000_000, "why": why if result is None else "it ran"})
    print(rows[-1], flush=True)
    return rows


def compare(binary, guests, name, size, count, extra=()):
    arguments = [guests / f"{name}.wasm", "--invoke", "run", "--args-from", f"1..{count}", "--args", size, *extra]
    gpu, why = run(binary, *arguments, "--device", "cuda")
    if gpu is None:
        return f"cuda: {why}"
    cpu, why = run(binary, *arguments, "--device", "cpu")
    if cpu is None:
        return f"cpu: {why}"
    for key in ("result_hash", "instructions", "exits"):
        if gpu[key] != cpu[key]:
            return f"{key} differs: {gpu[key]} on cuda, {cpu[key]} on cpu"
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("warphive", type=lambda path: str(pathlib.Path(path).resolve()))
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--only", nargs="*", default=["check", "spec", "speed", "scale"])
    options = parser.parse_args()
    binary, guests = options.warphive, options.folder / "guests"
    failed = 0
    report = {"devices": subprocess.run([binary, "devices"], capture_output=True, text=True).stdout, "check": {}, "speed": []}
    print(report["devices"], flush=True)

    if "check" in options.only:
        for name, size, _, _ in PROGRAMS:
            for count, extra in [(1, ()), (33, ()), (3_000, ()), (1_000, ("--fuel", "5000", "--memory-hash"))]:
                why = compare(binary, guests, name, size, count, extra)
                report["check"][f"{name} x {count} {' '.join(extra)}"] = why or "equal"
                if why:
                    failed += 1
                    print(f"FAIL {name} x {count} {extra}: {why}", flush=True)
            print(f"checked {name}", flush=True)

    if "spec" in options.only:
        files = sorted(str(path) for path in (options.folder / "spec").glob("*.json"))
        started = time.monotonic()
        try:
            done = subprocess.run([binary, "spec", "--executor", "interp.cuda", "--expected-failures",
                                   str(options.folder / "expected_failures" / "interp.cpu.txt"), *files],
                                  capture_output=True, text=True, timeout=300)
            tail = (done.stdout + done.stderr).strip().splitlines()[-15:]
        except subprocess.TimeoutExpired as late:
            tail = ["no end within 300 s", *(late.stdout or b"").decode().strip().splitlines()[-15:]]
        report["spec"] = {"seconds": time.monotonic() - started, "tail": tail}
        print("spec:", *tail, sep="\n  ", flush=True)

    if "speed" in options.only:
        print(f"{'program':10} {'GPU Ginsn/s':>12} {'CPU jit Ginsn/s':>16} {'CPU interp':>12} {'GPU/jit':>8}")
        for name, size, many, few in PROGRAMS:
            row = {"program": name, "size": size}
            for label, count, extra in [("gpu", many, ("--device", "cuda")),
                                        ("cpu_jit", few, ("--device", "cpu", "--tier", "jit")),
                                        ("cpu_interp", few, ("--device", "cpu", "--tier", "interp"))]:
                result, why = run(binary, guests / f"{name}.wasm", "--invoke", "run", "--args-from", f"1..{count}", "--args", size, *extra)
                row[label] = {"why": why} if result is None else {
                    "instances": count, "run": result["seconds"]["run"], "spawn": result["seconds"]["spawn"],
                    "harvest": result["seconds"]["harvest"], "load": result["seconds"]["load"], "wall": result["wall"],
                    "instructions": result["instructions"],
                    "rate": result["instructions"] / result["seconds"]["run"] / 1e9}
            report["speed"].append(row)
            rates = [row[label].get("rate", 0) for label in ("gpu", "cpu_jit", "cpu_interp")]
            print(f"{name:10} {rates[0]:12.2f} {rates[1]:16.2f} {rates[2]:12.2f} {rates[0] / rates[1] if rates[1] else 0:8.2f}"
                  f"   spawn {row['gpu'].get('spawn', 0):.3f} run {row['gpu'].get('run', 0):.4f} harvest {row['gpu'].get('harvest', 0):.4f} "
                  f"{row['gpu'].get('why', '')}", flush=True)
    if "scale" in options.only:
        report["scale"] = scale(binary, guests)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "device.json").write_text(json.dumps(report, indent=1))
    print(f"{failed} differences", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
