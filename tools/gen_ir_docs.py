#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes docs/ir.md from the op table: tools/gen_ir_docs.py [--check].

With --check it writes nothing, and fails where docs/ir.md differs from what it would write.
"""

import difflib
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "ir.md"

INTRO = """\
# The IR

<!-- Written by tools/gen_ir_docs.py from src/ir/ops.inc, ops_simd.inc and op.hpp. Do not edit. -->

The IR is a register machine between guests and executors. `src/ir/module.hpp` declares its data,
`src/ir/verify.cpp` holds its rules, and this page lists its ops.

## Slots and frames

- A slot has 64 bits. 32-bit values are zero-extended. A reference to a function is its index + 1, a
  reference to a host value is that value + 1, null is 0.
- A vector (v128) takes two neighbouring slots, the low half first; an operand names the first. Its
  constants, 16 bytes each, are in the module's list of vectors (docs/adr/0007).
- A function's slots: parameters from 0; the header (return address) at the larger of parameter and
  result slots; then locals and temporaries. Results are left in slots 0 and up.
- `enter` is the first instruction of every function and stands nowhere else. It checks the stack
  limits, writes the header and zeroes a range of slots.
- Arguments of a call lie in the caller's slots from its base; they are the callee's slots 0 and up,
  and results come back to the same place. A call leaves all other slots from its base up undefined.
- No operand names the header slot.

## Blocks

- A block begins where `Function::blocks` says. It runs on into the next block unless its last
  instruction ends flow; an op with the trait `ends` is always the last of its block.
- Branches name blocks, never block 0.
- A branch table has one user; its last entry is the default.

## Fuel

- `charge` takes its units from the fuel before what follows runs. If they are not there, the
  instance stops at the charge with nothing of it taken, and can go on later.
- Every loop has a `charge` or `bulk_charge`, so that every loop can be stopped. No pass moves, merges
  or drops a `charge` that can be reached.

## Bulk operations

The `_check` op traps unless the whole range is inside. Then a loop of `bulk_charge` and the `_chunk`
op runs until the count is 0; a chunk moves at most 1 KiB and updates its three slots.

## Text form

`warphive inspect --ir` prints it, `parse` in `src/ir/text.hpp` reads it back. A `;` begins a comment.

    module metered
    type 0 (i32, i32) -> (i32)
    member 0 "m"
    export "add" fn 0
    fn 0 "add" (i32, i32) -> (i32) frame 3 header 2 {
    b0:
      enter header 2 zero 3 + 0 frame 3 @17
      charge 4
      add32 s0, s0, s1 @21
      ret s2
    }

