#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs the fuzz targets in build-fuzz: fuzz.sh run SECONDS JOBS [TARGET...] | fuzz.sh keep [TARGET...]
#   run   each target for so many seconds, so many at a time; new inputs go to build-fuzz/corpus, findings to build-fuzz/findings
#   keep  a small set of inputs that covers the edges that tests/fuzz/corpus and build-fuzz/corpus cover becomes tests/fuzz/corpus
set -euo pipefail
cd "$(dirname "$0")/.."
purpose=$1
shift
programs=build-fuzz/tests/fuzz
sources=tests/fuzz
export ASAN_OPTIONS=quarantine_size_mb=32:detect_stack_use_after_return=1
export UBSAN_OPTIONS=print_stacktrace=1

# Bytes of an input.
longest() { [[ $1 == fuzz_roaring ]] && echo 9000 || { [[ $1 == fuzz_ops || $1 == fuzz_parse ]] && echo 300 || echo 4096; }; }

num_files() { find "$@" -type f | wc -l; }

run_target() {
    local target=$1 seconds=$2 new=build-fuzz/corpus/$1 findings=build-fuzz/findings/$1 log=build-fuzz/$1.log before status=0
    local options=(-max_len="$(longest "$target")" -len_control=0 -timeout=25 -max_total_time="$seconds" -print_final_stats=1)
    [[ -e $sources/$target.dict ]] && options+=(-dict="$sources/$target.dict")
    mkdir -p "$new" "$findings" "$sources/corpus/$target"
    before=$(num_files "$new")
    "$programs/$target" "${options[@]}" -artifact_prefix="$findings/" "$new" "$sources/corpus/$target" >"$log" 2>&1 || status=$?
    awk -v target="$target" -v new="$(($(num_files "$new") - before))" '
        /^#.* cov: / { covered = $4; features = $6 }
        /number_of_executed_units/ { runs = $2 }
        /average_exec_per_sec/ { speed = $2 }
        END { printf "%-14s %9d runs %6d/s  %5d edges, %6d features  %4d new inputs\n", target, runs, speed, covered, features, new }' "$log"
    ((status == 0)) && return
    grep -aE "^  case:|^  not so:|ERROR:|SUMMARY:|runtime error" "$log" | head -n 6
    echo "$target has found something. The input: $(grep -aoE "Test unit written to .*" "$log" | sed 's/.* //' || true)"
    echo "  again: $programs/$target INPUT       the whole log: $log       what to do then: docs/testing.md"
    return 1
}

case $purpose in
    run)
        seconds=$1 jobs=$2
        shift 2
        ;;
    keep) ;;
    *) echo "unknown purpose '$purpose': run or keep" >&2 && exit 2 ;;
esac
targets=("$@")
((${#targets[@]})) || mapfile -t targets < <(basename -s .c "$sources"/fuzz_*.c)

if [[ $purpose == keep ]]; then
    for target in "${targets[@]}"; do
        new=build-fuzz/minimal/$target
        rm -rf "$new"
        mkdir -p "$new" "$sources/corpus/$target" "build-fuzz/corpus/$target"
        "$programs/$target" -merge=1 -use_counters=0 -max_len="$(longest "$target")" "$new" "$sources/corpus/$target" "build-fuzz/corpus/$target" >/dev/null 2>&1
        rm -rf "${sources:?}/corpus/$target"
        mv "$new" "$sources/corpus/$target"
        echo "$target: $(num_files "$sources/corpus/$target") inputs, $(cat "$sources/corpus/$target"/* | wc -c) bytes"
    done
    exit
fi

echo "Fuzzing ${targets[*]}: $seconds s each, $jobs at a time. Logs are in build-fuzz, new inputs in build-fuzz/corpus."
failed=0 running=0
for target in "${targets[@]}"; do
    if ((running == jobs)); then
        wait -n || failed=1
        running=$((running - 1))
    fi
    run_target "$target" "$seconds" &
    running=$((running + 1))
done
for ((; running; running--)); do wait -n || failed=1; done
exit "$failed"
