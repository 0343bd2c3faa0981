#!/usr/bin/env bash
# Writes the secrets that do not exist yet into Key Vault, and lets each service read its own. Values never appear in arguments.
set -euo pipefail

# The role that infra/main.bicep gave to this person takes effect within five minutes.
for attempt in $(seq 1 30); do
  if az keyvault secret list --vault-name "$KEY_VAULT_NAME" --output none 2>/dev/null; then break; fi
  if [ "$attempt" = 30 ]; then
    echo "Key Vault $KEY_VAULT_NAME refuses this person: role Key Vault Secrets Officer, OPERATOR_IP_RANGES" >&2
    exit 1
  fi
  sleep 10
done

value="$(mktemp)"
trap 'rm -f "$value"' EXIT

# $1: name; the value is in the file.
write() { az keyvault secret set --vault-name "$KEY_VAULT_NAME" --name "$1" --file "$value" --encoding utf-8 --output none; }

# $1: name, $2: number of random bytes. A rotated secret is kept.
generate() {
  if az keyvault secret show --vault-name "$KEY_VAULT_NAME" --name "$1" --output none 2>/dev/null; then return; fi
  openssl rand -hex "$2" | tr -d '\n' >"$value"
  write "$1"
}

# $1: name of a secret that must be one of the operator keys. New keys belong at the end (docs/operations/rotate-secrets.md#api-keys).
permit() {
  local keys key
  keys="$(az keyvault secret show --vault-name "$KEY_VAULT_NAME" --name api-keys --query value --output tsv)"
  key="$(az keyvault secret show --vault-name "$KEY_VAULT_NAME" --name "$1" --query value --output tsv)"
  if [[ ",${keys// /}," == *",$key,"* ]]; then return; fi
  printf '%s,%s' "$keys" "$key" >"$value"
  write api-keys
}

generate media-token-keys 32
generate event-grid-secrets 24
generate api-keys 24
if [ "$HOSTING" = aks ]; then
  generate fleet-reader 24
  permit fleet-reader
fi
printf '%s' "$REDIS_URL" >"$value"
write redis-url

az deployment group create --resource-group "$AZURE_RESOURCE_GROUP" --name secrets --template-file infra/secrets/main.bicep --output none \
  --parameters keyVaultName="$KEY_VAULT_NAME" callControlIdentity="$CALL_CONTROL_IDENTITY" \
  mediaGatewayIdentity="$MEDIA_GATEWAY_IDENTITY" agentRelayIdentity="$AGENT_RELAY_IDENTITY"
