# `make help` lists every target in groups (`##@ group`). A fresh machine needs `make demo` and `make test` only.
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
REDIS ?= 7.0.15
VERSION ?=
METADATA ?= out/images.json
# The release that `make upgrade` begins with: the latest tag; without tags, the commit that stands for 0.1.0.
FROM ?= $(shell git describe --tags --abbrev=0 --match 'v*' 2>/dev/null || echo 157b28af)
PACKAGES := libs/common services/call-control services/media-gateway services/agent-relay lab
STAMP := $(VENV)/.installed
CYTHON := libs/common/hatch_build.py $(shell find libs services -name "*.pyx" -o -name "*.pxd" -o -name "*.h")
# The packages as in the images, for measurements and for integration and end-to-end tests.
WHEELS := out/wheels
AS_SHIPPED := out/as-shipped
FRAMEWORKS := .venv-frameworks
SUPPLY_CHAIN := .venv-supply-chain
CHECKOV := .venv-checkov
# The interpreter of the installed Azure CLI, whose parser checks the documented commands.
AZ_PYTHON = $(shell az --version 2>/dev/null | sed -n "s/^Python location '\(.*\)'/\1/p")
SHIPPED_FIRST := PYTHONPATH=$(CURDIR)/$(AS_SHIPPED)
# The slowest first: two are built in parallel.
SHIPPED := services/agent-relay services/media-gateway libs/common

.DEFAULT_GOAL := help
# Each worker of pytest would rewrite the assertions of all modules again.
unexport PYTHONDONTWRITEBYTECODE
.PHONY: help install demo up down test unit integration e2e kubernetes frameworks infra infra-tools check style types contracts prose compiled mutate coverage redis-server promtool format bench load chaos upgrade record-metrics observability images sbom audit workflows pin-images release-check release-notes lock clean

# $(call parts,target,names): make each part, then list the failed ones.
parts = for part in $(2); do $(MAKE) $$part || failed="$$failed $$part"; done; \
	test -z "$$failed" || { echo "make $(1): failed:$$failed" >&2; exit 1; }

##@ Start

help: ## list the targets
	@awk -F ':.*## ' '/^##@ / { print gap substr($$0, 5) ":"; gap = "\n" } /^[a-z0-9-]+:.*## / { printf "  %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# $(call slow,what,command): a dot every two seconds while the command runs, and then its duration.
slow = @printf '%s ' '$(1)'; began=$$SECONDS; (while sleep 2; do printf .; done) & dots=$$!; \
	trap 'kill $$dots' EXIT; $(2) || { code=$$?; echo; exit $$code; }; echo " $$((SECONDS - began)) s"

$(STAMP): requirements/dev.txt $(CYTHON) $(addsuffix /pyproject.toml,$(PACKAGES))
	@$(PYTHON) -c '' 2>/dev/null || { echo "PYTHON=$(PYTHON) cannot be run: set PYTHON to an interpreter" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0])'
	$(call slow,Python environment in $(VENV),{ test -x $(BIN)/python || $(PYTHON) -m venv $(VENV); })
	$(call slow,Locked requirements (about a minute),$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt)
	$(call slow,Our packages,$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation $(addprefix -e ,$(PACKAGES)))
	@$(BIN)/python libs/common/hatch_build.py
	@touch $@

install: $(STAMP) ## install everything into .venv (PYTHON=python3.13 chooses the version for a new one)
ifneq ($(origin PYTHON),file)
	@wanted=$$($(PYTHON) -c 'import sys; print(sys.version.split()[0])' 2>/dev/null) || \
	{ echo "PYTHON=$(PYTHON) cannot be run: set PYTHON to an interpreter" >&2; exit 1; }; \
	there=$$($(BIN)/python -c 'import sys; print(sys.version.split()[0])') && \
	test "$$wanted" = "$$there" || { echo "$(VENV) has Python $$there, but PYTHON=$(PYTHON) is $$wanted. To replace it: make clean install PYTHON=$(PYTHON)" >&2; exit 1; }
endif

##@ Run

demo: install ## place one phone call through all services, show and check it
	$(BIN)/lab demo

up: install ## start the whole stack with its simulators and keep it up
	$(BIN)/lab up

down: install ## stop what `make up` started
	$(BIN)/lab down

##@ Check

check: install ## check format, lint, types, import contracts and prose; name those that failed
	+@failed=; $(call parts,check,style types contracts prose)

style: install ## check format and lint rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: install ## check types with mypy
	$(BIN)/mypy

contracts: install ## check the import contracts
	$(BIN)/lint-imports

prose: install ## check spelling, and wording against scripts/prose.toml
	git ls-files -z | xargs -0 $(BIN)/codespell
	$(BIN)/python scripts/prose.py

