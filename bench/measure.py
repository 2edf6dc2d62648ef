# SPDX-License-Identifier: Apache-2.0
"""Runs a command and says what it took."""

import dataclasses
import json
import os
import subprocess
import sys

# What a process has touched before it executes a program counts as the program's: so a small one starts it.
LAUNCHER = """
import os, sys, time
start = time.perf_counter()
child = os.fork()
if child == 0:
    os.execvp(sys.argv[2], sys.argv[2:])
_, status, usage = os.wait4(child, 0)
seconds = time.perf_counter() - start
os.write(int(sys.argv[1]), f'[{os.waitstatus_to_exitcode(status)}, {seconds}, {usage.ru_maxrss / 1024}]'.encode())
"""


@dataclasses.dataclass
class Finished:
    status: int  # negative: the signal
    seconds: float  # wall time of the process
    peak_mib: float  # its most resident memory, at least some 10
    output: bytes
    errors: bytes


def run(command):
    reading, writing = os.pipe()
    with open(reading, "rb") as measured:
        process = subprocess.Popen([sys.executable, "-I", "-S", "-c", LAUNCHER, str(writing), *map(str, command)],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=(writing,))
        os.close(writing)
        output, errors = process.communicate()
        text = measured.read()
    if not text:
        raise SystemExit(f"{command}: could not be started\n{errors.decode()}")
    return Finished(*json.loads(text), output, errors)
