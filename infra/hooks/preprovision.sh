#!/usr/bin/env bash
# Before anything is created: everything that would stop the deployment halfway, all faults at once.
set -euo pipefail

HOSTING="${HOSTING:-aks}"
faults=()
case "$HOSTING" in
  aks)
    tools="az kubectl kubelogin helm python3 git openssl"
    [ -n "${LETSENCRYPT_EMAIL:-}" ] || faults+=("LETSENCRYPT_EMAIL is not set: azd env set LETSENCRYPT_EMAIL operator@contoso.com")
    ;;
  containerApps) tools="az git openssl" ;;
  *) tools="" && faults+=("HOSTING must be aks or containerApps, got $HOSTING") ;;
esac
if [ "${GATEWAY:-app-routing}" = app-gateway ] && [ -z "${HOST_NAME:-}" ]; then
  faults+=("GATEWAY=app-gateway needs a host name of your own: azd env set HOST_NAME phone.contoso.com")
fi
if [ -n "${DNS_ZONE_ID:-}" ] && [ -z "${HOST_NAME:-}" ]; then
  faults+=("DNS_ZONE_ID needs HOST_NAME, a name in that zone")
fi
for tool in $tools; do
  command -v "$tool" >/dev/null || faults+=("$tool is not installed")
done
if command -v az >/dev/null && ! az account show --output none 2>/dev/null; then
  faults+=("the Azure CLI is not signed in: az login")
fi

if [ ${#faults[@]} -gt 0 ]; then
  printf '%s\n' "${faults[@]}" >&2
  exit 1
fi
