#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Makes a machine ready: setup.sh build | test | fuzz | arm | python | vllm | text | format
#   build   tools and libraries; CRoaring if it can be had (without it the benchmark lacks a peer, with a warning)
#   test    the same, but CRoaring is required: it is the tests' oracle; and a Python with NumPy, SciPy and pyroaring
#   fuzz    as build, with CRoaring required, and clang with libFuzzer
#   arm     a cross compiler, an emulator and Arm libraries, for `make test-arm`
#   python  as build, and what a virtual environment and an extension module need
#   vllm    as python, and what vLLM for the CPU loads
#   text    real texts for `make profile`, to .deps/text: the Debian FAQ and the GPL
#   format  clang-format
# What is there already is left alone, without touching the network.
set -euo pipefail
cd "$(dirname "$0")/.."
purpose=${1:-build}
deps=$PWD/.deps
log=$deps/setup.log
pin=$PWD/scripts/requirements-croaring.txt

say() { echo "setup: $*" >&2; }
die() { say "$*"; exit 1; }

# The first Python that has these modules: the one in the path, or Debian's own, for which Debian's packages are.
python_with() {
    local python
    for python in python3 /usr/bin/python3; do
        if PYTHONPATH=$deps/python "$python" -c "import $1" 2>/dev/null; then
            echo "$python"
            return 0
        fi
    done
    return 1
}

have_package() {
    case $1 in
        build-essential) echo '#include <stdio.h>' | cc -E - ;;
        cmake | clang-format | dpkg-dev) command -v "${1%-dev}" ;;
        ninja-build) command -v ninja ;;
        pkg-config) command -v pkg-config ;;
        libcmocka-dev) pkg-config --exists cmocka ;;
        libjansson-dev) pkg-config --exists jansson ;;
        libzip-dev) pkg-config --exists libzip ;;
        libcairo2-dev) pkg-config --exists cairo ;;
        libnuma1) /sbin/ldconfig -p | grep -F libnuma.so.1 ;;
        libxsmm-dev) pkg-config --exists libxsmm ;;
        python3-numpy) python_with numpy ;;
        python3-scipy) python_with scipy.sparse ;;
        python3-pip) python3 -m pip --version ;;
        ca-certificates) [[ -s /etc/ssl/certs/ca-certificates.crt ]] || ! command -v apt-get ;;
        gcc-aarch64-linux-gnu) command -v aarch64-linux-gnu-gcc ;;
        clang) command -v clang ;;
        libclang-rt-dev) echo 'int LLVMFuzzerTestOneInput(void) { return 0; }' | clang -fsanitize=fuzzer -x c -o /dev/null - ;;
        qemu-user) command -v qemu-aarch64 ;;
        python3-venv) python3 -c 'import ensurepip, venv' ;;
        python3-dev) echo '#include <Python.h>' | cc -E $(python3 -c 'import sysconfig; print("-I" + sysconfig.get_paths()["include"])') - ;;
    esac >/dev/null 2>&1
}

