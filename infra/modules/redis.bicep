// Azure Managed Redis without access keys: each service signs in with its managed identity.

param name string
param location string
param tags object = {}

@description('Size, for example Balanced_B1 (1 GB). A call needs 1.83 MB: docs/sizing.md.')
param sku string

@description('rdb: an hourly snapshot. Running calls survive an empty Redis without it; records and transcripts do not.')
@allowed(['none', 'rdb'])
param persistence string = 'none'

param principalIds array
param privateEndpoints bool
param endpointsSubnetId string = ''
param zoneId string = ''

var hourlySnapshot = {
  rdbEnabled: true
  rdbFrequency: '1h'
}

resource redis 'Microsoft.Cache/redisEnterprise@2025-07-01' = {
  name: name
  location: location
  tags: tags
  sku: { name: sku }
  properties: {
    highAvailability: 'Enabled'
    minimumTlsVersion: '1.2'
    publicNetworkAccess: privateEndpoints ? 'Disabled' : 'Enabled'
  }
}

resource database 'Microsoft.Cache/redisEnterprise/databases@2025-07-01' = {
  parent: redis
  name: 'default'
  properties: {
    accessKeysAuthentication: 'Disabled'
    clientProtocol: 'Encrypted'
    // The only policy that grows: NoCluster ends at 25 GB and one primary, and EnterpriseCluster has one proxy. It cannot be changed
    // later. The services need REDIS_CLUSTER and, from the start, more shards than primaries: REDIS_SHARDS.
    clusteringPolicy: 'OSSCluster'
    // The default evicts keys of running calls when memory is full.
    evictionPolicy: 'NoEviction'
    port: 10000
    persistence: persistence == 'rdb' ? hourlySnapshot : {}
  }
}

// Azure Managed Redis has no smaller access policy than `default`. One assignment at a time: they change one database.
@batchSize(1)
resource access 'Microsoft.Cache/redisEnterprise/databases/accessPolicyAssignments@2025-07-01' = [
  for principalId in principalIds: {
    parent: database
    name: replace(principalId, '-', '')
    properties: {
      accessPolicyName: 'default'
      user: { objectId: principalId }
    }
  }
]

module endpoint 'private-endpoint.bicep' = if (privateEndpoints) {
  name: 'redis-endpoint'
  params: {
    name: '${name}-endpoint'
    location: location
    tags: tags
    subnetId: endpointsSubnetId
    zoneId: zoneId
    resourceId: redis.id
    groupId: 'redisEnterprise'
  }
}

output url string = 'rediss://${redis.properties.hostName}:10000/0'
