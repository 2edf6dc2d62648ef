#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# run.sh SECONDS: divides the time among the fuzz targets of build/fuzz, one process per core at a time.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-60}
mapfile -t targets < <(find build/fuzz/bin -name '*_fuzz' -type f | sort)
((${#targets[@]})) || { echo "no fuzz target was built" >&2; exit 1; }
cores=$(nproc)
each=$((seconds * cores / ${#targets[@]}))
((each > 0)) || each=1
status=0
pids=()
for target in "${targets[@]}"; do
  name=$(basename "$target")
  corpus=build/fuzz/corpus/$name
  mkdir -p "$corpus"
  seeds=()
  what=${name%_fuzz}
  for folder in src/*/corpus/"$what" src/*/corpus/"${what#*_}" src/guest/wasm/corpus/"${what#*_}"; do
    [[ -d $folder ]] && seeds+=("$folder")
  done
  ((${#seeds[@]})) || { echo "no corpus for $name" >&2; exit 1; }
  while (($(jobs -rp | wc -l) >= cores)); do wait -n || status=1; done
  echo "fuzzing $name for $each s" >&2
  "$target" -max_total_time="$each" -rss_limit_mb=4096 -timeout=20 -print_final_stats=1 \
    -artifact_prefix="build/fuzz/$name-" "$corpus" "${seeds[@]}" >"build/fuzz/$name.log" 2>&1 &
  pids+=($!)
done
for pid in "${pids[@]}"; do wait "$pid" || status=1; done
for target in "${targets[@]}"; do
  name=$(basename "$target")
  printf '%-16s %s\n' "$name" "$(grep -E 'number_of_executed_units|SUMMARY|ERROR' "build/fuzz/$name.log" | tr '\n' ' ')"
done
exit "$status"
