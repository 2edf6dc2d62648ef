#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The bytes of the module spectest are what wat2wasm makes of the text beside them.

usage: check_spectest.py SPEC_SPECTEST_CPP
"""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile


def main():
    if shutil.which("wat2wasm") is None:
        print("SKIPPED: wat2wasm (Debian package wabt) is not installed")
        return 77
    source = pathlib.Path(sys.argv[1]).read_text()
    text = re.search(r"/\* wat\n(.*?)\*/", source, re.DOTALL).group(1)
    hex_digits = "".join(re.findall(r'"([0-9a-f]+)"', source[source.index("*/"):]))
    with tempfile.TemporaryDirectory() as folder:
        wat = pathlib.Path(folder, "spectest.wat")
        wat.write_text(text)
        wasm = wat.with_suffix(".wasm")
        subprocess.run(["wat2wasm", wat, "-o", wasm], check=True)
        expected = wasm.read_bytes().hex()
    if hex_digits != expected:
        print(f"The bytes should be {expected}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