# Installs what is missing of the packages named.
need_packages() {
    local missing=() package
    for package in "$@"; do
        have_package "$package" || missing+=("$package")
    done
    ((${#missing[@]})) || return 0
    local command="apt-get install -y --no-install-recommends ${missing[*]}"
    command -v apt-get >/dev/null || die "missing: ${missing[*]} (Debian's names); install what your system calls them"
    [[ $(id -u) == 0 ]] || die "missing: ${missing[*]}; as root run: apt-get update && $command"
    say "installing ${missing[*]} (apt-get, may take a minute or two)"
    mkdir -p "$deps"
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300)
    # A fresh machine has no package lists, an old one has lists of packages that are gone.
    if ! "${apt[@]}" ${command#apt-get } </dev/null >"$log" 2>&1; then
        say "refreshing the package lists (apt-get update)"
        if ! { "${apt[@]}" update && "${apt[@]}" ${command#apt-get }; } </dev/null >>"$log" 2>&1; then
            local reason
            reason=$(grep -m 1 '^W: Failed' "$log" || grep -m 1 '^E:' "$log" || tail -n 1 "$log")
            die "apt-get failed: ${reason#?: } (the rest is in .deps/setup.log)"
        fi
    fi
}

have_croaring() { cmp -s "$pin" "$deps/croaring/pin"; }

# Puts CRoaring's two files into .deps/croaring, with the pin that they were fetched by beside them.
fetch_croaring() {
    have_croaring && return 0
    say "fetching CRoaring (pip download, 0.2 MB)"
    mkdir -p "$deps"
    local work
    work=$(mktemp -d "$deps/fetch.XXXXXX")
    if ! PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$PWD/scripts/archive_as_is python3 -m pip --disable-pip-version-check --no-input \
        download --no-cache-dir --no-deps --no-binary pyroaring --use-pep517 --no-build-isolation --require-hashes \
        --requirement "$pin" --dest "$work" </dev/null >"$log" 2>&1 ||
        ! tar --no-same-owner -xzf "$work"/pyroaring-*.tar.gz -C "$work" --strip-components=2 --wildcards '*/roaring.c' '*/roaring.h' >>"$log" 2>&1
    then
        say "pip: $(grep -m 1 ERROR "$log" || tail -n 1 "$log")"
        rm -rf "$work"
        return 1
    fi
    cp "$pin" "$work/pin"
    rm -rf "$work"/*.tar.gz "$deps/croaring"
    chmod 755 "$work"
    mv "$work" "$deps/croaring"
}

require_croaring() {
    fetch_croaring || die "the tests need CRoaring as their oracle: check the network or pip's settings and try again"
}

# Puts pyroaring into .deps/python, for the Python that has NumPy and SciPy.
require_pyroaring() {
    python_with "numpy, scipy.sparse, pyroaring" >/dev/null && return 0
    say "fetching pyroaring (pip install, 2 MB)"
    local python version
    python=$(python_with "numpy, scipy.sparse") || die "NumPy and SciPy are installed for different Pythons"
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    mkdir -p "$deps"
    rm -rf "$deps/python"
    python3 -m pip --disable-pip-version-check --no-input install --no-cache-dir --no-deps --only-binary :all: --require-hashes \
        --python-version "$version" --target "$deps/python" --requirement scripts/requirements-python.txt </dev/null >"$log" 2>&1 ||
        die "pip: $(grep -m 1 ERROR "$log" || tail -n 1 "$log")"
}

# cmocka for Arm: Debian's own packages, unpacked beside the others so that the machine's package system stays as it is.
fetch_arm_libraries() {
    local root=$deps/arm
    [[ -e $root/usr/include/cmocka.h ]] && return 0
    say "fetching cmocka for Arm (apt-get download)"
    rm -rf "$root"
    mkdir -p "$root"/apt/{lists/partial,cache/archives/partial}
    touch "$root/apt/status"
    local apt=(apt-get -q -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Dir::State="$root/apt"
        -o Dir::State::status="$root/apt/status" -o Dir::Cache="$root/apt/cache" -o APT::Sandbox::User=root)
    if ! (cd "$root" && "${apt[@]}" update && "${apt[@]}" download libcmocka0 libcmocka-dev) </dev/null >"$log" 2>&1; then
        rm -rf "$root"
        die "apt-get failed, its output is in .deps/setup.log"
    fi
    for package in "$root"/*.deb; do
        dpkg-deb -x "$package" "$root"
    done
    rm -rf "$root/apt" "$root"/*.deb
}

# Unpacked from Debian's package rather than installed: small systems leave documentation out when they install.
fetch_texts() {
    local text=$deps/text
    [[ -s $text/debian-faq.en.txt && -s $text/GPL-3 ]] && return 0
    say "fetching a text (apt-get download debian-faq, 0.5 MB)"
    local work
    mkdir -p "$deps"
    work=$(mktemp -d "$deps/fetch.XXXXXX")
    chmod 755 "$work"
    command -v apt-get >/dev/null || die "no apt-get to fetch the Debian FAQ with: name a text of your own, make profile TEXT=FILE"
    if ! (cd "$work" && { apt-get -q download debian-faq || { apt-get -q update && apt-get -q download debian-faq; }; }) </dev/null >"$log" 2>&1; then
        rm -rf "$work"
        die "apt-get failed, its output is in .deps/setup.log; or name a text of your own: make profile TEXT=FILE"
    fi
    dpkg-deb -x "$work"/debian-faq_*.deb "$work"
    mkdir -p "$text"
    cp /usr/share/common-licenses/GPL-3 "$text/GPL-3"
    gzip -dc "$work/usr/share/doc/debian/FAQ/debian-faq.en.txt.gz" >"$text/debian-faq.en.txt"
    rm -rf "$work"
}

build_packages=(build-essential cmake ninja-build pkg-config libjansson-dev libzip-dev libcairo2-dev libcmocka-dev)
have_croaring || build_packages+=(python3-pip ca-certificates)
# Attention is faster with libxsmm and works without: it is for this processor only, and not worth stopping for where it cannot be had.
if [[ $(uname -m) == x86_64 && $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
    build_packages+=(libxsmm-dev)
fi
case $purpose in
    build)
        need_packages "${build_packages[@]}"
        fetch_croaring || say "warning: no CRoaring, so the benchmark will lack its croaring methods"
        ;;
    test)
        python_with "numpy, scipy.sparse, pyroaring" >/dev/null ||
            build_packages+=(python3-numpy python3-scipy python3-pip ca-certificates)
        need_packages "${build_packages[@]}"
        require_croaring
        require_pyroaring
        ;;
    fuzz)
        need_packages "${build_packages[@]}" clang libclang-rt-dev
        require_croaring
        ;;
    arm)
        need_packages "${build_packages[@]}" gcc-aarch64-linux-gnu qemu-user
        require_croaring
        fetch_arm_libraries
        ;;
    python | vllm)
        [[ $purpose == python ]] || build_packages+=(libnuma1)
        need_packages "${build_packages[@]}" python3-venv python3-dev
        fetch_croaring || say "warning: no CRoaring, so the benchmark will lack its croaring methods"
        ;;
    text) fetch_texts ;;
    format) need_packages clang-format ;;
    *) die "unknown purpose '$purpose': build, test, fuzz, arm, python, vllm, text or format" ;;
esac
