// Azure Kubernetes Service for the three services: workload identity, autoscaling, secrets from Key Vault, a managed gateway.

param name string
param location string
param tags object
param nodesSubnetId string
param registryName string
param logAnalyticsId string

@description('Kubernetes version, for example 1.35; empty: the default of AKS.')
param kubernetesVersion string

@description('Size of the nodes of the services. A relay with 40 calls needs less than one core: docs/sizing.md.')
param nodeSize string
param minNodes int
param maxNodes int

@description('Availability zones of the nodes; empty for a region without zones.')
param zones array

@description('Address ranges that may reach the Kubernetes API; empty: any, with an Entra token.')
param operatorIpRanges array

@description('Object id of the person or pipeline that deploys to the cluster.')
param deployerId string

var roles = loadJsonContent('../roles.json')

resource clusterIdentity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: '${name}-cluster'
  location: location
  tags: tags
}

// The load balancer and new nodes join the subnet.
module subnetRole 'subnet-role.bicep' = {
  name: 'cluster-subnet-role'
  params: {
    subnetId: nodesSubnetId
    principalId: clusterIdentity.properties.principalId
  }
}

var pool = {
  type: 'VirtualMachineScaleSets'
  osType: 'Linux'
  osSKU: 'AzureLinux'
  vnetSubnetID: nodesSubnetId
  availabilityZones: zones
  enableAutoScaling: true
  upgradeSettings: {
    maxSurge: '1'
    // A node is drained within the grace periods of its pods (320 s), one after another.
    drainTimeoutInMinutes: 30
    nodeSoakDurationInMinutes: 5
  }
}

resource cluster 'Microsoft.ContainerService/managedClusters@2026-05-01' = {
  name: name
  location: location
  tags: tags
  sku: {
    name: 'Base'
    tier: 'Standard'
  }
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${clusterIdentity.id}': {} }
  }
  properties: {
    kubernetesVersion: empty(kubernetesVersion) ? null : kubernetesVersion
    dnsPrefix: name
    disableLocalAccounts: true
    aadProfile: {
      managed: true
      enableAzureRBAC: true
    }
    apiServerAccessProfile: { authorizedIPRanges: operatorIpRanges }
    agentPoolProfiles: [
      union(pool, {
        name: 'system'
        mode: 'System'
        vmSize: 'Standard_D2as_v5'
        count: 2
        minCount: 2
        maxCount: 4
        nodeTaints: ['CriticalAddonsOnly=true:NoSchedule']
      })
      union(pool, {
        name: 'calls'
        mode: 'User'
        vmSize: nodeSize
        count: minNodes
        minCount: minNodes
        maxCount: maxNodes
      })
    ]
    autoScalerProfile: {
      // Longer than the longest grace period of the services. A pod's /tmp is an emptyDir, which must not keep a node alive.
      'max-graceful-termination-sec': '600'
      'skip-nodes-with-local-storage': 'false'
      'balance-similar-node-groups': 'true'
      expander: 'least-waste'
    }
    networkProfile: {
      networkPlugin: 'azure'
      networkPluginMode: 'overlay'
      networkDataplane: 'cilium'
      networkPolicy: 'cilium'
      loadBalancerSku: 'standard'
      outboundType: 'loadBalancer'
      podCidr: '192.168.0.0/16'
      serviceCidr: '172.20.0.0/16'
      dnsServiceIP: '172.20.0.10'
    }
    oidcIssuerProfile: { enabled: true }
    securityProfile: {
      workloadIdentity: { enabled: true }
      imageCleaner: {
        enabled: true
        intervalHours: 168
      }
    }
    ingressProfile: {
      gatewayAPI: { installation: 'Standard' }
      webAppRouting: { gatewayAPIImplementations: { appRoutingIstio: { mode: 'Enabled' } } }
    }
    workloadAutoScalerProfile: { keda: { enabled: true } }
    azureMonitorProfile: { metrics: { enabled: true } }
    addonProfiles: {
      azureKeyvaultSecretsProvider: {
        enabled: true
        config: {
          enableSecretRotation: 'true'
          rotationPollInterval: '2m'
        }
      }
      azurepolicy: { enabled: true }
      omsagent: {
        enabled: true
        config: {
          logAnalyticsWorkspaceResourceID: logAnalyticsId
          useAADAuth: 'true'
        }
      }
    }
    autoUpgradeProfile: {
      upgradeChannel: 'patch'
      nodeOSUpgradeChannel: 'NodeImage'
    }
  }
  dependsOn: [subnetRole]
}

// In the hours with the fewest calls, UTC.
var sundayNight = {
  schedule: {
    weekly: {
      dayOfWeek: 'Sunday'
      intervalWeeks: 1
    }
  }
  startTime: '01:00'
  durationHours: 4
}

resource clusterUpgrades 'Microsoft.ContainerService/managedClusters/maintenanceConfigurations@2026-05-01' = {
  parent: cluster
  name: 'aksManagedAutoUpgradeSchedule'
  properties: { maintenanceWindow: sundayNight }
}

resource nodeUpgrades 'Microsoft.ContainerService/managedClusters/maintenanceConfigurations@2026-05-01' = {
  parent: cluster
  name: 'aksManagedNodeOSUpgradeSchedule'
  properties: { maintenanceWindow: sundayNight }
}

module pull 'pull-role.bicep' = {
  name: 'cluster-pull-role'
  params: {
    registryName: registryName
    principalId: cluster.properties.identityProfile.kubeletidentity.objectId
  }
}

resource deployerRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(cluster.id, deployerId, roles.aksRbacClusterAdmin)
  scope: cluster
  properties: {
    principalId: deployerId
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.aksRbacClusterAdmin)
  }
}

output name string = cluster.name
output issuerUrl string = cluster.properties.oidcIssuerProfile.issuerURL
