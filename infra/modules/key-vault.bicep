// The vault of the secrets that no identity can replace: keys of media URLs, of the webhook and of the operator API.

param name string
param location string
param tags object = {}
param logAnalyticsId string

@description('Address ranges that may read and write secrets from outside the network; empty: any, with an Entra token.')
param operatorIpRanges array

param privateEndpoints bool
param endpointsSubnetId string
param zoneId string

@description('Object id of the person or pipeline that writes secrets.')
param deployerId string

var roles = loadJsonContent('../roles.json')

resource vault 'Microsoft.KeyVault/vaults@2024-11-01' = {
  // checkov:skip=CKV_AZURE_109: operatorIpRanges closes the firewall
  name: name
  location: location
  tags: tags
  properties: {
    tenantId: tenant().tenantId
    sku: {
      family: 'A'
      name: 'standard'
    }
    enableRbacAuthorization: true
    enableSoftDelete: true
    enablePurgeProtection: true
    softDeleteRetentionInDays: 30
    // infra/events reads the secret of the webhook during its deployment.
    enabledForTemplateDeployment: true
    publicNetworkAccess: 'Enabled'
    networkAcls: {
      bypass: 'AzureServices'
      defaultAction: privateEndpoints && !empty(operatorIpRanges) ? 'Deny' : 'Allow'
      ipRules: [for ipRange in operatorIpRanges: { value: ipRange }]
    }
  }
}

resource deployerSecrets 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(vault.id, deployerId, roles.keyVaultSecretsOfficer)
  scope: vault
  properties: {
    principalId: deployerId
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.keyVaultSecretsOfficer)
  }
}

resource audit 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'audit'
  scope: vault
  properties: {
    workspaceId: logAnalyticsId
    logs: [
      {
        categoryGroup: 'audit'
        enabled: true
      }
    ]
  }
}

module endpoint 'private-endpoint.bicep' = if (privateEndpoints) {
  name: 'vault-endpoint'
  params: {
    name: '${name}-endpoint'
    location: location
    tags: tags
    subnetId: endpointsSubnetId
    zoneId: zoneId
    resourceId: vault.id
    groupId: 'vault'
  }
}

output name string = vault.name
