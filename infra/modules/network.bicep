// The virtual network of the nodes (or of the Container Apps environment) and of the private endpoints.

param name string
param location string
param tags object = {}

@description('Address space; at least a /20.')
param addressPrefix string

@description('Creates the private DNS zones of the private endpoints.')
param privateEndpoints bool

@allowed(['aks', 'containerApps'])
param hosting string

var zones = privateEndpoints ? ['privatelink.redis.azure.net', 'privatelink.vaultcore.azure.net'] : []

// Nodes and environment infrastructure get addresses from this subnet; pods of AKS are in an overlay.
var containerAppsDelegation = [
  {
    name: 'container-apps'
    properties: { serviceName: 'Microsoft.App/environments' }
  }
]

// Webhooks and media sockets arrive on 443, and Let's Encrypt checks the host name on 80. The proxies of Container Apps listen on
// 31443 and 31080 behind the same load balancer.
var webPorts = hosting == 'aks' ? ['80', '443'] : ['80', '443', '31080', '31443']

resource nodesSecurityGroup 'Microsoft.Network/networkSecurityGroups@2024-10-01' = {
  name: '${name}-nodes'
  location: location
  tags: tags
  properties: {
    securityRules: [
      {
        name: 'public-web'
        properties: {
          priority: 100
          direction: 'Inbound'
          access: 'Allow'
          protocol: 'Tcp'
          sourceAddressPrefix: 'Internet'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRanges: webPorts
        }
      }
    ]
  }
}

resource endpointsSecurityGroup 'Microsoft.Network/networkSecurityGroups@2024-10-01' = {
  name: '${name}-endpoints'
  location: location
  tags: tags
}

resource network 'Microsoft.Network/virtualNetworks@2024-10-01' = {
  name: '${name}-network'
  location: location
  tags: tags
  properties: {
    addressSpace: { addressPrefixes: [addressPrefix] }
    subnets: [
      {
        name: 'nodes'
        properties: {
          addressPrefix: cidrSubnet(addressPrefix, 22, 0)
          networkSecurityGroup: { id: nodesSecurityGroup.id }
          delegations: hosting == 'containerApps' ? containerAppsDelegation : []
        }
      }
      {
        name: 'endpoints'
        properties: {
          addressPrefix: cidrSubnet(addressPrefix, 24, 4)
          networkSecurityGroup: { id: endpointsSecurityGroup.id }
          privateEndpointNetworkPolicies: 'Enabled'
        }
      }
      {
        // Application Gateway for Containers needs a /24 of its own.
        name: 'app-gateway'
        properties: {
          addressPrefix: cidrSubnet(addressPrefix, 24, 5)
          delegations: [
            {
              name: 'app-gateway'
              properties: { serviceName: 'Microsoft.ServiceNetworking/trafficControllers' }
            }
          ]
        }
      }
    ]
  }
}

resource privateZones 'Microsoft.Network/privateDnsZones@2024-06-01' = [
  for zone in zones: {
    name: zone
    location: 'global'
    tags: tags
  }
]

resource zoneLinks 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [
  for (zone, i) in zones: {
    parent: privateZones[i]
    name: name
    location: 'global'
    tags: tags
    properties: {
      registrationEnabled: false
      virtualNetwork: { id: network.id }
    }
  }
]

output nodesSubnetId string = '${network.id}/subnets/nodes'
output endpointsSubnetId string = '${network.id}/subnets/endpoints'
output appGatewaySubnetId string = '${network.id}/subnets/app-gateway'
output appGatewayPrefix string = cidrSubnet(addressPrefix, 24, 5)
output redisZoneId string = privateEndpoints ? resourceId('Microsoft.Network/privateDnsZones', 'privatelink.redis.azure.net') : ''
output vaultZoneId string = privateEndpoints ? resourceId('Microsoft.Network/privateDnsZones', 'privatelink.vaultcore.azure.net') : ''
