#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs programs on a CUDA device and on all CPU cores: equal results first, then rates.

usage: device_suite.py WARPHIVE FOLDER OUT [--only check isolation spec speed few auto scale rounds] [--rounds OPTION…]
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import signal
import statistics
import subprocess
import sys
import time

# name, second argument, instances on the GPU, on the CPU
PROGRAMS = [
    ("alu", 200_000, 131_072, 32_768),
    ("collatz", 2_000, 131_072, 32_768),
    ("fibr", 20, 131_072, 32_768),
    ("mandel", 24, 131_072, 32_768),
    ("queens", 6, 131_072, 32_768),
    ("lev", 60, 131_072, 32_768),
    ("sort", 1_000, 131_072, 32_768),
    ("sieve", 10_000, 131_072, 32_768),
    ("sha", 32, 131_072, 32_768),
    ("coremark_like", 2, 131_072, 16_384),
    ("json", 2, 65_536, 4_096),
]
# label, whether on the GPU, options
KINDS = [
    ("gpu_jit", True, ("--device", "cuda", "--tier", "jit")),
    ("gpu_interp", True, ("--device", "cuda", "--tier", "interp")),
    ("cpu_jit", False, ("--device", "cpu", "--tier", "jit")),
]
# Options of bench/peers/wasmtime_peer.cpp; all on all cores.
PEERS = [
    ("wasmtime", ("--mode", "reuse")),
    ("wasmtime_fuel", ("--mode", "reuse", "--fuel")),
    ("wasmtime_fresh", ("--mode", "fresh")),
    ("wasmtime_fresh_fuel", ("--mode", "fresh", "--fuel")),
]


def peer(folder, name, size, count, extra):
    """Calls by wasmtime, where the package has it."""
    if not (folder / "wasmtime_peer").exists():
        return {"why": "the package has no wasmtime"}
    command = [folder / "wasmtime_peer", folder / "_libwasmtime.so", folder / "guests" / f"{name}.wasm", "--from", "1", "--count", str(count),
               "--arg", str(size), *extra]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.returncode != 0:
        return {"why": done.stderr.strip()}
    report = json.loads(done.stdout)
    return {"instances": count, "run": report["seconds"]}


def ratio(ours, theirs):
    return round(ours / theirs, 3) if theirs else None


def end_to_end(row):
    seconds = sum(row.get(key, 0) for key in ("spawn", "run", "harvest"))
    return row["instances"] / seconds if seconds else 0


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
    for name, size, tier in [("alu", 20_000, "interp"), ("alu", 200_000, "jit"), ("sieve", 10_000, "jit")]:
        for count in [10**power for power in range(7)]:
            result, why = run(binary, guests / f"{name}.wasm", "--invoke", "run", "--args-from", f"1..{count}", "--args", size,
                              "--device", "cuda", "--tier", tier)
            row = {"program": name, "tier": tier, "instances": count, "why": why}
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
    # More than fit at once: in waves, and refused where all must exist.
    command = (guests / "sieve.wasm", "--invoke", "run", "--args-from", "1..3000000", "--args", 10, "--device", "cuda")
    for extra in ((), ("--memory-hash",)):
        result, why = run(binary, *command, *extra)
        rows.append({"more than fit": 3_000_000, "options": extra, "why": why, "seconds": result and result["seconds"]})
        print(rows[-1], flush=True)
    return rows


def few_instances(binary, folder):
    """One and 1,024 instances, the latter beside wasmtime on all cores; and what counting instructions costs."""
    rows = []
    for name, size, many, _ in PROGRAMS:
        row = {"program": name}
        for label, count, extra in (("one", 1, ()), ("1024", 1024, ()), ("metered", many, ()), ("unmetered", many, ("--metering", "off"))):
            arguments = (folder / "guests" / f"{name}.wasm", "--invoke", "run", "--args-from", f"1..{count}", "--args", size, "--device", "cuda",
                         "--tier", "jit", "--repeat", 6, *extra)
            result, why = run(binary, *arguments)
            row[label] = result["seconds"]["run"] if result else why
        row["wasmtime"] = peer(folder, name, size, 1024, ("--mode", "reuse")).get("run")
        if all(isinstance(row[key], float) for key in ("one", "1024", "metered", "unmetered")):
            row |= {"1,024 over one": round(1024 * row["one"] / row["1024"]), "metering": round(row["metered"] / row["unmetered"], 3),
                    "over wasmtime": ratio(row["wasmtime"] or 0, row["1024"])}
        rows.append(row)
        print(row, flush=True)
    for key in ("1,024 over one", "over wasmtime", "metering"):
        values = [row[key] for row in rows[:9] if row.get(key)]
        if values:
            rows.append({"geometric mean of nine": key, "is": round(statistics.geometric_mean(values), 3)})
            print(rows[-1], flush=True)
    return rows


