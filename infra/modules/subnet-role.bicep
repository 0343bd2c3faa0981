// Lets the identity of a cluster join its subnet.

param subnetId string
param principalId string

var roles = loadJsonContent('../roles.json')

resource network 'Microsoft.Network/virtualNetworks@2024-10-01' existing = {
  name: split(subnetId, '/')[8]
}

resource subnet 'Microsoft.Network/virtualNetworks/subnets@2024-10-01' existing = {
  parent: network
  name: last(split(subnetId, '/'))
}

resource join 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(subnetId, principalId, roles.networkContributor)
  scope: subnet
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.networkContributor)
  }
}
