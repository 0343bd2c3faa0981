#!/usr/bin/env bash
# Writes the locks beside this file: hashes, no registry addresses. One for development, one for each image.
set -euo pipefail
cd "$(dirname "$0")/.."
uv=${UV:-.venv/bin/uv}  # `.venv/bin/pip install uv` puts it there
compile() {
  "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
    --no-emit-package bridge-common "$@"
}
services=(call-control media-gateway agent-relay)
projects=(libs/common/pyproject.toml lab/pyproject.toml)
for service in "${services[@]}"; do projects+=("services/$service/pyproject.toml"); done
compile --all-extras "${projects[@]}" requirements/dev.in -o requirements/dev.txt
for service in "${services[@]}"; do
  compile --extra telemetry "services/$service/pyproject.toml" -c requirements/dev.txt -o "requirements/$service.txt"
done
compile lab/pyproject.toml -c requirements/dev.txt -o requirements/lab.txt
compile requirements/build.in -c requirements/dev.txt -o requirements/build.txt
frameworks=tests/contract/frameworks/requirements  # an environment of its own, whose versions need not be ours
compile "$frameworks.in" -o "$frameworks.txt"
tools=scripts/supply-chain/requirements
compile "$tools.in" -o "$tools.txt"
compile infra/checks/requirements.in --override infra/checks/overrides.in -o infra/checks/requirements.txt
