// After the services run: the event subscription, with the secret from Key Vault.

param keyVaultName string
param topicName string

@description('Resource group of the topic: that of the ACS resource.')
param topicResourceGroup string
param baseUrl string
param entraTenantId string = ''
param entraAudience string = ''
param numbers array = []

resource vault 'Microsoft.KeyVault/vaults@2024-11-01' existing = {
  name: keyVaultName
}

module subscription 'event-subscription.bicep' = {
  name: 'incoming-call'
  scope: resourceGroup(topicResourceGroup)
  params: {
    topicName: topicName
    baseUrl: baseUrl
    eventGridSecrets: vault.getSecret('event-grid-secrets')
    entraTenantId: entraTenantId
    entraAudience: entraAudience
    numbers: numbers
  }
}
