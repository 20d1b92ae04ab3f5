#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# test_cuda.sh PROGRAM: runs the device's tests, and again under compute-sanitizer with each of its tools. Without a device it says so and
# succeeds, since there is nothing to test.
set -euo pipefail
program=$1
status=0
"$program" || status=$?
if ((status == 77)); then
    echo "test-cuda: nothing was run" >&2
    exit 0
fi
((status == 0)) || exit "$status"
sanitizer=$(command -v compute-sanitizer || echo /usr/local/cuda/bin/compute-sanitizer)
[[ -x $sanitizer ]] || { echo "test-cuda: no compute-sanitizer: it comes with CUDA's toolkit" >&2; exit 1; }
for tool in memcheck racecheck; do
    echo "==> $tool" >&2
    "$sanitizer" --tool "$tool" --error-exitcode 1 "$program"
done
