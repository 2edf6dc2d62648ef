#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that the docs are true of the tree: paths in backticks exist, tests that docs/capabilities.md
names exist, and README shows examples/quickstart.cpp as it is. Prints each problem; exits 1 if any."""

import pathlib
import re
import sys

root = pathlib.Path(__file__).resolve().parent.parent
problems = []
documents = [root / name for name in ("README.md", "HACKING.md", "CHANGELOG.md")] + sorted((root / "docs").rglob("*.md"))
path_like = re.compile(r"^(?:src|include|tools|tests|bench|examples|docs|cmake)/[\w./-]*$")

for document in documents:
    text = document.read_text()
    for number, line in enumerate(text.splitlines(), 1):
        for quoted in re.findall(r"`([^`]+)`", line):
            if path_like.match(quoted) and not (root / quoted).exists():
                problems.append(f"{document.relative_to(root)}:{number}: {quoted} does not exist")

code = "\n".join(
    path.read_text(errors="replace")
    for folder in ("src", "tests", "tools", "bench")
    for path in (root / folder).rglob("*")
    if path.is_file() and path.suffix in {".cpp", ".hpp", ".py", ".txt", ".sh"}
)
tests = set()
for suite, name in re.findall(r"\bTEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)\s*\)", code):
    tests.add(f"{suite}.{name}")
tests.update(re.findall(r"add_test\(\s*(?:NAME\s+)?([\w.]+)", code))
tests.update(re.findall(r"def (test_\w+)", code))

capabilities = root / "docs/capabilities.md"
rows = re.findall(r"^\| (\d{3}\.\d{2})[^|]*\|[^|]*\|([^|]*)\|", capabilities.read_text(), re.M)
if not rows:
    problems.append("docs/capabilities.md lists nothing")
for capability, shown in rows:
    for name in re.findall(r"`([^`]+)`", shown):
        if " " in name or "/" in name or name.startswith("--"):
            continue  # a command or a path
        if name not in tests:
            problems.append(f"docs/capabilities.md: {capability} names the test {name}, which does not exist")

quickstart = (root / "examples/quickstart.cpp").read_text().split("using namespace warphive;", 1)[1].strip()
readme = (root / "README.md").read_text()
block = "\n".join("    " + line if line else "" for line in quickstart.splitlines())
if block not in readme:
    problems.append("README.md does not show examples/quickstart.cpp as it is")

print("\n".join(problems) if problems else f"{len(documents)} documents and {len(rows)} capabilities agree with the tree")
sys.exit(1 if problems else 0)