`s3` is a slot, `b1` a block, `fn2`, `global0`, `memory0`, `table0`, `data0`, `elem0`, `type0` and
`host0` and `vector0` are indices, `jump0` is a branch table of the function, `[s1 + 16]` an address with its offset.
`@21` is the byte offset in the guest module of this instruction and of those after it, up to the next
such mark.
"""

OPERANDS = {
    "d_k": "`sD, K`",
    "d_a": "`sD, sX`",
    "d_ab": "`sD, sX, sY`",
    "d_ak": "`sD, sX, K`",
    "d_abc": "`sD, sX, sY, sCOND`",
    "d_g": "`sD, INDEX`",
    "g_a": "`sX, INDEX`",
    "d_ag": "`sD, sX, INDEX`",
    "ab_g": "`sX, sY, INDEX`",
    "a_g": "`sX, K`",
    "g": "`K` or `INDEX`",
    "load": "`sD, [sX + K]`",
    "store": "`[sX + K], sY`",
    "bulk": "`sTO, sFROM, sCOUNT, INDEX, INDEX`",
    "br": "`bN`",
    "br_ab": "`sX, sY, bN`",
    "br_ak": "`sX, K, bN`",
    "br_table": "`sX, jumpN`",
    "enter": "`header H zero FIRST + COUNT frame SLOTS`",
    "call": "`sBASE, fnN`",
    "call_indirect": "`sBASE, sX, tableN, typeN`",
    "ret": "`sHEADER`",
    "ret_mov": "`sHEADER, sX`",
    "v_v": "`sD, sX`",
    "v_vv": "`sD, sX, sY`",
    "v_vvv": "`sD, sX, sY, sZ`",
    "v_vva": "`sD, sX, sY, sCOND`",
    "v_va": "`sD, sX, sY`",
    "v_a": "`sD, sX`",
    "d_v": "`sD, sX`",
    "d_vk": "`sD, sX, K`",
    "v_vak": "`sD, sX, sY, K`",
    "v_vvg": "`sD, sX, sY, INDEX`",
    "v_g": "`sD, INDEX`",
    "g_v": "`sX, INDEX`",
    "load_v": "`sD, [sX + K]`",
    "store_v": "`[sX + K], sY`",
}


def fail(message):
    sys.exit(f"gen_ir_docs: {message}")


def split_arguments(text):
    """Splits at commas outside of parentheses."""
    parts, depth, current = [], 0, ""
    for letter in text:
        if letter == "," and depth == 0:
            parts.append(current.strip())
            current = ""
            continue
        depth += {"(": 1, ")": -1}.get(letter, 0)
        current += letter
    return parts + [current.strip()]


def calls(text):
    """Yields (name, arguments, comment behind it) of each macro call in a line."""
    at = 0
    while match := re.compile(r"([A-Z_]+)\(").search(text, at):
        depth, end = 1, match.end()
        while depth and end < len(text):
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        if depth:
            fail(f"unbalanced parentheses in ({text})")
        comment = re.match(r"\s*//\s*(.*)", text[end:])
        yield match.group(1), split_arguments(text[match.end() : end - 1]), comment and comment.group(1)
        at = len(text) if comment else end


def expand(body, parameters, arguments):
    values = dict(zip(parameters, arguments))
    body = re.sub(r"\b\w+\b", lambda m: values.get(m.group(0), m.group(0)), body)
    return re.sub(r"\s*##\s*", "", body)


def read_ops():
    """Sections of the op table: (title lines, [(arguments, comment)])."""
    text = (ROOT / "src" / "ir" / "ops.inc").read_text()
    vectors = (ROOT / "src" / "ir" / "ops_simd.inc").read_text()
    text = text.replace('#include "ir/ops_simd.inc"', vectors[vectors.index("#define UNARY") :])
    text = text.replace("\\\n", " ")
    # The file's head says how to read the table; sections begin behind it.
    text = text[text.index("#define OK") :]
    macros, sections, heading, in_heading, note, previous = {}, [], [], False, "", ""
    for line in text.splitlines():
        follows_row, previous = previous.strip() and not previous.startswith("#"), line
        if line.startswith("#define"):
            match = re.match(r"#define (\w+)\(([^)]*)\)\s*(.*)", line)
            if match:
                macros[match.group(1)] = ([p.strip() for p in match.group(2).split(",")], match.group(3))
            continue
        # A comment behind a row belongs to the next row; after an empty line it begins a section.
        if line.startswith("//") and follows_row and not in_heading:
            note = line[2:].strip()
            continue
        if line.startswith("//"):
            heading = heading + [line[2:].strip()] if in_heading else [line[2:].strip()]
            in_heading = True
            continue
        if line.startswith("#") or not line.strip():
            in_heading = False
            continue
        if in_heading:
            sections.append((heading, []))
            in_heading = False
        todo = [(name, arguments, comment or note) for name, arguments, comment in calls(line)]
        note = ""
        while todo:
            name, arguments, comment = todo.pop(0)
            if name == "WARPHIVE_OP":
                if len(arguments) != 7:
                    fail(f"a row has {len(arguments)} columns: {arguments}")
                sections[-1][1].append((arguments, comment))
            elif name in macros:
                parameters, body = macros[name]
                todo = [(n, a, comment) for n, a, _ in calls(expand(body, parameters, arguments))] + todo
            else:
                fail(f"unknown macro ({name})")
    return sections


def read_shapes():
    text = (ROOT / "src" / "ir" / "op.hpp").read_text()
    body = re.search(r"enum class Shape[^{]*\{(.*?)\};", text, re.S).group(1)
    return re.findall(r"(\w+),\s*// (.*)", body)


def code(text):
    return "" if text in ("_", "OK", "0") else f"`{text}`".replace("|", "\\|")


def render():
    lines = [INTRO, "## Shapes", "", "Which fields of `Inst` an op uses.", ""]
    lines += ["| shape | text | fields |", "|---|---|---|"]
    shapes = read_shapes()
    for name, fields in shapes:
        if name not in OPERANDS:
            fail(f"shape ({name}) has no text form here")
        fields = fields.replace("|", "\\|")
        lines.append(f"| `{name}` | {OPERANDS[name]} | {fields} |")
    lines += [
        "",
        "## Ops",
        "",
        "`dst` is the width in bits of what is written, `src` of the operands `x` and `y`. `result` and",
        "`trap` are expressions over bit patterns; helpers are in `src/exec/semantics.hpp`. Of a vector",
        "`dst` and `src` name the lanes; expressions work lane by lane (`src/exec/lanes.hpp`).",
    ]
    count = 0
    for heading, rows in read_ops():
        title, _, rest = " ".join(heading).partition(". ")
        title, _, more = title.partition(": ")
        title, _, bracket = title.partition(" (")
        rest = ". ".join(part for part in (more, rest) if part)
        if bracket:
            rest = f"({bracket}" + (f" {rest}" if rest else "")
        lines += ["", f"### {title.rstrip('.')}", ""]
        if rest:
            lines += [rest[0].upper() + rest[1:].rstrip(".") + ".", ""]
        noted = any(comment for _, comment in rows)
        lines.append("| op | shape | dst | src | traits | result | trap |" + (" note |" if noted else ""))
        lines.append("|---|---|---|---|---|---|---|" + ("---|" if noted else ""))
        for (name, shape, dst, src, traits, result, trap), comment in rows:
            count += 1
            row = [f"`{name}`", shape, dst if dst != "0" else "", src if src != "0" else "",
                   "" if traits == "pure" else traits.replace(" | ", ", "), code(result), code(trap)]
            if noted:
                row.append((comment or "").replace("|", "\\|"))
            lines.append("| " + " | ".join(row) + " |")
    if count < 100:
        fail(f"only {count} ops were found")
    lines += ["", f"There are {count} ops.", ""]
    return "\n".join(lines)


def main():
    text = render()
    if sys.argv[1:] == ["--check"]:
        current = TARGET.read_text() if TARGET.exists() else ""
        if current != text:
            sys.stderr.writelines(
                difflib.unified_diff(current.splitlines(True), text.splitlines(True), str(TARGET), "generated", n=1)
            )
            fail("docs/ir.md is out of date; run tools/gen_ir_docs.py")
    elif sys.argv[1:]:
        fail(f"unknown arguments {sys.argv[1:]}")
    else:
        TARGET.write_text(text)


main()
