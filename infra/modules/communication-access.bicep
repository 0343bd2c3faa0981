// What call-control needs of an ACS resource, new or existing: a role, the settings, and the Event Grid topic.

param communicationName string
param newTopicName string
param tags object = {}

@description('Name of the system topic that the resource already has, in the same resource group; a resource has at most one.')
param existingTopicName string = ''

@description('Principal of call-control, which answers, transfers and ends calls.')
param callControlPrincipalId string

var roles = loadJsonContent('../roles.json')

resource communication 'Microsoft.Communication/communicationServices@2025-09-01' existing = {
  name: communicationName
}

// Call Automation accepts Entra tokens of principals with this role on the resource. No smaller role is documented.
resource callControlRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(communication.id, callControlPrincipalId, roles.contributor)
  scope: communication
  properties: {
    principalId: callControlPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.contributor)
  }
}

resource topic 'Microsoft.EventGrid/systemTopics@2025-02-15' = if (empty(existingTopicName)) {
  name: newTopicName
  location: 'global'
  tags: tags
  properties: {
    source: communication.id
    topicType: 'Microsoft.Communication.CommunicationServices'
  }
}

output endpoint string = 'https://${communication.properties.hostName}'
output immutableId string = communication.properties.immutableResourceId
output topicName string = empty(existingTopicName) ? topic.name : existingTopicName
