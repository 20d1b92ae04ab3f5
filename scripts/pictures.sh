#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Draws the pictures of the documentation: pictures.sh ROARMASK [FOLDER]; FOLDER is docs/pictures unless given.
set -euo pipefail
roarmask=$(realpath "$1")
folder=${2:-$(dirname "$0")/../docs/pictures}
mkdir -p "$folder"
cd "$folder"

"$roarmask" show 'causal & (sink(64) | window(2048) | columns(9000, 21000, 21300) | diagonals(12000, 30000) | random(0.001))' \
    --rows 62500 --width 760 --svg million.svg
"$roarmask" show 'causal & (sink(2) | window(5))' --rows 24 --width 560 --svg cells.svg
"$roarmask" diff 'causal & (sink(64) | window(2048))' 'causal & (sink(64) | window(512) | columns(9000, 21000) | diagonals(20000))' \
    --rows 62500 --width 760 --svg difference.svg >/dev/null
