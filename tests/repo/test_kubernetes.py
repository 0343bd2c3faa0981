"""Every overlay and component passes strict validation and contains the fields that every pod of this project needs."""

from __future__ import annotations

import base64
import os
import shutil
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from agent_relay.settings import RelaySettings
from bridge_common.service.settings import ServiceSettings, load_settings
from call_control.settings import CallControlSettings
from media_gateway.settings import GatewaySettings
from tests.repo.conftest import Build
from tests.support import custom_resources
from tests.support.kustomize import VARIANTS, Manifest, of_kind, render

SERVICES = {"call-control": 8080, "media-gateway": 8081, "agent-relay": 8082}
KUBERNETES = "1.36"
# Objects that belong to no namespace.
CLUSTER_WIDE = {"Namespace", "PriorityClass", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}

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

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")


@pytest.fixture(params=VARIANTS)
def variant(request: pytest.FixtureRequest, built: Build) -> list[Manifest]:
    return built(request.param)


@pytest.fixture(params=[name for name in VARIANTS if name != "gateway-namespace"])
def services(request: pytest.FixtureRequest, built: Build) -> list[Manifest]:
    """The variants that contain the services."""
    return built(request.param)


@pytest.fixture(params=["local", "aks"])
def overlay(request: pytest.FixtureRequest, built: Build) -> list[Manifest]:
    return built(request.param)


def _validate(manifest: Manifest) -> None:
    if (manifest["apiVersion"], manifest["kind"]) in custom_resources.definitions():
        custom_resources.validate(manifest)
    else:
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


def _without_namespace(manifests: dict[str, Manifest]) -> dict[str, Manifest]:
    """kubectl 1.37 still adds a namespace to admission policies; the API server removes it."""
    return {
        name: one | {"metadata": {key: value for key, value in one["metadata"].items() if key != "namespace"}}
        for name, one in manifests.items()
    }


def test_every_manifest_is_valid(variant: list[Manifest]) -> None:
    for manifest in variant:
        _validate(manifest)


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("ScaledObject", ("spec", "minReplicas"), 2),
        ("HTTPRoute", ("spec", "rules", 0, "timeout"), "0s"),
        ("HealthCheckPolicy", ("spec", "default", "protocol"), "HTTP"),
        ("PodMonitor", ("spec", "endpoints"), []),
        ("Gateway", ("spec", "listeners", 0, "protocol"), "WSS"),
        ("Deployment", ("spec", "minReadySecond"), 1),
        ("Deployment", ("spec", "template", "spec", "containers", 0, "resources", "request"), {}),
    ],
)
def test_an_unknown_field_or_value_is_refused(built: Build, kind: str, path: tuple[str | int, ...], value: Any) -> None:
    manifest = next(iter(of_kind(yaml.safe_load(yaml.safe_dump(built("aks"))), kind).values()))
    part: Any = manifest
    for step in path[:-1]:
        part = part[step]
    part[path[-1]] = value
    with pytest.raises((jsonschema.ValidationError, kubernetes_validate.ValidationError)):
        _validate(manifest)


def test_everything_is_in_one_namespace(services: list[Manifest]) -> None:
    assert {m["metadata"].get("namespace") for m in services if m["kind"] not in CLUSTER_WIDE} == {"voice-bridge"}


def test_objects_of_the_whole_cluster_are_the_same_for_every_cell(root: Path, built: Build, tmp_path: Path) -> None:
    """Otherwise the overlay that is applied last replaces those of the other cells."""
    kustomization = {"namespace": "second-cell", "resources": [os.path.relpath(root / "k8s/overlays/aks", tmp_path)]}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(kustomization), encoding="utf-8")
    second = render(tmp_path)
    for kind in CLUSTER_WIDE - {"Namespace"}:
        ours, theirs = of_kind(built("aks"), kind), of_kind(second, kind)
        assert all(name.startswith("voice-bridge") for name in ours)
        assert _without_namespace(ours) == _without_namespace(theirs) != {}


def test_each_service_can_be_scaled_and_moved_by_itself(services: list[Manifest]) -> None:
    for kind in ("Deployment", "Service", "ServiceAccount", "PodDisruptionBudget", "NetworkPolicy"):
        assert set(SERVICES) <= set(of_kind(services, kind)), kind
    for name in SERVICES:
        assert "replicas" not in of_kind(services, "Deployment")[name]["spec"], (
            "a fixed number of replicas would override the autoscaler"
        )


def test_services_select_their_pods(services: list[Manifest]) -> None:
    deployments = of_kind(services, "Deployment")
    for name, service in of_kind(services, "Service").items():
        template = deployments[name]["spec"]["template"]
        assert service["spec"]["selector"].items() <= template["metadata"]["labels"].items()
        assert service["spec"]["ports"][0]["targetPort"] in {
            port["name"] for port in template["spec"]["containers"][0]["ports"]
        }


