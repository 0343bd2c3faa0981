"""Both overlays pass strict Kubernetes validation and contain the fields that every pod of this project needs."""

from __future__ import annotations

import base64
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from agent_relay.settings import RelaySettings
from bridge_common.service.settings import ServiceSettings, load_settings
from call_control.settings import CallControlSettings
from media_gateway.settings import GatewaySettings

SERVICES = {"call-control": 8080, "media-gateway": 8081, "agent-relay": 8082}
KUBERNETES = "1.34"
# A controller of Azure defines these kinds; the Kubernetes schemas do not contain them.
CUSTOM_KINDS = {"IngressExtension"}

SETTINGS: dict[str, type[ServiceSettings]] = {
    "call-control": CallControlSettings,
    "media-gateway": GatewaySettings,
    "agent-relay": RelaySettings,
}
# Example values of the Secrets, which the overlay for AKS does not include.
SECRETS = {
    "redis": {"REDIS_URL": "rediss://:password@cache.example:10000/0"},
    "media-token": {"MEDIA_TOKEN_KEYS": "a" * 64},
    "call-control": {"EVENT_GRID_SECRETS": "b" * 48, "API_KEYS": "c" * 48},
}

Manifest = dict[str, Any]

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")


@pytest.fixture(scope="module", params=["local", "aks"])
def overlay(request: pytest.FixtureRequest, root: Path) -> list[Manifest]:
    folder = root / "k8s/overlays" / request.param
    answer = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    return [manifest for manifest in yaml.safe_load_all(answer.stdout) if manifest]


def _of_kind(manifests: list[Manifest], kind: str) -> dict[str, Manifest]:
    return {manifest["metadata"]["name"]: manifest for manifest in manifests if manifest["kind"] == kind}


def test_every_manifest_is_valid(overlay: list[Manifest]) -> None:
    for manifest in overlay:
        if manifest["kind"] not in CUSTOM_KINDS:
            kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


def test_everything_is_in_one_namespace(overlay: list[Manifest]) -> None:
    assert {m["metadata"].get("namespace") for m in overlay if m["kind"] != "Namespace"} == {"voice-bridge"}


def test_each_service_can_be_scaled_and_moved_by_itself(overlay: list[Manifest]) -> None:
    for kind in ("Deployment", "Service", "ServiceAccount", "PodDisruptionBudget", "NetworkPolicy"):
        assert set(SERVICES) <= set(_of_kind(overlay, kind)), kind
    autoscalers = _of_kind(overlay, "HorizontalPodAutoscaler")
    assert set(autoscalers) in (set(), set(SERVICES))
    for name, autoscaler in autoscalers.items():
        assert autoscaler["spec"]["scaleTargetRef"]["name"] == name
        assert "replicas" not in _of_kind(overlay, "Deployment")[name]["spec"], (
            "a fixed number of replicas would override the autoscaler"
        )


def test_services_select_their_pods(overlay: list[Manifest]) -> None:
    deployments = _of_kind(overlay, "Deployment")
    for name, service in _of_kind(overlay, "Service").items():
        template = deployments[name]["spec"]["template"]
        assert service["spec"]["selector"].items() <= template["metadata"]["labels"].items()
        assert service["spec"]["ports"][0]["targetPort"] in {
            port["name"] for port in template["spec"]["containers"][0]["ports"]
        }


def test_every_container_is_confined(overlay: list[Manifest]) -> None:
    for name, deployment in _of_kind(overlay, "Deployment").items():
        pod = deployment["spec"]["template"]["spec"]
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["runAsUser"] >= 10_000, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        for container in pod["containers"]:
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True, name
            assert context["allowPrivilegeEscalation"] is False, name
            assert context["capabilities"] == {"drop": ["ALL"]}, name
            assert set(container["resources"]) == {"requests", "limits"}, name


def test_probes_ask_the_right_question(overlay: list[Manifest]) -> None:
    deployments = _of_kind(overlay, "Deployment")
    for name, port in SERVICES.items():
        container = deployments[name]["spec"]["template"]["spec"]["containers"][0]
        assert container["startupProbe"]["httpGet"] == {"path": "/livez", "port": "http"}
        assert container["livenessProbe"]["httpGet"] == {"path": "/livez", "port": "http"}
        assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}
        assert container["ports"] == [{"name": "http", "containerPort": port}]
        assert {"name": "PORT", "value": str(port)} in container["env"]


def test_pods_have_time_to_drain(overlay: list[Manifest]) -> None:
    deployments = _of_kind(overlay, "Deployment")
    settings = _of_kind(overlay, "ConfigMap")
    for name in SERVICES:
        pod = deployments[name]["spec"]["template"]["spec"]
        (own,) = (data["data"] for config, data in settings.items() if config.startswith(f"{name}-settings-"))
        drain_s = float(own.get("DRAIN_TIMEOUT_S", 25))
        pause_s = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
        closing_s = 10
        assert pod["terminationGracePeriodSeconds"] >= pause_s + drain_s + closing_s, name
        assert deployments[name]["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_the_operators_api_is_not_on_the_internet(overlay: list[Manifest]) -> None:
    paths = [
        path["path"]
        for ingress in _of_kind(overlay, "Ingress").values()
        for rule in ingress["spec"]["rules"]
        for path in rule["http"]["paths"]
    ]
    assert sorted(paths) == ["/api/callbacks", "/api/incomingCall", "/ws"]


def test_every_secret_and_setting_that_is_read_is_there_or_named(overlay: list[Manifest], root: Path) -> None:
    made = set(_of_kind(overlay, "ConfigMap")) | set(_of_kind(overlay, "Secret"))
    guide = (root / "docs/running-on-azure.md").read_text(encoding="utf-8")
    for deployment in _of_kind(overlay, "Deployment").values():
        for source in deployment["spec"]["template"]["spec"]["containers"][0].get("envFrom", []):
            ((kind, reference),) = source.items()
            name = reference["name"]
            if kind == "secretRef" and name not in made and not reference.get("optional"):
                assert f"create secret generic {name} " in guide, f"the guide does not create the Secret {name}"
            elif kind == "configMapRef":
                assert name in made


@pytest.mark.parametrize("service", SETTINGS)
def test_a_service_starts_with_the_settings_of_the_overlay_and_the_secrets(
    overlay: list[Manifest], service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The AKS overlay must not allow insecure settings."""
    for name in SETTINGS[service].model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    container = _of_kind(overlay, "Deployment")[service]["spec"]["template"]["spec"]["containers"][0]
    made = _of_kind(overlay, "ConfigMap") | _of_kind(overlay, "Secret")
    for source in container["envFrom"]:
        ((_, reference),) = source.items()
        manifest = made.get(reference["name"], {"kind": "Secret", "data": {}})
        for name, value in manifest["data"].items():
            monkeypatch.setenv(name, base64.b64decode(value).decode() if manifest["kind"] == "Secret" else value)
        for name, value in SECRETS.get(reference["name"], {}).items():
            monkeypatch.setenv(name, value)
    allowed = load_settings(SETTINGS[service]).allow_insecure
    is_lab = "acs" in _of_kind(overlay, "Deployment")
    assert allowed == (("known-keys", "plain-http", "plain-redis") if is_lab else ())
