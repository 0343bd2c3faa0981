#!/usr/bin/env bash
# Deploys the services to the cluster: cert-manager, the gateway, then one service after the other.
set -euo pipefail

CERT_MANAGER="${CERT_MANAGER:-v1.19.1}"
folder="out/azure/$AZURE_ENV_NAME"
mkdir -p "$folder"
export KUBECONFIG="$PWD/$folder/kubeconfig"
az aks get-credentials --resource-group "$AZURE_RESOURCE_GROUP" --name "$AKS_NAME" --file "$KUBECONFIG" --overwrite-existing
kubelogin convert-kubeconfig --login azurecli

if [ "$GATEWAY" = app-gateway ]; then infra/hooks/app-gateway.sh; fi

helm upgrade --install cert-manager oci://quay.io/jetstack/charts/cert-manager --version "$CERT_MANAGER" \
  --namespace cert-manager --create-namespace --wait --set crds.enabled=true --set config.apiVersion=controller.config.cert-manager.io/v1alpha1 \
  --set config.kind=ControllerConfiguration --set config.enableGatewayAPI=true

# Writes $folder/gateway and $folder/services.
python3 infra/hooks/overlay.py "$folder"
kubectl apply -f "$folder/services/namespace.yaml"
if [ "$GATEWAY" = app-routing ]; then kubectl apply -k "$folder/gateway"; fi

# KEDA asks call-control for the demand with an operator key of its own; secrets.sh has written it.
token="$(mktemp)"
trap 'rm -f "$token"' EXIT
az keyvault secret show --vault-name "$KEY_VAULT_NAME" --name fleet-reader --query value --output tsv | tr -d '\n' >"$token"
kubectl -n voice-bridge create secret generic fleet-reader --from-file=token="$token" --dry-run=client -o yaml | kubectl apply -f -

# The order of an upgrade (docs/operations/upgrade.md). A new deployment does not wait for the pace of roll-outs.
kubectl kustomize "$folder/services" >"$folder/services.yaml"
python3 infra/hooks/overlay.py --split "$folder/services.yaml" "$folder"
running="$(kubectl -n voice-bridge get deployment --output name)"
kubectl apply -f "$folder/shared.yaml"
for service in call-control media-gateway agent-relay; do
  kubectl apply -f "$folder/$service.yaml"
  if grep -q "/$service\$" <<<"$running"; then
    kubectl -n voice-bridge rollout status "deployment/$service" --timeout=4h
  fi
done
# A Deployment is "available" only after minReadySeconds; here one ready pod of each service is enough. Pods of the previous release may still
# drain and are then not ready, so this does not wait for pods.
kubectl -n voice-bridge wait deployment/call-control deployment/media-gateway deployment/agent-relay \
  --for=jsonpath='{.status.readyReplicas}' --timeout=15m

namespace="$([ "$GATEWAY" = app-routing ] && echo voice-bridge-ingress || echo voice-bridge)"
kubectl -n "$namespace" wait gateway/phone --for=condition=Programmed --timeout=15m
kubectl -n "$namespace" get gateway/phone --output jsonpath='Public address of the gateway: {.status.addresses[0].value}{"\n"}'
if ! kubectl -n "$namespace" wait certificate/phone-tls --for=condition=Ready --timeout=15m; then
  echo "No certificate yet: does the name of $BASE_URL lead to the address above? Then: azd hooks run postprovision" >&2
  exit 1
fi
