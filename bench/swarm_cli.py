#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a user of the command line gets: parallel efficiency, rates per instance, peak memory, start time.

usage: swarm_cli.py WARPHIVE GUESTS_DIR [--json FILE] [--peer WASMTIME_PEER --library LIBWASMTIME.so]

With a peer, fresh instances of the tiny module also run on wasmtime: all cores, pooling allocator,
copy-on-write images, pre-linked, one store and instance per call (bench/peers/wasmtime_peer.cpp).
"""

import argparse
import json
import os
import pathlib
import subprocess
import tempfile

import measure


def run(binary, *arguments):
    done = measure.run([binary, *arguments])
    if done.status != 0:
        raise SystemExit(f"{arguments}: exit status {done.status}\n{done.errors.decode()}")
    return json.loads(done.output) if done.output.strip().startswith(b"{") else None, done.seconds, done.peak_mib


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("warphive")
    parser.add_argument("guests", type=pathlib.Path)
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--peer")
    parser.add_argument("--library")
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    report = {"cores": cores}
    common = ["--device", "cpu", "--format", "json", "--results", "hash", "--quiet", "--progress", "none"]

    print(f"parallel efficiency: 256 instances, 1 thread and {cores} threads, best of 3")
    report["efficiency"] = {}
    for name, n in (("alu", 400_000), ("sieve", 60_000), ("queens", 8), ("sha", 1_000)):
        wasm = options.guests / f"{name}.wasm"
        best = {}
        for _ in range(3):
            for threads in (1, cores):
                result, _, _ = run(options.warphive, "run", wasm, "--invoke", "run", "--args-from", "1..256", "--args", n,
                                   "--threads", threads, "--tier", "interp", *common)
                best[threads] = min(best.get(threads, 1e9), result["seconds"]["run"])
        efficiency = best[1] / best[cores] / cores
        report["efficiency"][name] = efficiency
        print(f"  {name:8} {best[1]:.3f} s -> {best[cores]:.3f} s, efficiency {efficiency:.3f}")

    wat = '(module (memory 1 1) (data (i32.const 0) "%s") (func (export "run") (param i32) (result i32) local.get 0))'
    with tempfile.TemporaryDirectory() as folder:
        text = pathlib.Path(folder, "tiny.wat")
        text.write_text(wat % ("x" * 256))
        tiny = pathlib.Path(folder, "tiny.wasm")
        subprocess.run(["wat2wasm", text, "-o", tiny], check=True)
        print("fresh instances of one page with 256 bytes of data, tiny call: first with memory that the system must find, then\n"
              "with memory at hand (each instance reset), as the peer's pool has it")
        report["fresh"] = []
        for n in (1, 1_000, 10_000, 100_000, 1_000_000):
            row = {"instances": n}
            for label, repeat in (("first", ()), ("steady", ("--repeat", 5))):
                result, wall, peak = run(options.warphive, "run", tiny, "--invoke", "run", "--args-from", f"1..{n}", *repeat, *common)
                s = result["seconds"]
                ours = s["spawn"] + s["run"] + s["harvest"]
                row[label] = {"seconds": s, "each_us": 1e6 * ours / n, "wall": wall, "peak_mib": peak}
                print(f"  {n:8} {label:6} spawn {1e6 * s['spawn'] / n:8.3f} us, run {1e6 * s['run'] / n:8.3f} us, harvest "
                      f"{1e6 * s['harvest'] / n:8.3f} us each; process {wall:.3f} s, peak {peak:.0f} MiB")
            report["fresh"].append(row)
            if options.peer and options.library and n >= 10_000:
                for label, fuel in (("wasmtime", ()), ("wasmtime_fuel", ("--fuel",))):
                    text = subprocess.run([options.peer, options.library, tiny, "--count", str(n), "--mode", "fresh", *fuel],
                                          capture_output=True, text=True, check=True).stdout
                    each = 1e6 * json.loads(text)["seconds"] / n
                    row[label] = {"each_us": each}
                    print(f"           {label} {each:.3f} us each on {cores} cores: {each / row['first']['each_us']:.2f} times ours first, "
                          f"{each / row['steady']['each_us']:.2f} times ours steady")
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
