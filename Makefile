# Two commands matter: `make run` and `make test`. Each sets up what it needs in .venv.
HOST ?= 127.0.0.1
PORT ?= 8000
MODEL ?=
PYTHON ?= python3
# Two processes more than there are cores: some tests wait, for a browser or a server.
JOBS ?= $(shell echo $$(($$(getconf _NPROCESSORS_ONLN) + 2)))
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
CODE := creuset tests bench runs datasets validation native setup.py

.PHONY: setup wheels run test test-isa test-arm64 test-slow mutants check bench bench-frameworks story compare-example clean

setup: .venv/.ready .venv/.native

$(BIN)/python:
	$(PYTHON) -m venv .venv

# Stamps are remade when either file changes; torch's CPU build is pinned by constraints.txt. Serving needs a tenth of
# what the tests need, and nothing compiled beforehand.
.venv/.serve: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --no-compile torch
	$(PIP) --no-compile -e '.[serve]'
	touch $@

.venv/.ready: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) torch
	$(PIP) -e '.[dev]'
	touch .venv/.serve $@

# Everything that a server needs, in one folder: for a machine without a network,
#   pip install --no-index --find-links wheels 'creuset[serve,tenants]'
wheels: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip wheel --quiet -c constraints.txt --wheel-dir wheels torch '.[serve,tenants]'

# The kernels, compiled in a few seconds; without a compiler torch computes.
.venv/.native: $(wildcard native/*.cpp native/*.h native/*.inc native/build.py) | $(BIN)/python
	$(BIN)/python native/build.py --optional
	touch $@

# MODEL=NAME fetches a model first, and serves it beside the shipped one (docs/guides/pull.md).
run: .venv/.serve .venv/.native
	@model=; if [ -n "$(MODEL)" ]; then \
	  if [ -e "$(MODEL)" ] || $(BIN)/creuset pull "$(MODEL)" >/dev/null; then model="--model $(MODEL) $(if $(filter mini,$(MODEL)),,--model mini)"; \
	  else echo "$(MODEL) could not be fetched: the shipped model is served" >&2; fi; fi; \
	exec $(BIN)/creuset serve --host $(HOST) --port $(PORT) $$model

# One thread, and one group of files at a time in each process, those that wait or compute long first (tests/order.py).
# Plain asserts start sooner; tests that fail are run once more, so that pytest shows both sides of each assert.
test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder --assert=plain || \
	  { OMP_NUM_THREADS=1 $(BIN)/python -m pytest --last-failed --last-failed-no-failures none; exit 1; }

# Numbers on other processors: oneDNN, torch, MKL and our kernels are told to use less than this one has; then its own.
NUMERIC := tests/model tests/train tests/engine tests/text tests/native
AVX512 := $(if $(shell grep -m1 -o avx512f /proc/cpuinfo),ATEN_CPU_CAPABILITY=avx512 MKL_ENABLE_INSTRUCTIONS=AVX512 CREUSET_ISA=avx512)
test-isa: setup
	set -e; for features in "ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 MKL_ENABLE_INSTRUCTIONS=AVX2 CREUSET_ISA=avx2" \
	  "ONEDNN_MAX_CPU_ISA=AVX512_CORE $(AVX512)" "ONEDNN_MAX_CPU_ISA=ALL"; do for threads in 1 2; do \
	    echo "== $$features, threads: $$threads"; \
	    env $$features OMP_NUM_THREADS=$$threads OMP_WAIT_POLICY=PASSIVE \
	      $(BIN)/python -m pytest --durations=0 --durations-min=20 $(NUMERIC); \
	done; done

# Kernels for arm64, cross-compiled and emulated: needs Debian's g++-aarch64-linux-gnu and qemu-user-static.
test-arm64: setup
	$(BIN)/python -m pytest -m slow -k arm64 tests/native/test_levels.py

# The peers: lm-evaluation-harness and llama.cpp beside us, inspect_ai in an environment of its own (its pins are not
# ours). Where one cannot be installed its tests are skipped, and say so. llama.cpp is compiled, which takes minutes.
test-slow: setup
	$(PIP) -e '.[dev,harness]' || echo "lm-evaluation-harness cannot be installed here: its tests are skipped" >&2
	$(PIP) llama-cpp-python==0.3.36 || echo "llama.cpp cannot be installed here: its tests are skipped" >&2
	test -x .cache/inspect/bin/python || $(PYTHON) -m venv .cache/inspect
	.cache/inspect/bin/python -m pip install --quiet --disable-pip-version-check inspect_ai==0.3.285 || \
	  echo "inspect_ai cannot be installed here: its tests are skipped" >&2
	INSPECT_PYTHON=$(CURDIR)/.cache/inspect/bin/python $(BIN)/python -m pytest -m slow -rs

# Slow: about 300 small changes to the code, each of which some test should notice (docs/adr/0011).
mutants: setup
	$(PIP) -e '.[dev,mutants]'
	PYTHONPATH=$(CURDIR) $(BIN)/python -m tests.mutation --keep docs/runs/mutants.jsonl

check: setup
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_house.py tests/test_packages.py tests/docs/test_links.py

story: setup
	$(BIN)/python -m pytest tests/story -m 'slow or not slow'

bench: setup
	$(BIN)/python bench/all.py

# Slow: the first programs of eight frameworks against SmolLM2, each in an environment of its own (needs node for one).
bench-frameworks: .venv/.serve
	PYTHONPATH=$(CURDIR) $(BIN)/python bench/frameworks/run.py --write

# Four small local endpoints and five published systems side by side: out/compare-example/index.html.
compare-example: setup
	rm -rf out/compare-example out/compare-example-work
	$(BIN)/python runs/compare_example.py out/compare-example

clean:
	rm -rf .venv build dist .cache/native creuset/engine/backend/native/_core.so .pytest_cache .mypy_cache .ruff_cache
