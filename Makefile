# `make demo` and `make test` work as the first command in a fresh clone: they create .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
CORES := $(shell nproc 2>/dev/null || sysctl -n hw.ncpu 2>/dev/null || echo 2)

.PHONY: help install demo test test-slow check lint types contracts bench soak format pages clean

help: ## show this list
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "c2f needs Python 3.11 or newer: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

install: $(INSTALLED) ## create .venv and install c2f with its development tools

demo: install ## run the main job on the embedded data set and say where the report is
	$(BIN)/c2f demo

# Tests start hundreds of processes; without compiled files each would compile c2f again.
test test-slow: export PYTHONDONTWRITEBYTECODE :=

test: install ## run the tests
	$(BIN)/python -m pytest -n $(CORES) --dist worksteal

test-slow: install ## run the tests that need a browser or much time, too
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v chrome >/dev/null \
	  || echo "No Chromium: the tests of the report in a browser are skipped (Debian: apt install chromium)." >&2
	@command -v node >/dev/null \
	  || echo "No node: the syntax of the report's script is not checked (Debian: apt install nodejs)." >&2
	$(BIN)/python -m pytest -n $(CORES) --dist worksteal -m "slow or not slow"

check: lint types contracts test ## all that CI runs

lint: install ## ruff: style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install ## mypy, strict
	$(BIN)/mypy c2f_data c2f_train
	$(BIN)/mypy cli

contracts: install ## import-linter: who may import whom
	$(BIN)/lint-imports

bench: install ## measure: each benchmark in its short form
	$(BIN)/python -m benchmarks.hierarchy
	$(BIN)/python -m benchmarks.calibration
	$(BIN)/python -m benchmarks.observer
	$(BIN)/python -m benchmarks.shards
	$(BIN)/python -m benchmarks.scale
	$(BIN)/python -m benchmarks.head
	$(BIN)/python -m benchmarks.effective
	$(BIN)/python -m benchmarks.train

soak: install ## kill builds of shards at random moments, 30 times, and look at what is left
	$(BIN)/python -m pytest -m slow -s tests/data/test_shards_soak.py

format: install ## rewrite files in the project's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

pages: install ## rewrite docs/api.md, docs/cli.md, docs/schemas and the packages' public names from the code
	$(BIN)/python -m tools.public_names
	$(BIN)/python -m tools.api
	$(BIN)/python -m tools.cli_page
	$(BIN)/python -m tools.schemas

clean: ## remove .venv and caches; the workspace stays
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
