#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""PTX of the guest programs and of random ones: what must not be in it is not, units are bounded, and with ptxas every unit assembles
for sm_75 and sm_90 as relocatable code without YIELD and, with nvlink, links with the helpers to a kernel.

usage: check_ptx.py WARPHIVE GUESTS_DIR HELPERS_PTX WORK_DIR [--figures] [--random PROGRAM] [NAME…]

Exit status 77: all that was checked is right, but there is no ptxas.
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

import machine_code
import ptxas as tools

ARCHITECTURES = ("sm_75", "sm_90")
REGISTERS = 64
MOST_BYTES = 1 << 20
RANDOM_PROGRAMS = 30
LINKED_PROGRAMS = 40  # the guests and some of the others
# Programs of which all functions are compiled to PTX.
WHOLE = ("alu", "collatz", "fibr", "mandel", "queens", "lev", "sort", "sieve", "sha", "coremark_like", "json")
FORBIDDEN = (
    r"\.target (?!sm_70\n)",
    r"\b(?:ld|st)(?:\.volatile)?\.[busfv]",  # generic addresses
    r"\.(?:approx|ftz|full)\b",
    r"\bfma\.|\bmad\.rn",
    r"\b(?:ld|st)\.global\.v\d",
    r"lane\.[a-z]",
    r"\bcall[^;]*\b(?:mem(?:cpy|set|move)|__[a-z]+)\b",
)


def run(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def assemble(assembler, source, target, architecture):
    start = time.perf_counter()
    text = run([assembler, f"-arch={architecture}", "-c", f"-maxrregcount={REGISTERS}", "-v", source, "-o", target])
    return time.perf_counter() - start, text


def check_text(name, units):
    for i, unit in enumerate(units):
        if len(unit) > MOST_BYTES:
            yield f"{name}: unit {i} has {len(unit)} bytes"
        for pattern in FORBIDDEN:
            found = re.search(pattern, unit)
            if found:
                yield f"{name}: unit {i} has {found.group(0)!r}"


def called(units):
    """What code of the units calls by name."""
    return {symbol for unit in units for symbol in re.findall(r"\bcall(?:\.uni)?\s*(?:\([^)]*\),\s*)?([A-Za-z]\w*),", unit.read_text())}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("warphive")
    parser.add_argument("guests", type=pathlib.Path)
    parser.add_argument("helpers", type=pathlib.Path)
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--figures", action="store_true")
    parser.add_argument("--random", help="the program that writes PTX of random programs")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    assembler, linker = tools.find("ptxas"), tools.find("nvlink")
    failures = []
    units = {}
    for path in sorted(options.guests.glob("*.wasm")):
        name = path.stem
        if options.names and name not in options.names:
            continue
        text = run([options.warphive, "inspect", path, "--ptx"])
        parts = re.split(r"^// unit \d+ of \d+\n", text, flags=re.MULTILINE)[1:]
        left = re.findall(r"^// interpreted: (.*)$", text, flags=re.MULTILINE)
        if name in WHOLE and left:
            failures.append(f"{name}: {left[0]}")
        failures += check_text(name, parts)
        units[name] = []
        for i, part in enumerate(parts):
            target = options.work / f"{name}.{i}.ptx"
            target.write_text(part)
            units[name].append(target)
    if options.random:
        folder = options.work / "random"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        run([options.random, folder, str(RANDOM_PROGRAMS)])
        for path in sorted(folder.glob("*.0.ptx"), key=lambda path: int(path.name.split(".")[0].removeprefix("random"))):
            name = path.name.split(".")[0]
            units[name] = sorted(folder.glob(f"{name}.*.ptx"))
            failures += check_text(name, [unit.read_text() for unit in units[name]])
    if len(units) == 0:
        failures.append(f"there are no guests in {options.guests}")
    for failure in failures:
        print(f"FAIL {failure}")
    if failures:
        return 1
    if assembler is None:
        print("SKIPPED: ptxas is not here (./dev setup installs nvidia-cuda-nvcc): nothing was assembled")
        return 77

    print(run([assembler, "--version"]).splitlines()[-2])
    jobs = [(source, source.with_suffix(f".{arch}.cubin"), arch)
            for source in [options.helpers, *(unit for parts in units.values() for unit in parts)] for arch in ARCHITECTURES]
    jobs = [(source, options.work / target.name, arch) for source, target, arch in jobs]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        done = list(pool.map(lambda job: assemble(assembler, *job), jobs))
    for source, target, arch in jobs:
        for function in machine_code.yielding(target.read_bytes()):
            print(f"FAIL {source.name}: {function} yields on {arch}: the lanes of a warp would not meet again")
            failures.append(function)
    if failures:
        return 1
    if options.figures:
        print(f"{'program':14} {'units':>5} {'PTX bytes':>10} {'largest':>8} {'ptxas s':>8}")
        for name, parts in units.items():
            sizes = [part.stat().st_size for part in parts]
            seconds = sum(taken for (source, _, arch), (taken, _) in zip(jobs, done) if source in parts and arch == "sm_90")
            print(f"{name:14} {len(parts):5} {sum(sizes):10} {max(sizes):8} {seconds:8.2f}")
    if linker is not None:
        for name, parts in list(units.items())[:LINKED_PROGRAMS]:
            for arch in ARCHITECTURES:
                objects = [options.work / source.with_suffix(f".{arch}.cubin").name for source in [*parts, options.helpers]]
                text = run([linker, f"-arch={arch}", "-v", *objects, "-o", options.work / f"{name}.{arch}.linked"])
                if "warphive_run" not in text:
                    print(f"FAIL {name}: the linked program has no kernel: {text}")
                    return 1
                linked = (options.work / f"{name}.{arch}.linked").read_bytes()
                for symbol in called(parts):
                    if linked.count(b"\0.text." + symbol.encode() + b"\0") == 0:
                        print(f"FAIL {name}: the linker dropped {symbol}")
                        return 1
                if options.figures and arch == "sm_90":
                    print(f"{name:14} {' '.join(line.split(':', 1)[-1].strip() for line in text.splitlines() if 'registers' in line)}")
    print(f"{len(jobs)} units assembled{'' if linker is None else f', {min(len(units), LINKED_PROGRAMS) * len(ARCHITECTURES)} programs linked'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
