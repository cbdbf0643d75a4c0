# Two commands matter: `make run` and `make test`. Everything is set up by `make setup`.
HOST ?= 127.0.0.1
PORT ?= 8000
PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup run test test-slow mutants check bench story compare-example clean

setup: .venv/.ready

# torch's CPU build is pinned by constraints.txt; the stamp is remade when either file changes.
.venv/.ready: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

run: setup
	$(BIN)/creuset serve --host $(HOST) --port $(PORT)

test: setup
	$(BIN)/python -m pytest

# The peers: lm-evaluation-harness beside us, inspect_ai in an environment of its own (its pins are not ours).
test-slow: setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,harness]'
	test -x .cache/inspect/bin/python || $(PYTHON) -m venv .cache/inspect
	.cache/inspect/bin/python -m pip install --quiet --disable-pip-version-check inspect_ai==0.3.285
	INSPECT_PYTHON=$(CURDIR)/.cache/inspect/bin/python $(BIN)/python -m pytest -m slow

# Slow: about 300 small changes to the code, each of which some test should notice (docs/adr/0011).
mutants: setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,mutants]'
	PYTHONPATH=$(CURDIR) $(BIN)/python -m tests.mutation --keep docs/runs/mutants.jsonl

check: setup
	$(BIN)/ruff check creuset tests bench
	$(BIN)/mypy

story: setup
	$(BIN)/python -m pytest tests/story -m 'slow or not slow'

bench: setup
	$(BIN)/python bench/all.py

# Four small local endpoints and five published systems side by side: out/compare-example/index.html.
compare-example: setup
	rm -rf out/compare-example out/compare-example-work
	$(BIN)/python runs/compare_example.py out/compare-example

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache
