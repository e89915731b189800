# make demo | make test on a fresh machine with git, python3 (3.11 or newer) and make; everything else is set up here.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PY     := $(BIN)/python
READY  := $(VENV)/ready
WORKERS ?= 2
CHECKED := src tests scripts/bench-start.py

# Holds an OpenMP library where the machine has none (see scripts/setup).
export LD_LIBRARY_PATH := $(CURDIR)/$(VENV)/lib/openmp$(if $(LD_LIBRARY_PATH),:$(LD_LIBRARY_PATH))

.DEFAULT_GOAL := help
.PHONY: help setup engines demo test lint types walls unit format bench-start bench-profile bench-quiet bench-labelfree bench-silent-failures bench-triage lock wheel clean

help: ## Show what can be made
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 30

setup: $(READY) ## Set up the local environment in .venv (a second run reuses it)

$(READY): pyproject.toml constraints/build.txt constraints/dev.txt scripts/setup
	@PYTHON="$(PYTHON)" scripts/setup $(VENV)
	@touch $@

engines: $(READY) ## Install what summaries inside DuckDB, PostgreSQL and Spark need (400 MB) into .venv
	$(PY) -m pip install --disable-pip-version-check --no-input -qq --require-hashes -r constraints/engines.txt

demo: $(READY) ## Run the main job on the real 2013 New York flights
	@$(PY) -m headwater demo $(DEMO)

test: lint types walls unit ## Run every check: ruff, mypy, import walls, tests

lint: $(READY) ## Check style and layout with ruff
	$(PY) -m ruff check $(CHECKED)
	$(PY) -m ruff format --check $(CHECKED)

types: $(READY) ## Check the types with mypy (strict on core, stats and triage)
	$(PY) -m mypy

walls: $(READY) ## Check the import walls between the rooms
	$(BIN)/lint-imports --no-logo --no-cache

unit: $(READY) ## Run the tests
	$(PY) -m pytest -n $(WORKERS) $(TESTS)

format: $(READY) ## Rewrite the code in the house's layout
	$(PY) -m ruff check --fix $(CHECKED)
	$(PY) -m ruff format $(CHECKED)

bench-start: $(READY) ## Measure what `import headwater` and `headwater --help` cost
	$(PY) scripts/bench-start.py

bench-profile: $(READY) ## Measure summaries and drift of 5 M rows against DuckDB, Polars and other tools
	PYTHONPATH=benchmarks $(PY) -m profiling.run $(BENCH)

bench-labelfree: $(READY) ## Measure estimates without labels on real series, against NannyML and what came
	PYTHONPATH=benchmarks $(PY) -m labelfree.run $(BENCH)

bench-quiet: $(READY) ## Measure false alarms, power and natural faults against other tools
	PYTHONPATH=benchmarks $(PY) -m quiet.run $(BENCH)

bench-silent-failures: $(READY) ## Play faults that no job reports, and score who is blamed (BENCH=--quick for minutes)
	PYTHONPATH=benchmarks $(PY) -m silent_failures.run $(BENCH)

bench-triage: $(READY) ## Measure what a verdict takes, by rows and by assets
	PYTHONPATH=benchmarks $(PY) -m triage.run $(BENCH)

lock: ## Write the constraints anew (UPGRADE=1 takes the newest versions)
	PYTHON="$(PYTHON)" scripts/lock

wheel: $(READY) ## Build the wheel into dist/
	$(PY) -m build --wheel --no-isolation

clean: ## Remove what was made here, the environment too
	rm -rf $(VENV) .bench build dist demo .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache src/*.egg-info
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
