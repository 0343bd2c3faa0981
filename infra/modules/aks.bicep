// Azure Kubernetes Service for the three services: workload identity, autoscaling, secrets from Key Vault, a managed gateway.

param name string
param location string
param tags object = {}
param nodesSubnetId string
param registryName string
param logAnalyticsId string

@description('Kubernetes version, for example 1.35; empty: the default of AKS.')
param kubernetesVersion string

@description('Size of the nodes of the services, with a local disk of at least 64 GB for the system: docs/sizing.md.')
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

// A node is drained within the grace periods of its pods (320 s), one after another.
var upgradeSettings = {
  maxSurge: '1'
  drainTimeoutInMinutes: 30
  nodeSoakDurationInMinutes: 5
}

resource cluster 'Microsoft.ContainerService/managedClusters@2026-05-01' = {
  // checkov:skip=CKV_AZURE_172: rotation is on; the check expects a boolean where the API takes a string
  // checkov:skip=CKV_AZURE_8: the dashboard no longer exists
  // checkov:skip=CKV_AZURE_227: encryption at host needs a feature registration of the subscription; there are no data disks
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
    enableRBAC: true
    disableLocalAccounts: true
    aadProfile: {
      managed: true
      enableAzureRBAC: true
    }
    apiServerAccessProfile: { authorizedIPRanges: operatorIpRanges }
    agentPoolProfiles: [
      {
        name: 'system'
        mode: 'System'
        type: 'VirtualMachineScaleSets'
        osType: 'Linux'
        osSKU: 'AzureLinux'
        vmSize: 'Standard_D2ads_v5'
        osDiskType: 'Ephemeral'
        osDiskSizeGB: 64
        vnetSubnetID: nodesSubnetId
        availabilityZones: zones
        maxPods: 110
        enableAutoScaling: true
        count: 2
        minCount: 2
        maxCount: 4
        nodeTaints: ['CriticalAddonsOnly=true:NoSchedule']
        upgradeSettings: upgradeSettings
      }
      {
        name: 'calls'
        mode: 'User'
        type: 'VirtualMachineScaleSets'
        osType: 'Linux'
        osSKU: 'AzureLinux'
        vmSize: nodeSize
        osDiskType: 'Ephemeral'
        osDiskSizeGB: 64
        vnetSubnetID: nodesSubnetId
        availabilityZones: zones
        maxPods: 110
        enableAutoScaling: true
        count: minNodes
        minCount: minNodes
        maxCount: maxNodes
        upgradeSettings: upgradeSettings
      }
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
