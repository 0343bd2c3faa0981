// The registry of the images.

param name string
param location string
param tags object = {}

@description('Premium adds private endpoints, geo-replication and zones.')
@allowed(['Basic', 'Standard', 'Premium'])
param sku string

resource registry 'Microsoft.ContainerRegistry/registries@2025-04-01' = {
  // checkov:skip=CKV_AZURE_139: az acr build and the nodes reach it with Entra tokens; a private registry needs Premium
  // checkov:skip=CKV_AZURE_163: scanning belongs to Defender for Cloud, which is set for the subscription
  // checkov:skip=CKV_AZURE_166: quarantine needs Premium and an approver
  name: name
  location: location
  tags: tags
  sku: { name: sku }
  properties: {
    adminUserEnabled: false
    anonymousPullEnabled: false
    zoneRedundancy: sku == 'Premium' ? 'Enabled' : 'Disabled'
  }
}

output id string = registry.id
output name string = registry.name
output loginServer string = registry.properties.loginServer
