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
# Tests run side by side; most of them wait, for servers and for dbt. Each process has servers of its own, and takes
# whole files, the longest first (see tests/conftest.py): what is made for a file is made once.
JOBS ?= 4
# `make chaos SOAK=1`: every fault after the other for so many minutes. CHAOS_SEED=… repeats an order.
SOAK ?=
SOAK_MINUTES ?= 30

.DEFAULT_GOAL := help
.PHONY: up up-core up-prefect up-lake down rebuild dashboards import fresh logs shell status run-adhoc run-backfill run-daily pipeline deploy
.PHONY: install system demo test lake-demo lake-test chaos containers check audit prefect bench lake-bench docs format lock clean help

##@ To try it and to work on it
install: $(INSTALLED) ## Make .venv and install everything into it (repeated only when the packages change)

demo: $(INSTALLED) ## See it all work on this machine: make demo [LOGS=~/.claude/projects]
	@$(BIN)/claude-analytics demo $(if $(LOGS),--logs "$(patsubst ~/%,$(HOME)/%,$(LOGS))")

test: $(INSTALLED) ## Run every test: unit, integration and chaos [ARGS='-k landing' JOBS=2]
	$(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

system: ## Install the programs that some tests need, as root on Debian or Ubuntu: a browser, Prometheus, containers
	@missing=; \
	for program in chromium prometheus podman runc debootstrap iptables catatonit; do \
	    command -v $$program >/dev/null || missing="$$missing $$program"; \
	done; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
	    echo "make: cannot install$$missing here (not root, or no apt-get): tests that need it will skip" >&2; \
	    exit 0; \
	fi; \
	: 'The tests start a Prometheus of their own; the package must not start one.'; \
	case "$$missing" in *prometheus*) systemctl mask --quiet prometheus.service 2>/dev/null || true;; esac; \
	: 'Names of containers, and their networks.'; \
	case "$$missing" in *podman*) missing="$$missing netavark aardvark-dns";; esac; \
	export RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive; \
	apt-get -qq update && apt-get -qq install -y --no-install-recommends $$missing >/dev/null || \
	    echo "make: could not install$$missing: tests that need it will skip" >&2

chaos: $(INSTALLED) ## Break every promise on purpose, in some minutes [SOAK=1: at random, for SOAK_MINUTES=30]
	$(if $(SOAK),SOAK_MINUTES=$(SOAK_MINUTES) )$(BIN)/python -m pytest \
	    $(if $(SOAK),-s tests/chaos/test_soak.py,-m 'chaos or fault') $(ARGS)

lake-demo: $(INSTALLED) lake ## Past one machine, on this one: S3, PostgreSQL, a Spark cluster (Java 17) [LOGS=~/.claude/projects]
	@$(BIN)/python -W ignore -m tests.tools.lake_demo $(if $(LOGS),"$(patsubst ~/%,$(HOME)/%,$(LOGS))")

