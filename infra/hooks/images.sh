#!/usr/bin/env bash
# Builds the images in the registry, unless this tag is there already.
set -euo pipefail

for service in call-control media-gateway agent-relay; do
  if az acr repository show --name "$REGISTRY_NAME" --image "$service:$IMAGE_TAG" --output none 2>/dev/null; then continue; fi
  az acr build --registry "$REGISTRY_NAME" --image "$service:$IMAGE_TAG" --file "services/$service/Dockerfile" .
done
