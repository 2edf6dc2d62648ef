#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that includes follow docs/layers.md; prints each violation and exits 1 if there is any."""

import pathlib
import re
import sys

root = pathlib.Path(__file__).resolve().parent.parent
layers = re.findall(r"^    (?:src/)?(\w+) ", (root / "docs/layers.md").read_text(), re.M)
rank = {name: i for i, name in enumerate(layers)}
freestanding = {"stdint.h", "stddef.h"}
freestanding_files = {"src/exec/semantics.hpp", "src/exec/lanes.hpp"}
include = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)')
problems = []
seen = 0

for path in sorted((root / "src").rglob("*")) + sorted((root / "tools").rglob("*")) + sorted((root / "include").rglob("*")):
    if path.suffix not in {".hpp", ".cpp", ".inc"}:
        continue
    relative = path.relative_to(root)
    parts = relative.parts
    layer = parts[1] if parts[0] == "src" else parts[0]
    for number, line in enumerate(path.read_text().splitlines(), 1):
        match = include.match(line)
        if not match:
            continue
        seen += 1
        quoted, angled = match.groups()
        where = f"{relative}:{number}"
        if quoted:
            target = quoted.split("/")[0]
            if ".." in quoted.split("/"):
                problems.append(f"{where}: include leaves its folder: {quoted}")
            elif target == "warphive":
                if layer == "abi":
                    problems.append(f"{where}: abi may not include {quoted}")
            elif parts[0] == "include":
                problems.append(f"{where}: a public header includes a private one: {quoted}")
            elif "/" in quoted and target not in rank and target != "tests":
                problems.append(f"{where}: unknown folder: {quoted}")
            elif target in rank and rank[target] > rank[layer]:
                problems.append(f"{where}: {layer} may not include {quoted}")
        if angled and (layer == "abi" or relative.as_posix() in freestanding_files):
            if angled not in freestanding:
                problems.append(f"{where}: freestanding code may not include <{angled}>")

if seen == 0:
    problems.append("no include was found: the script looks in the wrong place")
print("\n".join(problems) if problems else f"{seen} includes follow docs/layers.md")
sys.exit(1 if problems else 0)
