#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# paths.sh: no file of the repository names a place that exists on one machine only: the checkout's own folder or a home.
set -euo pipefail
cd "$(dirname "$0")/../.."
git ls-files >/dev/null 2>&1 || { echo "skipped: not a git checkout" >&2; exit 77; }
root=$(pwd -P | sed 's/[].[*^$()+?{}|\\]/\\&/g')
places="(^|[^[:alnum:]_./-])($root|/[h]ome/[[:alnum:]_.-]+|/[U]sers/[[:alnum:]_.-]+|/[r]oot)($|[^[:alnum:]_.-])"
found=$(git ls-files -z --cached --others --exclude-standard | xargs -0 grep -InE "$places" /dev/null || true)
[[ -z $found ]] || { printf 'absolute paths of one machine:\n%s\n' "$found" >&2; exit 1; }
