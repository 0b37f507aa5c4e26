# Every target makes .venv and installs what it needs by itself. Needed before: Python 3.11 or
# newer with its venv module, make, and a package index that pip can reach.
# Another Python: make test PYTHON=python3.12

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help traces demo demo-cluster test check proto docs requirements bench bench-compare load load-curve profile experiments sessions chaos cluster-faults award-faults etcd-faults lint-proto soak-engine negmas page-test clean

BIN := .venv/bin
RUN := .venv/.run
DEV := .venv/.dev
PEERS := .venv/.peers
LOCUST := .venv/.load
CURVE := 1,2,3,4
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
BUF_VERSION := 1.75.0
PARALLEL := -n auto --maxprocesses 4 --dist worksteal
SOURCES := gateway federation policy loadtest client proto tests
# A command that cannot keep what it compiled compiles all of us anew: a quarter of a start.
unexport PYTHONDONTWRITEBYTECODE

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /\1\t/' | \
		awk -F '\t' '{ printf "  make %-14s %s\n", $$1, $$2 }'

demo: $(RUN) ## Watch agents in processes of their own negotiate through a gateway
	$(BIN)/llmx demo

demo-cluster: $(RUN) ## Watch three regions negotiate as one, and lose a gateway while they do
	$(BIN)/llmx demo-cluster

# Coverage is measured apart: it makes the simulations and machines three times as slow.
test: $(DEV) $(LOCUST) ## Run all tests (policy must be covered to the last branch)
	$(BIN)/python -m pytest -q -m "not slow" tests/unit/policy --cov=policy --cov-branch \
		--cov-fail-under=100
	$(BIN)/python -m pytest $(PARALLEL)

check: $(DEV) ## Format, lint, types, imports and the fast unit tests; before every commit
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q -m "not slow" $(PARALLEL) tests/test_layout.py tests/unit tests/simulation

proto: $(DEV) ## Generate the code of the wire, in client/llmx and federation/etcd, from proto/
	$(BIN)/python proto/generate.py

docs: $(RUN) ## Write docs/configuration.md from the settings, docs/rules.md from the tests
	$(BIN)/python -m gateway.settings_page > docs/.configuration.md
	mv docs/.configuration.md docs/configuration.md
	$(BIN)/python -m tests.rules_page > docs/.rules.md
	mv docs/.rules.md docs/rules.md

bench: $(RUN) $(PEERS) ## Measure rounds beside a bare relay, NATS, AutoGen and A2A (BENCH="--quick")
	$(BIN)/python -m loadtest.bench $(BENCH)

bench-compare: $(RUN) ## Compare the last bench with those before it; fails when something got worse
	$(BIN)/python -m loadtest.history

load: $(RUN) $(LOCUST) ## Load a cluster with Locust (GATEWAYS=3 AGENTS=500 SHAPE=storm DURATION=60)
	$(BIN)/python -m loadtest.load --gateways $(or $(GATEWAYS),3) --agents $(or $(AGENTS),500) \
		--shape $(or $(SHAPE),soak) --seconds $(or $(DURATION),60) \
		--elsewhere $(or $(ELSEWHERE),20) --workers $(or $(WORKERS),1) $(if $(RATE),--rate $(RATE))

load-curve: $(RUN) $(LOCUST) ## Ask 1, 2, 3 and 4 gateways for all they can do (AGENTS=120 DURATION=30)
	$(BIN)/python -m loadtest.load --curve $(if $(GATEWAYS),$(GATEWAYS),$(CURVE)) \
		--agents $(or $(AGENTS),120) --seconds $(or $(DURATION),30) \
		--elsewhere $(or $(ELSEWHERE),20) --workers $(or $(WORKERS),1) $(if $(PAGE),--page $(PAGE))

profile: $(RUN) ## Write a flame graph of a gateway under the bench's load to profiles/
	-@$(PIP) install -r requirements/profile.txt
	$(BIN)/python -m loadtest.bench --profile profiles $(if $(PAGE),--page $(PAGE))

chaos: $(RUN) ## Let faults rage for half an hour and account for every message (SEED=7 for one again)
	$(BIN)/python -m loadtest.chaos $(if $(SEED),--seed $(SEED))

cluster-faults: $(RUN) ## Cut, kill and freeze a cluster under load and account for every message; ten minutes
	$(BIN)/python -m loadtest.cluster_faults

award-faults: $(DEV) ## Kill a gateway at every step of an award, 100 times on each store; three quarters of an hour
	$(BIN)/python -m loadtest.award_faults

etcd-faults: $(DEV) ## Kill, freeze and replace etcd for as long as was measured; two minutes
	LLMX_ETCD_FAULTS=long $(BIN)/python -m pytest -v --log-cli-level=INFO tests/integration/test_etcd_faults.py