# The extra that both need, unless it is installed.
.PHONY: lake
lake: $(INSTALLED)
	@$(BIN)/python -c 'import pyspark, pyiceberg, dbt.adapters.spark' 2>/dev/null || \
	    $(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[lake]'

lake-test: $(INSTALLED) lake ## Prove the Iceberg warehouse on a real Spark, PostgreSQL and S3 server (Java 17, Maven)
	$(BIN)/python -m pytest tests/lake $(ARGS)

containers: $(INSTALLED) ## Build the images, run the platform on podman, live through a day with it (root, Linux)
	$(BIN)/python -m pytest -s tests/containers $(ARGS)

check: $(INSTALLED) ## Format, lint, types, dead and repeated code, import contracts, SQL
	@echo '── ruff format' && $(BIN)/ruff format --check .
	@echo '── ruff check' && $(BIN)/ruff check .
	@echo '── mypy' && $(BIN)/mypy
	@echo '── dead code' && $(BIN)/vulture
	@echo '── repeated code' && $(BIN)/pylint stream batch && $(BIN)/pylint --recursive=y tests
	@echo '── import contracts' && $(BIN)/lint-imports
	@if [ -d dbt/models ]; then echo '── sqlfluff' && $(BIN)/sqlfluff lint dbt; fi
	@echo '── compose schema' && \
	    $(BIN)/check-jsonschema --builtin-schema vendor.compose-spec deploy/docker-compose.yml
	@if [ -x $(BIN)/hadolint ]; then echo '── hadolint' && $(BIN)/hadolint deploy/Dockerfile; \
	    else echo '── hadolint: SKIPPED, it has no build for this platform'; fi

audit: $(INSTALLED) ## Look for unsafe code, licences that bind, and (with a network) known vulnerabilities
	@$(BIN)/python -m tests.tools.audit

prefect: $(INSTALLED) ## Prove the Prefect flows on a real Prefect server, in an environment of its own
	@test -x $(VENV)-prefect/bin/prefect || { $(BIN)/python -m venv $(VENV)-prefect && \
	    $(VENV)-prefect/bin/python -m pip install --quiet --constraint constraints.txt \
	    --editable '.[prefect]' pytest psutil hypothesis; }
	$(VENV)-prefect/bin/python -m pytest tests/integration/test_prefect.py $(ARGS)

bench: $(INSTALLED) ## Measure speed, latency and memory on this machine
	@$(BIN)/python -c 'import dlt' 2>/dev/null || \
	    $(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[bench]' || \
	    echo 'make: dlt could not be installed: its column stays empty' >&2
	$(BIN)/python -m pytest -s -m bench tests/bench $(ARGS)

lake-bench: $(INSTALLED) ## Measure what is past one machine: partitions, bucket, MERGE, Spark (Java 17, Maven)
	@$(BIN)/python -c 'import pyspark, pyiceberg, dbt.adapters.spark' 2>/dev/null || \
	    $(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[lake]'
	$(BIN)/python -m pytest -s -m bench \
	    tests/bench/test_bench_lake.py tests/bench/test_bench_spark.py tests/bench/test_bench_objects.py $(ARGS)

docs: $(INSTALLED) ## Write the tables of docs/, deploy/METRICS.md and Grafana's dashboard from the code
	$(BIN)/python -m tests.tools.docs_tables
	$(BIN)/python -m tests.tools.metrics_page
	$(BIN)/python -m tests.tools.grafana_dashboard

format: $(INSTALLED) ## Format the code and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix-only .

lock: $(INSTALLED) ## Resolve all packages, every extra included, into constraints.txt, for each Python and platform
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --upgrade --python-version 3.11 --all-extras --no-annotate \
	    --custom-compile-command 'make lock' --output-file constraints.txt pyproject.toml

clean: ## Remove what make and the tools left here; your data/ stays
	rm -rf $(VENV) $(VENV)-prefect build dist .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

help: ## Show this list
	@awk -F ':.*## ' '/^##@ / { printf "%s%s\n", gap, substr($$0, 5); gap = "\n" } \
	    /^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

##@ To run it in containers (deploy/docker-compose.yml; what goes wrong: deploy/RUNBOOK.md)

# Podman too: make up DOCKER=podman
DOCKER ?= docker
# WITH_MONGO=1 runs a MongoDB beside it. Later calls see that by the connection string.
WITH_MONGO ?=
# One of the services, for `logs` and `shell`: make logs SERVICE=stream
SERVICE ?=
# `make import` reads these.
IMPORT = $(patsubst ~/%,$(HOME)/%,$(or $(LOGS),$(HOME)/.claude/projects))

MONGO_PROFILE = $(if $(or $(WITH_MONGO),$(shell grep -s '[/@]mongo:27017' deploy/secrets/mongo_uri)),--profile mongo)
# Where Prefect runs (`make up-prefect`), it stays, and `schedule` does not start beside it.
PREFECT_RUNS = $(shell $(DOCKER) ps --quiet --filter label=com.docker.compose.project=claude-analytics \
    --filter label=com.docker.compose.service=prefect-worker)
PREFECT_PROFILE = $(if $(PREFECT_RUNS),--profile prefect)
NO_SCHEDULE = $(if $(PREFECT_RUNS),--scale schedule=0)
COMPOSE = $(DOCKER) compose --file deploy/docker-compose.yml $(MONGO_PROFILE)
ALL_PROFILES = --profile mongo --profile prefect --profile manual --profile dashboards --profile lake
UP = up --detach --wait --wait-timeout 900
# A container of its own for one command, on the same volumes and beside the running services.
ONCE = $(COMPOSE) --profile manual run --rm --no-deps

up: .engine ## Start everything: stream, schedule, Metabase, Prometheus, Grafana, docs [WITH_MONGO=1]
	@WITH_MONGO=$(WITH_MONGO) deploy/secrets.sh
	@$(COMPOSE) $(PREFECT_PROFILE) $(UP) --build $(NO_SCHEDULE)
	@echo 'Metabase on port 3001, docs on 8080, Grafana on 3002; `make status` shows how it runs,'
	@echo '`make dashboards` fills Metabase'

up-core: .engine ## Start stream and schedule alone, without dashboards
	@WITH_MONGO=$(WITH_MONGO) deploy/secrets.sh
	@$(COMPOSE) $(UP) --build stream schedule

up-prefect: .engine ## Start stream and, in place of schedule, Prefect (port 4200); make up then adds the dashboards
	@WITH_MONGO=$(WITH_MONGO) deploy/secrets.sh
	@$(COMPOSE) stop schedule
	@$(COMPOSE) --profile prefect $(UP) --build stream prefect-server prefect-worker

up-lake: .engine ## Start the platform past one machine, on this one: bucket, catalog, Spark, two workers (docs/lake.md)
	@WITH_MONGO=$(WITH_MONGO) deploy/secrets.sh
	@$(COMPOSE) --profile lake $(UP) --build lake-stream-0 lake-stream-1 lake-schedule

down: .engine ## Stop everything; data stays
	@$(COMPOSE) $(ALL_PROFILES) down

rebuild: .engine ## Build the images from scratch and replace the containers; data stays
	@WITH_MONGO=$(WITH_MONGO) deploy/secrets.sh
	@$(COMPOSE) $(PREFECT_PROFILE) build --pull --no-cache
	@$(COMPOSE) $(PREFECT_PROFILE) $(UP) --force-recreate $(NO_SCHEDULE)

fresh: .engine ## DELETE all data of the containers and start from nothing: make fresh CONFIRM=yes
	@if [ '$(CONFIRM)' != yes ]; then \
	    echo 'make: this deletes landing zone, warehouse, dashboards and metrics of the containers (and their' >&2; \
	    echo '      MongoDB, with WITH_MONGO=1). If that is what you want: make fresh CONFIRM=yes' >&2; \
	    exit 2; \
	fi
	@$(COMPOSE) $(ALL_PROFILES) down --volumes
	@$(MAKE) up

dashboards: .engine ## Create or update the dashboards in Metabase, once the pipeline has published
	@$(COMPOSE) --profile dashboards run --rm metabase-sync

import: .engine ## Import logs of this machine into the containers' MongoDB [LOGS=~/.claude/projects]
	@$(ONCE) --user "$$(id -u)" --workdir /tmp --volume "$(IMPORT):/logs:ro" analytics-worker import /logs

logs: .engine ## Follow the logs of all services, or of one [SERVICE=stream]
	@$(COMPOSE) $(PREFECT_PROFILE) logs --follow --tail 100 $(SERVICE)

shell: .engine ## Open a shell for commands by hand, also if nothing runs [SERVICE=analytics-worker]
	@$(ONCE) --entrypoint bash $(or $(SERVICE),analytics-worker) -i

status: .engine ## Show the containers, then stream, warehouse, runs and published build, and Prefect's deployments
	@$(COMPOSE) $(PREFECT_PROFILE) ps
	@$(ONCE) analytics-worker status
	@$(if $(PREFECT_RUNS),$(COMPOSE) --profile prefect exec -T prefect-worker env COLUMNS=160 prefect deployment ls,true)

run-adhoc: .engine ## Run the pipeline now [ARGS='--skip-extract']
	@$(ONCE) analytics-worker pipeline $(ARGS)

run-backfill: .engine ## Run the pipeline from all documents of the collection
	@$(ONCE) analytics-worker pipeline --full-backfill $(ARGS)

run-daily: .engine ## Run the pipeline with every row of the marts built again
	@$(ONCE) analytics-worker pipeline --full-refresh $(ARGS)

deploy: .engine ## Build Prefect's worker, restart it, and make its deployments, after a change of prefect.yaml
	@$(if $(PREFECT_RUNS),,echo 'make: no Prefect runs here; `make up-prefect` starts it' >&2; exit 2)
	@$(COMPOSE) --profile prefect build prefect-worker
	@$(COMPOSE) --profile prefect up --detach --wait --wait-timeout 900 --no-deps --force-recreate prefect-worker
	@$(COMPOSE) --profile prefect exec -T prefect-worker claude-analytics deploy

##@ To run it without containers (also: honcho start, or deploy/systemd)

pipeline: $(INSTALLED) ## Run the whole cycle once, with the settings of the environment or .env [ARGS='--full-refresh']
	@$(BIN)/claude-analytics pipeline $(ARGS)

.PHONY: .engine
.engine:
	@if ! $(DOCKER) compose version >/dev/null 2>&1; then \
	    echo 'make: `$(DOCKER) compose` does not run here. Install Docker with Compose 2.24 or newer, or name another' >&2; \
	    echo '      engine (make up DOCKER=podman). It also runs without containers: `honcho start` in this folder, or' >&2; \
	    echo '      the systemd units; see deploy/RUNBOOK.md.' >&2; \
	    exit 2; \
	elif ! $(DOCKER) info >/dev/null 2>&1; then \
	    echo 'make: `$(DOCKER)` is installed, but its engine does not answer. Start it (systemctl start docker), or join' >&2; \
	    echo '      the group that may use it; `$(DOCKER) info` says more.' >&2; \
	    exit 2; \
	fi

$(INSTALLED): pyproject.toml constraints.txt $(wildcard hatch_build.py stream/decode/transcribe.c stream/decode/text.h batch/importer/encode.c)
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
	@$(BIN)/python -c 'import stream.decode._transcribe, batch.importer._encode' 2>/dev/null || { \
	    echo '── the C extensions could not be compiled: all works without them, but reads documents at a'; \
	    echo '   tenth of the speed. Debian, Ubuntu: apt-get install gcc python3-dev, then: make --always-make install'; }
	@touch $@
