# SPDX-License-Identifier: Apache-2.0
"""Makes the modules of run.py: each from a seed, the same one every time."""

import functools
import random
import subprocess

BASE_FEATURES = ["--enable-sign-ext", "--enable-nontrapping-float-to-int", "--enable-multivalue", "--enable-mutable-globals"]
BULK = "--enable-bulk-memory"
# By seed: flags of wasm-opt.
SHAPES = [
    BASE_FEATURES,
    [*BASE_FEATURES, BULK],
    [*BASE_FEATURES, "-O2"],
    [*BASE_FEATURES, BULK, "--enable-reference-types"],
    [*BASE_FEATURES, BULK, "-O1"],
    ["-O3"],
    [*BASE_FEATURES, BULK, "--flatten", "--rereloop", "-O2"],
    [*BASE_FEATURES, BULK, "--fuzz-passes"],
]
# A csmith program prints its checksum at the end. One object of it serves both: `run`, which returns the checksum and
# needs no host, and a command that prints it.
CSMITH_NAMES = ["-Dmain=csmith_main", "-Dprintf=csmith_printf"]
CSMITH_RUN = """
#include <stdarg.h>
#include <string.h>
int csmith_main(void);
static unsigned checksum;
int csmith_printf(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  if (strcmp(format, "checksum = %X\\n") == 0) checksum = va_arg(arguments, unsigned);
  va_end(arguments);
  return 0;
}
__attribute__((export_name("run"))) unsigned run(void) { csmith_main(); return checksum; }
"""
CSMITH_COMMAND = """
#include <stdarg.h>
#include <stdio.h>
int csmith_main(void);
int csmith_printf(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int count = vprintf(format, arguments);
  va_end(arguments);
  return count;
}
int main(void) { return csmith_main(); }
"""
# Default sizes make programs of which some take clang half a minute.
CSMITH_SIZES = ["--max-funcs", "6", "--max-block-depth", "4", "--max-block-size", "3", "--max-expr-complexity", "8"]
# Bytes that often make another valid operator or immediate.
TELLING_BYTES = bytes([*range(0x00, 0x12), 0x1A, 0x1B, 0x1C, *range(0x20, 0x27), *range(0x28, 0x46), 0x6A, 0x7C, 0x7D, 0x7E, 0x7F,
                       0x80, 0xA7, 0xAC, 0xBC, 0xC0, 0xD0, 0xD1, 0xD2, 0xFC, 0xFD, 0xFF, 0x40, 0x6F, 0x70])


class ToolFailed(Exception):
    pass


def translate(bytes_, flags, folder):
    source = folder / "random.bin"
    target = folder / "translated.wasm"
    source.write_bytes(bytes_)
    done = subprocess.run(["wasm-opt", "-q", "-ttf", source, "-o", target, *flags], capture_output=True, text=True)
    if done.returncode != 0:
        raise ToolFailed(f"wasm-opt: {done.stderr.strip()[:300]}")
    return target.read_bytes()


def make_module(seed, folder):
    numbers = random.Random(seed)
    target = folder / f"{seed}.wasm"
    target.write_bytes(translate(numbers.randbytes(numbers.choice((400, 1500, 4000, 12000))), SHAPES[seed % len(SHAPES)], folder))
    return target


@functools.lru_cache(4)
def origin(seed, folder):
    numbers = random.Random(f"origin {seed}")
    return translate(numbers.randbytes(numbers.choice((200, 400, 1000))), SHAPES[seed % len(SHAPES)], folder)


def make_mutant(seed, folder):
    """Many seeds share an origin. Of what comes out about a third is valid."""
    numbers = random.Random(f"mutant {seed}")
    data = bytearray(origin(seed // 50, folder))
    for _ in range(numbers.choice((1, 1, 1, 2, 3))):
        # Sections before the code are short; magic and version tell nothing.
        at = numbers.randrange(8, len(data))
        kind = numbers.randrange(8)
        if kind < 3:
            data[at] ^= 1 << numbers.randrange(8)
        elif kind < 6:
            data[at] = numbers.choice(TELLING_BYTES)
        elif kind < 7:
            data[at] = numbers.randrange(256)
        else:  # swap two neighbours
            data[at - 1], data[at] = data[at], data[at - 1]
    target = folder / f"{seed}.wasm"
    target.write_bytes(data)
    return target


def clang(*words):
    done = subprocess.run(["clang-19", "--target=wasm32-wasi", "-w", *words], capture_output=True, text=True)
    if done.returncode != 0:
        raise ToolFailed(f"clang-19: {done.stderr.strip()[:300]}")


def link(seed, folder, name, main, *flags):
    source = folder / f"{seed}-{name}.c"
    target = folder / f"{seed}-{name}.wasm"
    source.write_text(main)
    clang("-O2", "-Wl,--strip-all", *flags, source, folder / f"{seed}.o", "-o", target)
    return target


def make_csmith(seed, folder):
    program = folder / f"{seed}.c"
    for attempt in range(10):  # some seeds end csmith itself
        command = ["csmith", "--seed", str(seed * 10 + attempt + 1), "--no-argc", *CSMITH_SIZES, "--output", program.name]
        if seed % 4 == 0:
            command.append("--float")
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)  # it also writes platform.info
        if done.returncode == 0:
            break
    else:
        raise ToolFailed(f"csmith: {(done.stdout + done.stderr).strip()[:300]}")
    clang("-c", f"-O{seed % 3}", "-isystem", "/usr/include/csmith", *CSMITH_NAMES, program, "-o", folder / f"{seed}.o")
    return link(seed, folder, "run", CSMITH_RUN, "-mexec-model=reactor", "-nostartfiles", "-Wl,--no-entry")


def make_csmith_command(seed, folder):
    """The program that make_csmith left in the folder, as a WASI command."""
    return link(seed, folder, "command", CSMITH_COMMAND)
