#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The slow checks: `./dev check`. Each step's result is one line at the end; any failure fails the whole.
set -uo pipefail
cd "$(dirname "$0")/.."
results=()
failed=0
step() {
  local name=$1 start=$SECONDS
  shift
  printf '\n== %s\n' "$name" >&2
  local code=0
  "$@" || code=$?
  case $code in
    0) results+=("ok    $name ($((SECONDS - start)) s)") ;;
    77) results+=("skip  $name (something that it needs is not here)") ;;
    *)
      results+=("FAIL  $name ($((SECONDS - start)) s)")
      failed=1
      ;;
  esac
}
minutes=${WARPHIVE_FUZZ_MINUTES:-60}
modules=${WARPHIVE_DIFF_MODULES:-10000}
csmith=${WARPHIVE_DIFF_CSMITH:-500}

step "build release" ./dev build release
step "all tests" ctest --preset release -j "$(nproc)"
step "g++ 12 builds and passes the unit tests" bash -c './dev build gcc && ctest --preset gcc -L unit -j "$(nproc)"'
step "the portable executable needs glibc only" tests/check_portable.sh
step "clang-tidy" ./dev tidy
step "ThreadSanitizer" bash -c './dev build tsan && ctest --preset tsan -j "$(nproc)"'
step "differential: $modules modules, $csmith csmith programs" \
  tests/diff/run.sh build/release "$modules" "$csmith"
step "specification on jit.sim" python3 tests/spec/run_suite.py build/release/bin/warphive ../shared/data/spec \
  build/release/spec jit.sim --expected-failures tests/spec/expected_failures/jit.sim.txt
step "PTX of all guests assembles" python3 tests/ptx/check_ptx.py build/release/bin/warphive \
  build/release/guests build/release/device/tile_native.ptx build/release/ptx
step "fuzzing, $minutes minutes over all targets" ./dev fuzz "$((minutes * 60))"
printf '\n%s\n' "${results[@]}"
exit "$failed"
