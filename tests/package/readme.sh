#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# readme.sh BUILD: what the README and other pages show works. Their C programs compile, run and print what the `prints:` comment says,
# and every line of README's ```sh blocks that starts with `roarmask` succeeds.
set -euo pipefail
build=$1
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

blocks() { awk -v fence='```'"$2" '$0 == fence { inside = 1; next } /^```/ { inside = 0 } inside' "$root/$1"; }

for page in README.md docs/atlas.md; do
    blocks "$page" c >example.c
    cc -std=c11 -Wall -Wextra -Wpedantic -Werror -I"$root/include" example.c "$build/src/libroarmask.a" -o example
    expected=$(sed -n 's,.*/\* prints: \(.*\) \*/.*,\1,p' example.c)
    actual=$(./example)
    [[ -n $expected && $actual == "$expected" ]] || { echo "the C program prints '$actual', $page says '$expected'" >&2; exit 1; }
done

# That of attention is linked as its page says, but for the place.
blocks docs/attention.md c >example.c
cc -std=c11 -Wall -Wextra -Wpedantic -Werror -I"$root/include" example.c -L"$build/src/attention" -L"$build/src" \
    -Wl,-rpath,"$build/src/attention:$build/src" -lroarmask-attention -lroarmask -o example
expected=$(sed -n 's,.*/\* prints: \(.*\) \*/.*,\1,p' example.c)
actual=$(./example)
[[ -n $expected && $actual == "$expected" ]] || { echo "the C program prints '$actual', docs/attention.md says '$expected'" >&2; exit 1; }

commands=$(blocks README.md sh | grep '^roarmask ')
while IFS= read -r command; do
    PATH=$build:$PATH bash -euc "$command" </dev/null >output 2>&1 ||
        { printf "README's '%s' failed:\n%s\n" "$command" "$(<output)" >&2; exit 1; }
done <<<"$commands"
