#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs bench/peers/nvcc_peer.cu and the same programs in Warphive: results must be equal, then times.

usage: check_nvcc_peer.py WARPHIVE GUESTS_DIR [--count 300] [--device cpu|cuda] [--peer NVCC_PEER] [--json FILE]

Without --peer, clang++-19 compiles the peer for the CPU. With a peer that nvcc has compiled, a line for each program
says how long both took; Warphive's is the last of 8 runs, compiled and metered.
"""
import argparse
import array
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

SOURCE = pathlib.Path(__file__).resolve().parent / "peers" / "nvcc_peer.cu"
INEXACT = "mandel_fma"


def warphive(options, name, size):
    command = [options.warphive, "run", options.guests / f"{name}.wasm", "--invoke", "run", "--args-from", f"1..{options.count}",
               "--args", size, "--device", options.device, "--tier", "jit", "--format", "json",
               *(("--repeat", 8) if options.device != "cpu" else ())]
    report = json.loads(subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, check=True).stdout)
    return [row["values"][0] for row in report["results"]], report["seconds"]["run"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("warphive", type=lambda path: pathlib.Path(path).resolve())
    parser.add_argument("guests", type=pathlib.Path)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--peer", type=lambda path: pathlib.Path(path).resolve())
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    failed, rows, runs = 0, [], {}
    with tempfile.TemporaryDirectory() as folder:
        peer = options.peer or pathlib.Path(folder, "peer")
        if options.peer is None:
            subprocess.run(["clang++-19", "-x", "c++", "-std=c++17", "-O2", "-ffp-contract=off", "-Wall", "-Wextra", "-Wconversion",
                            "-Werror", "-fsanitize=address,undefined", "-o", peer, SOURCE], check=True)
        command = [peer, "--count", str(options.count), "--results", folder]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        failed += done.returncode != 0
        for row in map(json.loads, done.stdout.splitlines()):
            name = row["name"].split("_")[0]
            if name not in runs:
                runs[name] = warphive(options, name, row["size"])
            expected, seconds = runs[name]
            results = array.array("i", pathlib.Path(folder, row["name"] + ".i32").read_bytes())
            row["differ"] = sum(got != wanted for got, wanted in zip(results, expected, strict=True))
            if "seconds" in row:
                row |= {"warphive": seconds, "over_peer": round(seconds / row["seconds"], 3),
                        "over_plain": round(seconds / row["plain_seconds"], 3)}
            failed += row["differ"] != 0 and row["name"] != INEXACT
            rows.append(row)
            print(json.dumps(row), flush=True)
    exact = [row for row in rows if "seconds" in row and row["name"] != INEXACT]
    if len(exact) >= len(runs) == 9:
        first = {name: next(row for row in exact if row["name"] == name) for name in runs}
        fastest = {name: min((row for row in exact if row["name"].split("_")[0] == name), key=lambda row: row["seconds"]) for name in runs}
        rows.append({"geometric mean of nine": "warphive's seconds over the peer's", **{
            what: round(statistics.geometric_mean(row[key] for row in chosen.values()), 3)
            for what, chosen, key in (("plain", first, "over_plain"), ("fastest setting", first, "over_peer"),
                                      ("fastest setting and form", fastest, "over_peer"))}})
        print(json.dumps(rows[-1]))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))
    print(f"{len(runs)} programs, {failed} failures")
    return 1 if failed or len(runs) != 9 else 0


if __name__ == "__main__":
    sys.exit(main())
