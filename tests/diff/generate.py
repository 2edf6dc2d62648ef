# SPDX-License-Identifier: Apache-2.0
"""Makes the modules of run.py: each from a seed, the same one every time."""

import functools
import random
import subprocess

BASE_FEATURES = ["--enable-sign-ext", "--enable-nontrapping-float-to-int", "--enable-multivalue", "--enable-mutable-globals"]
BULK = "--enable-bulk-memory"
SIMD = "--enable-simd"
TAIL = "--enable-tail-call"
# By seed: flags of wasm-opt.
SHAPES = [
    BASE_FEATURES,
    [*BASE_FEATURES, BULK],
    [*BASE_FEATURES, "-O2"],
    [*BASE_FEATURES, BULK, "--enable-reference-types"],
    [*BASE_FEATURES, BULK, TAIL, "-O1"],
    ["-O3"],
    [*BASE_FEATURES, BULK, "--flatten", "--rereloop", "-O2"],
    [*BASE_FEATURES, BULK, TAIL, "--fuzz-passes"],
    [*BASE_FEATURES, SIMD],
    [*BASE_FEATURES, BULK, SIMD, "-O2"],
    [*BASE_FEATURES, BULK, SIMD, TAIL, "--enable-reference-types"],
    [*BASE_FEATURES, SIMD, "--flatten", "--rereloop", "-O3"],
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
TELLING_BYTES = bytes([*range(0x00, 0x14), 0x1A, 0x1B, 0x1C, *range(0x20, 0x27), *range(0x28, 0x46), 0x6A, 0x7C, 0x7D, 0x7E, 0x7F,
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


def read_leb(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def leb(value):
    data = bytearray()
    while value >= 0x80:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(data + bytes([value]))


def without_vector_exports(data):
    """wasmtime's C interface ends the process where it describes a v128, so no export may have one."""
    sections = []
    at = 8
    while at < len(data):
        number = data[at]
        size, start = read_leb(data, at + 1)
        sections.append((number, data[start:start + size]))
        at = start + size
    has_vector, functions = [], []
    out = bytearray(data[:8])
    for number, body in sections:
        count, at = read_leb(body, 0) if number in (1, 2, 3, 6, 7) else (0, 0)
        if number == 1:
            for _ in range(count):
                at += 1
                found = False
                for _ in range(2):
                    types, at = read_leb(body, at)
                    for _ in range(types):
                        found |= body[at] == 0x7B
                        at += 2 if body[at] in (0x63, 0x64, 0x6B, 0x6C) else 1  # a typed reference
                has_vector.append(found)
        elif number == 2:
            for _ in range(count):
                for _ in range(2):
                    size, at = read_leb(body, at)
                    at += size
                kind, at = body[at], at + 1
                if kind == 0:
                    index, at = read_leb(body, at)
                    functions.append(has_vector[index])
                elif kind == 3:
                    at += 2
                else:  # a table or memory: limits
                    at += kind == 1
                    flags, at = body[at], at + 1
                    for _ in range(1 + (flags & 1)):
                        _, at = read_leb(body, at)
        elif number == 3:
            for _ in range(count):
                index, at = read_leb(body, at)
                functions.append(has_vector[index])
        elif number == 7:
            kept = []
            for _ in range(count):
                start = at
                size, at = read_leb(body, at)
                at += size
                kind, at = body[at], at + 1
                index, at = read_leb(body, at)
                # Of the module's own globals none is needed by name.
                if kind == 3 or kind == 0 and functions[index]:
                    continue
                kept.append(body[start:at])
            body = leb(len(kept)) + b"".join(kept)
        out += bytes([number]) + leb(len(body)) + body
    return bytes(out)


def make_module(seed, folder):
    numbers = random.Random(seed)
    target = folder / f"{seed}.wasm"
    shape = SHAPES[seed % len(SHAPES)]
    data = translate(numbers.randbytes(numbers.choice((400, 1500, 4000, 12000))), shape, folder)
    target.write_bytes(without_vector_exports(data) if SIMD in shape else data)
    return target


@functools.lru_cache(4)
def origin(seed, folder):
    numbers = random.Random(f"origin {seed}")
    shape = SHAPES[seed % len(SHAPES)]
    data = translate(numbers.randbytes(numbers.choice((200, 400, 1000))), shape, folder)
    return without_vector_exports(data) if SIMD in shape else data


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
