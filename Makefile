# Every target starts from python3 (>= 3.11), git and make; `make help` lists them.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
STAMP := $(VENV)/.installed
NODE_STAMP := node_modules/.installed
WEB := cloud/web/static/dist/app.js
BUNDLE := build/bundle/default.zip
PYTEST_ARGS ?=
WORKERS ?= 3
SEEDS ?= 200
SEED ?= 1
SHOTS ?= 50000

export OPENBLAS_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.PHONY: help venv web train demo test test-long check fix sim e2e screenshots faults bench-peers bench lock proto clean

help:  ## List the targets.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 12

$(STAMP): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Zhisan needs Python 3.11 or newer; set PYTHON=")'
	@echo "setting up $(VENV): hash-locked packages, a minute or two on the first run"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

venv: $(STAMP)  ## Build the Python environment only.

$(NODE_STAMP): package.json package-lock.json $(STAMP)
	@$(PY) -m deploy.node npm ci --no-fund --no-audit --loglevel=error
	@touch $@

$(WEB): $(NODE_STAMP) $(wildcard cloud/web/assets/*)
	@$(PY) -m deploy.node node cloud/web/assets/build.mjs

web: $(WEB)  ## Build the page's JavaScript and CSS from npm packages.

$(BUNDLE): $(STAMP) deploy/build_bundle.py $(shell find models contract simulators/press simulators/faults -name '*.py' 2>/dev/null)
	@$(BIN)/zhisan models build --out $@

train: $(BUNDLE)  ## Train the default model bundle (seeded; the same bytes every time).

demo: $(STAMP) $(WEB) $(BUNDLE)  ## Run the whole system on embedded defaults; Ctrl-C stops it.
	@$(BIN)/zhisan up

test: $(STAMP) $(WEB) $(BUNDLE)  ## Prove it: checks, unit, property, adapter, integration and end-to-end tests.
	@$(PY) -m deploy.test_packages
	@$(MAKE) --no-print-directory check
	@$(PY) -m pytest -n $(WORKERS) --no-loadscope-reorder $(PYTEST_ARGS)

test-long: $(STAMP) $(WEB) $(BUNDLE)  ## The deeper runs of what `make test` does in small: 200 kills, 6,000 requests, big files.
	@$(PY) -m deploy.test_packages
	@$(PY) -m pytest -m slow --timeout 3600 $(PYTEST_ARGS)
	@ZHISAN_KILLS=200 $(PY) -m pytest tests/e2e/test_kill.py --timeout 3600 $(PYTEST_ARGS)

check: $(STAMP)  ## Format, lint, types, import rules.
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

fix: $(STAMP)  ## Repair what can be repaired by itself.
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

sim: $(STAMP)  ## Run SEEDS seeds of the deterministic simulation, from SEED on; a seed that breaks a law is printed.
	@$(PY) -m tests.simulation.run --seeds $(SEEDS) --seed $(SEED)

e2e: $(STAMP) $(WEB) $(BUNDLE)  ## Only the tests that start the real programs.
	@$(PY) -m pytest tests/e2e $(PYTEST_ARGS)

screenshots: $(STAMP) $(WEB)  ## Write a picture of every page, in both languages, wide and narrow, light and dark, to build/.
	@$(PY) -m tests.e2e.screenshots

faults: $(STAMP)  ## Break the real programs nine ways and count; SHOTS=5000 is the quick look.
	@$(PY) -m bench.faults --shots $(SHOTS) --json

bench-peers: $(STAMP)  ## The same faults on other software, where it can be installed.
	@$(PY) -m bench.peers --json

bench: $(STAMP) $(BUNDLE)  ## Run every script in bench/; each ends with one JSON line.
	@$(PY) -m bench

LOCK = $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-annotate --custom-compile-command "make lock" --quiet
lock: $(STAMP)  ## Renew the hash-locked requirements.
	@$(LOCK) --extra edge --extra parquet -o requirements/edge.txt
	@$(LOCK) --extra cloud -o requirements/cloud.txt
	@$(LOCK) --all-extras -o requirements/dev.txt
	@$(LOCK) --extra cloud --extra tracing -c requirements/dev.txt -o requirements/cloud-tracing.txt

proto: $(STAMP)  ## Generate the Sparkplug codec from its .proto.
	@$(PY) -m grpc_tools.protoc -I contract/sparkplug --python_out=contract/sparkplug --pyi_out=contract/sparkplug \
		contract/sparkplug/sparkplug_b.proto

clean:  ## Remove what the targets built.
	@rm -rf $(VENV) build node_modules cloud/web/static/dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
