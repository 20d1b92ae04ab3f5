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

# shellcheck disable=SC2046
cc -std=c11 "$here/attention.c" -o "$work/attention" $(pkg-config --cflags --libs roarmask-attention)
expect "attention linked by pkg-config" "$(LD_LIBRARY_PATH=$libdir "$work/attention")"
# Its two static libraries, with what they need by name.
private=$(pkg-config --static --libs-only-l roarmask-attention | sed 's/-lroarmask[-a-z]*//g')
# shellcheck disable=SC2046,SC2086
cc -std=c11 "$here/attention.c" -o "$work/attention-static" $(pkg-config --cflags roarmask-attention) \
    "$libdir"/libroarmask-attention.a "$libdir"/libroarmask.a $private
expect "attention linked by pkg-config, static" "$("$work/attention-static")"

# libroarmask-cuda is there where it was built.
with_cuda=$([[ -f $PKG_CONFIG_PATH/roarmask-cuda.pc ]] && echo yes || true)
if [[ $with_cuda ]]; then
    # shellcheck disable=SC2046
    cc -std=c11 "$here/cuda.c" -o "$work/cuda" $(pkg-config --cflags --libs roarmask-cuda)
    expect "cuda linked by pkg-config" "$(LD_LIBRARY_PATH=$libdir "$work/cuda")"
    private=$(pkg-config --static --libs roarmask-cuda | sed 's/-lroarmask[-a-z]*//g')
    # shellcheck disable=SC2046,SC2086
    cc -std=c11 "$here/cuda.c" -o "$work/cuda-static" $(pkg-config --cflags roarmask-cuda) \
        "$libdir"/libroarmask-cuda.a "$libdir"/libroarmask.a $private
    expect "cuda linked by pkg-config, static" "$("$work/cuda-static")"
fi

cmake -S "$here" -B "$work/consumer" -DCMAKE_PREFIX_PATH="$prefix" -DEXPECTED_VERSION="$version" --log-level=NOTICE >/dev/null
cmake --build "$work/consumer" >/dev/null
expect "linked by find_package, shared" "$("$work/consumer/by-shared")"
expect "linked by find_package, static" "$("$work/consumer/by-static")"
expect "attention by find_package, shared" "$("$work/consumer/attention-by-shared")"
expect "attention by find_package, static" "$("$work/consumer/attention-by-static")"
if [[ $with_cuda ]]; then
    expect "cuda by find_package, shared" "$("$work/consumer/cuda-by-shared")"
    expect "cuda by find_package, static" "$("$work/consumer/cuda-by-static")"
fi
expect "the command" "$("$prefix/bin/roarmask" --version | grep -oE '[0-9]+(\.[0-9]+)+')"

# The shared libraries show their public functions only; that of the masks needs nothing but libc.
strange=$(nm -D --defined-only "$libdir/libroarmask.so" | awk '$3 !~ /^rmask_/ || $3 ~ /^rmask_attention/ { print $3 }')
[[ -z $strange ]] || { echo "libroarmask.so exports what is not public: $strange" >&2; exit 1; }
shown=$(nm -D --defined-only "$libdir/libroarmask-attention.so" | awk '$3 !~ /^\.gomp_/ { print $3 }' | sort | xargs) # .gomp_: named locks of OpenMP
public=$(sed -n 's/^RMASK_API .* \**\(rmask_[a-z_]*\)(.*/\1/p' "$prefix/include/roarmask/attention.h" | sort | xargs)
[[ $shown == "$public" ]] || { echo "libroarmask-attention.so exports '$shown', its header has '$public'" >&2; exit 1; }
if [[ $with_cuda ]]; then
    shown=$(nm -D --defined-only "$libdir/libroarmask-cuda.so" | awk '{ print $3 }' | sort | xargs)
    public=$(sed -n 's/^RMASK_API .* \**\(rmask_cuda[a-z_]*\)(.*/\1/p' "$prefix/include/roarmask/cuda.h" | sort | xargs)
    [[ $shown == "$public" ]] || { echo "libroarmask-cuda.so exports '$shown', its header has '$public'" >&2; exit 1; }
fi

# Neither do the static ones take names that a program may want for itself.
strange=$(nm -g --defined-only "$libdir"/libroarmask.a "$libdir"/libroarmask-attention.a 2>/dev/null |
    awk 'NF == 3 && $3 !~ /^(rmask_|\.gomp_)/ { print $3 }')
[[ -z $strange ]] || { echo "the static libraries define $strange" >&2; exit 1; }
strange=$(readelf -d "$libdir/libroarmask.so" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | grep -vE '^(libc\.|ld-linux)' || true)
[[ -z $strange ]] || { echo "libroarmask.so needs $strange" >&2; exit 1; }
