"""50 → 1,000 → 50 calls: the cluster's own autoscaler with the targets and the behavior of `k8s/components/keda`.

The test makes the HorizontalPodAutoscalers that KEDA makes from the ScaledObjects, and serves their metric.
`HPA_SYNC_S` is the sync period of the controller manager; all times are divided by 15 / `HPA_SYNC_S`.
"""

from __future__ import annotations

import asyncio
import math
import os
import random
import time
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from agent_relay.settings import RelaySettings
from media_gateway.settings import GatewaySettings
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.conftest import Build, Report
from tests.kubernetes.fleet_model import FleetModel
from tests.kubernetes.metrics_api import serving
from tests.kubernetes.stub_kubelet import StubKubelet
from tests.kubernetes.test_scale_down import write_costs
from tests.kubernetes.workloads import apply, grace_s, is_rolled_out, workloads
from tests.support.eventually import eventually
from tests.support.kustomize import Manifest, of_kind

FASTER = 15 / float(os.environ.get("HPA_SYNC_S", "15"))
MEAN_CALL_S = 180.0
BUFFER = (10, 0.2)
"""Defaults of `SCALE_BUFFER_CALLS` and `SCALE_BUFFER_PERCENT`."""
MOST_AT_THE_END = 75
"""Poisson arrivals of 50 calls in balance rarely exceed this."""
LONGEST_STEP_S = 20.0
"""On a machine that is slower than this, calls arrive in bursts that the curve does not have."""
START_S = 10.0
"""From a decision of the autoscaler to a ready pod on a node with room."""
CAPACITY = {
    "call-control": 10_000,
    "media-gateway": GatewaySettings.model_fields["gateway_capacity"].default,
    "agent-relay": RelaySettings.model_fields["relay_capacity"].default,
}
CURVE = ((0, 50), (180, 50), (780, 1000), (1080, 1000), (1380, 50), (3900, 50))
"""(seconds, calls): the arrivals are those of this number of calls in balance."""


def _unwritten(calls: float) -> float:
    """Most by which the calls of a pod differ from the cost that is written."""
    return max(2, calls / 10)


def _calls_at(second: float) -> float:
    for (t0, c0), (t1, c1) in pairwise(CURVE):
        if second <= t1:
            return c0 + (c1 - c0) * (second - t0) / (t1 - t0)
    return CURVE[-1][1]


def _hpa(scaled: Manifest, namespace: str) -> Manifest:
    """Return the autoscaler that KEDA makes from a ScaledObject with one metrics-api trigger, with shorter times."""
    spec, name = scaled["spec"], scaled["metadata"]["name"]
    behavior = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    for direction in behavior.values():
        direction["stabilizationWindowSeconds"] = round(direction["stabilizationWindowSeconds"] / FASTER)
        for policy in direction["policies"]:
            policy["periodSeconds"] = max(round(policy["periodSeconds"] / FASTER), 1)
    target = {"type": "AverageValue", "averageValue": spec["triggers"][0]["metadata"]["targetValue"]}
    selector = {"matchLabels": {"scaledobject.keda.sh/name": name}}
    metric = {"name": "s0-metric-api-demand", "selector": selector}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicas": spec["minReplicaCount"],
            "maxReplicas": spec["maxReplicaCount"],
            "metrics": [{"type": "External", "external": {"metric": metric, "target": target}}],
            "behavior": behavior,
        },
    }