def test_every_container_is_confined(services: list[Manifest]) -> None:
    roles = of_kind(services, "Role")
    assert all(
        role["rules"] == [{"apiGroups": [""], "resources": ["pods"], "verbs": ["patch"]}] for role in roles.values()
    )
    policies = of_kind(services, "ValidatingAdmissionPolicy")
    bindings = of_kind(services, "ValidatingAdmissionPolicyBinding").values()
    assert len(policies) == len(roles), "the role of call-control needs its admission policy"
    assert {one["spec"]["policyName"] for one in bindings} == set(policies)
    assert all(one["spec"]["validationActions"] == ["Deny"] for one in bindings)
    for name, deployment in of_kind(services, "Deployment").items():
        pod = deployment["spec"]["template"]["spec"]
        assert pod["automountServiceAccountToken"] is (name == "call-control" and "pod-deletion-cost" in roles), name
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["runAsUser"] >= 10_000, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        for container in pod["containers"]:
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True, name
            assert context["allowPrivilegeEscalation"] is False, name
            assert context["capabilities"] == {"drop": ["ALL"]}, name
            assert set(container["resources"]) == {"requests", "limits"}, name
            if name in SERVICES:
                assert set(container["resources"]["limits"]) == {"memory"}, "a CPU limit throttles the media path"


def test_probes_ask_the_right_question(services: list[Manifest]) -> None:
    deployments = of_kind(services, "Deployment")
    for name, port in SERVICES.items():
        container = deployments[name]["spec"]["template"]["spec"]["containers"][0]
        assert container["startupProbe"]["httpGet"] == {"path": "/livez", "port": "http"}
        assert container["livenessProbe"]["httpGet"] == {"path": "/livez", "port": "http"}
        assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}
        assert container["ports"] == [{"name": "http", "containerPort": port}]
        assert {"name": "PORT", "value": str(port)} in container["env"]


def test_pods_have_time_to_drain(services: list[Manifest]) -> None:
    deployments = of_kind(services, "Deployment")
    settings = of_kind(services, "ConfigMap")
    for name in SERVICES:
        pod = deployments[name]["spec"]["template"]["spec"]
        (own,) = (data["data"] for config, data in settings.items() if config.startswith(f"{name}-settings-"))
        drain_s = float(own.get("DRAIN_TIMEOUT_S", 25))
        pause_s = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
        closing_s = 10
        assert pod["terminationGracePeriodSeconds"] >= pause_s + drain_s + closing_s, name


def test_rollouts_are_paced_by_drains(services: list[Manifest]) -> None:
    """The next pod is deleted when the newest one has been ready for `minReadySeconds`; by then at most one drains."""
    deployments = of_kind(services, "Deployment")
    for name in SERVICES:
        spec = deployments[name]["spec"]
        assert spec["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}, name
        grace_s = spec["template"]["spec"]["terminationGracePeriodSeconds"]
        assert grace_s / 2 <= spec["minReadySeconds"] < spec["progressDeadlineSeconds"], name
        assert spec["template"]["spec"]["priorityClassName"] in of_kind(services, "PriorityClass")
        budget = of_kind(services, "PodDisruptionBudget")[name]["spec"]
        assert (budget["maxUnavailable"], budget["unhealthyPodEvictionPolicy"]) == (1, "IfHealthyBudget"), name


def _published(manifests: list[Manifest]) -> list[str]:
    ingresses, routes = of_kind(manifests, "Ingress"), of_kind(manifests, "HTTPRoute")
    paths = [
        path["path"] for one in ingresses.values() for rule in one["spec"]["rules"] for path in rule["http"]["paths"]
    ]
    return paths + [
        match["path"]["value"] for one in routes.values() for rule in one["spec"]["rules"] for match in rule["matches"]
    ]


def test_the_operators_api_is_not_on_the_internet(services: list[Manifest]) -> None:
    assert sorted(_published(services)) == ["/api/callbacks", "/api/incomingCall", "/ws"]


def test_pods_may_ask_the_name_servers_of_every_cluster(services: list[Manifest]) -> None:
    egress = of_kind(services, "NetworkPolicy")["default-deny"]["spec"]["egress"]
    for rule in egress:
        assert {(port["port"], port["protocol"]) for port in rule["ports"]} == {(53, "UDP"), (53, "TCP")}
    blocks = [peer["ipBlock"]["cidr"] for rule in egress for peer in rule["to"] if "ipBlock" in peer]
    assert blocks == ["169.254.10.0/24", "169.254.20.10/32"]


def test_every_secret_and_setting_that_is_read_is_there_or_named(overlay: list[Manifest], root: Path) -> None:
    made = set(of_kind(overlay, "ConfigMap")) | set(of_kind(overlay, "Secret"))
    guide = (root / "docs/running-on-azure.md").read_text(encoding="utf-8")
    for deployment in of_kind(overlay, "Deployment").values():
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
    container = of_kind(overlay, "Deployment")[service]["spec"]["template"]["spec"]["containers"][0]
    made = of_kind(overlay, "ConfigMap") | of_kind(overlay, "Secret")
    for source in container["envFrom"]:
        ((_, reference),) = source.items()
        manifest = made.get(reference["name"], {"kind": "Secret", "data": {}})
        for name, value in manifest["data"].items():
            monkeypatch.setenv(name, base64.b64decode(value).decode() if manifest["kind"] == "Secret" else value)
        for name, value in SECRETS.get(reference["name"], {}).items():
            monkeypatch.setenv(name, value)
    allowed = load_settings(SETTINGS[service]).allow_insecure
    is_lab = "acs" in of_kind(overlay, "Deployment")
    assert allowed == (("known-keys", "plain-http", "plain-redis") if is_lab else ())
