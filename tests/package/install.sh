#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# install.sh BUILD: installs to a temporary prefix and uses the result as a stranger would, by pkg-config and by find_package,
# shared and static. Every way must report the version in VERSION.
set -euo pipefail
build=$1
here=$(cd "$(dirname "$0")" && pwd)
version=$(<"$here/../../VERSION")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix

expect() { # expect WHAT ACTUAL
    [[ $2 == "$version" ]] || { echo "$1 says version '$2', VERSION says '$version'" >&2; exit 1; }
    echo "$1: $2"
}

cmake --install "$build" --prefix "$prefix" >/dev/null
# The files must work from wherever they end up.
mv "$prefix" "$work/moved"
prefix=$work/moved

PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name roarmask.pc)")
export PKG_CONFIG_PATH
libdir=$(pkg-config --variable=libdir roarmask)
expect "pkg-config" "$(pkg-config --modversion roarmask)"
# shellcheck disable=SC2046 # pkg-config's flags are words
cc -std=c11 "$here/consumer.c" -o "$work/by-pkg-config" $(pkg-config --cflags --libs roarmask)
expect "linked by pkg-config" "$(LD_LIBRARY_PATH=$libdir "$work/by-pkg-config")"

cmake -S "$here" -B "$work/consumer" -DCMAKE_PREFIX_PATH="$prefix" -DEXPECTED_VERSION="$version" --log-level=NOTICE >/dev/null
cmake --build "$work/consumer" >/dev/null
expect "linked by find_package, shared" "$("$work/consumer/by-shared")"
expect "linked by find_package, static" "$("$work/consumer/by-static")"
expect "the command" "$("$prefix/bin/roarmask" --version | grep -oE '[0-9]+(\.[0-9]+)+')"

# The shared library shows the public functions only and needs nothing but libc.
strange=$(nm -D --defined-only "$libdir/libroarmask.so" | awk '$3 !~ /^rmask_/ { print $3 }')
[[ -z $strange ]] || { echo "libroarmask.so exports what is not public: $strange" >&2; exit 1; }
strange=$(readelf -d "$libdir/libroarmask.so" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | grep -vE '^(libc\.|ld-linux)' || true)
[[ -z $strange ]] || { echo "libroarmask.so needs $strange" >&2; exit 1; }
