#!/usr/bin/env bash
# Alerts for managed Prometheus and dashboards for Grafana, after the services run: some alerts report that a service is missing.
set -euo pipefail

az deployment group create --resource-group "$AZURE_RESOURCE_GROUP" --name alerts --template-file infra/alerts/main.bicep --output none \
  --parameters metricsId="$METRICS_ID" clusterName="$AKS_NAME" email="${ALERT_EMAIL:-}"

az extension add --name amg --upgrade --yes
for dashboard in observability/dashboards/*.json; do
  az grafana dashboard create --resource-group "$AZURE_RESOURCE_GROUP" --name "$GRAFANA_NAME" --definition "@$dashboard" --overwrite true --output none
done
