#!/usr/bin/env bash
# Compiles and lints every template that is deployed by itself, and its modules. infra/bicepconfig.json has the rules that are errors.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

for template in main.bicep secrets/main.bicep container-apps/main.bicep events/main.bicep; do
  az bicep build --file "$template" --stdout >/dev/null
done
