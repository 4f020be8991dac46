# All tools run from .venv, which the first target that needs it makes.

PYTHON ?= python3
BIN := .venv/bin
ENVIRONMENTS := $(patsubst environments/%.tfvars,%,$(wildcard environments/*.tfvars))

# Stamp files: written after the installation.
LOCAL := .venv/installed-local
DEV := .venv/installed-dev
PEERS := .venv-bench/installed

PARTS := unit integration terraform e2e

# More workers than cores, because many tests wait.
WORKERS ?= 10
PYTEST := $(BIN)/python -m pytest
SIDE_BY_SIDE := --numprocesses $(WORKERS) --dist loadscope --no-loadscope-reorder
SELECTED := $(if $(PART),$(PART:%=tests/%),--cov)
LONG_TOO := -m 'long or not long'

# The many Python processes of a run share their bytecode.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test test-quick test-all part soak faults large bench picture lint security package tables usage address plan apply destroy workspace initialised environment clean

help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

demo: $(LOCAL) ## Apply the module to a local AWS and show what it does; KEEP=1 leaves it running until Ctrl-C
	@$(BIN)/python -m local.demo $(if $(filter-out 0,$(KEEP)),--keep)

test: part $(DEV) ## Run the tests; PART=unit, integration, terraform or e2e runs one part
	@$(PYTEST) $(SIDE_BY_SIDE) $(SELECTED)

test-quick: $(DEV) ## Run the unit tests: for every save
	@$(PYTEST) --numprocesses 2 tests/unit

test-all: part $(DEV) ## Run all tests, including the long ones: for every release; PART=… runs one part
	@SOAK=10 OPERATIONS=10000 OBJECTS=100000 $(PYTEST) $(SIDE_BY_SIDE) $(LONG_TOO) $(SELECTED)

part:
ifneq ($(filter-out $(PARTS),$(PART)),)
	@echo 'PART=$(PART) is not a part of the tests. Use one of: $(PARTS)' >&2; exit 1
endif

soak: $(DEV) ## Search 50 times longer than the tests, and with new seeds, for histories that diverge
	@SOAK=50 $(PYTEST) $(LONG_TOO) tests/unit/rule

faults: $(DEV) ## Inject faults under 10,000 operations in every combination of trigger and queue
	@OPERATIONS=$(or $(OPERATIONS),10000) $(PYTEST) $(LONG_TOO) tests/e2e/test_faults.py --capture=no -q

large: $(DEV) ## Backfill and verify a bucket of 100,000 objects; prints memory and rate
	@OBJECTS=$(or $(OBJECTS),100000) $(PYTEST) $(LONG_TOO) tests/e2e/test_backfill.py -k memory --capture=no -q

bench: $(DEV) $(PEERS) ## Measure what an event costs beside other ways to index a bucket; ONLY="cpu price" runs some
	@$(BIN)/python -m benchmarks $(ONLY)

picture: $(DEV) ## Redraw the dashboard from a load on the local AWS
	@$(BIN)/python -m local.dashboard docs/dashboard.png

lint: $(DEV) ## Check style and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	terraform fmt -check -recursive
	@if command -v tflint >/dev/null; then tflint; else echo "tflint is not installed: skipped"; fi

security: .venv-security/installed ## Check the Terraform files with checkov
	@LOG_LEVEL=ERROR .venv-security/bin/checkov --config-file .checkov.yaml

package: $(BIN)/python ## Write function.zip from function/, and the packages of the examples
	@$(BIN)/python -m tools.package

tables: $(DEV) ## Write the tables of inputs and outputs into README.md
	@$(BIN)/python -m tools.readme_tables

usage: $(DEV) ## Write the help of file-index into docs/file-index.md
	@$(BIN)/python -m tools.command_help

address: $(BIN)/python ## Write the repository's address everywhere; ADDRESS=https://…
	@$(BIN)/python -m tools.repository_address $(ADDRESS)

plan: workspace ## Show what an apply would change; ENV=dev
	terraform plan -var-file=environments/$(ENV).tfvars

apply: workspace ## Deploy to AWS; ENV=dev
	terraform apply -var-file=environments/$(ENV).tfvars

destroy: initialised ## Remove a deployment from AWS; refuses if anything would be lost; ENV=dev
	@$(BIN)/python -m tools.look_before_destroy $(ENV) terraform destroy -var-file=environments/$(ENV).tfvars

workspace: initialised
	terraform workspace select -or-create $(ENV)

initialised: environment $(LOCAL)
	@$(BIN)/python -m tools.terraform_init

environment:
ifneq ($(words $(ENV)) $(filter $(ENV),$(ENVIRONMENTS)),1 $(ENV))
	@echo 'Set ENV to one of: $(ENVIRONMENTS), as in `make $(firstword $(MAKECMDGOALS)) ENV=dev`' >&2; exit 1
endif

clean: ## Remove installed tools and caches, but never Terraform's state
	rm -rf .venv .venv-bench .venv-security .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache local/.terraform
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo '$(PYTHON) is not Python 3.11 or newer; name one: make PYTHON=python3.13 …' >&2; exit 1; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }

.venv-security/installed: requirements-security.txt
	@echo 'Installing checkov into .venv-security …'
	@$(PYTHON) -m venv .venv-security
	@.venv-security/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-security.txt
	@touch $@

$(LOCAL): requirements-local.txt | $(BIN)/python
	@echo 'Installing the local AWS into .venv …'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-local.txt
	@touch $@

$(DEV): requirements-dev.txt $(LOCAL)
	@echo 'Installing the tools for tests and lint into .venv …'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@# Compiles the tests, or every worker of the first run would. Errors are for that run to show.
	@$(PYTEST) --collect-only -qq >/dev/null 2>&1 || true
	@touch $@

$(PEERS): benchmarks/requirements.txt | $(BIN)/python
	@echo 'Installing what the benchmarks compare with into .venv-bench …'
	@$(BIN)/python -m venv .venv-bench
	@.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check -r benchmarks/requirements.txt
	@touch $@
