// A new Azure Communication Services resource.

param name string
param tags object = {}

@description('Where ACS stores its data at rest, for example Europe or United States. Cannot be changed later.')
param dataLocation string

@description('Allows connection strings: for a laptop, which has no managed identity.')
param localAuth bool = false

resource communication 'Microsoft.Communication/communicationServices@2025-09-01' = {
  name: name
  location: 'global'
  tags: tags
  properties: {
    dataLocation: dataLocation
    // Tokens of managed identities only: no connection string to store and to rotate.
    disableLocalAuth: !localAuth
  }
}

output name string = communication.name
