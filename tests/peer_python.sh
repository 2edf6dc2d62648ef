#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# peer_python.sh SCRIPT ARGUMENTS…: runs a Python script with the interpreter of .venv, which has the
# peers from PyPI where ./dev has made it, else with python3.
root=$(cd "$(dirname "$0")/.." && pwd)
python=$root/.venv/bin/python
[[ -x $python ]] || python=python3
exec "$python" "$@"
