#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# pictures.sh BUILD: the pictures in docs/pictures are the ones that `make pictures` draws.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$root/scripts/pictures.sh" "$1/roarmask" "$work"
diff -r "$work" "$root/docs/pictures" || { echo "docs/pictures is out of date: run make pictures" >&2; exit 1; }
