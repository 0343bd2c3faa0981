// Everything that runs before the services do. infra/hooks/postprovision.sh then writes the secrets, builds the images, deploys
// the services and creates the event subscription (infra/events), which needs a running webhook.

targetScope = 'subscription'

@description('Name of the azd environment: prefix of every resource.')
@minLength(3)
@maxLength(16)
param environmentName string

@description('Region with Voice Live. Use a region near the callers: every audio frame passes Redis.')
param location string

@description('aks: production. containerApps: a team without Kubernetes; docs/running-on-azure.md has its limits.')
@allowed(['aks', 'containerApps'])
param hosting string = 'aks'

@description('app-routing: the managed Istio gateway, in every region. app-gateway: Application Gateway for Containers, in some.')
@allowed(['app-routing', 'app-gateway'])
param gateway string = 'app-routing'

@description('Public host name, for example phone.contoso.com; empty: a name of Azure.')
param hostName string = ''

@description('Resource id of the Azure DNS zone that contains hostName; empty: make the CNAME yourself.')
param dnsZoneId string = ''

@description('Resource id of an existing ACS resource in this subscription; empty: a new one, which gets no phone numbers of ACS.')
param existingAcsId string = ''

@description('Name of the Event Grid system topic that the existing ACS resource has; empty: a new one.')
param existingSystemTopicName string = ''

@description('Where a new ACS resource stores its data at rest.')
param acsDataLocation string = 'Europe'

@description('Makes Event Grid sign in with Entra, in addition to the secret in the URL. Needs the right to register applications.')
param eventGridEntra bool = true

@description('Number of Foundry resources: each allows 30 new connections of Voice Live a minute.')
@minValue(1)
@maxValue(20)
param voiceResources int = 1

@description('Project for Foundry agents.')
param agentProjectName string = 'phone'

@description('Model that a Foundry agent uses, for example gpt-4.1-mini; empty: no deployment.')
param agentModel string = ''
param agentModelVersion string = '2025-04-14'
param agentModelCapacity int = 50

@description('Size of Azure Managed Redis. One primary, as in Balanced_B1, is planned for 136 calls: docs/sizing.md#cells.')
param redisSku string = 'Balanced_B1'

@allowed(['none', 'rdb'])
param redisPersistence string = 'none'

@allowed(['Basic', 'Standard', 'Premium'])
param registrySku string = 'Standard'

param kubernetesVersion string = ''
param nodeSize string = 'Standard_D4ads_v5'

@minValue(2)
param minNodes int = 3
param maxNodes int = 10

@description('Availability zones, comma-separated; none: a region without zones.')
param zones string = '1,2,3'

@description('Address space of the network. k8s/components/app-gateway accepts traffic from 10.224.0.0/12.')
param networkPrefix string = '10.224.0.0/16'

@description('Redis and Key Vault get private endpoints; Redis is then not reachable from the internet.')
param privateEndpoints bool = true

@description('Address ranges of operators for the Kubernetes API and Key Vault, comma-separated; empty: any, with an Entra token.')
param operatorIpRanges string = ''

param logRetentionDays int = 30

var tags = { 'azd-env-name': environmentName }
// Names that are unique in Azure. Key Vault and Grafana allow 24 and 23 characters.
var unique = uniqueString(subscription().id, environmentName, location)
var globalName = '${environmentName}-${take(unique, 6)}'
var deployerId = deployer().objectId
var newAcs = empty(existingAcsId)
var acsGroup = newAcs ? group.name : split(existingAcsId, '/')[4]
var dnsLabel = toLower(globalName)
var azureName = '${dnsLabel}.${location}.cloudapp.azure.com'
var publicName = empty(hostName) ? azureName : hostName
var aks = hosting == 'aks'
// Also without a zone: the scope of a module must be valid even if it is not deployed.
var zoneSubscription = empty(dnsZoneId) ? subscription().subscriptionId : split(dnsZoneId, '/')[2]
var zoneGroup = empty(dnsZoneId) ? group.name : split(dnsZoneId, '/')[4]
var zoneList = zones == 'none' ? [] : split(zones, ',')
var operatorRangeList = empty(operatorIpRanges) ? [] : split(operatorIpRanges, ',')

resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: 'rg-${environmentName}'
  location: location
  tags: tags
}

