# SPDX-License-Identifier: Apache-2.0
"""Reads the machine code of cubins (ELF of 64 bits; instructions of 16 bytes, compute capability 7.0 or newer)."""

import re
import struct

OPCODE = 0xFFF
YIELD = 0x946


def text_sections(data):
    """(name, code) of each function of a cubin."""
    sections, = struct.unpack_from("<Q", data, 0x28)
    size, count, names = struct.unpack_from("<HHH", data, 0x3A)
    header = [struct.unpack_from("<IIQQQQ", data, sections + i * size) for i in range(count)]
    for name, _, _, _, at, length in header:
        first = header[names][4] + name
        text = data[first:data.index(b"\0", first)].decode()
        if text.startswith(".text."):
            yield text.removeprefix(".text."), data[at:at + length]


def yielding(data):
    """The functions in which a lane makes the others of its warp go on without it (docs/adr/0009).

    In those that ptxas adds for the end of a kernel, where lanes wait for each other, that does no harm.
    """
    return [name for name, code in text_sections(data)
            if not re.fullmatch(r"__cuda_sm70_\w+sync_\w+", name) and any(word & OPCODE == YIELD for word, in struct.iter_unpack("<H14x", code))]
