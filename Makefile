# Every target makes .venv and installs what it needs by itself. Needed before: Python 3.11 or
# newer with its venv module, make, and a package index that pip can reach.
# Another Python: make test PYTHON=python3.12

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help demo demo-cluster test check proto docs requirements bench sessions chaos cluster-faults award-faults etcd-faults lint-proto soak-engine negmas clean

BIN := .venv/bin
RUN := .venv/.run
DEV := .venv/.dev
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
BUF_VERSION := 1.75.0
PARALLEL := -n auto --maxprocesses 4 --dist worksteal
SOURCES := gateway federation policy loadtest client proto tests

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /\1\t/' | \
		awk -F '\t' '{ printf "  make %-14s %s\n", $$1, $$2 }'

demo: $(RUN) ## Watch agents in processes of their own negotiate through a gateway
	$(BIN)/llmx demo

demo-cluster: $(RUN) ## Watch three regions negotiate as one, and lose a gateway while they do
	$(BIN)/llmx demo-cluster

# Coverage is measured apart: it makes the simulations and machines three times as slow.
test: $(DEV) ## Run all tests (policy must be covered to the last branch)
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

bench: $(RUN) ## Measure rounds beside a bare relay
	$(BIN)/python -m loadtest.bench

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

negmas: $(DEV) ## Let the strategies of NegMAS bargain over two gateways as inside NegMAS (750 MB to install)
	@$(PIP) install -r requirements/negmas.txt
	$(BIN)/python -m pytest -v tests/oracles/negmas_strategies.py
	$(BIN)/python -m loadtest.interop

sessions: $(RUN) ## Measure 5,000 idle sessions, their storms and a slow consumer; six minutes
	$(BIN)/python -m loadtest.sessions
	$(BIN)/python -m loadtest.slow_consumer

requirements: $(DEV) ## Pin what requirements/*.in names (change a version there, then this)
	cd requirements && for name in run dev negmas; do \
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

$(DEV): $(RUN) requirements/dev.txt
	@$(PIP) install -r requirements/dev.txt
	@touch $(DEV)
