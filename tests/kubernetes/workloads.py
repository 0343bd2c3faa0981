"""Deployments of `k8s/` in a namespace of a test: pods go to the stub, and times are divided by a factor."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable
from typing import Final

import yaml

from tests.kubernetes.cluster import Cluster, Object, kubectl
from tests.kubernetes.stub_kubelet import SCHEDULER
from tests.support.kustomize import Manifest, of_kind

_KINDS: Final = {"Deployment", "PodDisruptionBudget", "ServiceAccount", "ConfigMap", "PriorityClass"}


def workloads(
    manifests: Iterable[Manifest], namespace: str, services: dict[str, int], *, faster: float
) -> list[Manifest]:
    """`services`: numbers of pods. `minReadySeconds` is divided by `faster`, plus one second: the API stores the time
    at which a pod became ready in whole seconds, and this error is not divided.
    """
    chosen = []
    for manifest in copy.deepcopy(list(manifests)):
        if manifest["kind"] not in _KINDS:
            continue
        if "namespace" in manifest["metadata"]:
            manifest["metadata"]["namespace"] = namespace
        if manifest["kind"] in {"Deployment", "PodDisruptionBudget"}:
            name = manifest["metadata"]["name"]
            if name not in services:
                continue
            if manifest["kind"] == "Deployment":
                spec = manifest["spec"]
                spec["replicas"] = services[name]
                spec["minReadySeconds"] = math.ceil(spec["minReadySeconds"] / faster) + 1
                spec["template"]["spec"]["schedulerName"] = SCHEDULER
        chosen.append(manifest)
    return chosen


def apply(manifests: Iterable[Manifest]) -> None:
    kubectl("apply", "--server-side", "--validate=strict", "-f", "-", stdin=yaml.safe_dump_all(manifests))


def grace_s(manifests: list[Manifest], service: str) -> float:
    spec = of_kind(manifests, "Deployment")[service]["spec"]["template"]["spec"]
    return float(spec["terminationGracePeriodSeconds"])


async def deployment(cluster: Cluster, namespace: str, name: str) -> Object:
    return await cluster.get(f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}")


async def is_rolled_out(cluster: Cluster, namespace: str, name: str) -> bool:
    """Whether all replicas are new and available, as `kubectl rollout status` checks it."""
    found = await deployment(cluster, namespace, name)
    status, wanted = found["status"], found["spec"]["replicas"]
    counts = [status.get(key, 0) for key in ("replicas", "updatedReplicas", "availableReplicas")]
    return status.get("observedGeneration") == found["metadata"]["generation"] and counts == [wanted] * 3


async def scale(cluster: Cluster, namespace: str, name: str, replicas: int) -> None:
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale"
    await cluster.patch(path, {"spec": {"replicas": replicas}})
