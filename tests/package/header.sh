#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# header.sh: every public header compiles by itself, as C11 and as C++, and C++ sees C names.
set -euo pipefail
cd "$(dirname "$0")/../../include"
command -v c++ >/dev/null || { echo "skipped: no C++ compiler (c++)" >&2; exit 77; }
warnings=(-Wall -Wextra -Wpedantic -Werror)
for header in */*.h; do
    cc -std=c11 "${warnings[@]}" -I. -fsyntax-only -x c - <<<"#include <$header>"
    c++ -std=c++11 "${warnings[@]}" -I. -fsyntax-only -x c++ - <<<"#include <$header>"
done
assembly=$(c++ -I. -S -o - -x c++ - <<<'#include <roarmask/roarmask.h>
const char *version() { return rmask_version(); }')
grep -qw rmask_version <<<"$assembly" || { echo "rmask_version has no C linkage in C++" >&2; exit 1; }
