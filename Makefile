# `make demo` and `make test` do all the set-up: they create .venv where it is missing.
# Needed: make and Python 3.10 to 3.13. Another interpreter: make demo PYTHON=python3.12

PYTHON ?= python3
VENV ?= .venv
# What pip installs. The newest versions in the ranges of pyproject.toml: make test REQUIREMENTS='.[dev,logging]'
REQUIREMENTS ?= -r requirements.lock
# Test processes at a time; each computes with one thread.
JOBS ?= 2

DEMO_RECIPE ?= synthetic_demo
DEMO_SEEDS ?= 0
DEMO_OUT ?= results/demo
# Cells at a time, which share the cores.
DEMO_WORKERS ?= 2
# Further options of tools/run_grid.py, such as DEMO_FLAGS="--set train_cfg.max_iters=20".
DEMO_FLAGS ?=
# Options of tools/gpu_check.py, such as GPU_FLAGS="--store results".
GPU_FLAGS ?=

BIN := $(VENV)/bin
# Compiled tests are kept for the other processes, whatever the environment says: each would compile them for ten seconds.
PYTEST := PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist worksteal
INSTALLED := $(VENV)/.installed
CHECK_PYTHON := import sys; v = sys.version_info[:2]; (3, 10) <= v <= (3, 13) or sys.exit( \
	"found Python %d.%d, the suite needs 3.10 to 3.13: remove $(VENV) if it exists, then name one, " % v + \
	"as in: make demo PYTHON=python3.11")

.DEFAULT_GOAL := help
.PHONY: help demo board test lint format unit coverage slow docs board-models clean gpu-check

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

DEMO := $(BIN)/python tools/run_grid.py --recipe $(DEMO_RECIPE) --seeds $(DEMO_SEEDS) --workers $(DEMO_WORKERS) \
	--out $(DEMO_OUT) --work $(DEMO_OUT)/work $(DEMO_FLAGS)

demo: $(INSTALLED) ## train a small grid on the embedded data set and print its leaderboard
	$(DEMO) --methods constant,single_task
	$(DEMO) --methods hard_sharing --regularizers none,aux_heads,three_d_aware

board: $(INSTALLED) ## make the tables and the page results/board.html from results/runs
	$(BIN)/python tools/make_leaderboard.py --readme README.md --picture docs/pictures/board.svg

test: lint unit ## lint, types, import rules, then all tests but the slow ones

lint: $(INSTALLED) ## format, ruff, mypy and the import rules
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m ruff check .
	$(BIN)/python -m mypy
	$(BIN)/lint-imports --no-logo

unit: $(INSTALLED) ## the tests alone, without the slow ones
	$(PYTEST) -m "not slow"

format: $(INSTALLED) ## format the code and sort the imports
	$(BIN)/python -m ruff check --select I --fix .
	$(BIN)/python -m ruff format .

coverage: $(INSTALLED) ## the tests without the slow ones, with a report of covered lines
	$(PYTEST) -m "not slow" --cov --cov-report=term:skip-covered

slow: $(INSTALLED) ## the slow tests
	# The dump of a test of more than five minutes can crash its process.
	$(PYTEST) -o faulthandler_timeout=0 -m slow

gpu-check: $(INSTALLED) ## check the suite on one GPU in under ten minutes; GPU_FLAGS="--store results" keeps the table
	$(BIN)/python tools/gpu_check.py $(GPU_FLAGS)

# The documentation needs no network, neither to be built nor to be read.
docs: $(INSTALLED) ## build the documentation site into build/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "open build/site/index.html"

board-models: $(INSTALLED) ## collect the trained models of the boards in results/models
	$(BIN)/python tools/board_models.py

clean: ## remove caches and the results of `make demo`; .venv and data stay
	rm -rf results/demo* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build *.egg-info
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

# An environment that exists already is completed, not made anew. uv makes one without pip, hence ensurepip.
$(INSTALLED): requirements.lock
	@test -x $(BIN)/python || $(PYTHON) -c '$(CHECK_PYTHON)'
	@test -x $(BIN)/python || { echo "creating $(VENV) and installing into it: some minutes"; $(PYTHON) -m venv $(VENV); }
	@$(BIN)/python -c '$(CHECK_PYTHON)'
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input $(REQUIREMENTS)
	@touch $@
