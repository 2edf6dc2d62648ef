#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Checks and measures on a machine with a CUDA device, in one go and without this tree's build tools.
#   bench/device.sh pack        here: .carry/device.tar.xz with the portable executable, guests and
#                               the converted specification suite (run its test first), and
#                               the other benches where the portable preset has built them
#   bench/device.sh run OUT     there: unpacks it, writes OUT/*.json and OUT/log
set -euo pipefail
cd "$(dirname "$0")/.."
case ${1:-} in
  pack)
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    mkdir -p "$work/spec" .carry
    cp build/portable/bin/warphive "$work/"
    cp -r build/release/guests "$work/guests"
    for json in build/release/spec/*.json; do
      name=$(basename "$json" .json)
      cp "$json" "$work/spec/"
      find build/release/spec -maxdepth 1 -name "$name.*.wasm" -exec cp {} "$work/spec/" \;
    done
    cp -r tests/spec/expected_failures "$work/"
    cp bench/device_suite.py "$work/"
    library=$(find .venv/lib -name '_libwasmtime.so' 2>/dev/null | head -1)
    for bench in rounds_bench dispatch_bench hal_bench; do
      if [[ -x build/portable/bin/$bench ]]; then cp build/portable/bin/$bench "$work/"; fi
    done
    if [[ -n $library ]]; then cp build/release/bin/wasmtime_peer "$library" "$work/"; fi
    # The programs share most of their code: a dictionary that reaches from one to the next.
    tar -C "$work" -c . | xz --lzma2=preset=1,dict=256MiB >.carry/device.tar.xz
    ls -l .carry/device.tar.xz
    ;;
  run)
    out=$(realpath "${2:?an output folder}")
    work=/tmp/warphive_device
    rm -rf "$work" && mkdir -p "$work"
    tar -C "$work" -xJf .carry/device.tar.xz
    cd "$work"
    nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.sm --format=csv || true
    exec python3 device_suite.py ./warphive . "$out" "${@:3}"
    ;;
  *)
    sed -n '3,7p' "$0" >&2
    exit 2
    ;;
esac
