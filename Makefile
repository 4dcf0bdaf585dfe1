# Everything a newcomer, a developer and CI need. `make help` tells what there is.

# Kept to what GNU make 3.81 knows, the one that macOS has.
SHELL := bash
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
PIP_LOG := $(VENV)/pip.log

# Bytewax has wheels up to 3.12 only. `make PYTHON=/path/to/python3.12` overrules the search.
PYTHON ?=
FITS := import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))
PYTHONS := $(or $(PYTHON),python3.11 python3.12 python3 python /usr/bin/python3.11 /usr/bin/python3.12)

# Folder of logs for `make demo`; without one the sample that ships with the project.
LOGS ?=
# More arguments for pytest: `make test ARGS='-k landing'`.
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: install demo test check prefect bench docs format lock clean help

install: $(INSTALLED) ## Make .venv and install everything into it (repeated only when the packages change)

demo: $(INSTALLED) ## See it all work on this machine: make demo [LOGS=~/.claude/projects]
	@$(BIN)/claude-analytics demo $(if $(LOGS),--logs "$(patsubst ~/%,$(HOME)/%,$(LOGS))")

test: $(INSTALLED) ## Run every test: unit, integration and chaos [ARGS='-k landing']
	$(BIN)/python -m pytest $(ARGS)

check: $(INSTALLED) ## Format, lint, types, import contracts, SQL
	@echo '── ruff format' && $(BIN)/ruff format --check .
	@echo '── ruff check' && $(BIN)/ruff check .
	@echo '── mypy' && $(BIN)/mypy
	@echo '── import contracts' && $(BIN)/lint-imports
	@if [ -d dbt/models ]; then echo '── sqlfluff' && $(BIN)/sqlfluff lint dbt; fi

prefect: $(INSTALLED) ## Prove the Prefect flows on a real Prefect server, in an environment of its own
	@test -x $(VENV)-prefect/bin/prefect || { $(BIN)/python -m venv $(VENV)-prefect && \
	    $(VENV)-prefect/bin/python -m pip install --quiet --editable '.[prefect]' 'pytest>=9,<10' psutil hypothesis; }
	$(VENV)-prefect/bin/python -m pytest tests/integration/test_prefect.py $(ARGS)

bench: $(INSTALLED) ## Measure speed, latency and memory on this machine
	@$(BIN)/python -c 'import dlt' 2>/dev/null || \
	    $(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[bench]' || \
	    echo 'make: dlt could not be installed: its column stays empty' >&2
	$(BIN)/python -m pytest -s -m bench tests/bench $(ARGS)

docs: $(INSTALLED) ## Write the README's tables of commands and settings from the code
	$(BIN)/python -m tests.readme_tables

format: $(INSTALLED) ## Format the code and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix-only .

lock: $(INSTALLED) ## Resolve all packages anew into constraints.txt, for every supported Python and platform
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --upgrade --python-version 3.11 --extra dev --no-annotate \
	    --custom-compile-command 'make lock' --output-file constraints.txt pyproject.toml

clean: ## Remove what make and the tools left here; your data/ stays
	rm -rf $(VENV) $(VENV)-prefect build dist .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

$(INSTALLED): pyproject.toml constraints.txt
	@python=; \
	for candidate in $(PYTHONS); do \
	    if $$candidate -c 'import ensurepip; $(FITS)' >/dev/null 2>&1; then python=$$candidate; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	    echo 'make: found no Python 3.11 or 3.12 with its venv module (tried: $(PYTHONS)).' >&2; \
	    echo '      Install one (Debian, Ubuntu: apt-get install python3.11-venv), or name yours:' >&2; \
	    echo '      make install PYTHON=/path/to/python3.12' >&2; \
	    exit 2; \
	fi; \
	if ! $(BIN)/python -c 'import pip; $(FITS)' >/dev/null 2>&1; then \
	    echo "── making $(VENV) with $$($$python --version)"; \
	    $$python -m venv --clear $(VENV) || exit 2; \
	fi
	@echo '── installing the packages of pyproject.toml at the versions in constraints.txt (minutes, the first time)'
	@set -o pipefail; \
	if ! $(BIN)/python -m pip install --disable-pip-version-check --no-input --progress-bar off \
	    --constraint constraints.txt --editable '.[dev]' 2>&1 | tee $(PIP_LOG) | awk ' \
	        /^Collecting/ && ++found % 25 == 0 { print "   " found " packages found"; fflush() } \
	        /^Installing collected packages/ { print "   unpacking them"; fflush() } \
	        /^Successfully installed/ { print "   " NF - 2 " packages installed"; fflush() }'; then \
	    grep -iE '^ *error' $(PIP_LOG) | head -10 >&2; \
	    echo 'make: the packages could not be installed; all that pip said is in $(PIP_LOG).' >&2; \
	    echo '      If the package index was out of reach: check the network, HTTPS_PROXY and PIP_INDEX_URL,' >&2; \
	    echo '      then run the same command again.' >&2; \
	    exit 1; \
	fi
	@touch $@
