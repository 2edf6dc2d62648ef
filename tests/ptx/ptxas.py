# SPDX-License-Identifier: Apache-2.0
"""Finds the assembler of PTX and its linker: on the PATH, in CUDA's usual place, or in PyPI's nvidia-cuda-nvcc."""

import pathlib
import shutil

ROOT = pathlib.Path(__file__).resolve().parents[2]


def find(name):
    """The path of `ptxas` or `nvlink`; None where there is none."""
    found = shutil.which(name)
    if found:
        return found
    places = [pathlib.Path("/usr/local/cuda/bin")]
    places += sorted((ROOT / ".venv").glob("lib/python3*/site-packages/nvidia/*/bin"))
    return next((str(place / name) for place in places if (place / name).exists()), None)
