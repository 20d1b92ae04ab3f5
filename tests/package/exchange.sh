#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# exchange.sh BUILD: NumPy, SciPy and pyroaring read what `roarmask convert` writes, and it reads what they write. The examples in
# docs/exchange.md work: the C program prints what its `prints:` comment says, the Python one runs.
set -euo pipefail
build=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

example() { awk -v fence='```'"$1" '$0 == fence { inside = 1; next } /^```/ { inside = 0 } inside' "$root/docs/exchange.md"; }

example c >example.c
cc -std=c11 -Wall -Wextra -Wpedantic -Werror -I"$root/include" example.c "$build/src/libroarmask.a" -o example
expected=$(sed -n 's,.*/\* prints: \(.*\) \*/.*,\1,p' example.c)
actual=$(./example)
[[ -n $expected && $actual == "$expected" ]] || { echo "the C example prints '$actual', docs/exchange.md says '$expected'" >&2; exit 1; }

export PYTHONPATH="$root/.deps/python" PYTHONDONTWRITEBYTECODE=1
for python in python3 /usr/bin/python3; do
    "$python" -c 'import numpy, scipy.sparse, scipy.io, pyroaring' 2>/dev/null || continue
    example python >example.py
    PATH=$build:$PATH "$python" example.py
    "$python" "$here/exchange.py" "$build/roarmask"
    exit
done
echo "skipped: no Python with NumPy, SciPy and pyroaring (scripts/setup.sh test installs them)" >&2
exit 77
