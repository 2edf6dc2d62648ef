#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Interpreter on one core: Warphive, wasm3 and wasmtime's Pulley, same modules, same run.

usage: interp_peers.py WARPHIVE GUESTS_DIR [--json FILE] [--repeat N] [--only NAME]

Every program exports `run`; each engine calls it with the same arguments, the rounds interleaved so
that drift of the machine hits all alike. Results must be equal. The figure is the best of the
rounds; wasm3 and Pulley run unmetered, Warphive metered (column `off`: --metering off).
"""

import argparse
import json
import math
import pathlib
import subprocess
import sys
import time

# (n, calls): run(1, n) … run(calls, n), together some 0.1 to 0.5 s on a 2.4 GHz core.
PROGRAMS = {
    "alu": (2_000_000, 4),
    "collatz": (20_000, 4),
    "fibr": (25, 8),
    "mandel": (60, 8),
    "queens": (9, 24),
    "lev": (500, 16),
    "sort": (8_000, 16),
    "sieve": (60_000, 64),
    "sha": (1_000, 16),
    "coremark_like": (40, 4),
    "json": (60, 8),
}


def warphive(binary, wasm, n, calls, metering):
    command = [binary, "run", str(wasm), "--invoke", "run", "--args-from", f"1..{calls}", "--args", str(n)]
    command += ["--threads", "1", "--tier", "interp", "--device", "cpu", "--format", "json", "--metering", metering, "--quiet", "--progress", "none"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    report = json.loads(done.stdout)
    values = [int(result["values"][0]) for result in report["results"]]
    return report["seconds"]["run"], values, report.get("instructions")


class Wasm3:
    def __init__(self, data):
        import wasm3

        environment = wasm3.Environment()
        self.runtime = environment.new_runtime(1 << 20)
        self.environment = environment
        module = environment.parse_module(data)
        self.runtime.load(module)
        self.run = self.runtime.find_function("run")

    def call(self, n, calls):
        start = time.perf_counter()
        values = [self.run(seed, n) for seed in range(1, calls + 1)]
        return time.perf_counter() - start, values


class Pulley:
    def __init__(self, data):
        import wasmtime

        config = wasmtime.Config()
        config.target = "pulley64"
        self.store = wasmtime.Store(wasmtime.Engine(config))
        instance = wasmtime.Instance(self.store, wasmtime.Module(self.store.engine, data), [])
        self.run = instance.exports(self.store)["run"]

    def call(self, n, calls):
        start = time.perf_counter()
        values = [self.run(self.store, seed, n) for seed in range(1, calls + 1)]
        return time.perf_counter() - start, values


def geomean(values):
    return math.exp(sum(math.log(v) for v in values) / len(values)) if values else float("nan")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("warphive")
    parser.add_argument("guests", type=pathlib.Path)
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--only")
    options = parser.parse_args()

    rows = []
    for name, (n, calls) in PROGRAMS.items():
        wasm = options.guests / f"{name}.wasm"
        if (options.only and options.only != name) or not wasm.exists():
            continue
        data = wasm.read_bytes()
        peers = {}
        for peer in (Wasm3, Pulley):
            try:
                peers[peer.__name__.lower()] = peer(data)
            except Exception as problem:  # a peer that is absent or refuses the module is reported, not hidden
                print(f"{name}: {peer.__name__.lower()} does not run it: {problem}", file=sys.stderr)
        best = {}
        values = {}
        instructions = None
        for _ in range(options.repeat):
            for metering, key in (("on", "warphive"), ("off", "off")):
                seconds, value, count = warphive(options.warphive, wasm, n, calls, metering)
                best[key] = min(best.get(key, seconds), seconds)
                values[key] = value
                instructions = count if metering == "on" else instructions
            for key, peer in peers.items():
                seconds, value = peer.call(n, calls)
                best[key] = min(best.get(key, seconds), seconds)
                # State of the peers' instance persists between calls: `run` must not depend on it.
                values[key] = value
        for key, value in values.items():
            if [v & 0xFFFFFFFF for v in value] != [v & 0xFFFFFFFF for v in values["warphive"]]:
                sys.exit(f"{name}: {key} says {value}, warphive says {values['warphive']}")
        rows.append({"program": name, "n": n, "calls": calls, "instructions": instructions, "seconds": best})

    print(f"{'program':14} {'ns/instr':>8} {'warphive s':>10} {'off':>7} {'wasm3':>7} {'pulley':>7}  wasm3/warphive pulley/warphive on/off")
    for row in rows:
        s = row["seconds"]
        ratio = lambda key: f"{s[key] / s['warphive']:14.2f}" if key in s else " " * 14
        print(
            f"{row['program']:14} {1e9 * s['warphive'] / row['instructions']:8.2f} {s['warphive']:10.3f} {s['off']:7.3f} "
            f"{s.get('wasm3', float('nan')):7.3f} {s.get('pulley', float('nan')):7.3f} {ratio('wasm3')} {ratio('pulley')} "
            f"{s['warphive'] / s['off']:6.2f}"
        )
    summary = {
        key: geomean([r["seconds"][key] / r["seconds"]["warphive"] for r in rows if key in r["seconds"]])
        for key in ("wasm3", "pulley")
    }
    summary["metered_over_unmetered"] = geomean([r["seconds"]["warphive"] / r["seconds"]["off"] for r in rows])
    summary["ns_per_guest_instruction"] = geomean([1e9 * r["seconds"]["warphive"] / r["instructions"] for r in rows])
    print("geometric mean: " + ", ".join(f"{k} {v:.2f}" for k, v in summary.items()))
    if options.json:
        options.json.write_text(json.dumps({"rows": rows, "geomean": summary}, indent=1) + "\n")


if __name__ == "__main__":
    main()
