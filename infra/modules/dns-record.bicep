// A CNAME in an existing zone of Azure DNS.

param zoneName string

@description('Name of the record relative to the zone.')
param recordName string
param target string

resource zone 'Microsoft.Network/dnsZones@2018-05-01' existing = {
  name: zoneName
}

resource record 'Microsoft.Network/dnsZones/CNAME@2018-05-01' = {
  parent: zone
  name: recordName
  properties: {
    TTL: 300
    CNAMERecord: { cname: target }
  }
}
