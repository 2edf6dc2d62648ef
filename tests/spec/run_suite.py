#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Converts the specification's scripts with wast2json and runs them all on one executor.

usage: run_suite.py WARPHIVE SUITE_DIR WORK_DIR EXECUTOR [--expected-failures FILE] [--every N]

Fails unless every assertion in binary form passes: 51,054 of the suite of 2022-11-09, with the 1,077 others (text
form) skipped. --every takes one script in N only. Exit status 77: the suite or wast2json is not here.
"""

import argparse
import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import sys

PASSED = 51_054
SKIPPED = 1_077


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("warphive")
    parser.add_argument("suite", type=pathlib.Path)
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("executor")
    parser.add_argument("--expected-failures")
    parser.add_argument("--every", type=int, default=1)
    options = parser.parse_args()

    scripts = sorted(options.suite.glob("*.wast"))
    if not scripts:
        print(f"SKIPPED: there is no specification suite at {options.suite}")
        return 77
    if shutil.which("wast2json") is None:
        print("SKIPPED: wast2json (Debian package wabt) is not installed")
        return 77

    options.work.mkdir(parents=True, exist_ok=True)

    def convert(script):
        target = options.work / (script.stem + ".json")
        if not target.exists() or target.stat().st_mtime < script.stat().st_mtime:
            partial = target.with_suffix(".partial.json")
            subprocess.run(["wast2json", script, "-o", partial], check=True)
            # The modules are named after the output file, inside the file too.
            text = partial.read_text()
            target.write_text(text)
            partial.unlink()
        return target

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        files = list(pool.map(convert, scripts[:: options.every]))
    command = [options.warphive, "spec", "--executor", options.executor]
    if options.expected_failures:
        command += ["--expected-failures", options.expected_failures]
    done = subprocess.run([*command, *map(str, files)], capture_output=True, text=True)
    sys.stderr.write(done.stderr)
    print(f"{options.executor}: {len(files)} files")
    print(done.stdout, end="")
    words = done.stdout.strip().splitlines()[-1].replace(",", "").split() if done.stdout.strip() else []
    counts = {words[i + 1]: int(words[i]) for i in range(0, len(words) - 1, 2)}
    if done.returncode != 0 or counts.get("failed") != 0:
        return 1
    # Files differ in size: a share of them has some of the assertions, and none that fails.
    if options.every > 1:
        return 0 if counts.get("passed", 0) > PASSED // options.every // 4 else 1
    if counts.get("passed", 0) < PASSED or counts.get("passed", 0) + counts.get("skipped", 0) != PASSED + SKIPPED:
        print(f"expected at least {PASSED} passed of {PASSED + SKIPPED}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
