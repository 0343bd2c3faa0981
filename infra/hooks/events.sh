#!/usr/bin/env bash
# Creates the event subscription. Event Grid calls the webhook first, so a new name or certificate may need a minute or two.
set -euo pipefail

for attempt in 1 2 3 4 5; do
  if az deployment group create --resource-group "$AZURE_RESOURCE_GROUP" --name events --template-file infra/events/main.bicep --output none \
    --parameters keyVaultName="$KEY_VAULT_NAME" topicName="$SYSTEM_TOPIC_NAME" topicResourceGroup="$ACS_RESOURCE_GROUP" baseUrl="$BASE_URL" \
    entraTenantId="$EVENT_GRID_TENANT_ID" entraAudience="$EVENT_GRID_AUDIENCE" numbers="${NUMBERS:-[]}"; then
    exit 0
  fi
  echo "attempt $attempt of 5 failed" >&2
  sleep 60
done
echo "The subscription was not created. Can the internet reach $BASE_URL/api/incomingCall? Then: azd hooks run postprovision" >&2
exit 1
