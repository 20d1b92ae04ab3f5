#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Tests the command: run.sh PATH-TO-ROARMASK [FILE.md...]
#
# The cases are console transcripts in Markdown: between "```console" and "```", a line "$ COMMAND" (continued by lines "> ...")
# is run by bash in a scratch folder that the file's commands share, and the lines after it are what it must print: standard
# output, then standard error with "! " before each line, then "[N]" if the exit code is N and not 0. Without files: every
# .md beside this script, and the examples in docs/cli.md.
#
# UPDATE=1 writes what came out into the files instead. Read the difference before you keep it.
set -u

[[ $# -ge 1 && -x $1 ]] || { echo "usage: run.sh PATH-TO-ROARMASK [FILE.md...]" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
program=$(realpath "$1")
shift
[[ $# -gt 0 ]] || set -- "$here"/*.md "$here/../../docs/cli.md"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/bin"
ln -s "$program" "$scratch/bin/roarmask"
export PATH="$scratch/bin:$PATH" LC_ALL=C.UTF-8
unset COLUMNS LINES ROARMASK_SIMD

passed=0 failed=0

# Runs $command in the folder $work and prints what a transcript shows of it.
run_command() {
    (cd "$work" && bash -c "$command" >"$scratch/out" 2>"$scratch/err" </dev/null)
    local code=$?
    cat "$scratch/out"
    sed 's/^/! /' "$scratch/err"
    [[ $code -eq 0 ]] || echo "[$code]"
}

# Compares the case that was just read, if there is one, and writes what came out to the new transcript.
finish_case() {
    [[ -n $command ]] || return
    run_command >"$scratch/actual"
    if cmp -s "$scratch/expected" "$scratch/actual"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf '%s: $ %s\n' "${file##*/}" "$command"
        diff -u --label expected --label actual "$scratch/expected" "$scratch/actual"
    fi
    cat "$scratch/actual" >>"$scratch/new"
    command=
}

run_file() {
    local file=$1 inside= command= line work
    work=$(mktemp -d "$scratch/work.XXXXXX")
    : >"$scratch/new"
    while IFS= read -r line; do
        if [[ $inside && $line == '$ '* ]]; then
            finish_case
            command=${line#'$ '}
            : >"$scratch/expected"
        elif [[ $inside && $command && $line == '> '* && ! -s $scratch/expected ]]; then
            command+=$'\n'${line#'> '}
        elif [[ $inside && $line != '```' ]]; then
            printf '%s\n' "$line" >>"$scratch/expected"
            continue
        else
            [[ $inside ]] && finish_case
            inside=
            [[ $line == '```console' ]] && inside=1
        fi
        printf '%s\n' "$line" >>"$scratch/new"
    done <"$file"
    if [[ ${UPDATE:-} ]] && ! cmp -s "$scratch/new" "$file"; then
        cat "$scratch/new" >"$file"
        echo "updated $file"
    fi
}

for file in "$@"; do
    run_file "$file"
done
echo "$passed passed, $failed failed"
[[ $failed -eq 0 && $passed -gt 0 ]]
