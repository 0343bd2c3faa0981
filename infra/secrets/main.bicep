// After the secrets exist: each service may read its own secrets and no others.

param keyVaultName string
param callControlIdentity string
param mediaGatewayIdentity string
param agentRelayIdentity string

resource callControl 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = {
  name: callControlIdentity
}

resource mediaGateway 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = {
  name: mediaGatewayIdentity
}

resource agentRelay 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = {
  name: agentRelayIdentity
}

module callControlSecrets 'secret-roles.bicep' = {
  name: 'call-control-secrets'
  params: {
    keyVaultName: keyVaultName
    secretNames: ['redis-url', 'media-token-keys', 'event-grid-secrets', 'api-keys']
    principalId: callControl.properties.principalId
  }
}

module mediaGatewaySecrets 'secret-roles.bicep' = {
  name: 'media-gateway-secrets'
  params: {
    keyVaultName: keyVaultName
    secretNames: ['redis-url', 'media-token-keys']
    principalId: mediaGateway.properties.principalId
  }
}

module agentRelaySecrets 'secret-roles.bicep' = {
  name: 'agent-relay-secrets'
  params: {
    keyVaultName: keyVaultName
    secretNames: ['redis-url']
    principalId: agentRelay.properties.principalId
  }
}