module identities 'modules/identities.bicep' = {
  name: 'identities'
  scope: group
  params: {
    name: environmentName
    location: location
    tags: tags
  }
}

module network 'modules/network.bicep' = {
  name: 'network'
  scope: group
  params: {
    name: environmentName
    location: location
    tags: tags
    addressPrefix: networkPrefix
    privateEndpoints: privateEndpoints
    hosting: hosting
  }
}

module monitoring 'modules/monitoring.bicep' = {
  name: 'monitoring'
  scope: group
  params: {
    name: environmentName
    grafanaName: 'grafana-${unique}'
    location: location
    tags: tags
    retentionDays: logRetentionDays
    deployerId: deployerId
  }
}

module communication 'modules/communication.bicep' = if (newAcs) {
  name: 'communication'
  scope: group
  params: {
    name: '${globalName}-acs'
    tags: tags
    dataLocation: acsDataLocation
  }
}

module communicationAccess 'modules/communication-access.bicep' = {
  name: 'communication-access'
  scope: resourceGroup(acsGroup)
  params: {
    communicationName: newAcs ? communication!.outputs.name : last(split(existingAcsId, '/'))
    newTopicName: '${globalName}-events'
    tags: tags
    existingTopicName: existingSystemTopicName
    callControlPrincipalId: identities.outputs.callControl.principalId
  }
}

module webhookApplication 'modules/webhook-application.bicep' = if (eventGridEntra) {
  name: 'webhook-application'
  scope: group
  params: {
    name: globalName
    deployerId: deployerId
    eventGridApplicationId: '4962773b-9cdb-44cf-a8bf-237846a00ab7'
  }
}

module foundry 'modules/foundry.bicep' = [
  for i in range(0, voiceResources): {
    name: 'foundry-${i}'
    scope: group
    params: {
      name: i == 0 ? '${globalName}-foundry' : '${globalName}-foundry-${i}'
      location: location
      tags: tags
      projectName: agentProjectName
      agentModel: agentModel
      agentModelVersion: agentModelVersion
      agentModelCapacity: agentModelCapacity
      agentRelayPrincipalId: identities.outputs.agentRelay.principalId
      deployerId: deployerId
    }
  }
]

module redis 'modules/redis.bicep' = {
  name: 'redis'
  scope: group
  params: {
    name: '${globalName}-redis'
    location: location
    tags: tags
    sku: redisSku
    persistence: redisPersistence
    principalIds: [
      identities.outputs.callControl.principalId
      identities.outputs.mediaGateway.principalId
      identities.outputs.agentRelay.principalId
    ]
    privateEndpoints: privateEndpoints
    endpointsSubnetId: network.outputs.endpointsSubnetId
    zoneId: network.outputs.redisZoneId
  }
}

module registry 'modules/registry.bicep' = {
  name: 'registry'
  scope: group
  params: {
    name: replace('${globalName}registry', '-', '')
    location: location
    tags: tags
    sku: registrySku
  }
}

module keyVault 'modules/key-vault.bicep' = {
  name: 'key-vault'
  scope: group
  params: {
    name: 'kv-${unique}'
    location: location
    tags: tags
    logAnalyticsId: monitoring.outputs.logAnalyticsId
    operatorIpRanges: operatorRangeList
    privateEndpoints: privateEndpoints
    endpointsSubnetId: network.outputs.endpointsSubnetId
    zoneId: network.outputs.vaultZoneId
    deployerId: deployerId
  }
}

module cluster 'modules/aks.bicep' = if (aks) {
  name: 'aks'
  scope: group
  params: {
    name: environmentName
    location: location
    tags: tags
    nodesSubnetId: network.outputs.nodesSubnetId
    registryName: registry.outputs.name
    logAnalyticsId: monitoring.outputs.logAnalyticsId
    kubernetesVersion: kubernetesVersion
    nodeSize: nodeSize
    minNodes: minNodes
    maxNodes: maxNodes
    zones: zoneList
    operatorIpRanges: operatorRangeList
    deployerId: deployerId
  }
}

module federation 'modules/federation.bicep' = if (aks) {
  name: 'federation'
  scope: group
  params: {
    callControlName: identities.outputs.callControl.name
    mediaGatewayName: identities.outputs.mediaGateway.name
    agentRelayName: identities.outputs.agentRelay.name
    issuerUrl: cluster!.outputs.issuerUrl
  }
}

