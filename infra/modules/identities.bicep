// One managed identity for each service. Roles are assigned beside the resource that they open.

param name string
param location string
param tags object = {}

resource callControl 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: '${name}-call-control'
  location: location
  tags: tags
}

resource mediaGateway 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: '${name}-media-gateway'
  location: location
  tags: tags
}

resource agentRelay 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: '${name}-agent-relay'
  location: location
  tags: tags
}

output callControl object = {
  name: callControl.name
  id: callControl.id
  clientId: callControl.properties.clientId
  principalId: callControl.properties.principalId
}

output mediaGateway object = {
  name: mediaGateway.name
  id: mediaGateway.id
  clientId: mediaGateway.properties.clientId
  principalId: mediaGateway.properties.principalId
}

output agentRelay object = {
  name: agentRelay.name
  id: agentRelay.id
  clientId: agentRelay.properties.clientId
  principalId: agentRelay.properties.principalId
}
