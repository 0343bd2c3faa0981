// The Entra application that stands for the webhook. Event Grid gets a token for it, which call-control checks.

extension microsoftGraphV1

param name string

@description('Object id of the person or pipeline that creates the event subscription; it needs the role as well.')
param deployerId string

@description('Application id of Event Grid: public cloud 4962773b-9cdb-44cf-a8bf-237846a00ab7.')
param eventGridApplicationId string

var roleId = guid(name, 'AzureEventGridSecureWebhookSubscriber')

resource application 'Microsoft.Graph/applications@v1.0' = {
  uniqueName: '${name}-webhook'
  displayName: '${name}-webhook'
  signInAudience: 'AzureADMyOrg'
  appRoles: [
    {
      id: roleId
      value: 'AzureEventGridSecureWebhookSubscriber'
      displayName: 'AzureEventGridSecureWebhookSubscriber'
      description: 'Event Grid may deliver events'
      allowedMemberTypes: ['Application', 'User']
      isEnabled: true
    }
  ]
}

resource webhook 'Microsoft.Graph/servicePrincipals@v1.0' = {
  appId: application.appId
}

resource eventGrid 'Microsoft.Graph/servicePrincipals@v1.0' existing = {
  appId: eventGridApplicationId
}

resource eventGridRole 'Microsoft.Graph/appRoleAssignedTo@v1.0' = {
  appRoleId: roleId
  principalId: eventGrid.id
  resourceId: webhook.id
}

resource deployerRole 'Microsoft.Graph/appRoleAssignedTo@v1.0' = {
  appRoleId: roleId
  principalId: deployerId
  resourceId: webhook.id
}

output audience string = application.appId
