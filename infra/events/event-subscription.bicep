// The subscription that delivers IncomingCall to call-control. Event Grid calls the webhook before it creates the subscription, so
// call-control must run at BASE_URL.

param topicName string

@description('Public address of call-control.')
param baseUrl string

@description('EVENT_GRID_SECRETS: the first secret is the one that Event Grid sends.')
@secure()
param eventGridSecrets string

@description('Tenant and application whose token Event Grid sends in addition; empty: the secret only.')
param entraTenantId string = ''
param entraAudience string = ''

@description('Deliver only calls to these numbers, for example +18005551212; []: all calls of the ACS resource.')
param numbers array = []

var secret = split(eventGridSecrets, ',')[0]

var destination = {
  endpointUrl: '${baseUrl}/api/incomingCall?code=${secret}'
  minimumTlsVersionAllowed: '1.2'
  maxEventsPerBatch: 1
}

var entra = {
  azureActiveDirectoryTenantId: entraTenantId
  azureActiveDirectoryApplicationIdOrUri: entraAudience
}

resource topic 'Microsoft.EventGrid/systemTopics@2025-02-15' existing = {
  name: topicName
}

resource incomingCall 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2025-02-15' = {
  parent: topic
  name: 'incoming-call'
  properties: {
    destination: {
      endpointType: 'WebHook'
      properties: empty(entraAudience) ? destination : union(destination, entra)
    }
    eventDeliverySchema: 'CloudEventSchemaV1_0'
    filter: {
      includedEventTypes: ['Microsoft.Communication.IncomingCall']
      advancedFilters: empty(numbers) ? [] : [{ operatorType: 'StringIn', key: 'data.to.PhoneNumber.Value', values: numbers }]
    }
    // A phone rings for about 30 seconds: a later delivery is useless.
    retryPolicy: {
      maxDeliveryAttempts: 2
      eventTimeToLiveInMinutes: 1
    }
  }
}