module clusterMonitoring 'modules/aks-monitoring.bicep' = if (aks) {
  name: 'aks-monitoring'
  scope: group
  params: {
    name: environmentName
    location: location
    tags: tags
    clusterName: cluster!.outputs.name
    metricsId: monitoring.outputs.metricsId
    logAnalyticsId: monitoring.outputs.logAnalyticsId
  }
}

module environment 'modules/container-apps-environment.bicep' = if (!aks) {
  name: 'container-apps-environment'
  scope: group
  params: {
    name: environmentName
    location: location
    tags: tags
    subnetId: network.outputs.nodesSubnetId
    zoneRedundant: !empty(zoneList)
    logAnalyticsId: monitoring.outputs.logAnalyticsId
    registryName: registry.outputs.name
    principalIds: [
      identities.outputs.callControl.principalId
      identities.outputs.mediaGateway.principalId
      identities.outputs.agentRelay.principalId
    ]
  }
}

module record 'modules/dns-record.bicep' = if (aks && gateway == 'app-routing' && !empty(dnsZoneId)) {
  name: 'dns-record'
  scope: resourceGroup(zoneSubscription, zoneGroup)
  params: {
    zoneName: last(split(dnsZoneId, '/'))
    recordName: replace(hostName, '.${last(split(dnsZoneId, '/'))}', '')
    target: azureName
  }
}

// For azd and its hooks. Names in capitals that the services know are their settings.
output AZURE_RESOURCE_GROUP string = group.name
output HOSTING string = hosting
output GATEWAY string = gateway
output DNS_LABEL string = dnsLabel
output APP_GATEWAY_SUBNET_ID string = network.outputs.appGatewaySubnetId
output APP_GATEWAY_PREFIX string = network.outputs.appGatewayPrefix
output AKS_NAME string = aks ? cluster!.outputs.name : ''
output CONTAINER_APPS_ENVIRONMENT string = aks ? '' : environment!.outputs.name
output REGISTRY_NAME string = registry.outputs.name
output REGISTRY_SERVER string = registry.outputs.loginServer
output KEY_VAULT_NAME string = keyVault.outputs.name
output TENANT_ID string = tenant().tenantId
output ACS_RESOURCE_GROUP string = acsGroup
output SYSTEM_TOPIC_NAME string = communicationAccess.outputs.topicName
output CALL_CONTROL_CLIENT_ID string = identities.outputs.callControl.clientId
output MEDIA_GATEWAY_CLIENT_ID string = identities.outputs.mediaGateway.clientId
output AGENT_RELAY_CLIENT_ID string = identities.outputs.agentRelay.clientId
output CALL_CONTROL_IDENTITY string = identities.outputs.callControl.name
output MEDIA_GATEWAY_IDENTITY string = identities.outputs.mediaGateway.name
output AGENT_RELAY_IDENTITY string = identities.outputs.agentRelay.name
output GRAFANA_ENDPOINT string = monitoring.outputs.grafanaEndpoint
output GRAFANA_NAME string = monitoring.outputs.grafanaName
output METRICS_ID string = monitoring.outputs.metricsId

output BASE_URL string = aks ? 'https://${publicName}' : 'https://phone.${environment!.outputs.defaultDomain}'
output ACS_ENDPOINT string = communicationAccess.outputs.endpoint
output ACS_JWT_AUDIENCE string = communicationAccess.outputs.immutableId
output EVENT_GRID_TENANT_ID string = eventGridEntra ? tenant().tenantId : ''
output EVENT_GRID_AUDIENCE string = eventGridEntra ? webhookApplication!.outputs.audience : ''
output REDIS_URL string = redis.outputs.url
output AZURE_VOICE_LIVE_ENDPOINT string = foundry[0].outputs.endpoint
output AZURE_VOICE_LIVE_FURTHER_ENDPOINTS string = join(
  map(range(1, voiceResources - 1), i => 'https://${globalName}-foundry-${i}.services.ai.azure.com'),
  ','
)
output AGENT_PROJECT_NAME string = agentProjectName
output CALLS_PER_MIN string = string(24 * voiceResources)
output APPLICATIONINSIGHTS_CONNECTION_STRING string = monitoring.outputs.connectionString
