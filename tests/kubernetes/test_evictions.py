"""Evictions while no pod is ready, as in an outage of Redis, and the drain of a node while all are ready."""

from __future__ import annotations

from functools import partial

import pytest

from tests.kubernetes.cluster import Cluster
from tests.kubernetes.conftest import Build, Report
from tests.kubernetes.stub_kubelet import StubKubelet
from tests.kubernetes.workloads import apply, is_rolled_out, workloads
from tests.support.eventually import eventually

PODS = {"call-control": 3, "media-gateway": 4, "agent-relay": 4}


async def _evict(cluster: Cluster, namespace: str, pod: str) -> int:
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": namespace}}
    return await cluster.status_of("POST", f"/api/v1/namespaces/{namespace}/pods/{pod}/eviction", body)


async def _healthy(cluster: Cluster, namespace: str) -> dict[str, int]:
    budgets = await cluster.items(f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets")
    return {one["metadata"]["name"]: one.get("status", {}).get("currentHealthy", -1) for one in budgets}


async def _in_an_outage(cluster: Cluster, namespace: str, stub: StubKubelet) -> None:
    """Bring all pods up, then report all of them as not ready."""
    for name in PODS:
        await eventually(partial(is_rolled_out, cluster, namespace, name), within_s=90, every_s=0.2)
    await _until_healthy(cluster, namespace, PODS)
    for name in PODS:
        for pod in stub.active(name):
            await stub.set_ready(pod, False)
    await _until_healthy(cluster, namespace, dict.fromkeys(PODS, 0))


async def _until_healthy(cluster: Cluster, namespace: str, wanted: dict[str, int]) -> None:
    async def reached() -> bool:
        return await _healthy(cluster, namespace) == wanted

    await eventually(reached, within_s=30, every_s=0.2)


@pytest.mark.timeout(180)
async def test_no_pod_is_evicted_while_none_is_ready(
    cluster: Cluster, namespace: str, built: Build, report: Report
) -> None:
    # The replacement of an evicted pod is ready after the last eviction.
    async with StubKubelet(cluster, namespace, start_s=5, drain_s=lambda _: 1) as stub:
        apply(workloads(built("aks"), namespace, PODS, faster=320))
        await _in_an_outage(cluster, namespace, stub)
        outage = {name: [await _evict(cluster, namespace, pod) for pod in stub.active(name)] for name in PODS}
        for name in PODS:
            for pod in stub.active(name):
                await stub.set_ready(pod, True)
        await _until_healthy(cluster, namespace, PODS)
        later = {name: [await _evict(cluster, namespace, pod) for pod in stub.active(name)] for name in PODS}
        report("evictions", {"while no pod is ready": outage, "while all pods are ready": later})
        assert {code for codes in outage.values() for code in codes} == {429}
        assert all(codes.count(201) == 1 and codes.count(429) == len(codes) - 1 for codes in later.values())


@pytest.mark.timeout(180)
async def test_always_allow_would_evict_all(cluster: Cluster, namespace: str, built: Build, report: Report) -> None:
    """`IfHealthyBudget` prevents this."""
    async with StubKubelet(cluster, namespace, start_s=0.1, drain_s=lambda _: 5) as stub:
        manifests = workloads(built("aks"), namespace, PODS, faster=320)
        for manifest in manifests:
            if manifest["kind"] == "PodDisruptionBudget":
                manifest["spec"]["unhealthyPodEvictionPolicy"] = "AlwaysAllow"
        apply(manifests)
        await _in_an_outage(cluster, namespace, stub)
        codes = [await _evict(cluster, namespace, pod) for pod in stub.active("media-gateway")]
        report("evictions-always-allow", codes)
        assert codes == [201] * PODS["media-gateway"]
