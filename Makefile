# People and CI type the same commands. VENV moves the virtual environment.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
CONFIG ?= configs/digits/digits_cnn_20e.py
# On small models, and beside other processes, torch's threads cost more than they bring.
TEST_ENV := OMP_NUM_THREADS=1
PYTEST ?= $(TEST_ENV) $(BIN)/python -m pytest -n 2 --dist loadgroup

.DEFAULT_GOAL := help
.PHONY: help run test fast lint format types reference bench matrix clean

help:  ## show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: $(VENV)/.run  ## set up, and train a small network on scikit-learn's digits
	$(TEST_ENV) $(BIN)/mm2pl fit $(CONFIG)

test: $(VENV)/.dev lint types reference  ## set up, and run every check: lint, types, all tests
	$(PYTEST)

fast: $(VENV)/.dev  ## the tests that take less than two minutes in all
	$(PYTEST) -m "not slow"

lint: $(VENV)/.dev  ## ruff
	$(BIN)/ruff check --output-format concise .
	$(BIN)/ruff format --check .

format: $(VENV)/.dev  ## let ruff rewrite what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.dev  ## mypy, strict
	$(BIN)/mypy

reference: $(VENV)/.dev  ## install MMEngine 0.10.7 into its own folder, to compare with
	$(BIN)/python tools/reference.py

bench: $(VENV)/.dev reference  ## cost of a step in training and validation, side by side with MMEngine
	$(TEST_ENV) $(BIN)/python tools/bench.py

matrix: $(VENV)/.dev reference  ## write compat_matrix.md and the list in docs/differences.md from the code
	$(BIN)/python tools/class_table.py
	$(BIN)/python tools/compat_matrix.py
	$(BIN)/python tools/differences.py

clean:  ## remove what was set up and what runs left
	rm -rf $(VENV) .ci-venv .reference work_dirs .pytest_cache .mypy_cache .ruff_cache

# Two steps of set-up: what a run needs, and what development needs on top.
$(VENV)/.run: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[digits]'
	touch $@

$(VENV)/.dev: $(VENV)/.run
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@
