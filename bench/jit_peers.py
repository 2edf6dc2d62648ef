#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The compiled tier on one core: Warphive and wasmtime's Cranelift, with and without metering, and the
same C compiled natively, in the same run.

usage: jit_peers.py WARPHIVE GUESTS_DIR [--json FILE] [--repeat N] [--only NAME] [--sources DIR]

With --sources (tests/programs) the same C, compiled by clang-19 -O2 (or in libraries beside it), runs too; where there is a node, V8's
TurboFan does, which counts no fuel. Programs and arguments are those of interp_peers.py, more calls of each; compile time is
not counted. Results must be equal. Figures are the best of the rounds, which are interleaved.
"""

import argparse
import ctypes
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

from interp_peers import PROGRAMS, geomean

SCALE = 20  # times as many calls as interp_peers.py makes of each


def warphive(binary, wasm, n, calls, metering):
    command = [binary, "run", str(wasm), "--invoke", "run", "--args-from", f"1..{calls}", "--args", str(n), "--tier", "jit", "--device", "cpu"]
    command += ["--threads", "1", "--format", "json", "--metering", metering, "--quiet", "--progress", "none"]
    report = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return report["seconds"]["run"], [int(result["values"][0]) for result in report["results"]]


class Wasmtime:
    def __init__(self, data, fuel):
        import wasmtime

        config = wasmtime.Config()
        config.consume_fuel = fuel
        self.fuel = fuel
        self.store = wasmtime.Store(wasmtime.Engine(config))
        module = wasmtime.Module(self.store.engine, data)
        if fuel:
            self.store.set_fuel(1 << 62)
        self.run = wasmtime.Instance(self.store, module, []).exports(self.store)["run"]

    def call(self, n, calls):
        start = time.perf_counter()
        values = [self.run(self.store, seed, n) for seed in range(1, calls + 1)]
        return time.perf_counter() - start, values


class Native:
    def __init__(self, source, folder):
        library = source.with_suffix(".so")
        if not library.exists():
            library = pathlib.Path(folder, source.stem + ".so")
            subprocess.run(["clang-19", "-O2", "-ffp-contract=off", "-Wno-unknown-attributes", "-shared", "-fPIC", source, "-o", library, "-lm"],
                           check=True, stderr=subprocess.DEVNULL)
        self.run = ctypes.CDLL(str(library)).run
        self.run.argtypes = [ctypes.c_int32, ctypes.c_int32]

    def call(self, n, calls):
        start = time.perf_counter()
        values = [self.run(seed, n) for seed in range(1, calls + 1)]
        return time.perf_counter() - start, values


def v8(wasm, n, calls):
    script = f"""
      const module = new WebAssembly.Module(require('fs').readFileSync('{wasm}'));
      const run = new WebAssembly.Instance(module, {{}}).exports.run;
      run(1, 1);
      const values = [];
      const start = process.hrtime.bigint();
      for (let seed = 1; seed <= {calls}; ++seed) values.push(run(seed, {n}));
      const seconds = Number(process.hrtime.bigint() - start) / 1e9;
      console.log(JSON.stringify([seconds, values]));"""
    command = ["node", "--no-liftoff", "--no-wasm-tier-up", "--no-wasm-lazy-compilation", "-e", script]
    return tuple(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("warphive")
    parser.add_argument("guests", type=pathlib.Path)
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--only")
    parser.add_argument("--sources", type=pathlib.Path)
    options = parser.parse_args()
    rows = []
    folder = tempfile.TemporaryDirectory()
    print(f"{'program':14} {'metered':>9} {'unmetered':>9} {'wasmtime':>9} {'+ fuel':>9} {'v8':>9} {'native':>9} s   unmetered/wasmtime  metered/wasmtime  "
          "metered/+fuel  metering cost  metered/v8  unmetered/native")
    for name, (n, calls) in PROGRAMS.items():
        wasm = options.guests / f"{name}.wasm"
        if (options.only and options.only != name) or not wasm.exists():
            continue
        calls *= SCALE
        data = wasm.read_bytes()
        plain, fuelled = Wasmtime(data, False), Wasmtime(data, True)
        best, values = {}, {}
        runs = [
            ("metered", lambda: warphive(options.warphive, wasm, n, calls, "on")),
            ("unmetered", lambda: warphive(options.warphive, wasm, n, calls, "off")),
            ("wasmtime", lambda: plain.call(n, calls)),
            ("wasmtime_fuel", lambda: fuelled.call(n, calls)),
        ]
        if shutil.which("node"):
            runs.append(("v8", lambda: v8(wasm, n, calls)))
        if options.sources:
            native = Native(options.sources / f"{name}.c", folder.name)
            runs.append(("native", lambda: native.call(n, calls)))
        for _ in range(options.repeat):
            for key, run in runs:
                seconds, value = run()
                best[key] = min(best.get(key, seconds), seconds)
                values[key] = [v & 0xFFFFFFFF for v in value]
        for key, value in values.items():
            if value != values["wasmtime"]:
                sys.exit(f"{name}: {key} says {value}, wasmtime says {values['wasmtime']}")
        ratios = {
            "unmetered": best["wasmtime"] / best["unmetered"],
            "metered": best["wasmtime"] / best["metered"],
            "fuel": best["wasmtime_fuel"] / best["metered"],
            "cost": best["metered"] / best["unmetered"],
        }
        if "v8" in best:
            ratios["v8"] = best["v8"] / best["metered"]
        if options.sources:
            ratios["native"] = best["native"] / best["unmetered"]
        rows.append({"program": name, "n": n, "calls": calls, "seconds": best, "ratios": ratios})
        print(
            f"{name:14} {best['metered']:9.4f} {best['unmetered']:9.4f} {best['wasmtime']:9.4f} {best['wasmtime_fuel']:9.4f} {best.get('v8', 0):9.4f} "
            f"{best.get('native', 0):9.4f}"
            f"     {ratios['unmetered']:17.2f} {ratios['metered']:17.2f} {ratios['fuel']:14.2f} {ratios['cost']:14.2f} {ratios.get('v8', 0):11.2f} "
            f"{ratios.get('native', 0):17.2f}",
            flush=True,
        )
    means = {key: geomean([row["ratios"][key] for row in rows]) for key in rows[0]["ratios"]}
    print(f"{'geometric mean':78} {means['unmetered']:17.2f} {means['metered']:17.2f} {means['fuel']:14.2f} {means['cost']:14.2f} "
          f"{means.get('v8', 0):11.2f} {means.get('native', 0):17.2f}")
    if options.json:
        options.json.write_text(json.dumps({"rows": rows, "geometric_means": means}, indent=1) + "\n")


if __name__ == "__main__":
    main()
