"""Writes the kustomizations of one deployment from the outputs of infra/main.bicep, which are environment variables.

    overlay.py FOLDER                  writes FOLDER/services, and FOLDER/gateway for the application routing add-on
    overlay.py --split FILE FOLDER     splits rendered manifests: shared.yaml, and <service>.yaml with each Deployment

They use the base and the components of k8s/, like k8s/overlays/aks, and change no committed file. JSON is YAML as well.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SERVICES = ("call-control", "media-gateway", "agent-relay")
ROOT = Path(__file__).resolve().parents[2]

REQUIRED = (
    "ACS_ENDPOINT",
    "ACS_JWT_AUDIENCE",
    "AGENT_RELAY_CLIENT_ID",
    "AZURE_VOICE_LIVE_ENDPOINT",
    "BASE_URL",
    "CALLS_PER_MIN",
    "CALL_CONTROL_CLIENT_ID",
    "DNS_LABEL",
    "GATEWAY",
    "IMAGE_TAG",
    "KEY_VAULT_NAME",
    "LETSENCRYPT_EMAIL",
    "MEDIA_GATEWAY_CLIENT_ID",
    "REGISTRY_SERVER",
    "TENANT_ID",
)

COMPONENTS = ("cilium", "keda", "deletion-cost", "monitoring-azure", "key-vault")

SETTINGS = {
    "bridge-settings": ("ACS_JWT_AUDIENCE", "APPLICATIONINSIGHTS_CONNECTION_STRING"),
    "call-control-settings": (
        "BASE_URL",
        "ACS_ENDPOINT",
        "CALLS_PER_MIN",
        "EVENT_GRID_TENANT_ID",
        "EVENT_GRID_AUDIENCE",
    ),
    "agent-relay-settings": ("AZURE_VOICE_LIVE_ENDPOINT", "AZURE_VOICE_LIVE_FURTHER_ENDPOINTS"),
}

# Azure Managed Redis as infra/modules/redis.bicep makes it.
REDIS = {"REDIS_ENTRA": "true", "REDIS_CLUSTER": "true", "REDIS_SHARDS": "12"}


def services(env: Mapping[str, str], path_to_k8s: str) -> dict[str, Any]:
    host = env["BASE_URL"].removeprefix("https://")
    with_gateway = ["app-gateway", "cert-manager"] if env["GATEWAY"] == "app-gateway" else ["app-routing"]
    patches = [_patch("HTTPRoute", "phone-.*", "replace", "/spec/hostnames", [host])]
    if env["GATEWAY"] == "app-gateway":
        patches += [*_gateway_host(host), _issuer(env)]
    for service in SERVICES:
        client_id = env[f"{service.upper().replace('-', '_')}_CLIENT_ID"]
        annotation = {"azure.workload.identity/client-id": client_id}
        patches.append(_patch("ServiceAccount", service, "add", "/metadata/annotations", annotation))
        for key, value in (
            ("clientID", client_id),
            ("keyvaultName", env["KEY_VAULT_NAME"]),
            ("tenantId", env["TENANT_ID"]),
        ):
            patches.append(_patch("SecretProviderClass", service, "replace", f"/spec/parameters/{key}", value))
    mine = [env["KUSTOMIZE_COMPONENT"]] if env.get("KUSTOMIZE_COMPONENT") else []
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": "voice-bridge",
        "resources": ["namespace.yaml", f"{path_to_k8s}/base"],
        "components": [f"{path_to_k8s}/components/{name}" for name in (*with_gateway, *COMPONENTS)]
        + [f"{path_to_k8s}/../{path}" for path in mine],
        "images": [
            {"name": name, "newName": f"{env['REGISTRY_SERVER']}/{name}", "newTag": env["IMAGE_TAG"]}
            for name in SERVICES
        ],
        "configMapGenerator": [
            {"name": name, "behavior": "merge", "literals": [f"{key}={value}" for key, value in values.items()]}
            for name, values in settings(env).items()
        ],
        "patches": patches,
    }


def settings(env: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """The settings of each ConfigMap. A Foundry agent has precedence over a model."""
    found = {name: {key: env[key] for key in keys if env.get(key)} for name, keys in SETTINGS.items()}
    found["bridge-settings"] |= REDIS
    if env.get("AGENT_NAME"):
        agent = {"AGENT_NAME": env["AGENT_NAME"], "AGENT_PROJECT_NAME": env["AGENT_PROJECT_NAME"]}
    else:
        agent = {"VOICE_LIVE_MODEL": env.get("VOICE_LIVE_MODEL") or "gpt-realtime"}
    found["agent-relay-settings"] |= agent
    return found


def gateway(env: Mapping[str, str], path_to_k8s: str) -> dict[str, Any]:
    """The Gateway of the application routing add-on. Azure gives its load balancer the name DNS_LABEL in the region."""
    host = env["BASE_URL"].removeprefix("https://")
    label = {"annotations": {"service.beta.kubernetes.io/azure-dns-label-name": env["DNS_LABEL"]}}
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [f"{path_to_k8s}/ingress/app-routing"],
        "patches": [
            *_gateway_host(host),
            _patch("Gateway", "phone", "add", "/spec/infrastructure", label),
            _issuer(env),
        ],
    }


def split(rendered: str) -> dict[str, str]:
    """Manifests by the file that they belong in: the Deployment of each service apart from all others."""
    files: dict[str, list[str]] = {"shared": []}
    for manifest in re.split(r"^---\n", rendered, flags=re.MULTILINE):
        name = re.search(r"^metadata:\n(?:  .*\n)*?  name: (\S+)\n", manifest, flags=re.MULTILINE)
        deployment = re.search(r"^kind: Deployment$", manifest, flags=re.MULTILINE)
        files.setdefault(name[1] if deployment and name else "shared", []).append(manifest)
    return {name: "---\n".join(manifests) for name, manifests in files.items()}


def _gateway_host(host: str) -> list[dict[str, Any]]:
    return [
        _patch("Gateway", "phone", "test", "/spec/listeners/1/name", "https"),
        _patch("Gateway", "phone", "replace", "/spec/listeners/1/hostname", host),
    ]


def _issuer(env: Mapping[str, str]) -> dict[str, Any]:
    return _patch("Issuer", "letsencrypt", "replace", "/spec/acme/email", env["LETSENCRYPT_EMAIL"])


def _patch(kind: str, name: str, op: str, path: str, value: object) -> dict[str, Any]:
    operation = {"op": op, "path": path, "value": value}
    return {"target": {"kind": kind, "name": name}, "patch": json.dumps([operation])}


def write(folder: Path, env: Mapping[str, str]) -> None:
    path_to_k8s = os.path.relpath(ROOT / "k8s", folder.resolve() / "services")
    kustomizations = {"services": services(env, path_to_k8s)}
    if env["GATEWAY"] == "app-routing":
        kustomizations["gateway"] = gateway(env, path_to_k8s)
    for name, kustomization in kustomizations.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / "kustomization.yaml").write_text(json.dumps(kustomization, indent=2) + "\n")
    (folder / "services" / "namespace.yaml").write_bytes((ROOT / "k8s/overlays/aks/namespace.yaml").read_bytes())


def main(arguments: list[str], env: Mapping[str, str]) -> str | None:
    """Returns the error message, or None."""
    if len(arguments) == 3 and arguments[0] == "--split":
        for name, manifests in split(Path(arguments[1]).read_text()).items():
            (Path(arguments[2]) / f"{name}.yaml").write_text(manifests)
        return None
    if len(arguments) != 1:
        return __doc__
    missing = [name for name in REQUIRED if not env.get(name)]
    if missing:
        names = ", ".join(missing)
        return (
            f"not set: {names}. Set your own with `azd env set NAME VALUE`; the others are outputs of `azd provision`"
        )
    write(Path(arguments[0]), env)
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