class _Day:
    """The calls, the pods that the cluster has for them, and what is seen of both."""

    def __init__(self, cluster: Cluster, namespace: str, stub: StubKubelet) -> None:
        self.fleets = {name: FleetModel(CAPACITY[name], MEAN_CALL_S, random.Random(1)) for name in CAPACITY}
        self.rows: list[dict[str, Any]] = []
        self.victims: list[tuple[str, int, int]] = []
        """(service, calls of the pod that was removed, most calls of a pod that stayed)."""
        self.longest_step_s = 0.0
        self._cluster, self._namespace, self._stub = cluster, namespace, stub
        self._written: dict[str, int] = {}

    def demand(self, _: str, labels: dict[str, str]) -> float:
        name = labels["scaledobject.keda.sh/name"]
        calls = self.fleets[name].total
        return calls if name == "call-control" else calls + max(BUFFER[0], BUFFER[1] * calls)

    async def run(self) -> None:
        began = last = time.monotonic()
        while (second := (time.monotonic() - began) * FASTER) < CURVE[-1][0]:
            now = time.monotonic()
            self.longest_step_s = max(self.longest_step_s, (now - last) * FASTER)
            for name, fleet in self.fleets.items():
                self._follow(name, fleet)
                fleet.step(_calls_at(second) / MEAN_CALL_S, (now - last) * FASTER)
            last = now
            await self._write_costs()
            self._record(second)
            await asyncio.sleep(0.5)

    def _follow(self, name: str, fleet: FleetModel) -> None:
        pods = self._stub.active(name)
        ready = {key for key, pod in pods.items() if _is_ready(pod)}
        for pod in set(fleet.calls) - ready:
            stay = [count for other, count in fleet.calls.items() if other in ready]
            if stay:
                self.victims.append((name, fleet.calls[pod], max(stay)))
        fleet.follow(ready, {key for key in self._stub.draining if key in fleet.draining or key in fleet.calls})

    async def _write_costs(self) -> None:
        """Write those that changed by more than a tenth, as call-control does."""
        changed = {}
        for name in ("media-gateway", "agent-relay"):
            for pod, calls in self.fleets[name].calls.items():
                if abs(calls - self._written.get(pod, 0)) > _unwritten(calls):
                    changed[pod] = self._written[pod] = calls
        await write_costs(self._cluster, self._namespace, changed)

    def _record(self, second: float) -> None:
        minute = int(second // 60)
        if self.rows and self.rows[-1]["minute"] == minute:
            return
        row: dict[str, Any] = {"minute": minute, "calls": self.fleets["media-gateway"].total}
        for name, fleet in self.fleets.items():
            row[name] = {
                "pods": len(self._stub.active(name)),
                "draining": len(fleet.draining),
                "refused": fleet.refused,
            }
        self.rows.append(row)


def _is_ready(pod: Manifest) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


@pytest.mark.timeout(5400)
async def test_the_fleet_follows_the_calls(
    cluster: Cluster, namespace: str, built: Build, report: Report, tmp_path: Path
) -> None:
    manifests = built("aks")
    drain_s = {name: grace_s(manifests, name) for name in CAPACITY}
    day: _Day

    def drains_for(pod: Manifest) -> float:
        name = pod["metadata"]["labels"]["app.kubernetes.io/name"]
        has_calls = day.fleets[name].draining.get(pod["metadata"]["name"], 1)
        return (drain_s[name] if has_calls and name != "call-control" else 10) / FASTER

    async with StubKubelet(cluster, namespace, start_s=START_S / FASTER, drain_s=drains_for) as stub:
        day = _Day(cluster, namespace, stub)
        async with serving(cluster, namespace, tmp_path, day.demand):
            chosen = workloads(manifests, namespace, dict.fromkeys(CAPACITY, 2), faster=FASTER)
            apply([*chosen, *(_hpa(one, namespace) for one in of_kind(manifests, "ScaledObject").values())])
            for name in CAPACITY:
                await eventually(partial(is_rolled_out, cluster, namespace, name), within_s=900, every_s=0.5)
            await day.run()
            summary = {
                name: {
                    "most pods": max(row[name]["pods"] for row in day.rows),
                    "pods at the end": day.rows[-1][name]["pods"],
                    "most draining": max(row[name]["draining"] for row in day.rows),
                    "calls": fleet.arrived,
                    "refused": fleet.refused,
                    "moved at the end of a drain": fleet.moved,
                    "calls of removed pods": [calls for who, calls, _ in day.victims if who == name],
                }
                for name, fleet in day.fleets.items()
            }
            figures = {"times divided by": FASTER, "longest step, s": round(day.longest_step_s, 1), "summary": summary}
            report("autoscaling", figures | {"by minute": day.rows})
    assert day.longest_step_s <= LONGEST_STEP_S, "this machine is too slow: raise HPA_SYNC_S and the sync period"
    fullest = [
        (name, calls, most)
        for name, calls, most in day.victims
        if name != "call-control" and most > 0 and calls > most + 2 * _unwritten(calls)
    ]
    assert not fullest, "a scale-down removed the fullest pod"
    for name, fleet in day.fleets.items():
        target = float(of_kind(manifests, "ScaledObject")[name]["spec"]["triggers"][0]["metadata"]["targetValue"])
        peak = summary[name]["most pods"]
        assert peak >= math.ceil(1000 / fleet.capacity), name
        assert peak <= max(2, math.ceil(1.2 * 1100 / target)), name
        assert summary[name]["pods at the end"] <= max(2, math.ceil((1.2 * MOST_AT_THE_END) / target)), name
        assert fleet.refused <= fleet.arrived * 0.001, name
