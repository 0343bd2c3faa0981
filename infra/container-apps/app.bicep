// One service as a container app.

param name string
param location string
param tags object
param environmentId string
param image string
param registryServer string
param identityId string
param port int

@description('Requests arrive from the route configuration; false: no ingress at all.')
param ingress bool

@description('Settings by name.')
param settings object

@description('Names of secrets in Key Vault by the name of their setting.')
param secrets object
param vaultUri string

@description('CPU cores: one process uses one core.')
param cpu string
param memory string
param minReplicas int
param maxReplicas int

@description('Seconds from SIGTERM to SIGKILL; at most 600 in Container Apps.')
@maxValue(600)
param terminationGracePeriodSeconds int

var probes = [
  {
    type: 'Startup'
    httpGet: { path: '/livez', port: port }
    periodSeconds: 1
    failureThreshold: 10
  }
  {
    type: 'Readiness'
    httpGet: { path: '/readyz', port: port }
    periodSeconds: 2
    timeoutSeconds: 2
    failureThreshold: 2
  }
  {
    type: 'Liveness'
    httpGet: { path: '/livez', port: port }
    periodSeconds: 10
    timeoutSeconds: 5
    failureThreshold: 3
  }
]

resource app 'Microsoft.App/containerApps@2025-07-01' = {
  name: name
  location: location
  tags: tags
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityId}': {} }
  }
  properties: {
    environmentId: environmentId
    workloadProfileName: 'Consumption'
    configuration: {
      // A new revision starts before the old one drains; calls are handed over or continue at another replica.
      activeRevisionsMode: 'Single'
      ingress: ingress ? { external: false, targetPort: port, transport: 'http', allowInsecure: false } : null
      registries: [
        {
          server: registryServer
          identity: identityId
        }
      ]
      secrets: [
        for secret in items(secrets): {
          name: secret.value
          keyVaultUrl: '${vaultUri}secrets/${secret.value}'
          identity: identityId
        }
      ]
    }
    template: {
      terminationGracePeriodSeconds: terminationGracePeriodSeconds
      containers: [
        {
          name: name
          image: image
          resources: {
            cpu: json(cpu)
            memory: memory
          }
          probes: probes
          env: concat(
            map(items(settings), setting => { name: setting.key, value: setting.value }),
            map(items(secrets), secret => { name: secret.key, secretRef: secret.value }),
            [{ name: 'PORT', value: string(port) }]
          )
        }
      ]
      scale: {
        minReplicas: minReplicas
        maxReplicas: maxReplicas
        rules: [
          {
            // The CPU of a replica follows its calls.
            name: 'cpu'
            custom: {
              type: 'cpu'
              metadata: {
                type: 'Utilization'
                value: '60'
              }
            }
          }
        ]
      }
    }
  }
}
