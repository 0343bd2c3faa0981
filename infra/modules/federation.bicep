// Lets each service account of k8s/ use the identity of its service.

param callControlName string
param mediaGatewayName string
param agentRelayName string
param issuerUrl string

@description('Namespace of k8s/overlays/aks.')
param namespace string = 'voice-bridge'

var audiences = ['api://AzureADTokenExchange']

resource callControl 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = {
  name: callControlName
}

resource callControlAccount 'Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials@2024-11-30' = {
  parent: callControl
  name: 'aks'
  properties: {
    issuer: issuerUrl
    subject: 'system:serviceaccount:${namespace}:call-control'
    audiences: audiences
  }
}

resource mediaGateway 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = {
  name: mediaGatewayName
}

resource mediaGatewayAccount 'Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials@2024-11-30' = {
  parent: mediaGateway
  name: 'aks'
  properties: {
    issuer: issuerUrl
    subject: 'system:serviceaccount:${namespace}:media-gateway'
    audiences: audiences
  }
}

resource agentRelay 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = {
  name: agentRelayName
}

resource agentRelayAccount 'Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials@2024-11-30' = {
  parent: agentRelay
  name: 'aks'
  properties: {
    issuer: issuerUrl
    subject: 'system:serviceaccount:${namespace}:agent-relay'
    audiences: audiences
  }
}
