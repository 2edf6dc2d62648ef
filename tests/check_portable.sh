#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The executable of the portable preset runs wherever glibc is, and stays small enough to carry.
set -euo pipefail
cd "$(dirname "$0")/.."
most_bytes=$((40 << 20)) # compressed
./dev build portable
executable=build/portable/bin/warphive
others=$(readelf -d "$executable" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | grep -vxE 'lib(c|m|dl|pthread|rt)\.so\.[0-9]+|ld-linux.*' || true)
if [[ -n $others ]]; then
  echo "$executable needs: $others" >&2
  exit 1
fi
bytes=$(gzip -c "$executable" | wc -c)
echo "$executable: $bytes bytes compressed"
((bytes <= most_bytes))
