# Everything people and CI run, by name. `make` alone lists it. The first target that needs Python packages makes .venv.

PYTHON ?= python3
DEMO_ARGS ?=
PYTEST_ARGS ?=
EDGEVAL_TORCH_INDEX ?=
export EDGEVAL_TORCH_INDEX

BIN := .venv/bin
# Every annotated array of these packages is checked while tests run.
PYTEST := $(BIN)/python -m pytest -n auto --maxprocesses=4 --jaxtyping-packages=edgeval,hls,fault_injection,beartype.beartype
# Fails, rather than finding nothing to do, where the folder is gone.
CPP_FILES := find hls/cpp fault_injection/cpp -name '*.h' -o -name '*.hpp' -o -name '*.cpp'

.NOTPARALLEL:
.DEFAULT_GOAL := help
.PHONY: help venv demo test test-slow test-long doctest lint types contracts docs format wheel check clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "  PYTHON=python3.12           the Python that .venv is made with"
	@echo "  EDGEVAL_TORCH_INDEX=...     package index to take torch from, for example one with CPU builds"
	@echo "  DEMO_ARGS=--small           passed to the demo;  PYTEST_ARGS='-k words -x' passed to pytest"

venv: ## make .venv from the lock file of your Python; does nothing when it is up to date
	@PYTHON='$(PYTHON)' tools/setup-venv

demo: venv ## train, export, compare bit by bit, inject faults; leaves a report in runs/demo
	$(BIN)/edgeval demo --output runs/demo $(DEMO_ARGS)

test: venv ## the tests that take seconds
	$(PYTEST) -m "not slow and not long" $(PYTEST_ARGS)

test-slow: venv ## the tests that take longer
	$(PYTEST) -m "slow and not long" $(PYTEST_ARGS)

test-long: venv ## more of the same, beyond what CI has time for: every back end, every cause, every width
	$(PYTEST) -m long $(PYTEST_ARGS)

doctest: venv ## the examples in docstrings
	$(BIN)/python -m pytest --doctest-modules edgeval hls fault_injection $(PYTEST_ARGS)

lint: venv ## style of Python and C++; lock files against pyproject.toml
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	files=$$($(CPP_FILES)) && $(BIN)/clang-format --dry-run -Werror $$files </dev/null
	$(BIN)/python requirements/lock.py --check

types: venv ## mypy --strict
	$(BIN)/mypy --strict

contracts: venv ## which package may import which
	$(BIN)/lint-imports

docs: venv ## the documentation site, strictly; open build/site/index.html
	rm -rf build/site
	$(BIN)/python -m sphinx --builder html --conf-dir docs --doctree-dir build/doctrees --fail-on-warning --keep-going --quiet . build/site
	! grep -rlE '<(script|link|img|iframe)[^>]*(src|href)="(https?:)?//' build/site --include='*.html' # nothing from elsewhere

format: venv ## rewrite Python and C++ in the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	files=$$($(CPP_FILES)) && $(BIN)/clang-format -i $$files </dev/null

wheel: venv ## build dist/*.tar.gz and, from it, dist/*.whl: the same bytes from the same commit
	rm -rf dist
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct 2>/dev/null || echo 1580601600) $(BIN)/python -m build --no-isolation

check: lint types contracts doctest docs test test-slow wheel ## all checks, the quick ones first

clean: ## remove what was built or cached; keeps .venv and runs
	rm -rf dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
