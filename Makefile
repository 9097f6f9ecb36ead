# Two commands matter: `make lab` to learn, `make test` to develop. `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
INSTALLED := $(VENV)/.installed

.PHONY: help lab test test-unit test-quiet test-matrix lint lock bench clean

help: ## What can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' \
	  | awk -F'\t' '{printf "  make %-11s %s\n", $$1, $$2}'

lab: $(INSTALLED) ## The lab and JupyterLab on the first notebook (ARGS=--no-browser on a server)
	@$(BIN)/vobiz-kit lab notebooks -- $(ARGS)

# Two at a time, a file each, with a lab of its own: calls are mostly waiting for people to speak.
test: $(INSTALLED) lint ## Lint, types, unit tests, the real stack, every notebook
	@$(BIN)/vobiz-kit lab build
	@$(BIN)/pytest --numprocesses 2 --dist loadfile --nbmake tests notebooks \
	  -m "not quiet" $(ARGS)

test-quiet: $(INSTALLED) ## What needs the machine for itself: the agent breaks, warm transfers, spoken tricks
	@$(BIN)/vobiz-kit lab build
	@$(BIN)/pytest tests/lab -m quiet $(ARGS)

test-unit: $(INSTALLED) ## The fast tests of pure logic
	@$(BIN)/pytest tests/unit $(ARGS)

lint: $(INSTALLED) ## ruff and mypy
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check . || { echo "Run: $(BIN)/ruff format ." >&2; exit 1; }
	@$(BIN)/mypy --no-error-summary

bench: $(INSTALLED) ## Measure start, memory and latencies; writes docs/benchmarks.md
	@$(BIN)/python scripts/bench.py $(ARGS)

test-matrix: $(INSTALLED) ## Every failure of a transfer, by tool and button; writes docs/transfer-matrix.md
	@$(BIN)/python scripts/transfer_matrix.py $(ARGS)

lock: $(INSTALLED) ## Choose versions anew: requirements.lock for all platforms, naming no host
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --upgrade \
	  --extra dev --output-file requirements.lock pyproject.toml
	@touch requirements.lock

clean: ## Remove what tests and builds leave in this folder (not the virtual environment)
	@rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist *.egg-info notebooks/logs
	@find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

# Made anew only when what is to be installed has changed.
$(INSTALLED): requirements.lock scripts/uv.lock scripts/bootstrap.sh pyproject.toml
	@PYTHON=$(PYTHON) scripts/bootstrap.sh $(VENV)
	@touch $@
