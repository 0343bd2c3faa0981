"""The overlay that `azd up` generates: rendered by kubectl, complete, and with settings that the services accept."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from infra.hooks import overlay

from agent_relay.settings import RelaySettings
from bridge_common.service.settings import ServiceSettings, load_settings
from call_control.settings import CallControlSettings
from media_gateway.settings import GatewaySettings
from tests.support.kustomize import Manifest, of_kind

SETTINGS: dict[str, type[ServiceSettings]] = {
    "call-control": CallControlSettings,
    "media-gateway": GatewaySettings,
    "agent-relay": RelaySettings,
}
ENVIRONMENT = {
    "ACS_ENDPOINT": "https://phone-a1b2c3-acs.europe.communication.azure.com",
    "ACS_JWT_AUDIENCE": "11111111-2222-3333-4444-555555555555",
    "AGENT_PROJECT_NAME": "phone",
    "AGENT_RELAY_CLIENT_ID": "client-of-relay",
    "APPLICATIONINSIGHTS_CONNECTION_STRING": "InstrumentationKey=66666666-2222-3333-4444-555555555555",
    "AZURE_VOICE_LIVE_ENDPOINT": "https://phone-a1b2c3-foundry.services.ai.azure.com",
    "AZURE_VOICE_LIVE_FURTHER_ENDPOINTS": "https://phone-a1b2c3-foundry-1.services.ai.azure.com",
    "BASE_URL": "https://phone.contoso.com",
    "CALLS_PER_MIN": "48",
    "CALL_CONTROL_CLIENT_ID": "client-of-control",
    "DNS_LABEL": "phone-a1b2c3",
    "EVENT_GRID_AUDIENCE": "77777777-2222-3333-4444-555555555555",
    "EVENT_GRID_TENANT_ID": "88888888-2222-3333-4444-555555555555",
    "GATEWAY": "app-routing",
    "IMAGE_TAG": "0123456789ab",
    "KEY_VAULT_NAME": "kv-a1b2c3",
    "LETSENCRYPT_EMAIL": "operator@contoso.com",
    "MEDIA_GATEWAY_CLIENT_ID": "client-of-gateway",
    "REGISTRY_SERVER": "phonea1b2c3registry.azurecr.io",
    "TENANT_ID": "88888888-2222-3333-4444-555555555555",
}
SECRETS = {
    "REDIS_URL": "rediss://phone-a1b2c3-redis.swedencentral.redis.azure.net:10000/0",
    "MEDIA_TOKEN_KEYS": "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
    "EVENT_GRID_SECRETS": "1f1e2d3c4b5a69788796a5b4c3d2e1f0",
    "API_KEYS": "2f1e2d3c4b5a69788796a5b4c3d2e1f0",
}

needs_kubectl = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")


def _render(folder: Path) -> str:
    answer = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


@pytest.fixture(scope="module", params=["app-routing", "app-gateway"])
def rendered(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("azure")
    assert overlay.main([str(folder)], ENVIRONMENT | {"GATEWAY": request.param}) is None
    rendered = {path.name: _render(path) for path in folder.iterdir()}
    assert set(rendered) == ({"services", "gateway"} if request.param == "app-routing" else {"services"})
    return rendered


@pytest.fixture(scope="module")
def manifests(rendered: dict[str, str]) -> list[Manifest]:
    return [manifest for text in rendered.values() for manifest in yaml.safe_load_all(text) if manifest]


@needs_kubectl
def test_no_example_is_left(rendered: dict[str, str]) -> None:
    assert "kind: Deployment" in rendered["services"]
    for text in rendered.values():
        assert "example" not in text
        assert "00000000-0000" not in text


@needs_kubectl
def test_hosts_images_and_identities_are_those_of_the_deployment(manifests: list[Manifest]) -> None:
    hosts = {host for route in of_kind(manifests, "HTTPRoute").values() for host in route["spec"]["hostnames"]}
    (gateway,) = of_kind(manifests, "Gateway").values()
    https = next(listener for listener in gateway["spec"]["listeners"] if listener["name"] == "https")
    assert hosts == {https["hostname"]} == {"phone.contoso.com"}
    clients = {}
    for name, deployment in of_kind(manifests, "Deployment").items():
        pod = deployment["spec"]["template"]
        assert pod["spec"]["containers"][0]["image"] == f"phonea1b2c3registry.azurecr.io/{name}:0123456789ab"
        assert pod["metadata"]["labels"]["azure.workload.identity/use"] == "true"
        account = of_kind(manifests, "ServiceAccount")[pod["spec"]["serviceAccountName"]]
        clients[name] = account["metadata"]["annotations"]["azure.workload.identity/client-id"]
        vault = of_kind(manifests, "SecretProviderClass")[name]["spec"]["parameters"]
        assert vault["clientID"] == clients[name]
        assert (vault["keyvaultName"], vault["tenantId"]) == ("kv-a1b2c3", ENVIRONMENT["TENANT_ID"])
    assert clients == {
        "call-control": "client-of-control",
        "media-gateway": "client-of-gateway",
        "agent-relay": "client-of-relay",
    }


@needs_kubectl
def test_routes_and_issuer_belong_to_the_gateway(manifests: list[Manifest]) -> None:
    (gateway,) = of_kind(manifests, "Gateway").values()
    (issuer,) = of_kind(manifests, "Issuer").values()
    assert issuer["spec"]["acme"]["email"] == "operator@contoso.com"
    assert issuer["metadata"]["namespace"] == gateway["metadata"]["namespace"]
    for route in of_kind(manifests, "HTTPRoute").values():
        (parent,) = route["spec"]["parentRefs"]
        assert parent.get("namespace", "voice-bridge") == gateway["metadata"]["namespace"]
    if gateway["spec"]["gatewayClassName"] == "approuting-istio":
        label = gateway["spec"]["infrastructure"]["annotations"]["service.beta.kubernetes.io/azure-dns-label-name"]
        assert label == "phone-a1b2c3"


@needs_kubectl
@pytest.mark.parametrize("service", SETTINGS)
def test_a_service_starts_with_the_generated_settings(
    service: str, manifests: list[Manifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in SETTINGS[service].model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    container = of_kind(manifests, "Deployment")[service]["spec"]["template"]["spec"]["containers"][0]
    configs = of_kind(manifests, "ConfigMap")
    for source in container["envFrom"]:
        for name, value in configs[source["configMapRef"]["name"]]["data"].items():
            monkeypatch.setenv(name, value)
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    settings: Any = load_settings(SETTINGS[service])
    assert settings.allow_insecure == ()
    assert settings.redis_entra is True
    assert settings.redis_shards == 12
    if isinstance(settings, RelaySettings):
        assert settings.voice_live_model == "gpt-realtime"


@needs_kubectl
def test_deployments_are_split_from_what_they_need(rendered: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "services.yaml").write_text(rendered["services"])
    assert overlay.main(["--split", str(tmp_path / "services.yaml"), str(tmp_path)], {}) is None
    parts = {path.stem: list(yaml.safe_load_all(path.read_text())) for path in tmp_path.glob("*.yaml")}
    everything = parts.pop("services")
    assert set(parts) == {"shared", *SETTINGS}
    assert sum(map(len, parts.values())) == len(everything)
    for service in SETTINGS:
        ((deployment),) = parts[service]
        assert (deployment["kind"], deployment["metadata"]["name"]) == ("Deployment", service)
    assert "Deployment" not in {manifest["kind"] for manifest in parts["shared"]}


def test_components_and_settings_are_those_of_the_overlay_for_aks(root: Path) -> None:
    aks = yaml.safe_load((root / "k8s/overlays/aks/kustomization.yaml").read_text())
    ours = overlay.services(ENVIRONMENT | {"GATEWAY": "app-gateway", "AGENT_NAME": "front-desk"}, "../..")
    used = {Path(path).name for path in ours["components"]}
    assert used == {Path(path).name for path in aks["components"]} | {"key-vault"}
    for generator in aks["configMapGenerator"]:
        (same,) = [mine for mine in ours["configMapGenerator"] if mine["name"] == generator["name"]]
        names = {literal.partition("=")[0] for literal in generator["literals"]}
        assert names <= {literal.partition("=")[0] for literal in same["literals"]}, generator["name"]


def test_an_agent_has_precedence_over_a_model() -> None:
    found = overlay.settings(ENVIRONMENT | {"AGENT_NAME": "front-desk", "VOICE_LIVE_MODEL": "gpt-realtime"})
    assert found["agent-relay-settings"].items() >= {"AGENT_NAME": "front-desk", "AGENT_PROJECT_NAME": "phone"}.items()
    assert "VOICE_LIVE_MODEL" not in found["agent-relay-settings"]


def test_missing_values_are_listed_all_at_once(tmp_path: Path) -> None:
    message = overlay.main([str(tmp_path)], dict.fromkeys(overlay.REQUIRED[2:], "x"))
    assert message is not None
    assert message.startswith(f"not set: {overlay.REQUIRED[0]}, {overlay.REQUIRED[1]}.")
    assert not list(tmp_path.iterdir())


def test_a_component_of_the_operator_is_applied_last() -> None:
    ours = overlay.services(ENVIRONMENT | {"KUSTOMIZE_COMPONENT": "my/component"}, "../k8s")
    assert os.path.normpath(ours["components"][-1]) == os.path.normpath("../my/component")
