// The rules of observability/rules.yaml as rule groups of managed Prometheus, which reads no PrometheusRule.

param location string = resourceGroup().location
param tags object = {}

@description('Resource id of the Azure Monitor workspace.')
param metricsId string

@description('Cluster whose metrics the rules evaluate.')
param clusterName string

@description('Gets an e-mail for each alert; empty: alerts are shown in the portal only.')
param email string = ''

// Written by `make observability`.
var groups = loadJsonContent('rule-groups.json')
var actions = empty(email) ? [] : [{ actionGroupId: operators.id }]

resource operators 'Microsoft.Insights/actionGroups@2023-01-01' = if (!empty(email)) {
  name: 'voice-bridge'
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'voicebridge'
    enabled: true
    emailReceivers: [
      {
        name: 'operators'
        emailAddress: email
        useCommonAlertSchema: true
      }
    ]
  }
}

resource ruleGroups 'Microsoft.AlertsManagement/prometheusRuleGroups@2023-03-01' = [
  for group in groups: {
    name: group.name
    location: location
    tags: tags
    properties: {
      scopes: [metricsId]
      clusterName: clusterName
      enabled: true
      interval: 'PT1M'
      rules: map(group.rules, rule => contains(rule, 'alert') ? union(rule, { actions: actions }) : rule)
    }
  }
]