def tier_up(binary, guests):
    """Code made in the background while instances run: the same results, and when it came."""
    rows, failed = [], 0
    for name, size, count in (("alu", 4_000_000, 131_072), ("coremark_like", 40, 65_536), ("json", 20, 16_384), ("sort", 20_000, 16_384)):
        row, seen = {"program": name}, set()
        for tier in ("interp", "jit", "auto"):
            result, why = run(binary, guests / f"{name}.wasm", "--invoke", "run", "--args-from", f"1..{count}", "--args", size, "--device", "cuda",
                              "--tier", tier, "--no-cache")
            if result is None:
                row[tier] = why
                failed += 1
                continue
            seen.add((result["result_hash"], result["instructions"]))
            row[tier] = {"run": result["seconds"]["run"], "tier": result["tier"], "compiled": result["compiled"], "wall": result["wall"]}
        if len(seen) != 1:
            failed += 1
            row["differ"] = sorted(seen)
        rows.append(row)
        print(row, flush=True)
    return rows, failed


def rounds(folder, extra):
    """Uneven batches, a second batch meanwhile, and stops (bench/rounds_bench.cpp), where the package has the program."""
    program = folder / "rounds_bench"
    if not program.exists():
        return [{"why": "the package has no rounds_bench"}]
    rows = []
    with subprocess.Popen([program, folder / "guests", *extra], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        for line in process.stdout:
            print(line, end="", flush=True)
            rows.append(json.loads(line) if line.startswith("{") else {"why": line.strip()})
    return rows


def children(process):
    """Of all threads of a process."""
    found = []
    for file in pathlib.Path(f"/proc/{process}/task").glob("*/children"):
        try:
            found += map(int, file.read_text().split())
        except OSError:
            pass  # a thread that is gone
    return found


def isolation(binary, guests, size):
    """A worker process: what it costs, and what becomes of a run whose worker is killed after some seconds."""
    rows = []
    arguments = [guests / "alu.wasm", "--invoke", "run", "--args-from", "1..4096", "--args", size, "--device", "cuda", "--tier", "interp"]
    for kind in ("none", "worker"):
        result, why = run(binary, *arguments, "--isolation", kind)
        rows.append({"isolation": kind, "why": why})
        if result is not None:
            rows[-1] |= {"hash": result["result_hash"], "wall": result["wall"], "run": result["seconds"]["run"]}
        print(rows[-1], flush=True)
    command = [binary, "run", *map(str, arguments), "--isolation", "worker", "--format", "json", "--results", "hash", "--quiet"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        time.sleep(rows[1].get("wall", 1) * 0.8)
        workers = children(process.pid)
        started = time.monotonic()
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
        while process.poll() is None and set(children(process.pid)) <= set(workers):
            time.sleep(0.01)
        replaced = time.monotonic() - started
        out, err = process.communicate()
    rows.append({"killed": len(workers), "replaced after": replaced, "status": process.returncode, "stderr": err.strip(),
                 "hash": json.loads(out)["result_hash"] if out else None, "until the end": time.monotonic() - started})
    print(rows[-1], flush=True)
    is_right = len(workers) == 1 and len({row.get("hash") for row in rows}) == 1 and "begins again" in err
    return rows, 0 if is_right else 1


def compare(binary, guests, name, size, count, extra=()):
    arguments = [guests / f"{name}.wasm", "--invoke", "run", "--args-from", f"1..{count}", "--args", size, *extra]
    cpu, why = run(binary, *arguments, "--device", "cpu")
    if cpu is None:
        return f"cpu: {why}"
    for tier in ("interp", "jit"):
        gpu, why = run(binary, *arguments, "--device", "cuda", "--tier", tier)
        if gpu is None:
            return f"cuda {tier}: {why}"
        for key in ("result_hash", "instructions", "exits"):
            if gpu[key] != cpu[key]:
                return f"{key} differs: {gpu[key]} on cuda {tier}, {cpu[key]} on cpu"
    return None


def spec(binary, folder, executor, processes):
    """The specification's suite, its files dealt to processes."""
    files = sorted(str(path) for path in (folder / "spec").glob("*.json"))
    started = time.monotonic()

    def one(share):
        command = [binary, "spec", "--executor", executor, "--expected-failures",
                   str(folder / "expected_failures" / "interp.cpu.txt"), *share]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=400)
        except subprocess.TimeoutExpired as late:
            return ["no end within 400 s", *(late.stdout or b"").decode().strip().splitlines()[-5:]]
        return (done.stdout + done.stderr).strip().splitlines()[-8:]

    with concurrent.futures.ThreadPoolExecutor(processes) as pool:
        tails = list(pool.map(one, [files[i::processes] for i in range(processes)]))
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for tail in tails:
        for number, kind in re.findall(r"(\d+) (passed|failed|skipped)", " ".join(tail)):
            counts[kind] += int(number)
    return {"executor": executor, "seconds": time.monotonic() - started, **counts,
            "other": [line for tail in tails for line in tail if "passed" not in line]}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("warphive", type=lambda path: str(pathlib.Path(path).resolve()))
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--only", nargs="*", default=["check", "isolation", "spec", "speed", "few", "auto", "scale", "rounds"])
    parser.add_argument("--isolation-size", type=int, default=2_000_000, help="so that a run takes some seconds")
    parser.add_argument("--rounds", nargs=argparse.REMAINDER, default=[], help="options of rounds_bench")
    options = parser.parse_args()
    options.folder = options.folder.resolve()
    binary, guests = options.warphive, options.folder / "guests"
    failed = 0
    report = {"devices": subprocess.run([binary, "devices"], capture_output=True, text=True).stdout, "check": {}, "speed": []}
    print(report["devices"], flush=True)

    if "check" in options.only:
        for name, size, _, _ in PROGRAMS:
            size = max(1, size // 10)
            for count, extra in [(1, ()), (33, ()), (3_000, ()), (1_000, ("--fuel", "5000", "--memory-hash"))]:
                why = compare(binary, guests, name, size, count, extra)
                report["check"][f"{name} x {count} {' '.join(extra)}"] = why or "equal"
                if why:
                    failed += 1
                    print(f"FAIL {name} x {count} {extra}: {why}", flush=True)
            print(f"checked {name}", flush=True)

    if "isolation" in options.only:
        report["isolation"], wrong = isolation(binary, guests, options.isolation_size)
        failed += wrong

    if "spec" in options.only:
        report["spec"] = [spec(binary, options.folder, "interp.cuda", 8), spec(binary, options.folder, "jit.cuda", 8)]
        for row in report["spec"]:
            failed += row["failed"]
            print("spec:", row, flush=True)

    if "speed" in options.only:
        labels = [label for label, *_ in (*KINDS, *PEERS)]
        print(f"{'program':14} " + " ".join(f"{label:>13}" for label in labels) + "   1,000 instances/s, compiled over wasmtime")
        for name, size, many, few in PROGRAMS:
            row = {"program": name, "size": size}
            for label, on_gpu, extra in KINDS:
                count = many if on_gpu else few
                command = [guests / f"{name}.wasm", "--invoke", "run", "--args-from", f"1..{count}", "--args", size, *extra]
                first, why = run(binary, *command)
                result = None
                if first is not None:
                    # With memory at hand, as the peer has it, and when it is settled how many lanes run at a time.
                    result, why = run(binary, *command, "--repeat", 8)
                row[label] = {"why": why} if result is None else {
                    "instances": count, **{key: result["seconds"][key] for key in ("load", "spawn", "run", "harvest")},
                    "first": first["seconds"],
                    "compiled": first.get("compiled"), "tier": result["tier"], "wall": result["wall"],
                    "instructions": result["instructions"], "rate": result["instructions"] / result["seconds"]["run"] / 1e9}
            for label, extra in PEERS:
                row[label] = peer(options.folder, name, size, few, extra)
            report["speed"].append(row)
            each = {label: row[label]["instances"] / row[label]["run"] if row[label].get("run") else 0 for label in labels}
            row["over_wasmtime"] = {
                "run": ratio(each["gpu_jit"], each["wasmtime"]),
                "run, peer with fuel": ratio(each["gpu_jit"], each["wasmtime_fuel"]),
                "end to end": ratio(end_to_end(row["gpu_jit"]), each["wasmtime_fresh"]),
                "end to end, peer with fuel": ratio(end_to_end(row["gpu_jit"]), each["wasmtime_fresh_fuel"]),
                "interpreted": ratio(each["gpu_interp"], each["wasmtime"]),
                "interpreted, peer with fuel": ratio(each["gpu_interp"], each["wasmtime_fuel"])}
            print(f"{name:14} " + " ".join(f"{each[label] / 1e3:13.1f}" for label in labels)
                  + f"   {row['over_wasmtime']} load {row['gpu_jit'].get('load', 0):.2f} {row['gpu_jit'].get('why', '')}", flush=True)
        for key in report["speed"][0]["over_wasmtime"]:
            nine = [row["over_wasmtime"][key] for row in report["speed"][:9]]
            if all(nine):
                report.setdefault("geometric_mean_of_nine", {})[key] = round(statistics.geometric_mean(nine), 2)
        print(report.get("geometric_mean_of_nine"), flush=True)
    if "few" in options.only:
        report["few"] = few_instances(binary, options.folder)
    if "auto" in options.only:
        report["auto"], wrong = tier_up(binary, guests)
        failed += wrong
    if "scale" in options.only:
        report["scale"] = scale(binary, guests)
    if "rounds" in options.only:
        report["rounds"] = rounds(options.folder, options.rounds)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "device.json").write_text(json.dumps(report, indent=1))
    print(f"{failed} differences", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
