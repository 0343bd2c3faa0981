"""The components of `k8s/` agree with each other and with the services: autoscalers, gateways, Key Vault."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent_relay.settings import RelaySettings
from bridge_common.service.settings import ServiceSettings
from call_control.settings import CallControlSettings
from media_gateway.settings import GatewaySettings
from tests.repo.conftest import Build
from tests.support.kustomize import VARIANTS, Manifest, of_kind

SETTINGS: dict[str, type[ServiceSettings]] = {
    "call-control": CallControlSettings,
    "media-gateway": GatewaySettings,
    "agent-relay": RelaySettings,
}

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")


def _autoscaling(manifests: list[Manifest]) -> dict[str, dict[str, Any]]:
    """Return target, limits and behavior of each autoscaler, whichever kind it has."""
    found = {}
    for name, one in of_kind(manifests, "HorizontalPodAutoscaler").items():
        (metric,) = one["spec"]["metrics"]
        assert one["spec"]["scaleTargetRef"]["name"] == metric["external"]["metric"]["selector"]["matchLabels"]["kind"]
        found[one["spec"]["scaleTargetRef"]["name"]] = {
            "target": float(metric["external"]["target"]["averageValue"]),
            "limits": (one["spec"]["minReplicas"], one["spec"]["maxReplicas"]),
            "behavior": one["spec"]["behavior"],
        }
        assert name == one["spec"]["scaleTargetRef"]["name"]
    for name, one in of_kind(manifests, "ScaledObject").items():
        (trigger,) = one["spec"]["triggers"]
        assert trigger["metadata"]["url"].endswith(f"/api/fleet/{name}")
        assert trigger["metricType"] == "AverageValue"
        found[one["spec"]["scaleTargetRef"]["name"]] = {
            "target": float(trigger["metadata"]["targetValue"]),
            "limits": (one["spec"]["minReplicaCount"], one["spec"]["maxReplicaCount"]),
            "behavior": one["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"],
        }
    return found


def test_both_autoscalers_decide_alike(built: Build) -> None:
    keda, hpa = _autoscaling(built("aks")), _autoscaling(built("hpa"))
    assert keda == hpa
    assert set(keda) == set(SETTINGS)
    assert not _autoscaling(built("local"))


def test_autoscalers_add_a_pod_before_the_pods_are_full(built: Build) -> None:
    """An autoscaler tolerates a demand of 110 % of its target."""
    capacity = {
        "media-gateway": GatewaySettings.model_fields["gateway_capacity"].default,
        "agent-relay": RelaySettings.model_fields["relay_capacity"].default,
    }
    scaling = _autoscaling(built("aks"))
    for name, calls in capacity.items():
        assert scaling[name]["target"] * 1.1 <= calls, name


@pytest.mark.parametrize("variant", ["aks", "app-routing"])
def test_routes_use_the_https_listener_of_the_gateway(built: Build, variant: str) -> None:
    manifests = built(variant) + (built("gateway-namespace") if variant == "app-routing" else [])
    (gateway,) = of_kind(manifests, "Gateway").values()
    secure = {one["name"]: one for one in gateway["spec"]["listeners"] if one["protocol"] == "HTTPS"}
    issuer = of_kind(manifests, "Issuer")[gateway["metadata"]["annotations"]["cert-manager.io/issuer"]]
    assert issuer["metadata"]["namespace"] == gateway["metadata"]["namespace"]
    services = of_kind(manifests, "Service")
    for route in of_kind(manifests, "HTTPRoute").values():
        (parent,) = route["spec"]["parentRefs"]
        assert parent["name"] == gateway["metadata"]["name"]
        assert parent.get("namespace", "voice-bridge") == gateway["metadata"]["namespace"]
        assert route["spec"]["hostnames"] == [secure[parent["sectionName"]]["hostname"]]
        for rule in route["spec"]["rules"]:
            for backend in rule["backendRefs"]:
                assert backend["port"] in {port["port"] for port in services[backend["name"]]["spec"]["ports"]}
            if rule["backendRefs"][0]["name"] == "media-gateway":
                assert rule["timeouts"] == {"request": "0s"}, "a media socket is one request"


def test_policies_of_the_gateway_target_objects_that_exist(built: Build) -> None:
    manifests = built("aks")
    names = {(one["kind"], one["metadata"]["name"]) for one in manifests}
    policies = [one for one in manifests if one["apiVersion"] == "alb.networking.azure.io/v1"]
    assert len(policies) == 5
    for policy in policies:
        spec = policy["spec"]
        targets = [spec["targetRef"]] if "targetRef" in spec else [one["targetRef"] for one in spec["targetRefs"]]
        assert {(one["kind"], one["name"]) for one in targets} <= names


def test_files_of_key_vault_are_settings_of_their_service(built: Build) -> None:
    manifests = built("aks-key-vault")
    for name, cls in SETTINGS.items():
        parameters = of_kind(manifests, "SecretProviderClass")[name]["spec"]["parameters"]
        objects = [yaml.safe_load(one) for one in yaml.safe_load(parameters["objects"])["array"]]
        aliases = [one["objectAlias"] for one in objects]
        assert {alias.lower() for alias in aliases} <= set(cls.model_fields), name
        assert [one["objectName"] for one in objects] == [alias.lower().replace("_", "-") for alias in aliases]
        pod = of_kind(manifests, "Deployment")[name]["spec"]["template"]["spec"]
        assert not [one for one in pod["containers"][0]["envFrom"] if "secretRef" in one]
        (volume,) = [one for one in pod["volumes"] if one["name"] == "secrets"]
        assert volume["csi"]["volumeAttributes"] == {"secretProviderClass": name}
        folder = {one["name"]: one.get("value") for one in pod["containers"][0]["env"]}["SECRETS_DIR"]
        assert folder in {one["mountPath"] for one in pod["containers"][0]["volumeMounts"]}


def test_secrets_are_files_instead_of_variables(built: Build) -> None:
    """The same Secrets, optional or not, as the base has in `envFrom`."""
    files = of_kind(built("aks-secrets-as-files"), "Deployment")
    for name, deployment in of_kind(built("aks"), "Deployment").items():
        container = deployment["spec"]["template"]["spec"]["containers"][0]
        wanted = [one["secretRef"] for one in container["envFrom"] if "secretRef" in one]
        pod = files[name]["spec"]["template"]["spec"]
        (volume,) = [one for one in pod["volumes"] if one["name"] == "secrets"]
        assert [one["secret"] for one in volume["projected"]["sources"]] == wanted
        (changed,) = pod["containers"]
        assert changed["envFrom"] == [one for one in container["envFrom"] if "configMapRef" in one]
        folder = {one["name"]: one.get("value") for one in changed["env"]}["SECRETS_DIR"]
        mounts = {one["name"]: one["mountPath"] for one in changed["volumeMounts"]}
        assert mounts["secrets"] == folder


def test_the_copies_of_the_guide_are_complete(root: Path, tmp_path: Path) -> None:
    """The shell commands of step 7b, on a copy of `k8s`."""
    guide = (root / "docs/running-on-azure.md").read_text(encoding="utf-8")
    step = guide[guide.index("## 7b.") : guide.index("## Resources, roles")]
    commands = re.findall(r"^(?:cp|sed|cat) .*(?:\n(?!```|kubectl).*)*", step, re.MULTILINE)
    assert len(commands) == 2
    shutil.copytree(root / "k8s", tmp_path / "k8s")
    script = "\n".join(["set -eu", "HOST=phone.contoso.com", *commands])
    subprocess.run(["bash", "-c", script], cwd=tmp_path, check=True)
    answers = {
        name: subprocess.run(
            ["kubectl", "kustomize", str(tmp_path / "k8s" / name)], capture_output=True, text=True, check=True
        ).stdout
        for name in ("ingress/mine", "overlays/mine")
    }
    assert "example" not in answers["ingress/mine"]
    kinds = {manifest["kind"] for manifest in yaml.safe_load_all(answers["overlays/mine"]) if manifest}
    assert "HTTPRoute" in kinds
    assert not kinds & {"Gateway", "Issuer", "HealthCheckPolicy", "RoutePolicy"}
    assert "namespace: voice-bridge-ingress" in answers["overlays/mine"]


def test_each_component_is_in_a_variant(root: Path) -> None:
    used: set[str] = set()
    waiting = [root / "k8s" / folder for folder, _ in VARIANTS.values()]
    waiting += [root / "k8s/components" / name for _, names in VARIANTS.values() for name in names]
    while waiting:
        folder = waiting.pop()
        kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf-8"))
        used |= {folder.name} if folder.parent.name == "components" else set()
        parts = kustomization.get("components", []) + kustomization.get("resources", [])
        waiting += [(folder / part).resolve() for part in parts if (folder / part).is_dir()]
    assert used == {path.name for path in (root / "k8s/components").iterdir()}
