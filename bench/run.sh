#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# All benchmarks that need no GPU; JSON under build/bench/. `./dev bench` calls it.
set -euo pipefail
cd "$(dirname "$0")/.."
out=build/bench
bin=build/release/bin
mkdir -p "$out"
{
  echo "date    $(date -u +%F)"
  echo "commit  $(git rev-parse --short HEAD 2>/dev/null || echo none)$(git diff --quiet HEAD 2>/dev/null || echo ' (modified)')"
  echo "cpu     $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(nproc) cores"
  echo "kernel  $(uname -r)"
} | tee "$out/machine.txt"
for bench in "$bin"/*_bench; do
  name=$(basename "$bench")
  printf '\n== %s\n' "$name"
  "$bench" --benchmark_out="$out/$name.json" --benchmark_out_format=json "$@"
done
python=.venv/bin/python
if [[ -x $python ]]; then
  printf '\n== interpreter against wasm3 and Pulley, one core\n'
  "$python" bench/interp_peers.py "$bin/warphive" build/release/guests --json "$out/interp_peers.json"
fi
if [[ -x $python ]]; then
  printf '\n== compiled tier against wasmtime, one core\n'
  "$python" bench/jit_peers.py "$bin/warphive" build/release/guests --sources tests/programs --json "$out/jit_peers.json"
fi
printf '\n== what compiling costs\n'
"$([[ -x $python ]] && echo "$python" || echo python3)" bench/compile_cost.py "$bin/warphive" build/release/guests --json "$out/compile_cost.json"
printf '\n== swarm: parallel efficiency, spawn, idle memory, start\n'
library=$(ls .venv/lib/python3*/site-packages/wasmtime/linux-*/_libwasmtime.so 2>/dev/null | head -n 1 || true)
python3 bench/swarm_cli.py "$bin/warphive" build/release/guests --json "$out/swarm_cli.json" \
  ${library:+--peer "$bin/wasmtime_peer" --library "$library"}
