# Every target prints with `make help`. `make demo` and `make test` are all a fresh machine needs.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CALLS ?= 20
SECONDS ?= 30
REPEATS ?= 5
PACKAGES := libs/common services/call-control services/media-gateway services/agent-relay lab
STAMP := $(VENV)/.installed
CYTHON := libs/common/hatch_build.py $(shell find libs services -name "*.pyx" -o -name "*.pxd" -o -name "*.h")
# The packages as in the images: what is measured, and what integration and end-to-end tests run.
WHEELS := out/wheels
AS_SHIPPED := out/as-shipped
SHIPPED_FIRST := PYTHONPATH=$(CURDIR)/$(AS_SHIPPED)
# The longest first: two are made at a time.
SHIPPED := services/agent-relay services/media-gateway libs/common

.DEFAULT_GOAL := help
.PHONY: help install demo up down test check compiled format bench load chaos images lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /\1\t/' | expand -t 12

$(STAMP): requirements/dev.txt $(CYTHON) $(addsuffix /pyproject.toml,$(PACKAGES))
	$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0])'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation $(addprefix -e ,$(PACKAGES))
	@$(BIN)/python libs/common/hatch_build.py
	@touch $@

install: $(STAMP) ## install everything into .venv

demo: install ## place one phone call through all services, show and check it
	$(BIN)/lab demo

up: install ## start the whole stack with its simulators and keep it up
	$(BIN)/lab up

down: install ## stop what `make up` started
	$(BIN)/lab down

test: install ## check the code and run all tests
	$(MAKE) --jobs 2 check compiled
	$(BIN)/python -m pytest -n 2 --dist loadfile --ignore tests/integration --ignore tests/e2e
	$(SHIPPED_FIRST) $(BIN)/python -m pytest -n 2 --dist loadfile tests/integration
	$(SHIPPED_FIRST) $(BIN)/python -m pytest tests/e2e

$(AS_SHIPPED)/.made: $(STAMP) libs/common/mypyc.ini $(shell find $(SHIPPED) -name "*.py" -path "*/src/*")
	rm -rf $(WHEELS) $(AS_SHIPPED)
	printf '%s\n' $(SHIPPED) | xargs -P 2 -I {} \
		$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir $(WHEELS) ./{}
	$(BIN)/python -m pip install --quiet --no-deps --no-index --target $(AS_SHIPPED) $(WHEELS)/*.whl
	@touch $@

compiled: $(AS_SHIPPED)/.made ## make the packages as the images have them, compiled, into out/as-shipped

check: install ## format, lint, types and import contracts, without tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install ## format the code and mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

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
	rm -rf $(VENV) out .lab .mypy_cache .ruff_cache .pytest_cache
	find libs services -name "*.so" -delete
