# Every target sets itself up: a fresh machine needs Python 3.11 or newer, and make.
#   run      the demonstration: a year of real predictions, sealed, judged, retrained
#   test     all tests (make services first, else those that need PostgreSQL or Chromium skip)
#   check    format, lint, types, directions, migrations, README
#   bench    measure (ONLY=ingest for one)      soak   the long tests
#   services PostgreSQL, Chromium, brokers, Java and Maven from Debian's packages; Kafka by Maven
#   lock     choose newer dependencies          clean  forget all that was built
.DEFAULT_GOAL := run
.PHONY: run test check bench soak services lock clean environment
SHELL := /bin/sh

export DO_NOT_TRACK := 1
export STREAMLIT_BROWSER_GATHER_USAGE_STATS := false

BIN := .venv/bin
ENOUGH := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
ifeq ($(origin PYTHON),undefined)
PYTHON := $(shell for python in python3.11 python3.12 python3.13 python3 python; do \
	$$python -c '$(ENOUGH)' 2>/dev/null && echo $$python && break; done)
endif
ROOMS := $(wildcard audit collector drift dashboard migrations modelwitness.py)

run: environment
	$(BIN)/modelwitness demo $(ARGS)

test: environment
	# The pages apart: Playwright leaves an event loop behind in its process, Streamlit another __main__.
	$(BIN)/pytest -n 2 --dist loadfile --ignore tests/e2e --ignore tests/dashboard $(ARGS)
	$(BIN)/pytest -n 2 --dist loadfile tests/dashboard tests/e2e $(ARGS)

check: environment
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy $(ROOMS) tests .ci/environment.py
	$(BIN)/lint-imports
	$(BIN)/pytest -q -n 2 --dist loadfile tests/architecture

bench: environment
	$(BIN)/python tests/benchmarks/run.py $(if $(ONLY),--only $(ONLY)) $(ARGS)

soak: environment
	$(BIN)/pytest -m soak --timeout 0 $(ARGS)

services:
	.ci/services

environment:
	@if [ -z "$(PYTHON)" ]; then \
		echo "Python 3.11 or newer with its venv module is needed" \
			"(on Debian and Ubuntu: apt-get install python3 python3-venv);" \
			"or name one: make PYTHON=/path/to/python3" >&2; exit 1; fi
	@$(PYTHON) -c '$(ENOUGH)' || { \
		echo "$(PYTHON) is older than 3.11 or has no venv module" >&2; exit 1; }
	@$(PYTHON) .ci/environment.py .venv

# The lock holds hashes for every platform, and no address: pip takes the index it is configured for.
LOCKING := var/locking
lock:
	$(PYTHON) -m venv $(LOCKING)
	$(LOCKING)/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(LOCKING)/bin/uv pip compile --quiet pyproject.toml --universal --generate-hashes --no-emit-index-url \
		--no-annotate --no-header --all-extras --group dev -p 3.11 -o requirements.lock $(ARGS)
	rm -rf $(LOCKING)

clean:
	rm -rf .venv dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
