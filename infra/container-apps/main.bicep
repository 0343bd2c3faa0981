// The three services in Azure Container Apps, with one public address for webhooks and media sockets.

param location string = resourceGroup().location
param tags object = {}
param environmentName string
param registryServer string
param imageTag string
param keyVaultName string
param callControlIdentity string
param mediaGatewayIdentity string
param agentRelayIdentity string

param minReplicas int = 2
param maxReplicas int = 10

@description('Settings of all services: REDIS_URL is a secret beside them.')
param baseUrl string
param acsEndpoint string
param acsAudience string
param eventGridTenantId string
param eventGridAudience string
param voiceLiveEndpoint string
param voiceLiveFurtherEndpoints string
param callsPerMin string

@description('Model mode; ignored if agentName is set.')
param voiceLiveModel string = 'gpt-realtime'
param agentName string = ''
param agentProjectName string = ''

@description('Ends in the log of the deployment; it identifies the resource and grants nothing but the ingestion of telemetry.')
param applicationInsights string = ''

resource environment 'Microsoft.App/managedEnvironments@2025-07-01' existing = {
  name: environmentName
}

resource vault 'Microsoft.KeyVault/vaults@2024-11-01' existing = {
  name: keyVaultName
}

resource identities 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = [
  for name in [callControlIdentity, mediaGatewayIdentity, agentRelayIdentity]: {
    name: name
  }
]

var shared = {
  LOG_FORMAT: 'json'
  REDIS_ENTRA: 'true'
  REDIS_CLUSTER: 'true'
  REDIS_SHARDS: '12'
  APPLICATIONINSIGHTS_CONNECTION_STRING: applicationInsights
}

var trust = {
  ACS_JWT_MODE: 'enforce'
  ACS_JWT_AUDIENCE: acsAudience
}

var agent = {
  AGENT_NAME: agentName
  AGENT_PROJECT_NAME: agentProjectName
}

var model = { VOICE_LIVE_MODEL: voiceLiveModel }

module callControl 'app.bicep' = {
  name: 'call-control'
  params: {
    name: 'call-control'
    location: location
    tags: tags
    environmentId: environment.id
    image: '${registryServer}/call-control:${imageTag}'
    registryServer: registryServer
    identityId: identities[0].id
    port: 8080
    ingress: true
    settings: union(shared, trust, {
      AZURE_CLIENT_ID: identities[0].properties.clientId
      BASE_URL: baseUrl
      ACS_ENDPOINT: acsEndpoint
      EVENT_GRID_TENANT_ID: eventGridTenantId
      EVENT_GRID_AUDIENCE: eventGridAudience
      CALLS_PER_MIN: callsPerMin
    })
    secrets: {
      REDIS_URL: 'redis-url'
      MEDIA_TOKEN_KEYS: 'media-token-keys'
      EVENT_GRID_SECRETS: 'event-grid-secrets'
      API_KEYS: 'api-keys'
    }
    vaultUri: vault.properties.vaultUri
    cpu: '0.5'
    memory: '1Gi'
    minReplicas: minReplicas
    maxReplicas: maxReplicas
    terminationGracePeriodSeconds: 45
  }
}

module mediaGateway 'app.bicep' = {
  name: 'media-gateway'
  params: {
    name: 'media-gateway'
    location: location
    tags: tags
    environmentId: environment.id
    image: '${registryServer}/media-gateway:${imageTag}'
    registryServer: registryServer
    identityId: identities[1].id
    port: 8081
    ingress: true
    settings: union(shared, trust, {
      AZURE_CLIENT_ID: identities[1].properties.clientId
      DRAIN_TIMEOUT_S: '300'
    })
    secrets: {
      REDIS_URL: 'redis-url'
      MEDIA_TOKEN_KEYS: 'media-token-keys'
    }
    vaultUri: vault.properties.vaultUri
    cpu: '1.0'
    memory: '2Gi'
    minReplicas: minReplicas
    maxReplicas: maxReplicas
    terminationGracePeriodSeconds: 320
  }
}

module agentRelay 'app.bicep' = {
  name: 'agent-relay'
  params: {
    name: 'agent-relay'
    location: location
    tags: tags
    environmentId: environment.id
    image: '${registryServer}/agent-relay:${imageTag}'
    registryServer: registryServer
    identityId: identities[2].id
    port: 8082
    ingress: false
    settings: union(shared, empty(agentName) ? model : agent, {
      AZURE_CLIENT_ID: identities[2].properties.clientId
      AZURE_VOICE_LIVE_ENDPOINT: voiceLiveEndpoint
      AZURE_VOICE_LIVE_FURTHER_ENDPOINTS: voiceLiveFurtherEndpoints
      DRAIN_TIMEOUT_S: '300'
    })
    secrets: { REDIS_URL: 'redis-url' }
    vaultUri: vault.properties.vaultUri
    cpu: '1.0'
    memory: '2Gi'
    minReplicas: minReplicas
    maxReplicas: maxReplicas
    terminationGracePeriodSeconds: 320
  }
}

// The paths that Azure calls and no others: the operator API and the metrics stay inside the environment.
resource routes 'Microsoft.App/managedEnvironments/httpRouteConfigs@2025-07-01' = {
  parent: environment
  name: 'phone'
  properties: {
    rules: [
      {
        description: 'webhooks'
        targets: [{ containerApp: 'call-control' }]
        routes: [
          { match: { path: '/api/incomingCall' } }
          { match: { pathSeparatedPrefix: '/api/callbacks' } }
        ]
      }
      {
        description: 'media sockets'
        targets: [{ containerApp: 'media-gateway' }]
        routes: [{ match: { pathSeparatedPrefix: '/ws' } }]
      }
    ]
  }
  dependsOn: [callControl, mediaGateway]
}

output fqdn string = routes.properties.fqdn
