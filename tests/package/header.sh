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
assembly=$(c++ -I. -S -o - -x c++ - <<<'#include <roarmask/attention.h>
const char *version() { return rmask_version(); }
double peak() { return rmask_attention_peak_flops(); }')
for name in rmask_version rmask_attention_peak_flops; do
    grep -qw $name <<<"$assembly" || { echo "$name has no C linkage in C++" >&2; exit 1; }
done
