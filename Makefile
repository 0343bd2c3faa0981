# Every target prints with `make help`. `make demo` and `make test` are all a fresh machine needs.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CALLS ?= 20
SECONDS ?= 30
REPEATS ?= 5
MUTANTS ?= 60
MINUTES ?= 15
SEED ?= 1
PACKAGES := libs/common services/call-control services/media-gateway services/agent-relay lab
STAMP := $(VENV)/.installed
CYTHON := libs/common/hatch_build.py $(shell find libs services -name "*.pyx" -o -name "*.pxd" -o -name "*.h")
# The packages as in the images: what is measured, and what integration and end-to-end tests run.
WHEELS := out/wheels
AS_SHIPPED := out/as-shipped
FRAMEWORKS := .venv-frameworks
SHIPPED_FIRST := PYTHONPATH=$(CURDIR)/$(AS_SHIPPED)
# The longest first: two are made at a time.
SHIPPED := services/agent-relay services/media-gateway libs/common

.DEFAULT_GOAL := help
.PHONY: help install demo up down test unit integration e2e frameworks check style types contracts compiled mutate format bench load chaos images lock clean

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):[^#]*## /\1\t/' | expand -t 12

# $(call slow,what,command): a dot every two seconds while the command runs, and then its duration.
slow = @printf '%s ' '$(1)'; began=$$SECONDS; (while sleep 2; do printf .; done) & dots=$$!; \
	trap 'kill $$dots' EXIT; $(2) || { code=$$?; echo; exit $$code; }; echo " $$((SECONDS - began)) s"

$(STAMP): requirements/dev.txt $(CYTHON) $(addsuffix /pyproject.toml,$(PACKAGES))
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0])'
	$(call slow,Python environment in $(VENV),{ test -x $(BIN)/python || $(PYTHON) -m venv $(VENV); })
	$(call slow,Locked requirements (about a minute),$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt)
	$(call slow,Our packages,$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation $(addprefix -e ,$(PACKAGES)))
	@$(BIN)/python libs/common/hatch_build.py
	@touch $@

install: $(STAMP) ## install everything into .venv (PYTHON=python3.13 chooses the version for a new one)
ifneq ($(origin PYTHON),file)
	@wanted=$$($(PYTHON) -c 'import sys; print(sys.version.split()[0])') && there=$$($(BIN)/python -c 'import sys; print(sys.version.split()[0])') && \
	test "$$wanted" = "$$there" || { echo "$(VENV) has Python $$there, but PYTHON=$(PYTHON) is $$wanted. To replace it: make clean install PYTHON=$(PYTHON)" >&2; exit 1; }
endif

demo: install ## place one phone call through all services, show and check it
	$(BIN)/lab demo

up: install ## start the whole stack with its simulators and keep it up
	$(BIN)/lab up

down: install ## stop what `make up` started
	$(BIN)/lab down

test: install ## check the code and run all tests, then list the parts that failed
	@$(MAKE) compiled & failed=; \
	$(MAKE) --keep-going check || failed="$$failed check"; \
	wait $$! || failed="$$failed compiled"; \
	for part in unit integration e2e; do $(MAKE) $$part || failed="$$failed $$part"; done; \
	test -z "$$failed" || { echo "make test: failed:$$failed" >&2; exit 1; }

# Tests wait more than they compute, so there are more workers than cores.
unit: install ## run the tests of single modules, wire formats and repository rules
	$(BIN)/python -m pytest -n 4 --dist worksteal --ignore tests/integration --ignore tests/e2e

integration: compiled ## run each service against a real Redis, as shipped
	$(SHIPPED_FIRST) $(BIN)/python -m pytest -n 4 --dist worksteal tests/integration

e2e: compiled ## run the whole stack, as shipped
	$(SHIPPED_FIRST) $(BIN)/python -m pytest -n 2 --dist worksteal tests/e2e

$(FRAMEWORKS)/.installed: tests/contract/frameworks/requirements.txt
	$(call slow,Python environment in $(FRAMEWORKS),$(PYTHON) -m venv $(FRAMEWORKS))
	$(call slow,Public frameworks (some minutes),$(FRAMEWORKS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<)
	@touch $@

frameworks: install $(FRAMEWORKS)/.installed ## a public framework, unmodified, holds calls with the simulated Voice Live over TLS
	$(BIN)/python tests/contract/frameworks/run.py $(FRAMEWORKS)/bin/python

$(AS_SHIPPED)/.made: $(STAMP) libs/common/mypyc.ini $(shell find $(SHIPPED) -name "*.py" -path "*/src/*")
	@rm -rf $(WHEELS) $(AS_SHIPPED)
	$(call slow,Compiled packages (some minutes),printf '%s\n' $(SHIPPED) | xargs -P 2 -I {} \
		$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir $(WHEELS) ./{})
	@$(BIN)/python -m pip install --quiet --no-deps --no-index --target $(AS_SHIPPED) $(WHEELS)/*.whl
	@touch $@

compiled: $(AS_SHIPPED)/.made ## make the packages as the images have them, compiled, into out/as-shipped

check: style types contracts ## format, lint, types and import contracts, without tests

style: install ## check format and lint rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: install ## check types with mypy
	$(BIN)/mypy

contracts: install ## check the import contracts
	$(BIN)/lint-imports

format: install ## format the code and mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

mutate: install ## run mutation tests: up to MUTANTS faults in MINUTES, list the survivors (SEED, ONLY=path)
	$(BIN)/python -m tests.mutation.mutate --mutants $(MUTANTS) --seed $(SEED) --minutes $(MINUTES) --only "$(ONLY)"

bench: compiled ## measure the parts, side by side with their alternatives
	$(SHIPPED_FIRST) $(BIN)/python -m bench

load: compiled ## CALLS calls at once for SECONDS seconds, audio checked frame by frame
	$(SHIPPED_FIRST) $(BIN)/lab load --calls $(CALLS) --seconds $(SECONDS)

chaos: compiled ## inject each fault under CALLS calls, REPEATS times, and judge what the callers noticed (ROWS=a,b)
	$(SHIPPED_FIRST) $(BIN)/lab chaos --calls $(CALLS) --repeats $(REPEATS) --rows "$(ROWS)" --json out/chaos.json

images: ## build the container images (needs docker compose)
	docker compose --profile sim build

lock: install ## write the requirements anew from the pyproject files
	$(BIN)/python -m pip install --quiet uv
	requirements/lock.sh

clean: ## remove what was installed and made
	rm -rf $(VENV) $(FRAMEWORKS) out .lab .mypy_cache .ruff_cache .pytest_cache
	find libs services -name "*.so" -delete
