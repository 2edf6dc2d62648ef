#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs every guest program and compares with the same source built for the host.

usage: check_programs.py WARPHIVE GUESTS_DIR [DEVICE]

With a device, only the programs that make host calls, there.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

SIZES = {
    "alu": (0, 1, 10_000),
    "collatz": (0, 1, 500),
    "fibr": (0, 1, 18),
    "mandel": (1, 2, 24),
    "queens": (1, 4, 7),
    "lev": (0, 1, 200),
    "sort": (0, 1, 2, 1_000),
    "sieve": (0, 3, 60_000),
    "sha": (0, 1, 20),
    "tiny": (0, 17, 255),
    "lanes": (0, 1, 30),
    "coremark_like": (0, 1, 4),
    "json": (0, 1, 12),
    "text": (0, 1, 40),
}
SEEDS = 12
failures = 0


def check(what, got, expected):
    global failures
    if got != expected:
        failures += 1
        print(f"FAIL {what}: got {got!r}, expected {expected!r}")


def run(binary, *arguments, **more):
    return subprocess.run([binary, "run", *map(str, arguments)], capture_output=True, text=True, **more)


def check_computing(warphive, guests):
    for name, sizes in SIZES.items():
        for n in sizes:
            pairs = [str(v) for seed in range(1, SEEDS + 1) for v in (seed, n)]
            expected = [int(v) for v in subprocess.run([guests / "host" / name, *pairs], capture_output=True, text=True,
                                                       check=True).stdout.split()]
            done = run(warphive, guests / f"{name}.wasm", "--invoke", "run", "--args-from", f"1..{SEEDS}", "--args", n,
                       "--format", "json")
            if done.returncode != 0:
                check(f"{name} n={n}", done.stderr, "exit status 0")
                continue
            check(f"{name} n={n}", [r["values"][0] for r in json.loads(done.stdout)["results"]], expected)


def check_host_calls(warphive, guests, device):
    hello = run(warphive, *device, guests / "hello.wasm", "--env", "AGENT=7", "--", "one", "two words")
    check("hello", (hello.returncode, hello.stdout),
          (0, "hello from 2 arguments\n1: one\n2: two words\nagent 7\n"))
    fail = run(warphive, *device, guests / "hello.wasm", "--", "fail")
    check("hello fail", (fail.returncode, fail.stdout, "failing as asked" in fail.stderr),
          (3, "hello from 1 arguments\n1: fail\n", True))
    many = run(warphive, *device, guests / "hello.wasm", "-n", 100, "--format", "json", "--env", "AGENT={id}")
    check("hello -n 100", [r["stdout"] for r in json.loads(many.stdout)["results"]],
          [f"hello from 0 arguments\nagent {i}\n" for i in range(100)])

    with tempfile.TemporaryDirectory() as folder:
        text = "".join(f"line {i} of a file\n" for i in range(500))
        pathlib.Path(folder, "notes.txt").write_text(text)
        cat = run(warphive, *device, guests / "cat.wasm", "--dir", f"{folder}::/data", "--", "/data/notes.txt")
        check("cat", (cat.returncode, cat.stdout == text, "500 lines, 2500 words" in cat.stderr), (0, True, True))
        missing = run(warphive, *device, guests / "cat.wasm", "--dir", f"{folder}::/data", "--", "/data/none.txt")
        check("cat missing", (missing.returncode, "No such file" in missing.stderr), (1, True))
        escape = run(warphive, *device, guests / "cat.wasm", "--dir", f"{folder}::/data", "--", "/data/../../../etc/passwd")
        check("cat escape", (escape.returncode, escape.stdout), (1, ""))
    piped = run(warphive, *device, guests / "cat.wasm", "--memory-pages", 20, input="from a pipe\n")
    check("cat stdin", (piped.returncode, piped.stdout), (0, "from a pipe\n"))


def main():
    warphive, guests = sys.argv[1], pathlib.Path(sys.argv[2])
    device = ["--device", sys.argv[3]] if len(sys.argv) > 3 else []
    if not device:
        check_computing(warphive, guests)
    check_host_calls(warphive, guests, device)
    print(f"{len(SIZES)} programs with `run`, hello and cat: {failures} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