soak-engine: $(RUN) ## Take ten million random steps over all protocols; fifteen minutes (SEED=7 for one again)
	$(BIN)/python -m loadtest.soak $(if $(SEED),--seed $(SEED))

traces: $(RUN) ## Install what `telemetry.traces` needs
	@$(PIP) install -r requirements/traces.txt

negmas: $(DEV) ## Let the strategies of NegMAS bargain over two gateways as inside NegMAS (750 MB to install)
	@$(PIP) install -r requirements/negmas.txt
	$(BIN)/python -m pytest -v tests/oracles/negmas_strategies.py
	$(BIN)/python -m loadtest.interop

page-test: $(DEV) ## See the operator's page in a real browser (needs chromium), and take its picture for the README
	$(BIN)/python -m pytest -v tests/browser/operator_page.py

experiments: $(RUN) ## Run the paper's experiments in simulated time, reports in runs/; three minutes
	for name in table1 table2 table3 table4 table5 faults switch; do \
		$(BIN)/llmx experiment run $$name --simulated || exit 1; \
	done

sessions: $(RUN) ## Measure 5,000 idle sessions, their storms and a slow consumer; six minutes
	$(BIN)/python -m loadtest.sessions
	$(BIN)/python -m loadtest.slow_consumer

requirements: $(DEV) ## Pin what requirements/*.in names (change a version there, then this)
	cd requirements && for name in run traces dev negmas bench load profile; do \
		../$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-header \
			--no-annotate "$$name.in" -o "$$name.txt" || exit 1; \
	done

lint-proto: ## Lint the protos and look for breaking changes with buf (needs node)
	@if ! command -v npx >/dev/null 2>&1; then \
		echo "lint-proto: skipped, because buf comes from npm and there is no npx here"; exit 0; \
	fi; \
	buf="npx --yes @bufbuild/buf@$(BUF_VERSION)"; \
	$$buf lint || exit 1; echo "lint-proto: buf lint found nothing"; \
	against=$$(git describe --tags --abbrev=0 2>/dev/null || git rev-parse --verify --quiet main~ || true); \
	if [ -z "$$against" ] || ! git cat-file -e "$$against:buf.yaml" 2>/dev/null; then \
		echo "lint-proto: nothing earlier to compare with, buf breaking skipped"; exit 0; \
	fi; \
	$$buf breaking --against ".git#ref=$$against" || exit 1; \
	echo "lint-proto: nothing breaks what $$against promised"

clean: ## Remove .venv and everything that was generated on the way
	rm -rf .venv .coverage htmlcov .hypothesis .import_linter_cache .mypy_cache .pytest_cache \
		.ruff_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A half-made environment has no stamp and is made anew; one that is only out of date is brought
# up to date.
$(RUN): requirements/run.txt pyproject.toml client/pyproject.toml
	@enough='import sys; sys.exit(sys.version_info < (3, 11))'; \
	if [ ! -e $(RUN) ]; then \
		chosen=""; \
		for candidate in $(if $(PYTHON),"$(PYTHON)",python3 python3.13 python3.12 python3.11); do \
			if "$$candidate" -c "$$enough" >/dev/null 2>&1; then chosen="$$candidate"; break; fi; \
		done; \
		if [ -z "$$chosen" ]; then \
			echo "LLM-X needs Python 3.11 or newer, and found: $$($(or $(PYTHON),python3) --version 2>&1 | head -n 1)" >&2; \
			echo "Install one, or name it: make $(or $(MAKECMDGOALS),demo) PYTHON=/path/to/python3.12" >&2; \
			exit 1; \
		fi; \
		echo "Making .venv with $$("$$chosen" --version) (once, about a minute)"; \
		rm -rf .venv; \
		"$$chosen" -m venv .venv || { \
			echo "The venv module is missing; on Debian and Ubuntu: apt install python3-venv" >&2; \
			rm -rf .venv; exit 1; \
		}; \
	fi
	@$(PIP) install -r requirements/run.txt
	@$(PIP) install --no-deps --no-build-isolation -e client -e .
	@touch $(RUN)

# Environments of their own, because their versions are not ours. Without peers the bench goes on.
$(PEERS): requirements/bench.txt | $(RUN)
	@$(BIN)/python -m venv .venv/peers
	@pip=".venv/peers/bin/python -m pip --disable-pip-version-check --quiet"; \
	if $$pip install -r $<; then touch $@; else \
		echo "bench: not all peers can be installed here; taking what can be"; \
		while read -r pin; do \
			$$pip install --no-deps "$$pin" || echo "bench: without $$pin"; \
		done < $<; \
	fi

$(LOCUST): requirements/load.txt | $(RUN)
	@$(BIN)/python -m venv .venv/load
	@.venv/load/bin/python -m pip --disable-pip-version-check --quiet install -r $<
	@touch $@

$(DEV): $(RUN) requirements/dev.txt
	@$(PIP) install -r requirements/dev.txt
	@touch $(DEV)
