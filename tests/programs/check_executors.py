#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs every guest program with `run` on every executor, also those that the command does not offer, and
compares results with the host build, and memory and instruction counts with each other.

usage: check_executors.py DIFF_TOOL GUESTS_DIR WORK_DIR
"""

import json
import pathlib
import subprocess
import sys

SIZES = {
    "alu": (0, 2_000),
    "collatz": (1, 100),
    "fibr": (1, 14),
    "mandel": (1, 12),
    "queens": (1, 6),
    "lev": (1, 60),
    "sort": (2, 300),
    "sieve": (3, 5_000),
    "sha": (0, 4),
    "lanes": (0, 3),
    "coremark_like": (1, 2),
    "json": (1, 4),
    "text": (1, 10),
}
SEEDS = (1, 2, 0x7FFFFFFF)
EXECUTORS = ("ref", "interp.cpu", "interp.loop", "jit.sim")
# Not on jit.sim, which compiles them anew for each call: seconds each.
LARGE = ("json", "text")
EMPTY_MODULE = b"\0asm\1\0\0\0"


def main():
    tool, guests, work = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    work.mkdir(parents=True, exist_ok=True)
    support = work / "empty.wasm"
    support.write_bytes(EMPTY_MODULE)
    failures = 0
    for name, sizes in SIZES.items():
        pairs = [(seed, n) for n in sizes for seed in SEEDS]
        host = subprocess.run([guests / "host" / name, *(str(v) for pair in pairs for v in pair)], capture_output=True,
                              text=True, check=True).stdout.split()
        executors = EXECUTORS[:-1] if name in LARGE else EXECUTORS
        for (seed, n), expected in zip(pairs, host):
            command = [tool, "--executors", ",".join(executors), "--fuel", str(1 << 40), "--support", support,
                       "--values", f"i32={seed:x},{n:x}", "--vectors", "1", "--", guests / f"{name}.wasm"]
            done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
            if done.returncode != 0:
                failures += 1
                print(f"FAIL {name}({seed}, {n}): diff_tool ended with {done.returncode}: {done.stderr.strip()}")
                continue
            got = json.loads(done.stdout)["executors"]
            bits = int(expected) & 0xFFFFFFFF
            for executor in executors:
                calls = {call[0]: call[2] for call in got[executor].get("calls", [])}
                if calls.get("run") != f"returned i32:{bits:x}":
                    failures += 1
                    print(f"FAIL {name}({seed}, {n}) on {executor}: {calls.get('run', got[executor])}, expected {bits:x}")
                elif got[executor] != got[EXECUTORS[0]]:
                    failures += 1
                    print(f"FAIL {name}({seed}, {n}): {executor} {got[executor]} | {EXECUTORS[0]} {got[EXECUTORS[0]]}")
    print(f"{len(SIZES)} programs on {', '.join(EXECUTORS)}: {failures} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
