#!/usr/bin/env bash
# Compiles and lints every template that is deployed by itself; the modules with it. A warning is an error.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

for template in main.bicep secrets/main.bicep container-apps/main.bicep events/main.bicep; do
  said="$(az bicep build --file "$template" --stdout 2>&1 >/dev/null)" || { echo "$said" >&2; exit 1; }
  if [ -n "$said" ]; then
    echo "$said" >&2
    exit 1
  fi
done