format: install ## format the code and fix what ruff can fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

##@ Test

test: install ## check the code and run all tests, then list the parts that failed
	@$(MAKE) compiled & failed=; \
	$(MAKE) check || failed="$$failed check"; \
	wait $$! || failed="$$failed compiled"; \
	$(call parts,test,unit integration e2e)

# Tests wait more than they compute, so there are more workers than cores. Each worker imports all tests first.
unit: install ## run the tests of single modules, wire formats and repository rules
	$(BIN)/python -m pytest -n 4 --dist worksteal --ignore tests/integration --ignore tests/e2e --ignore tests/kubernetes

integration: compiled ## run each service against a real Redis, as shipped
	$(SHIPPED_FIRST) $(BIN)/python -m pytest -n 6 --dist worksteal tests/integration

kubernetes: install ## run the tests of the manifests on the cluster of KUBECONFIG, which must be one for tests
	$(BIN)/python -m pytest tests/kubernetes

e2e: compiled ## run the whole stack, as shipped
	$(SHIPPED_FIRST) $(BIN)/python -m pytest -n 4 --dist worksteal tests/e2e

$(FRAMEWORKS)/.installed: tests/contract/frameworks/requirements.txt
	$(call slow,Python environment in $(FRAMEWORKS),$(PYTHON) -m venv $(FRAMEWORKS))
	$(call slow,Public frameworks (some minutes),$(FRAMEWORKS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<)
	@touch $@

frameworks: install $(FRAMEWORKS)/.installed ## a public framework, unmodified, holds calls with the simulated Voice Live over TLS
	$(BIN)/python tests/contract/frameworks/run.py $(FRAMEWORKS)/bin/python

$(CHECKOV)/.installed: infra/checks/requirements.txt
	$(call slow,Python environment in $(CHECKOV),$(PYTHON) -m venv $(CHECKOV))
	$(call slow,checkov (a minute),$(CHECKOV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<)
	@touch $@

infra-tools: ## add Bicep and the extensions that the documents use to the installed Azure CLI
	az bicep install
	for name in aks-preview amg communication; do az extension add --name $$name --upgrade --yes; done

# A missing tool is an error in CI.
infra: install $(CHECKOV)/.installed ## check the Azure templates, hooks and documented commands (uses az and shellcheck if they are there)
	$(BIN)/python -m pytest -q tests/repo/test_infra.py tests/repo/test_infra_overlay.py tests/repo/test_azure_commands.py
	$(CHECKOV)/bin/checkov --directory infra --framework bicep --compact --quiet --skip-download
	@if command -v shellcheck >/dev/null; then shellcheck infra/hooks/*.sh; else echo "not run: shellcheck is not installed"; test -z "$$CI"; fi
	@if az bicep version >/dev/null 2>&1; then infra/checks/compile.sh; else echo "not run: the Azure CLI has no Bicep (az bicep install)"; test -z "$$CI"; fi
	@if test -n "$(AZ_PYTHON)"; then $(AZ_PYTHON) infra/checks/azure_commands.py $${CI:+--strict} infra/hooks/*.sh docs/*.md docs/operations/*.md; \
	else echo "not run: the Azure CLI is not installed"; test -z "$$CI"; fi

mutate: install ## run mutation tests: up to MUTANTS faults in MINUTES, list the survivors (SEED, ONLY=path)
	$(BIN)/python -m tests.mutation.mutate --mutants $(MUTANTS) --seed $(SEED) --minutes $(MINUTES) --only "$(ONLY)"

# From source: coverage does not see compiled code. Processes that tests start count as well.
coverage: install ## report branch coverage of the unit and integration tests, fail below the limit in pyproject.toml
	rm -rf out/coverage
	COVERAGE_FILE=$(CURDIR)/out/coverage/data $(BIN)/coverage run -m pytest -n 4 --dist worksteal --ignore tests/e2e
	COVERAGE_FILE=$(CURDIR)/out/coverage/data $(BIN)/coverage combine --quiet
	COVERAGE_FILE=$(CURDIR)/out/coverage/data $(BIN)/coverage report

redis-server: ## copy the program of a Redis release from its image to out/redis-server (needs docker; REDIS=7.0.15)
	@mkdir -p out
	container=$$(docker create redis:$(REDIS)) && trap "docker rm $$container" EXIT && \
		docker cp $$container:/usr/local/bin/redis-server out/redis-server

promtool: ## install Prometheus for the tests of alerts and dashboards (Debian, Ubuntu), without starting it
	scripts/promtool.sh

##@ Measure

bench: compiled ## measure the services beside the reference bridge
	$(SHIPPED_FIRST) $(BIN)/python -m bench

load: compiled ## CALLS calls at once for SECONDS seconds, audio checked frame by frame
	$(SHIPPED_FIRST) $(BIN)/lab load --calls $(CALLS) --seconds $(SECONDS)

chaos: compiled ## inject each fault under CALLS calls, REPEATS times, and judge what the callers noticed (ROWS=a,b)
	$(SHIPPED_FIRST) $(BIN)/lab chaos --calls $(CALLS) --repeats $(REPEATS) --rows "$(ROWS)" --json out/chaos.json

# The other release is as wheels in its own environment; it is built once for each revision.
upgrade: compiled ## replace the services of the revision FROM by these during CALLS calls, and back; mixed releases (ROWS=a,b)
	@folder=out/releases/$$(git rev-parse --short=12 "$(FROM)^{commit}") || exit 1; \
	test -e $$folder/.made || { echo "Installing $(FROM) into $$folder (some minutes)"; \
		PYTHON=$(PYTHON) scripts/release.sh "$(FROM)" $$folder && touch $$folder/.made; } || exit 1; \
	$(SHIPPED_FIRST) $(BIN)/lab upgrade $$folder/venv/bin --calls $(CALLS) --rows "$(ROWS)" --json out/upgrade.json

record-metrics: install ## record the metrics that the tests of alerts and dashboards use; half an hour (RECORDINGS="a b")
	$(BIN)/python -m observability.record $(RECORDINGS)

##@ Ship

observability: install ## write alert rules and dashboards from their sources
	$(BIN)/python -m observability.rules
	$(BIN)/python -m observability.write_dashboards
	$(BIN)/python -m infra.rule_groups

$(AS_SHIPPED)/.made: $(STAMP) libs/common/mypyc.ini $(shell find $(SHIPPED) \( -name "*.py" -o -name "*.lua" \) -path "*/src/*")
	@rm -rf $(WHEELS) $(AS_SHIPPED)
	$(call slow,Compiled packages (some minutes),printf '%s\n' $(SHIPPED) | xargs -P 2 -I {} \
		$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir $(WHEELS) ./{})
	@$(BIN)/python -m pip install --quiet --no-deps --no-index --target $(AS_SHIPPED) $(WHEELS)/*.whl
	@touch $@

compiled: $(AS_SHIPPED)/.made ## make the packages as the images have them, compiled, into out/as-shipped

images: ## build the container images (needs docker compose)
	docker compose --profile sim build --build-arg REVISION=$$(git rev-parse --short HEAD)

$(SUPPLY_CHAIN)/.installed: scripts/supply-chain/requirements.txt
	$(call slow,Python environment in $(SUPPLY_CHAIN),$(PYTHON) -m venv $(SUPPLY_CHAIN))
	$(call slow,Tools for the supply chain,$(SUPPLY_CHAIN)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<)
	@touch $@

sbom: $(SUPPLY_CHAIN)/.installed ## write a software bill of materials for each image into out/sbom
	@$(PYTHON) scripts/sbom.py $(SUPPLY_CHAIN)/bin/cyclonedx-py out/sbom

# `--strict`: a package that the advisory database does not answer for is a failure, too.
audit: $(SUPPLY_CHAIN)/.installed ## look for known vulnerabilities in all locks (needs the advisory service of PyPI)
	@failed=; for lock in requirements/*.txt scripts/supply-chain/requirements.txt; do \
		echo "$$lock"; $(SUPPLY_CHAIN)/bin/pip-audit --strict --disable-pip --require-hashes -r $$lock || failed="$$failed $$lock"; done; \
		test -z "$$failed" || { echo "make audit: failed:$$failed" >&2; exit 1; }

workflows: $(SUPPLY_CHAIN)/.installed ## check the workflows for insecure constructs
	$(SUPPLY_CHAIN)/bin/zizmor --offline .github

pin-images: ## pin the base images by their current digests (needs docker and its registry)
	$(PYTHON) scripts/release.py pin

release-check: ## list what prevents the release of VERSION
	@$(PYTHON) scripts/release.py check "$(VERSION)"

release-notes: ## write out/release-notes.md for VERSION, with the digests in METADATA
	@mkdir -p out
	@$(PYTHON) scripts/release.py notes "$(VERSION)" < $(METADATA) > out/release-notes.md

lock: install ## resolve requirements/*.txt again from the pyproject files
	$(BIN)/python -m pip install --quiet uv
	requirements/lock.sh

clean: ## remove what was installed and made
	rm -rf $(VENV) $(FRAMEWORKS) $(SUPPLY_CHAIN) $(CHECKOV) out .lab .mypy_cache .ruff_cache .pytest_cache
	find libs services -name "*.so" -delete
