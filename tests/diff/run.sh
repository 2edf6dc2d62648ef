#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# run.sh BUILD_DIR MODULES CSMITH [FIRST_SEED]: differential testing with so many generated modules, as
# many mutants of some, and so many csmith programs. Exit status: 0 all equal, 1 differences, 77 no difference
# but a tool is missing.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd)
status=0
for kind in modules mutants csmith; do
  if [[ $kind == csmith ]]; then count=$3; else count=$2; fi
  ((count > 0)) || continue
  code=0
  "$here/../peer_python.sh" "$here/run.py" --tool "$build/bin/diff_tool" --work "$build/diff/$kind" "--$kind" "$count" \
    --first "${4:-0}" --warphive "$build/bin/warphive" || code=$?
  if ((code != 0 && (code != 77 || status == 0))); then status=$code; fi
done
exit "$status"
