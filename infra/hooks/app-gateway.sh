#!/usr/bin/env bash
# Application Gateway for Containers: the add-on (preview), the right to join its subnet, and the load balancer.
set -euo pipefail

az extension add --name aks-preview --upgrade --yes
az aks update --resource-group "$AZURE_RESOURCE_GROUP" --name "$AKS_NAME" --enable-gateway-api --enable-application-load-balancer --output none

nodes="$(az aks show --resource-group "$AZURE_RESOURCE_GROUP" --name "$AKS_NAME" --query nodeResourceGroup --output tsv)"
controller="$(az identity show --resource-group "$nodes" --name "applicationloadbalancer-$AKS_NAME" --query principalId --output tsv)"
# Network Contributor on the subnet, as infra/roles.json has it.
role="$(python3 -c 'import json; print(json.load(open("infra/roles.json"))["networkContributor"])')"
az role assignment create --assignee-object-id "$controller" --assignee-principal-type ServicePrincipal --role "$role" \
  --scope "$APP_GATEWAY_SUBNET_ID" --output none

kubectl create namespace voice-bridge --dry-run=client -o yaml | kubectl apply -f -
kubectl apply -f - <<YAML
apiVersion: alb.networking.azure.io/v1
kind: ApplicationLoadBalancer
metadata: {name: phone, namespace: voice-bridge}
spec: {associations: [$APP_GATEWAY_SUBNET_ID]}
YAML
kubectl -n voice-bridge wait applicationloadbalancer/phone --for=condition=Deployment --timeout=15m
