#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs end-to-end tests of the command: run.py WARPHIVE TOPIC [TEST…]; without a topic all of them."""

import pathlib
import shutil
import sys
import unittest

sys.dont_write_bytecode = True
import harness

if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    if shutil.which("wat2wasm") is None:
        print("wat2wasm is not here (package wabt): the tests are skipped.")
        sys.exit(77)
    harness.WARPHIVE = str(pathlib.Path(sys.argv[1]).resolve())
    folder = pathlib.Path(__file__).resolve().parent
    topics = sys.argv[2:3] or [path.stem[5:] for path in sorted(folder.glob("test_*.py"))]
    loader = unittest.TestLoader()
    if len(sys.argv) > 3:
        names = [f"test_{topics[0]}.{name}" for name in sys.argv[3:]]
    else:
        names = [f"test_{topic}" for topic in topics]
    suite = loader.loadTestsFromNames(names)
    if suite.countTestCases() == 0:
        sys.exit("there are no such tests")
    result = unittest.TextTestRunner(verbosity=2).run(suite)
    sys.exit(0 if result.wasSuccessful() else 1)
