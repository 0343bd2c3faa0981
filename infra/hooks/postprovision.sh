#!/usr/bin/env bash
# After `azd provision`: secrets, images, services, event subscription. Every step can be repeated; azd passes its environment, which
# contains the outputs of infra/main.bicep. To repeat it alone: azd hooks run postprovision
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

infra/hooks/preprovision.sh

# A commit has one image; uncommitted changes get a tag of their own.
IMAGE_TAG="${IMAGE_TAG:-$(git rev-parse --short=12 HEAD)$(git diff --quiet HEAD || date -u +-%Y%m%d%H%M%S)}"
export IMAGE_TAG

infra/hooks/secrets.sh
infra/hooks/images.sh
case "$HOSTING" in
  aks) infra/hooks/aks.sh ;;
  *) infra/hooks/container-apps.sh ;;
esac
infra/hooks/events.sh
if [ "$HOSTING" = aks ]; then infra/hooks/alerts.sh; fi

echo "Done. Webhooks and media sockets: $BASE_URL. Next: a phone number, docs/running-on-azure.md#4-a-way-to-call-it"
