#!/usr/bin/env bash
# Deploys the services to Azure Container Apps.
set -euo pipefail

az deployment group create --resource-group "$AZURE_RESOURCE_GROUP" --name container-apps --template-file infra/container-apps/main.bicep \
  --output none --parameters environmentName="$CONTAINER_APPS_ENVIRONMENT" registryServer="$REGISTRY_SERVER" imageTag="$IMAGE_TAG" \
  keyVaultName="$KEY_VAULT_NAME" callControlIdentity="$CALL_CONTROL_IDENTITY" mediaGatewayIdentity="$MEDIA_GATEWAY_IDENTITY" \
  agentRelayIdentity="$AGENT_RELAY_IDENTITY" baseUrl="$BASE_URL" acsEndpoint="$ACS_ENDPOINT" acsAudience="$ACS_JWT_AUDIENCE" \
  eventGridTenantId="$EVENT_GRID_TENANT_ID" eventGridAudience="$EVENT_GRID_AUDIENCE" voiceLiveEndpoint="$AZURE_VOICE_LIVE_ENDPOINT" \
  voiceLiveFurtherEndpoints="$AZURE_VOICE_LIVE_FURTHER_ENDPOINTS" callsPerMin="$CALLS_PER_MIN" \
  voiceLiveModel="${VOICE_LIVE_MODEL:-gpt-realtime}" agentName="${AGENT_NAME:-}" agentProjectName="$AGENT_PROJECT_NAME" \
  applicationInsights="$APPLICATIONINSIGHTS_CONNECTION_STRING" minReplicas="${MIN_REPLICAS:-2}"
