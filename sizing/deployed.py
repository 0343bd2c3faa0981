"""Capacity as it is deployed: defaults of the settings and the manifests in k8s/, read from where they are defined."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from agent_relay.settings import RelaySettings
from agent_relay.voice.connection_quota import Urgency
from bridge_common.service.settings import ServiceSettings
from call_control.settings import CallControlSettings
from media_gateway.settings import GatewaySettings
from sizing.simulation.autoscaler import ScalingPolicy, ScalingRules, ScalingSpec

ROOT: Final = Path(__file__).resolve().parents[1]
CONTROL, GATEWAY, RELAY = "call-control", "media-gateway", "agent-relay"
SETTINGS: Final[Mapping[str, type[ServiceSettings]]] = {
    CONTROL: CallControlSettings,
    GATEWAY: GatewaySettings,
    RELAY: RelaySettings,
}
AUTOSCALERS: Final = ("keda", "hpa")
"""The components of k8s/ that scale the services. Their numbers are equal."""


class ManifestError(Exception):
    """A manifest lacks a value that the capacity model needs."""


@dataclass(frozen=True, slots=True)
class Service:
    """Manifests of one service. `scaling` has an entry for each autoscaler component."""

    capacity: int
    """Calls per process; 0 for call-control, whose capacity is a rate."""
    scaling: Mapping[str, ScalingSpec]
    cpu_m: int
    memory_mb: float
    """Requests, in millicores and MB."""
    min_ready_s: float
    max_surge: int
    pre_stop_s: float
    drain_s: float


@dataclass(frozen=True, slots=True)
class Deployed:
    services: Mapping[str, Service]
    connections_per_min: int
    """New connections to one Voice Live resource."""
    shares: Mapping[Urgency, float]
    reconnect_budget_s: float
    answer_deadline_s: float
    media_patience_s: float
    buffer_calls: int
    buffer_percent: int
    calls_per_min: int
    """Limit of incoming calls in k8s/overlays/aks, which has one Voice Live resource."""

    def scaling(self, service: str, autoscaler: str = AUTOSCALERS[0]) -> ScalingSpec:
        return self.services[service].scaling[autoscaler]


def read(root: Path = ROOT) -> Deployed:
    """Read everything. Raises `ManifestError`."""
    return Deployed(
        services={name: _service(root / "k8s", name) for name in SETTINGS},
        connections_per_min=default(RelaySettings, "voice_live_connections_per_min"),
        shares={urgency: urgency.value for urgency in Urgency},
        reconnect_budget_s=default(RelaySettings, "reconnect_budget_s"),
        answer_deadline_s=default(CallControlSettings, "answer_deadline_s"),
        media_patience_s=default(CallControlSettings, "media_patience_s"),
        buffer_calls=default(CallControlSettings, "scale_buffer_calls"),
        buffer_percent=default(CallControlSettings, "scale_buffer_percent"),
        calls_per_min=int(_literals(root / "k8s/overlays/aks/kustomization.yaml", CONTROL)["CALLS_PER_MIN"]),
    )


def default(settings: type[ServiceSettings], name: str) -> Any:
    return settings.model_fields[name].default


def _service(folder: Path, name: str) -> Service:
    base = folder / "base" / name
    (deployment,) = _documents(base / "deployment.yaml")
    spec = deployment["spec"]
    container = spec["template"]["spec"]["containers"][0]
    requests = container["resources"]["requests"]
    own = _literals(base / "kustomization.yaml", name)
    capacity = {GATEWAY: "gateway_capacity", RELAY: "relay_capacity"}.get(name)
    return Service(
        capacity=int(own.get(capacity.upper(), default(SETTINGS[name], capacity))) if capacity else 0,
        scaling={component: _scaling(folder / "components" / component, name) for component in AUTOSCALERS},
        cpu_m=millicores(requests["cpu"]),
        memory_mb=megabytes(requests["memory"]),
        min_ready_s=spec.get("minReadySeconds", 0),
        max_surge=spec["strategy"]["rollingUpdate"]["maxSurge"],
        pre_stop_s=container["lifecycle"]["preStop"]["sleep"]["seconds"],
        drain_s=float(own.get("DRAIN_TIMEOUT_S", default(SETTINGS[name], "drain_timeout_s"))),
    )


def _scaling(component: Path, name: str) -> ScalingSpec:
    for path in sorted(component.glob("*.yaml")):
        for manifest in _documents(path):
            spec = manifest.get("spec", {})
            if spec.get("scaleTargetRef", {}).get("name") == name:
                return _keda(spec) if manifest["kind"] == "ScaledObject" else _hpa(spec)
    raise ManifestError(f"{component} has no autoscaler for {name}")


def _keda(spec: Mapping[str, Any]) -> ScalingSpec:
    target = float(next(one["metadata"]["targetValue"] for one in spec["triggers"] if one["type"] == "metrics-api"))
    behavior = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    return _spec(spec["minReplicaCount"], spec["maxReplicaCount"], target, behavior)


def _hpa(spec: Mapping[str, Any]) -> ScalingSpec:
    (metric,) = spec["metrics"]
    target = float(metric[metric["type"].lower()]["target"]["averageValue"])
    return _spec(spec["minReplicas"], spec["maxReplicas"], target, spec["behavior"])


def _spec(minimum: int, maximum: int, target: float, behavior: Mapping[str, Any]) -> ScalingSpec:
    return ScalingSpec(minimum, maximum, target, _rules(behavior["scaleUp"]), _rules(behavior["scaleDown"]))


def _rules(rules: Mapping[str, Any]) -> ScalingRules:
    policies = tuple(ScalingPolicy(one["type"], one["value"], one["periodSeconds"]) for one in rules["policies"])
    return ScalingRules(rules["stabilizationWindowSeconds"], policies)


def _literals(path: Path, service: str) -> dict[str, str]:
    """Return the settings of a service in a kustomization."""
    (kustomization,) = _documents(path)
    for generator in kustomization.get("configMapGenerator", []):
        if generator["name"] == f"{service}-settings":
            return dict(literal.split("=", 1) for literal in generator["literals"])
    return {}


def _documents(path: Path) -> list[Any]:
    return [one for one in yaml.safe_load_all(path.read_text(encoding="utf-8")) if one]


def millicores(quantity: str | float) -> int:
    text = str(quantity)
    return int(text.removesuffix("m")) if text.endswith("m") else round(float(text) * 1000)


def megabytes(quantity: str) -> float:
    """Return MB (1,000,000 bytes) of a quantity in Mi or Gi."""
    units = {"Mi": 2**20, "Gi": 2**30}
    return float(quantity[:-2]) * units[quantity[-2:]] / 1e6
