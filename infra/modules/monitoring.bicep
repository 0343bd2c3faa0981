// Logs, traces and metrics: Log Analytics, Application Insights, managed Prometheus and Grafana.

param name string

@description('At most 23 characters, unique in Azure.')
param grafanaName string
param location string
param tags object = {}
param retentionDays int

@description('Object id of the person who administrates Grafana.')
param deployerId string

var roles = loadJsonContent('../roles.json')

resource logs 'Microsoft.OperationalInsights/workspaces@2025-02-01' = {
  name: '${name}-logs'
  location: location
  tags: tags
  properties: {
    sku: { name: 'PerGB2018' }
    retentionInDays: retentionDays
  }
}

resource traces 'Microsoft.Insights/components@2020-02-02' = {
  name: '${name}-traces'
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: logs.id
  }
}

resource metrics 'Microsoft.Monitor/accounts@2023-04-03' = {
  name: '${name}-metrics'
  location: location
  tags: tags
}

resource grafana 'Microsoft.Dashboard/grafana@2024-10-01' = {
  name: grafanaName
  location: location
  tags: tags
  sku: { name: 'Standard' }
  identity: { type: 'SystemAssigned' }
  properties: {
    apiKey: 'Disabled'
    publicNetworkAccess: 'Enabled'
    grafanaIntegrations: {
      azureMonitorWorkspaceIntegrations: [{ azureMonitorWorkspaceResourceId: metrics.id }]
    }
  }
}

resource grafanaReads 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(metrics.id, grafana.id, roles.monitoringDataReader)
  scope: metrics
  properties: {
    principalId: grafana.identity.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.monitoringDataReader)
  }
}

resource deployerAdministrates 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(grafana.id, deployerId, roles.grafanaAdmin)
  scope: grafana
  properties: {
    principalId: deployerId
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.grafanaAdmin)
  }
}

output logAnalyticsId string = logs.id
output metricsId string = metrics.id
output connectionString string = traces.properties.ConnectionString
output grafanaEndpoint string = grafana.properties.endpoint
output grafanaName string = grafana.name
