// The environment of the small deployment: Azure Container Apps instead of Kubernetes.

param name string
param location string
param tags object = {}
param subnetId string
param zoneRedundant bool
param logAnalyticsId string
param registryName string
param principalIds array

resource environment 'Microsoft.App/managedEnvironments@2025-07-01' = {
  name: '${name}-apps'
  location: location
  tags: tags
  properties: {
    vnetConfiguration: {
      infrastructureSubnetId: subnetId
      // Azure reaches the webhooks and media sockets from the internet.
      internal: false
    }
    workloadProfiles: [
      {
        name: 'Consumption'
        workloadProfileType: 'Consumption'
      }
    ]
    zoneRedundant: zoneRedundant
    appLogsConfiguration: { destination: 'azure-monitor' }
  }
}

resource consoleLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'logs'
  scope: environment
  properties: {
    workspaceId: logAnalyticsId
    logs: [
      {
        category: 'ContainerAppConsoleLogs'
        enabled: true
      }
      {
        category: 'ContainerAppSystemLogs'
        enabled: true
      }
    ]
  }
}

module pull 'pull-role.bicep' = [
  for (principalId, i) in principalIds: {
    name: 'apps-pull-role-${i}'
    params: {
      registryName: registryName
      principalId: principalId
    }
  }
]

output name string = environment.name
output defaultDomain string = environment.properties.defaultDomain
