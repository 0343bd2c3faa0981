// A Foundry resource with Voice Live, a project for agents, optionally a model deployment, and its roles.

param name string
param location string
param tags object = {}
param projectName string = 'phone'

@description('Model for a Foundry agent, for example gpt-4.1-mini; empty: no deployment. Voice Live needs none in model mode.')
param agentModel string = ''
param agentModelVersion string = ''

@description('Capacity of the deployment in units of 1,000 tokens a minute.')
param agentModelCapacity int = 50

param agentRelayPrincipalId string

@description('Object id of the person who creates agents.')
param deployerId string

@description('Allows keys: for a laptop, which has no managed identity.')
param localAuth bool = false

var roles = loadJsonContent('../roles.json')

resource account 'Microsoft.CognitiveServices/accounts@2025-09-01' = {
  // checkov:skip=CKV_AZURE_236: keys are off unless localAuth is set, for a laptop
  // checkov:skip=CKV_AZURE_134: Voice Live does not reach agents in projects with a private network
  name: name
  location: location
  tags: tags
  // A Speech resource has no agents; the free tier has no Voice Live.
  kind: 'AIServices'
  sku: { name: 'S0' }
  identity: { type: 'SystemAssigned' }
  properties: {
    allowProjectManagement: true
    // Without it Entra tokens are rejected. It cannot be changed later.
    customSubDomainName: name
    disableLocalAuth: !localAuth
    // Voice Live does not reach agents in projects with a private network.
    publicNetworkAccess: 'Enabled'
    networkAcls: { defaultAction: 'Allow' }
  }
}

resource project 'Microsoft.CognitiveServices/accounts/projects@2025-09-01' = {
  parent: account
  name: projectName
  location: location
  identity: { type: 'SystemAssigned' }
  properties: { displayName: projectName }
}

resource deployment 'Microsoft.CognitiveServices/accounts/deployments@2025-09-01' = if (!empty(agentModel)) {
  parent: account
  name: empty(agentModel) ? 'none' : agentModel
  sku: {
    name: 'GlobalStandard'
    capacity: agentModelCapacity
  }
  properties: {
    model: {
      format: 'OpenAI'
      name: agentModel
      version: agentModelVersion
    }
    versionUpgradeOption: 'OnceNewDefaultVersionAvailable'
  }
  // A Foundry resource changes one child at a time.
  dependsOn: [project]
}

// Every mode without a key. Not to be confused with Cognitive Services OpenAI User, which does not allow Voice Live.
resource relayCognitive 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(account.id, agentRelayPrincipalId, roles.cognitiveServicesUser)
  scope: account
  properties: {
    principalId: agentRelayPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.cognitiveServicesUser)
  }
}

// Agent mode.
resource relayFoundry 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(account.id, agentRelayPrincipalId, roles.foundryUser)
  scope: account
  properties: {
    principalId: agentRelayPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.foundryUser)
  }
}

// Creating agents needs data actions, which Owner does not have.
resource deployerFoundry 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(account.id, deployerId, roles.foundryUser)
  scope: account
  properties: {
    principalId: deployerId
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.foundryUser)
  }
}

output endpoint string = 'https://${account.properties.customSubDomainName}.services.ai.azure.com'
