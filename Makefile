# Everything that is done to this project, by one name each. `make` lists them.
#
# Each target makes `.venv` when there is none, and installs into it what it needs when
# pyproject.toml changed. Another interpreter: `make clean`, then `make test PYTHON=python3.12`.

PYTHON ?=
PY := .venv/bin/python
BIN := .venv/bin
PYTEST := $(PY) -m pytest
# `make test ARGS='-x -k listing'` hands more to pytest.
ARGS ?=
# How many tests run at once. They wait for servers and processes: one more than there are cores.
WORKERS ?= 3

# The tests start hundreds of processes: without the cache each would compile all of Holdall anew.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test ready check lint bench soak format clean

help: ## Say what can be made.
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1|\2/p' $(firstword $(MAKEFILE_LIST)) | \
		while IFS='|' read -r name text; do printf '%-14s %s\n' "$$name" "$$text"; done

demo: .venv/.demo ## Sync a real folder into a store, interrupted and resumed; load a building.
	HOLDALL_DEMO_PLANT=.venv/plant.db $(PY) demo/main.py

# Checking types keeps one core busy, so what else the tests need is made beside it.
test: .venv/.dev ## Check everything, then run the tests with coverage.
	@$(MAKE) --no-print-directory -j 3 ready
	$(PYTEST) -n $(WORKERS) --dist loadscope --cov --cov-report=term $(ARGS)

ready: lint .venv/.collected .venv/.servers
	@:

check: lint ## Format, lint, types, import floors, examples in the docs.
	$(PYTEST) -q tests/test_floors.py tests/test_docs.py

lint: .venv/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy --strict

bench: .venv/.bench .venv/.servers ## Run the benchmarks and print the ratios.
	@failed=; for file in benchmarks/objects_*.py benchmarks/layers.py benchmarks/records.py \
		benchmarks/codecs.py benchmarks/haystack.py benchmarks/server.py; do \
		[ -e "$$file" ] || { echo "There are no benchmarks yet."; exit 1; }; \
		echo "== $$file"; $(PY) "$$file" || failed="$$failed $$file"; \
	done; [ -z "$$failed" ] || { echo "Failed:$$failed"; exit 1; }

soak: .venv/.dev .venv/.servers ## Run the tests that take minutes.
	HYPOTHESIS_PROFILE=soak $(PYTEST) -m soak --timeout=3600 $(ARGS)

format: .venv/.dev ## Format, and repair what the linter can.
	$(BIN)/ruff check --fix --exit-zero .
	$(BIN)/ruff format .

clean: ## Remove everything that the other targets made.
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage .coverage.* htmlcov build dist
	find src tests demo benchmarks -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

# A name on PATH may be a stub that cannot run, so each candidate is run before it is taken.
# Without pip in it a half-made .venv would pass for a whole one, so it goes.
$(PY):
	@suits() { command -v "$$1" >/dev/null && "$$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }; \
	found=; for name in $(or $(PYTHON),python3.13 python3.12 python3.11 python3 python); do \
		if suits "$$name"; then found="$$name"; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
		echo "Holdall needs Python 3.11 or later, which $(or $(PYTHON),every python3.13 python3.12 python3.11 python3 python on PATH) is not, or does not run." >&2; \
		echo "Install one, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; exit 1; \
	fi; \
	echo "Making .venv with $$("$$found" --version)"; \
	"$$found" -m venv --clear .venv || { rm -rf .venv; exit 1; }

.venv/.demo: pyproject.toml | $(PY)
	$(PY) -m pip install -q -e '.[cli,yaml,server]'
	@touch $@

.venv/.dev: pyproject.toml | $(PY)
	$(PY) -m pip install -q -e '.[dev,cli,yaml]'
	@touch $@

.venv/.bench: pyproject.toml | $(PY)
	$(PY) -m pip install -q -e '.[dev,cli,yaml,bench]'
	@touch $@

# What pytest and Hypothesis make of each file once and keep, before each worker would make it for
# itself. What fails here fails in the run, which says more about it.
.venv/.collected: | .venv/.dev
	@$(PYTEST) --collect-only -qq -p no:randomly >/dev/null 2>&1 || true
	@touch $@

# A server that cannot be installed is no failure, so its tests are skipped; the stamp is left out
# then, and the next run tries again.
.venv/.servers: tests/serving/install.py | .venv/.dev
	@PYTHONPATH=tests $(PY) -m serving.install
	@[ ! -e .venv/servers/complete ] || touch $@
